"""Whether the process lives, and whether it can serve."""

from collections.abc import Awaitable
from typing import Literal, cast

from fastapi import APIRouter
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.responses import Response

from cloud.core.db import DatabaseBusyError, DatabaseUnavailableError
from cloud.core.migrate import is_at_head
from cloud.web.deps import ServicesDep

router = APIRouter(tags=["operations"])


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
        migrations = "ok" if await is_at_head(services.db) else "behind"
    except DatabaseBusyError:
        database = "busy"
    except DatabaseUnavailableError:
        database = "down"
    redis: Literal["ok", "down"] = "ok"
    try:
        # redis-py types the answer of its shared sync and async commands as a union.
        await cast("Awaitable[bool]", services.redis.ping())
    except RedisError:
        redis = "down"
    if database != "ok" or migrations != "ok":
        response.status_code = 503
        status: Literal["ready", "degraded", "not_ready"] = "not_ready"
    else:
        status = "ready" if redis == "ok" else "degraded"
    return Readiness(status=status, database=database, migrations=migrations, redis=redis)
