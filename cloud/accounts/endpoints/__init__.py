"""Sessions, organisations and members over HTTP."""

from fastapi import APIRouter

from cloud.accounts.endpoints import members, organizations, sessions

router = APIRouter()
router.include_router(sessions.router)
router.include_router(organizations.router)
router.include_router(members.router)
