"""One simulated day through the whole product: yesterday in Karachi, in about two minutes, with an outage and a power cut in it.

Agent and simulation live in a virtual day; the cloud keeps real time. The line to the cloud is down for six of the day's hours, and the
agent is killed once without warning. At the end nothing may be missing or doubled, and the energies must equal the devices' counters
to the last digit.
"""

import asyncio
import math
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.core.db import TenantContext
from cloud.demo.edge import AgentProcess, Simulation, simulated_devices
from cloud.demo.home import TIMEZONE, Home, register_home, watch_for_silence
from cloud.demo.stack import DemoError, Stack, emptied, running_stack
from cloud.ingest.repository.ledger import SiteCounts, site_counts
from cloud.telemetry.repository.counts import bucket_counts
from shared.enums import DeviceType

SPEED = 960.0
"""A day in 90 s."""

POLL_INTERVAL_S = 60.0
SILENCE_SECONDS = 8.0
"""Real seconds without a word after which the cloud raises an alert: the cut lasts 22."""

KILL_AT = timedelta(hours=9, minutes=30)
CUT_AT = timedelta(hours=10)
MEND_AT = timedelta(hours=16)
_START_SECONDS = 60.0
_DRAIN_SECONDS = 90.0
_REPORT_SECONDS = 60.0
_POLL_SECONDS = 0.5

FLOWS = ("generated", "consumed", "imported", "exported", "charged", "discharged")

Tell = Callable[[str], None]


@dataclass
class VirtualDay:
    """A local day, and when each of its moments really happens.

    Attributes:
        start: its first moment, at which it stands until `begin`.
        end: its last moment.
        epoch_file: tells agent and simulation when the day began.
        epoch: Unix time at which it began; infinitely far away before.
    """

    start: datetime
    end: datetime
    epoch_file: Path
    speed: float = SPEED
    epoch: float = math.inf

    @property
    def environment(self) -> dict[str, str]:
        """Settings that give agent and simulation this day."""
        return {
            "SOLARHUB_CLOCK_START": self.start.isoformat(),
            "SOLARHUB_CLOCK_END": self.end.isoformat(),
            "SOLARHUB_CLOCK_SPEED": str(self.speed),
            "SOLARHUB_CLOCK_EPOCH": str(self.epoch_file),
        }

    def begin(self) -> None:
        """Let the day run, in every process that was given it."""
        self.epoch = time.time()
        draft = self.epoch_file.with_suffix(".draft")
        draft.write_text(repr(self.epoch), encoding="ascii")
        draft.rename(self.epoch_file)

    async def until(self, since_midnight: timedelta, stack: Stack) -> None:
        """Wait for a moment of the day; a process that ends meanwhile ends the wait."""
        due = self.epoch + since_midnight.total_seconds() / self.speed
        while (left := due - time.time()) > 0:
            stack.check()
            await asyncio.sleep(min(left, _POLL_SECONDS))


def yesterday(now: datetime) -> tuple[datetime, datetime]:
    """Yesterday's midnights in Karachi, as UTC."""
    zone = ZoneInfo(TIMEZONE)
    today = now.astimezone(zone).date()
    start, end = (datetime.combine(today - timedelta(days=n), datetime.min.time(), zone) for n in (1, 0))
    return start.astimezone(UTC), end.astimezone(UTC)


async def run_day(folder: Path, *, tell: Tell) -> dict[str, Any]:
    """Run the day in a folder that is emptied first; its logs and the report stay there.

    Returns:
        What the demo prints as JSON.

    Raises:
        DemoError: if a part fails, or the machine is too slow for the virtual day.
    """
    began = time.monotonic()
    # Asked to end, it ends like after Ctrl-C: a bare SIGTERM would leave the children behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with emptied(folder), running_stack(folder, durable=False) as stack:
        tell(f"cloud is up at {stack.api_url}")
        result = await _day_on(stack, tell)
    return {**result, "seconds": round(time.monotonic() - began, 1)}


async def _day_on(stack: Stack, tell: Tell) -> dict[str, Any]:
    start, end = yesterday(datetime.now(UTC))
    day = VirtualDay(start, end, epoch_file=stack.folder / "day-began")
    async with simulated_devices(stack, day.environment) as simulation:
        home = await register_home(
            stack.client,
            simulation.endpoints,
            commissioned_at=start - timedelta(days=30),
            poll_interval_s=POLL_INTERVAL_S,
        )
        agent = AgentProcess(stack, {**day.environment, **_agent_settings(stack)})
        await agent.enrol(home.claim_code)
        await agent.start()
        try:
            await _until_all_heard(stack, home)
            await watch_for_silence(stack.client, home, longest_s=SILENCE_SECONDS)
            tell("devices and agent are up, and every device has been read at midnight: the day begins")
            await asyncio.to_thread(day.begin)
            await _live_through(day, stack, agent, tell)
            return await _settle(stack, home, agent, simulation=simulation, day=day, tell=tell)
        finally:
            await agent.stop()


def _agent_settings(stack: Stack) -> dict[str, str]:
    """Intervals in seconds of the virtual day: as often in real time as on a real box, within a factor of a few."""
    return {
        "SOLARHUB_EDGE_DATA_DIR": str(stack.folder / "agent"),
        "SOLARHUB_EDGE_WEB_HOST": "127.0.0.1",
        "SOLARHUB_EDGE_WEB_PORT": "0",
        "SOLARHUB_EDGE_FLUSH_INTERVAL_S": "300",
        "SOLARHUB_EDGE_SYNC_INTERVAL_S": "600",
        "SOLARHUB_EDGE_HEARTBEAT_INTERVAL_S": "1200",
    }


