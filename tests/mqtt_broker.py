"""A mosquitto of the test's own, on a loopback port."""

import asyncio
import os
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_TIMEOUT_S = 10.0


@dataclass
class Broker:
    """Start, kill and start again; the port stays.

    Attributes:
        folder: for the configuration; `passwords` there makes the broker ask for one.
        password: of the user `sensor`; None lets anybody in.
    """

    folder: Path
    password: str | None = None
    port: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            pytest.fail(
                "mosquitto is not installed; `apt-get install mosquitto`, or leave these tests out: -m 'not broker'"
            )
        self.port = self.port or _free_port()
        (self.folder / "mosquitto.conf").write_text(await self._configuration())
        self._process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            str(self.folder / "mosquitto.conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():  # noqa: ASYNC110 - another process starts; only trying tells
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            await process.wait()

    async def _configuration(self) -> str:
        # Started by root it would become another user, who may not read a test's folder.
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root",
            f"allow_anonymous {str(self.password is None).lower()}",
        ]
        if self.password is not None:
            passwords = self.folder / "passwords"
            passwords.touch(mode=0o600)
            made = await asyncio.create_subprocess_exec(
                "mosquitto_passwd", "-b", str(passwords), "sensor", self.password, stderr=asyncio.subprocess.DEVNULL
            )
            assert await made.wait() == 0
            lines.append(f"password_file {passwords}")
        return "\n".join(lines) + "\n"

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
