"""Spans hold every new moment, and no quarter-hour that nothing new touches."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.rules import spans
from shared.periods import QUARTER_HOUR, quarter_hour_floor

DEVICE = UUID(int=1)
START = datetime(2026, 6, 1, tzinfo=UTC)


@given(st.sets(st.integers(0, 3 * 86_400), max_size=50))
def test_spans_cover_every_moment_and_no_untouched_quarter_hour(seconds: set[int]) -> None:
    moments = [START + timedelta(seconds=s) for s in seconds]
    found = spans(DEVICE, moments)
    assert all(any(span.first_at <= at <= span.last_at for span in found) for at in moments)
    touched = {quarter_hour_floor(at) for at in moments}
    for span in found:
        bucket = quarter_hour_floor(span.first_at)
        while bucket <= span.last_at:
            assert bucket in touched
            bucket += QUARTER_HOUR


def test_a_late_reading_is_a_span_of_its_own() -> None:
    late, live = START - timedelta(days=90), START
    assert [(span.first_at, span.last_at) for span in spans(DEVICE, [live, late, live + QUARTER_HOUR])] == [
        (late, late),
        (live, live + QUARTER_HOUR),
    ]
