"""Power flow from devices: signs, sums, and what is not known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from edge_agent.web.flow import feeds_battery, power_flow
from edge_agent.web.view import DeviceView
from shared.enums import DeviceType, ProtocolType
from shared.readings import Value
from shared.wire import PlanDevice
from tests.edge_view import NIGHT, NOON, SITE, SimulatedView


def view(kind: DeviceType, values: Mapping[str, Value], **more: Any) -> DeviceView:
    return DeviceView(
        id="1",
        name="x",
        device_type=kind,
        link_up=True,
        at=NOON,
        age_s=1.0,
        stale_after_s=30.0,
        values=values,
        **more,
    )


INVERTER = view(DeviceType.INVERTER, {"ac_power_kw": 3.0, "dc_power_kw": 3.1})
HYBRID = view(
    DeviceType.INVERTER, {"ac_power_kw": -1.0, "dc_power_kw.pv1": 1.0, "dc_power_kw.pv2": 0.5}, feeds_battery=True
)
BATTERY = view(DeviceType.BATTERY, {"battery_power_kw": -2.5, "battery_soc_percent": 60.0})
METER = view(DeviceType.METER, {"grid_power_kw": -1.0})


@pytest.mark.parametrize("at", [NOON, NIGHT])
async def test_flow_of_the_simulated_home_is_its_true_flow(at: Any) -> None:
    power = SITE.at(at).powers
    flow = power_flow((await SimulatedView(at).snapshot()).devices)
    assert flow.pv_kw == pytest.approx((power.string_ac + power.pv1 + power.pv2) / 1000)
    assert flow.load_kw == pytest.approx(power.load / 1000)
    assert flow.grid_kw == pytest.approx(power.grid / 1000)
    assert flow.battery_kw == pytest.approx(power.battery / 1000)


def test_a_hybrids_pv_is_its_dc_side_and_another_inverters_its_ac_side() -> None:
    flow = power_flow([INVERTER, HYBRID, BATTERY, METER])
    assert flow.pv_kw == pytest.approx(4.5)
    assert flow.load_kw == pytest.approx(1.0)
    assert flow.soc_percent == 60


def test_a_measured_load_goes_before_the_balance() -> None:
    meter = view(DeviceType.METER, {"grid_power_kw": -1.0, "load_power_kw": 1.9})
    assert power_flow([INVERTER, meter]).load_kw == 1.9


def test_a_site_without_a_battery_needs_none_for_its_balance() -> None:
    flow = power_flow([INVERTER, METER])
    assert not flow.has_battery
    assert (flow.battery_kw, flow.load_kw) == (None, pytest.approx(2.0))


def test_a_hybrid_that_carries_its_own_battery_values_needs_no_battery_device() -> None:
    one = view(
        DeviceType.INVERTER,
        {
            "ac_power_kw": 2.0,
            "dc_power_kw": 1.5,
            "battery_power_kw": 0.5,
            "battery_soc_percent": 40.0,
            "grid_power_kw": 0.2,
        },
    )
    flow = power_flow([one])
    assert (flow.has_battery, flow.pv_kw, flow.battery_kw, flow.grid_kw) == (True, 1.5, 0.5, 0.2)
    assert flow.load_kw == pytest.approx(2.2)


def test_a_sleeping_inverter_gives_nothing() -> None:
    asleep = view(DeviceType.INVERTER, {"ac_power_kw": None, "operating_state": "sleeping"})
    assert power_flow([asleep]).pv_kw == 0


@pytest.mark.parametrize(
    "change", [{"age_s": 31.0}, {"link_up": False}, {"age_s": None}, {"values": {"ac_power_kw": None}}]
)
def test_one_unknown_inverter_makes_pv_and_load_unknown(change: dict[str, Any]) -> None:
    flow = power_flow([replace(INVERTER, **change), HYBRID, BATTERY, METER])
    assert (flow.pv_kw, flow.load_kw) == (None, None)
    assert flow.grid_kw == -1.0


def test_a_silent_meter_is_not_replaced_by_a_guess() -> None:
    flow = power_flow([INVERTER, replace(METER, link_up=False)])
    assert (flow.grid_kw, flow.load_kw) == (None, None)


def test_a_site_without_devices_knows_nothing() -> None:
    flow = power_flow([])
    assert (flow.pv_kw, flow.battery_kw, flow.grid_kw, flow.load_kw, flow.has_battery) == (
        None,
        None,
        None,
        None,
        False,
    )


def plan(kind: DeviceType, **connection: Any) -> PlanDevice:
    return PlanDevice(
        id=UUID(int=1),
        name="x",
        device_type=kind,
        protocol=ProtocolType.MODBUS_TCP,
        profile="deye_1p_hybrid",
        connection=connection,
    )


def test_an_inverter_feeds_the_battery_behind_its_own_endpoint_only() -> None:
    hybrid = plan(DeviceType.INVERTER, host="10.0.0.5", port=502, slave_id=1)
    battery = plan(DeviceType.BATTERY, host="10.0.0.5", port=502, slave_id=1)
    other = plan(DeviceType.INVERTER, host="10.0.0.6", port=502, slave_id=1)
    devices = [hybrid, battery, other]
    assert feeds_battery(hybrid, devices=devices)
    assert not feeds_battery(other, devices=devices)
    assert not feeds_battery(battery, devices=devices)
