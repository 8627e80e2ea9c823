"""The page as a browser gets it."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest

from edge_agent.web.page import MAX_STREAMS, LocalPage
from edge_agent.web.text import Language
from edge_agent.web.view import BufferView, ChartSeries, SyncState, TodayEnergy
from tests.edge_view import NOON, SimulatedView

ADDRESS = "http://192.168.1.20:8080"


class Outline(HTMLParser):
    """Tags with their attributes, and whether every element was closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> does not close what is open"

    def having(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


@pytest.mark.parametrize("language", ["en", "ur"])
async def test_page_is_sound_html_without_anything_from_elsewhere(browser: httpx.AsyncClient, language: str) -> None:
    answer = await browser.get(f"/?lang={language}")
    assert answer.status_code == 200
    outline = Outline(answer.text)
    assert outline.tags[0] == ("html", {"lang": language, "dir": "rtl" if language == "ur" else "ltr"})
    links = [*outline.having("href"), *outline.having("src")]
    assert all(link.startswith(("/static/", "?lang=", "#")) for link in links)
    assert not outline.having("style"), "the content security policy forbids them"
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    ids = outline.having("id")
    assert len(ids) == len(set(ids))
    assert set(outline.having("aria-labelledby")) <= set(ids)


@pytest.mark.parametrize("language", ["en", "ur"])
async def test_every_file_the_page_names_is_there(browser: httpx.AsyncClient, language: str) -> None:
    outline = Outline((await browser.get(f"/?lang={language}")).text)
    files = [link for link in outline.having("href") + outline.having("src") if link.startswith("/static/")]
    assert len(files) == 3
    for file in files:
        assert (await browser.get(file)).status_code == 200
    fonts = re.findall(r'url\("([^"]+)"\)', (await browser.get("/static/page.css")).text)
    assert len(fonts) == 2
    for font in fonts:
        assert (await browser.get(f"/static/{font}")).content[:4] == b"wOF2"


async def test_page_shows_the_flow_the_energy_the_devices_and_the_box(browser: httpx.AsyncClient) -> None:
    html = (await browser.get("/")).text
    for shown in ("7.51", "24.8", "Roof inverter", "Grid voltage high", "12,345 readings", "3.5 MB of 512.0 MB"):
        assert shown in html
    assert "6.83 kW export" in html
    assert "not reachable: readings are kept here" in html


async def test_page_works_without_a_script(browser: httpx.AsyncClient) -> None:
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in (await browser.get("/")).text


async def test_names_from_the_cloud_cannot_become_markup(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    evil = "<script>alert(1)</script>"
    devices = (replace(view.snapshot_now.devices[0], name=evil, values={"custom<b>": evil}),)
    alerts = (replace(view.snapshot_now.alerts[0], rule_name=evil, device_name=evil),)
    view.snapshot_now = replace(view.snapshot_now, site_name=evil, devices=devices, alerts=alerts)
    html = (await browser.get("/")).text
    assert "<script>alert" not in html
    assert "custom<b>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


async def test_what_is_not_known_is_a_dash_and_never_a_zero(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    unknown = tuple(
        replace(device, at=None, age_s=None, link_up=None, values={}) for device in view.snapshot_now.devices
    )
    view.snapshot_now = replace(view.snapshot_now, devices=unknown, today=TodayEnergy(), alerts=())
    view.chart_now = ChartSeries(start=NOON, step_s=60, pv_kw=(None,), load_kw=(None,), grid_kw=(None,))
    html = (await browser.get("/")).text
    main = html[html.index("<main") : html.index('<section id="box"')]
    numbers = re.findall(r"[\d.]+(?= kWh?<)|<b>([\d.]+)</b>", main)
    assert numbers == []
    assert main.count("–") >= 10
    assert "No readings in the last 24 hours yet." in main
    assert "None. All is well." in main


async def test_an_old_value_says_how_old_it_is(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    first, *others = view.snapshot_now.devices
    view.snapshot_now = replace(view.snapshot_now, devices=(replace(first, age_s=7300.0), *others))
    html = (await browser.get("/")).text
    assert "2 h ago" in html
    assert "old values" in html
    assert "Solar: – kW" in html, "a part of the sum is not known, so the sum is not"


async def test_a_silent_device_is_said_to_be_silent(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    devices = tuple(replace(device, link_up=False) for device in view.snapshot_now.devices)
    view.snapshot_now = replace(view.snapshot_now, devices=devices)
    assert (await browser.get("/")).text.count("does not answer") == 5


@pytest.mark.parametrize("state", list(SyncState))
@pytest.mark.parametrize("language", list(Language))
async def test_every_state_of_the_cloud_has_its_words(
    browser: httpx.AsyncClient, view: SimulatedView, state: SyncState, language: Language
) -> None:
    view.snapshot_now = replace(view.snapshot_now, buffer=BufferView(state, 0))
    answer = await browser.get("/", params={"lang": language.value})
    assert f'class="sync {state.value}"' in answer.text


async def test_language_follows_the_browser_unless_asked_for(browser: httpx.AsyncClient) -> None:
    urdu = {"accept-language": "ur-PK,ur;q=0.9,en;q=0.8"}
    assert 'lang="ur" dir="rtl"' in (await browser.get("/", headers=urdu)).text
    assert 'lang="en" dir="ltr"' in (await browser.get("/?lang=en", headers=urdu)).text
    assert (await browser.get("/", headers=urdu)).headers["content-language"] == "ur"


@pytest.mark.parametrize(
    "host", ["192.168.1.20:8080", "[fe80::1]:8080", "localhost", "solarhub.local:8080", "Box.Example.pk", "10.0.0.7"]
)
async def test_the_boxs_own_names_are_taken(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "192.168.1.20.evil.example", "local", ".local", "localhost.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/", "/events", "/healthz", "/static/page.css"])
async def test_a_name_that_a_stranger_may_own_is_refused(browser: httpx.AsyncClient, host: str, path: str) -> None:
    answer = await browser.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert "Lahore" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/events", "/static/page.css", "/nothing"])
async def test_nothing_can_be_changed(browser: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await browser.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/live.js", "/nothing"])
async def test_every_answer_carries_the_security_headers(browser: httpx.AsyncClient, path: str) -> None:
    headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("max-age=3600" if "static" in path else "no-store")


async def test_head_answers_without_a_body(browser: httpx.AsyncClient) -> None:
    answer = await browser.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_health_follows_the_agent(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    assert (await browser.get("/healthz")).json() == {"status": "ok"}
    view.healthy = False
    answer = await browser.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "failing"})


async def test_the_chart_is_asked_for_once_a_minute_at_most(browser: httpx.AsyncClient, view: SimulatedView) -> None:
    for _ in range(3):
        await browser.get("/")
    assert view.chart_calls == 1


def changed_sections(event: str) -> dict[str, str]:
    head, data = event.rstrip("\n").split("\n")
    assert head == "event: sections"
    sections = json.loads(data.removeprefix("data: "))
    assert isinstance(sections, dict)
    return sections


async def test_the_stream_sends_everything_once_and_then_only_what_changed(view: SimulatedView) -> None:
    page = LocalPage(view, update_period_s=0.001)
    stream = page.stream(Language.ENGLISH)
    first = changed_sections(await anext(stream))
    assert set(first) == {"flow", "today", "alerts", "chart", "devices", "box"}
    assert await anext(stream) == ": nothing new\n\n"
    view.change_device("Battery", values={"battery_soc_percent": 77.0})
    second = changed_sections(await anext(stream))
    assert set(second) == {"flow", "devices"}
    assert "77 %" in second["flow"]
    await stream.aclose()


async def test_only_so_many_pages_are_live_at_once(view: SimulatedView) -> None:
    page = LocalPage(view, update_period_s=0.001)
    streams = [page.stream(Language.ENGLISH) for _ in range(MAX_STREAMS)]
    for stream in streams:
        await anext(stream)
    assert page.is_full
    await streams[0].aclose()
    assert not page.is_full
    for stream in streams[1:]:
        await stream.aclose()
