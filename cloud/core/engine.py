"""How connections to PostgreSQL are made: the address, and the pool behind `cloud.core.db`."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.errors import SolarHubError


class DatabaseUrlError(SolarHubError):
    """The database address cannot be understood."""


def async_url(url: str) -> str:
    """Name the driver in an address given as `postgresql://user:password@host:port/database`.

    Raises:
        DatabaseUrlError: if it is no PostgreSQL address; the text never holds the password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError(
            "the database address cannot be read; write it as postgresql://user:password@host:5432/database"
        ) from error
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise DatabaseUrlError(
            f"the database address names {parsed.drivername!r}; Solar Hub needs postgresql://user:password@host:5432/database"
        )
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def create_engine(
    url: str,
    *,
    pool_size: int = 5,
    max_overflow: int = 10,
    pool_timeout_s: float = 10.0,
    connect_timeout_s: float = 10.0,
    statement_cache_size: int = 100,
    read_only: bool = False,
) -> AsyncEngine:
    """Build an engine on asyncpg; nothing is connected yet.

    A connection is not tried before it is given out: that would be three round trips to the server for every transaction. Whoever
    opens a transaction sends its first statement again on another connection if the server has ended this one.

    Args:
        url: `postgresql://...`.
        pool_size: connections kept open.
        max_overflow: connections opened beyond that under load.
        pool_timeout_s: longest wait for a free connection.
        connect_timeout_s: longest wait for a new one.
        statement_cache_size: prepared statements kept per connection; 0 behind a transaction-pooling PgBouncer.
        read_only: every transaction refuses to write.
    """
    read_only_setting = {"default_transaction_read_only": "on"} if read_only else {}
    return create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=pool_timeout_s,
        hide_parameters=True,  # an error's text goes into the log: no hashes and no people's data with it
        connect_args={
            "timeout": connect_timeout_s,
            "statement_cache_size": statement_cache_size,
            "prepared_statement_cache_size": statement_cache_size,
            "server_settings": {"application_name": "solarhub", "timezone": "UTC", **read_only_setting},
        },
    )
