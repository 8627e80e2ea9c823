"""Who the consumer is, as the bill sees it: category by history, province, export scheme."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from cloud.billing.rules.model import BillWarning, ExportScheme
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month

PROTECTED_KWH = Decimal(200)
PROTECTED_MONTHS = 6
LIFELINE_KWH = Decimal(100)
LIFELINE_MONTHS = 12
NET_BILLING_FROM = date(2026, 2, 9)
"""Contracts from this day on are under net billing."""

_UNPROTECTED = "residential_unprotected"
_LIMITS = {
    "residential_protected": (PROTECTED_KWH, PROTECTED_MONTHS, "protected"),
    "residential_lifeline": (LIFELINE_KWH, LIFELINE_MONTHS - 1, "lifeline"),
}

_PROVINCES = {
    "punjab": "punjab",
    "sindh": "sindh",
    "sind": "sindh",
    "khyber pakhtunkhwa": "khyber_pakhtunkhwa",
    "kp": "khyber_pakhtunkhwa",
    "kpk": "khyber_pakhtunkhwa",
    "balochistan": "balochistan",
    "baluchistan": "balochistan",
    "islamabad": "islamabad",
    "islamabad capital territory": "islamabad",
    "ict": "islamabad",
}
_PROVINCE_OF_DISCO = {
    "lesco": "punjab",
    "fesco": "punjab",
    "gepco": "punjab",
    "mepco": "punjab",
    "kelectric": "sindh",
    "hesco": "sindh",
    "sepco": "sindh",
    "pesco": "khyber_pakhtunkhwa",
    "hazeco": "khyber_pakhtunkhwa",
    "tesco": "khyber_pakhtunkhwa",
    "qesco": "balochistan",
}


def checked_months(category: str, bill_month: Month) -> tuple[Month, ...]:
    """Months before the bill's whose units decide the category; none for most categories."""
    if category not in _LIMITS:
        return ()
    return tuple(bill_month.back(back) for back in range(1, _LIMITS[category][1] + 1))


def billed_category(
    configured: str, *, units: Decimal, history: Mapping[Month, Decimal], bill_month: Month
) -> tuple[str, tuple[BillWarning, ...]]:
    """The category that the month is billed in: a home loses its protected or lifeline rates by what it used.

    Args:
        configured: the site's category.
        units: kWh of this bill.
        history: kWh billed by month, as far as known.
        bill_month: the bill's month.

    Returns:
        The category, and warnings: why it differs from the configured one, or which months could not be checked.
    """
    if configured not in _LIMITS:
        return configured, ()
    limit, _, name = _LIMITS[configured]
    past = checked_months(configured, bill_month)
    over = [(str(month), history[month]) for month in past if month in history and history[month] > limit]
    if units > limit:
        over.insert(0, (str(bill_month), units))
    if over:
        month, kwh = over[0]
        message = (
            f"Billed as un-protected: {number_text(kwh)} kWh in {month} are more than the {number_text(limit)} kWh of "
            f"{name} homes."
        )
        return _UNPROTECTED, (BillWarning("category_lost", message),)
    unknown = [str(month) for month in past if month not in history]
    if not unknown:
        return configured, ()
    message = (
        f"The {name} status could not be checked for {', '.join(sorted(unknown))}: give units_history for these months."
    )
    return configured, (BillWarning("category_unchecked", message),)


def province_of(state: str | None, disco_provider: str) -> str | None:
    """Province from the address, else from the company's area; None where neither tells (iesco spans three)."""
    named = _PROVINCES.get(" ".join((state or "").lower().split()))
    return named or _PROVINCE_OF_DISCO.get(disco_provider)


def export_scheme_of(
    *, named: str | None, net_metering_enabled: bool, installed: date | None
) -> tuple[ExportScheme, tuple[BillWarning, ...]]:
    """How the site's exports count: as named, else by the date of the installation.

    Args:
        named: a scheme's value, from the request or the site's configuration.
        net_metering_enabled: from the site's configuration.
        installed: from the site's configuration.
    """
    if named is not None:
        return ExportScheme(named), ()
    if not net_metering_enabled:
        return ExportScheme.NONE, ()
    scheme = ExportScheme.NET_METERING_2015
    if installed is not None and installed >= NET_BILLING_FROM:
        scheme = ExportScheme.NET_BILLING_2026
    message = f"Exports are counted by {scheme.value}, from the installation date; name export_scheme if the contract differs."
    return scheme, (BillWarning("export_scheme_assumed", message),)
