"""The document: what a report says, without how it looks.

A builder makes one from data; a renderer turns any of them into a file. No renderer knows a type of report. Numbers stay numbers (a
spreadsheet wants them); None is "not known" and is shown as a dash, never as 0.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class Part(BaseModel):
    """Base of everything in a document: frozen, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tone(StrEnum):
    """What a number stands for; a renderer gives it a colour that is the same all through the document."""

    GENERATED = "generated"
    CONSUMED = "consumed"
    IMPORTED = "imported"
    EXPORTED = "exported"
    BATTERY = "battery"
    MONEY = "money"
    NATURE = "nature"
    NEUTRAL = "neutral"
    WARNING = "warning"


class Amount(Part):
    """A number with its unit.

    Attributes:
        value: None = not known.
        decimals: how many are shown.
    """

    value: float | None
    unit: str = ""
    decimals: int = Field(default=0, ge=0, le=6)


class KpiCard(Part):
    """One figure that matters.

    Attributes:
        note: what it stands on, or why it is not known.
    """

    label: str
    amount: Amount
    note: str = ""
    tone: Tone = Tone.NEUTRAL


class TextSummary(Part):
    """Sentences: paragraphs, then bullets."""

    type: Literal["text_summary"] = "text_summary"
    title: str = ""
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()


class KpiCards(Part):
    """Figures side by side."""

    type: Literal["kpi_cards"] = "kpi_cards"
    title: str = ""
    cards: tuple[KpiCard, ...]


class ChartKind(StrEnum):
    """How series are drawn."""

    BARS = "bars"
    """Side by side for each label."""
    LINES = "lines"
    """Lines over time; the first series is filled."""


class Series(Part):
    """One row of numbers; as long as the chart's labels. None is a gap."""

    name: str
    values: tuple[float | None, ...]
    tone: Tone = Tone.NEUTRAL


class Chart(Part):
    """A picture of series over labels.

    Attributes:
        unit: of all series.
        labels: one per value, already short: "14", "06:15".
        label_step: every how many labels one is written; 0 = as the renderer finds room.
        x_title: what the labels are.
    """

    type: Literal["chart"] = "chart"
    title: str
    kind: ChartKind
    unit: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    label_step: int = Field(default=0, ge=0)
    x_title: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _series_fit_labels(self) -> "Chart":
        for series in self.series:
            if len(series.values) != len(self.labels):
                raise ValueError(
                    f"series {series.name!r} has {len(series.values)} values for {len(self.labels)} labels; give one per label"
                )
        return self


class Column(Part):
    """A column of a table.

    Attributes:
        decimals: of numbers in it.
        weight: share of the width.
    """

    title: str
    unit: str = ""
    decimals: int = 0
    numeric: bool = True
    weight: float = Field(default=1.0, gt=0)


class Day(Part):
    """A date in a table: an object of its own, so that it is still a date after a way through JSON."""

    day: date


Cell = Day | float | str | None


class DataTable(Part):
    """Rows under columns.

    Attributes:
        total: a last row that stands out; None = none.
    """

    type: Literal["data_table"] = "data_table"
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    note: str = ""

    @model_validator(mode="after")
    def _rows_fit_columns(self) -> "DataTable":
        for index, row in enumerate((*self.rows, *([self.total] if self.total else []))):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows[{index}] has {len(row)} cells for {len(self.columns)} columns; give one per column"
                )
        return self


class Note(Part):
    """A term and what it means or stands on."""

    term: str
    text: str


class Notes(Part):
    """Definitions and sources."""

    type: Literal["notes"] = "notes"
    title: str = "What these numbers stand on"
    notes: tuple[Note, ...]


Section = Annotated[TextSummary | KpiCards | Chart | DataTable | Notes, Field(discriminator="type")]


class Fact(Part):
    """A line of the cover: what the report is about."""

    label: str
    value: str


class Cover(Part):
    """Who, what, when.

    Attributes:
        period: in words, e.g. "1 to 31 October 2026".
        headline: the one sentence that the reader should keep.
    """

    title: str
    subject: str
    organization: str
    period: str
    headline: str = ""
    facts: tuple[Fact, ...] = ()


class Style(Part):
    """Looks that an organisation may choose; from `report_templates.branding`."""

    primary_color: str = Field(default="#0b6e4f", pattern=r"^#[0-9a-fA-F]{6}$")
    secondary_color: str = Field(default="#f2a900", pattern=r"^#[0-9a-fA-F]{6}$")
    header_text: str = ""
    footer_text: str = ""
    show_page_numbers: bool = True


class ReportDocument(Part):
    """A whole report."""

    language: Literal["en", "ur"] = "en"
    created_at: AwareDatetime
    timezone: str
    cover: Cover
    style: Style = Style()
    sections: tuple[Section, ...]
