"""The agent as a process: enrolled, run, killed, run again, against simulated devices and a cloud on real sockets."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.enums import DeviceType, ProtocolType
from shared.metrics import METRICS
from shared.wire import EdgePlan, PlanDevice
from tests.edge_world import GATEWAY, START, FakeCloud, device_id, eventually, over_voltage, plan, serving

MINUTES = 90
SPEED = 600.0


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOLARHUB_")}
    return {
        **kept,
        "SOLARHUB_EDGE_DATA_DIR": str(folder),
        "SOLARHUB_EDGE_WEB_HOST": "127.0.0.1",
        "SOLARHUB_EDGE_WEB_PORT": "0",
        "SOLARHUB_EDGE_FLUSH_INTERVAL_S": "60",
        "SOLARHUB_EDGE_SYNC_INTERVAL_S": "60",
        "SOLARHUB_EDGE_HEARTBEAT_INTERVAL_S": "300",
        **more,
    }


def simulated_time(*, in_s: float) -> dict[str, str]:
    return {
        "SOLARHUB_CLOCK_START": START.isoformat(),
        "SOLARHUB_CLOCK_END": (START + timedelta(minutes=MINUTES)).isoformat(),
        "SOLARHUB_CLOCK_SPEED": str(SPEED),
        "SOLARHUB_CLOCK_EPOCH": str(time.time() + in_s),
    }


async def start(*words: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", *words, env=env, stdout=pipe, stderr=pipe
    )


async def call(*words: str, env: dict[str, str]) -> tuple[int, str, str]:
    process = await start(*words, env=env)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def simulator(env: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    process = await start("simulate", "--json", env=env)
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.communicate()


def home(endpoints: dict[str, Any]) -> EdgePlan:
    def at(name: str, number: int, kind: DeviceType, profile: str) -> PlanDevice:
        place = {key: endpoints[name][key] for key in ("host", "port", "slave_id")}
        return PlanDevice(
            id=device_id(number),
            name=f"{name} {kind.value}",
            device_type=kind,
            protocol=ProtocolType.MODBUS_TCP,
            profile=profile,
            connection=place,
            poll_interval_s=60,
        )

    return plan(
        at("sunspec_inverter", 1, DeviceType.INVERTER, "sunspec"),
        at("hybrid", 2, DeviceType.INVERTER, "deye_1p_hybrid"),
        at("hybrid", 3, DeviceType.BATTERY, "deye_1p_hybrid"),
        at("meter", 4, DeviceType.METER, "sunspec"),
        rules=(over_voltage(),),
        revision=4,
    )


async def status(env: dict[str, str]) -> dict[str, Any]:
    code, out, err = await call("status", "--json", env=env)
    assert code == 0, err
    return dict(json.loads(out))


@pytest.mark.slow
async def test_a_killed_agent_brings_every_committed_reading_to_the_cloud_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = environment(data, **simulated_time(in_s=8))
    async with simulator(env) as endpoints:
        cloud = FakeCloud(home(endpoints))
        async with serving(cloud) as port:
            url = f"http://127.0.0.1:{port}"
            code, out, err = await call("enrol", "--cloud", url, "--code", "abcd2345", "--json", env=env)
            assert (code, json.loads(out)["devices"]) == (0, 4), err
            first = await start("run", env=env)
            await eventually(lambda: len(cloud.rows) >= 60, within_s=60)
            first.send_signal(signal.SIGKILL)
            await first.communicate()
            second = await start("run", env=env)
            end = START + timedelta(minutes=MINUTES)
            await eventually(
                lambda: {at for _, at in cloud.rows} >= {end} and sum(at == end for _, at in cloud.rows) == 4,
                within_s=60,
            )
            said = await status(env)
            async with httpx.AsyncClient() as client:
                page = await client.get(said["local_page"])
                assert (page.status_code, "Home" in page.text) == (200, True)
                assert (await client.get(said["local_page"] + "healthz")).json() == {"status": "ok"}
            second.send_signal(signal.SIGTERM)
            _, log = await second.communicate()
            assert second.returncode == 0, log.decode()
            after = await status(env)
    assert after["pending_readings"] == 0
    assert after["readings_total"] == len(cloud.rows)
    assert cloud.duplicates == 0
    assert len({(number, int(at.timestamp()) // 60) for number, at in cloud.rows}) == len(cloud.rows), (
        "one reading a slot"
    )
    assert {number for number, _ in cloud.rows} == {device_id(number) for number in (1, 2, 3, 4)}
    assert all(at <= end for _, at in cloud.rows)
    energy = {number: cloud.rows[device_id(number), end].get("energy_total_kwh") for number in (1, 2)}
    assert all(isinstance(value, float) and value > 0 for value in energy.values())
    assert cloud.heartbeats[-1].plan_revision == 4
    for line in log.decode().splitlines():
        assert json.loads(line)["event"], "the log is one JSON object a line"
    assert "secret-of-the-test" not in log.decode()
    assert (said["gateway_id"], said["site"]["name"], said["clock"]["simulated"]) == (str(GATEWAY), "Home", True)
    assert [each["link_up"] for each in said["devices"]] == [True] * 4
    assert after["local_page"] is None


async def test_a_box_that_is_not_enrolled_says_so_and_how_to(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    for command in ("run", "status"):
        code, _, err = await call(command, env=env)
        assert code == 3
        assert "solarhub-edge enrol --cloud URL --code" in err
    code, out, _ = await call("status", "--json", env=env)
    assert (code, json.loads(out)["enrolled"]) == (3, False)


async def test_a_wrong_code_a_missing_cloud_and_a_second_enrolment_are_explained(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", SOLARHUB_EDGE_HTTP_TIMEOUT_S="5")
    async with serving(FakeCloud(plan())) as port:
        url = f"http://127.0.0.1:{port}"
        code, _, err = await call("enrol", "--cloud", url, "--code", "ZZZZ-9999", env=env)
        assert (code, "get a new one in the cloud" in err) == (1, True)
        code, out, err = await call("enrol", "--cloud", url, "--code", "ABCD-2345", env=env)
        assert (code, "Next: `solarhub-edge run`" in out) == (0, True), err
        code, _, err = await call("enrol", "--cloud", url, "--code", "ABCD-2345", "--json", env=env)
        assert (code, "--replace" in json.loads(err)["error"]) == (1, True)
    code, _, err = await call("enrol", "--cloud", "http://127.0.0.1:1", "--code", "ABCD-2345", "--replace", env=env)
    assert (code, "ConnectError" in err) == (1, True)
    code, _, err = await call("enrol", env=env)
    assert (code, "--code" in err) == (2, True)
    code, out, _ = await call("status", env=env)
    assert (code, "0 ever, 0 waiting" in out) == (0, True)


async def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    code, _, err = await call("run", env=environment(tmp_path, SOLARHUB_EDGE_QUOTA_MB="2"))
    assert (code, "quota_mb is '2'" in err) == (1, True)


async def test_the_catalogue_is_listed_whole(tmp_path: Path) -> None:
    code, out, _ = await call("metrics", "--json", env=environment(tmp_path))
    assert (code, [row["name"] for row in json.loads(out)]) == (0, list(METRICS))
    code, out, _ = await call("metrics", env=environment(tmp_path))
    assert (code, len(out.splitlines())) == (0, len(METRICS))
