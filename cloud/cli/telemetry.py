"""`solarhub telemetry`: readings of a site, and what is computed from them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cloud.core.console import explained, progress
from cloud.core.files import LocalFiles
from cloud.core.settings import Settings
from cloud.core.start import command_settings
from cloud.ingest.importing.mapping import load_mapping
from cloud.ingest.importing.service import ImportRequest, ImportSummary, import_files
from cloud.ingest.importing.table import csv_files
from cloud.storage.service import Moved, archive_days, restore_days
from cloud.telemetry.service.recompute import RecomputedDays, recompute_days
from cloud.web.services import open_bulk_lane, open_database, utc_now

_DAY = ["%Y-%m-%d"]

telemetry = typer.Typer(help="Readings and what is computed from them.", no_args_is_help=True)


@telemetry.command("recompute")
def telemetry_recompute(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First local day.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last local day, included.")],
) -> None:
    """Compute quarter-hours, hours, days and months of a site again from its readings; safe beside running workers."""
    with explained():
        done = asyncio.run(_recompute(command_settings(), site, first, last))
        typer.echo(
            f"{done.devices} devices from {done.window.start.isoformat()} to {done.window.end.isoformat()}:"
            f" {done.settled} quarter-hours computed"
        )


@telemetry.command("import")
def telemetry_import(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV files, or folders with *.csv files.")],
    *,
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    mapping: Annotated[Path, typer.Option("--map", help="TOML file that says what the columns are.")],
    rejects: Annotated[Path, typer.Option(help="Where rows go that cannot be read.")] = Path("import-rejects.csv"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge everything, store nothing.")] = False,
    keep_early: Annotated[
        bool,
        typer.Option("--keep-early", help="Store readings from before their device's commissioning, outside energy."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Take over the readings of an earlier system. The same files again change nothing; a cut-off import goes on where it stopped."""
    with explained():
        request = ImportRequest(
            site_id=site,
            mapping=load_mapping(mapping),
            files=csv_files(paths),
            rejects=rejects,
            dry_run=dry_run,
            keep_early=keep_early,
        )
        summary = asyncio.run(_import(command_settings(), request))
        typer.echo(json.dumps(summary.to_json()) if as_json else summary.to_text())


@telemetry.command("archive")
def telemetry_archive(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First UTC day.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last UTC day, included.")],
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the readings in the database too.")] = False,
) -> None:
    """Write a site's readings to Parquet files in the file store and drop them; what is archived already stays as it is."""
    with explained():
        moved = asyncio.run(
            _with_files(partial(archive_days, site_id=site, first=first.date(), last=last.date(), keep=keep))
        )
        typer.echo(f"{moved.files} days archived: {moved.rows} readings in {moved.size_bytes} bytes")


@telemetry.command("restore")
def telemetry_restore(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First UTC day.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last UTC day, included.")],
) -> None:
    """Bring a site's archived readings, quarter-hours and hours back, for a week at least; each file's SHA-256 is checked."""
    with explained():
        moved = asyncio.run(_with_files(partial(restore_days, site_id=site, first=first.date(), last=last.date())))
        typer.echo(f"{moved.files} files restored: {moved.rows} rows")


async def _with_files(work: Callable[..., Awaitable[Moved]]) -> Moved:
    settings = command_settings()
    db = await open_database(settings)
    try:
        return await work(db, LocalFiles(settings.files_dir), now=utc_now())
    finally:
        await db.dispose()


async def _import(settings: Settings, request: ImportRequest) -> ImportSummary:
    async with AsyncExitStack() as stack:
        db = await open_database(settings)
        stack.push_async_callback(db.dispose)
        bulk = open_bulk_lane(settings)
        stack.push_async_callback(bulk.close)
        return await import_files(db, bulk, request, clock=utc_now, tell=progress)


async def _recompute(settings: Settings, site_id: UUID, first: datetime, last: datetime) -> RecomputedDays:
    db = await open_database(settings)
    try:
        return await recompute_days(db, site_id, first=first.date(), last=last.date(), now=utc_now())
    finally:
        await db.dispose()
