"""Each quarter-hour with a reading that counts is marked once, and no other."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.rules import LIVE_AGE, RawRow, dirty_buckets
from shared.enums import Quality
from shared.periods import QUARTER_HOUR

NOW = datetime(2026, 6, 1, 12, 7, tzinfo=UTC)
flags = st.sampled_from([Quality.GOOD, Quality.PARTIAL, Quality.OUT_OF_RANGE, Quality.LINK_DOWN, Quality.BEFORE_DEVICE])
rows = st.builds(
    RawRow,
    device_id=st.sampled_from([UUID(int=1), UUID(int=2)]),
    at=st.integers(0, 3 * 86_400).map(lambda s: NOW - timedelta(seconds=s)),
    seq=st.just(1),
    quality=flags,
    columns=st.just({}),
    extra=st.just({}),
)


@given(st.lists(rows, max_size=40))
def test_marks_are_the_quarter_hours_of_readings_that_count(given_rows: list[RawRow]) -> None:
    found = dirty_buckets(given_rows, now=NOW)
    assert found == sorted(set(found))
    for row in given_rows:
        inside = [d for d in found if d.device_id == row.device_id and d.bucket <= row.at < d.bucket + QUARTER_HOUR]
        assert len(inside) == 1 or not row.quality.enters_rollups
    for dirty in found:
        assert any(
            row.device_id == dirty.device_id and dirty.bucket <= row.at < dirty.bucket + QUARTER_HOUR
            for row in given_rows
            if row.quality.enters_rollups
        )
        assert dirty.is_live == (dirty.bucket + QUARTER_HOUR >= NOW - LIVE_AGE)
