"""Whether the process lives, and whether it can serve."""

from functools import cache
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.responses import Response

from cloud.core.db import NOBODY, Database, DatabaseBusyError, DatabaseUnavailableError
from cloud.core.migrate import current_revision, head_revision
from cloud.web.deps import ServicesDep

router = APIRouter(tags=["operations"])


_newest_revision = cache(head_revision)
"""Read from the migrations' files once: they do not change while a process runs."""


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """What the process stands on.

    Attributes:
        status: `degraded` still serves: without Redis, jobs wait for the scheduler's sweeps and limits count per process.
        migrations: `behind` until `solarhub migrate` has brought the tables to this version of the program.
    """

    status: Literal["ready", "degraded", "not_ready"]
    database: Literal["ok", "busy", "down"]
    migrations: Literal["ok", "behind", "unknown"]
    redis: Literal["ok", "down"]


@router.get("/healthz")
async def live() -> Health:
    """The process lives; nothing else is looked at."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Do not send requests here now."}})
async def ready(services: ServicesDep, response: Response) -> Readiness:
    """Whether requests should be sent here: the database answers and its tables are those of this program."""
    database: Literal["ok", "busy", "down"] = "ok"
    migrations: Literal["ok", "behind", "unknown"] = "unknown"
    try:
        migrations = "ok" if await _is_at_head(services.db) else "behind"
    except DatabaseBusyError:
        database = "busy"
    except DatabaseUnavailableError:
        database = "down"
    redis: Literal["ok", "down"] = "ok"
    try:
        await services.redis.ping()
    except RedisError:
        redis = "down"
    if database != "ok" or migrations != "ok":
        response.status_code = 503
        status: Literal["ready", "degraded", "not_ready"] = "not_ready"
    else:
        status = "ready" if redis == "ok" else "degraded"
    return Readiness(status=status, database=database, migrations=migrations, redis=redis)


async def _is_at_head(db: Database) -> bool:
    async with db.transaction(NOBODY) as conn:
        return await current_revision(conn) == _newest_revision()
