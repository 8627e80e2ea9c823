"""Shapes of sessions, organisations and members."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cloud.core.fields import (
    Email,
    Line,
    Name,
    NewPassword,
    Prose,
    Secret,
    Slug,
    TimeZoneName,
    WebAddress,
    Word,
    refuse_nulls,
)
from cloud.core.text import Language
from shared.enums import OrgMemberRole


class Retention(BaseModel):
    """How many days numbers stay in the database; days and months stay for ever. What leaves goes to an archive first.

    Attributes:
        raw_days: readings as they came; never less than the 40 days over which a gap in a counter is bridged.
        quarter_hour_days: quarter-hours; a month goes as a whole.
        hour_days: hours, likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw_days: Annotated[int, Field(ge=45, le=3_660)] = 90
    quarter_hour_days: Annotated[int, Field(ge=400, le=7_320)] = 731
    hour_days: Annotated[int, Field(ge=400, le=18_300)] = 1_827

    @model_validator(mode="after")
    def _coarser_is_longer(self) -> Self:
        if not self.raw_days <= self.quarter_hour_days <= self.hour_days:
            raise ValueError(
                f"raw_days {self.raw_days}, quarter_hour_days {self.quarter_hour_days}, hour_days {self.hour_days}: what is finer"
                " cannot stay longer than what is computed from it"
            )
        return self


class OrganizationSettings(BaseModel):
    """`organizations.settings`: what new sites and reports of the organisation start with, and how long numbers are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Language = Language.EN
    timezone: TimeZoneName = "Asia/Karachi"
    currency: Literal["PKR"] = "PKR"
    retention: Retention = Retention()


class LoginIn(BaseModel):
    """E-mail address and password."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"email": "owner@example.pk", "password": "a long password"}}
    )

    email: Annotated[Line, Field(min_length=3)]
    password: Secret


class RefreshIn(BaseModel):
    """A refresh token, in exchange for new tokens or to log out."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: Secret


class TokensOut(BaseModel):
    """A session.

    Attributes:
        access_token: send it as `Authorization: Bearer …`.
        expires_in: seconds that the access token is valid.
        refresh_token: for one use at `POST /api/v1/auth/refresh`; using one twice ends the session.
        refresh_expires_in: seconds that the refresh token is valid.
    """

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the name of the scheme
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class PasswordIn(BaseModel):
    """A new password, and the present one."""

    model_config = ConfigDict(extra="forbid")

    current_password: Secret
    new_password: NewPassword


class MembershipOut(BaseModel):
    """One organisation of the person."""

    organization_id: UUID
    role: OrgMemberRole


class MeOut(BaseModel):
    """Who the access token belongs to."""

    id: UUID
    email: str
    is_super_admin: bool
    language: Language
    memberships: list[MembershipOut]


class OrganizationIn(BaseModel):
    """A new organisation; its creator becomes the owner."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Chenab Solar", "slug": "chenab-solar"}}
    )

    name: Name
    slug: Slug
    description: Prose | None = None
    website: WebAddress | None = None
    settings: OrganizationSettings = OrganizationSettings()


class OrganizationPatch(BaseModel):
    """What is to change; fields that are left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Chenab Solar (Pvt) Ltd"}})

    name: Name | None = None
    slug: Slug | None = None
    description: Prose | None = None
    website: WebAddress | None = None
    settings: OrganizationSettings | None = None

    @model_validator(mode="after")
    def _required_fields_stay(self) -> Self:
        return refuse_nulls(self, "name", "slug", "settings")


class OrganizationOut(BaseModel):
    """An organisation."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    slug: str
    owner_id: UUID
    description: str | None
    website: str | None
    status: str
    settings: dict[str, Any]
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class MemberIn(BaseModel):
    """Who joins, and as what. Ownership is not given this way."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"email": "fitter@example.pk", "role": "installer"}}
    )

    email: Email
    role: OrgMemberRole = OrgMemberRole.VIEWER


class MemberPatch(BaseModel):
    """A member's new role."""

    model_config = ConfigDict(extra="forbid")

    role: OrgMemberRole


class MemberOut(BaseModel):
    """A member, or somebody who is invited."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    organization_id: UUID
    user_id: UUID
    email: str
    first_name: str = Field(description="Empty until the invitation is accepted.")
    last_name: str = Field(description="Empty until the invitation is accepted.")
    role: OrgMemberRole
    invitation_accepted: bool
    invitation_expires: AwareDatetime | None
    joined_at: AwareDatetime | None
    version: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class InvitedOut(MemberOut):
    """The new member, and the token to hand over, shown this once."""

    invitation_token: str


class AcceptIn(BaseModel):
    """An invitation's token; the account's password, or one and a name for a new account."""

    model_config = ConfigDict(extra="forbid")

    token: Secret
    password: NewPassword
    first_name: Word | None = None
    last_name: Word | None = None
