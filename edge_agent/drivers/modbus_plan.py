"""Which requests to send for a set of rows: few, within the device's limits, and never tearing a value apart. Pure.

A request costs a fixed time whatever it carries, so reading a few registers that nobody needs is cheaper than a second request; `max_gap`
says how many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.profiles.model import BusLimits, RegisterFunction, Row


@dataclass(frozen=True, slots=True)
class Request:
    """One read and what it is for.

    Attributes:
        address: first register, 0-based.
        count: registers.
        rows: rows that lie wholly within, by address.
    """

    function: RegisterFunction
    address: int
    count: int
    rows: tuple[Row, ...]

    @property
    def end(self) -> int:
        """First register after the request."""
        return self.address + self.count

    def words_of(self, row: Row, registers: Sequence[int]) -> tuple[int, ...]:
        """The row's words, in the row's order, out of this request's answer."""
        return tuple(registers[address - self.address] for address in row.words)


def plan(rows: Iterable[Row], *, limits: BusLimits) -> tuple[Request, ...]:
    """Cover every row with as few requests as the limits allow.

    Rows are taken by address, and each joins the request before it if that stays within `max_registers`, bridges at most `max_gap`
    registers and touches no forbidden range. Rows that lie in a forbidden range or are longer than a request are refused by the
    profile's check; here each would get a request of its own.
    """
    requests: list[Request] = []
    for row in sorted(rows, key=lambda each: (each.function, each.first, each.extent)):
        joined = _join(requests[-1], row, limits=limits) if requests else None
        if joined is not None:
            requests[-1] = joined
        else:
            requests.append(Request(row.function, row.first, row.extent, (row,)))
    return tuple(requests)


def halve(request: Request) -> tuple[Request, ...]:
    """Two requests for the two halves of the rows, each no longer than its rows need; the request itself if it has one row.

    A device that refuses a request does not say which register it lacks: halving finds it.
    """
    if len(request.rows) < 2:
        return (request,)
    middle = len(request.rows) // 2
    return tuple(_around(half) for half in (request.rows[:middle], request.rows[middle:]))


def _around(rows: tuple[Row, ...]) -> Request:
    first = min(row.first for row in rows)
    end = max(row.first + row.extent for row in rows)
    return Request(rows[0].function, first, end - first, rows)


def _join(request: Request, row: Row, *, limits: BusLimits) -> Request | None:
    if row.function is not request.function or row.first - request.end > limits.max_gap:
        return None
    end = max(request.end, row.first + row.extent)
    count = end - request.address
    if count > limits.max_registers:
        return None
    if any(low < end and request.address <= high for low, high in limits.forbidden):
        return None
    return Request(request.function, request.address, count, (*request.rows, row))
