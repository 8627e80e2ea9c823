"""The demo's child processes: started with a log file each, watched, and ended in order."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import SolarHubError

_STOP_SECONDS = 10.0
_LOG_TAIL_LINES = 15


class ProcessEndedError(SolarHubError):
    """A process of the demo ended although nobody asked it to; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """One running process and its log."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def check(self) -> None:
        """Raise ProcessEndedError if the process has ended."""
        if self.process.returncode is not None:
            raise ProcessEndedError(
                f"{self.name} ended with status {self.process.returncode}; the end of {self.log}:\n{self.log_tail()}"
            )

    def log_tail(self) -> str:
        """Last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    async def stop(self) -> None:
        """Ask it to end (SIGTERM), insist after ten seconds (SIGKILL)."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it without warning, as a power cut would."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(how)
        try:
            await asyncio.wait_for(self.process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def program(name: str) -> str:
    """Path of one of the product's own commands, from the environment that this one runs in."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise SolarHubError(f"{path} is missing; install the project with all extras: uv sync --all-extras")
    return str(path)


async def start(
    name: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdout: int | None = None
) -> Child:
    """Start a process; what it prints goes to `folder/name.log` (its standard output to a pipe if `stdout` says so).

    Children get a process group of their own, so that a Ctrl-C ends the demo, and the demo ends them, in order.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    return Child(name, process, log)


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdout: int | None = None
) -> AsyncIterator[Child]:
    """A process for the length of a block."""
    child = await start(name, command, folder=folder, environment=environment, stdout=stdout)
    try:
        yield child
    finally:
        await child.stop()
