"""A real broker for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.mqtt_broker import Broker


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path)
    await broker.start()
    yield broker
    await broker.kill()


@pytest.fixture
async def guarded_broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path, password="sun")
    await broker.start()
    yield broker
    await broker.kill()
