"""The command `solarhub`."""

import asyncio
import base64
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
import uvicorn

from cloud import __version__
from cloud.auth.service import Passwords, make_super_admin
from cloud.billing.commands.bill import bill
from cloud.billing.commands.finance import finance
from cloud.billing.commands.tariffs import tariffs
from cloud.billing.commands.urdb import import_urdb
from cloud.billing.loading import load_tariffs
from cloud.billing.schemas.tariffs import LoadedTariffs
from cloud.core.console import command_settings, explained
from cloud.core.db import NOBODY, SYSTEM, Database
from cloud.core.files import LocalFiles
from cloud.core.migrate import upgrade
from cloud.core.settings import Settings, load_settings
from cloud.demo.day import run_day
from cloud.demo.live import run_live
from cloud.ingest.importing.mapping import load_mapping
from cloud.ingest.importing.service import ImportRequest, ImportSummary, import_files
from cloud.ingest.importing.table import csv_files
from cloud.main import create_app
from cloud.scheduler import run_scheduler
from cloud.storage.scaling import Mode, scale
from cloud.storage.service import Moved, archive_days, restore_days
from cloud.telemetry.service.recompute import RecomputedDays, recompute_days
from cloud.web.services import open_bulk_lane, open_database, utc_now
from cloud.worker import run_worker
from shared.errors import SolarHubError

app = typer.Typer(
    name="solarhub", help="Solar Hub's cloud: from readings to energy, bills and reports.", no_args_is_help=True
)

_MIN_PASSWORD_CHARS = 10


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Solar Hub's cloud: from readings to energy, bills and reports."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
) -> None:
    """Serve the API. Run as many processes as needed, behind any load balancer."""
    with explained():
        settings = command_settings()
        # A wrong address or login is told in one sentence, before the server starts and wraps it in a traceback.
        asyncio.run(_check_database(settings))
        uvicorn.run(
            create_app(settings),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.proxy_addresses),
            forwarded_allow_ips=settings.proxy_addresses or None,
            server_header=False,
        )


@app.command()
def worker(
    threads: Annotated[int, typer.Option(help="Tasks that run at once.", min=1, max=64)] = 4,
) -> None:
    """Run the tasks that requests and the scheduler ask for. Run as many processes as needed."""
    with explained():
        settings = command_settings()
        asyncio.run(_check_database(settings))
        run_worker(settings, threads=threads)


@app.command()
def scheduler() -> None:
    """Find work that is due. One process is enough; a second one does no harm."""
    with explained():
        asyncio.run(run_scheduler(command_settings()))


@app.command()
def migrate(
    revision: Annotated[str, typer.Option(help="Alembic revision to go up to.")] = "head",
) -> None:
    """Bring the database to this version of the program, with its tariff data (SOLARHUB_ADMIN_DATABASE_URL)."""
    with explained():
        settings = load_settings()
        upgrade(settings.admin_url, revision)
        print(f"the database is at {revision}")
        # Tariffs change with releases as tables do: a bill must not be made from the rates of the release before. At an older
        # revision the tables may lack what the data needs.
        if revision == "head":
            print(asyncio.run(_load_tariffs(settings)).to_text())


@app.command("create-admin")
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
        print(f"{'created' if made else 'updated'} super administrator {email.strip().lower()}")


@app.command("new-secret-key")
def new_secret_key() -> None:
    """Print a new value for SOLARHUB_SECRET_KEY. Keep it: without it stored device passwords cannot be read."""
    print(base64.b64encode(secrets.token_bytes(32)).decode())


@app.command()
def demo(
    day: Annotated[bool, typer.Option("--day", help="Run one simulated day in two minutes, then leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --day: print the result as one JSON object.")] = False,
    folder: Annotated[Path, typer.Option(help="For data, logs and the report; emptied first.")] = Path(".demo"),
) -> None:
    """A simulated home, its agent and the cloud on this machine, live until Ctrl-C; or one whole day of it, checked."""
    with explained():
        if not day:
            asyncio.run(run_live(folder.resolve() / "live", tell=print))
            return
        result = asyncio.run(run_day(folder.resolve() / "day", tell=_progress))
        print(json.dumps(result) if as_json else json.dumps(result, indent=2, ensure_ascii=False))


