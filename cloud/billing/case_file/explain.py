"""A priced case as a person reads a bill: sections in the bill's order, the arithmetic and source of each line."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from cloud.billing.rules.model import CHARGE_KINDS, LineKind, RateStatus
from cloud.core.text import Language

_WIDTH = 62
_AMOUNT_WIDTH = 14
_INDENT = "    "

_SECTIONS: Mapping[str, frozenset[LineKind]] = {
    "charges": CHARGE_KINDS,
    "taxes": frozenset({LineKind.DUTY, LineKind.GST}),
    "others": frozenset({LineKind.METER_RENT, LineKind.MUNICIPAL, LineKind.TV_FEE}),
    "income_tax": frozenset({LineKind.INCOME_TAX}),
    "credits": frozenset({LineKind.EXPORT_CREDIT}),
}
"""In the order of the bill."""

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "bill": {Language.EN: "ELECTRICITY BILL", Language.UR: "بجلی کا بل"},
    "days": {Language.EN: "days", Language.UR: "دن"},
    "month": {Language.EN: "bill month", Language.UR: "بل کا مہینہ"},
    "units": {Language.EN: "units billed", Language.UR: "بل کے یونٹ"},
    "load": {Language.EN: "sanctioned load", Language.UR: "منظور شدہ لوڈ"},
    "charges": {Language.EN: "Electricity charges", Language.UR: "بجلی کے چارجز"},
    "others": {Language.EN: "Other charges", Language.UR: "دیگر چارجز"},
    "taxes": {Language.EN: "Taxes", Language.UR: "ٹیکس"},
    "income_tax": {Language.EN: "Income tax", Language.UR: "انکم ٹیکس"},
    "credits": {Language.EN: "Credit for exports", Language.UR: "برآمد شدہ یونٹوں کا کریڈٹ"},
    "total": {Language.EN: "TOTAL", Language.UR: "کل رقم"},
    "pending": {Language.EN: "not known yet", Language.UR: "ابھی معلوم نہیں"},
    "pending_note": {
        Language.EN: "The total leaves out what is not known yet",
        Language.UR: "کل رقم میں وہ شامل نہیں جو ابھی معلوم نہیں",
    },
    "savings": {Language.EN: "With and without solar", Language.UR: "سولر کے ساتھ اور بغیر"},
    "without": {Language.EN: "Bill without solar", Language.UR: "سولر کے بغیر بل"},
    "with": {Language.EN: "Bill with solar", Language.UR: "سولر کے ساتھ بل"},
    "saved": {Language.EN: "Saved", Language.UR: "بچت"},
    "carried": {Language.EN: "Surplus carried forward", Language.UR: "آگے منتقل فاضل یونٹ"},
    "warnings": {Language.EN: "To know about this bill", Language.UR: "اس بل کے بارے میں"},
    "assumptions": {Language.EN: "Taken for granted", Language.UR: "مفروضات"},
}


def _word(key: str, language: Language) -> str:
    return _WORDS[key][language]


def _columns(text: str) -> int:
    """Columns that a text takes in a terminal: marks above or below a letter take none."""
    return sum(unicodedata.category(char) not in {"Mn", "Me", "Cf"} for char in text)


def _row(label: str, amount: str, *, indent: str = "  ") -> str:
    left = f"{indent}{label}"
    return left + " " * max(1, _WIDTH - _columns(left)) + " " * max(0, _AMOUNT_WIDTH - _columns(amount)) + amount


def _money(amount: str | Decimal) -> str:
    return f"{Decimal(amount):,.2f}"


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day.day} {day:%b %Y}"


def _line(line: Mapping[str, Any], language: Language) -> list[str]:
    label = (line.get("label_ur") if language is Language.UR else None) or line["label"]
    pending = line["amount"] is None
    amount = _word("pending", language) if pending else _money(line["amount"])
    status = "" if line["status"] in {RateStatus.VERIFIED.value, RateStatus.PENDING.value} else f", {line['status']}"
    source = "" if pending else f"  [{line['source']}{status}]"
    return [_row(label, amount), f"{_INDENT}{line['formula']}{source}"]


def _section(key: str, lines: Sequence[Mapping[str, Any]], language: Language) -> list[str]:
    if not lines:
        return []
    known = sum((Decimal(line["amount"]) for line in lines if line["amount"] is not None), Decimal(0))
    told = [text for line in lines for text in _line(line, language)]
    rule = " " * _WIDTH + "-" * _AMOUNT_WIDTH
    return ["", _word(key, language), *told, rule, _row(_word(key, language), _money(known), indent="")]


def _head(result: Mapping[str, Any], language: Language) -> list[str]:
    case, bill, tariff = result["case"], result["bill_breakdown"], result["tariff"]
    days = (date.fromisoformat(case["period_end"]) - date.fromisoformat(case["period_start"])).days + 1
    company = f"{tariff['disco_provider']}, " if tariff["disco_provider"] else ""
    load = case["sanctioned_load_kw"]
    facts = [f"{_word('units', language)}: {bill['billed_kwh']} kWh"]
    if load is not None:
        facts.append(f"{_word('load', language)}: {load} kW")
    if case["max_demand_kw"] is not None:
        facts.append(f"MDI: {case['max_demand_kw']} kW")
    period = f"{_day(case['period_start'])} - {_day(case['period_end'])} ({days} {_word('days', language)})"
    return [
        f"{_word('bill', language)}: {company}{tariff['code']}",
        f"{period}, {_word('month', language)} {bill['bill_month']}",
        ", ".join(facts),
    ]


def _notes(key: str, notes: Iterable[str], language: Language) -> list[str]:
    found = list(notes)
    return ["", _word(key, language), *(f"  - {note}" for note in found)] if found else []


def _savings(result: Mapping[str, Any], language: Language) -> list[str]:
    savings, bill = result["savings_breakdown"], result["bill_breakdown"]
    told: list[str] = []
    if Decimal(bill["surplus_kwh_carried"]):
        told += ["", _row(_word("carried", language), f"{bill['surplus_kwh_carried']} kWh", indent="")]
    if savings["bill_without_solar"] == savings["bill_with_solar"]:
        return told
    return [
        *told,
        "",
        _word("savings", language),
        _row(_word("without", language), _money(savings["bill_without_solar"])),
        _row(_word("with", language), _money(savings["bill_with_solar"])),
        _row(f"{_word('saved', language)} ({savings['savings_percent']} %)", _money(savings["total_savings"])),
    ]


def explained_bill(result: Mapping[str, Any], language: Language) -> str:
    """The priced case in words and columns.

    Args:
        result: from `pricing.price`.
        language: of labels and headings; formulas, sources and notes are English.
    """
    lines = result["lines"]
    told = _head(result, language)
    for key, kinds in _SECTIONS.items():
        told += _section(key, [line for line in lines if line["kind"] in kinds], language)
    told += ["", " " * _WIDTH + "=" * _AMOUNT_WIDTH]
    told.append(_row(f"{_word('total', language)} (PKR)", _money(result["bill_breakdown"]["total_bill"]), indent=""))
    pending = [line["label"] for line in lines if line["amount"] is None]
    if pending:
        told.append(f"{_word('pending_note', language)}: {', '.join(pending)}.")
    told += _savings(result, language)
    told += _notes("warnings", (warning["message"] for warning in result["warnings"]), language)
    told += _notes("assumptions", result["assumptions"], language)
    return "\n".join(told)
