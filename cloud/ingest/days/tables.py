"""Closed days of raw readings, and where the days and months are that have left the database."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from cloud.core.db import Base, BigInt, one_of
from cloud.ingest.tables import TelemetryReading

_FRAME = frozenset({"site_id", "device_id", "device_number", "at", "received_at", "seq", "quality"})
"""Columns of a reading that a packed day keeps in a form of its own."""

MEASURED: dict[str, TypeEngine[object]] = {
    column.name: column.type for column in TelemetryReading.__table__.columns if column.name not in _FRAME
}
"""What a reading says, column by column: the one list that packing, unpacking, reading and archiving go by."""

ARCHIVE_KINDS = ("raw", "quarter_hours", "hours")


class TelemetryDay(Base):
    """All readings of a device in one UTC day, each column as an array in order of time. A day is packed or it is rows, never both.

    Moments and sequence numbers are kept as their distance from an even grid, which in a steady day is nothing at all:
    `at = first_at + place * step_us + at_offset_us[place]`, and likewise for `seq`. A column that holds nothing in a day (no value;
    for offsets and quality: only zeros) is NULL. `received_offset_us` is always there and has one element for each reading.
    """

    __table__ = Table(
        "telemetry_days",
        Base.metadata,
        Column("site_id", Uuid(), nullable=False),
        Column("device_number", Integer(), nullable=False),
        Column("day", Date(), nullable=False),
        Column("organization_id", Uuid(), nullable=False),
        Column("packed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("readings", Integer(), nullable=False),
        Column("first_at", DateTime(timezone=True), nullable=False),
        Column("step_us", BigInteger(), nullable=False),
        Column("at_offset_us", ARRAY(BigInteger())),
        Column("first_received_at", DateTime(timezone=True), nullable=False),
        Column("received_offset_us", ARRAY(BigInteger()), nullable=False),
        Column("first_seq", BigInteger(), nullable=False),
        Column("seq_step", BigInteger(), nullable=False),
        Column("seq_offset", ARRAY(BigInteger())),
        Column("quality", ARRAY(SmallInteger())),
        *(
            Column(name, ARRAY(JSONB() if isinstance(kind, JSONB) else Text() if isinstance(kind, String) else kind))
            for name, kind in MEASURED.items()
        ),
        PrimaryKeyConstraint("site_id", "device_number", "day"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "day"),
        CheckConstraint("readings > 0 AND readings = cardinality(received_offset_us)", name="one_element_each"),
    )


class TelemetryArchive(Base):
    """A file in the store with the readings of a site's day, or its quarter-hours or hours of a month.

    Attributes:
        kind: `raw`, `quarter_hours` or `hours`.
        first_day: UTC day, or first day of the UTC month.
        last_day: the same day, or the month's last.
        rows: rows in the file.
        layout: version of the file's columns.
        is_away: the rows are in the file and no longer in the database.
        keep_until: rows that were brought back stay in the database at least until then.
    """

    __tablename__ = "telemetry_archives"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "kind", "first_day"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "organization_id"),
        one_of("kind", ARCHIVE_KINDS),
        CheckConstraint("last_day >= first_day AND rows > 0 AND size_bytes > 0", name="not_empty"),
    )

    site_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(20))
    first_day: Mapped[date]
    last_day: Mapped[date]
    organization_id: Mapped[UUID]
    path: Mapped[str] = mapped_column(String(300))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[BigInt]
    rows: Mapped[BigInt]
    layout: Mapped[int]
    is_away: Mapped[bool]
    exported_at: Mapped[datetime]
    keep_until: Mapped[datetime | None]


class ArchiveRecall(Base):
    """Days that a roll-up needs and that are away: the scheduler brings them back, then the waiting marks are computed."""

    __tablename__ = "archive_recalls"
    __table_args__ = (
        PrimaryKeyConstraint("site_id", "kind", "first_day"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "organization_id"),
        one_of("kind", ARCHIVE_KINDS),
    )

    site_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(20))
    first_day: Mapped[date]
    organization_id: Mapped[UUID]
    wanted_at: Mapped[datetime]
