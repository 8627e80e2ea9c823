"""The command `solarhub-edge`."""

import asyncio
import json
import logging
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from edge_agent.app import Agent
from edge_agent.clock import Clock, VirtualClock
from edge_agent.config import EdgeSettings, clock_from_environment, load_settings, lock_down
from edge_agent.enrol import (
    Credential,
    EnrolError,
    NotEnrolledError,
    check_cloud_url,
    enrol,
    load_credential,
)
from edge_agent.errors import EdgeError
from edge_agent.installer.limit_cli import device_app
from edge_agent.installer.profile_cli import profiles_app
from edge_agent.simulate import simulate_command
from edge_agent.store.file import StoreFile
from edge_agent.store.status import StoreStatus, read_status
from edge_agent.supervise import Notifier
from edge_agent.uplink import Uplink, tls_context
from shared.metrics import METRICS
from shared.wire import EdgePlan

EXIT_ERROR = 1
EXIT_NOT_ENROLLED = 3

app = typer.Typer(
    help="The Solar Hub agent of a site: reads the devices, keeps every reading, brings it to the cloud.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("simulate")(simulate_command)
app.add_typer(device_app, name="device")
app.add_typer(profiles_app, name="profiles")

Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with settings; else SOLARHUB_EDGE_CONFIG or /etc/solarhub/edge.toml."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: moment, level, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields = {key: value for key, value in record.__dict__.items() if key not in _STANDARD_FIELDS}
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Log to standard error, which systemd brings to the journal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "pymodbus", "uvicorn", "mqtt", "asyncio"):
        logging.getLogger(chatty).setLevel("WARNING")


def _fail(error: Exception | str, *, as_json: bool, code: int = EXIT_ERROR) -> NoReturn:
    typer.echo(json.dumps({"error": str(error)}) if as_json else f"error: {error}", err=True)
    raise typer.Exit(code)


def _settings(config: Path | None, *, as_json: bool) -> tuple[EdgeSettings, Clock]:
    try:
        return load_settings(file=config), clock_from_environment()
    except EdgeError as error:
        _fail(error, as_json=as_json)


