"""The site's side of the demo: the simulated devices and the agent, started as the commands that an installer has."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.demo.processes import Child, program, running, start
from cloud.demo.stack import DemoError, Stack

_READY_SECONDS = 60.0
_TOPIC_PREFIX = "home/roof"


@dataclass(frozen=True, slots=True)
class Simulation:
    """The simulated devices on their sockets."""

    child: Child
    endpoints: dict[str, Any]
    truth_file: Path

    async def truth(self) -> dict[str, Any]:
        """End the simulation and read what the site really did."""
        await self.child.stop()
        text = await asyncio.to_thread(self.truth_file.read_text, encoding="utf-8")
        truth: dict[str, Any] = json.loads(text)
        return truth


@asynccontextmanager
async def simulated_devices(
    stack: Stack, environment: Mapping[str, str], arguments: tuple[str, ...] = ()
) -> AsyncIterator[Simulation]:
    """Run `solarhub-edge simulate` for the length of a block.

    Raises:
        DemoError: if it does not say within a minute where its devices listen.
    """
    truth_file = stack.folder / "truth.json"
    command = [
        program("solarhub-edge"),
        *("simulate", "--json", "--broker", f"127.0.0.1:{stack.broker_port}", "--topic-prefix", _TOPIC_PREFIX),
        *("--truth-file", str(truth_file), *arguments),
    ]
    pipe = asyncio.subprocess.PIPE
    async with running("simulate", command, folder=stack.folder, environment=environment, stdout=pipe) as child:
        if child.process.stdout is None:
            raise DemoError("the simulation was started without a pipe to read its endpoints from")
        try:
            line = await asyncio.wait_for(child.process.stdout.readline(), _READY_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            raise DemoError(f"the simulated devices did not come up; the end of their log:\n{child.log_tail()}")
        yield Simulation(child, json.loads(line), truth_file)


@dataclass
class AgentProcess:
    """The agent, and its command line beside it."""

    stack: Stack
    environment: dict[str, str]
    child: Child | None = None

    async def enrol(self, code: str) -> None:
        """Make the box the site's gateway."""
        await self._command("enrol", "--cloud", f"http://127.0.0.1:{self.stack.uplink.port}", "--code", code)

    async def start(self) -> None:
        """Start `solarhub-edge run`."""
        self.child = await start(
            "agent", [program("solarhub-edge"), "run"], folder=self.stack.folder, environment=self.environment
        )

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self.child is not None:
            await self.child.kill()

    async def stop(self) -> None:
        """End it in order."""
        if self.child is not None:
            await self.child.stop()

    async def status(self) -> dict[str, Any]:
        """What `solarhub-edge status --json` says."""
        if self.child is not None:
            self.child.check()
        return await self._command("status")

    async def _command(self, name: str, *arguments: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            program("solarhub-edge"),
            name,
            *arguments,
            "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise DemoError(f"solarhub-edge {name} failed: {(err or out).decode().strip()}")
        answer: dict[str, Any] = json.loads(out)
        return answer
