"""Every reading is stored, flagged or quarantined; none disappears."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cloud.ingest.rules import (
    RAW_COLUMNS,
    KnownDevice,
    cloud_flags,
    quarantine_reason,
    raw_row,
)
from shared.enums import Quality
from shared.metrics import METRICS, metric_of

NOW = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
DEVICE = KnownDevice(
    id=UUID("01900000-0000-7000-8000-000000000001"),
    number=1,
    commissioned_at=datetime(2026, 1, 1, tzinfo=UTC),
    rated_power_kw=5.0,
)


def test_a_good_reading_carries_no_flag() -> None:
    assert cloud_flags(NOW, {"ac_power_kw": 4.2, "operating_state": "producing"}, DEVICE, NOW) == Quality.GOOD


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW + timedelta(minutes=5), Quality.GOOD),
        (NOW + timedelta(minutes=5, seconds=1), Quality.FUTURE),
        (DEVICE.commissioned_at, Quality.GOOD),
        (DEVICE.commissioned_at - timedelta(seconds=1), Quality.BEFORE_DEVICE),
    ],
)
def test_doubtful_times_are_flagged_and_kept(at: datetime, expected: Quality) -> None:
    row = raw_row(DEVICE, at=at, seq=1, quality=Quality.GOOD, values={"ac_power_kw": 1.0}, now=NOW)
    assert row.quality == expected
    assert row.columns == {"ac_power_kw": 1.0}


@pytest.mark.parametrize("value", [6.26, -6.26, float("nan"), float("inf")])
def test_a_power_beyond_the_rating_is_flagged(value: float) -> None:
    assert cloud_flags(NOW, {"ac_power_kw": value}, DEVICE, NOW) == Quality.OUT_OF_RANGE


def test_flags_of_the_agent_stay() -> None:
    row = raw_row(DEVICE, at=NOW, seq=3, quality=Quality.PARTIAL, values={"ac_power_kw": 99.0}, now=NOW)
    assert row.quality == Quality.PARTIAL | Quality.OUT_OF_RANGE


def test_keys_without_a_column_go_to_extra() -> None:
    values = {"ac_power_kw": 1.0, "dc_power_kw.pv2": 0.4, "acme_boiler_c": 61.0, "ac_voltage_v.l1": 231.0}
    row = raw_row(DEVICE, at=NOW, seq=1, quality=Quality.GOOD, values=values, now=NOW)
    assert row.columns == {"ac_power_kw": 1.0, "ac_voltage_v_l1": 231.0}
    assert row.extra == {"dc_power_kw.pv2": 0.4, "acme_boiler_c": 61.0}


def test_a_word_in_a_number_column_is_kept_beside_it() -> None:
    row = raw_row(
        DEVICE, at=NOW, seq=1, quality=Quality.GOOD, values={"ac_power_kw": "high", "operating_state": 4.0}, now=NOW
    )
    assert row.columns == {}
    assert row.extra == {"ac_power_kw": "high", "operating_state": 4.0}
    assert row.quality == Quality.OUT_OF_RANGE


def test_not_a_number_stays_visible_as_text() -> None:
    row = raw_row(DEVICE, at=NOW, seq=1, quality=Quality.GOOD, values={"acme_x": float("nan")}, now=NOW)
    assert row.extra == {"acme_x": "nan"}
    assert row.quality == Quality.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("at", "known", "reason"),
    [
        (NOW, True, None),
        (NOW, False, "device_unknown"),
        (None, True, "time_impossible"),
        (datetime(1970, 1, 1, tzinfo=UTC), True, "time_impossible"),
        (NOW + timedelta(days=365), True, None),
        (NOW + timedelta(days=367), True, "time_impossible"),
    ],
)
def test_what_goes_to_quarantine(at: datetime | None, known: bool, reason: str | None) -> None:
    assert quarantine_reason(at, known=known, now=NOW) == reason


def test_every_raw_column_is_a_catalogue_metric_or_one_of_its_phases() -> None:
    for key in RAW_COLUMNS:
        assert metric_of(key).name in METRICS
