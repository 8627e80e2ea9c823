"""Numbers that a roll-up needs and that are only in the archive: it says so, its marks wait, and the scheduler brings them back."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import asyncpg_of
from cloud.telemetry.answers import ArchivedDays
from shared.errors import SolarHubError
from shared.periods import Window

WAITS_FOR_ARCHIVE = 9
"""Priority of a mark that cannot be computed before readings are brought back from the archive; the scheduler sets it free."""

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class ArchivedError(SolarHubError):
    """What decides about these numbers is in the archive; they can be computed when it is back.

    Attributes:
        kind: what is missing: `raw` or `quarter_hours`.
        first: the first UTC day that is needed.
        last: the last one.
    """

    def __init__(self, kind: str, first: date, last: date) -> None:
        super().__init__(
            f"{kind} from {first} to {last} are in the archive; they are brought back, then this is computed"
        )
        self.kind = kind
        self.first = first
        self.last = last


def found(moments: list[datetime], away: date | None) -> list[datetime]:
    """What a search has found, unless it would have to look into an archived day.

    Raises:
        ArchivedError: naming the day and its neighbours, which are needed next in most cases.
    """
    if away is not None:
        raise ArchivedError("raw", away - _DAY, away + _DAY)
    return moments


async def refuse_away(
    conn: AsyncConnection, site_id: UUID, *, first: datetime, last: datetime, kind: str = "raw"
) -> None:
    """Check that a stretch of time, both ends included, is in the database.

    Raises:
        ArchivedError: if some of it is only in the archive.
    """
    pg = await asyncpg_of(conn)
    away = await pg.fetchrow(
        """
        SELECT min(first_day), max(last_day) FROM telemetry_archives
        WHERE site_id = $1 AND kind = $2 AND is_away AND first_day <= ($4::timestamptz AT TIME ZONE 'UTC')::date
            AND last_day >= ($3::timestamptz AT TIME ZONE 'UTC')::date
        """,
        site_id,
        kind,
        first,
        last,
    )
    if away[0] is not None:
        raise ArchivedError(kind, away[0], away[1])


async def recall(
    conn: AsyncConnection,
    site_id: UUID,
    device_id: UUID,
    window: Window,
    *,
    missing: ArchivedError,
    now: datetime,
) -> None:
    """Let the marks of a stretch of time wait, and ask for what they need; days that are not away need no asking."""
    pg = await asyncpg_of(conn)
    await pg.execute(
        """
        INSERT INTO archive_recalls (site_id, kind, first_day, organization_id, wanted_at)
        SELECT site_id, kind, first_day, organization_id, $5 FROM telemetry_archives
        WHERE site_id = $1 AND kind = $2 AND is_away AND first_day <= $4 AND last_day >= $3
        ON CONFLICT DO NOTHING
        """,
        site_id,
        missing.kind,
        missing.first,
        missing.last,
        now,
    )
    await pg.execute(
        """
        UPDATE rollup_dirty SET priority = $5
        WHERE site_id = $1 AND device_id = $2 AND bucket >= $3 AND bucket < $4
        """,
        site_id,
        device_id,
        window.start,
        window.end,
        WAITS_FOR_ARCHIVE,
    )


async def days_away(
    conn: AsyncConnection, site_id: UUID, *, kinds: Collection[str], window: Window
) -> list[ArchivedDays]:
    """UTC days of a stretch of time that are only in the archive, in order; neighbours are joined.

    Args:
        conn: the transaction.
        site_id: the site.
        kinds: of what: `raw`, `quarter_hours`, `hours`.
        window: the stretch of time.
    """
    pg = await asyncpg_of(conn)
    records = await pg.fetch(
        """
        SELECT first_day, last_day FROM telemetry_archives
        WHERE site_id = $1 AND kind = ANY ($2::text[]) AND is_away AND first_day <= ($4::timestamptz AT TIME ZONE 'UTC')::date
            AND last_day >= ($3::timestamptz AT TIME ZONE 'UTC')::date
        ORDER BY first_day
        """,
        site_id,
        list(kinds),
        window.start,
        window.end - _MICROSECOND,
    )
    joined: list[ArchivedDays] = []
    for first, last in records:
        if joined and first <= joined[-1].last_day + _DAY:
            joined[-1] = ArchivedDays(joined[-1].first_day, max(joined[-1].last_day, last))
        else:
            joined.append(ArchivedDays(first, last))
    return joined
