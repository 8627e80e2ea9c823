"""One complete fake per protocol; each is type-checked against it."""

import hashlib
from dataclasses import dataclass, field

from cloud.core.errors import NotFoundError
from cloud.core.files import Files, StoredFile, normal_path
from cloud.core.jobs import Jobs, JobValue


@dataclass
class FakeJobs:
    """`Jobs` that remembers what was asked for."""

    sent: list[tuple[str, dict[str, JobValue]]] = field(default_factory=list)

    async def enqueue(self, name: str, **ids: JobValue) -> None:
        self.sent.append((name, ids))

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]


@dataclass
class FakeFiles:
    """`Files` in memory."""

    content: dict[str, bytes] = field(default_factory=dict)

    async def put(self, path: str, data: bytes) -> StoredFile:
        inside = str(normal_path(path))
        self.content[inside] = data
        return StoredFile(path=inside, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    async def get(self, path: str) -> bytes:
        try:
            return self.content[str(normal_path(path))]
        except KeyError:
            raise NotFoundError("The file is no longer stored; create it again.", code="file_missing") from None

    async def delete(self, path: str) -> None:
        self.content.pop(str(normal_path(path)), None)


_jobs: type[Jobs] = FakeJobs
_files: type[Files] = FakeFiles
