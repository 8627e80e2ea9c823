"""The demo in real time: a home that lives on until Ctrl-C, and a line a minute of what flows."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cloud.demo.edge import AgentProcess, simulated_devices
from cloud.demo.home import Home, register_home, watch_for_silence
from cloud.demo.stack import ADMIN_EMAIL, Stack, emptied, running_stack

_POLL_INTERVAL_S = 5.0
_SILENCE_SECONDS = 120.0
_LINE_SECONDS = 60.0
_CHECK_SECONDS = 1.0
_PAGE_SECONDS = 30.0

Tell = Callable[[str], None]


async def run_live(folder: Path, *, tell: Tell) -> None:
    """Run until SIGINT or SIGTERM, in a folder that is emptied first.

    Raises:
        SolarHubError: if a part does not start, or ends by itself.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    tell("starting PostgreSQL, Redis, the cloud and a simulated home …")
    async with (
        emptied(folder),
        running_stack(folder, durable=True) as stack,
        simulated_devices(stack, {}) as simulation,
    ):
        home = await register_home(
            stack.client,
            simulation.endpoints,
            commissioned_at=datetime.now(UTC) - timedelta(days=1),
            poll_interval_s=_POLL_INTERVAL_S,
        )
        await watch_for_silence(stack.client, home, longest_s=_SILENCE_SECONDS)
        agent = AgentProcess(stack, _agent_settings(stack))
        await agent.enrol(home.claim_code)
        await agent.start()
        try:
            tell(_welcome(stack, await _local_page(agent)))
            await _tell_every_minute(stack, home, agent, stop=stop, tell=tell)
        finally:
            tell("ending …")
            await agent.stop()
    tell("everything has ended; logs are in " + str(folder))


def _agent_settings(stack: Stack) -> dict[str, str]:
    return {
        "SOLARHUB_EDGE_DATA_DIR": str(stack.folder / "agent"),
        "SOLARHUB_EDGE_WEB_HOST": "127.0.0.1",
        "SOLARHUB_EDGE_WEB_PORT": "0",
    }


async def _local_page(agent: AgentProcess) -> str:
    for _ in range(int(_PAGE_SECONDS / _CHECK_SECONDS)):
        page: str | None = (await agent.status())["local_page"]
        if page:
            return page
        await asyncio.sleep(_CHECK_SECONDS)
    return "not running (see agent.log)"


def _welcome(stack: Stack, page: str) -> str:
    return "\n".join(
        (
            "",
            f"  The site's own page   {page}",
            f"  The cloud's API       {stack.api_url}/docs",
            f"  Login                 {ADMIN_EMAIL}  {stack.password}",
            f"  Logs                  {stack.folder}",
            "",
            "  Ctrl-C ends everything.",
            "",
        )
    )


async def _tell_every_minute(stack: Stack, home: Home, agent: AgentProcess, *, stop: asyncio.Event, tell: Tell) -> None:
    seconds = 0.0
    while not stop.is_set():
        stack.check()
        if seconds % _LINE_SECONDS == 0 and seconds:
            live = await stack.client.get(f"/sites/{home.site_id}/live")
            tell(flow_line(live, await agent.status()))
        try:
            await asyncio.wait_for(stop.wait(), _CHECK_SECONDS)
        except TimeoutError:
            seconds += _CHECK_SECONDS


def flow_line(live: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """One line: what flows now by the cloud's live view, and how the agent stands."""
    flows = "  ".join(f"{name} {_kw(live[f'{name}_power_kw'])}" for name in ("pv", "load", "grid", "battery"))
    return (
        f"{datetime.now(UTC).astimezone():%H:%M:%S}  {flows}  |  {status['readings_total']} readings,"
        f" {status['pending_readings']} waiting at the agent"
    )


def _kw(power: float | None) -> str:
    return "      –  " if power is None else f"{power:6.2f} kW"
