"""The chart's geometry for any series."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.web.chart import NARROW, WIDE, Frame, draw_chart, hour_rows
from edge_agent.web.view import ChartSeries

START = datetime(2026, 7, 14, 7, 15, tzinfo=UTC)
values = st.one_of(st.none(), st.floats(-500, 500, allow_nan=False))
frames = st.sampled_from([WIDE, NARROW])


@st.composite
def series(draw: st.DrawFn) -> ChartSeries:
    n = draw(st.integers(1, 60))
    column = st.lists(values, min_size=n, max_size=n).map(tuple)
    return ChartSeries(START, 1440 * 60 // n, draw(column), draw(column), draw(column))


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


@given(series=series(), frame=frames)
def test_every_point_lies_in_the_frame(series: ChartSeries, frame: Frame) -> None:
    chart = draw_chart(series, timezone="Asia/Karachi", frame=frame)
    known = [v for line in (series.pv_kw, series.load_kw, series.grid_kw) for v in line if v is not None]
    assert (chart is None) == (not known)
    if chart is None:
        return
    drawn = [
        point for line in (chart.pv_line, chart.pv_area, chart.load_line, chart.grid_line) for point in points(line)
    ]
    assert all(0 <= x <= frame.width and 0 <= y <= frame.bottom + 0.1 for x, y in drawn)
    assert 2 <= len(chart.y_ticks) <= 9
    assert "0" in [tick.label for tick in chart.y_ticks]
    assert all(0 <= tick.at <= frame.width for tick in chart.x_ticks)


@given(series=series())
def test_a_gap_is_a_gap(series: ChartSeries) -> None:
    chart = draw_chart(series, timezone="Asia/Karachi", frame=WIDE)
    runs = sum(
        value is not None and (index == 0 or series.pv_kw[index - 1] is None)
        for index, value in enumerate(series.pv_kw)
    )
    assert (chart.pv_line.count("M") if chart else 0) == runs


@given(series=series())
def test_the_table_has_each_hour_once_and_in_order(series: ChartSeries) -> None:
    rows = hour_rows(series, timezone="Asia/Karachi")
    assert 1 <= len(rows) <= 25
    assert rows[0].label == "12:00"
    for row in rows:
        if row.pv_kw is not None:
            assert min(v for v in series.pv_kw if v is not None) - 1e-9 <= row.pv_kw


def test_a_higher_value_is_drawn_higher() -> None:
    chart = draw_chart(
        ChartSeries(START, 60, (1.0, 2.0), (None, None), (-1.0, -2.0)), timezone="Asia/Karachi", frame=WIDE
    )
    assert chart is not None
    (_, low), (_, high) = points(chart.pv_line)
    assert high < low < chart.zero
    assert all(y > chart.zero for _, y in points(chart.grid_line))


def test_a_days_minutes_are_thinned_to_what_the_frame_takes() -> None:
    pv = tuple(float(n % 7) for n in range(1440))
    for frame in (WIDE, NARROW):
        chart = draw_chart(ChartSeries(START, 60, pv, pv, pv), timezone="Asia/Karachi", frame=frame)
        assert chart is not None
        assert len(points(chart.pv_line)) == frame.columns


def test_hours_on_the_axis_are_full_local_hours_also_where_the_offset_has_minutes() -> None:
    pv = (1.0,) * 1440
    chart = draw_chart(ChartSeries(START, 60, pv, pv, pv), timezone="Asia/Kathmandu", frame=NARROW)
    assert chart is not None
    assert [tick.label for tick in chart.x_ticks] == ["18:00", "00:00", "06:00", "12:00"]
    eighteen_local = datetime(2026, 7, 14, 18, tzinfo=UTC) - timedelta(hours=5, minutes=45)
    assert abs(chart.x_ticks[0].at - NARROW.x((eighteen_local - START) / timedelta(days=1))) < 0.1
