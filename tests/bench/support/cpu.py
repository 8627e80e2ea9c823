"""CPU seconds of processes, read from /proc."""

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def process_cpu_s(pid: int) -> float:
    """User and system time of one process with all its threads."""
    utime, stime, _, _, _ = _times(pid)
    return (utime + stime) / _TICKS_PER_S


def server_cpu_s(pid: int) -> float:
    """The same of a server that forks (PostgreSQL's postmaster), with its living children and those that have ended."""
    utime, stime, ended_utime, ended_stime, _ = _times(pid)
    total = utime + stime + ended_utime + ended_stime
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                child_utime, child_stime, _, _, parent = _times(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            total += child_utime + child_stime if parent == pid else 0
    return total / _TICKS_PER_S


def parent_of(pid: int) -> int:
    """Of a PostgreSQL backend: the postmaster."""
    return _times(pid)[4]


def _times(pid: int) -> tuple[int, int, int, int, int]:
    """utime, stime, cutime, cstime (clock ticks), parent (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14]), int(fields[1])
