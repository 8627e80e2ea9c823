"""Live flows, for every set of devices."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry.rules.live import Flows, Newest, flows_of
from shared.enums import DeviceType
from shared.periods import Window

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TODAY = Window(NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1))
NUMBERS = st.one_of(st.none(), st.integers(-100, 100).map(float))
DEVICES = st.lists(
    st.builds(
        Newest,
        st.sampled_from(DeviceType).map(str),
        st.timedeltas(timedelta(), timedelta(days=2)).map(lambda age: NOON - age),
        st.booleans(),
        *[NUMBERS] * 7,
    ),
    max_size=8,
)


@given(DEVICES, st.data())
def test_the_order_of_devices_is_of_no_account(devices: list[Newest], data: st.DataObject) -> None:
    there, back = flows_of(devices, TODAY), flows_of(data.draw(st.permutations(devices)), TODAY)
    for field in dataclasses.fields(Flows):
        value = getattr(there, field.name)
        expected = pytest.approx(value) if isinstance(value, float) else value
        assert getattr(back, field.name) == expected


@given(DEVICES)
def test_a_stale_device_counts_as_one_and_nothing_else(devices: list[Newest]) -> None:
    flows, fresh = flows_of(devices, TODAY), [device for device in devices if not device.is_stale]
    assert flows.devices_reporting + flows.devices_stale == len(devices)
    assert dataclasses.replace(flows, devices_stale=0, energy_today_kwh=None) == dataclasses.replace(
        flows_of(fresh, TODAY), energy_today_kwh=None
    )


@given(DEVICES)
def test_what_nobody_measures_is_unknown_and_never_nothing(devices: list[Newest]) -> None:
    names = [name for name in Newest._fields if name.endswith(("_kw", "_kwh", "_percent"))]
    blind = [device._replace(**dict.fromkeys(names)) for device in devices]
    flows = flows_of(blind, TODAY)
    known = [flows.pv_power_kw, flows.grid_power_kw, flows.battery_power_kw, flows.load_power_kw]
    assert [*known, flows.battery_soc_percent, flows.energy_today_kwh] == [None] * 6


@given(DEVICES)
def test_the_balance_holds_where_no_meter_tells_the_load(devices: list[Newest]) -> None:
    flows = flows_of([device._replace(load_power_kw=None) for device in devices], TODAY)
    if flows.pv_power_kw is None or flows.grid_power_kw is None:
        assert flows.load_power_kw is None
    else:
        assert flows.load_power_kw == flows.pv_power_kw + flows.grid_power_kw + (flows.battery_power_kw or 0)
