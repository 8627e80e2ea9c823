"""The commands `solarhub-edge device …`."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.errors import EdgeError
from edge_agent.installer.address import EXAMPLES
from edge_agent.installer.asking import AUTO, Asked, read_once
from edge_agent.installer.endings import EXIT_ERROR, UsageError, exit_code_of, fail, quiet
from edge_agent.installer.reading import DeviceReport
from edge_agent.installer.scan import FoundDevice, Progress, Scanner
from edge_agent.installer.scan_plan import PORTS, RATES
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType

_TERMINAL_WIDTH = 79

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
    asked = Asked(url, profile, unit, device_type, logger_serial, folder)
    try:
        report = asyncio.run(read_once(asked))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(json.dumps(report.to_json(raw=raw)) if as_json else report_text(report, raw=raw))


@device_app.command("scan")
def scan_command(
    *,
    serial: Annotated[str, typer.Option("--serial", help="Serial port to look on, such as /dev/serial/by-id/….")] = "",
    network: Annotated[
        str, typer.Option("--network", help="Network to look in, such as 192.168.1.0/24; a /22 at most.")
    ] = "",
    unit: Annotated[
        list[int] | None, typer.Option(min=1, max=247, help="Only these units; else the likely ones.")
    ] = None,
    rate: Annotated[list[int] | None, typer.Option(help="Only these baud rates; else all usual ones.")] = None,
    port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, help="Only these TCP ports; else 502, 1502, 8899.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="On a serial port ask all units 1 to 247, not only the likely.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also in a network that is not private.")] = False,
    timeout: Annotated[float, typer.Option(min=0.05, max=10, help="Seconds to wait for each answer.")] = 0.5,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Find devices on a serial line or in a network, and say which profile fits. Nothing is written to any device.

    On a serial line the likely units are asked with every rate; if none answers, all other units follow. No other program may use the
    line meanwhile: stop the agent first.

    Exit codes: 0 devices were found, 1 none was, 2 the command is wrong.
    """
    quiet()
    started = time.monotonic()
    scanner = Scanner(
        ProfileLibrary(folder), timeout_s=timeout, ports=tuple(port or PORTS), progress=_progress(as_json=as_json)
    )
    units, rates = tuple(unit or ()), tuple(rate or RATES)
    try:
        if bool(serial) == bool(network):
            raise UsageError("give either --serial PORT or --network CIDR")
        if serial:
            found = asyncio.run(scanner.serial(serial, rates=rates, units=units, full=full))
        else:
            found = asyncio.run(scanner.network(network, units=units, force=force))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    if as_json:
        devices = [device.to_json() for device in found]
        typer.echo(
            json.dumps(
                {"found": devices, "asked": scanner.progress.done, "seconds": round(time.monotonic() - started, 3)}
            )
        )
    elif not found:
        typer.echo(
            "Nothing answers. Check the wiring (A and B swapped?), the power, and that no other program uses the line."
        )
    if not found:
        raise typer.Exit(EXIT_ERROR)


def _progress(*, as_json: bool) -> Progress:
    """A line that is written over again on a terminal; devices as they are found, unless they come as JSON at the end."""
    watched = sys.stderr.isatty()

    def step(done: int, of: int, what: str) -> None:
        if watched:
            typer.echo(f"\r{done}/{of} {what}"[:_TERMINAL_WIDTH].ljust(_TERMINAL_WIDTH), nl=False, err=True)

    def found(device: FoundDevice) -> None:
        if watched:
            typer.echo("\r".ljust(_TERMINAL_WIDTH) + "\r", nl=False, err=True)
        if not as_json:
            typer.echo(found_text(device))

    return Progress(on_step=step, on_found=found)


def found_text(device: FoundDevice) -> str:
    """One device that was found, for people."""
    unit = "" if device.unit is None else f" unit {device.unit}"
    names = " ".join(text for text in device.identity.values() if text)
    fits = device.profile or " or ".join(match.profile for match in device.profiles) or "no profile that is known"
    return f"{device.url}{unit}: {device.note or fits}{f' ({names})' if names else ''}"


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


_SHOWN_UNITS = {"degC": "°C", "percent": "%", "enum": "", "codes": "", "integer": "", "text": ""}


def _value_line(entry: dict[str, Any]) -> str:
    key = entry["metric"] + (f".{entry['channel']}" if entry["channel"] else "")
    value = {None: "-", "": "none"}.get(entry["value"], entry["value"])
    unit = _SHOWN_UNITS.get(entry["unit"], entry["unit"])
    remark = "" if entry["quality"] in {"good", "not_available"} else f"  ({entry['quality'].replace('_', ' ')})"
    return f"{entry['device_type']:16} {key:40} {value!s:>14} {unit}{remark}".rstrip()


def _register_line(read: dict[str, Any]) -> str:
    words = read["trouble"] if read["words"] is None else " ".join(map(str, read["words"]))
    return f"unit {read['unit']} {read['function']} {read['address']}+{read['count']}: {words}"
