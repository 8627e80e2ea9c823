"""`solarhub worker`: the tasks."""

import asyncio
from typing import Annotated

import typer

from cloud.cli.reach import check_database
from cloud.core.console import explained
from cloud.core.start import command_settings
from cloud.worker import run_worker


def worker(
    threads: Annotated[int, typer.Option(help="Tasks that run at once.", min=1, max=64)] = 4,
) -> None:
    """Run the tasks that requests and the scheduler ask for. Run as many processes as needed."""
    with explained():
        settings = command_settings()
        asyncio.run(check_database(settings))
        run_worker(settings, threads=threads)
