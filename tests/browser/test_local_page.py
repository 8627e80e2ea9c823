"""The local page in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from edge_agent.web.page import MAX_STREAMS
from tests.browser.conftest import ServedPage, serve
from tests.edge_view import SimulatedView

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

# Contrast by WCAG 2: every text of the page against the nearest ground that is painted behind it.
CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("noscript, script")) continue;
    const style = getComputedStyle(element);
    const ink = light(parse(element.closest("svg") ? style.fill : style.color));
    const paper = light(ground(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) poor.push(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


@asynccontextmanager
async def opened(browser: Browser, url: str, *, size: dict[str, int]) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page, and what it complained of: console errors, exceptions, and requests to anywhere else."""
    context = await browser.new_context(viewport={"width": size["width"], "height": size["height"]})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: complaints.append(sent.url) if urlsplit(sent.url).hostname != "127.0.0.1" else None)
    await page.goto(url)
    try:
        yield page, complaints
    finally:
        await context.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("language", ["en", "ur"])
async def test_page_fits_is_readable_and_complains_of_nothing(
    chromium: Browser, served: ServedPage, size: dict[str, int], language: str
) -> None:
    async with opened(chromium, f"{served.url}/?lang={language}", size=size) as (page, complaints):
        await expect(page.locator("#connection.live")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert await page.evaluate("document.dir") == ("rtl" if language == "ur" else "ltr")
        assert await page.evaluate(CONTRAST) == []
        small = (
            "[...document.querySelectorAll('nav a, summary')].filter(e => e.getBoundingClientRect().height < 44).length"
        )
        assert await page.evaluate(small) == 0
        assert complaints == []


async def test_urdu_is_set_in_the_font_that_the_box_brings(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, f"{served.url}/?lang=ur", size=PHONE) as (page, _):
        await page.evaluate("document.fonts.ready")
        loaded = "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', ''))"
        assert "Noto Naskh Arabic" in await page.evaluate(loaded)
        box = await page.locator("h1").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] > 250, "the title stands on the right"


async def test_a_new_value_arrives_without_a_reload(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, served.url, size=DESK) as (page, complaints):
        await expect(page.locator("#flow .soc")).to_have_text("100 %")
        await page.evaluate("window.same = true")
        served.view.change_device("Battery", values={"battery_soc_percent": 63.0})
        await expect(page.locator("#flow .soc")).to_have_text("63 %")
        assert await page.evaluate("window.same") is True
        assert complaints == []


async def test_what_the_reader_opened_stays_open_and_focused(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, served.url, size=PHONE) as (page, _):
        summary = page.locator("#device-3 summary")
        await summary.focus()
        await page.keyboard.press("Enter")
        served.view.change_device("Battery", values={"battery_soc_percent": 41.0})
        await expect(page.locator("#device-3 tr", has_text="State of charge")).to_contain_text("41")
        assert await page.evaluate("document.getElementById('device-3').open") is True
        assert await page.evaluate("document.activeElement.parentElement.id") == "device-3"


async def test_the_language_is_changed_by_its_own_name(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, served.url, size=PHONE) as (page, _):
        await page.get_by_role("link", name="اردو").click()
        await expect(page.locator("html")).to_have_attribute("lang", "ur")
        await expect(page.locator("#today h2")).to_have_text("آج کی توانائی")


async def test_an_alert_appears_and_goes(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, served.url, size=DESK) as (page, _):
        await expect(page.locator(".alerts .critical")).to_contain_text("Grid voltage high")
        served.view.snapshot_now = replace(served.view.snapshot_now, alerts=())
        await expect(page.locator("#alerts .well")).to_be_visible()


async def test_a_lost_box_is_said_to_be_lost_and_found_again(chromium: Browser, served: ServedPage) -> None:
    port = urlsplit(served.url).port
    assert port is not None
    async with opened(chromium, served.url, size=DESK) as (page, _):
        await expect(page.locator("#connection.live")).to_be_visible()
        await served.stop()
        await expect(page.locator("#connection.lost")).to_be_visible()
        again = await serve(SimulatedView(served.view.at), port=port)
        await expect(page.locator("#connection.live")).to_be_visible(timeout=15_000)
        await again.stop()


async def test_the_page_is_whole_without_scripts(chromium: Browser, served: ServedPage) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(served.url)
    await expect(page.locator("#flow svg .value").first).to_contain_text("7.51")
    await expect(page.locator("#devices .device")).to_have_count(5)
    await context.close()


async def test_a_reader_who_leaves_gives_the_place_back(chromium: Browser, served: ServedPage) -> None:
    async with opened(chromium, served.url, size=PHONE) as (page, complaints):
        for _ in range(MAX_STREAMS + 1):
            await page.reload()
            await expect(page.locator("#connection.live")).to_be_visible()
        assert complaints == []
