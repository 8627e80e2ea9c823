"""Who is asking, in which organisations, and how they like it."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from cloud.core.fields import TimeZoneName, Word
from cloud.core.shapes import Shape
from cloud.core.text import Language
from shared.enums import OrgMemberRole


@dataclass(frozen=True, slots=True)
class Membership:
    """One organisation of a person, and the role there."""

    organization_id: UUID
    role: OrgMemberRole


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated person, loaded anew for every request, so that a removed membership ends at once.

    Attributes:
        is_super_admin: platform role; sees and may do everything.
        memberships: accepted memberships; authority inside an organisation comes from here alone.
    """

    user_id: UUID
    email: str
    is_super_admin: bool = False
    memberships: tuple[Membership, ...] = ()
    language: Language = Language.EN

    @property
    def organization_ids(self) -> tuple[UUID, ...]:
        """Every organisation of the person."""
        return tuple(membership.organization_id for membership in self.memberships)

    def role_in(self, organization_id: UUID) -> OrgMemberRole | None:
        """The role in an organisation; None for a stranger."""
        for membership in self.memberships:
            if membership.organization_id == organization_id:
                return membership.role
        return None


@dataclass(frozen=True, slots=True)
class Scope:
    """The organisations whose rows an action may touch; every read of a list is limited to it.

    Attributes:
        organization_ids: rows of these, when `everything` is false.
        everything: no limit (super_admin).
    """

    organization_ids: frozenset[UUID] = frozenset()
    everything: bool = False

    def covers(self, organization_id: UUID) -> bool:
        """Whether a row of this organisation may be touched."""
        return self.everything or organization_id in self.organization_ids


class NotificationPreferences(Shape):
    """Ways in which a person wants to be told of alerts."""

    email: bool = True
    sms: bool = False
    push: bool = True


class DashboardPreferences(Shape):
    """How the dashboard opens; `refresh_interval` in seconds."""

    default_view: Word = "overview"
    refresh_interval: Annotated[int, Field(ge=5, le=3_600)] = 30


class UserPreferences(Shape):
    """`users.preferences`."""

    language: Language = Language.EN
    timezone: TimeZoneName = "Asia/Karachi"
    currency: Literal["PKR"] = "PKR"
    notifications: NotificationPreferences = NotificationPreferences()
    dashboard: DashboardPreferences = DashboardPreferences()
