"""Files that the product makes (reports): one store, addressed by relative paths, each with its SHA-256."""

import asyncio
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from cloud.core.errors import NotFoundError
from shared.errors import SolarHubError

_SAFE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class BadPathError(SolarHubError):
    """The path is not a relative path of plain names (letters, digits, dot, dash, underscore) inside the store."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file after it was written.

    Attributes:
        path: within the store, with forward slashes; keep this in the database.
        size_bytes: length.
        sha256: hexadecimal digest of the content.
    """

    path: str
    size_bytes: int
    sha256: str


class Files(Protocol):
    """A place for files. Writing the same path again replaces the file at once or not at all."""

    async def put(self, path: str, data: bytes) -> StoredFile:
        """Write a file."""
        ...

    async def get(self, path: str) -> bytes:
        """Read a file; NotFoundError when there is none."""
        ...

    async def delete(self, path: str) -> None:
        """Remove a file; a missing one is already removed."""
        ...


def normal_path(path: str) -> PurePosixPath:
    """Check a path within the store.

    Raises:
        BadPathError: for absolute paths, `..`, empty parts and characters that some file system or URL would read otherwise.
    """
    parts = path.split("/")
    if not all(_SAFE_PART.fullmatch(part) for part in parts):
        raise BadPathError(
            f"{path!r} is not a path of this store; use relative names of letters, digits, dot, dash and underscore"
        )
    return PurePosixPath(*parts)


class LocalFiles:
    """`Files` in a folder of this machine (or a shared mount, when several machines serve)."""

    def __init__(self, root: Path) -> None:
        """`root` is made when the first file is written."""
        self._root = root

    async def put(self, path: str, data: bytes) -> StoredFile:
        """Write a file: beside its place first, then renamed, so that a reader never sees half of it."""
        inside = normal_path(path)
        await asyncio.to_thread(self._write, self._root / inside, data)
        return StoredFile(path=str(inside), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    async def get(self, path: str) -> bytes:
        """Read a file."""
        try:
            return await asyncio.to_thread((self._root / normal_path(path)).read_bytes)
        except FileNotFoundError:
            raise NotFoundError("The file is no longer stored; create it again.", code="file_missing") from None

    async def delete(self, path: str) -> None:
        """Remove a file."""
        await asyncio.to_thread((self._root / normal_path(path)).unlink, missing_ok=True)

    @staticmethod
    def _write(target: Path, data: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
