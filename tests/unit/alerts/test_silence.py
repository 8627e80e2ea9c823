"""Silence is an alert once it has lasted, and a silent gateway speaks for its devices."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts.rules import HeardDevice, Silence, silences

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
LONGEST = timedelta(minutes=10)
INVERTER, METER = UUID(int=1), UUID(int=2)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def found(gateway: datetime | None, *devices: HeardDevice) -> tuple[Silence, ...]:
    return silences(gateway_heard_at=gateway, devices=devices, longest=LONGEST, now=NOW)


def test_only_the_silent_device_is_an_alert() -> None:
    assert found(ago(1), HeardDevice(INVERTER, ago(10)), HeardDevice(METER, ago(9.9))) == (Silence(INVERTER, ago(10)),)


def test_a_silent_gateway_inhibits_its_devices() -> None:
    assert found(ago(11), HeardDevice(INVERTER, ago(11)), HeardDevice(METER, ago(11))) == (Silence(None, ago(11)),)


def test_without_a_gateway_each_device_speaks_for_itself() -> None:
    assert [
        silence.device_id for silence in found(None, HeardDevice(INVERTER, ago(99)), HeardDevice(METER, ago(0)))
    ] == [INVERTER]


@given(
    st.none() | st.floats(0, 60).map(ago),
    st.lists(st.builds(HeardDevice, st.uuids(), st.floats(0, 60).map(ago)), max_size=20),
)
def test_one_gateway_alert_or_only_silent_devices(gateway: datetime | None, devices: list[HeardDevice]) -> None:
    result = found(gateway, *devices)
    assert all(NOW - silence.since >= LONGEST for silence in result)
    if any(silence.device_id is None for silence in result):
        assert len(result) == 1
    else:
        assert len(result) == sum(NOW - device.heard_at >= LONGEST for device in devices)
