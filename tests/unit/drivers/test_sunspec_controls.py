"""The limit on active power as registers: written in the right order, rounded down, read back."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_agent.drivers.sunspec_chain import find_chain
from edge_agent.drivers.sunspec_controls import (
    LIMIT_MODELS,
    LimitChange,
    PowerLimitError,
    change_limit,
    lift_limit,
    limit_state,
)
from edge_agent.drivers.sunspec_models import DecodedModel, ModelPlace, Point, decode_model, definition_of
from edge_agent.drivers.sunspec_read import read_model
from tests.captures import holding_of
from tests.modbus_server import FakeBus
from tests.sunspec_image import model_words

OLD: dict[str, Point] = {"WMaxLimPct": Decimal(100), "WMaxLim_Ena": Decimal(0), "WMaxLimPct_RvrtTms": Decimal(0)}
NEW: dict[str, Point] = {
    "WMaxLimPct": Decimal(100),
    "WMaxLimPctEna": Decimal(0),
    "WMaxLimPctEnaRvrt": Decimal(0),
    "WMaxLimPctRvrtTms": Decimal(0),
    "WMaxLimPctRvrtRem": Decimal(0),
}
POINTS = {123: OLD, 704: NEW}


class Device:
    """A model's registers from address 1000 on, that can be written."""

    def __init__(self, model_id: int, scale: int = -1, **points: Point) -> None:
        given: Mapping[str, Point] = POINTS[model_id] | points
        self.words = list(model_words(model_id, given, scales={"WMaxLimPct_SF": scale}))
        self.place = ModelPlace(model_id, 1000, len(self.words) - 2)

    def read(self) -> DecodedModel:
        return decode_model(definition_of(self.place.id), self.words)

    def write(self, change: LimitChange) -> None:
        for write in change.writes:
            start = write.address - self.place.address
            self.words[start : start + len(write.words)] = write.words


def change(device: Device, percent: str, reversion_s: int = 0) -> LimitChange:
    return change_limit(device.place, device.read(), percent=Decimal(percent), reversion_s=reversion_s)


def test_model_123() -> None:
    writes = change(Device(123), "70.5", 300).writes
    assert [(write.point, write.address, write.words) for write in writes] == [
        ("WMaxLimPct_RvrtTms", 1007, (300,)),
        ("WMaxLimPct", 1005, (705,)),
        ("WMaxLim_Ena", 1009, (1,)),
    ]


def test_model_704() -> None:
    writes = change(Device(704), "70.5", 70_000).writes
    assert [(write.point, write.address, write.words) for write in writes] == [
        ("WMaxLimPctEnaRvrt", 1017, (0,)),
        ("WMaxLimPctRvrtTms", 1018, (1, 4464)),
        ("WMaxLimPct", 1015, (705,)),
        ("WMaxLimPctEna", 1014, (1,)),
    ]


@pytest.mark.parametrize("model", LIMIT_MODELS)
def test_a_limit_is_lifted_by_one_register(model: int) -> None:
    device = Device(model)
    device.write(change(device, "30"))
    assert limit_state(device.read()).effective_percent == 30
    lifted = lift_limit(device.place, device.read())
    assert not lifted.holds(limit_state(device.read()))
    assert [write.words for write in lifted.writes] == [(0,)]
    device.write(lifted)
    assert lifted.holds(limit_state(device.read()))
    assert limit_state(device.read()).effective_percent == 100


@pytest.mark.parametrize("model", LIMIT_MODELS)
def test_a_device_that_does_not_do_as_told_is_seen(model: int) -> None:
    device = Device(model)
    told = change(device, "40", 60)
    assert not told.holds(limit_state(device.read()))
    for write in told.writes:
        assert not told.holds(limit_state(device.read())), "only the last one makes it hold"
        device.write(LimitChange((write,), told.place, told.expected))
    assert told.holds(limit_state(device.read()))
    device.write(change(device, "41", 60))
    assert not told.holds(limit_state(device.read())), "another limit"
    device.write(change(device, "40", 61))
    assert not told.holds(limit_state(device.read())), "another reversion"


