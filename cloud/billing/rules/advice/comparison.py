"""The same units on each tariff that a connection may choose, sorted by what they would have cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from cloud.billing.rules.advice.choice import Hindrance, Refusal
from cloud.billing.rules.bill import price_bill
from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.model import Adjustment, Bill, BillingCase, ExportScheme, LineKind, Plan, RateStatus
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month

_WEAKEST = (RateStatus.VERIFIED, RateStatus.DERIVED, RateStatus.ESTIMATED, RateStatus.PENDING)


class NotOnRecordError(BillingError):
    """The tariff has no version on record for a day of the period."""


def _overlaps(plan: Plan, first: date, last: date) -> bool:
    return (plan.effective_from is None or plan.effective_from <= last) and (
        plan.effective_to is None or plan.effective_to >= first
    )


def _first_bare_day(plans: Sequence[Plan], case: BillingCase) -> date | None:
    days = (case.period_start + timedelta(days=n) for n in range(case.days))
    return next((day for day in days if not any(_overlaps(plan, day, day) for plan in plans)), None)


@dataclass(frozen=True, slots=True)
class ComparedPeriod:
    """One period with its units.

    Attributes:
        case: as it was, with solar.
        without: had everything been bought; None where the site has no solar or its consumption is not known.
    """

    case: BillingCase
    without: BillingCase | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tariff that is asked for.

    Attributes:
        versions: of the tariff, oldest first, with their days in force.
        instead: months that are billed by other versions: a home that used too much for its category.
        instead_without: the same, had everything been bought.
        takes_exports: whether connections with an export scheme may be on it.
        refusal: why it cannot be chosen; it is not priced then.
    """

    category: str
    name: str
    versions: tuple[Plan, ...] = ()
    instead: Mapping[Month, tuple[Plan, ...]] = field(default_factory=dict)
    instead_without: Mapping[Month, tuple[Plan, ...]] = field(default_factory=dict)
    takes_exports: bool = True
    refusal: Refusal | None = None

    def bill(self, period: ComparedPeriod, adjustments: Sequence[Adjustment]) -> Bill:
        """The period's bill on this tariff.

        Raises:
            BillingError: if it cannot be priced.
        """
        versions = self.instead.get(period.case.month, self.versions)
        return price_bill(versions_for(versions, period.case, name=self.name), period.case, adjustments)

    def bill_without(self, case: BillingCase, adjustments: Sequence[Adjustment]) -> Bill:
        """The bill without solar.

        Raises:
            BillingError: if it cannot be priced.
        """
        versions = self.instead_without.get(case.month, self.versions)
        return price_bill(versions_for(versions, case, name=self.name), case, adjustments)


def versions_for(versions: Sequence[Plan], case: BillingCase, *, name: str) -> tuple[Plan, ...]:
    """The versions of a tariff that rule the case's period, oldest first.

    Raises:
        NotOnRecordError: if a day of the period has none.
    """
    found = tuple(plan for plan in versions if _overlaps(plan, case.period_start, case.period_end))
    bare = _first_bare_day(found, case)
    if bare is not None:
        raise NotOnRecordError(f"No version of {name} is on record for {bare}; nothing is invented in its place.")
    return found


@dataclass(frozen=True, slots=True)
class PricedTariff:
    """A tariff with its bills; each bill is one period's, in the periods' order.

    Attributes:
        without: bills without solar; empty unless every period has such a case.
        status: that of the least certain line.
    """

    category: str
    name: str
    bills: tuple[Bill, ...]
    without: tuple[Bill, ...]
    status: RateStatus

    @property
    def total_pkr(self) -> Decimal:
        """What all periods cost together; pending lines are left out."""
        return sum((bill.total_pkr for bill in self.bills), ZERO)

    @property
    def without_solar_pkr(self) -> Decimal | None:
        """What they would have cost without solar."""
        return sum((bill.total_pkr for bill in self.without), ZERO) if self.without else None

    @property
    def pending(self) -> tuple[str, ...]:
        """Kinds of lines whose amount is not known in some period."""
        return tuple(sorted({line.kind.value for bill in self.bills for line in bill.pending}))

    def amount(self, *kinds: LineKind) -> Decimal:
        """Sum of these kinds of lines over all periods."""
        return sum((bill.amount(*kinds) for bill in self.bills), ZERO)


