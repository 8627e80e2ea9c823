"""The year in which a site's bills are looked at: its terms, the bills' periods, and the dated records that bear on them.

What rules a period is looked up once for each category of tariffs, however many tariffs are compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from cloud.billing.rules.adjustments import Segment, in_force, segments_of
from cloud.billing.rules.annual.units import BillUnits, Period, decimal_units
from cloud.billing.rules.model import Adjustment, AdjustmentKind, BillingCase, ExportScheme, ExportTerms, Plan, QtaSplit
from cloud.billing.rules.money import ZERO
from cloud.billing.rules.month import Month
from cloud.billing.rules.provinces import wherever

_NO_UNITS = BillUnits(0, 0, 0, 0, 0)
_USUAL_TERMS = ExportTerms()


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """What stays the same about a site over its bills; as in `BillingCase`."""

    disco_provider: str
    province: str | None = None
    sanctioned_load_kw: Decimal | None = None
    export_scheme: ExportScheme = ExportScheme.NONE
    export_terms: ExportTerms = _USUAL_TERMS
    active_taxpayer: bool = True
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class BillsBefore:
    """What earlier bills leave to the next one.

    Attributes:
        billed_units: kWh billed by month.
        ledger_kwh: surplus under net metering; of off-peak hours where the plan is priced by time of use.
        ledger_peak_kwh: surplus of peak hours.
        demand_kw: highest demand by month.
    """

    billed_units: Mapping[Month, Decimal] = field(default_factory=dict)
    ledger_kwh: Decimal = ZERO
    ledger_peak_kwh: Decimal = ZERO
    demand_kw: Mapping[Month, Decimal] = field(default_factory=dict)


NOTHING_BEFORE = BillsBefore()


def case_of_period(
    terms: SiteTerms, period: Period, units: BillUnits, before: BillsBefore = NOTHING_BEFORE
) -> BillingCase:
    """The case of one of the year's bills."""
    return BillingCase(
        period_start=period[0],
        period_end=period[1],
        imported_kwh=decimal_units(units.imported),
        imported_peak_kwh=decimal_units(units.imported_peak),
        exported_kwh=decimal_units(units.exported),
        exported_peak_kwh=decimal_units(units.exported_peak),
        max_demand_kw=decimal_units(units.demand),
        disco_provider=terms.disco_provider,
        province=terms.province,
        sanctioned_load_kw=terms.sanctioned_load_kw,
        export_scheme=terms.export_scheme,
        export_terms=terms.export_terms,
        active_taxpayer=terms.active_taxpayer,
        phases=terms.phases,
        billed_units=before.billed_units,
        demand_history_kw=before.demand_kw,
        ledger_kwh=before.ledger_kwh,
        ledger_peak_kwh=before.ledger_peak_kwh,
    )


class Records(NamedTuple):
    """What rules one period for the tariffs of a category; None where nothing is on record.

    Attributes:
        fuel: of the month whose fuel charge the bill carries.
        qta: by stretches of days.
        phl: likewise.
        export: of the site's export scheme.
    """

    fuel: Adjustment | None
    qta: tuple[Segment, ...]
    phl: tuple[Segment, ...]
    duty: Adjustment | None
    gst: Adjustment | None
    municipal: Adjustment | None
    tv_fee: Adjustment | None
    income_tax: Adjustment | None
    export: Adjustment | None


_EXPORT_KINDS = {
    ExportScheme.NET_METERING_2015: AdjustmentKind.EXPORT_NET_METERING,
    ExportScheme.NET_BILLING_2026: AdjustmentKind.EXPORT_NET_BILLING,
}


class BillYear:
    """Terms, periods and dated records; keeps what it has looked up.

    Attributes:
        terms: of the site.
        periods: of the bills.
        adjustments: dated records, whatever their place and time.
        cases: of the periods, without units.
    """

    def __init__(self, terms: SiteTerms, *, periods: Sequence[Period], adjustments: Iterable[Adjustment] = ()) -> None:
        self.terms = terms
        self.periods = tuple(periods)
        self.adjustments = tuple(adjustments)
        self.cases = tuple(case_of_period(terms, period, _NO_UNITS) for period in self.periods)
        self._by_kind: dict[AdjustmentKind, list[Adjustment]] = {}
        for record in self.adjustments:
            self._by_kind.setdefault(record.kind, []).append(record)
        self._records: dict[tuple[str, int, QtaSplit, date], Records] = {}

    def records_of(self, plan: Plan, case: BillingCase) -> Records:
        """What rules one of the year's periods.

        Args:
            plan: a version of a tariff; its category, fuel lag and split of the QTA are all that the records ask of it.
            case: one of `cases`.
        """
        key = (plan.category, plan.fca_lag_months, plan.qta_split, case.period_start)
        found = self._records.get(key)
        if found is None:
            found = self._records[key] = self._looked_up(plan, case)
        return found

    def _looked_up(self, plan: Plan, case: BillingCase) -> Records:
        def ruling(kind: AdjustmentKind | None, day: date = case.period_end) -> Adjustment | None:
            if kind is None:
                return None
            return in_force(wherever(self._by_kind.get(kind, ()), case), kind, plan=plan, case=case, day=day)

        def segments(kind: AdjustmentKind) -> tuple[Segment, ...]:
            return segments_of(self._by_kind.get(kind, ()), kind, plan=plan, case=case)

        return Records(
            fuel=ruling(AdjustmentKind.FCA, case.month.back(plan.fca_lag_months).first_day),
            qta=segments(AdjustmentKind.QTA),
            phl=segments(AdjustmentKind.PHL),
            duty=ruling(AdjustmentKind.DUTY),
            gst=ruling(AdjustmentKind.GST),
            municipal=ruling(AdjustmentKind.MUNICIPAL),
            tv_fee=ruling(AdjustmentKind.TV_FEE),
            income_tax=ruling(AdjustmentKind.INCOME_TAX),
            export=ruling(_EXPORT_KINDS.get(case.export_scheme)),
        )
