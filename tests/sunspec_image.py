"""Register images of SunSpec devices for tests."""

import math
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal

from edge_agent.drivers.sunspec_models import NOT_IMPLEMENTED, SIGNED, Point, PointDefinition, definition_of

MARKER = (0x5375, 0x6E53)
END = (0xFFFF, 0)


def encode_point(point: PointDefinition, value: Point, *, scale: int = 0) -> tuple[int, ...]:
    """Registers of one point; None becomes "not implemented".

    Args:
        point: where and what.
        value: in the point's unit.
        scale: exponent that the model's scale factor point says.

    Raises:
        ValueError: if the value does not fit into the point.
    """
    if point.type == "string":
        data = str(value or "").encode()[: 2 * point.size].ljust(2 * point.size, b"\0")
    elif point.type in {"float32", "float64"}:
        data = struct.pack(">f" if point.size == 2 else ">d", math.nan if value is None else float(value))
    elif value is None:
        data = NOT_IMPLEMENTED.get(point.type, 0).to_bytes(2 * point.size, "big")
    else:
        raw = int(Decimal(value).scaleb(-scale).to_integral_value())
        try:
            data = raw.to_bytes(2 * point.size, "big", signed=point.type in SIGNED)
        except OverflowError as error:
            raise ValueError(f"point {point.name}: {value} at scale {scale} does not fit into {point.type}") from error
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def model_words(
    model_id: int,
    values: Mapping[str, Point],
    *,
    scales: Mapping[str, int] | None = None,
    modules: Sequence[Mapping[str, Point]] = (),
) -> tuple[int, ...]:
    """One model, header included; points without a value are not implemented.

    Args:
        model_id: number of the model.
        values: point -> value in the point's unit.
        scales: scale factor point -> exponent; 0 where it is not said.
        modules: values of the repetitions of the model's one group, which are counted where a point counts them.
    """
    group = definition_of(model_id).group
    exponents = {point.name: 0 for point in group.points if point.type == "sunssf"} | dict(scales or {})
    nothing: Mapping[str, Point] = {}
    repetitions = [(part.points, nothing) for part in group.groups if part.count is None]
    repetitions += [(group.groups[0].points, module) for module in modules]
    length = group.words + sum(point.size for points, _ in repetitions for point in points) - 2
    said: dict[str, Point] = {"ID": Decimal(model_id), "L": Decimal(length)}
    said |= {name: Decimal(exponent) for name, exponent in exponents.items()}
    said |= {part.count: Decimal(len(modules)) for part in group.groups if isinstance(part.count, str)}
    parts = [(group.points, {**said, **values}), *repetitions]
    return tuple(
        word
        for points, given in parts
        for point in points
        for word in encode_point(point, given.get(point.name), scale=_exponent(point, exponents))
    )


def _exponent(point: PointDefinition, exponents: Mapping[str, int]) -> int:
    return point.scale if isinstance(point.scale, int) else exponents.get(point.scale or "", 0)


def image(*models: Sequence[int], base: int = 40000, end: Sequence[int] = END) -> dict[int, int]:
    """A chain of models as a register image."""
    words = [*MARKER]
    for model in models:
        words += model
    return dict(enumerate([*words, *end], start=base))
