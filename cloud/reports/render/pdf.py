"""The PDF renderer (ReportLab): an A4 document with a head, cards, charts, tables and notes."""

import io
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from cloud.reports.render.charts import draw_chart
from cloud.reports.render.theme import (
    HAIRLINE,
    INK,
    MUTED,
    PANEL,
    PAPER,
    SANS,
    SANS_BOLD,
    Theme,
    register_fonts,
    text_style,
    tint,
)
from cloud.reports.rules.document import (
    Chart,
    DataTable,
    KpiCard,
    KpiCards,
    Notes,
    ReportDocument,
    Section,
    TextSummary,
)
from cloud.reports.rules.words import cell, number

PAGE_WIDTH, PAGE_HEIGHT = A4
MARGIN = 16 * mm
BODY_WIDTH = PAGE_WIDTH - 2 * MARGIN
HEAD_HEIGHT = 44 * mm
_FOOT_Y = 9 * mm
_CARDS_A_ROW = 4
_CARD_GAP = 6.0
_CHART_HEIGHT = 128.0


class Card(Flowable):  # type: ignore[misc]  # ReportLab has no types
    """One KPI card: a coloured edge, a label, a large number with its unit, a note."""

    def __init__(self, card: KpiCard, theme: Theme, *, width: float, height: float) -> None:
        super().__init__()
        self._card, self._theme = card, theme
        self.width, self.height = width, height

    def draw(self) -> None:
        """Draw at the origin."""
        canvas, card = self.canv, self._card
        canvas.setFillColor(PANEL)
        canvas.roundRect(0, 0, self.width, self.height, 3, stroke=0, fill=1)
        canvas.setFillColor(self._theme.tone(card.tone))
        canvas.rect(0, 4, 2.4, self.height - 8, stroke=0, fill=1)
        canvas.setFillColor(MUTED)
        canvas.setFont(SANS, 7.5)
        canvas.drawString(10, self.height - 14, card.label)
        self._draw_number()
        note = Paragraph(escape(card.note), text_style(6.6, color=MUTED, leading=1.25))
        note.wrapOn(canvas, self.width - 16, self.height)
        note.drawOn(canvas, 10, self.height - 40 - note.height)

    def _draw_number(self) -> None:
        canvas, amount = self.canv, self._card.amount
        words = number(amount.value, decimals=amount.decimals)
        size = 17.0
        unit_width = canvas.stringWidth(f" {amount.unit}", SANS, 8) if amount.value is not None else 0
        while size > 9 and canvas.stringWidth(words, SANS_BOLD, size) + unit_width > self.width - 18:
            size -= 0.5
        canvas.setFillColor(INK)
        canvas.setFont(SANS_BOLD, size)
        canvas.drawString(10, self.height - 34, words)
        if amount.value is not None and amount.unit:
            x = 10 + canvas.stringWidth(words, SANS_BOLD, size) + 3
            canvas.setFillColor(MUTED)
            canvas.setFont(SANS, 8)
            canvas.drawString(x, self.height - 34, amount.unit)


def _card_height(cards: Sequence[KpiCard], width: float) -> float:
    style = text_style(6.6, color=MUTED, leading=1.25)
    heights = [Paragraph(escape(card.note), style).wrap(width - 16, 500)[1] for card in cards if card.note]
    return 45 + max(heights, default=0.0)


def _heading(title: str, theme: Theme) -> list[Flowable]:
    if not title:
        return []
    return [Spacer(1, 5), Paragraph(escape(title), text_style(11, bold=True, color=theme.primary, after=3))]


def _text_summary(section: TextSummary, theme: Theme) -> list[Flowable]:
    body, bullet = text_style(9, after=3), text_style(9, after=2)
    bullet.leftIndent, bullet.bulletIndent = 10, 1
    return [
        *_heading(section.title, theme),
        *(Paragraph(escape(words), body) for words in section.paragraphs),
        *(Paragraph(escape(words), bullet, bulletText="•") for words in section.bullets),
    ]


def _kpi_cards(section: KpiCards, theme: Theme) -> list[Flowable]:
    width = (BODY_WIDTH - (_CARDS_A_ROW - 1) * _CARD_GAP) / _CARDS_A_ROW
    flowables = _heading(section.title, theme)
    for start in range(0, len(section.cards), _CARDS_A_ROW):
        row = section.cards[start : start + _CARDS_A_ROW]
        height = _card_height(row, width)
        cells = [Card(card, theme, width=width, height=height) for card in row]
        table = Table([cells + [""] * (_CARDS_A_ROW - len(cells))], colWidths=[width + _CARD_GAP] * _CARDS_A_ROW)
        table.setStyle(
            TableStyle(
                [
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("TOPPADDING", (0, 0), (-1, -1), 0),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
                ]
            )
        )
        table.hAlign = "LEFT"
        flowables.append(table)
    return [KeepTogether(flowables)]