def _progress(line: str) -> None:
    typer.echo(line, err=True)


tariffs.command("import-urdb")(import_urdb)
app.add_typer(tariffs, name="tariffs")
app.command("finance")(finance)
app.command("bill")(bill)

telemetry = typer.Typer(help="Readings and what is computed from them.", no_args_is_help=True)
app.add_typer(telemetry, name="telemetry")


@telemetry.command("recompute")
def telemetry_recompute(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First local day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day, included.")],
) -> None:
    """Compute quarter-hours, hours, days and months of a site again from its readings; safe beside running workers."""
    with explained():
        done = asyncio.run(_recompute(command_settings(), site, first, last))
        print(
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
        print(json.dumps(summary.to_json()) if as_json else summary.to_text())


_DAY = ["%Y-%m-%d"]


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
        print(f"{moved.files} days archived: {moved.rows} readings in {moved.size_bytes} bytes")


@telemetry.command("restore")
def telemetry_restore(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First UTC day.")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last UTC day, included.")],
) -> None:
    """Bring a site's archived readings, quarter-hours and hours back, for a week at least; each file's SHA-256 is checked."""
    with explained():
        moved = asyncio.run(_with_files(partial(restore_days, site_id=site, first=first.date(), last=last.date())))
        print(f"{moved.files} files restored: {moved.rows} rows")


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
        return await import_files(db, bulk, request, clock=utc_now, tell=_progress)


async def _recompute(settings: Settings, site_id: UUID, first: datetime, last: datetime) -> RecomputedDays:
    db = await open_database(settings)
    try:
        return await recompute_days(db, site_id, first=first.date(), last=last.date(), now=utc_now())
    finally:
        await db.dispose()


database = typer.Typer(help="The database itself.", no_args_is_help=True)
app.add_typer(database, name="db")


@database.callback()
def _database() -> None:
    """A group of its own, though it has one command so far."""


@database.command("scale")
def database_scale(
    *,
    timescale: Annotated[bool, typer.Option("--timescale", help="Readings and rollups become hypertables.")] = False,
    citus: Annotated[bool, typer.Option("--citus", help="Telemetry is spread over workers by site.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements, change nothing.")] = False,
) -> None:
    """Grow past one machine (SOLARHUB_ADMIN_DATABASE_URL): once, after a backup, while API and workers stand still."""
    with explained():
        if timescale == citus:
            raise SolarHubError("choose one of --timescale and --citus")
        mode = Mode.TIMESCALE if timescale else Mode.CITUS
        statements = asyncio.run(scale(load_settings().admin_url, mode, dry_run=dry_run))
        if dry_run:
            print(";\n".join([*(statement.strip() for statement in statements), ""]))
        else:
            print(f"{len(statements)} statements run" if statements else f"everything is on {mode.value} already")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        raise SolarHubError("there is nobody to ask for the password; set SOLARHUB_ADMIN_PASSWORD")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


async def _load_tariffs(settings: Settings) -> LoadedTariffs:
    db = await Database.connect(settings.admin_url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with db.transaction(NOBODY) as conn:
            return await load_tariffs(conn)
    finally:
        await db.dispose()


async def _check_database(settings: Settings) -> None:
    await (await open_database(settings)).dispose()


async def _make_admin(settings: Settings, email: str, password: str, names: tuple[str, str]) -> bool:
    db = await Database.connect(settings.admin_url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with db.transaction(SYSTEM) as conn:
            return await make_super_admin(conn, Passwords(), email=email, password=password, names=names, now=utc_now())
    finally:
        await db.dispose()