@dataclass(frozen=True, slots=True)
class RefusedTariff:
    """A tariff without a price, and why."""

    category: str
    name: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tariffs asked for: those with a price, the cheapest first, and the others.

    Attributes:
        present: the category that the connection is on.
    """

    present: str
    priced: tuple[PricedTariff, ...]
    refused: tuple[RefusedTariff, ...]

    @property
    def present_tariff(self) -> PricedTariff | None:
        """The connection's own tariff; None if it could not be priced."""
        return next((tariff for tariff in self.priced if tariff.category == self.present), None)

    @property
    def best(self) -> PricedTariff | None:
        """The cheapest; the present one if no other is cheaper."""
        return self.priced[0] if self.priced else None

    def difference_pkr(self, tariff: PricedTariff) -> Decimal | None:
        """What the tariff costs more than the present one (negative: less); None without a present price."""
        present = self.present_tariff
        return None if present is None else tariff.total_pkr - present.total_pkr


def weakest_status(bills: Iterable[Bill]) -> RateStatus:
    """The status of the least certain line."""
    found = {line.status for bill in bills for line in bill.lines}
    return max(found, key=_WEAKEST.index, default=RateStatus.VERIFIED)


def _hindrance(error: BillingError) -> Hindrance:
    if isinstance(error, NotOnRecordError):
        return Hindrance.NOT_ON_RECORD
    return Hindrance.RATE_UNKNOWN if isinstance(error, RateUnknownError) else Hindrance.INPUT_MISSING


def price_tariff(
    candidate: Candidate, periods: Sequence[ComparedPeriod], adjustments: Sequence[Adjustment]
) -> PricedTariff | RefusedTariff:
    """Price all periods on one tariff, or say why that cannot be done."""
    if candidate.refusal is not None:
        return RefusedTariff(candidate.category, candidate.name, candidate.refusal)
    if not candidate.takes_exports and any(p.case.export_scheme is not ExportScheme.NONE for p in periods):
        reason = "Connections with an export scheme cannot be on it."
        return RefusedTariff(candidate.category, candidate.name, Refusal(Hindrance.NO_EXPORT, reason))
    try:
        bills = tuple(candidate.bill(period, adjustments) for period in periods)
        dark = [period.without for period in periods if period.without is not None]
        without = tuple(candidate.bill_without(case, adjustments) for case in dark) if len(dark) == len(periods) else ()
    except BillingError as error:
        refusal = Refusal(_hindrance(error), str(error))
    else:
        return PricedTariff(candidate.category, candidate.name, bills, without, weakest_status(bills))
    return RefusedTariff(candidate.category, candidate.name, refusal)


def compare_tariffs(
    candidates: Sequence[Candidate],
    periods: Sequence[ComparedPeriod],
    *,
    present: str,
    adjustments: Sequence[Adjustment],
) -> Comparison:
    """Price the periods on each candidate.

    Args:
        candidates: tariffs, the present one among them.
        periods: with their units; all are priced on each tariff.
        present: category that the connection is on.
        adjustments: all dated records.

    Returns:
        Priced tariffs by total (of equal ones the present first, then by category), and those without a price.
    """
    answers = [price_tariff(candidate, periods, adjustments) for candidate in candidates]
    priced = [answer for answer in answers if isinstance(answer, PricedTariff)]
    priced.sort(key=lambda tariff: (tariff.total_pkr, tariff.category != present, tariff.category))
    refused = tuple(answer for answer in answers if isinstance(answer, RefusedTariff))
    return Comparison(present, tuple(priced), refused)
