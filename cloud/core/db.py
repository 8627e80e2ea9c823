"""The one door to PostgreSQL: table base, connections, and the tenant context that row-level security reads.

Queries run as SQLAlchemy Core on an `AsyncConnection` (`await conn.execute(select(Site).where(...))` gives rows, no session and no
lazy loading). Hot paths take the asyncpg connection below it with `asyncpg_of`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar, cast
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Double,
    Enum,
    MetaData,
    Numeric,
    Text,
    Time,
    Uuid,
    func,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from cloud.core.engine import create_engine
from cloud.core.errors import OverloadedError
from shared.errors import SolarHubError

APP_ROLE = "solarhub_app"
"""Group role of every application login: no table is its own and it cannot bypass row-level security."""

CONNECT_TIMEOUT_S = 10.0

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

BigInt = Annotated[int, mapped_column(BigInteger)]
JsonObject = dict[str, Any]


DRIVER_ERRORS: tuple[type[Exception], ...] = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""What statements on the connection of `asyncpg_of` raise; SQLAlchemy's are `DBAPIError` with one of these inside."""


class _NoConnectionError(OverloadedError):
    """The database cannot be used right now: nothing was changed; try again shortly.

    `str()` names the place for the log and the command line; `detail`, which a caller of the API sees, does not.
    """

    code = "database_unavailable"

    def __init__(self, message: str) -> None:
        super().__init__()
        self.args = (message,)


class DatabaseUnavailableError(_NoConnectionError):
    """The database cannot be reached: nothing was changed; try again shortly."""


class DatabaseBusyError(_NoConnectionError):
    """Every database connection is in use: nothing was changed; try again shortly."""

    code = "database_busy"


class PrivilegedRoleError(SolarHubError):
    """The login could read every tenant's rows, so row-level security would protect nobody."""


class Base(DeclarativeBase):
    """Root of all tables; constraints without a name of their own get one by the convention."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: Uuid(),
        datetime: DateTime(timezone=True),
        date: Date(),
        time: Time(),
        float: Double(),
        Decimal: Numeric(),
        JsonObject: JSONB(),
        list[JsonObject]: JSONB(),
        str: Text(),
        list[str]: ARRAY(Text()),
        list[UUID]: ARRAY(Uuid()),
    }


class HasId:
    """A UUIDv7 primary key that the application supplies."""

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-10)


class HasCreated:
    """When the row came to be."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)


class Tracked(HasCreated):
    """Creation, last change and version; triggers keep the last two (see `migrations/README.md`)."""

    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=91)
    version: Mapped[int] = mapped_column(server_default=text("1"), sort_order=92)


def pg_enum(values: type[StrEnum], *, name: str) -> Enum:
    """Column type for a PostgreSQL enum whose labels are the values of a StrEnum."""
    return Enum(values, name=name, values_callable=lambda kind: [member.value for member in kind])


def one_of(column: str, values: type[StrEnum] | Sequence[str]) -> CheckConstraint:
    """CHECK for a VARCHAR column that holds one of a fixed list of words."""
    words = [str(value) for value in values]
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


@dataclass(frozen=True, slots=True)
class TenantContext:
    """Whose rows a transaction may see and write.

    Attributes:
        organization_ids: rows of these organisations, in every table that has `organization_id`.
        site_ids: raw readings of these sites: the only table that knows its site but not its organisation.
        system: all rows, for workers that walk the queues of all tenants and for looking up who somebody is.
    """

    organization_ids: tuple[UUID, ...] = ()
    site_ids: tuple[UUID, ...] = ()
    system: bool = False


NOBODY = TenantContext()
"""Sees only what belongs to no tenant: accounts, tariffs, emission factors."""

SYSTEM = TenantContext(system=True)

_SET_CONTEXT = text(
    "SELECT solarhub_set_context(CAST(:organization_ids AS uuid[]), CAST(:site_ids AS uuid[]), CAST(:is_system AS boolean))"
)
_AnswerT = TypeVar("_AnswerT")
_WHO_AM_I = text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")


