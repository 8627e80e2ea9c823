"""Today's energy: only what was really counted since midnight."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from edge_agent.store.minutes import MinutePoint, MinuteRing
from edge_agent.store.today import DayStart, Key, Today
from edge_agent.web.agent_view import STEPS, draw_series, energy_today
from shared.enums import DeviceType, Quality
from shared.readings import Reading, Value
from tests.edge_world import START, device, device_id

KARACHI = ZoneInfo("Asia/Karachi")
MIDNIGHT = datetime(2026, 6, 2, tzinfo=KARACHI)
GENERATED = "energy_total_kwh"


def today_of(starts: dict[Key, DayStart] | None = None) -> Today:
    staged: list[Callable[..., None]] = []
    return Today("Asia/Karachi", starts=starts or {}, stage=staged.append)


def say(today: Today, at: datetime, number: int = 1, **values: Value) -> None:
    today.observe(Reading(device_id(number), at.astimezone(UTC), values))


def test_the_day_begins_with_the_last_counter_before_midnight() -> None:
    today = today_of()
    say(today, MIDNIGHT - timedelta(seconds=10), energy_total_kwh=100.0)
    say(today, MIDNIGHT + timedelta(seconds=10), energy_total_kwh=100.2)
    say(today, MIDNIGHT + timedelta(hours=9), energy_total_kwh=112.5)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=9)) == 12.5


def test_a_box_that_first_heard_the_counter_at_noon_does_not_know_the_day() -> None:
    today = today_of()
    say(today, MIDNIGHT + timedelta(hours=12), energy_total_kwh=100.0)
    say(today, MIDNIGHT + timedelta(hours=13), energy_total_kwh=101.0)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=13)) is None
    assert today.has([device_id(1)], GENERATED)


def test_a_restart_goes_on_with_the_stored_beginning() -> None:
    today = today_of({(device_id(1), GENERATED): DayStart(MIDNIGHT.date(), 100.0)})
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=9)) is None, "nothing heard since"
    say(today, MIDNIGHT + timedelta(hours=9), energy_total_kwh=104.0)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=9)) == 4.0


def test_yesterday_is_not_today() -> None:
    today = today_of({(device_id(1), GENERATED): DayStart(MIDNIGHT.date(), 100.0)})
    say(today, MIDNIGHT + timedelta(hours=20), energy_total_kwh=104.0)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=25)) is None


def test_a_counter_that_was_set_back_is_not_a_number() -> None:
    today = today_of({(device_id(1), GENERATED): DayStart(MIDNIGHT.date(), 100.0)})
    say(today, MIDNIGHT + timedelta(hours=1), energy_total_kwh=0.5)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT + timedelta(hours=1)) is None


def test_silence_and_missing_values_change_nothing() -> None:
    today = today_of()
    today.observe(Reading(device_id(1), MIDNIGHT, {}, Quality.LINK_DOWN))
    say(today, MIDNIGHT, energy_total_kwh=None)
    assert not today.has([device_id(1)], GENERATED)
    assert today.kwh([device_id(1)], GENERATED, now=MIDNIGHT) is None


def test_the_site_balances_from_the_right_devices() -> None:
    today = today_of()
    devices = [device(1), device(2), device(3, kind=DeviceType.METER), device(4, kind=DeviceType.BATTERY)]
    for hours, factor in ((0, 0.0), (9, 1.0)):
        at = MIDNIGHT + timedelta(hours=hours)
        say(today, at, 1, energy_total_kwh=100 + 20 * factor)
        say(today, at, 2, energy_total_kwh=50 + 10 * factor, grid_import_energy_total_kwh=7 + 99 * factor)
        say(today, at, 3, grid_import_energy_total_kwh=5 + 4 * factor, grid_export_energy_total_kwh=1 + 6 * factor)
        say(today, at, 4, battery_charge_energy_total_kwh=8 * factor, battery_discharge_energy_total_kwh=3 * factor)
    energy = energy_today(today, devices=devices, now=MIDNIGHT + timedelta(hours=9))
    assert (energy.generated_kwh, energy.imported_kwh, energy.exported_kwh) == (30.0, 4.0, 6.0)
    assert (energy.charged_kwh, energy.discharged_kwh, energy.consumed_kwh) == (8.0, 3.0, 23.0)
    without_battery = energy_today(today, devices=devices[:3], now=MIDNIGHT + timedelta(hours=9))
    assert without_battery.consumed_kwh == 28.0
    assert energy_today(today_of(), devices=devices, now=MIDNIGHT).consumed_kwh is None


def test_a_minute_is_done_when_the_next_begins() -> None:
    ring = MinuteRing()
    for second in range(0, 120, 10):
        ring.add(device_id(1), START + timedelta(seconds=second), {"ac_power_kw": float(second), "ac_voltage_v": 230.0})
    ring.add(device_id(1), START, {"ac_power_kw": None})
    (row,) = ring.take_done()
    assert row == (str(device_id(1)), "ac_power_kw", int(START.timestamp()) // 60, 25.0, 0.0, 50.0)
    assert ring.take_done() == []


def test_the_chart_shows_what_was_read_and_nothing_else() -> None:
    devices = [device(1), device(3, kind=DeviceType.METER)]
    points = {
        (device_id(1), "ac_power_kw"): [
            MinutePoint(START + timedelta(minutes=minute), 2.0 + minute, 0, 9) for minute in (0, 1)
        ],
        (device_id(3), "grid_power_kw"): [
            MinutePoint(START, -0.5, -1, 0),
            MinutePoint(START + timedelta(hours=30), 9, 9, 9),
        ],
    }
    series = draw_series(points, devices=devices, start=START)
    assert len(series.pv_kw) == STEPS
    assert (series.pv_kw[0], series.grid_kw[0], series.load_kw[0]) == (2.5, -0.5, 2.0)
    assert set(series.pv_kw[1:]) == {None}
