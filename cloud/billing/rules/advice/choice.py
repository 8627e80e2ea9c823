"""Which tariffs a connection may be on: by its kind of use, its sanctioned load and its phases.

The limits are those in the categories' own names in the schedule of tariffs (S.R.O. 279(I)/2026). Where the schedule goes by the voltage
of the supply, which a site's configuration does not hold, a tariff is not offered and the reason says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from cloud.billing.rules.consumer import LIFELINE_KWH, LIFELINE_LOAD_KW, PROTECTED_KWH, checked_months
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month


class Family(StrEnum):
    """What a connection is used for; nobody chooses a tariff of another use."""

    HOME = "home"
    COMMERCIAL = "commercial"
    INDUSTRIAL = "industrial"


class Hindrance(StrEnum):
    """Why a tariff cannot be chosen, or cannot be priced."""

    LOAD_UNKNOWN = "load_unknown"
    LOAD_TOO_SMALL = "load_too_small"
    LOAD_TOO_LARGE = "load_too_large"
    PHASES = "phases"
    VOLTAGE_UNKNOWN = "voltage_unknown"
    USE_TOO_HIGH = "use_too_high"
    USE_UNKNOWN = "use_unknown"
    NO_EXPORT = "no_export"
    NOT_ON_RECORD = "not_on_record"
    RATE_UNKNOWN = "rate_unknown"
    INPUT_MISSING = "input_missing"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, for programs and for people."""

    code: Hindrance
    reason: str


@dataclass(frozen=True, slots=True)
class _Limits:
    """Who a category is for; None = the schedule sets no limit that is on record.

    Attributes:
        below_kw: the load must be less than this.
        up_to_kw: the load may be this at most.
        voltage: what the supply must be, in words.
        most_kwh: units a month that the category ends at; the past months count too.
    """

    family: Family
    from_kw: Decimal | None = None
    below_kw: Decimal | None = None
    up_to_kw: Decimal | None = None
    single_phase: bool = False
    voltage: str | None = None
    most_kwh: Decimal | None = None


_LIMITS: Mapping[str, _Limits] = {
    "residential_lifeline": _Limits(Family.HOME, up_to_kw=LIFELINE_LOAD_KW, single_phase=True, most_kwh=LIFELINE_KWH),
    "residential_protected": _Limits(Family.HOME, most_kwh=PROTECTED_KWH),
    "residential_unprotected": _Limits(Family.HOME),
    "residential_tou": _Limits(Family.HOME, from_kw=Decimal(5)),
    "commercial_a1": _Limits(Family.COMMERCIAL, below_kw=Decimal(5)),
    "commercial_a2": _Limits(Family.COMMERCIAL, from_kw=Decimal(5), up_to_kw=Decimal(500)),
    "commercial_a3": _Limits(Family.COMMERCIAL, from_kw=Decimal(500)),
    "tou_commercial": _Limits(Family.COMMERCIAL),
    "industrial_b1": _Limits(Family.INDUSTRIAL, up_to_kw=Decimal(25)),
    "industrial_b2": _Limits(Family.INDUSTRIAL, from_kw=Decimal(25), up_to_kw=Decimal(500)),
    "industrial_b3": _Limits(Family.INDUSTRIAL, from_kw=Decimal(500), up_to_kw=Decimal(5000), voltage="11 to 33 kV"),
    "industrial_b4": _Limits(Family.INDUSTRIAL, voltage="66 to 132 kV"),
    "tou_industrial": _Limits(Family.INDUSTRIAL),
}


@dataclass(frozen=True, slots=True)
class Connection:
    """What the limits are compared with.

    Attributes:
        sanctioned_load_kw: None = not known.
        phases: 1 or 3; None = not known.
        units: kWh billed by month, as far as known, the months that are compared among them.
        months: the bill months that are compared.
    """

    category: str
    sanctioned_load_kw: Decimal | None
    phases: int | None
    units: Mapping[Month, Decimal]
    months: tuple[Month, ...]


def family_of(category: str) -> Family | None:
    """The use that a category is for; None for one of which nothing is known (agriculture, bulk supply …)."""
    limits = _LIMITS.get(category)
    return None if limits is None else limits.family


def same_family(category: str) -> tuple[str, ...]:
    """The categories of the same use, this one first; a category of no known family stands alone."""
    family = family_of(category)
    others = () if family is None else (name for name, limits in _LIMITS.items() if limits.family is family)
    return (category, *(name for name in others if name != category))


def load_refusal(category: str, sanctioned_load_kw: Decimal | None) -> Refusal | None:
    """Why the load does not fit the category; None when it does."""
    limits = _LIMITS.get(category, _Limits(Family.HOME))
    if limits.from_kw is None and limits.below_kw is None and limits.up_to_kw is None:
        return None
    if sanctioned_load_kw is None:
        return Refusal(Hindrance.LOAD_UNKNOWN, "The sanctioned load is not known; set sanctioned_load_kw.")
    has = f"the sanctioned load is {number_text(sanctioned_load_kw)} kW"
    if limits.from_kw is not None and sanctioned_load_kw < limits.from_kw:
        return Refusal(Hindrance.LOAD_TOO_SMALL, f"From {number_text(limits.from_kw)} kW on; {has}.")
    if limits.below_kw is not None and sanctioned_load_kw >= limits.below_kw:
        return Refusal(Hindrance.LOAD_TOO_LARGE, f"Below {number_text(limits.below_kw)} kW only; {has}.")
    if limits.up_to_kw is not None and sanctioned_load_kw > limits.up_to_kw:
        return Refusal(Hindrance.LOAD_TOO_LARGE, f"Up to {number_text(limits.up_to_kw)} kW; {has}.")
    return None


def _phases_refusal(limits: _Limits, phases: int | None) -> Refusal | None:
    if not limits.single_phase or phases == 1:
        return None
    if phases is None:
        return Refusal(Hindrance.PHASES, "For single-phase connections; set phases in the site's configuration.")
    return Refusal(Hindrance.PHASES, f"For single-phase connections; this one has {phases} phases.")


def _use_refusal(category: str, limits: _Limits, connection: Connection) -> Refusal | None:
    if limits.most_kwh is None:
        return None
    asked = {*connection.months, *(past for month in connection.months for past in checked_months(category, month))}
    months = sorted(asked, key=str)
    limit = f"{number_text(limits.most_kwh)} kWh a month"
    for month in months:
        kwh = connection.units.get(month)
        if kwh is not None and kwh > limits.most_kwh:
            reason = f"For homes that stay within {limit}; {number_text(kwh)} kWh in {month}."
            return Refusal(Hindrance.USE_TOO_HIGH, reason)
    unknown = [str(month) for month in months if month not in connection.units]
    if not unknown:
        return None
    reason = f"For homes that stay within {limit}; the units of {', '.join(unknown)} are not known: give units_history."
    return Refusal(Hindrance.USE_UNKNOWN, reason)


def refusal_of(category: str, connection: Connection) -> Refusal | None:
    """Why a connection cannot be on a category; None when it can.

    The category that it is on is never refused, whatever the limits say: its bills come by it.
    """
    limits = _LIMITS.get(category)
    if category == connection.category or limits is None:
        return None
    if limits.voltage is not None:
        return Refusal(
            Hindrance.VOLTAGE_UNKNOWN, f"For supplies at {limits.voltage}; the site's configuration holds no voltage."
        )
    return (
        load_refusal(category, connection.sanctioned_load_kw)
        or _phases_refusal(limits, connection.phases)
        or _use_refusal(category, limits, connection)
    )
