"""Geometry of the 24-hour chart: pure functions from readings to SVG paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor
from zoneinfo import ZoneInfo

from edge_agent.web.view import ChartSeries

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 28
_COLUMNS = 288
_STEPS_KW = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where it lies, and what it says ("" on a phone's narrow screen too)."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class HourRow:
    """Means (kW) of one local hour, for the table under the chart."""

    label: str
    pv_kw: float | None
    load_kw: float | None
    grid_kw: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template draws; `zero` is the height of the zero line."""

    pv_area: str
    pv_line: str
    load_line: str
    grid_line: str
    zero: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    hours: tuple[HourRow, ...]


def draw_chart(series: ChartSeries, *, timezone: str) -> Chart | None:
    """Lay the series out; None when there is nothing to draw. A gap in the readings is a gap in the line."""
    lines = [_thin(values) for values in (series.pv_kw, series.load_kw, series.grid_kw)]
    known = [value for line in lines for value in line if value is not None]
    if not known:
        return None
    low, high, step = _scale(min(0.0, *known), max(0.1, *known))

    def y(kw: float) -> float:
        return TOP + (high - kw) / (high - low) * (HEIGHT - TOP - BOTTOM)

    pv, load, grid = lines
    ticks = range(round(low / step), round(high / step) + 1)
    return Chart(
        pv_area=_area([None if v is None else y(v) for v in pv], zero=y(0)),
        pv_line=_path([None if v is None else y(v) for v in pv]),
        load_line=_path([None if v is None else y(v) for v in load]),
        grid_line=_path([None if v is None else y(v) for v in grid]),
        zero=round(y(0), 1),
        x_ticks=_hours_axis(series, zone=ZoneInfo(timezone)),
        y_ticks=tuple(Tick(round(y(n * step), 1), f"{n * step:g}") for n in ticks),
        hours=_hour_rows(series, zone=ZoneInfo(timezone)),
    )


def _thin(values: Sequence[float | None]) -> list[float | None]:
    """At most `_COLUMNS` means of equal stretches."""
    size = max(1, -(-len(values) // _COLUMNS))
    return [_mean(values[i : i + size]) for i in range(0, len(values), size)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round limits outwards to a step that gives at most seven lines."""
    step = next((s for s in _STEPS_KW if (high - low) / s <= 6), _STEPS_KW[-1])
    return floor(low / step) * step, ceil(high / step) * step, step


def _x(index: int, *, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / count


def _runs(ys: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Stretches of points without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(ys):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((_x(index, count=len(ys)), value))
    return [run for run in runs if run]


def _path(ys: Sequence[float | None]) -> str:
    return " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in _visible(run)) for run in _runs(ys))


def _visible(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A lone point becomes a short line, or nobody would see it."""
    return run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])]


def _area(ys: Sequence[float | None], *, zero: float) -> str:
    parts = []
    for run in _runs(ys):
        points = _visible(run)
        outline = " L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts.append(f"M{points[0][0]:.1f} {zero:.1f} L{outline} L{points[-1][0]:.1f} {zero:.1f} Z")
    return " ".join(parts)


def _hours_axis(series: ChartSeries, *, zone: ZoneInfo) -> tuple[Tick, ...]:
    """A tick at every fourth full local hour."""
    span = timedelta(seconds=series.step_s * max(1, len(series.pv_kw)))
    moment = _full_hour(series.start, zone=zone)
    ticks = []
    while moment <= series.start + span:
        if moment >= series.start and moment.astimezone(zone).hour % 4 == 0:
            at = LEFT + (WIDTH - LEFT - RIGHT) * ((moment - series.start) / span)
            ticks.append(Tick(round(at, 1), f"{moment.astimezone(zone):%H:%M}"))
        moment += _HOUR
    return tuple(ticks)


def _full_hour(moment: datetime, *, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _hour_rows(series: ChartSeries, *, zone: ZoneInfo) -> tuple[HourRow, ...]:
    step = timedelta(seconds=series.step_s)
    groups: dict[datetime, list[int]] = {}
    for index in range(len(series.pv_kw)):
        groups.setdefault(_full_hour(series.start + index * step, zone=zone), []).append(index)
    return tuple(
        HourRow(
            f"{hour.astimezone(zone):%H:%M}",
            *(_mean([line[i] for i in indexes]) for line in (series.pv_kw, series.load_kw, series.grid_kw)),
        )
        for hour, indexes in groups.items()
    )