def _chart(section: Chart, theme: Theme) -> list[Flowable]:
    flowables = [*_heading(section.title, theme), draw_chart(section, theme, width=BODY_WIDTH, height=_CHART_HEIGHT)]
    if section.note:
        flowables.append(Paragraph(escape(section.note), text_style(7, color=MUTED)))
    return [KeepTogether(flowables)]


def _table_style(theme: Theme, *, rows: int, numeric: Sequence[bool], has_total: bool) -> TableStyle:
    commands: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, 0), SANS_BOLD, 7.2),
        ("FONT", (0, 1), (-1, -1), SANS, 7.6),
        ("TEXTCOLOR", (0, 0), (-1, 0), PAPER),
        ("BACKGROUND", (0, 0), (-1, 0), theme.primary),
        ("TEXTCOLOR", (0, 1), (-1, -1), INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, HAIRLINE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.8),
        ("LEFTPADDING", (0, 0), (-1, -1), 5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 5),
    ]
    commands += [("ALIGN", (index, 0), (index, -1), "RIGHT") for index, right in enumerate(numeric) if right]
    commands += [("BACKGROUND", (0, row), (-1, row), PANEL) for row in range(2, rows, 2)]
    if has_total:
        commands += [
            ("FONT", (0, -1), (-1, -1), SANS_BOLD, 7.6),
            ("BACKGROUND", (0, -1), (-1, -1), tint(theme.primary, 0.12)),
            ("LINEABOVE", (0, -1), (-1, -1), 0.9, theme.primary),
        ]
    return TableStyle(commands)


def _data_table(section: DataTable, theme: Theme) -> list[Flowable]:
    columns = section.columns
    head = [column.title + (f"\n{column.unit}" if column.unit else "") for column in columns]
    rows = [[cell(value, column) for value, column in zip(row, columns, strict=True)] for row in section.rows]
    if section.total:
        rows.append([cell(value, column) for value, column in zip(section.total, columns, strict=True)])
    weight = sum(column.weight for column in columns)
    table = Table([head, *rows], colWidths=[BODY_WIDTH * column.weight / weight for column in columns], repeatRows=1)
    table.setStyle(
        _table_style(
            theme,
            rows=len(rows) + 1,
            numeric=[column.numeric for column in columns],
            has_total=section.total is not None,
        )
    )
    flowables = [CondPageBreak(70), *_heading(section.title, theme), table]
    if section.note:
        flowables += [Spacer(1, 3), Paragraph(escape(section.note), text_style(7, color=MUTED))]
    return flowables


def _notes(section: Notes, theme: Theme) -> list[Flowable]:
    style = text_style(7.3, color=MUTED, leading=1.35, after=2)
    first, *rest = (Paragraph(f"<b>{escape(note.term)}.</b> {escape(note.text)}", style) for note in section.notes)
    return [KeepTogether([*_heading(section.title, theme), first]), *rest]


_RENDERERS: dict[type[Any], Callable[[Any, Theme], list[Flowable]]] = {
    TextSummary: _text_summary,
    KpiCards: _kpi_cards,
    Chart: _chart,
    DataTable: _data_table,
    Notes: _notes,
}


def section_flowables(section: Section, theme: Theme) -> list[Flowable]:
    """What a section becomes on the page."""
    return _RENDERERS[type(section)](section, theme)


def _draw_head(canvas: Canvas, document: ReportDocument, theme: Theme) -> None:
    cover, top = document.cover, PAGE_HEIGHT
    canvas.setFillColor(theme.primary)
    canvas.rect(0, top - HEAD_HEIGHT, PAGE_WIDTH, HEAD_HEIGHT, stroke=0, fill=1)
    _draw_sun(canvas, theme)
    canvas.setFillColor(tint(theme.primary, 0.25))
    canvas.setFont(SANS, 9)
    canvas.drawString(MARGIN, top - 12.5 * mm, document.style.header_text or cover.organization)
    canvas.setFillColor(PAPER)
    canvas.setFont(SANS_BOLD, 22)
    canvas.drawString(MARGIN, top - 22 * mm, cover.title)
    canvas.setFont(SANS_BOLD, 12)
    canvas.drawString(MARGIN, top - 29.5 * mm, cover.subject)
    canvas.setFont(SANS, 10)
    canvas.drawString(MARGIN, top - 36 * mm, cover.period)


