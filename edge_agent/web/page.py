"""The local page as an ASGI application: one page, its live stream, its files, and a health answer."""

import asyncio
import json
from collections.abc import AsyncGenerator, Collection
from functools import partial
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from edge_agent.web.chart import NARROW, WIDE, draw_chart, hour_rows
from edge_agent.web.flow import power_flow
from edge_agent.web.guard import LanGuard
from edge_agent.web.present import age_text, bytes_text, device_cards, moment_text, number
from edge_agent.web.text import Language, pick_language, text
from edge_agent.web.view import ChartSeries, LocalView, Snapshot

UPDATE_PERIOD_S = 2.0
"""How often an open page is brought up to date."""
CHART_PERIOD_S = 60.0
MAX_STREAMS = 8
"""Pages that are live at once; each costs a rendering every two seconds on a small box."""

SECTIONS = ("flow", "today", "alerts", "chart", "devices", "box")
"""Parts of the page that are replaced one by one when they change; each is a template of that name."""


class LocalPage:
    """Renders the sections of one view; keeps the newest chart for a minute."""

    def __init__(self, view: LocalView, *, update_period_s: float = UPDATE_PERIOD_S) -> None:
        self._view = view
        self._update_period_s = update_period_s
        self._streams = 0
        self._chart: ChartSeries | None = None
        self._chart_at = float("-inf")
        self._templates = Environment(
            loader=PackageLoader("edge_agent.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def page(self, request: Request) -> Response:
        """The whole page."""
        language = _language(request)
        snapshot = await self._view.snapshot()
        sections = await self._sections(snapshot, language=language)
        html = self._templates.get_template("page.html").render(
            t=partial(text, language),
            language=language,
            languages=tuple(Language),
            snapshot=snapshot,
            sections=sections,
        )
        return HTMLResponse(html, headers={"Content-Language": language.value, "Vary": "Accept-Language"})

    async def events(self, request: Request) -> Response:
        """Server-sent events: `sections`, a JSON object of the sections that changed and their HTML."""
        if self.is_full:
            return PlainTextResponse(
                f"{MAX_STREAMS} pages are live already; close one, or reload this one by hand\n",
                status_code=503,
                headers={"Retry-After": "30"},
            )
        return StreamingResponse(self.stream(_language(request)), media_type="text/event-stream")

    async def healthz(self, _request: Request) -> Response:
        """200 while polling, store and sync make progress, else 503."""
        healthy = await self._view.is_healthy()
        return JSONResponse({"status": "ok" if healthy else "failing"}, status_code=200 if healthy else 503)

    @property
    def is_full(self) -> bool:
        """Whether as many pages are live as the box can serve."""
        return self._streams >= MAX_STREAMS

    async def stream(self, language: Language) -> AsyncGenerator[str]:
        """Events without an end: all sections, then those that changed, or a comment that keeps the connection open."""
        self._streams += 1
        try:
            shown: dict[str, str] = {}
            while True:
                sections = await self._sections(await self._view.snapshot(), language=language)
                changed = {name: html for name, html in sections.items() if shown.get(name) != html}
                shown = sections
                yield f"event: sections\ndata: {json.dumps(changed)}\n\n" if changed else ": nothing new\n\n"
                await asyncio.sleep(self._update_period_s)
        finally:
            self._streams -= 1

    async def _sections(self, snapshot: Snapshot, *, language: Language) -> dict[str, str]:
        series = await self._newest_chart()
        context = {
            "t": partial(text, language),
            "number": number,
            "age": partial(age_text, language),
            "bytes": bytes_text,
            "moment": partial(moment_text, snapshot=snapshot),
            "snapshot": snapshot,
            "flow": power_flow(snapshot.devices),
            "cards": device_cards(snapshot, language=language),
            "charts": {
                "wide": draw_chart(series, timezone=snapshot.timezone, frame=WIDE),
                "narrow": draw_chart(series, timezone=snapshot.timezone, frame=NARROW),
            },
            "hours": hour_rows(series, timezone=snapshot.timezone),
        }
        return {name: self._templates.get_template(f"{name}.html").render(context) for name in SECTIONS}

    async def _newest_chart(self) -> ChartSeries:
        now = asyncio.get_running_loop().time()
        if self._chart is None or now - self._chart_at >= CHART_PERIOD_S:
            self._chart = await self._view.chart()
            self._chart_at = now
        return self._chart


def create_app(
    view: LocalView, *, allowed_hosts: Collection[str] = (), update_period_s: float = UPDATE_PERIOD_S
) -> Starlette:
    """Make the application.

    Args:
        view: where the data comes from.
        allowed_hosts: names that the box may be called by in the browser besides `localhost`, `*.local` and any IP address.
        update_period_s: seconds between two updates of an open page.
    """
    page = LocalPage(view, update_period_s=update_period_s)
    static = Path(str(files("edge_agent.web") / "static"))
    return Starlette(
        routes=[
            Route("/", page.page),
            Route("/events", page.events),
            Route("/healthz", page.healthz),
            Mount("/static", StaticFiles(directory=static)),
        ],
        middleware=[Middleware(LanGuard, allowed_hosts=frozenset(name.lower() for name in allowed_hosts))],
    )


def _language(request: Request) -> Language:
    return pick_language(request.query_params.get("lang"), accepted=request.headers.get("accept-language", ""))
