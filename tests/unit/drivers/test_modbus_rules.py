"""The profile driver with rows that depend on other registers, are computed, or want to be asked in a certain way."""

from typing import Any

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_plan import serial_link
from edge_agent.drivers.modbus_profile import SLOW_PERIOD_S, ProfileDriver
from edge_agent.profiles.lint import lint
from edge_agent.profiles.model import Profile
from shared.enums import DeviceType, Quality
from tests.modbus_server import FakeBus
from tests.unit.drivers.conftest import HandClock

Fields = dict[str, Any]

HEAD: Fields = {
    "format": 1,
    "name": "p",
    "title": "A test platform",
    "platforms": ["P"],
    "quality": "draft",
    "word_order": "high_first",
    "sources": [{"title": "a manual"}],
}


def row(key: str, address: int, **fields: Any) -> Fields:
    where = {"address": address} if "addresses" not in fields else {}
    kind = "metric" if "_" in key or "." in key else "term"
    return {kind: key, "type": "u16", "for": ["inverter"], **where, **fields}


def power(address: int = 10, **fields: Any) -> Fields:
    return row("ac_power_kw", address, unit="W", **fields)


def hertz(address: int = 20, **fields: Any) -> Fields:
    return row("grid_frequency_hz", address, unit="Hz", scale=0.01, **fields)


def battery(address: int = 30, **fields: Any) -> Fields:
    return row("battery_power_kw", address, unit="W", **fields)


def driver(
    bus: FakeBus, clock: HandClock, /, *rows: Fields, options: Fields | None = None, **parts: Any
) -> ProfileDriver:
    profile = Profile.model_validate(HEAD | {"row": list(rows)} | parts)
    assert lint(profile) == []
    return ProfileDriver(bus, 1, profile=profile, device_type=DeviceType.INVERTER, clock=clock, **(options or {}))


def asked(bus: FakeBus) -> list[tuple[int, int]]:
    return [(address, count) for _, _, address, count in bus.reads]


BY_TYPE = (
    power(when={"address": 0, "any_of": [1]}),
    power(scale=10, when={"address": 0, "any_of": [2]}),
    row("dc_voltage_v.pv3", 500, unit="V", when={"address": 0, "at_least": 2}),
)


async def test_a_scale_by_device_type(clock: HandClock) -> None:
    bus = FakeBus({0: 1, 10: 500})
    small = await driver(bus, clock, *BY_TYPE).read()
    assert (small.values, small.quality) == ({"ac_power_kw": 0.5}, Quality.GOOD)
    assert asked(bus) == [(0, 1), (10, 1)], "what the type does not have is not asked for"
    large = await driver(FakeBus({0: 2, 10: 500, 500: 610}), clock, *BY_TYPE).read()
    assert large.values == {"ac_power_kw": 5.0, "dc_voltage_v.pv3": 610.0}


async def test_a_type_that_no_row_is_for_is_said(clock: HandClock) -> None:
    with pytest.raises(DriverError, match=r"no row for a device like unit 1 \(holding 0 is 0\)") as caught:
        await driver(FakeBus({0: 0, 10: 500}), clock, *BY_TYPE).read()
    assert (caught.value.kind, caught.value.retry) == ("identity", True)


async def test_an_unknown_type_makes_its_rows_unavailable(clock: HandClock) -> None:
    answer = await driver(FakeBus({10: 500, 20: 5000}), clock, *BY_TYPE, hertz()).read()
    assert answer.values == {"ac_power_kw": None, "dc_voltage_v.pv3": None, "grid_frequency_hz": 50.0}
    assert answer.quality == Quality.PARTIAL


async def test_the_type_is_looked_at_again_with_the_slow_rows(clock: HandClock) -> None:
    bus = FakeBus({0: 1, 10: 500, 500: 610})
    device = driver(bus, clock, *BY_TYPE)
    await device.read()
    bus.holding[0] = 2
    clock.elapsed = SLOW_PERIOD_S - 1
    assert (await device.read()).values["ac_power_kw"] == 0.5
    clock.elapsed = SLOW_PERIOD_S
    assert (await device.read()).values == {"ac_power_kw": 5.0, "dc_voltage_v.pv3": 610.0}