async def _until_all_heard(stack: Stack, home: Home) -> None:
    """Wait until the cloud has heard of each device that counts energy: then each was read at midnight, and time may begin.

    The sensor is asked once in each of its intervals, and midnight may be over before its first message: it has its say a minute later.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        stack.check()
        devices = (await stack.client.get("/devices", site_id=home.site_id))["items"]
        silent = [
            device["name"]
            for device in devices
            if device["last_seen_at"] is None and device["device_type"] != DeviceType.SENSOR
        ]
        if not silent:
            return
        if time.monotonic() > deadline:
            raise DemoError(f"nothing was heard of {silent} in {_START_SECONDS:.0f} s; see agent.log in {stack.folder}")
        await asyncio.sleep(_POLL_SECONDS)


async def _live_through(day: VirtualDay, stack: Stack, agent: AgentProcess, tell: Tell) -> None:
    await day.until(KILL_AT, stack)
    await agent.kill()
    tell("09:30 the agent is killed without warning")
    await agent.start()
    await day.until(CUT_AT, stack)
    await stack.uplink.cut()
    tell("10:00 the line to the cloud is cut")
    await day.until(MEND_AT, stack)
    await stack.uplink.mend()
    tell("16:00 the line is back")
    await day.until(day.end - day.start, stack)
    tell("24:00 the day is over")


async def _settle(
    stack: Stack, home: Home, agent: AgentProcess, *, simulation: Simulation, day: VirtualDay, tell: Tell
) -> dict[str, Any]:
    status, counts = await _until_drained(stack, home, agent)
    tell(f"{counts.readings} readings are in the cloud, and every bucket is computed")
    truth = await simulation.truth()
    client, date = stack.client, day.start.astimezone(ZoneInfo(TIMEZONE)).date()
    energy = await client.get(f"/sites/{home.site_id}/energy", **{"from": date.isoformat(), "to": date.isoformat()})
    alerts = (await client.get("/alerts", site_id=home.site_id))["items"]
    first = date.replace(day=1)
    bill = await client.post(
        f"/sites/{home.site_id}/bills", {"period_start": first.isoformat(), "period_end": date.isoformat()}
    )
    report = await _report(stack, home, day=date.isoformat())
    tell(f"the report is at {report['path']}")
    return {
        "day": date.isoformat(),
        "readings_polled": status["readings_total"],
        "readings_in_cloud": counts.readings,
        "duplicates": counts.duplicates + max(0, counts.readings - status["readings_total"]),
        "missing": max(0, status["readings_total"] - counts.readings),
        "true_energy_kwh": {flow: truth["counter_energy_kwh"][flow] for flow in FLOWS},
        "cloud_energy_kwh": _flows(energy["days"][0]),
        "buckets": await _buckets(stack, home),
        "alerts": [_alert(alert) for alert in alerts],
        "bill_total_pkr": bill["bill_breakdown"]["total_bill"],
        "report": report,
    }


def _flows(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {flow: row[f"energy_{flow}_kwh"] for flow in FLOWS}


def _alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    return {key: alert[key] for key in ("title", "source", "status", "severity", "triggered_at", "resolved_at")}


async def _until_drained(stack: Stack, home: Home, agent: AgentProcess) -> tuple[dict[str, Any], SiteCounts]:
    """Wait until the agent's buffer is empty and every bucket is computed."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    counts = await _counts(stack, home)
    while True:
        stack.check()
        before, counts = counts, await _counts(stack, home)
        # The agent's own command costs a second of a small machine: it is asked when nothing moves in the cloud, and the cloud again
        # after it, since a batch may have arrived between two looks.
        if counts == before and not counts.dirty:
            status = await agent.status()
            idle = not status["pending_readings"] + status["pending_alert_changes"]
            if idle and counts == await _counts(stack, home):
                return status, counts
        if time.monotonic() > deadline:
            raise DemoError(
                f"after {_DRAIN_SECONDS:.0f} s the agent or the cloud still has work: {counts.readings} readings arrived,"
                f" {counts.dirty} buckets wait; see the logs in {stack.folder}"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _context(home: Home) -> TenantContext:
    return TenantContext(organization_ids=(UUID(home.organization_id),), site_ids=(UUID(home.site_id),))


async def _counts(stack: Stack, home: Home) -> SiteCounts:
    async with stack.db.transaction(_context(home)) as conn:
        return await site_counts(conn, UUID(home.site_id))


async def _buckets(stack: Stack, home: Home) -> dict[str, int]:
    async with stack.db.transaction(_context(home)) as conn:
        return asdict(await bucket_counts(conn, UUID(home.site_id)))


async def _report(stack: Stack, home: Home, *, day: str) -> dict[str, Any]:
    """Ask for the day's performance summary and wait for the file."""
    report = await stack.client.post(
        "/reports",
        {
            "report_type": "performance_summary",
            "name": "Performance summary",
            "format": "pdf",
            "parameters": {"site_ids": [home.site_id], "date_range": {"start_date": day, "end_date": day}},
        },
    )
    deadline = time.monotonic() + _REPORT_SECONDS
    while report["status"] in {"pending", "generating"}:
        stack.check()
        if time.monotonic() > deadline:
            raise DemoError(f"the report is still {report['status']} after {_REPORT_SECONDS:.0f} s; see worker.log")
        await asyncio.sleep(_POLL_SECONDS)
        report = await stack.client.get(f"/reports/{report['id']}")
    if report["status"] != "completed":
        raise DemoError(f"the report ended as {report['status']}: {report.get('error')}")
    path = stack.folder / "performance-summary.pdf"
    content = await stack.client.download(f"/reports/{report['id']}/file")
    await asyncio.to_thread(path.write_bytes, content)
    return {"path": str(path), "size_bytes": len(content)}
