"""The processes around the API: jobs through a real Redis, sweeps, and the commands as they are typed."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dramatiq
import httpx
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from cloud.cli import app as cli
from cloud.core.db import SYSTEM
from cloud.core.errors import ConflictError
from cloud.core.jobs import JobContext, RedisJobs, Task, make_broker, make_worker
from cloud.core.settings import Settings, load_settings
from cloud.scheduler import SWEEPS, Sweep, run_scheduler, sweep_once
from cloud.worker import TASKS, close_context, context_opener
from tests.integration.api.conftest import PASSWORD, START, Api
from tests.unit.cloud.test_core import GOOD

WAIT_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(WAIT_S / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen in time")


class TestJobs:
    async def test_a_job_runs_on_the_worker_with_its_database(self, api_settings: Settings) -> None:
        seen: list[tuple[str, int]] = []

        async def count_users(context: JobContext, *, site_id: str, part: int) -> None:
            async with context.db.transaction(SYSTEM) as conn:
                await conn.exec_driver_sql("SELECT 1 FROM users")
            seen.append((site_id, part))

        namespace, url = f"test-{secrets.token_hex(4)}", api_settings.redis_url.get_secret_value()
        jobs, site = RedisJobs(make_broker(url, namespace=namespace)), uuid4()
        # Asked for before anybody works: a job waits.
        await jobs.enqueue("test.count", site_id=site, part=1)
        worker = make_worker(
            url,
            [Task("test.count", count_users)],
            open_context=context_opener(api_settings),
            close_context=close_context,
            threads=1,
            namespace=namespace,
        )
        worker.start()
        try:
            await jobs.enqueue("test.count", site_id=site, part=2)
            await until(lambda: len(seen) == 2)
        finally:
            await asyncio.to_thread(worker.stop)
            jobs.close()
            worker.broker.client.close()  # type: ignore[attr-defined]
        assert sorted(seen) == [(str(site), 1), (str(site), 2)]

    async def test_a_queue_that_is_away_breaks_no_request(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            jobs = RedisJobs(make_broker(f"redis://127.0.0.1:{taken.getsockname()[1]}/0"))
            await jobs.enqueue("telemetry.roll_up", site_id=uuid4())
            jobs.close()

    async def test_a_queue_that_hangs_is_waited_for_once(self) -> None:
        seconds, waiting = [0.0], asyncio.Event()

        async def says_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await waiting.wait()
            writer.close()

        connections: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        jobs = RedisJobs(make_broker(f"redis://127.0.0.1:{port}/0"), now=lambda: seconds[0])
        await jobs.enqueue("telemetry.roll_up", site_id=uuid4())
        await jobs.enqueue("telemetry.roll_up", site_id=uuid4())
        assert len(connections) == 1
        seconds[0] = 5.1
        await jobs.enqueue("telemetry.roll_up", site_id=uuid4())
        assert len(connections) == 2
        waiting.set()
        jobs.close()
        server.close()
        await server.wait_closed()

    async def test_a_worker_without_a_database_does_not_start(self, api_settings: Settings) -> None:
        nowhere = api_settings.model_copy(update={"database_url": load_settings(GOOD).database_url})
        worker = make_worker(
            api_settings.redis_url.get_secret_value(),
            [],
            open_context=context_opener(nowhere),
            close_context=close_context,
            namespace=f"test-{secrets.token_hex(4)}",
        )
        with pytest.raises(dramatiq.middleware.MiddlewareError, match="database 'd' at h:5432"):
            worker.start()
        await asyncio.to_thread(worker.stop)

    def test_task_names_are_unique_and_tell_their_domain(self) -> None:
        names = [task.name for task in TASKS]
        assert len(set(names)) == len(names)
        assert {"telemetry.roll_up"} <= set(names)
        assert all(name.count(".") == 1 for name in names)


class TestScheduler:
    async def context(self, settings: Settings) -> JobContext:
        return await context_opener(settings)()

    async def test_every_sweep_runs_on_an_empty_database_and_again(self, api_settings: Settings) -> None:
        context = await self.context(api_settings)
        try:
            for sweep in SWEEPS:
                assert await sweep_once(sweep, context, START) is not None, sweep.name
                assert await sweep_once(sweep, context, START) == 0, sweep.name
        finally:
            await close_context(context)

    async def test_a_failing_sweep_is_tried_again_and_the_others_go_on(self, api_settings: Settings) -> None:
        runs: dict[str, int] = {"bad": 0, "good": 0}
        stop = asyncio.Event()

        async def bad(context: JobContext, now: datetime) -> int:
            runs["bad"] += 1
            raise ConflictError

        async def good(context: JobContext, now: datetime) -> int:
            assert now == START
            runs["good"] += 1
            if runs["good"] >= 3 and runs["bad"] >= 3:
                stop.set()
            return 1

        sweeps = (Sweep("a.bad", 0.01, bad), Sweep("a.good", 0.01, good))
        await asyncio.wait_for(run_scheduler(api_settings, stop=stop, sweeps=sweeps, clock=lambda: START), WAIT_S)
        assert runs["bad"] >= 3


def environment(settings: Settings, **more: str) -> dict[str, str]:
    names = ("database_url", "admin_database_url", "redis_url", "secret_key")
    values = {f"SOLARHUB_{name.upper()}": getattr(settings, name).get_secret_value() for name in names}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOLARHUB_")}
    return {**kept, **values, "SOLARHUB_FILES_DIR": str(settings.files_dir), **more}


VARIABLES = [
    *(f"SOLARHUB_{name}" for name in ("DATABASE_URL", "ADMIN_DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FILES_DIR")),
    "SOLARHUB_ADMIN_PASSWORD",
]


async def solarhub(*arguments: str, env: dict[str, str]) -> Result:
    """The command in this process, on a thread without an event loop: starting Python and importing everything takes seconds."""
    return await asyncio.to_thread(CliRunner(env={name: env.get(name) for name in VARIABLES}).invoke, cli, arguments)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, uvicorn_access = logging.getLogger(), logging.getLogger("uvicorn.access")
    before = root.handlers, root.level, uvicorn_access.disabled
    yield
    root.handlers, root.level, uvicorn_access.disabled = before
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_restored")
class TestCommands:
    async def test_an_administrator_is_made_once_and_can_log_in(self, api: Api, api_settings: Settings) -> None:
        env = environment(api_settings, SOLARHUB_ADMIN_PASSWORD=PASSWORD)
        made = await solarhub("create-admin", "--email", "Boss@example.com", env=env)
        assert (made.exit_code, made.stdout) == (0, "created super administrator boss@example.com\n"), made.stderr
        login = {"email": "boss@example.com", "password": PASSWORD}
        token = (await api.call("POST", "/auth/login", json=login)).json()["access_token"]
        me = await api.call("GET", "/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert me.json()["is_super_admin"] is True
        again = await solarhub("create-admin", "--email", "boss@example.com", env=env)
        assert again.stdout.startswith("updated")
        assert PASSWORD not in made.stdout + made.stderr + again.stderr

    @pytest.mark.parametrize(
        ("arguments", "change", "named"),
        [
            (["create-admin", "--email", "x"], {"SOLARHUB_ADMIN_PASSWORD": PASSWORD}, "'x' is not an e-mail address"),
            (["create-admin", "--email", "x@y"], {"SOLARHUB_ADMIN_PASSWORD": "short"}, "at least 10"),
            (["create-admin", "--email", "x@y"], {}, "SOLARHUB_ADMIN_PASSWORD"),
            (["serve"], {"SOLARHUB_SECRET_KEY": ""}, "SOLARHUB_SECRET_KEY is not set"),
            (["worker"], {"SOLARHUB_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "127.0.0.1:1"),
            (["scheduler"], {"SOLARHUB_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "127.0.0.1:1"),
        ],
    )
    async def test_what_is_wrong_is_one_sentence(
        self, api_settings: Settings, arguments: list[str], change: dict[str, str], named: str
    ) -> None:
        done = await solarhub(*arguments, env=environment(api_settings, **change))
        assert done.exit_code == 1
        assert named in done.stderr
        assert isinstance(done.exception, SystemExit)
        assert "hunter2" not in done.stderr

    async def test_the_api_refuses_to_run_as_a_role_that_sees_everything(self, api_settings: Settings) -> None:
        env = environment(api_settings)
        done = await solarhub("serve", env=env | {"SOLARHUB_DATABASE_URL": env["SOLARHUB_ADMIN_DATABASE_URL"]})
        assert done.exit_code == 1
        assert "could read another's rows" in done.stderr

    async def test_a_new_key_is_a_good_key(self, api_settings: Settings) -> None:
        key = (await solarhub("new-secret-key", env=environment(api_settings))).stdout.strip()
        assert len(load_settings({**GOOD, "secret_key": key}).secret_key_bytes) == 32

    @pytest.mark.slow
    async def test_serve_worker_and_scheduler_start_and_end_cleanly(self, api_settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = environment(api_settings)
        commands = (["serve", "--port", str(port)], ["worker", "--threads", "1"], ["scheduler"])
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cloud",
                *command,
                env=env,
                cwd=Path(__file__).parents[3],
                stderr=asyncio.subprocess.PIPE,
            )
            for command in commands
        ]
        try:
            for process, event in zip(processes, ("api_ready", "worker_ready", "scheduler_ready"), strict=True):
                assert process.stderr is not None
                await asyncio.wait_for(_line_with(process.stderr, event), 60)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                assert (await http.get("/readyz")).json()["status"] == "ready"
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            # Read to the end, so that a full pipe cannot keep a process from ending.
            ends = [asyncio.wait_for(process.communicate(), 60) for process in processes]
            outputs = await asyncio.gather(*ends)
        assert [process.returncode for process in processes][1:] == [0, 0], outputs
        assert processes[0].returncode in (0, -signal.SIGTERM), outputs


async def _line_with(stream: asyncio.StreamReader, word: str) -> Any:
    lines = []
    async for line in stream:
        lines.append(line.decode())
        if word in lines[-1]:
            return
    pytest.fail(f"it ended without {word}:\n{''.join(lines)}")