def test_a_device_without_reversion() -> None:
    device = Device(123, WMaxLimPct_RvrtTms=None)
    assert [write.point for write in change(device, "50").writes] == ["WMaxLimPct", "WMaxLim_Ena"]
    with pytest.raises(PowerLimitError, match=r"no WMaxLimPct_RvrtTms.*300 s was asked for"):
        change(device, "50", 300)
    told = change(device, "50")
    device.write(told)
    assert told.holds(limit_state(device.read()))


def test_a_704_that_cannot_say_what_comes_after() -> None:
    device = Device(704, WMaxLimPctEnaRvrt=None)
    assert [write.point for write in change(device, "50", 9).writes] == [
        "WMaxLimPctRvrtTms",
        "WMaxLimPct",
        "WMaxLimPctEna",
    ]


@pytest.mark.parametrize(
    ("model", "percent", "reversion_s", "words"),
    [
        (123, "-1", 0, "active_power_limit_percent = -1 is not within 0 to 100"),
        (704, "100.1", 0, "active_power_limit_percent = 100.1 is not within 0 to 100"),
        (123, "0.05", 0, "active_power_limit_percent = 0.05 is less than a step of model 123 at 1000"),
        (123, "50", 65_535, "WMaxLimPct_RvrtTms = 65535 of model 123 at 1000 does not fit; it goes from 0 to 65534"),
        (704, "50", 1 << 32, "WMaxLimPctRvrtTms = 4294967296 of model 704"),
        (123, "50", -5, "WMaxLimPct_RvrtTms = -5"),
    ],
)
def test_what_cannot_be_told(model: int, percent: str, reversion_s: int, words: str) -> None:
    with pytest.raises(PowerLimitError) as caught:
        change(Device(model), percent, reversion_s)
    assert words in str(caught.value)


def test_a_limit_whose_steps_are_unknown_is_left_alone() -> None:
    for scale in (-0x8000, 11):
        with pytest.raises(PowerLimitError, match=r"WMaxLimPct_SF = .*nobody knows the steps"):
            change(Device(123, scale, WMaxLimPct=None), "50")
    with pytest.raises(PowerLimitError, match=r"WMaxLimPct = 10000000 .* does not fit"):
        change(Device(123, -5, WMaxLimPct=None), "100")


def test_what_a_device_does_not_say() -> None:
    state = limit_state(Device(704, WMaxLimPctEna=None, WMaxLimPctRvrtRem=None).read())
    assert (state.is_enabled, state.effective_percent, state.remaining_s) == (None, None, None)
    state = limit_state(Device(123, WMaxLim_Ena=Decimal(1), WMaxLimPct=None).read())
    assert (state.is_enabled, state.effective_percent) == (True, None)
    assert limit_state(Device(704, WMaxLimPctRvrtRem=Decimal(70_001)).read()).remaining_s == 70_001


@given(
    model=st.sampled_from(LIMIT_MODELS),
    scale=st.integers(-2, 1),
    percent=st.decimals(0, 100, places=3),
    reversion_s=st.integers(0, 65_534),
)
def test_what_was_told_holds_and_is_never_more(model: int, scale: int, percent: Decimal, reversion_s: int) -> None:
    step = Decimal(1).scaleb(scale)
    assume(percent == 0 or percent >= step)
    device = Device(model, scale)
    told = change(device, str(percent), reversion_s)
    device.write(told)
    state = limit_state(device.read())
    assert told.holds(state)
    assert state.reversion_s == reversion_s
    assert state.effective_percent is not None
    assert percent - step < state.effective_percent <= percent
    assert [write.point for write in told.writes][-1].startswith("WMaxLim")
    assert told.writes[-1].words == (1,)


async def test_on_a_real_devices_registers() -> None:
    bus = FakeBus(holding_of("kaco_blueplanet_86tl3_producing"))
    place = next(place for place in (await find_chain(bus, 1)).places if place.id == 123)
    model = await read_model(bus, 1, place)
    assert limit_state(model).effective_percent == 100
    told = change_limit(place, model, percent=Decimal(60), reversion_s=120)
    for write in told.writes:
        bus.holding |= dict(enumerate(write.words, start=write.address))
    assert told.holds(limit_state(await read_model(bus, 1, place)))
    assert [(write.address, write.words) for write in told.writes] == [(40297, (120,)), (40295, (600,)), (40299, (1,))]
