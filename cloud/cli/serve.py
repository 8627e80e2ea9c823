"""`solarhub serve`: the API."""

import asyncio
from typing import Annotated

import typer
import uvicorn

from cloud.cli.reach import check_database
from cloud.core.console import explained
from cloud.core.start import command_settings
from cloud.main import create_app


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
) -> None:
    """Serve the API. Run as many processes as needed, behind any load balancer."""
    with explained():
        settings = command_settings()
        # A wrong address or login is told in one sentence, before the server starts and wraps it in a traceback.
        asyncio.run(check_database(settings))
        uvicorn.run(
            create_app(settings),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.proxy_addresses),
            forwarded_allow_ips=settings.proxy_addresses or None,
            server_header=False,
        )
