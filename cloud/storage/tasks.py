"""What the scheduler does about keeping; each part finds its work in the database and may be killed at any moment."""

from datetime import datetime, timedelta

from cloud.core.jobs import JobContext
from cloud.core.log import get_logger
from cloud.storage.render import CAN_PARQUET
from cloud.storage.service import clear_partitions, enforce_retention, pack_closed_days, serve_recalls

_log = get_logger(__name__)

PARTITIONS_BEHIND = timedelta(days=7)
"""Partitions of so many past days are there, packed or not: a box that comes back after a week without the internet sends its week."""


ROLLUPS_STAY = timedelta(days=400)
"""No organisation's quarter-hours or hours leave earlier, so no younger partition can have been emptied."""


async def pack(context: JobContext, now: datetime) -> int:
    """Pack days that ended long enough ago, and give their partitions' space back."""
    before = now.date() - timedelta(days=context.settings.pack_after_days)
    packed = await pack_closed_days(context.db, before=before, now=now)
    gone_before = min(before, (now - PARTITIONS_BEHIND).date())
    return packed + await clear_partitions(context.db, "telemetry_readings", before=before, gone_before=gone_before)


async def retain(context: JobContext, now: datetime) -> int:
    """Archive and drop what has outlived its class; without Parquet nothing is dropped."""
    if not CAN_PARQUET:
        _log.warning("retention_stands_still", reason="archives are Parquet files: install solar-hub[parquet]")
        return 0
    moved = await enforce_retention(context.db, context.files, now=now)
    old = (now - ROLLUPS_STAY).date().replace(day=1)
    for table in ("telemetry_quarter_hour", "telemetry_hourly_summary"):
        await clear_partitions(context.db, table, before=old, gone_before=old)
    return moved.files


async def recall(context: JobContext, now: datetime) -> int:
    """Bring back what roll-ups wait for."""
    return await serve_recalls(context.db, context.files, now=now)