def _place(url: str) -> str:
    """Host, port and database of an address, for messages."""
    parsed = make_url(url)
    return f"database {parsed.database!r} at {parsed.host or 'localhost'}:{parsed.port or 5432} as user {parsed.username!r}"


def unavailable(url: str, cause: BaseException) -> DatabaseUnavailableError:
    """Say which server did not answer, and what to check; never the password."""
    reason = str(getattr(cause, "orig", None) or cause) or type(cause).__name__
    return DatabaseUnavailableError(
        f"cannot open {_place(url)}: {reason.splitlines()[0]}; check that PostgreSQL runs there and that"
        " SOLARHUB_DATABASE_URL names the right host, port, database, user and password"
    )


async def set_context(conn: AsyncConnection, context: TenantContext) -> None:
    """Change whose rows the running transaction sees; it ends with the transaction.

    For narrowing only: to one site, after the request has shown that the site is the caller's.
    """
    await conn.execute(
        _SET_CONTEXT,
        {
            "organization_ids": list(context.organization_ids),
            "site_ids": list(context.site_ids),
            "is_system": context.system,
        },
    )


async def _greet(conn: AsyncConnection) -> None:
    await conn.execute(text("SELECT 1"))


class Database:
    """A pool of connections to one database.

    Built with `await Database.connect(url)`; closed with `dispose`.
    """

    def __init__(self, engine: AsyncEngine, *, url: str) -> None:
        self._engine = engine
        self._url = url

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_timeout_s: float = 10.0,
        statement_cache_size: int = 100,
        allow_privileged: bool = False,
        read_only: bool = False,
    ) -> "Database":
        """Open a pool and look at who we are.

        Args:
            url: `postgresql://user:password@host:port/database`.
            pool_size: connections kept open.
            max_overflow: connections opened beyond that under load.
            pool_timeout_s: longest wait for a free connection before `DatabaseBusyError`.
            statement_cache_size: prepared statements kept per connection; 0 behind a transaction-pooling PgBouncer.
            allow_privileged: accept a superuser or a role with BYPASSRLS; for administration only.
            read_only: every transaction refuses to write.

        Raises:
            DatabaseUrlError: if the address is not one of PostgreSQL.
            DatabaseUnavailableError: if nobody answers there, or the login is refused.
            PrivilegedRoleError: if the login would pass row-level security by.
        """
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout_s=pool_timeout_s,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            statement_cache_size=statement_cache_size,
            read_only=read_only,
        )
        database = cls(engine, url=url)
        try:
            if not allow_privileged:
                await database._refuse_privileged_role()
            else:
                await database.ping()
        except SolarHubError:
            await engine.dispose()
            raise
        return database

    @asynccontextmanager
    async def transaction(self, context: TenantContext) -> AsyncIterator[AsyncConnection]:
        """Open one transaction that sees the rows of `context`; it commits at the end and rolls back on any exception.

        Raises:
            DatabaseUnavailableError: if the server is gone.
            DatabaseBusyError: if no connection became free in time.
        """
        async with AsyncExitStack() as stack:
            yield await self._open(stack, partial(set_context, context=context))

    @asynccontextmanager
    async def plain_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open one transaction without a tenant context: for administration of roles and databases."""
        async with AsyncExitStack() as stack:
            yield await self._open(stack, _greet)

    async def read_alone(self, read: Callable[[AsyncConnection], Awaitable[_AnswerT]]) -> _AnswerT:
        """Do a read that is one statement, which then is a transaction of its own: one round trip instead of four.

        It has no tenant context, so it sees what belongs to no tenant, or what a function of the database shows it.

        Args:
            read: sends the statement; it is asked again on another connection if the server has ended the first one.
        """
        async with AsyncExitStack() as stack:
            return await self._try_twice(stack, partial(self._read_alone, read=read))

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            DatabaseUnavailableError: if it gives none.
        """
        await self.read_alone(_greet)

    async def dispose(self) -> None:
        """Close every connection of the pool."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """Take a connection; only the taking is translated, errors of the caller's own statements pass as they are."""
        try:
            conn = await self._engine.connect()
        except PoolTimeoutError as error:
            raise DatabaseBusyError(
                f"no connection to {_place(self._url)} became free in time; try again, or raise the pool size"
            ) from error
        except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise unavailable(self._url, error) from error
        try:
            yield conn
        finally:
            await conn.close()

    async def _open(
        self, stack: AsyncExitStack, first: Callable[[AsyncConnection], Awaitable[None]]
    ) -> AsyncConnection:
        """A transaction in which `first` has been sent; it ends with the stack."""
        return await self._try_twice(stack, partial(self._begin, first=first))

    async def _try_twice(
        self, stack: AsyncExitStack, start: Callable[[AsyncExitStack], Awaitable[_AnswerT]]
    ) -> _AnswerT:
        """Start on a connection that was kept open; on another one if the server has ended it meanwhile.

        Nothing of the caller's was sent by then. What was opened moves onto the stack.
        """
        try:
            async with AsyncExitStack() as attempt:
                answer = await start(attempt)
                stack.push_async_exit(attempt.pop_all())
                return answer
        except DBAPIError as error:
            if not _is_connection_lost(error):
                raise
        return await start(stack)

    async def _begin(
        self, stack: AsyncExitStack, first: Callable[[AsyncConnection], Awaitable[None]]
    ) -> AsyncConnection:
        conn = await stack.enter_async_context(self._connection())
        await stack.enter_async_context(conn.begin())
        await first(conn)
        return conn

    async def _read_alone(
        self, stack: AsyncExitStack, read: Callable[[AsyncConnection], Awaitable[_AnswerT]]
    ) -> _AnswerT:
        conn = await stack.enter_async_context(self._connection())
        return await read(await conn.execution_options(isolation_level="AUTOCOMMIT"))

    async def _refuse_privileged_role(self) -> None:
        async with self._connection() as conn:
            role = (await conn.execute(_WHO_AM_I)).one()
        if role.rolsuper or role.rolbypassrls:
            power = "a superuser" if role.rolsuper else "allowed to bypass row-level security"
            raise PrivilegedRoleError(
                f"the database user {role.rolname!r} is {power}: one organisation could read another's rows; connect as a"
                f" login that is a member of {APP_ROLE!r}, and keep this one for migrations (SOLARHUB_ADMIN_DATABASE_URL)"
            )


