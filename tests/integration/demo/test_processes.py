"""Children of the demo end when told, are noticed when they end by themselves, and leave a log."""

import signal
import sys
from pathlib import Path

import pytest

from cloud.demo.processes import ProcessEndedError, program, running, start
from shared.errors import SolarHubError

_SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


async def test_a_child_ends_with_its_block(tmp_path: Path) -> None:
    async with running("sleeper", _SLEEPER, folder=tmp_path, environment={}) as child:
        child.check()
    assert child.process.returncode == -signal.SIGTERM


async def test_kill_gives_no_warning(tmp_path: Path) -> None:
    child = await start("sleeper", _SLEEPER, folder=tmp_path, environment={})
    await child.kill()
    assert child.process.returncode == -signal.SIGKILL


async def test_a_child_that_ended_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.environ['WHY'], file=sys.stderr); sys.exit(3)"]
    child = await start("failing", command, folder=tmp_path, environment={"WHY": "the port 502 is taken"})
    await child.process.wait()
    with pytest.raises(ProcessEndedError, match=r"failing ended with status 3(?s:.)*the port 502 is taken"):
        child.check()


def test_a_missing_command_says_how_to_get_it() -> None:
    with pytest.raises(SolarHubError, match="uv sync"):
        program("solarhub-teleport")
