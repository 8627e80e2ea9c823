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
    Family,
    category_of,
    disco_of,
    province_code,
    scheme_of,
    standing_of,
)
from cloud.billing.rules.consumer import (
    LIFELINE_KWH,
    NET_BILLING_FROM,
    PROTECTED_KWH,
    billed_category,
    checked_months,
    province_of,
)
from cloud.billing.rules.model import BillWarning, ExportScheme
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.core.discos import DiscoProvider

LIFELINE_KW = Decimal(1)
"""A lifeline home is on a single phase, with this sanctioned load at most."""
OF_THE_CASE = "of_the_case"
"""Category of a tariff that is written into the case and names none."""

_Warnings = tuple[BillWarning, ...]


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who is billed.

    Attributes:
        disco: None where a tariff written into the case needs none.
        category: code; of the tariff to be found.
    """

    disco: DiscoProvider | None
    category: str
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


def _named(case: CaseFile) -> tuple[str, str] | None:
    """Field and code (or family) that the case gives."""
    by_tariff = None if case.tariff_name is None else category_of(case.tariff_name, field="tariff")
    by_category = None if case.category is None else category_of(case.category)
    if by_tariff is not None and by_category is not None and by_tariff != by_category:
        families = {Family.HOME, Family.HOME_ANY_METER, Family.COMMERCIAL, Family.INDUSTRIAL}
        if by_category not in families and by_tariff not in families:
            raise CaseError(
                "tariff",
                f"tariff is {shown(case.tariff_name)} ({by_tariff}) while category is {shown(case.category)} ({by_category}); keep one",
            )
        return ("tariff", by_tariff) if by_category in families else ("category", by_category)
    if by_tariff is not None:
        return "tariff", by_tariff
    return None if by_category is None else ("category", by_category)


def _is_lifeline(case: CaseFile, units: Decimal, *, history: Mapping[Month, Decimal], month: Month) -> bool:
    load_kw = case.sanctioned_load_kw
    if case.phases != 1 or load_kw is None or load_kw > LIFELINE_KW or units > LIFELINE_KWH:
        return False
    months = checked_months("residential_lifeline", month)
    return all(past in history and history[past] <= LIFELINE_KWH for past in months)


def _home(case: CaseFile, units: Decimal, *, history: Mapping[Month, Decimal], month: Month) -> tuple[str, _Warnings]:
    """The table of an A-1(a) home, by what the case says and by what the home used."""
    if case.protected is not None:
        return ("residential_protected" if case.protected else "residential_unprotected"), ()
    months = checked_months("residential_protected", month)
    if units > PROTECTED_KWH or any(history.get(past, Decimal(0)) > PROTECTED_KWH for past in months):
        return "residential_unprotected", ()
    if _is_lifeline(case, units, history=history, month=month):
        return "residential_lifeline", ()
    unknown = [str(past) for past in months if past not in history]
    if not unknown:
        return "residential_protected", ()
    message = (
        f"Billed as un-protected: whether the home is protected (up to {number_text(PROTECTED_KWH)} kWh in each of the past "
        f'{len(months)} months) is not known; give history for {", ".join(sorted(unknown))}, or "protected": true.'
    )
    return "residential_unprotected", (BillWarning("category_unchecked", message),)


def _commercial(case: CaseFile, energy: CaseEnergy) -> str:
    if case.sanctioned_load_kw is None:
        if energy.says_peak:
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


def _decided(
    code: str, case: CaseFile, *, energy: CaseEnergy, history: Mapping[Month, Decimal], month: Month
) -> tuple[str, _Warnings]:
    if code == Family.HOME_ANY_METER and energy.says_peak:
        code = "residential_tou"
    if code in {Family.HOME, Family.HOME_ANY_METER}:
        code, warnings = _home(case, energy.imported_kwh, history=history, month=month)
        if warnings:
            return code, warnings
    if code in {Family.COMMERCIAL, Family.INDUSTRIAL}:
        return (_commercial(case, energy) if code == Family.COMMERCIAL else _industrial(case)), ()
    return billed_category(code, units=energy.imported_kwh, history=history, bill_month=month)


def _category(
    case: CaseFile, energy: CaseEnergy, *, history: Mapping[Month, Decimal], month: Month
) -> tuple[str, _Warnings]:
    inline = case.inline_tariff
    if inline is not None:
        words = inline.category or case.category
        # The tariff is there already: its category only chooses among dated records, and history cannot exchange the tariff.
        if words is None:
            return OF_THE_CASE, ()
        code = category_of(words, field="tariff.category" if inline.category else "category")
        if code in set(Family):
            return _decided(code, case, energy=energy, history=history, month=month)[0], ()
        return code, ()
    named = _named(case)
    if named is None:
        raise CaseError(
            "category",
            "category is missing; write the tariff category of the bill, such as A-1(a), A-2(c) or B-2, or a tariff",
        )
    return _decided(named[1], case, energy=energy, history=history, month=month)


def _scheme(case: CaseFile, exported: Decimal) -> tuple[ExportScheme, _Warnings]:
    if case.export_scheme is not None:
        return scheme_of(case.export_scheme), ()
    if case.contract_date is not None:
        is_new = case.contract_date >= NET_BILLING_FROM
        scheme = ExportScheme.NET_BILLING_2026 if is_new else ExportScheme.NET_METERING_2015
        message = f"Exports are counted by {scheme.value}, from contract_date {case.contract_date}."
        return scheme, (BillWarning("export_scheme_assumed", message),)
    if exported:
        raise CaseError(
            "export_scheme",
            f"export_scheme is missing while {number_text(exported)} kWh were exported; write net_metering_2015 (contracts before "
            f"{NET_BILLING_FROM}), net_billing_2026, or none",
        )
    return ExportScheme.NONE, ()


def consumer_of(
    case: CaseFile, *, period: CasePeriod, energy: CaseEnergy, history: Mapping[Month, Decimal]
) -> Consumer:
    """Decide what the case leaves open about its consumer.

    Args:
        case: as read.
        period: of the bill.
        energy: of the period.
        history: kWh billed by month.

    Raises:
        CaseError: if something is missing or not known.
    """
    disco = disco_of_case(case)
    category, of_history = _category(case, energy, history=history, month=period.bill_month)
    scheme, of_scheme = _scheme(case, energy.exported_kwh)
    province = None if case.province is None else province_code(case.province)
    return Consumer(
        disco=disco,
        category=category,
        province=province or (None if disco is None else province_of(None, disco.value)),
        scheme=scheme,
        active_taxpayer=standing_of(case.active_taxpayer),
        warnings=(*of_history, *of_scheme),
    )
