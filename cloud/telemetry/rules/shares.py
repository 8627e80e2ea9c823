"""Shares of sums of energy."""


def part_percent(part_kwh: float | None, whole_kwh: float | None) -> float | None:
    """What percentage of an energy a part of it is, between 0 and 100.

    Two counters that measure nearly the same differ in their last digits, so a part can come out a little larger than the whole,
    or a little below nothing.

    Args:
        part_kwh: the part; None = not measured.
        whole_kwh: the whole; None = not measured.

    Returns:
        None where either is not measured, or the whole is nothing.
    """
    if part_kwh is None or not whole_kwh:
        return None
    return min(100.0, max(0.0, 100 * part_kwh / whole_kwh))
