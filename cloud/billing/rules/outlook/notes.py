"""How far a year of projected bills can be trusted, in words."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from cloud.billing.rules.model import LineKind, RateStatus
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.outlook.profile import MEASURED_COVERAGE_PERCENT, MONTHS_A_YEAR, Basis, YearOutlook
from cloud.billing.rules.outlook.projection import Projection

HIGH_MONTHS = 10
"""So many measured months of twelve make a projection good."""
LOW_MONTHS = 6
"""More assumed months than that make it poor."""


class Confidence(StrEnum):
    """How well the year's energy is known; rates are spoken of apart."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Trust:
    """A level, and the sentence that explains it.

    Attributes:
        estimated_pkr: sum of the lines with solar whose rate is an estimate, whatever their sign.
    """

    level: Confidence
    note: str
    estimated_pkr: Decimal


def _level(projection: Projection) -> Confidence:
    if projection.count(Basis.ASSUMED) > LOW_MONTHS:
        return Confidence.LOW
    if projection.count(Basis.MEASURED) >= HIGH_MONTHS and not any(m.pending_lines for m in projection.months):
        return Confidence.HIGH
    return Confidence.MEDIUM


def _estimated_pkr(projection: Projection) -> Decimal:
    lines = (line for month in projection.months for line in month.with_solar.lines)
    return sum((abs(li.amount_pkr) for li in lines if li.amount_pkr and li.status is RateStatus.ESTIMATED), ZERO)


def _counted(kinds: Counter[LineKind]) -> str:
    return ", ".join(f"{kind.value} in {count}" for kind, count in sorted(kinds.items()))


def trust_of(projection: Projection) -> Trust:
    """Judge a projection."""
    counts = ", ".join(f"{projection.count(basis)} {basis.value}" for basis in Basis)
    sentences = [f"Energy of {MONTHS_A_YEAR} months: {counts}."]
    estimated = Counter(kind for month in projection.months for kind in month.estimated_lines)
    amount = _estimated_pkr(projection)
    if estimated:
        sentences.append(
            f"Months with rates that are estimates: {_counted(estimated)}; with solar PKR {amount:,.0f} in all."
        )
    pending = Counter(kind for month in projection.months for kind in month.pending_lines)
    if pending:
        sentences.append(f"Left out of the totals, since not known: {_counted(pending)}.")
    return Trust(_level(projection), " ".join(sentences), amount)


def assumptions_of(projection: Projection, outlook: YearOutlook) -> tuple[str, ...]:
    """What the year takes for granted, beside what each bill states."""
    months = [month.energy for month in projection.months]
    found = ["Bills run by calendar month; later tariffs and adjustments are the latest known ones."]
    if any(energy.stands_on is not None for energy in months):
        found.append(
            f"A month is the mean day of a measured month ({MEASURED_COVERAGE_PERCENT:.0f} % of readings or more) times its days."
        )
    used = {energy.stands_on for energy in months}
    sources = [month for month in outlook.measured if month.month in used]
    if not all(month.has_consumption for month in sources):
        found.append("Where consumption was not measured, it is import + generation - export.")
    if not all(month.has_export for month in sources):
        found.append("Where export was not measured, it is taken as 0: the bills have no credit for it.")
    if any(energy.stands_on is None for energy in months):
        found.append(
            "Consumption is spread evenly over the day: nothing was measured, so peak units and self-consumption are rough."
        )
    if outlook.system_kwp is not None:
        found.append("The new system generates as on clear days, by the height of the sun, on panels that lie flat.")
    if any(energy.generation_basis is Basis.SCALED for energy in months) and outlook.system_kwp is None:
        found.append(
            "Generation of months that were not measured is that of the measured ones, by the expected monthly yields."
        )
    if any(energy.consumption_basis is Basis.ASSUMED and energy.stands_on is not None for energy in months):
        found.append("Consumption of months that were not measured is that of the nearest measured month.")
    if any(energy.generated_kwh for energy in months):
        found.append("A battery works as it did in the measured months.")
    if projection.guessed_history:
        listed = ", ".join(map(str, projection.guessed_history))
        found.append(f"Units of {listed} are not known; those of the same months of this projection stand for them.")
    statements = {text for month in projection.months for text in month.with_solar.assumptions}
    return (*found, *sorted(statements))
