"""The profile driver: what it asks for, what it learns, what it refuses."""

from pathlib import Path

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_profile import SLOW_PERIOD_S, ProfileDriver
from edge_agent.drivers.modbus_refusals import REFUSED_PERIOD_S
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, Quality
from tests.captures import holding_of
from tests.modbus_server import FakeBus
from tests.unit.drivers.conftest import HandClock

PROFILE = ProfileLibrary().modbus("deye_1p_hybrid")


def deye(bus: FakeBus, clock: HandClock, device_type: DeviceType = DeviceType.INVERTER) -> ProfileDriver:
    return ProfileDriver(bus, 7, profile=PROFILE, device_type=device_type, clock=clock)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus(holding_of("sunsynk_sg01lp1_3k6"))


async def test_few_requests_within_the_limit(bus: FakeBus, clock: HandClock) -> None:
    await deye(bus, clock).read()
    assert {unit for unit, *_ in bus.reads} == {7}
    assert {function for _, function, *_ in bus.reads} == {RegisterFunction.HOLDING}
    assert all(count <= 60 for *_, count in bus.reads)
    assert len(bus.reads) == 4  # identity, two blocks at each poll, the rating


async def test_the_device_type_selects_the_rows(bus: FakeBus, clock: HandClock) -> None:
    battery = (await deye(bus, clock, DeviceType.BATTERY).read()).values
    assert battery["battery_soc_percent"] == 21.0
    assert not any(key.startswith(("dc_", "grid_")) for key in battery)


async def test_ratings_are_read_now_and_then(bus: FakeBus, clock: HandClock) -> None:
    driver = deye(bus, clock)
    assert "rated_power_kw" in (await driver.read()).values
    clock.elapsed = SLOW_PERIOD_S - 1
    assert "rated_power_kw" not in (await driver.read()).values
    clock.elapsed = SLOW_PERIOD_S
    assert "rated_power_kw" in (await driver.read()).values


async def test_a_sum_is_marked_as_derived(bus: FakeBus, clock: HandClock) -> None:
    answer = await deye(bus, clock).read()
    assert answer.quality == Quality.DERIVED
    assert (await deye(bus, clock, DeviceType.BATTERY).read()).quality == Quality.GOOD


async def test_a_missing_register_is_none_and_the_rest_is_read(bus: FakeBus, clock: HandClock) -> None:
    del bus.holding[109], bus.holding[187]
    driver = deye(bus, clock)
    answer = await driver.read()
    assert answer.quality & Quality.PARTIAL
    assert answer.values["dc_voltage_v.pv1"] is None
    assert answer.values["dc_power_kw.pv2"] is None
    assert answer.values["dc_power_kw"] is None, "a sum with an unknown part is unknown"
    assert not answer.quality & Quality.DERIVED
    assert answer.values["dc_voltage_v.pv2"] == 11.5
    assert answer.values["energy_total_kwh"] == 13025.2


async def test_what_was_refused_is_remembered_and_asked_again_later(bus: FakeBus, clock: HandClock) -> None:
    del bus.holding[187]
    driver = deye(bus, clock)
    await driver.read()
    first = len(bus.reads)
    await driver.read()
    assert len(bus.reads) - first < first / 2
    assert all(not (address <= 187 < address + count) for *_, address, count in bus.reads[first:])
    bus.holding[187] = 5
    clock.elapsed = REFUSED_PERIOD_S
    answer = await driver.read()
    assert answer.values["dc_power_kw.pv2"] == 0.005
    assert not answer.quality & Quality.PARTIAL


async def test_a_device_without_any_of_the_registers_is_an_error(clock: HandClock) -> None:
    driver = deye(FakeBus({0: 3}), clock)
    for _ in range(2):
        with pytest.raises(DriverError, match="has none of the registers; check the profile") as caught:
            await driver.read()
        assert (caught.value.kind, caught.value.retry) == ("exception", True)


async def test_another_platform_is_refused(bus: FakeBus, clock: HandClock) -> None:
    bus.holding[0] = 5
    with pytest.raises(DriverError, match=r"unit 7 is no deye_1p_hybrid: register 0 is 5, expected 3 or 768") as caught:
        await deye(bus, clock).read()
    assert (caught.value.kind, caught.value.retry) == ("identity", False)


async def test_a_hidden_identity_register_is_no_reason_to_stop(bus: FakeBus, clock: HandClock) -> None:
    del bus.holding[0]
    assert (await deye(bus, clock).read()).values["ac_power_kw"] == 0.539


async def test_an_insane_value_is_kept_and_flagged(bus: FakeBus, clock: HandClock) -> None:
    bus.holding[184] = 0xFFFF
    answer = await deye(bus, clock, DeviceType.BATTERY).read()
    assert answer.values["battery_soc_percent"] == 65535.0
    assert answer.quality == Quality.OUT_OF_RANGE


async def test_a_lost_answer_teaches_nothing(bus: FakeBus, clock: HandClock) -> None:
    driver = deye(bus, clock)
    bus.trouble = DriverError("silence", retry=True, kind="timeout")
    with pytest.raises(DriverError, match="silence"):
        await driver.read()
    bus.trouble = None
    answer = await driver.read()
    assert answer.values["rated_power_kw"] == 3.6
    assert not answer.quality & Quality.PARTIAL
    await driver.close()


async def test_a_function_of_its_own(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "m.toml").write_text(
        """
        format = 1
        name = "m"
        title = "A meter with both tables"
        platforms = ["M"]
        quality = "draft"
        word_order = "high_first"
        sources = [{ title = "a manual" }]
        row = [
            { metric = "grid_power_kw", address = 5, type = "s16", unit = "W", sign = -1, function = "input", for = ["meter"] },
            { metric = "grid_frequency_hz", address = 5, type = "u16", unit = "Hz", scale = 0.01, for = ["meter"] },
        ]
        """
    )
    bus = FakeBus({5: 5000}, {5: 1500})
    profile = ProfileLibrary(tmp_path).modbus("m")
    driver = ProfileDriver(bus, 1, profile=profile, device_type=DeviceType.METER, clock=clock)
    assert (await driver.read()).values == {"grid_power_kw": -1.5, "grid_frequency_hz": 50.0}
