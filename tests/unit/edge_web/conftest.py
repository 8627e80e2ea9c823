"""The page over a site at noon, asked without a socket."""

from collections.abc import AsyncIterator

import httpx
import pytest

from edge_agent.web.page import create_app
from tests.edge_view import NOON, SimulatedView


@pytest.fixture
def view() -> SimulatedView:
    return SimulatedView(NOON)


@pytest.fixture
async def browser(view: SimulatedView) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(view, allowed_hosts=["box.example.pk"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://192.168.1.20:8080") as client:
        yield client
