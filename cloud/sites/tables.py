"""Sites."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.db import Base, HasId, JsonObject, Tracked, pg_enum
from shared.enums import SiteStatus


class Site(HasId, Tracked, Base):
    """One installation at one place; its IANA time zone decides where its days begin."""

    __tablename__ = "sites"
    __table_args__ = (
        # Target of the foreign keys that keep a row's organisation and its site's organisation the same.
        UniqueConstraint("id", "organization_id"),
        Index(None, "organization_id"),
        Index(
            "ix_sites_configuration",
            "configuration",
            postgresql_using="gin",
            postgresql_ops={"configuration": "jsonb_path_ops"},
        ),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude_on_earth"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude_on_earth"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    status: Mapped[SiteStatus] = mapped_column(
        pg_enum(SiteStatus, name="site_status"), server_default=SiteStatus.ACTIVE.value
    )
    address: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    timezone: Mapped[str] = mapped_column(String(50), server_default="Asia/Karachi")
    configuration: Mapped[JsonObject] = mapped_column(server_default=text("'{}'::jsonb"))
