"""The commands `solarhub-edge device test|add|list|remove`: from a device that answers to a draft of the plan."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.clock import SystemClock
from edge_agent.config import load_settings
from edge_agent.errors import EdgeError
from edge_agent.installer.asking import AUTO, Asked, opened
from edge_agent.installer.cli import (
    Folder,
    Json,
    LoggerSerial,
    ProfileName,
    Type,
    Unit,
    Url,
    device_app,
)
from edge_agent.installer.draft import FILE_NAME, DraftDevice, PlanDraft, load_draft, save_draft
from edge_agent.installer.endings import EXIT_ERROR, exit_code_of, fail, quiet
from edge_agent.installer.examine import Examination, Wishes, checked_place, examine
from edge_agent.installer.plausibility import Finding, Place, Verdict
from edge_agent.store.status import read_status

__all__ = ["device_app"]

Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with settings; else SOLARHUB_EDGE_CONFIG or /etc/solarhub/edge.toml."),
]
Draft = Annotated[
    Path | None, typer.Option("--draft", help=f"The file; else {FILE_NAME} in the folder of the settings.")
]
Latitude = Annotated[float | None, typer.Option(help="Of the site, north positive; else the plan's, if there is one.")]
Longitude = Annotated[float | None, typer.Option(help="Of the site, east positive.")]
RatedKw = Annotated[
    float | None, typer.Option("--rated-kw", min=0.001, help="Rated power; else what the inverter says.")
]

_MARKS = {Verdict.OK: "ok", Verdict.DOUBTFUL: "LOOK", Verdict.WRONG: "WRONG", Verdict.NOT_CHECKED: "-"}


@device_app.command("test")
def judge_command(
    *,
    url: Url,
    profile: ProfileName = AUTO,
    unit: Unit = None,
    device_type: Type = None,
    latitude: Latitude = None,
    longitude: Longitude = None,
    rated_kw: RatedKw = None,
    logger_serial: LoggerSerial = None,
    folder: Folder = None,
    draft: Draft = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Read a device and judge whether its numbers can be true: phases, frequency, volts times amperes, night, the meter's sign.

    Exit codes: 0 nothing is wrong, 1 something is or the device gave no values, 2 the command is wrong.
    """
    quiet()
    try:
        wishes = Wishes(rated_kw=rated_kw, place=_place(latitude, longitude, config=config))
        asked = Asked(url, profile, unit, device_type, logger_serial, folder)
        found = asyncio.run(_examine(asked, wishes=wishes, draft=load_draft(_file(draft, config))))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(json.dumps(_document(found)) if as_json else findings_text(found.findings))
    if found.verdict is Verdict.WRONG:
        raise typer.Exit(EXIT_ERROR)


@device_app.command("add")
def add_command(
    *,
    url: Url,
    profile: ProfileName = AUTO,
    unit: Unit = None,
    device_type: Type = None,
    name: Annotated[str, typer.Option("--name", help="What people call it, such as 'North roof'.")] = "",
    latitude: Latitude = None,
    longitude: Longitude = None,
    rated_kw: RatedKw = None,
    interval: Annotated[float, typer.Option(min=1, max=3600, help="Seconds between two readings.")] = 10.0,
    logger_serial: LoggerSerial = None,
    folder: Folder = None,
    draft: Draft = None,
    config: Config = None,
    replace: Annotated[bool, typer.Option("--replace", help="Read anew what is in the draft already.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Add it although something is wrong.")] = False,
    as_json: Json = False,
) -> None:
    """Read a device, judge it, and add it to the draft of the plan, a JSON file on this box.

    A hybrid inverter becomes up to three devices: inverter, battery and meter. What is wrong is not added, unless --anyway says so.
    The cloud takes no drafts from a box yet: enter what `device list` shows under the site's devices there, and the agent gets it with
    its plan.

    Exit codes: 0 added, 1 not added, 2 the command is wrong.
    """
    quiet()
    try:
        wishes = Wishes(name, rated_kw, interval, _place(latitude, longitude, config=config))
        file = _file(draft, config)
        before = load_draft(file)
        asked = Asked(url, profile, unit, device_type, logger_serial, folder)
        found = asyncio.run(_examine(asked, wishes=wishes, draft=before))
        is_added = anyway or found.verdict is not Verdict.WRONG
        if is_added:
            save_draft(file, _with_all(before, found.entries(), replace=replace))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    if as_json:
        typer.echo(json.dumps({**_document(found), "added": is_added, "draft": str(file)}))
    else:
        typer.echo(findings_text(found.findings))
        names = ", ".join(device.name for device in found.devices)
        typer.echo(f"Added to {file}: {names}" if is_added else "Not added. Correct what is wrong, or add --anyway.")
    if not is_added:
        raise typer.Exit(EXIT_ERROR)


