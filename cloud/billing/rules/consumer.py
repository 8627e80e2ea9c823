"""Who the consumer is, as the bill sees it: category by history, province, export scheme."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cloud.billing.rules.model import BillWarning, ExportScheme
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month

PROTECTED_KWH = Decimal(200)
PROTECTED_MONTHS = 6
LIFELINE_KWH = Decimal(100)
LIFELINE_MONTHS = 12
LIFELINE_LOAD_KW = Decimal(1)
SINGLE_PHASE = 1
NET_BILLING_FROM = date(2026, 2, 9)
"""Contracts from this day on are under net billing."""

LIFELINE = "residential_lifeline"
PROTECTED = "residential_protected"
UNPROTECTED = "residential_unprotected"


@dataclass(frozen=True, slots=True)
class _Status:
    """A status that a home keeps by what it uses.

    Attributes:
        limit_kwh: in this month and in each of the past ones.
        months: past months that count.
    """

    name: str
    limit_kwh: Decimal
    months: int


_STATUSES = {
    PROTECTED: _Status("protected", PROTECTED_KWH, PROTECTED_MONTHS),
    LIFELINE: _Status("lifeline", LIFELINE_KWH, LIFELINE_MONTHS),
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


@dataclass(frozen=True, slots=True)
class Home:
    """What decides a home's status.

    Attributes:
        units: kWh of this bill.
        history: kWh billed by month, as far as known.
        bill_month: the bill's month.
        phases: None = not known.
        sanctioned_load_kw: None = not known.
    """

    units: Decimal
    history: Mapping[Month, Decimal]
    bill_month: Month
    phases: int | None = None
    sanctioned_load_kw: Decimal | None = None


def checked_months(category: str, bill_month: Month) -> tuple[Month, ...]:
    """Months before the bill's whose units decide the category; none for most categories."""
    if category not in _STATUSES:
        return ()
    return tuple(bill_month.back(back) for back in range(1, _STATUSES[category].months + 1))


def _connection_reasons(category: str, home: Home) -> list[str]:
    found = []
    if category == LIFELINE and home.phases not in {None, SINGLE_PHASE}:
        found.append(f"the connection has {home.phases} phases and lifeline homes have one")
    if category == LIFELINE and home.sanctioned_load_kw is not None and home.sanctioned_load_kw > LIFELINE_LOAD_KW:
        found.append(
            f"the sanctioned load of {number_text(home.sanctioned_load_kw)} kW is more than the {number_text(LIFELINE_LOAD_KW)} kW "
            "of lifeline homes"
        )
    return found


def _against(category: str, home: Home) -> str | None:
    """Why the home does not have the status, as far as known: the first reason."""
    status = _STATUSES[category]
    reasons = _connection_reasons(category, home)
    if reasons:
        return reasons[0]
    used = [(home.bill_month, home.units)]
    used += [(m, home.history[m]) for m in checked_months(category, home.bill_month) if m in home.history]
    for month, kwh in used:
        if kwh > status.limit_kwh:
            return (
                f"{number_text(kwh)} kWh in {month} are more than the {number_text(status.limit_kwh)} kWh of "
                f"{status.name} homes"
            )
    return None


def _unknown(category: str, home: Home) -> tuple[str, ...]:
    """What the status depends on and nobody said: `units_history for 2026-01, 2026-02`."""
    months = sorted(str(m) for m in checked_months(category, home.bill_month) if m not in home.history)
    found = [f"units_history for {', '.join(months)}"] if months else []
    if category == LIFELINE:
        found += [name for name in ("phases", "sanctioned_load_kw") if getattr(home, name) is None]
    return tuple(found)


def _kept(category: str, home: Home) -> tuple[str, tuple[BillWarning, ...]]:
    unknown = _unknown(category, home)
    if not unknown:
        return category, ()
    message = f"The {_STATUSES[category].name} status could not be checked: give {' and '.join(unknown)}."
    return category, (BillWarning("category_unchecked", message),)


def _billed_words(category: str) -> str:
    return _STATUSES[category].name if category in _STATUSES else "un-protected"


def _lost(category: str, home: Home, reason: str) -> tuple[str, tuple[BillWarning, ...]]:
    billed, warnings = UNPROTECTED, tuple[BillWarning, ...]()
    if category == LIFELINE and _against(PROTECTED, home) is None:
        billed, warnings = _kept(PROTECTED, home)
    return billed, (BillWarning("category_lost", f"Billed as {_billed_words(billed)}: {reason}."), *warnings)


def billed_category(
    configured: str,
    *,
    units: Decimal,
    history: Mapping[Month, Decimal],
    bill_month: Month,
    phases: int | None = None,
    sanctioned_load_kw: Decimal | None = None,
) -> tuple[str, tuple[BillWarning, ...]]:
    """The category that the month is billed in: a home loses its protected or lifeline rates by what it used.

    A lifeline home that loses them is protected where it may be, else un-protected. An un-protected home stays one: the company gives
    the status, the history can only take it away.

    Args:
        configured: the connection's category.
        units: kWh of this bill.
        history: kWh billed by month, as far as known.
        bill_month: the bill's month.
        phases: None = not known.
        sanctioned_load_kw: None = not known.

    Returns:
        The category, and warnings: why it differs from the configured one, what could not be checked, or that an un-protected home has
        used as little as a protected one.
    """
    home = Home(units, history, bill_month, phases, sanctioned_load_kw)
    if configured in _STATUSES:
        reason = _against(configured, home)
        return _kept(configured, home) if reason is None else _lost(configured, home, reason)
    if configured == UNPROTECTED and _against(PROTECTED, home) is None and not _unknown(PROTECTED, home):
        message = (
            f"Billed as un-protected, as configured; {number_text(PROTECTED_KWH)} kWh or less in this month and each of the past "
            f"{PROTECTED_MONTHS} are those of a protected home: ask the company."
        )
        return configured, (BillWarning("protected_by_history", message),)
    return configured, ()


def home_category(home: Home) -> tuple[str, tuple[BillWarning, ...]]:
    """The category of a home (A-1(a)) that nobody named: a status is given only where everything it depends on is known.

    Returns:
        The category, and a warning that says what would have to be known for a better one.
    """
    billed, unknown = UNPROTECTED, []
    for category in (LIFELINE, PROTECTED):
        if _against(category, home) is not None:
            continue
        missing = _unknown(category, home)
        if not missing:
            billed = category
            break
        unknown.append(f"{_STATUSES[category].name} ({', '.join(missing)})")
    if not unknown:
        return billed, ()
    message = (
        f"Billed as {_billed_words(billed)}: not enough is known to tell whether the home is {' or '.join(unknown)}."
    )
    return billed, (BillWarning("category_unchecked", message),)


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
