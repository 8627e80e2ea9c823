"""Units that other systems write, and how they become those of the metric catalogue: exactly, in decimal."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from shared.errors import SolarHubError


class UnknownUnitError(SolarHubError):
    """A metric cannot be told in this unit."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """value in the metric's unit = (value + shift) * multiply / divide."""

    multiply: Decimal = Decimal(1)
    divide: Decimal = Decimal(1)
    shift: Decimal = Decimal(0)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self == _SAME

    def apply(self, value: Decimal) -> Decimal:
        """Convert one value."""
        return (value + self.shift) * self.multiply / self.divide


_SAME = Conversion()


def _times(factor: str) -> Conversion:
    return Conversion(multiply=Decimal(factor))


def _over(divisor: str) -> Conversion:
    return Conversion(divide=Decimal(divisor))


_CONVERSIONS: Mapping[str, Mapping[str, Conversion]] = {
    "kW": {"W": _over("1000"), "MW": _times("1000")},
    "kWh": {"Wh": _over("1000"), "MWh": _times("1000"), "GWh": _times("1000000"), "kJ": _over("3600"), "MJ": _over("3.6")},
    "kVA": {"VA": _over("1000"), "MVA": _times("1000")},
    "kvar": {"var": _over("1000"), "Mvar": _times("1000")},
    "V": {"mV": _over("1000"), "kV": _times("1000")},
    "A": {"mA": _over("1000"), "kA": _times("1000")},
    "Hz": {"mHz": _over("1000")},
    "degC": {
        "degF": Conversion(multiply=Decimal(5), divide=Decimal(9), shift=Decimal(-32)),
        "K": Conversion(shift=Decimal("-273.15")),
    },
    "percent": {"1": _times("100")},
    "1": {"percent": _over("100")},
    "W/m2": {"kW/m2": _times("1000")},
    "m/s": {"km/h": _over("3.6"), "mph": _times("0.44704"), "kn": Conversion(Decimal(1852), Decimal(3600))},
    "Mohm": {"kohm": _over("1000"), "ohm": _over("1000000")},
    "ms": {"s": _times("1000")},
}  # fmt: skip
"""Unit of the catalogue -> other unit -> conversion."""

_SPELLINGS = {
    "%": "percent", "°C": "degC", "C": "degC", "°F": "degF", "F": "degF", "W/m²": "W/m2", "kW/m²": "kW/m2", "°": "deg",
    "MΩ": "Mohm", "kΩ": "kohm", "Ω": "ohm", "kVAr": "kvar", "VAr": "var", "MVAr": "Mvar", "knots": "kn",
}  # fmt: skip


def conversion(unit: str, *, to: str) -> Conversion:
    """How a unit becomes that of a metric.

    Args:
        unit: as the mapping writes it; capitals matter (mW is no MW).
        to: unit of the catalogue.

    Raises:
        UnknownUnitError: listing the units that would do.
    """
    name = _SPELLINGS.get(unit.strip(), unit.strip())
    if name == to:
        return _SAME
    found = _CONVERSIONS.get(to, {}).get(name)
    if found is None:
        known = ", ".join((to, *_CONVERSIONS.get(to, ())))
        raise UnknownUnitError(f"{unit!r} does not become {to!r}; write one of {known}")
    return found