async def test_what_the_device_does_now_is_looked_at_with_each_poll(clock: HandClock) -> None:
    on = {"address": 11, "bit": 3, "is": 1, "poll": "fast"}
    bus = FakeBus({10: 500, 11: 8, 12: 700})
    device = driver(bus, clock, power(10, when=on), power(12, when=on | {"is": 0}))
    assert (await device.read()).values == {"ac_power_kw": 0.5}
    assert asked(bus) == [(10, 3)], "the register that decides comes with the rows"
    bus.holding[11] = 0
    assert (await device.read()).values == {"ac_power_kw": 0.7}


async def test_a_variant_that_does_not_apply_may_be_missing(clock: HandClock) -> None:
    on = {"address": 11, "bit": 3, "is": 1, "poll": "fast"}
    device = driver(FakeBus({10: 500, 11: 8}), clock, power(10, when=on), power(12, when=on | {"is": 0}))
    for _ in range(3):
        answer = await device.read()
        assert (answer.values, answer.quality) == ({"ac_power_kw": 0.5}, Quality.GOOD)


SIGN = {"address": 35, "bit": 0, "negative_when": 1}


@pytest.mark.parametrize(("word", "value"), [(0, 1.5), (1, -1.5), (2, 1.5)])
async def test_a_sign_from_another_register(clock: HandClock, word: int, value: float) -> None:
    bus = FakeBus(dict.fromkeys(range(30, 36), 0) | {30: 1500, 35: word})
    assert (await driver(bus, clock, battery(sign_from=SIGN)).read()).values == {"battery_power_kw": value}
    assert asked(bus) == [(30, 6)], "in one request"


async def test_a_sign_from_far_away_comes_in_the_same_poll(clock: HandClock) -> None:
    bus = FakeBus({30: 1500}, {900: 2})
    sign = {"address": 900, "function": "input", "negative_when_any_of": [2]}
    device = driver(bus, clock, battery(sign_from=sign))
    assert (await device.read()).values == {"battery_power_kw": -1.5}
    bus.registers_in[900] = 1
    assert (await device.read()).values == {"battery_power_kw": 1.5}


async def test_a_sign_behind_a_hole_is_read_apart(clock: HandClock) -> None:
    bus = FakeBus({30: 1500, 35: 1})
    device = driver(bus, clock, battery(sign_from=SIGN))
    assert (await device.read()).values == {"battery_power_kw": -1.5}
    bus.reads.clear()
    assert (await device.read()).values == {"battery_power_kw": -1.5}
    assert asked(bus) == [(30, 1), (35, 1)], "and the hole is remembered"


async def test_a_number_without_its_sign_is_no_number(clock: HandClock) -> None:
    device = driver(FakeBus({30: 1500, 20: 5000}), clock, battery(sign_from=SIGN), hertz())
    for _ in range(2):
        answer = await device.read()
        assert answer.values == {"battery_power_kw": None, "grid_frequency_hz": 50.0}
        assert answer.quality == Quality.PARTIAL


PAIR = (row("discharge", 30, unit="W"), row("charge", 31, unit="W"))


def derived(metric: str = "battery_power_kw", **fields: Any) -> Fields:
    return {"metric": metric, "for": ["inverter"], **fields}


async def test_a_pair_of_terms_is_one_number(clock: HandClock) -> None:
    device = driver(FakeBus({30: 0, 31: 1500}), clock, *PAIR, derived=[derived(sum=["discharge"], minus=["charge"])])
    answer = await device.read()
    assert answer.values == {"battery_power_kw": -1.5}, "terms are not shown"
    assert answer.quality == Quality.DERIVED


