"""Answers about a stretch of time as columns, the form in which they are read, filled and written.

What they look like as JSON is described to callers by `cloud.telemetry.schemas`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from shared.readings import Value


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of the site or of one device: columns of equal length, a place for each period or reading.

    Attributes:
        device_id: None = the whole site.
        metric: as it was asked for.
        unit: of the values.
        moments: start of each period, or moment of each reading; UTC.
        values: energy, mean or raw value; None = not measured.
        lows: lowest value of a gauge in each period, where it is kept.
        highs: highest value.
    """

    device_id: UUID | None
    metric: str
    unit: str
    moments: Sequence[datetime]
    values: Sequence[Value]
    lows: Sequence[float | None]
    highs: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class ArchivedDays:
    """UTC days, both ends included, whose finer values are only in the archive."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Span:
    """Lines over one stretch of time, which ends before `end`.

    Attributes:
        archived: where values may be missing only because they are in the archive.
    """

    start: datetime
    end: datetime
    lines: Sequence[Line]
    archived: Sequence[ArchivedDays] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines at one resolution, and the same ones over the time that they are compared with.

    Attributes:
        resolution: the one that was taken: raw, 15m, 1h, 1d or 1mo.
        timezone: zone whose hours, days and months the periods are.
        is_single: one line was asked for, and nothing to compare it with.
    """

    site_id: UUID
    resolution: str
    timezone: str
    asked: Span
    compared: Span | None = None
    is_single: bool = False
