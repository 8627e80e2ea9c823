"""A server as a child process that never outlives us: keeper, log, lock on the folder, free port."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.errors import SolarHubError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
POLL_PERIOD_S: Final = 0.02
LOG_TAIL_LINES: Final = 15
LOOPBACK: Final = "127.0.0.1"
OWNER_ONLY: Final = 0o600

# The shell keeps the server as its child and reads a pipe whose other end only we hold: a line (stop) or the end of the
# pipe (we are gone, even by SIGKILL) ends the server. $1 is the signal for an orderly end.
KEEPER: Final = (
    'ending=$1; shift; exec 3<&0; "$@" 3<&- & server=$!; '
    '{ read -r _ <&3; kill -"$ending" "$server"; } 2>/dev/null & watch=$!; '
    'exec 3<&-; wait "$server"; status=$?; kill "$watch" 2>/dev/null; exit "$status"'
)


class EmbeddedServerError(SolarHubError):
    """An embedded server did not start; the message names the server, the reason and the way out."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a server runs as when we are root."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what makes ``subprocess`` drop to this account, supplementary groups included."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class ServerProcess:
    """One server of ours: at most one process in a folder at a time.

    Args:
        name: What it is, for messages and the log's name.
        folder: An existing folder, ours from now until ``end``.

    Raises:
        EmbeddedServerError: Another process uses the folder.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self._lock: int | None = _lock_folder(name, folder)
        self._keeper: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str], *, ending: str, cwd: Path, account: Account | None = None) -> None:
        """Start ``command`` under the keeper; ``ending`` is the signal for an orderly end, such as ``TERM``."""
        identity = account.popen_arguments() if account else {}
        with self.log_path.open("wb") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - the command is built from paths we found ourselves
                ["/bin/sh", "-c", KEEPER, "keeper", ending, *command],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=clean_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the program, which then stops its servers
                **identity,
            )

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._keeper is not None and self._keeper.poll() is None

    def await_ready(self, ready: Callable[[], bool]) -> bool:
        """Wait until ``ready`` says yes; False when the server ended first.

        Raises:
            EmbeddedServerError: Neither happened within ``START_TIMEOUT_S``.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                return False
            if ready():
                return True
            time.sleep(POLL_PERIOD_S)
        raise self.failure(f"did not answer within {START_TIMEOUT_S:.0f} s")

    def failure(self, reason: str) -> EmbeddedServerError:
        """Return the error for ``reason``, with the end of the server's log."""
        return EmbeddedServerError(f"embedded {self.name} in {self.folder}: {reason}{self._log_tail()}")

    def port_was_taken(self) -> bool:
        """Whether the log says that another program holds the port."""
        return "address already in use" in self._log_text().lower()

    def end(self) -> None:
        """Stop the server in order, by force after ``STOP_TIMEOUT_S``, and free the folder. Twice is once."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            _end_keeper(keeper)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _log_text(self) -> str:
        launched = self._keeper is not None  # before a launch the file is an earlier run's
        return self.log_path.read_text(errors="replace") if launched else ""

    def _log_tail(self) -> str:
        lines = self._log_text().splitlines()[-LOG_TAIL_LINES:]
        return "\n".join(["", f"{self.log_path} ends with:", *lines]) if lines else ""


def clean_environment() -> dict[str, str]:
    """Return an environment in which no variable of ours (``PGPORT``, a locale, a library path) changes a server."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def make_folder(folder: Path) -> Path:
    """Make ``folder`` where it is missing and return its absolute path.

    Raises:
        EmbeddedServerError: It cannot be made or written to.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(f"folder {folder} for an embedded server: {error}; name another folder") from error
    return folder


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def write_secret(path: Path, text: str, *, account: Account | None = None) -> None:
    """Write ``text`` to a new file that only we, or only ``account``, can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)


def _lock_folder(name: str, folder: Path) -> int:
    """Take the folder's lock; the kernel frees it when our process ends, however it ends."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    except OSError as error:
        raise EmbeddedServerError(
            f"embedded {name} in {folder}: {error}; run as the folder's owner or name another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise EmbeddedServerError(
            f"embedded {name} in {folder}: another process uses this folder; stop it or name another folder"
        ) from error
    return descriptor


def _end_keeper(keeper: subprocess.Popen[bytes]) -> None:
    """Tell the keeper to end its server; after ``STOP_TIMEOUT_S`` end the whole process group by force."""
    if keeper.stdin is not None:
        # A line, not only the pipe's end: a forked child of ours may still hold the pipe open.
        with contextlib.suppress(BrokenPipeError), keeper.stdin as pipe:  # broken: the server ended by itself
            pipe.write(b"stop\n")
    try:
        keeper.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(keeper.pid, signal.SIGKILL)
        keeper.wait()
