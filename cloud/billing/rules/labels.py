"""What the lines of a bill are called, in English and in the Urdu of Pakistani bills."""

from typing import NamedTuple


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
    return Label(f"Fuel charge adjustment, {month}", f"فیول چارجز ایڈجسٹمنٹ، {month}")