async def test_a_pair_with_a_missing_half_is_unknown(clock: HandClock) -> None:
    device = driver(FakeBus({30: 0}), clock, *PAIR, derived=[derived(sum=["discharge"], minus=["charge"])])
    answer = await device.read()
    assert (answer.values, answer.quality) == ({"battery_power_kw": None}, Quality.PARTIAL)


async def test_a_value_of_slow_terms_is_given_when_they_are_read(clock: HandClock) -> None:
    slow = [part | {"poll": "slow"} for part in PAIR]
    bus = FakeBus({20: 5000, 30: 2000, 31: 500})
    device = driver(bus, clock, hertz(), *slow, derived=[derived(sum=["discharge"], minus=["charge"])])
    assert (await device.read()).values == {"battery_power_kw": 1.5, "grid_frequency_hz": 50.0}
    assert (await device.read()).values == {"grid_frequency_hz": 50.0}


async def test_a_value_of_both_classes_uses_the_newest_slow_one(clock: HandClock) -> None:
    mixed = (PAIR[0], PAIR[1] | {"poll": "slow"})
    bus = FakeBus({30: 2000, 31: 500})
    device = driver(bus, clock, *mixed, derived=[derived(sum=["discharge"], minus=["charge"])])
    await device.read()
    bus.holding[30] = 3000
    assert (await device.read()).values == {"battery_power_kw": 2.5}


async def test_a_fallback_fills_only_what_is_missing(clock: HandClock) -> None:
    inputs = (row("dc_voltage_v.pv1", 40, unit="V"), row("dc_current_a.pv1", 41, unit="A", scale=0.1))
    total = row("dc_power_kw", 42, unit="W", sentinels=[0xFFFF])
    product = {"product": ["dc_voltage_v.pv1", "dc_current_a.pv1"], "scale": 0.001, "only_if_missing": True}
    bus = FakeBus({40: 300, 41: 50, 42: 1480})
    device = driver(bus, clock, *inputs, total, derived=[derived("dc_power_kw", **product)])
    answer = await device.read()
    assert (answer.values["dc_power_kw"], answer.quality) == (1.48, Quality.GOOD)
    bus.holding[42] = 0xFFFF
    answer = await device.read()
    assert (answer.values["dc_power_kw"], answer.quality) == (1.5, Quality.DERIVED)


async def test_a_part_that_the_device_does_not_have_is_no_part_of_the_sum(clock: HandClock) -> None:
    three = {"address": 0, "any_of": [3]}
    parts = (
        row("dc_power_kw.pv1", 40, unit="W"),
        row("dc_power_kw.pv2", 41, unit="W"),
        row("dc_power_kw.pv3", 42, unit="W", when=three),
    )
    total = derived("dc_power_kw", sum=["dc_power_kw.pv1", "dc_power_kw.pv2", "dc_power_kw.pv3"])
    two = await driver(FakeBus({0: 2, 40: 100, 41: 200}), clock, *parts, derived=[total]).read()
    assert two.values["dc_power_kw"] == 0.3
    unknown = await driver(FakeBus({40: 100, 41: 200}), clock, *parts, derived=[total]).read()
    assert unknown.values["dc_power_kw"] is None


async def test_only_the_blocks_are_asked_for_and_the_next_if_one_is_refused(clock: HandClock) -> None:
    bus = FakeBus({address: address for address in range(100, 158)})
    rows = (power(110), hertz(150))
    device = driver(bus, clock, *rows, bus={"blocks": [[100, 125], [100, 58], [100, 45]]})
    assert (await device.read()).values == {"ac_power_kw": 0.11, "grid_frequency_hz": 1.5}
    assert asked(bus) == [(100, 125), (100, 58)]
    bus.reads.clear()
    assert (await device.read()).quality == Quality.GOOD
    assert asked(bus) == [(100, 58)]


