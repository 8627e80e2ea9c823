"""Tasks that fail, end and hang, and what systemd hears of it."""

import asyncio
import itertools
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.supervise import Notifier, Progress, Task, give_back_memory, run
from tests.edge_world import SteppedClock, eventually


class Listener:
    """systemd's end of the notification socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self._socket.recv(1024).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        self._socket.close()


async def test_a_failing_task_starts_again_and_the_others_go_on() -> None:
    clock, stop = SteppedClock(), asyncio.Event()
    starts: list[float] = []
    steady = 0

    async def failing() -> None:
        starts.append(clock.monotonic())
        raise ValueError("again")

    async def going_on() -> None:
        nonlocal steady
        while True:
            steady += 1
            await asyncio.sleep(0)

    async def done() -> None:
        return

    running = asyncio.create_task(
        run(
            Task("failing", failing),
            Task("steady", going_on),
            Task("done", done),
            clock=clock,
            stop=stop,
            notifier=Notifier({}),
            progress=Progress({}),
        )
    )
    await eventually(lambda: len(starts) >= 9)
    stop.set()
    await running
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert steady > 9


async def test_a_task_that_was_well_for_long_starts_again_soon() -> None:
    clock, stop = SteppedClock(), asyncio.Event()
    starts: list[float] = []

    async def failing() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 4:
            clock.step(1000)
        raise ValueError("again")

    running = asyncio.create_task(
        run(Task("failing", failing), clock=clock, stop=stop, notifier=Notifier({}), progress=Progress({}))
    )
    await eventually(lambda: len(starts) >= 6)
    stop.set()
    await running
    assert [after - before for before, after in itertools.pairwise(starts)][:5] == [1, 2, 4, 1001, 2]


async def test_everything_has_ended_when_run_returns() -> None:
    ended = []

    async def lasting() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    stop = asyncio.Event()
    running = asyncio.create_task(
        run(Task("lasting", lasting), clock=SteppedClock(), stop=stop, notifier=Notifier({}), progress=Progress({}))
    )
    await asyncio.sleep(0.01)
    stop.set()
    await running
    assert ended == [True]


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_systemd_hears_ready_watchdog_and_stopping_and_no_lie(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@solarhub-test-{id(tmp_path)}"
    listener = Listener(address)
    now = [0.0]
    progress = Progress({"poll": 10.0}, now=lambda: now[0])
    stop = asyncio.Event()
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
    running = asyncio.create_task(run(clock=SteppedClock(), stop=stop, notifier=notifier, progress=progress))
    await eventually(lambda: listener.listen().count("WATCHDOG=1") >= 2)
    now[0] = 11.0
    await asyncio.sleep(0.05)
    stuck_at = listener.listen().count("WATCHDOG=1")
    await asyncio.sleep(0.1)
    assert listener.listen().count("WATCHDOG=1") == stuck_at, "a stuck agent is not called well"
    progress.beat("poll")
    await eventually(lambda: listener.listen().count("WATCHDOG=1") > stuck_at)
    stop.set()
    await running
    heard = listener.listen()
    listener.close()
    assert (heard[0], heard[-1]) == ("READY=1", "STOPPING=1")


def test_a_notification_socket_that_is_gone_is_no_disaster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")
    assert [record.message for record in caplog.records] == ["notify_failed"]


def test_progress_names_who_is_stuck() -> None:
    now = [0.0]
    progress = Progress({"poll": 10.0, "store": 30.0}, now=lambda: now[0])
    now[0] = 20.0
    assert progress.stuck() == ["poll"]
    progress.beat("poll")
    assert progress.stuck() == []


async def test_freed_memory_goes_back_to_the_system_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("edge_agent.supervise.ctypes.CDLL", lambda _: SimpleNamespace(malloc_trim=calls.append))
    monkeypatch.setattr("edge_agent.supervise.SETTLED_AFTER_S", 0.0)
    monkeypatch.setattr("edge_agent.supervise.MEMORY_PERIOD_S", 0.0)
    task = asyncio.create_task(give_back_memory())
    await eventually(lambda: len(calls) >= 3)
    task.cancel()
    assert set(calls) == {0}


async def test_a_c_library_that_keeps_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.supervise.ctypes.CDLL", lambda _: SimpleNamespace())
    await asyncio.wait_for(give_back_memory(), 1)


def test_the_agent_does_not_carry_what_only_prints_in_colours() -> None:
    code = "import sys, edge_agent.cli; print([name for name in ('rich', 'pygments') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
