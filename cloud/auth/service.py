"""Passwords, access tokens, and sessions that can be refreshed and ended."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth import repository
from cloud.auth.repository import Account
from cloud.auth.schemas import Principal
from cloud.core.crypto import derive_key, new_token, token_hash
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import UnauthenticatedError
from cloud.core.ids import new_id
from cloud.core.settings import Settings, SettingsError
from shared.enums import UserRole

ACCESS_TTL = timedelta(minutes=10)
REFRESH_TTL = timedelta(days=30)
REUSE_GRACE = timedelta(seconds=10)
"""A client whose answer was lost, or that has two tabs, may send the same refresh token again this long."""

_ALGORITHM = "EdDSA"
_AUDIENCE = "solar-hub-api"
_TOKENS_REMEMBERED = 10_000
_HASHES_AT_ONCE = 2
"""Each takes a core for a tenth of a second and 64 MiB; more at once would starve the threads that jobs and files need."""


class Passwords:
    """Argon2id, in threads: one hash takes a tenth of a second and would hold up every other request."""

    def __init__(self) -> None:
        """With the library's recommended parameters."""
        self._hasher = PasswordHash.recommended()
        self._turns = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Hash a new password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether this is the password; with no stored hash it takes as long and is False."""
        try:
            async with self._turns:
                matches = await asyncio.to_thread(self._matches, password, stored)
        except UnknownHashError:
            return False
        return matches and stored is not None

    def _matches(self, password: str, stored: str | None) -> bool:
        return self._hasher.verify(password, stored or _hash_of_nobody())


@cache
def _hash_of_nobody() -> str:
    """What an unknown account's password is compared with, so that the answer takes as long as for a known one."""
    return PasswordHash.recommended().hash(new_token())


