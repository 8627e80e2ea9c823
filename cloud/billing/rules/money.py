"""Rupees: how an amount is rounded and written."""

from decimal import ROUND_HALF_UP, Decimal

PAISA = Decimal("0.01")
ZERO = Decimal(0)
HUNDRED = Decimal(100)


def round_pkr(amount: Decimal) -> Decimal:
    """Round to the paisa, half up (half away from zero for a credit), as the DISCOs' bills do."""
    rounded = amount.quantize(PAISA, rounding=ROUND_HALF_UP)
    return rounded or Decimal("0.00")


def money_text(amount: Decimal) -> str:
    """Write an amount for JSON: `-425.77`, never an exponent."""
    return f"{round_pkr(amount):f}"


def number_text(number: Decimal) -> str:
    """Write a quantity or a rate without needless zeros: `289`, `1.1907`, `0`."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def percent_of(base: Decimal, percent: Decimal) -> Decimal:
    """`percent` per cent of `base`, rounded to the paisa."""
    return round_pkr(base * percent / HUNDRED)
