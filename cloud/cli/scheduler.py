"""`solarhub scheduler`: what is due."""

import asyncio

from cloud.core.console import explained
from cloud.core.start import command_settings
from cloud.scheduler import run_scheduler


def scheduler() -> None:
    """Find work that is due. One process is enough; a second one does no harm."""
    with explained():
        asyncio.run(run_scheduler(command_settings()))
