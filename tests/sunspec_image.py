"""Register images of SunSpec devices for tests."""

from collections.abc import Mapping, Sequence

from edge_agent.drivers.sunspec_models import Point, encode_point, known_models

MARKER = (0x5375, 0x6E53)
END = (0xFFFF, 0)


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
        modules: values of the repetitions.
    """
    definition = known_models()[model_id]
    exponents = {point.name: 0 for point in definition.points if point.type == "sunssf"} | dict(scales or {})
    length = definition.fixed_words - 2 + len(modules) * definition.repeated_words
    fixed = {"ID": model_id, "L": length, **exponents, **values}
    words: list[int] = []
    for points, given in [(definition.points, fixed), *((definition.repeating, module) for module in modules)]:
        for point in points:
            value = given.get(point.name)
            words += encode_point(point, value, scale=exponents.get(point.scale or "", 0))
    return tuple(words)


def image(*models: Sequence[int], base: int = 40000, end: Sequence[int] = END) -> dict[int, int]:
    """A chain of models as a register image."""
    words = [*MARKER]
    for model in models:
        words += model
    return dict(enumerate([*words, *end], start=base))