class AccessTokens:
    """JWTs signed with Ed25519: who somebody is, for ten minutes."""

    def __init__(self, key: Ed25519PrivateKey, *, issuer: str) -> None:
        """Sign with a key.

        Args:
            key: of the installation; every API process must have the same.
            issuer: `iss` of the tokens: the installation's public address.
        """
        self._key = key
        self._public = key.public_key()
        self._issuer = issuer
        # Whose signature is good stays good; whether it is still in time is looked at anew with every request.
        self._signed = lru_cache(maxsize=_TOKENS_REMEMBERED)(self._check_signature)

    @classmethod
    def from_settings(cls, settings: Settings) -> "AccessTokens":
        """With the key of the settings, or the one derived from the installation's secret key.

        Raises:
            SettingsError: if SOLARHUB_JWT_PRIVATE_KEY is no Ed25519 key.
        """
        if settings.jwt_private_key is None:
            key = Ed25519PrivateKey.from_private_bytes(derive_key(settings.secret_key_bytes, "access-token"))
            return cls(key, issuer=str(settings.public_url))
        try:
            loaded = load_pem_private_key(settings.jwt_private_key.get_secret_value().encode(), password=None)
        except (ValueError, TypeError):
            loaded = None
        if not isinstance(loaded, Ed25519PrivateKey):
            raise SettingsError(
                "SOLARHUB_JWT_PRIVATE_KEY is not an Ed25519 key in PEM without a password; make one with"
                " `openssl genpkey -algorithm ed25519`, or leave the variable out"
            )
        return cls(loaded, issuer=str(settings.public_url))

    def issue(self, user_id: UUID, now: datetime) -> str:
        """A token for a person, valid for `ACCESS_TTL`."""
        claims = {
            "sub": str(user_id),
            "iss": self._issuer,
            "aud": _AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + ACCESS_TTL).timestamp()),
            "jti": str(new_id()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def verify(self, token: str, now: datetime) -> UUID:
        """The person that a token was issued for.

        Raises:
            UnauthenticatedError: `token_expired`, or `token_invalid` for anything that this installation did not sign.
        """
        user_id, expires = self._signed(token)
        if expires <= now:
            raise UnauthenticatedError(
                "The access token has expired; use the refresh token, or log in again.",
                code="token_expired",
                challenge='Bearer error="invalid_token", error_description="expired"',
            )
        return user_id

    def _check_signature(self, token: str) -> tuple[UUID, datetime]:
        """Whom a token was issued for, and until when.

        Raises:
            UnauthenticatedError: for anything that this installation did not sign.
        """
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=self._issuer,
                # Times are compared with the clock that was passed in, below.
                options={
                    "require": ["sub", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            user_id, expires = UUID(claims["sub"]), datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            raise UnauthenticatedError(
                "The access token is not valid here; log in again.",
                code="token_invalid",
                challenge='Bearer error="invalid_token"',
            ) from None
        return user_id, expires


@dataclass(frozen=True, slots=True)
class Session:
    """What a login or a refresh gives."""

    user_id: UUID
    access_token: str
    refresh_token: str
    access_expires_in_s: int = int(ACCESS_TTL.total_seconds())
    refresh_expires_in_s: int = int(REFRESH_TTL.total_seconds())


class Refused(StrEnum):
    """Why a refresh token was not taken."""

    UNKNOWN = "refresh_invalid"
    REUSED = "refresh_reused"


async def check_password(db: Database, passwords: Passwords, *, email: str, password: str) -> Account:
    """The account that this e-mail address and password belong to.

    No connection is held while the password is hashed: a hundred people who log in at once would hold all of them.

    Raises:
        UnauthenticatedError: `login_failed`, the same for an unknown address, a wrong password and an inactive account.
    """
    async with db.transaction(SYSTEM) as conn:
        account = await repository.find_account(conn, email)
    matches = await passwords.verify(password, account.password_hash if account else None)
    if account is None or not matches or not account.is_active:
        raise UnauthenticatedError("The e-mail address or the password is wrong.", code="login_failed")
    return account


async def open_session(
    conn: AsyncConnection, tokens: AccessTokens, *, user_id: UUID, now: datetime, family_id: UUID | None = None
) -> Session:
    """A new access and refresh token; without `family_id` they begin a new family."""
    refresh = new_token()
    await repository.add_refresh(
        conn,
        user_id=user_id,
        family_id=family_id or new_id(),
        token_hash=token_hash(refresh),
        now=now,
        expires_at=now + REFRESH_TTL,
    )
    return Session(user_id, tokens.issue(user_id, now), refresh)


async def refresh_session(
    conn: AsyncConnection, tokens: AccessTokens, *, refresh_token: str, now: datetime
) -> Session | Refused:
    """Exchange a refresh token for new tokens.

    A token that comes again after the grace time was stolen, or its successor was: the whole family ends. That must be committed,
    so a refusal is returned, not raised.
    """
    stored = await repository.lock_refresh(conn, token_hash(refresh_token))
    if stored is None or stored.revoked_at is not None or stored.expires_at <= now:
        return Refused.UNKNOWN
    if stored.rotated_at is not None and now - stored.rotated_at > REUSE_GRACE:
        await repository.revoke_family(conn, stored.family_id, now)
        return Refused.REUSED
    if await repository.load_principal(conn, stored.user_id) is None:
        await repository.revoke_family(conn, stored.family_id, now)
        return Refused.UNKNOWN
    await repository.mark_rotated(conn, stored.id, now)
    return await open_session(conn, tokens, user_id=stored.user_id, now=now, family_id=stored.family_id)


async def close_session(conn: AsyncConnection, *, refresh_token: str, now: datetime) -> None:
    """Log out: the family of this refresh token ends. An unknown token is already logged out."""
    stored = await repository.lock_refresh(conn, token_hash(refresh_token))
    if stored is not None:
        await repository.revoke_family(conn, stored.family_id, now)


async def sweep_expired_sessions(db: Database, now: datetime) -> int:
    """Delete refresh tokens that can no longer be used or recognised as stolen; returns how many."""
    async with db.transaction(SYSTEM) as conn:
        return await repository.forget_expired(conn, before=now)


async def principal_of(conn: AsyncConnection, user_id: UUID) -> Principal:
    """The person, as the database knows them now.

    Raises:
        UnauthenticatedError: if the account was closed after the token was issued.
    """
    principal = await repository.load_principal(conn, user_id)
    if principal is None:
        raise UnauthenticatedError("This account is not active.", code="token_invalid")
    return principal


async def change_password(
    db: Database, passwords: Passwords, *, email: str, current: str, new: str, now: datetime
) -> None:
    """Give an account another password; every session of it ends.

    Raises:
        UnauthenticatedError: `login_failed` if the present password is another one, or was changed a moment ago.
    """
    account = await check_password(db, passwords, email=email, password=current)
    new_hash = await passwords.hash(new)
    async with db.transaction(SYSTEM) as conn:
        if not await repository.replace_password(conn, account.id, new_hash, stored=account.password_hash):
            raise UnauthenticatedError(
                "The password was changed meanwhile; log in with the new one.", code="login_failed"
            )
        await repository.revoke_all(conn, account.id, now)


async def make_super_admin(
    conn: AsyncConnection, passwords: Passwords, *, email: str, password: str, names: tuple[str, str], now: datetime
) -> bool:
    """Make an account a super administrator with this password; True if the account is new, False if it was there.

    Sessions of an account that was there end: whoever had opened it would be an administrator with them.
    """
    password_hash = await passwords.hash(password)
    existing = await repository.find_account(conn, email)
    if existing is None:
        await repository.add_account(
            conn,
            email=email,
            password_hash=password_hash,
            first_name=names[0],
            last_name=names[1],
            role=UserRole.SUPER_ADMIN,
        )
        return True
    await repository.revoke_all(conn, existing.id, now)
    await repository.set_password(conn, existing.id, password_hash, activate=True, role=UserRole.SUPER_ADMIN)
    return False
