"""After a batch is committed: the roll-up is asked for and live views are told, at most a few times a second for all sites together."""

import asyncio
from datetime import datetime
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cloud.core.jobs import Jobs
from cloud.core.log import get_logger

_log = get_logger(__name__)

ROLL_UP_JOB = "telemetry.roll_up"
ROLL_UP_SEVERAL_JOB = "telemetry.roll_up_several"

SITES_PER_JOB = 8
"""A message costs a third of what storing a small batch does. With more sites in one, the last of them would wait for the others."""

QUIET_S = 0.25
"""Between two rounds; what is rung in between waits for the next one, and a site rung often is rung once."""


def live_channel(site_id: object) -> str:
    """Redis channel on which a site's new values are announced."""
    return f"solarhub:live:{site_id}"


class Bell:
    """Tells workers and live views of sites with something new; one per process.

    The first ring after a quiet time sounds at once. A ring that is lost with the process costs time, never data: the scheduler's sweep
    finds the dirty quarter-hours, and live views also look by themselves.
    """

    def __init__(self, jobs: Jobs, redis: Redis, *, quiet_s: float = QUIET_S) -> None:
        """`quiet_s`: see `QUIET_S`."""
        self._jobs = jobs
        self._redis = redis
        self._quiet_s = quiet_s
        self._to_roll_up: set[UUID] = set()
        self._to_show: dict[UUID, datetime] = {}
        self._rounds: asyncio.Task[None] | None = None

    def ring(self, site_id: UUID, at: datetime, *, roll_up: bool = True) -> None:
        """Say that a site has new values since `at`; `roll_up` also asks a worker for its rollups. Call it after the commit."""
        if roll_up:
            self._to_roll_up.add(site_id)
        self._to_show[site_id] = at
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._go_round())

    async def close(self) -> None:
        """Sound what still waits, and stop."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)
        await self._sound()

    async def _go_round(self) -> None:
        while self._to_show:
            await self._sound()
            await asyncio.sleep(self._quiet_s)

    async def _sound(self) -> None:
        sites, self._to_roll_up = list(self._to_roll_up), set()
        shown, self._to_show = self._to_show, {}
        for first in range(0, len(sites), SITES_PER_JOB):
            match sites[first : first + SITES_PER_JOB]:
                case [site_id]:
                    await self._jobs.enqueue(ROLL_UP_JOB, site_id=site_id)
                case several:
                    await self._jobs.enqueue(ROLL_UP_SEVERAL_JOB, site_ids=",".join(map(str, several)))
        if not shown:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for site_id, at in shown.items():
                    pipe.publish(live_channel(site_id), at.isoformat())
                await pipe.execute()
        except RedisError as error:
            _log.warning("live_events_not_sent", sites=len(shown), error=str(error))
