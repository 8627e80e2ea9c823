"""What the lines of a bill are called, in English and in the Urdu of Pakistani bills."""

from collections.abc import Mapping
from typing import NamedTuple

from cloud.billing.rules.kinds import LineKind


class Label(NamedTuple):
    """A line's name in both languages."""

    en: str
    ur: str


FIXED = Label("Fixed charge", "فکسڈ چارجز")
MINIMUM = Label("Minimum charge", "کم از کم چارجز")
DEMAND = Label("Demand charge", "ڈیمانڈ چارجز")
METER_RENT = Label("Meter rent", "میٹر کا کرایہ")
QTA = Label("Quarterly tariff adjustment", "سہ ماہی ٹیرف ایڈجسٹمنٹ")
PHL = Label("Debt service surcharge (PHL)", "ڈیبٹ سروس سرچارج (پی ایچ ایل)")
DUTY = Label("Electricity duty", "بجلی ڈیوٹی")
GST = Label("General sales tax", "جنرل سیلز ٹیکس")
MUNICIPAL = Label("Municipal utility charge", "میونسپل یوٹیلیٹی چارجز")
TV_FEE = Label("TV fee", "ٹی وی فیس")
INCOME_TAX = Label("Income tax, section 235", "انکم ٹیکس، دفعہ 235")
EXPORT_CREDIT = Label("Credit for exported units", "گرڈ کو دیے گئے یونٹوں کا کریڈٹ")
SURPLUS_PAID = Label("Surplus units paid", "فاضل یونٹوں کی ادائیگی")

_ENERGY_UR = "بجلی کی قیمت"
_FUEL_UR = "فیول چارجز ایڈجسٹمنٹ"
_HOURS_UR = {"peak": "پیک اوقات", "off-peak": "آف پیک اوقات", "all units": "تمام یونٹ"}


def energy(portion: str) -> Label:
    """The energy charge of a portion: "201-300", "> 700", "peak", "off-peak", "all units"."""
    hours = _HOURS_UR.get(portion)
    if hours is not None:
        return Label(f"Energy charge, {portion}", f"{_ENERGY_UR}، {hours}")
    units = f"{portion[2:]} سے زائد یونٹ" if portion.startswith("> ") else f"{portion} یونٹ"
    return Label(f"Energy charge, {portion} kWh", f"{_ENERGY_UR}، {units}")


def fuel(month: str) -> Label:
    """The fuel charge adjustment of a month, `2026-07`."""
    return Label(f"Fuel charge adjustment, {month}", f"{_FUEL_UR}، {month}")


_KINDS: Mapping[LineKind, str] = {
    LineKind.ENERGY: _ENERGY_UR,
    LineKind.MINIMUM: MINIMUM.ur,
    LineKind.FIXED: FIXED.ur,
    LineKind.DEMAND: DEMAND.ur,
    LineKind.FPA: _FUEL_UR,
    LineKind.QTA: QTA.ur,
    LineKind.SURCHARGE: "سرچارج",
    LineKind.METER_RENT: METER_RENT.ur,
    LineKind.DUTY: DUTY.ur,
    LineKind.GST: GST.ur,
    LineKind.MUNICIPAL: MUNICIPAL.ur,
    LineKind.TV_FEE: TV_FEE.ur,
    LineKind.INCOME_TAX: INCOME_TAX.ur,
    LineKind.EXPORT_CREDIT: EXPORT_CREDIT.ur,
}


def urdu_of(kind: LineKind) -> str:
    """The name of a kind of line, for one that has no Urdu name of its own (tariffs of other countries, printed bills)."""
    return _KINDS[kind]
