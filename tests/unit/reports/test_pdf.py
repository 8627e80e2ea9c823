"""The PDF: readable text, embedded fonts, the same bytes for the same document, and a child process that may crash."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pypdf import PdfReader

from cloud.reports.render import process
from cloud.reports.render.charts import draw_chart, runs
from cloud.reports.render.pdf import render_pdf
from cloud.reports.render.process import RenderError, render
from cloud.reports.render.theme import Theme, register_fonts, tint
from cloud.reports.rules.document import Chart, ChartKind, ReportDocument, Series, Style
from cloud.reports.rules.performance import build_performance_summary
from shared.enums import ReportFormat
from tests.unit.reports.sample import month

HOSTILE = "A & B <b>roof</b> — ایک گھر “x” \\ % 100"


def _pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def _document(days: int = 31) -> ReportDocument:
    return build_performance_summary(month(days))


def test_a_month_is_two_pages_that_say_everything() -> None:
    first, second = _pages(render_pdf(_document()))
    for words in (
        "Performance summary",
        "Home in Model Town",
        "1 to 31 October 2026",
        "1,180.6",
        "49,091",
        "81.0",
        "Energy by day",
    ):
        assert words in first
    for words in ("Day by day", "Sat 31 Oct", "What these numbers stand on", "UNFCCC IFI 2021", "Asia/Karachi"):
        assert words in second


def test_a_day_is_one_page() -> None:
    assert len(_pages(render_pdf(_document(1)))) == 1


def test_the_same_document_gives_the_same_bytes() -> None:
    assert render_pdf(_document()) == render_pdf(_document())


def test_fonts_are_embedded_and_the_file_is_titled() -> None:
    reader = PdfReader(io.BytesIO(render_pdf(_document())))
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
        if "/FontDescriptor" in font.get_object()
    }
    assert any("NotoSans" in name for name in fonts)
    assert reader.metadata is not None
    assert reader.metadata.title == "Performance summary: Home in Model Town, 1 to 31 October 2026"
    assert reader.metadata.author == "Ravi Solar Works"


def test_a_year_fits() -> None:
    pages = _pages(render_pdf(_document(366)))
    assert len(pages) == 2
    assert "Day by day" not in "".join(pages)


def test_names_that_look_like_markup_are_text() -> None:
    data = replace(month(), site=HOSTILE[:40], organization=HOSTILE, worth=None, worth_problem=HOSTILE)
    assert "A & B <b>roof</b>" in _pages(render_pdf(build_performance_summary(data)))[0]


def test_branding_colours_the_head() -> None:
    plain, red = _document(), month()
    branded = build_performance_summary(replace(red, style=Style(primary_color="#aa0000", header_text="Indus Solar")))
    assert render_pdf(plain) != render_pdf(branded)
    assert "Indus Solar" in _pages(render_pdf(branded))[0]


def test_a_chart_without_data_says_so() -> None:
    register_fonts()
    chart = Chart(title="", kind=ChartKind.LINES, unit="kW", labels=("a",), series=(Series(name="s", values=(None,)),))
    drawing = draw_chart(chart, Theme.of(Style()), width=300, height=100)
    texts = [getattr(item, "text", None) for item in drawing.contents]
    assert "no data in this period" in texts


@pytest.mark.parametrize(
    ("values", "stretches"),
    [((), []), ((None,), []), ((1.0, None, 2.0, 3.0), [[0], [2, 3]]), ((0.0, 0.0), [[0, 1]])],
)
def test_a_line_is_broken_where_nothing_is_known(values: tuple[float | None, ...], stretches: list[list[int]]) -> None:
    assert runs(values) == stretches


def test_tint_goes_from_white_to_the_colour() -> None:
    color = Theme.of(Style()).primary
    assert tint(color, 1).rgb() == pytest.approx(color.rgb())
    assert tint(color, 0).rgb() == (1, 1, 1)


async def test_the_child_process_gives_the_same_file() -> None:
    assert await render(_document(1), ReportFormat.PDF) == render_pdf(_document(1))


async def test_a_format_without_a_renderer_is_an_error() -> None:
    with pytest.raises(RenderError, match="excel ended with code 1"):
        await render(_document(1), ReportFormat.EXCEL)


async def test_a_child_that_cannot_start_is_an_error() -> None:
    with pytest.raises(RenderError, match="ended with code 1; the worker's log says why"):
        await render(_document(1), ReportFormat.PDF, module="cloud.reports.render.nothing")


async def test_a_child_that_hangs_is_ended() -> None:
    # To start Python alone takes longer than this.
    with pytest.raises(RenderError, match=r"took longer than 0\.01 s"):
        await render(_document(1), ReportFormat.PDF, timeout_s=0.01)


async def test_the_child_gets_none_of_our_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shows_its_environment.py").write_text("import os; print(sorted(os.environ.items()))", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", "hunter2")
    shown = await render(_document(1), ReportFormat.PDF, module="shows_its_environment")
    assert b"PYTHONPATH" in shown
    assert b"hunter2" not in shown


async def test_what_the_child_says_is_logged_and_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "says_too_much.py").write_text("raise SystemExit('the password is hunter2')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    logged: list[dict[str, object]] = []
    monkeypatch.setattr(process, "_log", SimpleNamespace(error=lambda _event, **fields: logged.append(fields)))
    with pytest.raises(RenderError) as caught:
        await render(_document(1), ReportFormat.PDF, module="says_too_much")
    assert "hunter2" not in str(caught.value)
    assert [fields["said"] for fields in logged] == ["the password is hunter2"]