@app.command("enrol")
def enrol_command(
    code: Annotated[
        str, typer.Option("--code", help="One-time claim code, XXXX-XXXX, from the site's page in the cloud.")
    ],
    cloud: Annotated[
        str, typer.Option("--cloud", help="Address of the cloud, https://…; else the setting cloud_url.")
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Give up the present credential for a new one.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make this box part of a site."""
    settings, clock = _settings(config, as_json=as_json)
    configure_logging("ERROR")
    try:
        url = check_cloud_url(cloud or (str(settings.cloud_url) if settings.cloud_url else ""))
        _refuse_second_credential(settings.data_dir, replace=replace)
        credential, plan = asyncio.run(_enrol(settings, clock, url=url, code=code))
    except EdgeError as error:
        _fail(error, as_json=as_json)
    if as_json:
        answer = {
            "gateway_id": str(credential.gateway_id),
            "cloud_url": url,
            "site": plan.site.name,
            "devices": len(plan.devices),
        }
        typer.echo(json.dumps(answer))
        return
    typer.echo(
        f"Enrolled at {plan.site.name} as gateway {credential.gateway_id}, {len(plan.devices)} device(s) to read."
    )
    typer.echo("Next: `solarhub-edge run`, or `systemctl start solarhub-edge`.")


def _refuse_second_credential(folder: Path, *, replace: bool) -> None:
    if replace:
        return
    try:
        present = load_credential(folder)
    except NotEnrolledError:
        return
    raise EnrolError(
        f"this box is gateway {present.gateway_id} at {present.cloud_url} already; add --replace to enrol it anew"
    )


async def _enrol(settings: EdgeSettings, clock: Clock, *, url: str, code: str) -> tuple[Credential, EdgePlan]:
    lock_down(settings.data_dir)
    store = StoreFile(settings.data_dir)
    store.open()
    try:
        verify = tls_context(None if settings.ca_file is None else str(settings.ca_file))
        async with Uplink(url, clock=clock, timeout_s=settings.http_timeout_s, verify=verify) as uplink:
            return await enrol(url, code, store=store, folder=settings.data_dir, clock=clock, uplink=uplink)
    finally:
        store.close()


@app.command("run")
def run_command(config: Config = None) -> None:
    """Read the devices and bring what they say to the cloud, until SIGTERM or Ctrl-C."""
    settings, clock = _settings(config, as_json=False)
    configure_logging(settings.log_level)
    try:
        credential = load_credential(settings.data_dir)
        lock_down(settings.data_dir)
        asyncio.run(_run(settings, credential, clock=clock))
    except NotEnrolledError as error:
        _fail(error, as_json=False, code=EXIT_NOT_ENROLLED)
    except EdgeError as error:
        _fail(error, as_json=False)


async def _run(settings: EdgeSettings, credential: Credential, *, clock: Clock) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await Agent(settings, credential, clock=clock).run(stop, notifier=Notifier())


@app.command("status")
def status_command(config: Config = None, as_json: Json = False) -> None:
    """Show what the agent has and how it stands with the cloud; works while it runs."""
    settings, clock = _settings(config, as_json=as_json)
    try:
        credential = load_credential(settings.data_dir)
    except NotEnrolledError as error:
        if as_json:
            typer.echo(json.dumps({"enrolled": False, "error": str(error)}))
            raise typer.Exit(EXIT_NOT_ENROLLED) from None
        _fail(error, as_json=as_json, code=EXIT_NOT_ENROLLED)
    except EdgeError as error:
        _fail(error, as_json=as_json)
    try:
        status = _status_document(read_status(settings.data_dir), credential, clock)
    except EdgeError as error:
        _fail(error, as_json=as_json)
    if as_json:
        typer.echo(json.dumps(status))
        return
    typer.echo(status_text(status))


def _status_document(store: StoreStatus, credential: Credential, clock: Clock) -> dict[str, Any]:
    now = clock.now()
    return {
        "enrolled": True,
        "gateway_id": str(credential.gateway_id),
        "cloud_url": credential.cloud_url,
        "site": None if store.plan is None else {"id": str(store.plan.site.id), "name": store.plan.site.name},
        "plan_revision": None if store.plan is None else store.plan.revision,
        "epoch": str(store.epoch),
        "readings_total": store.readings_total,
        "readings_thinned": store.readings_thinned,
        "pending_readings": store.depth.readings,
        "pending_flushes": store.depth.flushes,
        "quarantined_flushes": store.quarantined_flushes,
        "oldest_pending_at": _iso(store.oldest_at),
        "acked_seq": store.depth.acked_seq,
        "last_ack_at": store.last_ack_at,
        "last_error": None if store.last_error is None else json.loads(store.last_error),
        "devices": _device_documents(store, now),
        "open_alerts": [alert.model_dump(mode="json") for alert in store.open_alerts],
        "pending_alert_changes": store.waiting_alert_changes,
        "store_bytes": store.store_bytes,
        "local_page": store.local_page,
        "clock": {
            "now": now.isoformat(),
            "time_quality": store.time_quality.value,
            "simulated": isinstance(clock, VirtualClock),
        },
        "events": [{"at": _iso(each.at), "kind": each.kind, "detail": each.detail} for each in store.events],
    }


def _device_documents(store: StoreStatus, now: datetime) -> list[dict[str, Any]]:
    documents = []
    for device in store.plan.devices if store.plan else ():
        newest = store.newest.get(device.id)
        answered = newest.answered_at if newest else None
        documents.append(
            {
                "id": str(device.id),
                "name": device.name,
                "at": _iso(answered),
                "age_s": None if answered is None else round(max(0.0, (now - answered).total_seconds()), 1),
                "link_up": newest.link_up if newest else None,
                "values": newest.values if newest else {},
            }
        )
    return documents


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def status_text(status: dict[str, Any]) -> str:
    """The same for people."""
    site = status["site"]["name"] if status["site"] else "no plan yet"
    lines = [
        f"site       {site}  (gateway {status['gateway_id']})",
        f"cloud      {status['cloud_url']}, last acknowledged {status['last_ack_at'] or 'never'}",
        f"readings   {status['readings_total']} ever, {status['pending_readings']} waiting in {status['pending_flushes']} flushes",
        f"store      {status['store_bytes'] / 1e6:.1f} MB",
        f"clock      {status['clock']['now']} ({status['clock']['time_quality']})",
        f"page       {status['local_page'] or 'not running'}",
    ]
    if status["last_error"]:
        lines.append(f"error      {status['last_error']['message']} (since {status['last_error']['at']})")
    for device in status["devices"]:
        state = {True: "answers", False: "silent", None: "not asked yet"}[device["link_up"]]
        age = "never read" if device["age_s"] is None else f"read {device['age_s']:.0f} s ago"
        lines.append(f"device     {device['name']}: {state}, {age}")
    lines += [
        f"alert      {alert['severity']}: {alert['metric']} since {alert['triggered_at']}"
        for alert in status["open_alerts"]
    ]
    return "\n".join(lines)


@app.command("metrics")
def metrics_command(as_json: Json = False) -> None:
    """List the metrics that devices may report and rules may watch."""
    rows = [
        {
            "name": metric.name,
            "unit": metric.unit,
            "kind": metric.kind.value,
            "channels": metric.channels,
            "device_types": sorted(kind.value for kind in metric.device_types),
        }
        for metric in METRICS.values()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['name']:40} {row['unit']:8} {row['kind']:14} {row['channels']}")
