"""The command `solarhub-edge device set`: writes one control of a device, within what its profile allows."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.clock import SystemClock
from edge_agent.config import load_settings, lock_down
from edge_agent.control.assembly import writer_for
from edge_agent.control.writer import Written
from edge_agent.drivers.factory import DriverFactory
from edge_agent.errors import EdgeError
from edge_agent.installer.add_cli import Config, device_app
from edge_agent.installer.asking import Asked
from edge_agent.installer.cli import Folder, Json, Unit, Url
from edge_agent.installer.endings import UsageError, exit_code_of, fail, quiet
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.store.file import StoreFile
from shared.enums import DeviceType

__all__ = ["device_app"]

Named = Annotated[
    str, typer.Option("--profile", help="Profile of the device, or sunspec; it lists what may be written.")
]
Control = Annotated[str, typer.Option("--control", help="What to set, as `active_power_limit_percent`.")]
To = Annotated[str, typer.Option("--to", help="The value, in the unit of the name.")]
Kind = Annotated[DeviceType, typer.Option("--type", help="Whose control it is.")]
Reversion = Annotated[
    int,
    typer.Option(
        "--reversion-s", min=0, max=65_534, help="SunSpec only: dropped by itself after so many seconds; 0 = never."
    ),
]


@device_app.command("set")
def set_command(
    *,
    url: Url,
    profile: Named,
    control: Control,
    to: To,
    unit: Unit = None,
    device_type: Kind = DeviceType.INVERTER,
    reversion_s: Reversion = 0,
    folder: Folder = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write one control: only what the profile lists and sources confirm, within its range and steps; then it is read back.

    The box remembers each write, so that a device's memory is not worn out. Do not use it on a serial line that the agent is reading.
    Exit codes: 0 the device holds the value, 1 it does not or must not, 2 the command is wrong.
    """
    quiet()
    try:
        value = _number(to)
        asked = Asked(url, profile, unit, device_type, None, folder)
        settings = load_settings(file=config)
        lock_down(settings.data_dir)
        done = asyncio.run(_write(asked, control, value, reversion_s=reversion_s, data_dir=settings.data_dir))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(json.dumps(_document(done)) if as_json else _text(done))


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--to {text!r} is no number; write it as 60 or 59.5") from None


async def _write(asked: Asked, control: str, value: Decimal, *, reversion_s: int, data_dir: Path) -> Written:
    library, clock = ProfileLibrary(asked.folder), SystemClock()
    session = Session(asked.address(library), clock=clock, library=library)
    device = session.plan_device(asked.profile, asked.device_type or DeviceType.INVERTER)
    factory, store = DriverFactory(clock=clock, profiles=library), StoreFile(data_dir)
    store.open()
    try:
        writer = writer_for(factory, device, store, reversion_s=reversion_s)
        return await writer.write(control, value, now=datetime.now(UTC))
    finally:
        await factory.close()
        store.close()


def _document(done: Written) -> dict[str, object]:
    return {
        "control": done.control,
        "value": float(done.value),
        "before": None if done.before is None else float(done.before),
        "changed": done.changed,
        "reverts_after_s": done.reverts_after_s,
    }


def _text(done: Written) -> str:
    if not done.changed:
        return f"{done.control} is {done.value} already; nothing was written"
    before = "" if done.before is None else f", was {done.before}"
    reverts = "" if done.reverts_after_s is None else f"; the device drops it after {done.reverts_after_s:g} s"
    return f"{done.control} is {done.value}{before}{reverts}"
