"""Devices."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasId, JsonObject, Tracked, pg_enum
from shared.enums import DeviceStatus, DeviceType, ProtocolType


class Device(HasId, Tracked, Base):
    """One device of a site.

    A device that moves to another site becomes a new row there; the old one keeps its readings and gives up its serial number.
    `version` and `updated_at` follow the configuration only: `status`, `last_seen_at` and `last_error` are news from the field and
    must not make somebody's edit fail.

    Attributes:
        connection_config: host, port, topic …; its secret fields hold ciphertext.
        profile: name of the agent's register profile or topic map, or "sunspec".
        poll_interval_s: seconds between two readings.
        commissioned_at: readings dated before it are flagged and left out of energy.
        metadata_: free facts; the column is called `metadata`.
        number: short key of the device's raw readings; never shown.
    """

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("serial_number"),
        UniqueConstraint("number"),
        UniqueConstraint("site_id", "id"),
        ForeignKeyConstraint(
            ["site_id", "organization_id"], ["sites.id", "sites.organization_id"], ondelete="RESTRICT"
        ),
        Index(None, "site_id", "organization_id"),
        Index(None, "organization_id"),
        Index(None, "status"),
        Index(None, "last_seen_at"),
        Index("ix_devices_online", "site_id", postgresql_where=text("status = 'online'")),
        Index("ix_devices_metadata", "metadata", postgresql_using="gin", postgresql_ops={"metadata": "jsonb_path_ops"}),
        CheckConstraint("poll_interval_s > 0 AND poll_interval_s <= 3600", name="poll_interval_in_range"),
        CheckConstraint("rated_power_kw > 0", name="rated_power_positive"),
    )

    site_id: Mapped[UUID]
    organization_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    device_type: Mapped[DeviceType] = mapped_column(pg_enum(DeviceType, name="device_type"))
    manufacturer: Mapped[str | None] = mapped_column(String(100))
    model: Mapped[str | None] = mapped_column(String(100))
    serial_number: Mapped[str | None] = mapped_column(String(100))
    firmware_version: Mapped[str | None] = mapped_column(String(50))
    protocol: Mapped[ProtocolType] = mapped_column(pg_enum(ProtocolType, name="protocol_type"))
    connection_config: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    profile: Mapped[str] = mapped_column(String(100), server_default="")
    poll_interval_s: Mapped[float] = mapped_column(server_default=text("10"))
    rated_power_kw: Mapped[float | None]
    commissioned_at: Mapped[datetime | None]
    status: Mapped[DeviceStatus] = mapped_column(
        pg_enum(DeviceStatus, name="device_status"), server_default=DeviceStatus.UNKNOWN.value
    )
    last_seen_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    metadata_: Mapped[JsonObject] = mapped_column("metadata", server_default=text("'{}'::jsonb"))
    number: Mapped[int] = mapped_column(Identity(always=True))
