"""The commands `solarhub-edge device …`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import SUNSPEC
from edge_agent.errors import EdgeError
from edge_agent.installer.address import EXAMPLES, DeviceAddress, parse_address
from edge_agent.installer.detect import Match, detect
from edge_agent.installer.endings import exit_code_of, fail, quiet
from edge_agent.installer.reading import DeviceReport, known_types, read_device
from edge_agent.installer.session import Session
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType

AUTO = "auto"
DEFAULT_UNIT = 1
"""Where neither the installer nor the profile names one."""

device_app = typer.Typer(help="Find devices, read one once, judge what it says.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Url = Annotated[str, typer.Option("--url", help=f"Where the device answers, such as {', '.join(EXAMPLES)}.")]
ProfileName = Annotated[
    str, typer.Option("--profile", help="Name of a profile (`solarhub-edge profiles list`), `sunspec`, or `auto`.")
]
Unit = Annotated[
    int | None, typer.Option("--unit", min=0, max=255, help="Modbus unit; else the profile's usual one, else 1.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Your own profiles, looked at before those that come with the agent.", exists=True),
]
Type = Annotated[
    DeviceType | None, typer.Option("--type", help="Read as this device type only; else all that the profile knows.")
]
LoggerSerial = Annotated[
    int | None, typer.Option("--logger-serial", min=0, help="Number of a Solarman data logger, for v5://.")
]


@device_app.command("read")
def read_command(
    *,
    url: Url,
    profile: ProfileName = AUTO,
    unit: Unit = None,
    device_type: Type = None,
    raw: Annotated[bool, typer.Option("--raw", help="Also show every request and its registers.")] = False,
    logger_serial: LoggerSerial = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Read a device once and show every value; what the device does not know is null.

    Exit codes: 0 values were read, 1 the device gave none, 2 the command is wrong.
    """
    quiet()
    try:
        library = ProfileLibrary(folder)
        address = addressed(url, profile=profile, unit=unit, logger_serial=logger_serial, library=library)
        report = asyncio.run(read_once(address, profile, library=library, device_type=device_type))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(json.dumps(report.to_json(raw=raw)) if as_json else report_text(report, raw=raw))


def addressed(
    url: str, *, profile: str, unit: int | None, logger_serial: int | None, library: ProfileLibrary
) -> DeviceAddress:
    """The address with the unit to ask: the installer's, else the profile's usual one, else 1.

    Raises:
        EdgeError: if the URL is none, or the profile is not known.
    """
    address = parse_address(url, unit=DEFAULT_UNIT if unit is None else unit, logger_serial=logger_serial)
    if unit is not None or profile in {AUTO, SUNSPEC} or not address.has_units:
        return address
    usual = library.modbus(profile).connection.default_unit
    return address if usual is None else address.with_unit(usual)


async def read_once(
    address: DeviceAddress, profile: str, *, library: ProfileLibrary, device_type: DeviceType | None = None
) -> DeviceReport:
    """Read one device, with the profile that is named or that fits.

    Args:
        address: of the device, with the unit to ask.
        profile: name, or "auto".
        library: profiles to choose from.
        device_type: the only one to read; None for all.

    Raises:
        EdgeError: if it cannot be read.
    """
    async with Session(address, clock=SystemClock(), library=library) as session:
        name = profile if profile != AUTO else await _fitting_profile(session)
        types = (device_type,) if device_type is not None else known_types(session, name)
        return await read_device(session, name, device_types=types)


async def _fitting_profile(session: Session) -> str:
    unit = int(session.address.connection.get("slave_id", DEFAULT_UNIT))
    matches = await detect(session, unit)
    if not matches:
        raise DriverError(
            f"profile = 'auto': {session.address.shown} unit {unit} answers, but neither as {SUNSPEC} nor in the identity registers of a "
            "known profile; name the profile (`solarhub-edge profiles list`)",
            retry=False,
            kind="identity",
        )
    best = [match for match in matches if match.checks == matches[0].checks]
    if len(best) > 1:
        raise DriverError(
            f"profile = 'auto': {session.address.shown} unit {unit} fits {_names(best)} equally well; name one of them",
            retry=False,
            kind="identity",
        )
    return best[0].profile


def _names(matches: list[Match]) -> str:
    return ", ".join(f"{match.profile} ({match.title})" for match in matches)


def report_text(report: DeviceReport, *, raw: bool = False) -> str:
    """A report for people."""
    document = report.to_json(raw=raw)
    lines = [f"profile   {document['profile']}"]
    lines += [f"{key:9} {value}" for key, value in document["identity"].items() if isinstance(value, str) and value]
    lines += [_value_line(entry) for entry in document["values"]]
    lines += [f"{part['device_type']}: {part['trouble']}" for part in document["devices"] if part["trouble"]]
    if report.is_counted:
        lines.append(f"{document['requests']} requests, {document['exceptions']} refused, {document['seconds']} s")
    lines += [_register_line(read) for read in document.get("registers", ())]
    return "\n".join(lines)


def _value_line(entry: dict[str, Any]) -> str:
    key = entry["metric"] + (f".{entry['channel']}" if entry["channel"] else "")
    value = "-" if entry["value"] is None else entry["value"]
    remark = "" if entry["quality"] in {"good", "not_available"} else f"  ({entry['quality'].replace('_', ' ')})"
    return f"{entry['device_type']:16} {key:40} {value!s:>14} {entry['unit']}{remark}"


def _register_line(read: dict[str, Any]) -> str:
    words = read["trouble"] if read["words"] is None else " ".join(map(str, read["words"]))
    return f"unit {read['unit']} {read['function']} {read['address']}+{read['count']}: {words}"
