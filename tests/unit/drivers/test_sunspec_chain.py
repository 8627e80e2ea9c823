"""Chains of SunSpec models as they should be, and as makers get them wrong."""

import logging
from decimal import Decimal

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.drivers.sunspec import MAX_SILENCES, SILENCE_POLLS, WALK_AGAIN_POLLS, SunSpecDriver
from edge_agent.drivers.sunspec_chain import Chain, bases_with, find_chain, find_units
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, Quality
from tests.modbus_server import FakeBus
from tests.sunspec_image import END, image, model_words

COMMON = model_words(1, {"Mn": "Sun Maker", "Md": "S-5000", "SN": "4711"})
INVERTER = model_words(103, {"W": Decimal(4820), "St": 4}, scales={"W_SF": 1})
FLOATS = model_words(113, {"W": Decimal(4811), "St": 4})
RATINGS = model_words(120, {"WRtg": Decimal(5000)})
STATUS = model_words(122, {"Ris": Decimal(2_000_000)}, scales={"Ris_SF": 3})
VENDOR = (64204, 8, *range(100, 108))
GARBAGE = tuple(range(0x4142, 0x4142 + 20))
"""Text where a header should be."""


class WordyBus(FakeBus):
    """A bus that answers some addresses with another error than exception 2."""

    def __init__(self, holding: dict[int, int], *, kind: str = "timeout") -> None:
        super().__init__(holding)
        self.kind = kind

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        try:
            return await super().read(unit, function, address=address, count=count)
        except RefusedAddressError as error:
            raise DriverError(f"nothing at {address}", retry=True, kind=self.kind) from error


async def chain_of(*models: tuple[int, ...], end: tuple[int, ...] = END) -> Chain:
    return await find_chain(FakeBus(image(*models, end=end)), 1)


def ids(chain: Chain) -> list[int]:
    return [place.id for place in chain.places]


async def power_of(bus: FakeBus) -> tuple[object, Quality]:
    answer = await SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER).read()
    return answer.values["ac_power_kw"], answer.quality


async def test_a_sound_chain_costs_one_request_per_model() -> None:
    bus = FakeBus(image(COMMON, INVERTER, VENDOR, RATINGS))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 103, 64204, 120]
    assert (chain.base, chain.losses, chain.oddities) == (40000, (), ())
    assert len(bus.reads) == 1 + 4 + 1, "marker, headers, end"


@pytest.mark.parametrize("base", [40000, 0, 50000])
async def test_each_usual_base(base: int) -> None:
    assert (await find_chain(FakeBus(image(COMMON, INVERTER, base=base)), 1)).base == base


async def test_a_base_that_the_connection_names_comes_first() -> None:
    assert bases_with(None) == (40000, 0, 50000)
    assert bases_with(30000) == (30000, 40000, 0, 50000)
    assert bases_with(0) == (0, 40000, 50000)
    bus = FakeBus(image(COMMON, base=40000) | image(COMMON, INVERTER, base=30000))
    assert (await find_chain(bus, 1, bases=bases_with(30000))).base == 30000
    assert (await find_chain(bus, 1, bases=bases_with(65535))).base == 40000, "a marker does not fit there"


async def test_no_marker_anywhere() -> None:
    with pytest.raises(DriverError, match=r"unit 7 has no SunSpec marker at 40000, 0, 50000") as caught:
        await find_chain(FakeBus({40000: 1, 40001: 2}), 7)
    assert caught.value.kind == "identity"


async def test_a_base_that_is_refused_with_another_exception() -> None:
    bus = WordyBus(image(COMMON, INVERTER, base=50000), kind="exception")
    assert (await find_chain(bus, 1)).base == 50000
    with pytest.raises(DriverError, match="nothing at 50000") as caught:
        await find_chain(WordyBus({}, kind="exception"), 1)
    assert caught.value.retry, "a gateway that does not reach the unit may do so later"


async def test_silence_is_not_taken_for_no_sunspec() -> None:
    with pytest.raises(DriverError, match="nothing at 40000") as caught:
        await find_chain(WordyBus({}), 1)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("end", [(), (0xFFFF,), (0, 0, 0, 0)])
async def test_a_missing_or_half_end(end: tuple[int, ...]) -> None:
    chain = await chain_of(COMMON, INVERTER, end=end)
    assert ids(chain) == [1, 103]
    assert not chain.losses
    assert len(chain.oddities) == (0 if end == (0xFFFF,) else 1)


async def test_a_device_that_is_silent_behind_its_last_register() -> None:
    bus = WordyBus(image(COMMON, INVERTER, end=()))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 103]
    assert "no answer" in chain.oddities[0]
    assert await power_of(WordyBus(image(COMMON, INVERTER, end=()))) == (4.82, Quality.GOOD)


async def test_a_device_that_falls_silent_is_not_one_without_an_end() -> None:
    class Dying(FakeBus):
        async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
            if len(self.reads) > 2:
                raise DriverError("gone", retry=True, kind="timeout")
            return await super().read(unit, function, address=address, count=count)

    with pytest.raises(DriverError, match="gone"):
        await find_chain(Dying(image(COMMON, INVERTER)), 1)


