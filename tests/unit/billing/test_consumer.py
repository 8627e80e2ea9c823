"""Status by history, province, export scheme, peak hours at their edges."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.rules.consumer import Home, billed_category, export_scheme_of, home_category, province_of
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.rules.model import ExportScheme
from cloud.billing.rules.month import Month


@pytest.mark.parametrize(
    ("state", "disco", "province"),
    [
        ("Punjab", "iesco", "punjab"),
        ("  khyber  PAKHTUNKHWA ", "pesco", "khyber_pakhtunkhwa"),
        (None, "kelectric", "sindh"),
        ("", "hazeco", "khyber_pakhtunkhwa"),
        (None, "iesco", None),
        ("Somewhere", "qesco", "balochistan"),
    ],
)
def test_province(state: str | None, disco: str, province: str | None) -> None:
    assert province_of(state, disco) == province


@pytest.mark.parametrize(
    ("named", "enabled", "installed", "scheme", "warned"),
    [
        ("net_billing_2026", False, None, ExportScheme.NET_BILLING_2026, False),
        (None, False, date(2020, 1, 1), ExportScheme.NONE, False),
        (None, True, None, ExportScheme.NET_METERING_2015, True),
        (None, True, date(2026, 2, 8), ExportScheme.NET_METERING_2015, True),
        (None, True, date(2026, 2, 9), ExportScheme.NET_BILLING_2026, True),
    ],
)
def test_export_scheme(
    named: str | None, enabled: bool, installed: date | None, scheme: ExportScheme, warned: bool
) -> None:
    found, warnings = export_scheme_of(named=named, net_metering_enabled=enabled, installed=installed)
    assert found is scheme
    assert bool(warnings) is warned


@pytest.mark.parametrize(
    ("disco", "at", "peak"),
    [
        ("lesco", (1, 17, 0), True),
        ("lesco", (1, 21, 0), False),
        ("lesco", (4, 18, 0), True),
        ("lesco", (7, 18, 59), False),
        ("lesco", (7, 22, 59), True),
        ("lesco", (10, 17, 59), False),
        ("kelectric", (5, 18, 15), False),
        ("kelectric", (5, 18, 30), True),
        ("kelectric", (10, 22, 15), True),
        ("kelectric", (11, 18, 0), True),
        ("kelectric", (11, 22, 0), False),
    ],
)
def test_peak_hours(disco: str, at: tuple[int, int, int], peak: bool) -> None:
    month, hour, minute = at
    assert is_peak(datetime(2026, month, 15, hour, minute, tzinfo=ZoneInfo("Asia/Karachi")), disco) is peak


SEPTEMBER = Month(2026, 9)
LIFELINE, PROTECTED, UNPROTECTED = "residential_lifeline", "residential_protected", "residential_unprotected"


def _history(*kwh: int) -> dict[Month, Decimal]:
    """Units of August, July, and so on."""
    return {SEPTEMBER.back(back): Decimal(units) for back, units in enumerate(kwh, start=1)}


@pytest.mark.parametrize(
    ("configured", "units", "history", "phases", "load_kw", "billed", "codes"),
    [
        (PROTECTED, 200, _history(*[200] * 6), None, None, PROTECTED, []),
        (PROTECTED, 201, _history(*[200] * 6), None, None, UNPROTECTED, ["category_lost"]),
        (PROTECTED, 150, _history(*[200] * 5, 201), None, None, UNPROTECTED, ["category_lost"]),
        (PROTECTED, 150, _history(*[200] * 6, 900), None, None, PROTECTED, []),
        (PROTECTED, 150, _history(*[200] * 5), None, None, PROTECTED, ["category_unchecked"]),
        (LIFELINE, 100, _history(*[100] * 12), 1, 1, LIFELINE, []),
        (LIFELINE, 100, _history(*[100] * 12), None, 1, LIFELINE, ["category_unchecked"]),
        (LIFELINE, 100, _history(*[100] * 11), 1, 1, LIFELINE, ["category_unchecked"]),
        (LIFELINE, 100, _history(*[100] * 11, 101), 1, 1, PROTECTED, ["category_lost"]),
        (LIFELINE, 100, _history(*[100] * 12), 3, 1, PROTECTED, ["category_lost"]),
        (LIFELINE, 100, _history(*[100] * 12), 1, 2, PROTECTED, ["category_lost"]),
        (LIFELINE, 150, _history(90), 1, 1, PROTECTED, ["category_lost", "category_unchecked"]),
        (LIFELINE, 90, _history(90, 250), 1, 1, UNPROTECTED, ["category_lost"]),
        (UNPROTECTED, 90, _history(*[90] * 6), 1, 1, UNPROTECTED, ["protected_by_history"]),
        (UNPROTECTED, 90, _history(*[90] * 5), 1, 1, UNPROTECTED, []),
        ("residential_tou", 90, _history(*[90] * 12), 1, 1, "residential_tou", []),
    ],
)
def test_status_by_history(
    configured: str,
    units: int,
    history: dict[Month, Decimal],
    phases: int | None,
    load_kw: int | None,
    billed: str,
    codes: list[str],
) -> None:
    category, warnings = billed_category(
        configured,
        units=Decimal(units),
        history=history,
        bill_month=SEPTEMBER,
        phases=phases,
        sanctioned_load_kw=None if load_kw is None else Decimal(load_kw),
    )
    assert category == billed
    assert [warning.code for warning in warnings] == codes


def test_what_could_not_be_checked_is_named() -> None:
    _, warnings = billed_category(LIFELINE, units=Decimal(50), history=_history(*[50] * 11), bill_month=SEPTEMBER)
    assert warnings[0].message == (
        "The lifeline status could not be checked: give units_history for 2025-09 and phases and sanctioned_load_kw."
    )
    _, warnings = billed_category(LIFELINE, units=Decimal(50), history=_history(60, 130), bill_month=SEPTEMBER)
    assert warnings[0].message == "Billed as protected: 130 kWh in 2026-07 are more than the 100 kWh of lifeline homes."


@pytest.mark.parametrize(
    ("units", "history", "phases", "load_kw", "billed", "words"),
    [
        (90, _history(*[100] * 12), 1, 1, LIFELINE, None),
        (90, _history(*[100] * 6), 1, 1, PROTECTED, "lifeline"),
        (150, _history(*[200] * 6), 3, 5, PROTECTED, None),
        (150, _history(*[200] * 5), 3, 5, UNPROTECTED, "protected"),
        (150, _history(*[200] * 5, 201), 3, 5, UNPROTECTED, None),
        (90, {}, None, None, UNPROTECTED, "lifeline"),
    ],
)
def test_a_home_that_nobody_named(
    units: int, history: dict[Month, Decimal], phases: int | None, load_kw: int | None, billed: str, words: str | None
) -> None:
    load = None if load_kw is None else Decimal(load_kw)
    category, warnings = home_category(Home(Decimal(units), history, SEPTEMBER, phases, load))
    assert category == billed
    assert bool(warnings) is (words is not None)
    assert all(words is not None and words in warning.message for warning in warnings)
