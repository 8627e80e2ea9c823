"""Log in, stay logged in, log out."""

from datetime import timedelta

from cloud.accounts.schemas import LoginIn, MembershipOut, MeOut, PasswordIn, RefreshIn, TokensOut
from cloud.auth import service
from cloud.auth.service import Refused, Session
from cloud.core.db import SYSTEM
from cloud.core.errors import UnauthenticatedError
from cloud.web.deps import CurrentUser, Limits, Now, ServicesDep
from cloud.web.limits import Rate
from cloud.web.routing import api_router

# Most of it is for people without a token yet: one that is made up must not be a way around the limit.
router = api_router("/auth", tags=["sessions"], open_to_all=True)

_WINDOW_S = int(timedelta(minutes=15).total_seconds())
_ATTEMPTS_PER_ADDRESS = 50
_REFRESHES_PER_ADDRESS = 300


def _tokens(session: Session) -> TokensOut:
    return TokensOut(
        access_token=session.access_token,
        expires_in=session.access_expires_in_s,
        refresh_token=session.refresh_token,
        refresh_expires_in=session.refresh_expires_in_s,
    )


@router.post("/login")
async def log_in(body: LoginIn, services: ServicesDep, limits: Limits, now: Now) -> TokensOut:
    """Exchange an e-mail address and a password for tokens.

    After a few failures from one address, this account has to wait there (429, `login_locked`): whoever guesses locks out
    only themselves, and the account stays open from everywhere else.
    """
    pair = Rate("login", services.settings.login_attempts, _WINDOW_S)
    pair_key = f"{body.email.lower()}|{limits.address}"
    # Counted before the password is looked at, so that guesses sent at once are counted as well.
    await limits.take(Rate("login-address", _ATTEMPTS_PER_ADDRESS, _WINDOW_S), limits.address, code="login_locked")
    await limits.take(pair, pair_key, code="login_locked")
    account = await service.check_password(
        services.db, services.passwords, email=body.email, password=body.password.get_secret_value()
    )
    async with services.db.transaction(SYSTEM) as conn:
        session = await service.open_session(conn, services.tokens, user_id=account.id, now=now)
    await limits.forgive(pair, pair_key)
    return _tokens(session)


@router.post("/refresh")
async def refresh(body: RefreshIn, services: ServicesDep, limits: Limits, now: Now) -> TokensOut:
    """Exchange a refresh token for new tokens; it is used up.

    A token that is used again (later than ten seconds after the first time) ends the session everywhere: `refresh_reused`.
    """
    await limits.take(Rate("refresh", _REFRESHES_PER_ADDRESS, _WINDOW_S), limits.address)
    async with services.db.transaction(SYSTEM) as conn:
        outcome = await service.refresh_session(
            conn, services.tokens, refresh_token=body.refresh_token.get_secret_value(), now=now
        )
    if isinstance(outcome, Refused):
        raise UnauthenticatedError("This session has ended; log in again.", code=outcome.value)
    return _tokens(outcome)


@router.post("/logout", status_code=204)
async def log_out(body: RefreshIn, services: ServicesDep, now: Now) -> None:
    """End the session of a refresh token; the access token ends by itself within ten minutes."""
    async with services.db.transaction(SYSTEM) as conn:
        await service.close_session(conn, refresh_token=body.refresh_token.get_secret_value(), now=now)


@router.get("/me")
async def who_am_i(user: CurrentUser) -> MeOut:
    """Who the access token belongs to, and in which organisations."""
    return MeOut(
        id=user.user_id,
        email=user.email,
        is_super_admin=user.is_super_admin,
        language=user.language,
        memberships=[MembershipOut(organization_id=m.organization_id, role=m.role) for m in user.memberships],
    )


@router.post("/password", status_code=204)
async def change_password(body: PasswordIn, user: CurrentUser, services: ServicesDep, limits: Limits, now: Now) -> None:
    """Change the own password; every session of the account ends."""
    rate = Rate("password", services.settings.login_attempts, _WINDOW_S)
    await limits.take(rate, str(user.user_id), code="login_locked")
    await service.change_password(
        services.db,
        services.passwords,
        email=user.email,
        current=body.current_password.get_secret_value(),
        new=body.new_password.get_secret_value(),
        now=now,
    )
    await limits.forgive(rate, str(user.user_id))
