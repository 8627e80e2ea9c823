"""A streaming replica that answers reads of telemetry, and the primary whenever it cannot."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import Database, DatabaseBusyError, DatabaseUnavailableError, PrivilegedRoleError, TenantContext
from cloud.core.log import get_logger

_log = get_logger(__name__)

REPLY_WITHIN_S = 2.0
"""A replica that takes longer to give a connection is treated as away."""

ASK_AGAIN_AFTER_S = 10.0
"""How long the primary answers before the replica is tried again."""

_AWAY = (DatabaseUnavailableError, DatabaseBusyError, DBAPIError, TimeoutError)


class Replica:
    """Read-only transactions on a copy of the database.

    Every transaction there is read-only and has its own tenant context: the policies of the primary hold on the copy as well.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        max_overflow: int,
        pool_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: `postgresql://…` of the replica, as the application role.
            pool_size: connections kept open.
            max_overflow: connections beyond that under load.
            pool_timeout_s: longest wait for a free connection.
            clock: seconds that only grow.
        """
        self._url = url
        self._pool = (pool_size, max_overflow, pool_timeout_s)
        self._clock = clock
        self._database: Database | None = None
        self._opening = asyncio.Lock()
        self._away_until: float | None = None

    async def open(self) -> None:
        """Try the replica once, so that a wrong login is told at the start; one that is away is only logged.

        Raises:
            DatabaseUrlError: if the address is not one of PostgreSQL.
            PrivilegedRoleError: if the login would pass row-level security by.
        """
        try:
            async with asyncio.timeout(REPLY_WITHIN_S):
                await self._opened()
        except _AWAY as error:
            self._set_away(error)

    @asynccontextmanager
    async def transaction(
        self, context: TenantContext, *, otherwise: AsyncConnection
    ) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction that sees the rows of `context`.

        Args:
            context: whose rows.
            otherwise: a transaction of the primary with the same context, for when the replica is away.
        """
        async with AsyncExitStack() as stack:
            conn = await self._enter(stack, context)
            yield otherwise if conn is None else conn

    async def dispose(self) -> None:
        """Close every connection."""
        if self._database is not None:
            await self._database.dispose()

    async def _enter(self, stack: AsyncExitStack, context: TenantContext) -> AsyncConnection | None:
        """A transaction on the replica, or None. One request at a time finds out whether it is back."""
        if self._away_until is not None and (self._clock() < self._away_until or self._opening.locked()):
            return None
        try:
            async with asyncio.timeout(REPLY_WITHIN_S):
                database = await self._opened()
                conn = await stack.enter_async_context(database.transaction(context))
        except (*_AWAY, PrivilegedRoleError) as error:
            self._set_away(error)
            return None
        if self._away_until is not None:
            self._away_until = None
            _log.info("replica_back")
        return conn

    async def _opened(self) -> Database:
        async with self._opening:
            if self._database is None:
                size, overflow, timeout_s = self._pool
                self._database = await Database.connect(
                    self._url, pool_size=size, max_overflow=overflow, pool_timeout_s=timeout_s, read_only=True
                )
            return self._database

    def _set_away(self, error: BaseException) -> None:
        self._away_until = self._clock() + ASK_AGAIN_AFTER_S
        _log.warning("replica_away", error=str(error) or type(error).__name__, primary_answers_for_s=ASK_AGAIN_AFTER_S)
