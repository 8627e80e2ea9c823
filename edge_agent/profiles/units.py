"""Units that devices speak, and the exact factor from each to the catalogue's unit."""

from decimal import Decimal

from edge_agent.errors import EdgeError

_FACTORS: dict[str, dict[str, Decimal]] = {
    "kW": {"W": Decimal("0.001"), "kW": Decimal(1), "MW": Decimal(1000)},
    "kVA": {"VA": Decimal("0.001"), "kVA": Decimal(1), "MVA": Decimal(1000)},
    "kvar": {"var": Decimal("0.001"), "kvar": Decimal(1), "Mvar": Decimal(1000)},
    "kWh": {
        "Wh": Decimal("0.001"),
        "kWh": Decimal(1),
        "MWh": Decimal(1000),
        "GWh": Decimal(1_000_000),
        "Wmin": Decimal(1) / Decimal(60_000),
        "Ws": Decimal(1) / Decimal(3_600_000),
    },
    "V": {"mV": Decimal("0.001"), "V": Decimal(1), "kV": Decimal(1000)},
    "A": {"mA": Decimal("0.001"), "A": Decimal(1)},
    "Hz": {"mHz": Decimal("0.001"), "Hz": Decimal(1)},
    "degC": {"degC": Decimal(1)},
    "percent": {"percent": Decimal(1), "1": Decimal(100)},
    "1": {"1": Decimal(1), "percent": Decimal("0.01")},
    "Mohm": {"ohm": Decimal("0.000001"), "kohm": Decimal("0.001"), "Mohm": Decimal(1)},
    "W/m2": {"W/m2": Decimal(1), "kW/m2": Decimal(1000)},
    "m/s": {"m/s": Decimal(1), "km/h": Decimal(1) / Decimal("3.6")},
    "deg": {"deg": Decimal(1)},
    "count": {"count": Decimal(1)},
    "integer": {"integer": Decimal(1)},
    "ms": {"ms": Decimal(1), "s": Decimal(1000)},
}

_SHIFTED: dict[str, dict[str, tuple[Decimal, Decimal]]] = {
    "degC": {"degF": (Decimal(5) / Decimal(9), Decimal(-32)), "K": (Decimal(1), Decimal("-273.15"))},
}
"""Units whose zero lies elsewhere: the factor, and what to add in the unit itself before it."""


class UnitError(EdgeError):
    """A unit cannot be converted into the metric's unit."""


def conversion_factor(unit: str, target: str) -> Decimal:
    """Exact factor by which a number in `unit` becomes a number in `target`.

    Raises:
        UnitError: if a factor alone does not do it; the message lists the units for which it does.
    """
    known = _FACTORS.get(target, {})
    if unit not in known:
        raise UnitError(f"unit {unit!r} cannot become {target!r}; write one of: {', '.join(known) or 'none'}")
    return known[unit]


def conversion(unit: str, target: str) -> tuple[Decimal, Decimal]:
    """Factor and shift by which a number in `unit` becomes one in `target`: (number + shift) x factor.

    Raises:
        UnitError: if the two do not belong together; the message lists the units that do.
    """
    shifted = _SHIFTED.get(target, {})
    if unit in shifted:
        return shifted[unit]
    try:
        return conversion_factor(unit, target), Decimal(0)
    except UnitError as error:
        raise UnitError(f"{error}{''.join(f', {each}' for each in shifted)}") from error


def catalogue_unit(unit: str) -> str:
    """The unit in which the catalogue keeps what a device counts in `unit`.

    Raises:
        UnitError: if no quantity is counted in it; the message lists the known units.
    """
    if unit in _FACTORS:
        return unit
    for target, known in _FACTORS.items():
        if unit in known or unit in _SHIFTED.get(target, {}):
            return target
    every = sorted({each for table in (_FACTORS, _SHIFTED) for known in table.values() for each in known})
    raise UnitError(f"unit {unit!r} is not known; write one of: {', '.join(every)}")
