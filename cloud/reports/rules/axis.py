"""Axes of charts: round numbers, and labels that do not run into each other."""

import math
from collections.abc import Iterable, Sequence

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def ticks(values: Iterable[float | None], *, wanted: int = 5) -> tuple[float, ...]:
    """Round numbers, evenly spaced, from at most the lowest value (and 0) to at least the highest.

    Args:
        values: what is drawn; None is left out.
        wanted: about how many steps.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    span = high - low
    if span <= 0:
        return (0.0, 1.0)
    raw = span / wanted
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next((s * magnitude for s in _STEPS if s * magnitude >= raw), 10.0 * magnitude)
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


def tick_decimals(marks: Sequence[float]) -> int:
    """Decimals that tell neighbouring marks apart (0 to 6)."""
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    for decimals in range(7):
        if abs(round(step, decimals) - step) < step * 1e-6:
            return decimals
    return 6


def label_step(count: int, *, room: int) -> int:
    """Every how many labels one is written, when `room` of them fit."""
    return max(1, math.ceil(count / max(1, room)))
