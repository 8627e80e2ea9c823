"""A clock that the test turns."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest


@dataclass
class HandClock:
    """Stands still until it is moved."""

    elapsed: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 6, 21, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
