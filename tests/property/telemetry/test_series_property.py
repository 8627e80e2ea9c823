"""Series, comparisons, forms and shares, for every input."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry.rules.forms import preferred_form
from cloud.telemetry.rules.series import (
    MAX_POINTS,
    Comparison,
    Resolution,
    choose_resolution,
    earlier_window,
    period_edges,
    window_of_length,
)
from cloud.telemetry.rules.shares import part_percent
from shared.periods import Window, day_window, hour_window, zone_of

ZONES = st.sampled_from(
    ["Asia/Karachi", "Asia/Kathmandu", "Europe/London", "America/New_York", "Australia/Lord_Howe", "America/St_Johns"]
).map(zone_of)
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- given a zone
WINDOWS = st.builds(
    lambda start, seconds: Window(start, start + timedelta(seconds=seconds)), MOMENTS, st.integers(1, 10**9)
)
DAYS = st.dates(datetime(2001, 1, 1, tzinfo=UTC).date(), datetime(2030, 1, 1, tzinfo=UTC).date())
FORMS = ("application/json", "text/csv")


@given(WINDOWS, ZONES, st.one_of(st.none(), st.floats(1, 3600)))
def test_an_automatic_answer_is_never_too_long_and_leaves_no_gap(
    window: Window, zone: object, interval_s: float | None
) -> None:
    taken = choose_resolution(Resolution.AUTO, window, raw_interval_s=interval_s)
    if taken is Resolution.RAW:
        assert interval_s is not None
        assert window.seconds / interval_s < MAX_POINTS
        return
    edges = period_edges(taken, window, zone)  # type: ignore[arg-type]  # the strategy gives zones
    assert 0 < len(edges) - 1 <= MAX_POINTS
    assert edges[0] <= window.start < edges[1]
    assert edges[-2] < window.end <= edges[-1]
    assert all(before < after for before, after in pairwise(edges))


@given(WINDOWS.filter(lambda window: window.seconds < 4 * 366 * 86_400), ZONES)
def test_hours_are_the_hours_of_the_days(window: Window, zone: object) -> None:
    edges = period_edges(Resolution.HOUR, window, zone)  # type: ignore[arg-type]  # the strategy gives zones
    last = window.end - timedelta(microseconds=1)
    sampled = [edges[0], edges[len(edges) // 2], edges[-2]]
    for start, end in [pair for pair in pairwise(edges) if pair[0] in sampled]:
        assert hour_window(start, zone) == Window(start, end)  # type: ignore[arg-type]  # likewise
    assert edges[0] == hour_window(window.start, zone).start  # type: ignore[arg-type]  # likewise
    assert edges[-1] == hour_window(last, zone).end  # type: ignore[arg-type]  # likewise


@given(DAYS, st.integers(1, 400), ZONES, st.sampled_from(Comparison))
def test_whole_days_are_compared_with_whole_days(first: object, count: int, zone: object, how: Comparison) -> None:
    start = day_window(first, zone).start  # type: ignore[arg-type]  # dates and zones
    end = day_window(first + timedelta(days=count), zone).start  # type: ignore[operator,arg-type]  # likewise
    earlier = earlier_window(how, Window(start, end), zone)  # type: ignore[arg-type]  # likewise
    local = [moment.astimezone(zone) for moment in (earlier.start, earlier.end)]  # type: ignore[arg-type]  # likewise
    days = (local[1].date() - local[0].date()).days
    assert days == count if how is Comparison.PREVIOUS else abs(days - count) <= 1
    for moment in (earlier.start, earlier.end):
        assert day_window(moment.astimezone(zone).date(), zone).start == moment  # type: ignore[arg-type]  # likewise
    if how is Comparison.PREVIOUS:
        assert earlier.end == start


@given(WINDOWS, MOMENTS, ZONES)
def test_an_equally_long_time_begins_where_it_is_asked_to(window: Window, start: datetime, zone: object) -> None:
    compared = window_of_length(window, start, zone)  # type: ignore[arg-type]  # the strategy gives zones
    assert compared.start == start
    assert abs(compared.seconds - window.seconds) <= 2 * 3600


@given(
    st.one_of(
        st.none(), st.text(), st.lists(st.sampled_from([*FORMS, "*/*", "text/*", "a;q=x", ";", "q=1"])).map(",".join)
    )
)
def test_any_header_is_understood_or_refused(accept: str | None) -> None:
    form = preferred_form(accept, FORMS)
    assert form is None or form in FORMS
    if accept in FORMS:
        assert form == accept


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_share_is_between_nothing_and_everything(part: float, whole: float) -> None:
    percent = part_percent(part, whole)
    assert (percent is None) == (whole == 0)
    assert percent is None or 0 <= percent <= 100
