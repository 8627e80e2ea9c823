"""Internal rates of return, found exactly: every rate at which a row of yearly amounts is worth nothing, not just one of them.

With x = 1 / (1 + rate) the worth of the amounts is a polynomial in x whose coefficients are whole paisa. Its roots are separated by
Descartes' rule of signs on halved intervals (Collins and Akritas, 1976), in whole numbers: no start value, no missed second root.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import pairwise

from cloud.billing.rules.money import HUNDRED, PAISA, number_text

_SPAN = 128
"""Largest x that is looked at: a rate of -99.2 % a year."""
_SEPARATION_BITS = 44
"""Roots closer than the span / 2^44 count as one that touches zero."""
_PRECISION_BITS = 60
RATE_STEP = Decimal("0.0001")
"""Rates are given to this many per cent."""


@dataclass(frozen=True, slots=True)
class InternalRate:
    """What is known of the internal rate of return.

    Attributes:
        percent: per year; None when there is none, or several.
        candidates: every rate that was found, per cent a year, lowest first.
        note: why there is none, or what to do about several; empty for one.
    """

    percent: Decimal | None
    candidates: tuple[Decimal, ...]
    note: str


def sign_changes(amounts: Sequence[int]) -> int:
    """How often the sign changes from one amount to the next, zeros left out."""
    signs = [amount > 0 for amount in amounts if amount]
    return sum(left != right for left, right in pairwise(signs))


def _shifted(coefficients: Sequence[int]) -> list[int]:
    """Coefficients (lowest power first) of p(x + 1)."""
    shifted = list(coefficients)
    for first in range(len(shifted) - 1):
        for power in range(len(shifted) - 2, first - 1, -1):
            shifted[power] += shifted[power + 1]
    return shifted


def _without_zero_roots(coefficients: Sequence[int]) -> list[int]:
    first = next((power for power, value in enumerate(coefficients) if value), len(coefficients))
    return list(coefficients[first:])


def _is_positive_at(coefficients: Sequence[int], numerator: int, bits: int) -> bool:
    """Whether p(numerator / 2^bits) is more than 0, for a positive numerator."""
    degree = len(coefficients) - 1
    value = coefficients[degree]
    for power in range(degree - 1, -1, -1):
        value = value * numerator + (coefficients[power] << (bits * (degree - power)))
    return value > 0


def _only_root(coefficients: Sequence[int]) -> Fraction:
    """The root in (0, 1) of a polynomial that has just one there, by halving."""
    begins_positive = next(value for value in coefficients if value) > 0
    low, bits = 0, 0
    while bits < _PRECISION_BITS:
        bits += 1
        low *= 2
        if _is_positive_at(coefficients, low + 1, bits) == begins_positive:
            low += 1
    return Fraction(2 * low + 1, 2 ** (bits + 1))


def _unit_roots(coefficients: Sequence[int], bits: int) -> list[Fraction]:
    """Different roots in the open interval (0, 1), ascending."""
    changes = sign_changes(_shifted(coefficients[::-1]))
    if changes == 0:
        return []
    if changes == 1:
        return [_only_root(coefficients)]
    if bits == 0:
        return [Fraction(1, 2)]
    degree = len(coefficients) - 1
    left = [value << (degree - power) for power, value in enumerate(coefficients)]
    right = _shifted(left)
    middle = [] if right[0] else [Fraction(1, 2)]
    below = [root / 2 for root in _unit_roots(left, bits - 1)]
    above = [(1 + root) / 2 for root in _unit_roots(_without_zero_roots(right), bits - 1)]
    return below + middle + above


def _percent(x: Fraction) -> Decimal:
    rate = (1 / x - 1) * 100
    percent = (Decimal(rate.numerator) / Decimal(rate.denominator)).quantize(RATE_STEP, rounding=ROUND_HALF_EVEN)
    return percent or Decimal("0.0000")


def _candidates(amounts: Sequence[int]) -> tuple[Decimal, ...]:
    coefficients = _without_zero_roots(amounts)
    while not coefficients[-1]:
        coefficients.pop()
    widened = [value * _SPAN**power for power, value in enumerate(coefficients)]
    return tuple(sorted({_percent(root * _SPAN) for root in _unit_roots(widened, _SEPARATION_BITS)}))


def internal_rate(flows: Sequence[Decimal]) -> InternalRate:
    """Find the rate at which yearly amounts are worth nothing today.

    Args:
        flows: PKR at the ends of years 0, 1, 2 …, rounded to the paisa.

    Returns:
        The rate, or why there is no single one.
    """
    amounts = [int(flow / PAISA) for flow in flows]
    changes = sign_changes(amounts)
    if changes == 0:
        return InternalRate(None, (), "no internal rate: the amounts never change their sign, so no rate makes them 0")
    found = _candidates(amounts)
    if len(found) == 1:
        return InternalRate(found[0], found, "")
    if not found:
        return InternalRate(
            None,
            (),
            f"no internal rate: no rate above -{(1 - Decimal(1) / _SPAN) * HUNDRED:.0f} % makes the amounts worth 0",
        )
    listed = ", ".join(f"{number_text(rate)} %" for rate in found)
    note = (
        f"no single internal rate: the amounts change their sign {changes} times and are worth 0 at each of {listed};"
        " judge by the net present value"
    )
    return InternalRate(None, found, note)
