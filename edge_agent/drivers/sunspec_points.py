"""What the maps of SunSpec points to the metric catalogue have in common. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from edge_agent.drivers.sunspec_models import DecodedModel, Point
from shared.readings import Value

Models = Mapping[int, Sequence[DecodedModel]]
"""What was read in one poll: model number -> its instances, in the device's order."""

Table = Mapping[str, tuple[str, Decimal]]
"""Point -> metric key and factor to the metric's unit."""

KILO = Decimal("0.001")
ONE = Decimal(1)

_IGNORED_BIT = 31
"""A bit field whose highest bit is set says nothing (SunSpec Device Information Model Specification, bit field types)."""


def first(models: Models, *ids: int) -> DecodedModel | None:
    """The first instance of the first of these models that was read."""
    return next((models[number][0] for number in ids if models.get(number)), None)


def number(point: Point, factor: Decimal = ONE) -> float | None:
    """A point in a metric's unit; None if it is not implemented or no number."""
    return float(point * factor) + 0.0 if isinstance(point, Decimal) else None  # + 0.0: a negated zero is a zero


def mapped(points: Mapping[str, Point], table: Table) -> dict[str, Value]:
    """The values of a table's points that the model has."""
    return {key: number(points[name], factor) for name, (key, factor) in table.items() if name in points}


def ratio(point: Point) -> float | None:
    """A power factor. Models say percent, but devices send the ratio itself: a magnitude up to 1 is taken as the ratio."""
    if not isinstance(point, Decimal):
        return None
    return number(point, ONE if abs(point) <= 1 else Decimal("0.01"))


def total(points: Iterable[Point]) -> Decimal | None:
    """The sum of points; None as soon as one is not implemented, or if there is none."""
    given = list(points)
    known = [point for point in given if isinstance(point, Decimal)]
    return sum(known, Decimal(0)) if known and len(known) == len(given) else None


def codes(fields: Mapping[str, Point]) -> str | None:
    """Codes such as `sunspec:evt1.3` of the bits that are set, separated by spaces; empty is "no fault", None is "does not say".

    Args:
        fields: bit fields by the name that stands in the code.
    """
    said = {name: int(field) for name, field in fields.items() if isinstance(field, Decimal)}
    said = {name: bits for name, bits in said.items() if not bits >> _IGNORED_BIT & 1}
    if not said:
        return None
    return " ".join(
        f"sunspec:{name}.{bit}" for name, bits in said.items() for bit in range(_IGNORED_BIT) if bits >> bit & 1
    )
