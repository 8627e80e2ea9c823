"""`solarhub demo`: a home to look at."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from cloud.core.console import explained, progress
from cloud.demo.day import run_day
from cloud.demo.live import run_live


def demo(
    *,
    day: Annotated[bool, typer.Option("--day", help="Run one simulated day in two minutes, then leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --day: print the result as one JSON object.")] = False,
    folder: Annotated[Path, typer.Option(help="For data, logs and the report; emptied first.")] = Path(".demo"),
) -> None:
    """A simulated home, its agent and the cloud on this machine, live until Ctrl-C; or one whole day of it, checked."""
    with explained():
        if not day:
            asyncio.run(run_live(folder.resolve() / "live", tell=typer.echo))
            return
        result = asyncio.run(run_day(folder.resolve() / "day", tell=progress))
        typer.echo(json.dumps(result) if as_json else json.dumps(result, indent=2, ensure_ascii=False))
