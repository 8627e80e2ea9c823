"""Tariffs and bills over HTTP."""

from fastapi import APIRouter

from cloud.billing.endpoints import actual, ad_hoc, bills, comparison, projection, runs, tariffs

router = APIRouter()
router.include_router(tariffs.router)
router.include_router(ad_hoc.router)
router.include_router(projection.router)
# Before the bills: their addresses would else be taken for a bill's id.
router.include_router(actual.router)
router.include_router(comparison.router)
router.include_router(bills.router)
router.include_router(runs.router)
