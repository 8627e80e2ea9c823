"""Who the case's consumer is: company, category, province, export scheme."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.case_file.energy import CaseEnergy
from cloud.billing.case_file.period import CasePeriod
from cloud.billing.case_file.problems import CaseError, shown
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.case_file.words import (
    B1_KW,
    B2_KW,
    COMMERCIAL_TOU_KW,
    IMPORTED,
    Family,
    category_of,
    disco_of,
    province_code,
    scheme_of,
    standing_of,
)
from cloud.billing.rules.consumer import (
    NET_BILLING_FROM,
    PROTECTED,
    UNPROTECTED,
    Home,
    billed_category,
    home_category,
    province_of,
)
from cloud.billing.rules.model import BillWarning, ExportScheme
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.core.discos import DiscoProvider

TOU = "residential_tou"
OF_THE_CASE = "of_the_case"
"""Category of a tariff that is written into the case and names none."""

_Warnings = tuple[BillWarning, ...]


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who is billed.

    Attributes:
        disco: None where a tariff written into the case needs none.
        category: code; of the tariff to be found.
        category_without_solar: had everything been bought; a home may be protected only by what its panels give.
    """

    disco: DiscoProvider | None
    category: str
    category_without_solar: str
    province: str | None
    scheme: ExportScheme
    active_taxpayer: bool
    warnings: _Warnings


def disco_of_case(case: CaseFile) -> DiscoProvider | None:
    """The company; None when the case brings its own tariff and names none.

    Raises:
        CaseError: if it is missing or not known.
    """
    inline = case.inline_tariff
    name = case.disco_provider or (inline.disco_provider if inline is not None else None)
    if name is not None:
        return disco_of(name)
    if inline is None:
        known = ", ".join(disco.value for disco in DiscoProvider)
        raise CaseError("disco_provider", f"disco_provider is missing; write one of {known}")
    return None


def _named(case: CaseFile) -> str | None:
    """Code, or family, that the case gives; one code goes before a family.

    Raises:
        CaseError: if category and tariff are of different codes.
    """
    given = {
        field: category_of(words, field=field)
        for field, words in (("tariff", case.tariff_name), ("category", case.category))
        if words is not None
    }
    codes = {field: code for field, code in given.items() if code not in set(Family)} or given
    if len(set(codes.values())) > 1:
        raise CaseError(
            "tariff",
            f"tariff is {shown(case.tariff_name)} ({given['tariff']}) while category is {shown(case.category)} "
            f"({given['category']}); keep one of them",
        )
    return next(iter(codes.values()), None)


def _home(case: CaseFile, home: Home) -> tuple[str, _Warnings]:
    """The table of an A-1(a) home, by what the case says and by what the home used."""
    if case.protected is None:
        return home_category(home)
    return _checked(PROTECTED if case.protected else UNPROTECTED, home)


def _checked(code: str, home: Home) -> tuple[str, _Warnings]:
    return billed_category(
        code,
        units=home.units,
        history=home.history,
        bill_month=home.bill_month,
        phases=home.phases,
        sanctioned_load_kw=home.sanctioned_load_kw,
    )


def _commercial(case: CaseFile, *, says_peak: bool) -> str:
    if case.sanctioned_load_kw is None:
        if says_peak:
            return "tou_commercial"
        raise CaseError(
            "sanctioned_load_kw",
            "sanctioned_load_kw is missing; it decides between A-2(a), below 5 kW, and A-2(c): give it, or the category itself",
        )
    return "commercial_a1" if case.sanctioned_load_kw < COMMERCIAL_TOU_KW else "tou_commercial"


def _industrial(case: CaseFile) -> str:
    load_kw = case.sanctioned_load_kw
    if load_kw is None or load_kw > B2_KW:
        told = "is missing" if load_kw is None else f"is {load_kw}"
        raise CaseError(
            "sanctioned_load_kw",
            f"sanctioned_load_kw {told}; it decides between B-1 and B-2, and above {B2_KW} kW the voltage does: write category B-3 or B-4",
        )
    return "industrial_b1" if load_kw <= B1_KW else "industrial_b2"


def _decided(code: str, case: CaseFile, *, says_peak: bool, home: Home) -> tuple[str, _Warnings]:
    if code == Family.HOME_ANY_METER:
        code = TOU if says_peak else Family.HOME
    if code == Family.HOME:
        return _home(case, home)
    if code == Family.COMMERCIAL:
        return _commercial(case, says_peak=says_peak), ()
    if code == Family.INDUSTRIAL:
        return _industrial(case), ()
    return _checked(code, home)


def _category(case: CaseFile, *, says_peak: bool, home: Home) -> tuple[str, _Warnings]:
    inline = case.inline_tariff
    if inline is None:
        named = _named(case)
        if named is None:
            message = (
                "category is missing; write the tariff category of the bill, such as A-1(a), A-2(c) or B-2, or a tariff"
            )
            raise CaseError("category", message)
        return _decided(named, case, says_peak=says_peak, home=home)
    # The tariff is there already: its category only chooses among dated records, and history cannot exchange the tariff.
    words = inline.category or case.category
    if words is None:
        return OF_THE_CASE, ()
    code = category_of(words, field="tariff.category" if inline.category else "category")
    return (_decided(code, case, says_peak=says_peak, home=home)[0] if code in set(Family) else code), ()


def _scheme(case: CaseFile, exported: Decimal, *, category: str) -> tuple[ExportScheme, _Warnings]:
    if case.export_scheme is not None:
        return scheme_of(case.export_scheme), ()
    if case.contract_date is not None:
        is_new = case.contract_date >= NET_BILLING_FROM
        scheme = ExportScheme.NET_BILLING_2026 if is_new else ExportScheme.NET_METERING_2015
        message = f"Exports are counted by {scheme.value}, from contract_date {case.contract_date}."
        return scheme, (BillWarning("export_scheme_assumed", message),)
    # A tariff by month and hour says itself how exports count.
    if exported and category != IMPORTED and not case.has_own_schedule:
        raise CaseError(
            "export_scheme",
            f"export_scheme is missing while {number_text(exported)} kWh were exported; write net_metering_2015 (contracts before "
            f"{NET_BILLING_FROM}), net_billing_2026, or none",
        )
    return ExportScheme.NONE, ()


def _home_of(case: CaseFile, units: Decimal, *, history: Mapping[str, Decimal], period: CasePeriod) -> Home:
    by_month = {Month.parse(month): kwh for month, kwh in history.items()}
    return Home(units, by_month, period.bill_month, case.phases, case.sanctioned_load_kw)


def consumer_of(case: CaseFile, *, period: CasePeriod, energy: CaseEnergy) -> Consumer:
    """Decide what the case leaves open about its consumer.

    Args:
        case: as read.
        period: of the bill.
        energy: of the period.

    Raises:
        CaseError: if something is missing or not known.
    """
    disco = disco_of_case(case)
    home = _home_of(case, energy.imported_kwh, history=case.history, period=period)
    category, of_history = _category(case, says_peak=energy.says_peak, home=home)
    bought = {**case.history, **case.history_without_solar}
    dark = _home_of(case, energy.consumed_kwh, history=bought, period=period)
    scheme, of_scheme = _scheme(case, energy.exported_kwh, category=category)
    province = None if case.province is None else province_code(case.province)
    return Consumer(
        disco=disco,
        category=category,
        category_without_solar=_category(case, says_peak=energy.says_peak, home=dark)[0],
        province=province or (None if disco is None else province_of(None, disco.value)),
        scheme=scheme,
        active_taxpayer=standing_of(case.active_taxpayer),
        warnings=(*of_history, *of_scheme),
    )
