"""What leaves the database when: pure decisions about days and months."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from cloud.accounts.schemas import Retention

LAYOUT = 1
"""Version of the files' columns: a file says which one it has, and a newer program still reads it."""


class Kind(StrEnum):
    """What a file holds."""

    RAW = "raw"
    QUARTER_HOURS = "quarter_hours"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Span:
    """What one file holds: readings of a site's UTC day, or its quarter-hours or hours of a UTC month; both days included."""

    site_id: UUID
    organization_id: UUID
    kind: Kind
    first_day: date
    last_day: date

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first_day, datetime.min.time(), tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last_day + timedelta(days=1), datetime.min.time(), tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a file: a type of PostgreSQL and the values; those that are no number or moment are text."""

    kind: str
    values: Sequence[Any]


def span_of(site_id: UUID, organization_id: UUID, kind: Kind, day: date) -> Span:
    """The file that a day belongs to."""
    if kind is Kind.RAW:
        return Span(site_id, organization_id, kind, day, day)
    first = day.replace(day=1)
    return Span(site_id, organization_id, kind, first, next_month(first) - timedelta(days=1))


def next_month(day: date) -> date:
    """First day of the month after a day's."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def first_kept(retention: Retention, kind: Kind, today: date) -> date:
    """The oldest UTC day that stays: raw readings leave day by day, quarter-hours and hours when all of their month is old enough."""
    days = {
        Kind.RAW: retention.raw_days,
        Kind.QUARTER_HOURS: retention.quarter_hour_days,
        Kind.HOURS: retention.hour_days,
    }[kind]
    oldest = today - timedelta(days=days)
    return oldest if kind is Kind.RAW else oldest.replace(day=1)


def days_between(first: date, last: date) -> Iterator[date]:
    """Each day, both ends included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def path_of(span: Span, sha256: str) -> str:
    """Where a file goes: its content is part of its name, so a new export never replaces the file that the catalogue still names."""
    name = f"{span.first_day}" if span.kind is Kind.RAW else f"{span.first_day:%Y-%m}"
    return f"archive/{span.site_id}/{span.kind.value}/{span.first_day:%Y}/{name}-{sha256[:16]}.parquet"