def is_broken_connection(error: BaseException | None) -> bool:
    """Whether a driver's error says that the connection is gone, rather than that a statement was wrong."""
    closed = isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)
    return closed or isinstance(error, asyncpg.PostgresConnectionError)


def _is_connection_lost(error: DBAPIError) -> bool:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or state.startswith(("08", "57P"))  # connection errors; the server shuts down


async def asyncpg_of(conn: AsyncConnection) -> asyncpg.Connection:
    """Give the asyncpg connection below a transaction, for bulk statements; there JSON goes in as text and comes out as objects."""
    raw = await conn.get_raw_connection()
    return cast("asyncpg.Connection", raw.driver_connection)


async def ensure_partitions(conn: AsyncConnection, table: str, *, first: date, last: date) -> int:
    """Make a telemetry table's partitions for these UTC days, where they are missing.

    Args:
        conn: a transaction; the function in the database has the owner's rights.
        table: `telemetry_readings`, `telemetry_quarter_hour` or `telemetry_hourly_summary`.
        first: first day.
        last: last day, at most 800 days later.

    Returns:
        How many were made.
    """
    made = await conn.scalar(
        text("SELECT solarhub_ensure_partitions(:parent, :first, :last)"),
        {"parent": table, "first": first, "last": last},
    )
    return int(made or 0)