@pytest.mark.parametrize(("said", "has"), [(65, 65), (66, 66), (66, 65), (65, 66), (64, 66), (0, 66), (300, 65)])
async def test_model_1_of_any_length(said: int, has: int) -> None:
    common = (1, said, *COMMON[2 : 2 + has])
    bus = FakeBus(image(common, INVERTER, RATINGS))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 103, 120]
    assert not chain.losses
    assert bool(chain.oddities) is (said != has)
    assert await power_of(bus) == (4.82, Quality.GOOD)


@pytest.mark.parametrize("said", [0, 49, 51, 500, 0xFFF0, 0xFFFF])
async def test_a_model_with_a_wrong_length(said: int) -> None:
    bus = FakeBus(image(COMMON, (103, said, *INVERTER[2:]), RATINGS))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 103, 120]
    assert not chain.losses
    assert "103" in chain.oddities[0]
    assert await power_of(bus) == (4.82, Quality.GOOD)


async def test_a_shorter_model_than_its_definition_is_believed() -> None:
    chain = await chain_of(COMMON, (103, 40, *INVERTER[2:42]), RATINGS)
    assert [(place.id, place.words) for place in chain.places] == [(1, 68), (103, 42), (120, 28)]


async def test_a_wrong_length_at_the_end_of_the_registers() -> None:
    """The last model runs over the end of the address space; nothing follows it, and it is read all the same."""
    base = 0x1_0000 - 2 - len(COMMON) - len(INVERTER)
    bus = FakeBus(image(COMMON, (103, 0xFFFE, *INVERTER[2:]), base=base, end=()))
    chain = await find_chain(bus, 1, bases=(base,))
    assert ids(chain) == [1, 103]
    assert chain.places[-1].end == 0x1_0000


async def test_a_vendor_model_of_no_length() -> None:
    chain = await chain_of(COMMON, (64999, 0), INVERTER)
    assert ids(chain)[0] == 1
    assert 103 in ids(chain)


async def test_a_number_that_is_none_is_passed_over_by_its_length() -> None:
    bus = FakeBus(image(COMMON, (16706, 18, *GARBAGE[:18]), INVERTER))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 16706, 103]
    assert chain.losses == ("20 registers from 40070: 16706 is no model's number",)
    assert await power_of(bus) == (4.82, Quality.PARTIAL)


@pytest.mark.parametrize("garbage", [GARBAGE, GARBAGE * 6, (5, *GARBAGE)])
async def test_what_lies_behind_garbage_is_found(garbage: tuple[int, ...]) -> None:
    bus = FakeBus(image(COMMON, garbage, INVERTER, RATINGS))
    chain = await find_chain(bus, 1)
    assert 103 in ids(chain)
    assert 120 in ids(chain)
    assert chain.losses
    assert await power_of(bus) == (4.82, Quality.PARTIAL)


async def test_a_number_in_the_garbage_is_not_taken_for_a_model() -> None:
    """303 may have any length, so that a voltage of 30.3 V looks like its header."""
    temperatures = model_words(303, {}, modules=[{"TmpBOM": Decimal(44)}] * 3)
    bus = FakeBus(image(COMMON, (*GARBAGE, 303, 7, *GARBAGE), temperatures, INVERTER))
    assert ids(await find_chain(bus, 1)) == [1, 303, 103]
    assert await power_of(bus) == (4.82, Quality.PARTIAL)
    last = (64204, 9, 303, 7, *range(7))
    chain = await chain_of(COMMON, INVERTER, last, end=())
    assert ids(chain) == [1, 103, 64204]
    assert not chain.losses


async def test_garbage_without_an_end_is_the_end() -> None:
    bus = FakeBus(image(COMMON, INVERTER, GARBAGE * 20, end=()))
    chain = await find_chain(bus, 1)
    assert ids(chain) == [1, 103]
    assert "everything from 40122" in chain.losses[0]
    assert await power_of(bus) == (4.82, Quality.PARTIAL)
    assert len(bus.reads) < 40


async def test_a_chain_that_does_not_end() -> None:
    endless = {0: 0x5375, 1: 0x6E53} | {address: 9 if address % 2 == 0 else 1 for address in range(2, 5000)}
    bus = FakeBus(endless | {address: (9, 1, 7)[(address - 2) % 3] for address in range(2, 5000)})
    chain = await find_chain(bus, 1)
    assert len(chain.places) == 128
    assert "more than 128 models" in chain.losses[0]


async def test_the_rest_is_read_when_one_model_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    bus = FakeBus(image(COMMON, INVERTER, RATINGS, STATUS))
    del bus.holding[40002 + len(COMMON) + len(INVERTER) + len(RATINGS) + 40]
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    with caplog.at_level(logging.WARNING):
        answers = [await driver.read() for _ in range(6)]
    assert [answer.values["ac_power_kw"] for answer in answers] == [4.82] * 6
    assert answers[0].quality == Quality.PARTIAL
    assert "insulation_resistance_mohm" not in answers[0].values
    assert answers[0].values["rated_power_kw"] == 5.0
    lost = [record for record in caplog.records if record.message == "sunspec_lost"]
    assert [vars(record)["what"] for record in lost] == ["model 122 at 40150"], "said once"


