"""Whatever the registers hold, the walk over a chain of models ends, stays inside them, and finds what is sound."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.sunspec_chain import Chain, find_chain
from edge_agent.drivers.sunspec_models import decode_model, definition_of, known_ids, read_plan
from edge_agent.drivers.sunspec_read import read_model
from tests.modbus_server import FakeBus
from tests.sunspec_image import END, MARKER, image, model_words

WORDS = st.one_of(
    st.sampled_from([0, 1, 65, 66, 103, 50, 160, 0xFFFF, 0x8000, 64204]),
    st.integers(0, 0xFFFF),
    st.sampled_from(sorted(known_ids())),
)
FIXED = [number for number in sorted(known_ids()) if definition_of(number).whole_words is not None]


async def walked(bus: FakeBus) -> Chain:
    return await find_chain(bus, 1, bases=(0,))


@given(words=st.lists(WORDS, max_size=300))
async def test_any_registers_are_walked(words: list[int]) -> None:
    bus = FakeBus(dict(enumerate([*MARKER, *words])))
    chain = await walked(bus)
    assert len(chain.places) <= 128
    assert len(bus.reads) < 2000
    assert [place.address for place in chain.places] == sorted({place.address for place in chain.places})
    assert all(place.end <= 0x1_0000 for place in chain.places)


@given(ids=st.lists(st.sampled_from(FIXED), max_size=12))
async def test_a_sound_chain_is_found_whole(ids: list[int]) -> None:
    models = [model_words(number, {}) for number in ids]
    bus = FakeBus(image(*models, base=0))
    chain = await walked(bus)
    assert [place.id for place in chain.places] == ids
    assert (chain.losses, chain.oddities) == ((), ())
    assert len(bus.reads) == len(ids) + 2


@given(number=st.sampled_from(FIXED), said=st.integers(0, 0xFFFF), end=st.sampled_from([END, ()]))
async def test_one_wrong_length_loses_no_other_model(number: int, said: int, end: tuple[int, ...]) -> None:
    """The model is followed by two sound ones, which are found whatever it says of its length."""
    model = model_words(number, {})
    followers = [model_words(103, {"W": 1}), model_words(120, {"WRtg": 1})]
    bus = FakeBus(image((number, said, *model[2:]), *followers, base=0, end=end))
    chain = await walked(bus)
    found = {place.id: place for place in chain.places}
    assert {103, 120} <= found.keys()
    assert (await read_model(bus, 1, found[120])).points["WRtg"] == 1


@given(number=st.sampled_from(sorted(known_ids())), modules=st.integers(0, 12))
async def test_a_model_is_read_by_whole_requests_as_if_by_one(number: int, modules: int) -> None:
    definition = definition_of(number)
    has_modules = len(definition.group.groups) == 1 and not definition.group.groups[0].groups
    words = model_words(number, {}, modules=[{}] * modules if has_modules else ())
    bus = FakeBus(image(words, base=0))
    chain = await walked(bus)
    if not chain.places:
        return  # a model of other models without a single one of them has no sound length
    read = await read_model(bus, 1, chain.places[0])
    end = sum(read_plan(definition, len(words))[-1])
    assert read == decode_model(definition, words[:end])
