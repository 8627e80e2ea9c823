"""Organisations and their members in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Label, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from cloud.accounts.schemas import MemberOut, OrganizationOut
from cloud.accounts.tables import Organization, OrganizationMember
from cloud.auth.schemas import Scope
from cloud.auth.scope import scoped
from cloud.auth.tables import User
from cloud.core.ids import new_id
from cloud.web.paging import Paging
from shared.enums import OrgMemberRole

_ORGANIZATION = (
    Organization.id,
    Organization.name,
    Organization.slug,
    Organization.owner_id,
    Organization.description,
    Organization.website,
    Organization.status,
    Organization.settings,
    Organization.version,
    Organization.created_at,
    Organization.updated_at,
)


def _name_of_a_member(column: InstrumentedAttribute[str]) -> Label[str]:
    """The name of somebody who has joined: an invitation does not tell who an address belongs to."""
    return case((OrganizationMember.invitation_accepted, column), else_="").label(column.key)


_MEMBER = (
    OrganizationMember.id,
    OrganizationMember.organization_id,
    OrganizationMember.user_id,
    User.email,
    _name_of_a_member(User.first_name),
    _name_of_a_member(User.last_name),
    OrganizationMember.role,
    OrganizationMember.invitation_accepted,
    OrganizationMember.invitation_expires,
    OrganizationMember.joined_at,
    OrganizationMember.version,
    OrganizationMember.created_at,
    OrganizationMember.updated_at,
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A membership that waits to be accepted, locked by the transaction that read it."""

    member_id: UUID
    user_id: UUID
    expires: datetime | None
    email: str
    password_hash: str | None
    first_name: str
    is_active: bool


async def list_organizations(
    conn: AsyncConnection, scope: Scope, paging: Paging
) -> tuple[Sequence[OrganizationOut], str | None]:
    """A page of the organisations in scope, oldest first."""
    statement = paging.apply(scoped(select(*_ORGANIZATION), Organization.id, scope), Organization.id)
    rows = [OrganizationOut.model_validate(row) for row in await conn.execute(statement)]
    return paging.split(rows, key=lambda row: (row.id,))


async def get_organization(conn: AsyncConnection, organization_id: UUID) -> OrganizationOut | None:
    """One organisation."""
    found = (await conn.execute(select(*_ORGANIZATION).where(Organization.id == organization_id))).one_or_none()
    return None if found is None else OrganizationOut.model_validate(found)


async def slug_is_taken(conn: AsyncConnection, slug: str) -> bool:
    """Whether any organisation has this slug; only the system context sees all of them."""
    return (await conn.execute(select(Organization.id).where(Organization.slug == slug))).first() is not None


async def add_organization(conn: AsyncConnection, *, owner_id: UUID, now: datetime, values: Mapping[str, Any]) -> UUID:
    """A new organisation with its owner's membership; the database checks at commit that both agree."""
    organization_id = new_id()
    await conn.execute(insert(Organization).values(id=organization_id, owner_id=owner_id, **values))
    await conn.execute(
        insert(OrganizationMember).values(
            id=new_id(),
            organization_id=organization_id,
            user_id=owner_id,
            role=OrgMemberRole.OWNER,
            invitation_accepted=True,
            joined_at=now,
        )
    )
    return organization_id


async def change_organization(
    conn: AsyncConnection, organization_id: UUID, *, version: int, values: Mapping[str, Any]
) -> bool:
    """Change fields if the version is still this one."""
    statement = (
        update(Organization)
        .where(Organization.id == organization_id, Organization.version == version)
        .values(**values)
        .returning(Organization.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def delete_organization(conn: AsyncConnection, organization_id: UUID, *, version: int) -> bool:
    """Delete it if the version is still this one; the database refuses while it has sites."""
    statement = (
        delete(Organization)
        .where(Organization.id == organization_id, Organization.version == version)
        .returning(Organization.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def list_members(
    conn: AsyncConnection, organization_id: UUID, paging: Paging
) -> tuple[Sequence[MemberOut], str | None]:
    """A page of an organisation's members, oldest first."""
    statement = (
        select(*_MEMBER)
        .join(User, User.id == OrganizationMember.user_id)
        .where(OrganizationMember.organization_id == organization_id)
    )
    page = paging.apply(statement, OrganizationMember.id)
    rows = [MemberOut.model_validate(row) for row in await conn.execute(page)]
    return paging.split(rows, key=lambda row: (row.id,))


async def get_member(conn: AsyncConnection, organization_id: UUID, member_id: UUID) -> MemberOut | None:
    """One membership of this organisation."""
    statement = (
        select(*_MEMBER)
        .join(User, User.id == OrganizationMember.user_id)
        .where(OrganizationMember.organization_id == organization_id, OrganizationMember.id == member_id)
    )
    found = (await conn.execute(statement)).one_or_none()
    return None if found is None else MemberOut.model_validate(found)


async def add_member(
    conn: AsyncConnection,
    *,
    organization_id: UUID,
    user_id: UUID,
    role: OrgMemberRole,
    invited_by: UUID,
    joined_at: datetime | None = None,
    token_hash: str | None = None,
    expires: datetime | None = None,
) -> UUID | None:
    """A new membership, accepted when `joined_at` is given; None if the account is a member already."""
    statement = (
        pg_insert(OrganizationMember)
        .values(
            id=new_id(),
            organization_id=organization_id,
            user_id=user_id,
            role=role,
            invited_by=invited_by,
            invitation_token=token_hash,
            invitation_expires=expires,
            invitation_accepted=joined_at is not None,
            joined_at=joined_at,
        )
        .on_conflict_do_nothing(index_elements=[OrganizationMember.organization_id, OrganizationMember.user_id])
        .returning(OrganizationMember.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def change_member(conn: AsyncConnection, member_id: UUID, *, version: int, role: OrgMemberRole) -> bool:
    """Change a role if the version is still this one."""
    statement = (
        update(OrganizationMember)
        .where(OrganizationMember.id == member_id, OrganizationMember.version == version)
        .values(role=role)
        .returning(OrganizationMember.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def remove_member(conn: AsyncConnection, member_id: UUID, *, version: int) -> bool:
    """End a membership if the version is still this one."""
    statement = (
        delete(OrganizationMember)
        .where(OrganizationMember.id == member_id, OrganizationMember.version == version)
        .returning(OrganizationMember.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def lock_invitation(conn: AsyncConnection, token_hash: str) -> Invitation | None:
    """The membership that waits for this token."""
    statement = (
        select(
            OrganizationMember.id,
            OrganizationMember.user_id,
            OrganizationMember.invitation_expires,
            User.email,
            User.password_hash,
            User.first_name,
            User.is_active,
        )
        .join(User, User.id == OrganizationMember.user_id)
        .where(OrganizationMember.invitation_token == token_hash, OrganizationMember.invitation_accepted.is_(False))
        .with_for_update()
    )
    found = (await conn.execute(statement)).one_or_none()
    return None if found is None else Invitation(*found)


async def accept_invitation(conn: AsyncConnection, member_id: UUID, now: datetime) -> None:
    """The invited person joins; the token is used up."""
    await conn.execute(
        update(OrganizationMember)
        .where(OrganizationMember.id == member_id)
        .values(invitation_accepted=True, joined_at=now, invitation_token=None, invitation_expires=None)
    )


async def name_account(conn: AsyncConnection, user_id: UUID, *, first_name: str, last_name: str) -> None:
    """Write down the name that an invited person gives."""
    await conn.execute(update(User).where(User.id == user_id).values(first_name=first_name, last_name=last_name))