async def test_a_refused_main_model_is_replaced_by_another(caplog: pytest.LogCaptureFixture) -> None:
    bus = FakeBus(image(COMMON, INVERTER, FLOATS))
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    assert (await driver.read()).values["ac_power_kw"] == 4.82
    del bus.holding[40002 + len(COMMON) + 30]
    answer = await driver.read()
    assert (answer.values["ac_power_kw"], answer.quality) == (4.811, Quality.PARTIAL)
    assert "model 103 at 40070" in {vars(record).get("what") for record in caplog.records}


@pytest.mark.parametrize("kind", ["timeout", "exception"])
async def test_a_model_that_stays_silent_is_left_alone_for_a_while(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    inputs = model_words(160, {"N": Decimal(1)}, modules=[{"DCW": Decimal(4900)}])
    bus = WordyBus(image(COMMON, INVERTER, inputs), kind=kind)
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    assert (await driver.read()).values["dc_power_kw.pv1"] == 4.9
    whole = dict(bus.holding)
    del bus.holding[40002 + len(COMMON) + len(INVERTER) + 12]
    bus.reads.clear()
    for _ in range(MAX_SILENCES + SILENCE_POLLS - 1):
        answer = await driver.read()
        assert (answer.values["ac_power_kw"], answer.quality) == (4.82, Quality.PARTIAL)
    assert len([address for *_, address, _ in bus.reads if address == 40122]) == MAX_SILENCES
    bus.holding = whole
    assert (await driver.read()).values["dc_power_kw.pv1"] == 4.9
    assert Quality.PARTIAL not in (await driver.read()).quality
    assert len([record for record in caplog.records if record.message == "sunspec_lost"]) == 1


async def test_the_silence_of_the_main_model_is_the_devices() -> None:
    bus = WordyBus(image(COMMON, INVERTER))
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    await driver.read()
    bus.holding = {}
    with pytest.raises(DriverError, match="nothing at 40070") as caught:
        await driver.read()
    assert caught.value.kind == "timeout"


async def test_a_damaged_chain_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    driver = SunSpecDriver(FakeBus(image(COMMON, GARBAGE, INVERTER)), 1, device_type=DeviceType.INVERTER)
    for _ in range(3):
        assert (await driver.read()).quality == Quality.PARTIAL
    assert [record.message for record in caplog.records] == ["sunspec_lost"]


async def test_a_device_that_was_waking_up_is_looked_at_again(caplog: pytest.LogCaptureFixture) -> None:
    """Behind the inverter's model it shows zeros at first; later there are the inputs."""
    inputs = model_words(160, {"N": Decimal(1)}, modules=[{"DCW": Decimal(4900)}])
    awake = image(COMMON, INVERTER, inputs)
    bus = FakeBus(awake | {address: 0 for address in awake if address >= 40122})
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    with caplog.at_level(logging.INFO):
        for _ in range(WALK_AGAIN_POLLS + 1):
            await driver.read()
    assert [record.message for record in caplog.records] == ["sunspec_oddity"]
    bus.holding = awake
    answers = [await driver.read() for _ in range(WALK_AGAIN_POLLS)]
    assert answers[-1].values["dc_power_kw.pv1"] == 4.9
    bus.reads.clear()
    for _ in range(WALK_AGAIN_POLLS + 1):
        await driver.read()
    assert len(bus.reads) == 2 * (WALK_AGAIN_POLLS + 1), "a sound chain is not walked again"


async def test_what_was_lost_is_told_to_who_misses_it() -> None:
    bus = FakeBus(image(COMMON, GARBAGE, end=()))
    with pytest.raises(DriverError, match=r"models 1 \(lost: everything from 40070.*none of a meter"):
        await SunSpecDriver(bus, 1, device_type=DeviceType.METER).read()


async def test_all_units_of_an_endpoint() -> None:
    class Endpoint(FakeBus):
        async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
            if unit == 4:
                raise DriverError("nobody there", retry=True, kind="timeout")
            if unit in (3, 126):
                return await super().read(unit, function, address=address, count=count)
            raise DriverError("no path", retry=True, kind="exception")

    bus = Endpoint(image(COMMON, INVERTER))
    found = [(unit, ids(chain)) async for unit, chain in find_units(bus)]
    assert found == [(3, [1, 103]), (126, [1, 103])]
    assert [unit async for unit, _ in find_units(bus, (1, 3))] == [3]


async def test_an_endpoint_that_cannot_be_reached_is_not_searched_on() -> None:
    bus = FakeBus({}, trouble=DriverError("no connection", retry=True, kind="refused"))
    with pytest.raises(DriverError, match="no connection"):
        _ = [unit async for unit, _ in find_units(bus)]
    assert len(bus.reads) == 1
