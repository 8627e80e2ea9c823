"""Energy charge: units to slabs to rupees.

Slab k is the half-open interval (top of slab k-1, top of slab k], so that 100.4 units fall into no hole and 300 units leave none
unbilled. A plan's slabs are valid when their tops rise and only the last has none.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from cloud.billing.rules.errors import BillingError, RateUnknownError
from cloud.billing.rules.model import Plan, PricingRule, Slab, SlabPortion
from cloud.billing.rules.money import ZERO, number_text, round_pkr


def check_slabs(slabs: Sequence[Slab]) -> None:
    """Refuse slabs that leave units without a rate or give them two.

    Raises:
        BillingError: names the slab and what is wrong with it.
    """
    if not slabs:
        raise BillingError("slabs is empty; a slab tariff needs at least one slab")
    for below, slab in pairwise(slabs):
        if below.top_units is None:
            raise BillingError("a slab without max_units is not the last one; only the last slab may be open")
        if slab.top_units is not None and slab.top_units <= below.top_units:
            raise BillingError(f"slab max_units {slab.top_units} does not rise above {below.top_units}")
    first = slabs[0].top_units
    if first is not None and first <= 0:
        raise BillingError(f"the first slab's max_units is {first}; it must be above 0")


def slab_index(slabs: Sequence[Slab], units: Decimal) -> int:
    """Position of the slab that holds the total. No units at all belong to the first.

    Raises:
        RateUnknownError: if the units lie above the highest slab.
    """
    for index, slab in enumerate(slabs):
        if slab.top_units is None or units <= slab.top_units:
            return index
    raise RateUnknownError(
        f"{number_text(units)} kWh is above the tariff's highest slab ({slabs[-1].top_units} kWh); "
        "price the month with the category that covers it"
    )


def slab_label(slabs: Sequence[Slab], index: int) -> str:
    """Name a slab as tariff tables do: `1-100`, `101-200`, `> 700`; fractions keep their edge: `0.5-1`."""
    if slabs[index].label:
        return slabs[index].label
    bottom = slabs[index - 1].top_units or ZERO if index else ZERO
    top = slabs[index].top_units
    if top is None:
        return f"> {number_text(bottom)}" if index else "all units"
    start = bottom + 1 if bottom == bottom.to_integral_value() else bottom
    return f"{number_text(start)}-{number_text(top)}"


def _portion(slabs: Sequence[Slab], index: int, units: Decimal) -> SlabPortion:
    rate = slabs[index].rate
    if rate is None:
        raise RateUnknownError(
            f"the rate of slab {slab_label(slabs, index)} kWh is not on record in this tariff version; "
            "add it with its S.R.O. to the tariff's data"
        )
    return SlabPortion(slab_label(slabs, index), units, rate, round_pkr(units * rate))


def _telescopic(slabs: Sequence[Slab], units: Decimal, up_to: int) -> tuple[SlabPortion, ...]:
    portions = []
    bottom = ZERO
    for index in range(up_to + 1):
        top = slabs[index].top_units
        in_slab = (units if top is None else min(units, top)) - bottom
        portions.append(_portion(slabs, index, in_slab))
        bottom += in_slab
    return tuple(portions)


def _one_previous(slabs: Sequence[Slab], units: Decimal, index: int) -> tuple[SlabPortion, ...]:
    if index == 0:
        return (_portion(slabs, 0, units),)
    previous_top = slabs[index - 1].top_units or ZERO
    return (_portion(slabs, index - 1, previous_top), _portion(slabs, index, units - previous_top))


def slab_portions(rule: PricingRule, slabs: Sequence[Slab], units: Decimal) -> tuple[SlabPortion, ...]:
    """Price units by slabs; the portions' units add up to `units`.

    Args:
        rule: `SINGLE_SLAB`, `ONE_PREVIOUS` or `TELESCOPIC`.
        slabs: rising.
        units: kWh of the month, may have decimals.

    Raises:
        RateUnknownError: if a rate that is needed is not on record.
    """
    index = slab_index(slabs, units)
    if rule is PricingRule.SINGLE_SLAB:
        return (_portion(slabs, index, units),)
    if rule is PricingRule.ONE_PREVIOUS:
        return _one_previous(slabs, units, index)
    return _telescopic(slabs, units, index)


def _named_rate(rate: Decimal | None, name: str) -> Decimal:
    if rate is None:
        raise RateUnknownError(
            f"{name} is not on record in this tariff version; add it with its S.R.O. to the tariff's data"
        )
    return rate


def energy_portions(plan: Plan, units: Decimal, *, peak_units: Decimal | None = None) -> tuple[SlabPortion, ...]:
    """Price units by the plan's rule.

    Args:
        plan: gives rule and rates.
        units: kWh billed.
        peak_units: part of `units` in peak hours; needed by `TOU`.

    Raises:
        BillingError: if a ToU plan gets no peak units, or a rate is not on record.
    """
    if plan.pricing_rule is PricingRule.FLAT:
        rate = _named_rate(plan.flat_rate, "energy_charge_per_kwh")
        return (SlabPortion("all units", units, rate, round_pkr(units * rate)),)
    if plan.pricing_rule is not PricingRule.TOU:
        return slab_portions(plan.pricing_rule, plan.slabs, units)
    if peak_units is None:
        raise BillingError(
            f"tariff {plan.code} is priced by time of use; give the units of peak hours (imported_peak_kwh)"
        )
    peak_rate = _named_rate(plan.peak_rate, "peak_rate_per_kwh")
    off_peak_rate = _named_rate(plan.off_peak_rate, "off_peak_rate_per_kwh")
    off_peak_units = units - peak_units
    return (
        SlabPortion("off-peak", off_peak_units, off_peak_rate, round_pkr(off_peak_units * off_peak_rate)),
        SlabPortion("peak", peak_units, peak_rate, round_pkr(peak_units * peak_rate)),
    )
