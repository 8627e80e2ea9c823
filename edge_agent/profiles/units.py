"""Units that devices speak, and the exact factor from each to the catalogue's unit."""

from decimal import Decimal

from edge_agent.errors import EdgeError

_FACTORS: dict[str, dict[str, Decimal]] = {
    "kW": {"W": Decimal("0.001"), "kW": Decimal(1), "MW": Decimal(1000)},
    "kVA": {"VA": Decimal("0.001"), "kVA": Decimal(1)},
    "kvar": {"var": Decimal("0.001"), "kvar": Decimal(1)},
    "kWh": {"Wh": Decimal("0.001"), "kWh": Decimal(1), "MWh": Decimal(1000), "Wmin": Decimal(1) / Decimal(60_000)},
    "V": {"mV": Decimal("0.001"), "V": Decimal(1)},
    "A": {"mA": Decimal("0.001"), "A": Decimal(1)},
    "Hz": {"Hz": Decimal(1)},
    "degC": {"degC": Decimal(1)},
    "percent": {"percent": Decimal(1), "1": Decimal(100)},
    "1": {"1": Decimal(1), "percent": Decimal("0.01")},
    "Mohm": {"kohm": Decimal("0.001"), "Mohm": Decimal(1)},
    "W/m2": {"W/m2": Decimal(1)},
    "m/s": {"m/s": Decimal(1), "km/h": Decimal(1) / Decimal("3.6")},
    "deg": {"deg": Decimal(1)},
    "count": {"count": Decimal(1)},
    "integer": {"integer": Decimal(1)},
    "ms": {"ms": Decimal(1), "s": Decimal(1000)},
}


class UnitError(EdgeError):
    """A unit cannot be converted into the metric's unit."""


def conversion_factor(unit: str, target: str) -> Decimal:
    """Exact factor by which a number in `unit` becomes a number in `target`.

    Raises:
        UnitError: if the two do not belong together; the message lists the units that do.
    """
    known = _FACTORS.get(target, {})
    if unit not in known:
        raise UnitError(f"unit {unit!r} cannot become {target!r}; write one of: {', '.join(known) or 'none'}")
    return known[unit]
