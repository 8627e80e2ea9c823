"""The plain rows of a request, prepared once and decoded in one pass. Pure.

Nearly all rows are a number of one or two words that always applies. What `modbus_codec.decode` looks up in such a row each time is looked
up here once: a poll of forty values takes a tenth of the time. Every other row stays with `modbus_codec`.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from edge_agent.drivers.modbus_plan import Request
from edge_agent.profiles.model import RegisterType, Row, WordOrder
from shared.readings import Value

_ONE_WORD = {RegisterType.U16: False, RegisterType.S16: True}
_TWO_WORDS = {RegisterType.U32: False, RegisterType.S32: True, RegisterType.ACC32: False}
_WORD_BITS = 16

_Step = tuple[str, int, int, int, int, frozenset[int], int, int, int, float, float]
"""Key, place of the high word (-1: none), of the low word, first negative raw number, what to take from it, raw numbers that mean "not
available", slope, base, divisor, lowest and highest sane value."""


class QuickRows:
    """The rows of one request.

    Args:
        request: whose answers are decoded.
        order_of: the word order of a row.
        rated_kw: of the device; None where the plan does not say it.

    Attributes:
        others: rows that are not plain.
    """

    def __init__(self, request: Request, *, order_of: Callable[[Row], WordOrder], rated_kw: float | None) -> None:
        plain = [row for row in request.rows if is_plain(row)]
        self._steps = tuple(_steps(plain, request.address, order_of, rated_kw))
        self.others: tuple[Row, ...] = tuple(row for row in request.rows if not is_plain(row))

    def decode(self, registers: Sequence[int], values: dict[str, Value]) -> bool:
        """Put the plain rows' values under their keys; None where the device says "not available".

        Returns:
            Whether all of them lie in their sane ranges.
        """
        is_sane = True
        for key, high, low, negative, span, missing, slope, base, divisor, lowest, highest in self._steps:
            raw = registers[low] if high < 0 else registers[high] << _WORD_BITS | registers[low]
            if raw in missing:
                values[key] = None
                continue
            if raw >= negative:
                raw -= span
            value = (raw * slope + base) / divisor
            values[key] = value
            if not lowest <= value <= highest:
                is_sane = False
        return is_sane


def is_plain(row: Row) -> bool:
    """Whether the row is a number of one or two words that always applies and has its own sign."""
    return (
        (row.type in _ONE_WORD or row.type in _TWO_WORDS)
        and row.is_numeric
        and not row.when
        and row.sign_from is None
        and row.max_raw is None
    )


def _steps(
    rows: Iterable[Row], first: int, order_of: Callable[[Row], WordOrder], rated_kw: float | None
) -> Iterable[_Step]:
    for row in rows:
        places = [address - first for address in row.words]
        if len(places) == 1:
            high, low, bits, is_signed = -1, places[0], _WORD_BITS, _ONE_WORD[row.type]
        else:
            high, low = places if order_of(row) is WordOrder.HIGH_FIRST else reversed(places)
            bits, is_signed = 2 * _WORD_BITS, _TWO_WORDS[row.type]
        slope, base, divisor = row.line
        lowest, highest = row.range if row.range is not None else (-math.inf, math.inf)
        if row.range_of_rated is not None and rated_kw is not None:
            lowest = max(lowest, row.range_of_rated[0] * rated_kw)
            highest = min(highest, row.range_of_rated[1] * rated_kw)
        span = 1 << bits
        negative = span >> 1 if is_signed else span
        yield (row.key, high, low, negative, span, row.missing, slope, base, divisor, lowest, highest)