async def test_a_row_in_no_block_that_is_answered_is_unavailable(clock: HandClock) -> None:
    bus = FakeBus({address: address for address in range(100, 145)})
    device = driver(bus, clock, power(110), hertz(150), bus={"blocks": [[100, 125], [100, 58], [100, 45]]})
    for _ in range(2):
        answer = await device.read()
        assert answer.values == {"ac_power_kw": 0.11, "grid_frequency_hz": None}
        assert answer.quality == Quality.PARTIAL
    assert asked(bus) == [(100, 125), (100, 58), (100, 45), (100, 45)]


async def test_a_lonely_row_has_its_own_request(clock: HandClock) -> None:
    bus = FakeBus(dict.fromkeys(range(10, 30), 5000))
    await driver(bus, clock, power(10), hertz(12, alone=True), row("dc_power_kw", 14, unit="W")).read()
    assert asked(bus) == [(10, 1), (12, 1), (14, 1)]


async def test_companions_come_in_one_request(clock: HandClock) -> None:
    bus = FakeBus(dict.fromkeys(range(10, 60), 5000))
    rows = (power(10, together="ac"), hertz(50, together="ac"))
    assert (await driver(bus, clock, *rows, bus={"max_gap": 0}).read()).values["grid_frequency_hz"] == 50.0
    assert asked(bus) == [(10, 41)]


async def test_a_slow_line_is_not_made_to_carry_holes(clock: HandClock) -> None:
    bus = FakeBus(dict.fromkeys(range(10, 60), 5000))
    rows, limits = (power(10), hertz(50)), {"max_gap": 60}
    await driver(bus, clock, *rows, bus=limits, options={"link": serial_link(9600)}).read()
    assert asked(bus) == [(10, 1), (50, 1)]
    bus.reads.clear()
    await driver(bus, clock, *rows, bus=limits).read()
    assert asked(bus) == [(10, 41)]


@pytest.mark.parametrize(
    ("rated", "quality"), [(5.0, Quality.OUT_OF_RANGE), (10.0, Quality.GOOD), (None, Quality.GOOD)]
)
async def test_the_rated_power_tells_what_is_sane(clock: HandClock, rated: float | None, quality: Quality) -> None:
    device = driver(FakeBus({10: 9000}), clock, power(range_of_rated=[-0.1, 1.3]), options={"rated_power_kw": rated})
    answer = await device.read()
    assert (answer.values, answer.quality) == ({"ac_power_kw": 9.0}, quality)


NAME = {"address": 5, "type": "string", "count": 2, "starts_with": ["GW", "ET"], "meaning": "model"}


async def test_a_text_tells_the_platform(clock: HandClock) -> None:
    right = FakeBus({5: 0x4757, 6: 0x3130, 10: 500})
    assert (await driver(right, clock, power(), identity=[NAME]).read()).values == {"ac_power_kw": 0.5}
    wrong = FakeBus({5: 0x5858, 6: 0x3130, 10: 500})
    with pytest.raises(DriverError, match="register 5 is XX10, expected GW or ET") as caught:
        await driver(wrong, clock, power(), identity=[NAME]).read()
    assert caught.value.kind == "identity"
    empty = FakeBus({5: 0, 6: 0, 10: 500})
    with pytest.raises(DriverError, match="register 5 is empty, expected GW or ET"):
        await driver(empty, clock, power(), identity=[NAME]).read()


async def test_two_rows_without_a_hole_that_are_refused_together_are_read_apart(clock: HandClock) -> None:
    """A device that refuses the length (exception 3) or a border between its own blocks."""

    class Narrow(FakeBus):
        async def read(self, unit: int, function: Any, *, address: int, count: int) -> list[int]:
            words = await super().read(unit, function, address=address, count=count)
            if address < 20 < address + count:
                await super().read(unit, function, address=9999, count=1)
            return words

    bus = Narrow(dict.fromkeys(range(10, 30), 5000))
    rows = (power(19), hertz(20), row("dc_power_kw", 21, unit="W"))
    device = driver(bus, clock, *rows)
    for _ in range(3):
        assert (await device.read()).quality == Quality.GOOD
    bus.reads.clear()
    await device.read()
    assert asked(bus) == [(19, 1), (20, 2)]
