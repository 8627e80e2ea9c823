"""Charts as ReportLab drawings: bars and lines over labels, with a legend, round axes and gaps where nothing is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics.shapes import Drawing, Group, Line, Path, PolyLine, Rect, String
from reportlab.lib.colors import Color
from reportlab.pdfbase.pdfmetrics import stringWidth

from cloud.reports.render.theme import HAIRLINE, INK, MUTED, SANS, Theme, tint
from cloud.reports.rules.axis import label_step, tick_decimals, ticks
from cloud.reports.rules.document import Chart, ChartKind, Series
from cloud.reports.rules.words import number

LABEL_PT = 7.0
LEGEND_PT = 7.5
_LEFT = 38.0
_RIGHT = 6.0
_BOTTOM = 26.0
_TOP = 24.0
_GROUP_SHARE = 0.72
"""Of a label's width, the part that bars fill."""
_FILL_SHARE = 0.28


@dataclass(frozen=True, slots=True)
class Plot:
    """Where the data goes; points.

    Attributes:
        low: value at the bottom.
        high: value at the top.
        count: labels along the bottom.
    """

    x: float
    y: float
    width: float
    height: float
    low: float
    high: float
    count: int

    def at(self, value: float) -> float:
        """Height of a value."""
        return self.y + (value - self.low) / (self.high - self.low) * self.height

    @property
    def step(self) -> float:
        """Width of one label."""
        return self.width / max(1, self.count)

    def centre(self, index: int) -> float:
        """Middle of a label."""
        return self.x + (index + 0.5) * self.step


def _text(x: float, y: float, words: str, *, size: float, anchor: str = "start", color: Color = MUTED) -> String:
    return String(x, y, words, fontName=SANS, fontSize=size, fillColor=color, textAnchor=anchor)


def _grid(plot: Plot, marks: Sequence[float], unit: str) -> Group:
    group = Group()
    decimals = tick_decimals(marks)
    for mark in marks:
        y = plot.at(mark)
        line = Line(plot.x, y, plot.x + plot.width, y)
        line.strokeColor, line.strokeWidth = (MUTED, 0.7) if mark == 0 else (HAIRLINE, 0.6)
        group.add(line)
        group.add(_text(plot.x - 5, y - 2.4, number(mark, decimals=decimals), size=LABEL_PT, anchor="end"))
    group.add(_text(plot.x - 5, plot.y + plot.height + 9, unit, size=LABEL_PT, anchor="end"))
    return group


def _labels(plot: Plot, chart: Chart) -> Group:
    group = Group()
    widest = max((stringWidth(label, SANS, LABEL_PT) for label in chart.labels), default=0.0)
    room = int(plot.width // (widest + 5)) if widest else 1
    step = chart.label_step or label_step(len(chart.labels), room=room)
    for index in range(0, len(chart.labels), step):
        group.add(_text(plot.centre(index), plot.y - 11, chart.labels[index], size=LABEL_PT, anchor="middle"))
    if chart.x_title:
        group.add(_text(plot.x + plot.width / 2, plot.y - 22, chart.x_title, size=LABEL_PT, anchor="middle"))
    return group


def _legend(chart: Chart, theme: Theme, *, right: float, y: float) -> Group:
    group = Group()
    x = right
    for series in reversed(chart.series):
        x -= stringWidth(series.name, SANS, LEGEND_PT)
        group.add(_text(x, y, series.name, size=LEGEND_PT, color=INK))
        x -= 11
        group.add(Rect(x, y - 0.5, 7, 7, rx=1.5, ry=1.5, fillColor=theme.tone(series.tone), strokeColor=None))
        x -= 12
    return group


def _bars(plot: Plot, chart: Chart, theme: Theme) -> Group:
    group = Group()
    width = plot.step * _GROUP_SHARE / max(1, len(chart.series))
    zero = plot.at(0.0)
    for place, series in enumerate(chart.series):
        color = theme.tone(series.tone)
        for index, value in enumerate(series.values):
            if value is None:
                continue
            x = plot.centre(index) - plot.step * _GROUP_SHARE / 2 + place * width
            top = plot.at(value)
            group.add(
                Rect(
                    x,
                    min(zero, top),
                    max(0.4, width - 0.5),
                    abs(top - zero),
                    fillColor=color,
                    strokeColor=None,
                )
            )
    return group


def runs(values: Sequence[float | None]) -> list[list[int]]:
    """Stretches of neighbouring known values, as indices: a line is broken where nothing is known."""
    stretches: list[list[int]] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        if stretches and stretches[-1][-1] == index - 1:
            stretches[-1].append(index)
        else:
            stretches.append([index])
    return stretches


def _line(plot: Plot, series: Series, color: Color, *, filled: bool) -> Group:
    group = Group()
    for run in runs(series.values):
        points = [(plot.centre(i), plot.at(series.values[i] or 0.0)) for i in run]
        if filled:
            area = Path(fillColor=tint(color, _FILL_SHARE), strokeColor=None)
            area.moveTo(points[0][0], plot.at(0.0))
            for x, y in points:
                area.lineTo(x, y)
            area.lineTo(points[-1][0], plot.at(0.0))
            area.closePath()
            group.add(area)
        if len(points) == 1:
            x, y = points[0]
            group.add(Rect(x - 1, y - 1, 2, 2, fillColor=color, strokeColor=None))
        else:
            flat = [number_ for point in points for number_ in point]
            group.add(PolyLine(flat, strokeColor=color, strokeWidth=1.3, strokeLineJoin=1))
    return group


def _lines(plot: Plot, chart: Chart, theme: Theme) -> Group:
    group = Group()
    for place, series in enumerate(chart.series):
        group.add(_line(plot, series, theme.tone(series.tone), filled=place == 0))
    return group


def draw_chart(chart: Chart, theme: Theme, *, width: float, height: float) -> Drawing:
    """Draw a chart.

    Args:
        chart: what to draw.
        theme: colours.
        width: points.
        height: points.
    """
    marks = ticks(value for series in chart.series for value in series.values)
    plot = Plot(
        x=_LEFT,
        y=_BOTTOM,
        width=width - _LEFT - _RIGHT,
        height=height - _BOTTOM - _TOP,
        low=marks[0],
        high=marks[-1],
        count=len(chart.labels),
    )
    drawing = Drawing(width, height)
    drawing.add(_grid(plot, marks, chart.unit))
    drawing.add(_bars(plot, chart, theme) if chart.kind is ChartKind.BARS else _lines(plot, chart, theme))
    drawing.add(_labels(plot, chart))
    drawing.add(_legend(chart, theme, right=width - _RIGHT, y=height - 9))
    if not any(value is not None for series in chart.series for value in series.values):
        drawing.add(
            _text(plot.x + plot.width / 2, plot.y + plot.height / 2, "no data in this period", size=9, anchor="middle")
        )
    return drawing
