"""Runs the simulated home as real devices on real sockets: three Modbus TCP servers and an MQTT sensor.

`solarhub-edge simulate` starts it; an agent whose plan names the printed endpoints cannot tell it from a roof, except by the
serial numbers, which begin with SIM on the SunSpec devices. Agent and simulation share a virtual day when both are given the same
`SOLARHUB_CLOCK_*` settings.
"""

import asyncio
import json
import logging
import secrets
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from math import floor
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from edge_agent.clock import Clock, VirtualClock
from edge_agent.config import clock_from_environment
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_server import RegisterServer
from edge_agent.drivers.mqtt import BrokerAddress, MqttPublisher
from edge_agent.drivers.simulated import SimulatedSite, SiteState
from edge_agent.drivers.simulated_registers import (
    DEYE_BASE,
    SUNSPEC_BASE,
    deye_words,
    sunspec_inverter_words,
    sunspec_meter_words,
)
from edge_agent.errors import ConfigError, EdgeError

log = logging.getLogger(__name__)

_UNIT = 1
_MJ_PER_KWH = 3_600_000_000
_PREPARE_PERIOD_S = 3600
_BROKER_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """What the simulated site is and where its devices listen.

    Attributes:
        host: address of the Modbus servers.
        first_port: port of the first server, the others follow; 0 takes free ones.
        broker: where the irradiance sensor publishes; None leaves the sensor out.
        topic_prefix: before `/irradiance` and `/status`.
        publish_interval_s: seconds of the clock between two messages.
        commissioned: local date from which the counters count; None = the clock's first day. Give a fixed date to a site that is to
            live through restarts of this program: its counters then go on (every day since costs a fraction of a second at the start).
        truth_file: where to write, at the end or on SIGUSR1, what the site really did.
    """

    host: str = "127.0.0.1"
    first_port: int = 0
    broker: BrokerAddress | None = None
    topic_prefix: str = "sensors/roof"
    publish_interval_s: float = 30.0
    latitude: float = 31.52
    longitude: float = 74.36
    timezone: str = "Asia/Karachi"
    commissioned: date | None = None
    seed: int = 1
    truth_file: Path | None = None


def build_site(config: SimulationConfig, clock: Clock) -> SimulatedSite:
    """Make the site, with the clock's whole stretch (or today and tomorrow) computed."""
    start, end = _stretch(clock)
    commissioned = config.commissioned or start.astimezone(ZoneInfo(config.timezone)).date()
    site = SimulatedSite(
        config.latitude, config.longitude, timezone=config.timezone, commissioned=commissioned, seed=config.seed
    )
    site.prepare(end)
    site.prepare(start)  # last, because only the newest computed days are kept
    return site


def truth(site: SimulatedSite, *, start: datetime, end: datetime) -> dict[str, Any]:
    """What happened between two moments: kWh by the counters as shown, and by exact integration."""
    shown = asdict(site.counter_energy_wh(start, end))
    exact = asdict(site.true_energy_mj(start, end))
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "counter_energy_kwh": {flow: wh / 1000 for flow, wh in shown.items()},
        "true_energy_kwh": {flow: round(mj / _MJ_PER_KWH, 6) for flow, mj in exact.items()},
        "shown_at_start_wh": asdict(site.device_counters(start)),
        "shown_at_end_wh": asdict(site.device_counters(end)),
    }


async def run_site(
    config: SimulationConfig,
    clock: Clock,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[dict[str, Any]], None],
    write_now: asyncio.Event | None = None,
) -> None:
    """Serve the site until `stop` is set.

    Args:
        config: see `SimulationConfig`.
        clock: the time that the site lives in.
        stop: ends the run.
        on_ready: called once with the endpoints when everything listens.
        write_now: each time it is set, the truth file is written and it is cleared.

    Raises:
        ServerAddressError: if a port is taken.
        SimulationError: if the clock stands before the commissioning date.
    """
    site = await asyncio.to_thread(build_site, config, clock)
    start = _stretch(clock)[0]
    async with AsyncExitStack() as stack:
        endpoints: dict[str, Any] = {}
        for index, (name, first_address, words) in enumerate(_DEVICES):
            port = config.first_port + index if config.first_port else 0
            image = _image(site, clock, words=words)
            server = RegisterServer(config.host, port, unit=_UNIT, first_address=first_address, image=image)
            await stack.enter_async_context(server)
            endpoints[name] = {"host": server.host, "port": server.port, "slave_id": server.unit}
        tasks = [asyncio.create_task(_compute_ahead(site, clock)), asyncio.create_task(stop.wait())]
        if config.broker is not None:
            tasks.append(asyncio.create_task(_publish_for_ever(site, clock, config=config, broker=config.broker)))
            endpoints["mqtt"] = {
                "host": config.broker.broker,
                "port": config.broker.port,
                "topic_prefix": config.topic_prefix,
            }
        if write_now is not None:
            tasks.append(asyncio.create_task(_write_on_request(site, clock, config=config, start=start, ask=write_now)))
        try:
            on_ready(endpoints)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    write_truth(config.truth_file, site=site, start=start, end=clock.now())


def write_truth(path: Path | None, *, site: SimulatedSite, start: datetime, end: datetime) -> None:
    """Write the truth as JSON, whole or not at all; without a path nothing is written."""
    if path is None:
        return
    half = path.with_name(path.name + ".part")
    half.write_text(json.dumps(truth(site, start=start, end=end), indent=2) + "\n", encoding="utf-8")
    half.replace(path)


