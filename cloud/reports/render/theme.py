"""Colours, fonts and text styles of the PDF."""

import functools
from dataclasses import dataclass
from importlib import resources

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from cloud.reports.rules.document import Style, Tone

SANS = "NotoSans"
SANS_BOLD = "NotoSans-Bold"
NASKH = "NotoNaskh"
NASKH_BOLD = "NotoNaskh-Bold"

_FILES = {
    SANS: "NotoSans-Regular.ttf",
    SANS_BOLD: "NotoSans-Bold.ttf",
    NASKH: "NotoNaskhArabic-Regular.ttf",
    NASKH_BOLD: "NotoNaskhArabic-Bold.ttf",
}

INK = HexColor("#1f2a30")
MUTED = HexColor("#66757d")
HAIRLINE = HexColor("#dfe5e8")
PANEL = HexColor("#f5f8f8")
PAPER = white

_TONES = {
    Tone.CONSUMED: "#3f5d73",
    Tone.IMPORTED: "#b5483a",
    Tone.EXPORTED: "#2a8fa8",
    Tone.BATTERY: "#7b5ea7",
    Tone.NATURE: "#2f8f5b",
    Tone.NEUTRAL: "#66757d",
    Tone.WARNING: "#b5483a",
}


@functools.cache
def register_fonts() -> None:
    """Make the vendored fonts known to ReportLab, once per process."""
    folder = resources.files("cloud.reports.fonts")
    for name, file in _FILES.items():
        with resources.as_file(folder / file) as path:
            pdfmetrics.registerFont(TTFont(name, str(path)))
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=SANS_BOLD, italic=SANS, boldItalic=SANS_BOLD)
    pdfmetrics.registerFontFamily(NASKH, normal=NASKH, bold=NASKH_BOLD, italic=NASKH, boldItalic=NASKH_BOLD)


def tint(color: Color, share: float) -> Color:
    """A colour mixed with white; share 0 = white, 1 = the colour."""
    return Color(*(1 - (1 - part) * share for part in (color.red, color.green, color.blue)))


@dataclass(frozen=True, slots=True)
class Theme:
    """The look of one document."""

    primary: Color
    secondary: Color

    @classmethod
    def of(cls, style: Style) -> "Theme":
        """From an organisation's branding."""
        return cls(HexColor(style.primary_color), HexColor(style.secondary_color))

    def tone(self, tone: Tone) -> Color:
        """Colour of what a number stands for; generation and money carry the organisation's own colours."""
        if tone is Tone.GENERATED:
            return self.secondary
        if tone is Tone.MONEY:
            return self.primary
        return HexColor(_TONES[tone])


def text_style(
    size: float, *, bold: bool = False, color: Color = INK, leading: float = 1.4, after: float = 0
) -> ParagraphStyle:
    """A paragraph's style; sizes in points."""
    return ParagraphStyle(
        name=f"t{size}{bold}",
        fontName=SANS_BOLD if bold else SANS,
        fontSize=size,
        leading=size * leading,
        textColor=color,
        alignment=TA_LEFT,
        spaceAfter=after,
    )
