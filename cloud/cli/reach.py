"""Whether the database answers, before a long-lived program starts."""

from cloud.core.settings import Settings
from cloud.web.services import open_database


async def check_database(settings: Settings) -> None:
    """Log in once and leave.

    Raises:
        DatabaseUnavailableError: if it does not answer.
        PrivilegedRoleError: if the login could bypass row-level security.
    """
    await (await open_database(settings)).dispose()
