"""Notes on what exported units earn under the connection's scheme, and what they would be worth at home."""

from dataclasses import replace
from decimal import Decimal

from cloud.billing.rules.adjustments import in_force
from cloud.billing.rules.advice.advice import Advice, Priced, Severity, rupees
from cloud.billing.rules.model import AdjustmentKind, BillingCase, ExportScheme
from cloud.billing.rules.money import ZERO, number_text, round_pkr

_KIND = {
    ExportScheme.NET_METERING_2015: AdjustmentKind.EXPORT_NET_METERING,
    ExportScheme.NET_BILLING_2026: AdjustmentKind.EXPORT_NET_BILLING,
}


def _rate(priced: Priced, case: BillingCase, scheme: ExportScheme) -> tuple[Decimal | None, str]:
    record = in_force(priced.adjustments, _KIND[scheme], plan=priced.plan, case=case, day=case.period_end)
    if record is None or record.rate is None:
        return None, "No export rate is on record for the period"
    return record.rate, f"{number_text(record.rate)} PKR/kWh ({record.status.value}): {record.source}"


def capacity_note(case: BillingCase, capacity_kw: Decimal | None) -> Advice | None:
    """Net billing takes a capacity up to the sanctioned load; None when that is kept, or one of them is not known."""
    load = case.sanctioned_load_kw
    if case.export_scheme is not ExportScheme.NET_BILLING_2026 or capacity_kw is None or load is None:
        return None
    if capacity_kw <= load:
        return None
    has, most = number_text(capacity_kw), number_text(load)
    return Advice(
        code="net_billing_capacity",
        severity=Severity.WARNING,
        message=f"The solar system has {has} kW; net billing takes as much as the sanctioned load, {most} kW.",
        message_ur=f"سولر سسٹم {has} کلوواٹ کا ہے؛ نیٹ بلنگ میں گنجائش منظور شدہ لوڈ {most} کلوواٹ تک ہو سکتی ہے۔",
        amount_pkr=None,
        amount_of="not known",
        basis=("Net billing (2026): capacity at most the sanctioned load",),
        facts={"capacity_kw": has, "sanctioned_load_kw": most},
    )


def unpaid_note(priced: Priced, case: BillingCase) -> Advice | None:
    """Exports that no scheme pays."""
    if case.export_scheme is not ExportScheme.NONE or not case.exported_kwh:
        return None
    rate, basis = _rate(priced, case, ExportScheme.NET_BILLING_2026)
    kwh = number_text(case.exported_kwh)
    amount = None if rate is None else round_pkr(rate * case.exported_kwh)
    worth = "" if amount is None else f" Under net billing they would have earned PKR {rupees(amount)}."
    worth_ur = "" if amount is None else f" نیٹ بلنگ میں ان کے {rupees(amount)} روپے بنتے۔"
    return Advice(
        code="export_unpaid",
        severity=Severity.NOTICE,
        message=f"{kwh} kWh went to the grid without pay: the site has no export scheme.{worth}",
        message_ur=f"{kwh} یونٹ بغیر معاوضے کے گرڈ کو گئے: سائٹ کی کوئی ایکسپورٹ اسکیم نہیں۔{worth_ur}",
        amount_pkr=amount,
        amount_of="this period",
        basis=(basis,),
        facts={"exported_kwh": kwh},
    )


def home_use_note(priced: Priced, case: BillingCase) -> Advice | None:
    """Under net billing: what the exports would have saved had they been used at home instead of bought units.

    Raises:
        BillingError: if one of the two bills cannot be priced.
    """
    if case.export_scheme is not ExportScheme.NET_BILLING_2026:
        return None
    peak = case.imported_peak_kwh or ZERO
    # Exports are of the day; peak hours lie in the evening, and only a battery would reach them.
    moved = min(case.exported_kwh - case.exported_peak_kwh, case.imported_kwh - peak)
    if moved <= 0:
        return None
    at_home = replace(case, exported_kwh=case.exported_kwh - moved, imported_kwh=case.imported_kwh - moved)
    amount = priced.bill(case).total_pkr - priced.bill(at_home).total_pkr
    if amount <= 0:
        return None
    kwh = number_text(moved)
    each = number_text((amount / moved).quantize(Decimal("0.01")))
    return Advice(
        code="use_at_home",
        severity=Severity.INFO,
        message=(
            f"{kwh} kWh were both exported and bought off-peak. Used at home when the sun makes them, they would have saved up to "
            f"PKR {rupees(amount)} ({each} for each kWh)."
        ),
        message_ur=(
            f"{kwh} یونٹ ایک وقت بیچے اور دوسرے وقت خریدے گئے۔ دھوپ کے وقت گھر میں استعمال ہوتے تو {rupees(amount)} روپے تک بچتے "
            f"(فی یونٹ {each})۔"
        ),
        amount_pkr=amount,
        amount_of="this period, at most",
        basis=(
            "The bill of the period less the bill with these units neither bought nor exported; no loss in a battery is counted",
            _rate(priced, case, case.export_scheme)[1],
        ),
        facts={"moved_kwh": kwh, "pkr_per_kwh": each},
    )


def surplus_note(priced: Priced, case: BillingCase) -> Advice | None:
    """Under net metering: the surplus that waits for the quarter's end.

    Raises:
        BillingError: if the bill cannot be priced.
    """
    if case.export_scheme is not ExportScheme.NET_METERING_2015:
        return None
    bill = priced.bill(case)
    kwh = bill.ledger_kwh + bill.ledger_peak_kwh
    if not kwh:
        return None
    rate, basis = _rate(priced, case, case.export_scheme)
    amount = None if rate is None else round_pkr(rate * kwh)
    words = number_text(kwh)
    worth = "" if amount is None else f": PKR {rupees(amount)} at the present rate if it is not used up"
    worth_ur = "" if amount is None else f"، موجودہ نرخ پر {rupees(amount)} روپے اگر استعمال نہ ہو"
    return Advice(
        code="surplus_carried",
        severity=Severity.INFO,
        message=f"A surplus of {words} kWh stands for the next bills of the quarter{worth}.",
        message_ur=f"سہ ماہی کے اگلے بلوں کے لیے {words} یونٹ فاضل ہیں{worth_ur}۔",
        amount_pkr=amount,
        amount_of="at the quarter's end",
        basis=(basis, *bill.assumptions),
        facts={"surplus_kwh": words},
    )


def export_advice(priced: Priced, case: BillingCase, *, capacity_kw: Decimal | None) -> tuple[Advice, ...]:
    """All notes that hold for the case.

    Args:
        priced: the tariff.
        case: the period.
        capacity_kw: of the solar system; None = not known.

    Raises:
        BillingError: if the case cannot be priced.
    """
    notes = (
        capacity_note(case, capacity_kw),
        unpaid_note(priced, case),
        home_use_note(priced, case),
        surplus_note(priced, case),
    )
    return tuple(note for note in notes if note is not None)
