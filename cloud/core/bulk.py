"""The hot path to PostgreSQL: a few connections of their own, driven by asyncpg without a layer between.

For what happens thousands of times a second and is written as literal SQL in a repository. One round trip opens a transaction with its
tenant context, one ends it. Everything else goes through `cloud.core.db`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import msgspec
from sqlalchemy import make_url

from cloud.core.db import CONNECT_TIMEOUT_S, DatabaseBusyError, TenantContext, unavailable
from cloud.core.errors import CloudError, OverloadedError

BulkConnection: TypeAlias = asyncpg.Connection
"""One transaction's connection; JSON goes in as text."""

WAITING_PER_CONNECTION = 16
"""Transactions that may wait for each connection: more would only be given up later, after a longer wait."""

_SETTINGS = {
    "application_name": "solarhub-bulk",
    "timezone": "UTC",
    "jit": "off",
    # The statements are INSERTs of arrays: no parameter could lead to a better plan, and planning would be done again and again.
    "plan_cache_mode": "force_generic_plan",
}


REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.TransactionRollbackError)
"""A row that is there already, a number that a column cannot hold, a deadlock: nothing was committed, and parts of it may be welcome."""

_CUT = (OSError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
"""The server went away in the middle; nothing was committed, or the batch is a repeat when it comes again."""


_encode = msgspec.json.Encoder().encode
_PARAMETER = re.compile(r"\$(\d+)")


def pg_array(values: Sequence[object]) -> str:
    """A column as the text of a PostgreSQL array, for a parameter written as `$1::text::real[]`.

    A JSON array of numbers, booleans, UUIDs, dates and nulls differs from it only in its brackets. Texts differ in how they escape:
    these travel as `json_text`, read by `jsonb_array_elements_text`.
    """
    return f"{{{_encode(values)[1:-1].decode()}}}"


def json_text(values: object) -> str:
    """An object, or a column of texts or objects, as JSON: for a parameter written as `$1::text::jsonb`; None is JSON's null."""
    return _encode(values).decode()


def parameter_count(sql: str) -> int:
    """How many parameters a part of a statement takes: the highest number in it."""
    return max((int(number) for number in _PARAMETER.findall(sql)), default=0)


def numbered_after(before: int, sql: str) -> str:
    """A part of a statement, its parameters written from `$1` on, with numbers that leave room for those of the parts before it."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + before}", sql)


class BulkLane:
    """A small pool of connections for bulk statements, opened when first used; closed with `close`."""

    def __init__(
        self, url: str, *, connections: int, wait_timeout_s: float, waiting_per_connection: int = WAITING_PER_CONNECTION
    ) -> None:
        """For one process.

        Args:
            url: `postgresql://…`, as the application role.
            connections: transactions at once.
            wait_timeout_s: longest wait for one of them.
            waiting_per_connection: transactions that may wait for each; the next one is refused at once.
        """
        self._url = url
        self._connections = connections
        self._wait_timeout_s = wait_timeout_s
        self._limit = connections * (1 + waiting_per_connection)
        self._under_way = 0
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether the next transaction would be refused."""
        return self._under_way >= self._limit

    @property
    def retry_after_s(self) -> int:
        """When somebody who found no room may come back."""
        return round(self._wait_timeout_s) + 1

    def check_room(self) -> None:
        """Refuse work early, before anything is spent on it.

        Raises:
            OverloadedError: if as many transactions wait as may.
        """
        if self.is_full:
            raise OverloadedError(retry_after_s=self.retry_after_s)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[BulkConnection]:
        """A connection without a transaction: a statement is one by itself, and sees no tenant's rows unless it sets their context.

        Raises:
            OverloadedError: if as many users wait for one as may.
            DatabaseBusyError: if none became free in time.
            DatabaseUnavailableError: if the server is gone.
        """
        self.check_room()
        self._under_way += 1
        try:
            pool = await self._opened()
            conn = await self._acquired(pool)
            try:
                yield conn
            except _CUT as error:
                raise unavailable(self._url, error) from error
            finally:
                # Rolls back whatever was begun and not committed: see `_reset`.
                await pool.release(conn)
        finally:
            self._under_way -= 1

    @asynccontextmanager
    async def transaction(self, context: TenantContext) -> AsyncIterator[BulkConnection]:
        """Open one transaction that sees the rows of `context`; it commits at the end and rolls back on any exception.

        Raises:
            OverloadedError, DatabaseBusyError, DatabaseUnavailableError: see `connection`.
        """
        async with self.connection() as conn:
            await conn.execute(_begin(context))
            try:
                yield conn
            except _CUT:
                raise
            except (asyncpg.PostgresError, CloudError):
                # asyncpg would do it too, but logs it as an error: these are everyday.
                await conn.execute("ROLLBACK")
                raise
            await conn.execute("COMMIT")

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._new_pool()
        return self._pool

    async def _new_pool(self) -> asyncpg.Pool:
        try:
            return await asyncpg.create_pool(
                make_url(self._url).set(drivername="postgresql").render_as_string(hide_password=False),
                min_size=0,
                max_size=self._connections,
                timeout=CONNECT_TIMEOUT_S,
                server_settings=_SETTINGS,
                reset=_reset,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise unavailable(self._url, error) from error

    async def _acquired(self, pool: asyncpg.Pool) -> BulkConnection:
        try:
            return await pool.acquire(timeout=self._wait_timeout_s)
        except TimeoutError as error:
            raise DatabaseBusyError("no connection of the bulk lane became free in time; try again") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise unavailable(self._url, error) from error


def _begin(context: TenantContext) -> str:
    """BEGIN and the tenant context in one message; identifiers are UUIDs, so nothing in them needs quoting."""
    organizations = ",".join(str(organization_id) for organization_id in context.organization_ids)
    sites = ",".join(str(site_id) for site_id in context.site_ids)
    return f"BEGIN; SELECT solarhub_set_context('{{{organizations}}}', '{{{sites}}}', {context.system})"


async def _reset(conn: asyncpg.Connection) -> None:
    # The context ends with the transaction, and nothing else is ever set on these connections.
    if conn.is_in_transaction():
        await conn.execute("ROLLBACK")
