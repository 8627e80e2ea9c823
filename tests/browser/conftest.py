"""The local page on a real socket, and Debian's Chromium."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.async_api import Browser, async_playwright

from edge_agent.web.page import create_app
from tests.edge_view import NOON, SimulatedView


@dataclass
class ServedPage:
    """Where it is, and the view that feeds it."""

    url: str
    view: SimulatedView
    server: uvicorn.Server
    task: "asyncio.Task[None]"

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task


async def serve(view: SimulatedView, *, port: int = 0) -> ServedPage:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    app = create_app(view, update_period_s=0.05)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    for _ in range(1000):
        if server.started:
            break
        await asyncio.sleep(0.01)
    return ServedPage(f"http://127.0.0.1:{listener.getsockname()[1]}", view, server, task)


@pytest.fixture
async def served() -> AsyncIterator[ServedPage]:
    page = await serve(SimulatedView(NOON))
    yield page
    await page.stop()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed; apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()
