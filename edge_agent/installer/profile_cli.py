"""The commands `solarhub-edge profiles …`."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.drivers.factory import SUNSPEC
from edge_agent.errors import ConfigError, EdgeError
from edge_agent.installer.catalogue import Entry, Shown, entries, findings, show, skeleton
from edge_agent.installer.endings import EXIT_ERROR, UsageError, exit_code_of, fail
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.profiles.model import Profile

profiles_app = typer.Typer(
    help="What the agent knows of devices: list, show, check and begin profiles.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Your own profiles, looked at before those that come with the agent.", exists=True),
]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@profiles_app.command("list")
def list_command(
    words: Annotated[list[str] | None, typer.Argument(help="Only profiles in which all these words occur.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """List the profiles, with the platforms and brands that they are for."""
    found = [entry for entry in entries(ProfileLibrary(folder)) if entry.matches(" ".join(words or ()))]
    if as_json:
        typer.echo(json.dumps([entry.to_json() for entry in found]))
        return
    for entry in found:
        typer.echo(_line(entry))


def _line(entry: Entry) -> str:
    if entry.trouble:
        return f"{entry.name:24} {entry.kind:8} BROKEN: {entry.trouble}"
    sold_as = f" ({', '.join(entry.sold_as)})" if entry.sold_as else ""
    return (
        f"{entry.name:24} {entry.kind:8} {entry.quality:14} {', '.join(entry.device_types):32} {entry.title}{sold_as}"
    )


@profiles_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="Name of a profile.")], folder: Folder = None, as_json: Json = False
) -> None:
    """Show one profile: where it comes from, how it asks, what it reads."""
    try:
        if name == SUNSPEC:
            raise UsageError(
                f"{SUNSPEC} is no file: the device says itself which models it has; `device read` shows them"
            )
        found = show(ProfileLibrary(folder), name)
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(found.model_dump_json(by_alias=True, exclude_defaults=True) if as_json else profile_text(found))


def profile_text(found: Shown) -> str:
    """A profile for people."""
    lines = [f"{found.name}: {found.title}", f"quality   {found.quality.value}"]
    if not isinstance(found, Profile):
        lines.append(f"for       {', '.join(found.read_for)}")
        return "\n".join([*lines, *(f"quirk     {quirk}" for quirk in found.quirks), *_sources(found)])
    lines.append(f"platforms {', '.join(found.platforms)}")
    if found.sold_as:
        lines.append(f"sold as   {', '.join(found.sold_as)}")
    lines += [f"identity  {check.function.value} {check.address}: {check.meaning}" for check in found.identity]
    lines += [f"quirk     {quirk}" for quirk in found.quirks]
    lines += [f"control   {control.name}" for control in found.controls]
    lines += _sources(found)
    for row in found.rows:
        kinds = ", ".join(row.read_for)
        lines.append(
            f"{row.function.value:8} {row.first:>6} {row.type.value:10} {row.key:40} {row.unit or '':6} {kinds}"
        )
    return "\n".join(lines)


def _sources(found: Shown) -> list[str]:
    return [f"source    {' '.join(filter(None, (source.title, source.url)))}" for source in found.sources]


@profiles_app.command("lint")
def lint_command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Profile files; without any, all profiles that the agent knows.")
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Check profile files: every finding names the place, the value and what is expected.

    Exit codes: 0 all are sound, 1 there are findings, 2 a file cannot be read.
    """
    try:
        found = {str(path): findings(path) for path in files} if files else _of_library(ProfileLibrary(folder))
    except ConfigError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    if as_json:
        typer.echo(json.dumps([{"profile": name, "findings": each} for name, each in found.items()]))
    else:
        for name, each in found.items():
            typer.echo("\n".join([f"{name}: {len(each) or 'no'} finding(s)", *(f"  {finding}" for finding in each)]))
    if any(found.values()):
        raise typer.Exit(EXIT_ERROR)


def _of_library(library: ProfileLibrary) -> dict[str, list[str]]:
    known = entries(library)
    times = Counter(entry.name for entry in known)
    return {
        entry.name if times[entry.name] == 1 else f"{entry.kind}/{entry.name}": [entry.trouble] if entry.trouble else []
        for entry in known
    }


@profiles_app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(help="Of the platform: small letters, digits and _.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write into; else the present one.")] = None,
    as_json: Json = False,
) -> None:
    """Begin a Modbus profile: a commented file that `profiles lint` refuses until its blanks are filled."""
    try:
        path = _begin(name, out or Path())
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    if as_json:
        typer.echo(json.dumps({"file": str(path), "findings": findings(path)}))
        return
    typer.echo(f"{path} is there. Fill it in, then run `solarhub-edge profiles lint {path}`, and")
    typer.echo(f"`solarhub-edge device read --profile {name} --folder {path.parent} --url …` before the device.")


def _begin(name: str, folder: Path) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name = {name!r}: write small letters, digits and _, beginning with a letter, such as maker_series"
        )
    path = folder / f"{name}.toml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(skeleton(name))
    except FileExistsError:
        raise UsageError(f"{path} is there already; choose another name, or edit that file") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error
    return path
