"""The demo home in a database of its own."""

from datetime import date

import pytest

from cloud.core.db import Database
from edge_agent.drivers.simulated import SimulatedSite
from tests.integration.telemetry.home import Home, make_home
from tests.plants import Plant


@pytest.fixture
async def home(db: Database, plant: Plant) -> Home:
    return await make_home(db, plant, poll_s=300)


@pytest.fixture(scope="session")
def roof() -> SimulatedSite:
    """The physics of the home, from the last of May 2026 on."""
    return SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 5, 31))