_DEVICES: tuple[tuple[str, int, Callable[[SiteState], list[int]]], ...] = (
    ("sunspec_inverter", SUNSPEC_BASE, sunspec_inverter_words),
    ("hybrid", DEYE_BASE, deye_words),
    ("meter", SUNSPEC_BASE, sunspec_meter_words),
)


def _stretch(clock: Clock) -> tuple[datetime, datetime]:
    """First moment of the clock and the last that must be ready before anyone asks."""
    if isinstance(clock, VirtualClock):
        return clock.start, clock.end
    now = clock.now()
    return now, now + timedelta(days=1)


def _image(
    site: SimulatedSite, clock: Clock, *, words: Callable[[SiteState], list[int]]
) -> Callable[[], Sequence[int]]:
    return lambda: words(site.at(clock.now()))


async def _compute_ahead(site: SimulatedSite, clock: Clock) -> None:
    """Keep tomorrow ready, so that no request at midnight waits for it."""
    while True:
        await clock.sleep(_PREPARE_PERIOD_S)
        await asyncio.to_thread(site.prepare, clock.now() + timedelta(days=1))


async def _publish_for_ever(
    site: SimulatedSite, clock: Clock, *, config: SimulationConfig, broker: BrokerAddress
) -> None:
    while True:
        try:
            await _publish(site, clock, config=config, broker=broker)
        except DriverError as error:
            log.warning("broker lost", extra={"broker": f"{broker.broker}:{broker.port}", "reason": str(error)})
        await asyncio.sleep(_BROKER_RETRY_S)


async def _publish(site: SimulatedSite, clock: Clock, *, config: SimulationConfig, broker: BrokerAddress) -> None:
    """One message now and one at each moment of the clock that is a whole number of intervals."""
    topic = f"{config.topic_prefix}/irradiance"
    async with MqttPublisher(broker, status_topic=f"{config.topic_prefix}/status") as publisher:
        while True:
            await publisher.publish(topic, irradiance_payload(site.at(clock.now())))
            now = clock.now().timestamp()
            slot = (floor(now / config.publish_interval_s) + 1) * config.publish_interval_s
            await clock.sleep(slot - now)


def irradiance_payload(state: SiteState) -> bytes:
    """One sample of the sensor in the plane of the modules, as JSON."""
    sample = {
        "poa_wm2": round(state.poa_wm2, 1),
        "module_temperature_c": round(state.module_c, 1),
        "at": state.at.isoformat(),
    }
    return json.dumps(sample).encode()


async def _write_on_request(
    site: SimulatedSite, clock: Clock, *, config: SimulationConfig, start: datetime, ask: asyncio.Event
) -> None:
    while True:
        await ask.wait()
        ask.clear()
        write_truth(config.truth_file, site=site, start=start, end=clock.now())


def parse_broker(text: str, *, username: str = "", password: str = "") -> BrokerAddress:
    """`host:port` or `host`; empty credentials are none.

    Raises:
        ConfigError: if the port is not a number from 1 to 65535.
    """
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "1883")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise ConfigError(f"broker is {text!r}; write host:port, for example 127.0.0.1:1883")
    return BrokerAddress(
        broker=host,
        port=int(port),
        client_id=f"solarhub-simulated-{secrets.token_hex(4)}",
        username=username or None,
        password=password or None,
    )


def simulate_command(
    *,
    host: Annotated[str, typer.Option(help="Address that the Modbus servers listen on.")] = "127.0.0.1",
    first_port: Annotated[int, typer.Option(help="Port of the first server, the others follow; 0: free ports.")] = 0,
    broker: Annotated[str, typer.Option(help="host:port of an MQTT broker; without it there is no sensor.")] = "",
    broker_username: Annotated[str, typer.Option(envvar="SOLARHUB_BROKER_USERNAME", help="For the broker.")] = "",
    broker_password: Annotated[
        str, typer.Option(envvar="SOLARHUB_BROKER_PASSWORD", help="For the broker; better given by the environment.")
    ] = "",
    topic_prefix: Annotated[str, typer.Option(help="Prefix of the sensor's topics.")] = "sensors/roof",
    commissioned: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date from which the counters count.")
    ] = None,
    truth_file: Annotated[
        Path | None, typer.Option(help="At the end (and on SIGUSR1) write here what the site really did.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the endpoints as one line of JSON.")] = False,
) -> None:
    """Run a simulated home in Lahore as real Modbus and MQTT devices until SIGTERM or Ctrl-C."""

    def on_ready(endpoints: dict[str, Any]) -> None:
        typer.echo(json.dumps(endpoints) if as_json else _table(endpoints))

    try:
        config = SimulationConfig(
            host=host,
            first_port=first_port,
            broker=parse_broker(broker, username=broker_username, password=broker_password) if broker else None,
            topic_prefix=topic_prefix,
            commissioned=commissioned.date() if commissioned else None,
            truth_file=truth_file,
        )
        asyncio.run(_run_until_signal(config, clock_from_environment(), on_ready=on_ready))
    except EdgeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _table(endpoints: dict[str, Any]) -> str:
    rows = [f"{name:18} " + "  ".join(f"{key}={value}" for key, value in at.items()) for name, at in endpoints.items()]
    return "\n".join(["Simulated site is up; Ctrl-C ends it.", *rows])


async def _run_until_signal(
    config: SimulationConfig, clock: Clock, *, on_ready: Callable[[dict[str, Any]], None]
) -> None:
    stop, write_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, write_now.set)
    await run_site(config, clock, stop=stop, on_ready=on_ready, write_now=write_now)
