"""Accounts, memberships and refresh tokens in the database. Callers run it under the system context: nobody is known yet."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Membership, Principal
from cloud.auth.tables import RefreshToken, User
from cloud.core.ids import new_id
from cloud.core.text import Language
from shared.enums import OrgMemberRole, UserRole

# A function of the database: it reads tables of the accounts domain, which lies above this one, and no tenant is known yet.
_PRINCIPAL = text("SELECT * FROM solarhub_principal(CAST(:user_id AS uuid))")


@dataclass(frozen=True, slots=True)
class Account:
    """What a login needs to know of an account."""

    id: UUID
    email: str
    password_hash: str | None
    first_name: str
    last_name: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class StoredRefresh:
    """A refresh token's row, locked by the transaction that read it."""

    id: UUID
    user_id: UUID
    family_id: UUID
    expires_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None


async def find_account(conn: AsyncConnection, email: str) -> Account | None:
    """The account of an e-mail address, in whatever case it was typed."""
    found = (
        await conn.execute(
            select(User.id, User.email, User.password_hash, User.first_name, User.last_name, User.is_active).where(
                func.lower(User.email) == email.strip().lower()
            )
        )
    ).one_or_none()
    return None if found is None else Account(*found)


async def add_account(
    conn: AsyncConnection,
    *,
    email: str,
    password_hash: str | None,
    first_name: str,
    last_name: str = "",
    role: UserRole = UserRole.VIEWER,
    is_active: bool = True,
) -> UUID | None:
    """A new account; None if the address is taken."""
    statement = (
        pg_insert(User)
        .values(
            id=new_id(),
            email=email.strip().lower(),
            password_hash=password_hash,
            first_name=first_name,
            last_name=last_name,
            role=role,
            is_active=is_active,
            is_verified=False,
        )
        .on_conflict_do_nothing()
        .returning(User.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def set_password(
    conn: AsyncConnection, user_id: UUID, password_hash: str, *, activate: bool = False, role: UserRole | None = None
) -> None:
    """Store a new password's hash; `activate` also opens an invited account, `role` sets the platform role."""
    values: dict[str, object] = {"password_hash": password_hash}
    if activate:
        values |= {"is_active": True, "is_verified": True}
    if role is not None:
        values["role"] = role
    await conn.execute(update(User).where(User.id == user_id).values(**values))


async def replace_password(conn: AsyncConnection, user_id: UUID, password_hash: str, *, stored: str | None) -> bool:
    """Store a new password's hash if the present one is still that which was compared; False if it is not."""
    statement = (
        update(User)
        .where(User.id == user_id, User.password_hash == stored)
        .values(password_hash=password_hash)
        .returning(User.id)
    )
    return (await conn.execute(statement)).scalar_one_or_none() is not None


async def load_principal(conn: AsyncConnection, user_id: UUID) -> Principal | None:
    """The person and the accepted memberships in organisations that are not closed; None for an unknown or inactive account.

    One statement, under any tenant context and under none.
    """
    user = (await conn.execute(_PRINCIPAL, {"user_id": user_id})).one_or_none()
    if user is None:
        return None
    spoken = user.preferences.get("language")
    return Principal(
        user_id=user.id,
        email=user.email,
        is_super_admin=user.role == UserRole.SUPER_ADMIN,
        memberships=tuple(
            Membership(organization_id, OrgMemberRole(role))
            for organization_id, role in zip(user.organization_ids, user.organization_roles, strict=True)
        ),
        language=Language(spoken) if spoken in set(Language) else Language.EN,
    )


async def add_refresh(
    conn: AsyncConnection, *, user_id: UUID, family_id: UUID, token_hash: str, now: datetime, expires_at: datetime
) -> None:
    """Store a refresh token."""
    await conn.execute(
        insert(RefreshToken).values(
            id=new_id(),
            user_id=user_id,
            family_id=family_id,
            token_hash=token_hash,
            created_at=now,
            expires_at=expires_at,
        )
    )


async def lock_refresh(conn: AsyncConnection, token_hash: str) -> StoredRefresh | None:
    """A refresh token's row, locked until the transaction ends, so that two uses at once are one after the other."""
    found = (
        await conn.execute(
            select(
                RefreshToken.id,
                RefreshToken.user_id,
                RefreshToken.family_id,
                RefreshToken.expires_at,
                RefreshToken.rotated_at,
                RefreshToken.revoked_at,
            )
            .where(RefreshToken.token_hash == token_hash)
            .with_for_update()
        )
    ).one_or_none()
    return None if found is None else StoredRefresh(*found)


async def mark_rotated(conn: AsyncConnection, refresh_id: UUID, now: datetime) -> None:
    """The token was used; the first use counts."""
    await conn.execute(
        update(RefreshToken)
        .where(RefreshToken.id == refresh_id)
        .values(rotated_at=func.coalesce(RefreshToken.rotated_at, now))
    )


async def revoke_family(conn: AsyncConnection, family_id: UUID, now: datetime) -> None:
    """End everything that came from one login."""
    await conn.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def forget_expired(conn: AsyncConnection, *, before: datetime) -> int:
    """Delete refresh tokens that expired before a moment; returns how many."""
    return (await conn.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))).rowcount


async def revoke_all(conn: AsyncConnection, user_id: UUID, now: datetime) -> None:
    """End every session of an account."""
    await conn.execute(
        update(RefreshToken)
        .where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