@device_app.command("list")
def list_command(draft: Draft = None, config: Config = None, as_json: Json = False) -> None:
    """Show the devices of the draft; with --json in the form in which the cloud takes a site's devices."""
    try:
        found = load_draft(_file(draft, config))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    if as_json:
        typer.echo(json.dumps([cloud_form(entry) for entry in found.devices]))
        return
    for entry in found.devices:
        device = entry.device
        where = ", ".join(f"{key} {value}" for key, value in device.connection.items() if key not in _SECRETS)
        typer.echo(
            f"{device.name:24} {device.device_type.value:16} {device.protocol.value:12} {device.profile:20} {where}"
        )


@device_app.command("remove")
def remove_command(
    name: Annotated[str, typer.Argument(help="Of the device in the draft.")],
    draft: Draft = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take a device out of the draft."""
    try:
        file = _file(draft, config)
        save_draft(file, load_draft(file).without(name))
    except EdgeError as error:
        fail(error, as_json=as_json, code=exit_code_of(error))
    typer.echo(json.dumps({"removed": name}) if as_json else f"{name} is no longer in {file}")


_SECRETS = frozenset({"password", "token"})


def cloud_form(entry: DraftDevice) -> dict[str, Any]:
    """A device as the cloud's form and API take it, without the site; secrets in clear, because they are needed there."""
    device = entry.device
    return {
        "name": device.name,
        "device_type": device.device_type.value,
        "manufacturer": entry.identity.get("manufacturer"),
        "model": entry.identity.get("model"),
        "serial_number": entry.identity.get("serial_number"),
        "protocol": device.protocol.value,
        "connection_config": device.connection,
        "profile": device.profile,
        "poll_interval_s": device.poll_interval_s,
        "rated_power_kw": device.rated_power_kw,
    }


def findings_text(findings: tuple[Finding, ...]) -> str:
    """Findings for people, what is wrong first."""
    order = [Verdict.WRONG, Verdict.DOUBTFUL, Verdict.NOT_CHECKED, Verdict.OK]
    ranked = sorted(findings, key=lambda finding: order.index(finding.verdict))
    return "\n".join(f"{_MARKS[each.verdict]:6} {each.check:14} {each.reason}" for each in ranked)


def _document(found: Examination) -> dict[str, Any]:
    return {
        "profile": found.report.profile,
        "verdict": found.verdict.value,
        "findings": [
            {"check": each.check, "verdict": each.verdict.value, "reason": each.reason} for each in found.findings
        ],
        "devices": [{"name": device.name, "device_type": device.device_type.value} for device in found.devices],
    }


def _with_all(draft: PlanDraft, entries: tuple[DraftDevice, ...], *, replace: bool) -> PlanDraft:
    for entry in entries:
        draft = draft.with_device(entry, replace=replace)
    return draft


def _file(draft: Path | None, config: Path | None) -> Path:
    return draft or load_settings(file=config).data_dir / FILE_NAME


def _place(latitude: float | None, longitude: float | None, *, config: Path | None) -> Place | None:
    """As typed; else the place of the site in the present plan; None where neither is known."""
    typed = checked_place(latitude, longitude)
    if typed is not None:
        return typed
    try:
        plan = read_status(load_settings(file=config).data_dir).plan
    except EdgeError:
        return None  # a box that was never enrolled has no store
    return None if plan is None else checked_place(plan.site.latitude, plan.site.longitude)


async def _examine(asked: Asked, *, wishes: Wishes, draft: PlanDraft) -> Examination:
    async with opened(asked) as found:
        return await examine(
            found.session,
            found.profile,
            device_types=found.device_types,
            wishes=wishes,
            draft=draft,
            clock=SystemClock(),
        )
