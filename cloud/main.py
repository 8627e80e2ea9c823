"""The API process: builds the application from the domains' routers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI

from cloud import __version__
from cloud.accounts.endpoints import router as accounts_router
from cloud.alerts.endpoints import edge_router as edge_alerts_router
from cloud.alerts.endpoints import router as alerts_router
from cloud.alerts.service import plan_rules
from cloud.billing.endpoints import router as billing_router
from cloud.core.log import get_logger
from cloud.core.memory import settle
from cloud.core.notify import notify_systemd
from cloud.core.settings import Settings
from cloud.devices.endpoints import router as devices_router
from cloud.fleet.endpoints import edge_router as claims_router
from cloud.fleet.endpoints import router as gateways_router
from cloud.fleet.recognition import Recognition
from cloud.fleet.service import Fleet
from cloud.ingest.bell import Bell
from cloud.ingest.endpoints import router as ingest_router
from cloud.ingest.writer import BatchWriter
from cloud.reports.endpoints import router as reports_router
from cloud.sites.endpoints import router as sites_router
from cloud.telemetry.endpoints import router as telemetry_router
from cloud.telemetry.service.stream import LiveHub
from cloud.web.docs import install_docs
from cloud.web.errors import install_error_handlers
from cloud.web.health import router as health_router
from cloud.web.manners import RequestManners
from cloud.web.routing import QuickLane
from cloud.web.services import Services, open_services, utc_now

_log = get_logger(__name__)

ROUTERS = (
    health_router,
    accounts_router,
    sites_router,
    devices_router,
    gateways_router,
    claims_router,
    ingest_router,
    telemetry_router,
    alerts_router,
    edge_alerts_router,
    billing_router,
    reports_router,
)
"""One line per domain, from below to above."""

_DESCRIPTION = """
Every error is a problem document (RFC 9457) with a stable `code`. Lists are `{items, next_cursor}`. What can be changed carries an
`ETag`; send it back as `If-Match` with PATCH and DELETE. A POST with an `Idempotency-Key` can be repeated safely for 24 hours.
Something of another organisation answers like something that does not exist: 404.
"""


def attach(app: FastAPI, services: Services) -> None:
    """Give the application what its endpoints ask for."""
    app.state.services = services
    app.state.fleet = Fleet(services.secrets, plan_rules)
    app.state.recognition = Recognition()
    app.state.bell = Bell(services.jobs, services.redis)
    app.state.writer = BatchWriter(services.bulk)
    app.state.live = LiveHub(services.redis)


def create_app(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The application; its lifespan opens the database and Redis and puts `Services` on `app.state`.

    Args:
        settings: of this process.
        clock: the present moment, aware, UTC.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, clock=clock) as services:
            attach(app, services)
            settle()
            notify_systemd("READY=1")
            _log.info("api_ready", version=__version__)
            yield
            notify_systemd("STOPPING=1")
            await app.state.writer.close()
            await app.state.bell.close()

    app = FastAPI(
        title="Solar Hub",
        version=__version__,
        summary="From an inverter's registers to an electricity bill",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(QuickLane, routers=ROUTERS)
    install_error_handlers(app)
    install_docs(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(
        RequestManners, max_body_bytes=settings.max_body_bytes, https=settings.public_url.scheme == "https"
    )
    return app
