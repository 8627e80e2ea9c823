"""What the parts of a tariff and of a bill can be: closed sets of words, and the sets of lines that taxes are on."""

from enum import StrEnum


class PricingRule(StrEnum):
    """How units become an energy charge."""

    SINGLE_SLAB = "single_slab"
    """All units at the rate of the slab that holds the total (un-protected homes)."""
    ONE_PREVIOUS = "one_previous"
    """Units up to the previous slab's top at its rate, the rest at the rate of the slab that holds the total (protected homes)."""
    TELESCOPIC = "telescopic"
    """Each slab's units at that slab's rate."""
    FLAT = "flat"
    TOU = "tou"
    """Peak and off-peak units at their own rates."""
    SCHEDULE = "schedule"
    """Periods, tiers and demand by a table of hours and months; units come by period."""


class FixedBasis(StrEnum):
    """What the monthly fixed charge is multiplied with."""

    PER_CONSUMER = "per_consumer"
    PER_KW_SANCTIONED = "per_kw_sanctioned"
    PER_KW_BILLING_DEMAND = "per_kw_billing_demand"


class ExportScheme(StrEnum):
    """How exported units count."""

    NONE = "none"
    NET_METERING_2015 = "net_metering_2015"
    """Unit against unit; the surplus is paid at the quarter's end."""
    NET_BILLING_2026 = "net_billing_2026"
    """All import at the tariff, all export credited in rupees."""


class QtaSplit(StrEnum):
    """Which rate a quarterly adjustment takes when it changes inside the period."""

    DAYS = "days"
    """Units are split by calendar days (bills of K-Electric)."""
    LAST_DAY = "last_day"
    """All units at the rate of the period's last day."""


class RateStatus(StrEnum):
    """How far a rate, and the line built on it, can be trusted."""

    VERIFIED = "verified"
    DERIVED = "derived"
    ESTIMATED = "estimated"
    PENDING = "pending"
    """Not on record yet: the line is shown without an amount and is not part of the total."""


class LineKind(StrEnum):
    """What a line of the bill is; tax bases are sets of these."""

    ENERGY = "energy"
    MINIMUM = "minimum"
    """What lifts the energy charge to the tariff's floor."""
    FIXED = "fixed"
    DEMAND = "demand"
    FPA = "fpa"
    QTA = "qta"
    SURCHARGE = "surcharge"
    METER_RENT = "meter_rent"
    DUTY = "duty"
    GST = "gst"
    MUNICIPAL = "municipal"
    TV_FEE = "tv_fee"
    INCOME_TAX = "income_tax"
    EXPORT_CREDIT = "export_credit"


CHARGE_KINDS = frozenset(
    {
        LineKind.ENERGY,
        LineKind.MINIMUM,
        LineKind.FIXED,
        LineKind.DEMAND,
        LineKind.FPA,
        LineKind.QTA,
        LineKind.SURCHARGE,
    }
)
"""What a bill calls "electricity charges"."""

DUTY_BASE = CHARGE_KINDS - {LineKind.FIXED, LineKind.DEMAND}
"""Electricity duty is on what was used, not on what was held ready (K-Electric bills of 2026)."""

GST_BASE = CHARGE_KINDS | {LineKind.METER_RENT, LineKind.DUTY}
"""Sales tax is on the charges with the duty on them."""

INCOME_TAX_BASE = CHARGE_KINDS | {LineKind.METER_RENT, LineKind.DUTY, LineKind.GST}
"""Section 235 of the Income Tax Ordinance 2001: on the bill with duty and sales tax."""


class AdjustmentKind(StrEnum):
    """A dated record that lives beside the plans."""

    FCA = "fca"
    """PKR/kWh by month of consumption; billed two months later on the units of that month."""
    QTA = "qta"
    """PKR/kWh on this bill's units, by calendar day."""
    PHL = "phl"
    """Debt service surcharge (Power Holding Limited), PKR/kWh."""
    DUTY = "duty"
    """Provincial electricity duty, per cent."""
    GST = "gst"
    """Per cent."""
    MUNICIPAL = "municipal"
    """PKR a month, by band of units."""
    TV_FEE = "tv_fee"
    """PKR a month."""
    INCOME_TAX = "income_tax"
    """By band of the bill's amount."""
    EXPORT_NET_METERING = "export_net_metering"
    """PKR per surplus kWh."""
    EXPORT_NET_BILLING = "export_net_billing"
    """PKR per exported kWh."""
