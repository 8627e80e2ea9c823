"""`solarhub create-admin`: the first account."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from cloud.auth.service import Passwords, make_super_admin
from cloud.core.console import explained
from cloud.core.db import SYSTEM, Database
from cloud.core.settings import Settings
from cloud.core.start import command_settings
from cloud.web.services import utc_now
from shared.errors import SolarHubError

_MIN_PASSWORD_CHARS = 10


def create_admin(
    email: Annotated[str, typer.Option(help="E-mail address to log in with.")],
    first_name: Annotated[str, typer.Option(help="First name.")] = "Administrator",
    last_name: Annotated[str, typer.Option(help="Last name.")] = "",
) -> None:
    """Make an account a super administrator, or give an existing one that role and a new password.

    The password comes from SOLARHUB_ADMIN_PASSWORD, or is asked for; it never stands on the command line.
    """
    with explained():
        settings = command_settings()
        password = os.environ.get("SOLARHUB_ADMIN_PASSWORD") or _ask_password()
        if len(password) < _MIN_PASSWORD_CHARS:
            raise SolarHubError(f"the password has {len(password)} characters; choose at least {_MIN_PASSWORD_CHARS}")
        if "@" not in email.strip("@"):
            raise SolarHubError(f"{email!r} is not an e-mail address; write it as name@example.pk")
        made = asyncio.run(_make_admin(settings, email, password, (first_name, last_name)))
        typer.echo(f"{'created' if made else 'updated'} super administrator {email.strip().lower()}")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        raise SolarHubError("there is nobody to ask for the password; set SOLARHUB_ADMIN_PASSWORD")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


async def _make_admin(settings: Settings, email: str, password: str, names: tuple[str, str]) -> bool:
    db = await Database.connect(settings.admin_url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with db.transaction(SYSTEM) as conn:
            return await make_super_admin(conn, Passwords(), email=email, password=password, names=names, now=utc_now())
    finally:
        await db.dispose()
