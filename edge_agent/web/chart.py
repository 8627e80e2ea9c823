"""Geometry of the 24-hour chart: pure functions from readings to SVG paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor
from zoneinfo import ZoneInfo

from edge_agent.web.view import ChartSeries

_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 24, 10, 28
_STEPS_KW = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of the drawing in its own units, margins for the labels included, and hours between two labels.

    Attributes:
        columns: most points that a line is given.
    """

    width: int
    height: int
    hours_per_tick: int
    columns: int

    @property
    def right(self) -> int:
        """Where the lines end."""
        return self.width - _RIGHT

    @property
    def bottom(self) -> int:
        """Where the lines end below."""
        return self.height - _BOTTOM

    def x(self, share: float) -> float:
        """Place of a share (0 to 1) of the time."""
        return _LEFT + (self.right - _LEFT) * share


WIDE = Frame(width=1080, height=280, hours_per_tick=2, columns=288)
NARROW = Frame(width=360, height=240, hours_per_tick=6, columns=144)
"""For a phone held upright."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where it lies, and what it says."""

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

    frame: Frame
    pv_area: str
    pv_line: str
    load_line: str
    grid_line: str
    zero: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def draw_chart(series: ChartSeries, *, timezone: str, frame: Frame) -> Chart | None:
    """Lay the series out; None when there is nothing to draw. A gap in the readings is a gap in the line."""
    lines = [_thin(values, columns=frame.columns) for values in (series.pv_kw, series.load_kw, series.grid_kw)]
    known = [value for line in lines for value in line if value is not None]
    if not known:
        return None
    low, high, step = _scale(min(0.0, *known), max(0.1, *known))

    def y(kw: float) -> float:
        return _TOP + (high - kw) / (high - low) * (frame.bottom - _TOP)

    def points(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
        return _runs([None if value is None else y(value) for value in values], frame=frame)

    pv, load, grid = (points(line) for line in lines)
    levels = range(round(low / step), round(high / step) + 1)
    return Chart(
        frame=frame,
        pv_area=_area(pv, zero=y(0)),
        pv_line=_path(pv),
        load_line=_path(load),
        grid_line=_path(grid),
        zero=round(y(0), 1),
        x_ticks=_hours_axis(series, zone=ZoneInfo(timezone), frame=frame),
        y_ticks=tuple(Tick(round(y(n * step), 1), f"{n * step:g}") for n in levels),
    )


def hour_rows(series: ChartSeries, *, timezone: str) -> tuple[HourRow, ...]:
    """The same as a table: one row per local hour."""
    zone, step = ZoneInfo(timezone), timedelta(seconds=series.step_s)
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


def _thin(values: Sequence[float | None], *, columns: int) -> list[float | None]:
    """At most `columns` means of equal stretches."""
    size = max(1, -(-len(values) // columns))
    return [_mean(values[i : i + size]) for i in range(0, len(values), size)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Round limits outwards to a step that gives at most eight lines."""
    step = next((s for s in _STEPS_KW if (high - low) / s <= 6), _STEPS_KW[-1])
    return floor(low / step) * step, ceil(high / step) * step, step


def _runs(ys: Sequence[float | None], *, frame: Frame) -> list[list[tuple[float, float]]]:
    """Stretches of points without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(ys):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((frame.x((index + 0.5) / len(ys)), value))
    return [_visible(run) for run in runs if run]


def _visible(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A lone point becomes a short line, or nobody would see it."""
    return run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])]


def _path(runs: Sequence[Sequence[tuple[float, float]]]) -> str:
    return " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in runs)


def _area(runs: Sequence[Sequence[tuple[float, float]]], *, zero: float) -> str:
    parts = []
    for run in runs:
        outline = " L".join(f"{x:.1f} {y:.1f}" for x, y in run)
        parts.append(f"M{run[0][0]:.1f} {zero:.1f} L{outline} L{run[-1][0]:.1f} {zero:.1f} Z")
    return " ".join(parts)


def _hours_axis(series: ChartSeries, *, zone: ZoneInfo, frame: Frame) -> tuple[Tick, ...]:
    """A tick at every so many full local hours."""
    span = timedelta(seconds=series.step_s * max(1, len(series.pv_kw)))
    moment = _full_hour(series.start, zone=zone)
    ticks = []
    while moment <= series.start + span:
        if moment >= series.start and moment.astimezone(zone).hour % frame.hours_per_tick == 0:
            at = frame.x((moment - series.start) / span)
            ticks.append(Tick(round(at, 1), f"{moment.astimezone(zone):%H:%M}"))
        moment += _HOUR
    return tuple(ticks)


def _full_hour(moment: datetime, *, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