def _draw_sun(canvas: Canvas, theme: Theme) -> None:
    canvas.saveState()
    clip = canvas.beginPath()
    clip.rect(0, PAGE_HEIGHT - HEAD_HEIGHT, PAGE_WIDTH, HEAD_HEIGHT)
    canvas.clipPath(clip, stroke=0, fill=0)
    x, y = PAGE_WIDTH - 24 * mm, PAGE_HEIGHT - HEAD_HEIGHT + 2 * mm
    for radius, share in ((44 * mm, 0.10), (33 * mm, 0.14), (23 * mm, 0.20)):
        canvas.setFillColor(theme.secondary, alpha=share)
        canvas.circle(x, y, radius, stroke=0, fill=1)
    canvas.setFillColor(theme.secondary, alpha=1)
    canvas.circle(x, y, 14 * mm, stroke=0, fill=1)
    canvas.restoreState()


def _draw_foot(canvas: Canvas, document: ReportDocument) -> None:
    canvas.setStrokeColor(HAIRLINE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, _FOOT_Y + 9, PAGE_WIDTH - MARGIN, _FOOT_Y + 9)
    canvas.setFillColor(MUTED)
    canvas.setFont(SANS, 7)
    made = f"made {document.created_at:%Y-%m-%d %H:%M} {document.timezone}"
    canvas.drawString(
        MARGIN, _FOOT_Y, f"{document.style.footer_text or 'Solar Hub'} · {document.cover.subject} · {made}"
    )
    if document.style.show_page_numbers:
        canvas.drawRightString(PAGE_WIDTH - MARGIN, _FOOT_Y, f"{canvas.getPageNumber()}")


def _draw_running_head(canvas: Canvas, document: ReportDocument, theme: Theme) -> None:
    canvas.setFillColor(theme.primary)
    canvas.rect(0, PAGE_HEIGHT - 3 * mm, PAGE_WIDTH, 3 * mm, stroke=0, fill=1)
    canvas.setFillColor(MUTED)
    canvas.setFont(SANS, 7.5)
    y = PAGE_HEIGHT - 10 * mm
    canvas.drawString(MARGIN, y, f"{document.cover.title} · {document.cover.subject}")
    canvas.drawRightString(PAGE_WIDTH - MARGIN, y, document.cover.period)


def _cover_flowables(document: ReportDocument, theme: Theme) -> list[Flowable]:
    flowables: list[Flowable] = []
    if document.cover.headline:
        flowables.append(Paragraph(escape(document.cover.headline), text_style(12, bold=True, leading=1.35, after=6)))
    if document.cover.facts:
        label, value = text_style(6.8, color=MUTED), text_style(8.6)
        cells = [[Paragraph(escape(f.label), label), Paragraph(escape(f.value), value)] for f in document.cover.facts]
        count = len(cells)
        table = Table([cells], colWidths=[BODY_WIDTH / count] * count)
        table.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("LINEBELOW", (0, 0), (-1, -1), 0.8, tint(theme.primary, 0.35)),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
                ]
            )
        )
        flowables += [table, Spacer(1, 4)]
    return flowables


def render_pdf(document: ReportDocument) -> bytes:
    """Turn a document into a PDF.

    Returns:
        The file; the same document gives the same bytes.
    """
    register_fonts()
    theme = Theme.of(document.style)
    buffer = io.BytesIO()
    template = BaseDocTemplate(
        buffer,
        pagesize=A4,
        title=f"{document.cover.title}: {document.cover.subject}, {document.cover.period}",
        author=document.cover.organization,
        creator="Solar Hub",
        lang=document.language,
        invariant=1,
    )
    bottom = _FOOT_Y + 14
    first = Frame(MARGIN, bottom, BODY_WIDTH, PAGE_HEIGHT - HEAD_HEIGHT - 5 * mm - bottom, 0, 0, 0, 0, id="first")
    later = Frame(MARGIN, bottom, BODY_WIDTH, PAGE_HEIGHT - 14 * mm - bottom, 0, 0, 0, 0, id="later")

    def on_first(canvas: Canvas, _template: BaseDocTemplate) -> None:
        _draw_head(canvas, document, theme)
        _draw_foot(canvas, document)

    def on_later(canvas: Canvas, _template: BaseDocTemplate) -> None:
        _draw_running_head(canvas, document, theme)
        _draw_foot(canvas, document)

    template.addPageTemplates(
        [
            PageTemplate(id="first", frames=[first], onPage=on_first, autoNextPageTemplate="later"),
            PageTemplate(id="later", frames=[later], onPage=on_later),
        ]
    )
    story = _cover_flowables(document, theme)
    for section in document.sections:
        story += section_flowables(section, theme)
    template.build(story)
    return buffer.getvalue()
