"""Telemetry over HTTP."""

from fastapi import APIRouter

from cloud.telemetry.endpoints import live, portfolio, series, site

router = APIRouter()
router.include_router(series.router)
router.include_router(site.router)
router.include_router(live.router)
router.include_router(portfolio.router)
