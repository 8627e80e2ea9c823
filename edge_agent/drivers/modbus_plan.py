"""Which requests to send for a set of rows: few, within the device's limits, and never tearing a value apart. Pure.

A request costs a fixed time whatever it carries, so reading a few registers that nobody needs is cheaper than a second request: how many
depends on the line. What a device has refused is planned around: a request that holds a refused span wholly is not made again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.profiles.model import MAX_REGISTERS_PER_REQUEST, BusLimits, RegisterFunction, Row

Place = tuple[RegisterFunction, int]
"""One register."""

_REQUEST_CHARACTERS = 8
_ANSWER_CHARACTERS = 5
_WORD_CHARACTERS = 2
_SILENCE_CHARACTERS = 3.5
_SHORTEST_SILENCE_S = 0.00175
"""Modbus over Serial Line 1.02: above 19,200 baud the silence between frames no longer shrinks."""


class Span(NamedTuple):
    """Registers from `first` up to, but without, `end` of one table. An empty one is the border before `end`."""

    function: RegisterFunction
    first: int
    end: int

    def holds(self, other: "Span") -> bool:
        """Whether the other one lies wholly within; a border only if there is something on both sides."""
        if self.function is not other.function:
            return False
        if other.first == other.end:
            return self.first < other.first < self.end
        return self.first <= other.first and other.end <= self.end


@dataclass(frozen=True, slots=True)
class Link:
    """What requests cost on a line.

    Attributes:
        request_s: of a request that carries nothing.
        register_s: of one more register.
    """

    request_s: float
    register_s: float

    @property
    def worthwhile_gap(self) -> int:
        """Registers that nobody needs, but that cost no more than another request."""
        if self.register_s <= 0:
            return MAX_REGISTERS_PER_REQUEST
        return min(int(self.request_s / self.register_s), MAX_REGISTERS_PER_REQUEST)


NETWORK = Link(request_s=0.005, register_s=0.0)
"""A local network: registers are free beside the way there and back."""


def serial_link(baud: int, *, character_bits: int = 10, turnaround_s: float = 0.02, request_gap_s: float = 0.0) -> Link:
    """Costs on a serial line.

    Args:
        baud: bits a second.
        character_bits: start, data, parity and stop: 10, or 11 with parity or a second stop bit.
        turnaround_s: that a device takes before it answers.
        request_gap_s: silence that the device wants between requests.
    """
    character_s = character_bits / baud
    silence_s = max(_SILENCE_CHARACTERS * character_s, _SHORTEST_SILENCE_S)
    frames_s = (_REQUEST_CHARACTERS + _ANSWER_CHARACTERS) * character_s
    return Link(
        request_s=frames_s + max(silence_s, request_gap_s) + turnaround_s, register_s=_WORD_CHARACTERS * character_s
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows and single registers that must come in one answer.

    Attributes:
        span: from the lowest to the highest of their registers.
        alone: the request carries nothing else.
    """

    span: Span
    rows: tuple[Row, ...] = ()
    places: tuple[Place, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One read and what it is for.

    Attributes:
        address: first register, 0-based.
        count: registers.
        pieces: that lie wholly within, by address.
    """

    function: RegisterFunction
    address: int
    count: int
    pieces: tuple[Piece, ...] = ()

    @property
    def end(self) -> int:
        """First register after the request."""
        return self.address + self.count

    @property
    def span(self) -> Span:
        """All registers of the request."""
        return Span(self.function, self.address, self.end)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Rows of all pieces."""
        return tuple(row for piece in self.pieces for row in piece.rows)

    @property
    def places(self) -> tuple[Place, ...]:
        """Single registers of all pieces."""
        return tuple(place for piece in self.pieces for place in piece.places)

    def words_of(self, row: Row, registers: Sequence[int]) -> tuple[int, ...]:
        """The row's words, in the row's order, out of this request's answer."""
        if row.addresses:
            return tuple(registers[address - self.address] for address in row.addresses)
        start = row.first - self.address
        return tuple(registers[start : start + len(row.words)])


def plan(
    rows: Iterable[Row],
    *,
    limits: BusLimits,
    places: Iterable[Place] = (),
    link: Link = NETWORK,
    refused: Collection[Span] = (),
) -> tuple[Request, ...]:
    """Cover rows and single registers with as few requests as the limits allow; what could only be read by a refused request is left out.

    Pieces are taken by address, and each joins the request before it if that stays within `max_registers`, bridges no more registers
    than the device allows and the link makes worth it, touches no forbidden range and holds no refused span. Rows that the limits leave
    no legal request for are refused by the profile's check; here each would get a request of its own.
    """
    pieces = _pieces(rows, places, limits=limits, refused=refused)
    if limits.blocks:
        return _by_blocks(pieces, limits=limits, refused=refused)
    max_gap = min(limits.max_gap, link.worthwhile_gap)
    apart = [piece.span for piece in pieces if piece.alone]
    requests: list[Request] = []
    for piece in pieces:
        joined = _join(requests[-1], piece, limits=limits, max_gap=max_gap) if requests else None
        if joined is not None and not _is_refused(joined, refused) and not _touches(joined.span, apart):
            requests[-1] = joined
            continue
        own = _around((piece,), limits)
        if not _is_refused(own, refused):
            requests.append(own)
    return tuple(requests)


def halve(request: Request, *, limits: BusLimits) -> tuple[Request, ...]:
    """Two requests for the two halves of the pieces, each no longer than its pieces need; the request itself if nothing can be taken apart.

    A device that refuses a request does not say which register it lacks: halving finds it. The last that is taken apart is a row from
    the register that gives it its sign.
    """
    pieces = request.pieces
    if len(pieces) == 1 and pieces[0].rows and pieces[0].places:
        pieces = _rows_and_places(pieces[0])
    if len(pieces) < 2:
        return (request,)
    middle = len(pieces) // 2
    return tuple(_around(half, limits) for half in (pieces[:middle], pieces[middle:]))


def between(halves: Sequence[Request]) -> Span | None:
    """What must be to blame if a request was refused and both of its halves were answered: the registers between them, or their border.

    None where that says nothing, because the halves overlap.
    """
    one, other = halves
    first = max(piece.span.end for piece in one.pieces)
    end = min(piece.span.first for piece in other.pieces)
    span = Span(one.function, first, end)
    return None if end < first or one.span.holds(span) or other.span.holds(span) else span


def _pieces(
    rows: Iterable[Row], places: Iterable[Place], *, limits: BusLimits, refused: Collection[Span]
) -> list[Piece]:
    """By address. Rows of one company, and rows with exactly the same registers, are one piece."""
    companies: dict[object, list[Row]] = {}
    for row in rows:
        span = Span(row.function, row.first, row.end)
        companies.setdefault((row.function, row.together) if row.together else (span, row.alone), []).append(row)
    found = [_piece(company, limits=limits, refused=refused) for company in companies.values()]
    covered = {place for piece in found for place in piece.places}
    for function, address in dict.fromkeys(places):
        if (function, address) not in covered:
            found.append(Piece(Span(function, address, address + 1), places=((function, address),)))
    return sorted(found, key=lambda piece: (piece.span, piece.alone))


def _piece(rows: Sequence[Row], *, limits: BusLimits, refused: Collection[Span]) -> Piece:
    """One company of rows, with the registers that give them their signs where one request can hold them without a long gap."""
    span = _span_of(rows)
    alone = any(row.alone for row in rows)
    places: list[Place] = []
    for sign in dict.fromkeys(row.sign_from for row in rows if row.sign_from is not None):
        wider = Span(span.function, min(span.first, sign.address), max(span.end, sign.address + 1))
        is_near = wider.end - wider.first <= span.end - span.first + limits.max_gap + 1
        is_free = is_near and not any(wider.holds(each) for each in refused)
        if sign.function is span.function and not alone and is_free and limits.is_readable(wider.first, wider.end):
            span = wider
            places.append(sign.place)
    return Piece(span, rows=tuple(rows), places=tuple(places), alone=alone)


def _span_of(rows: Sequence[Row]) -> Span:
    return Span(rows[0].function, min(row.first for row in rows), max(row.end for row in rows))


def _rows_and_places(piece: Piece) -> tuple[Piece, ...]:
    signs = (
        Piece(Span(function, address, address + 1), places=((function, address),)) for function, address in piece.places
    )
    return tuple(sorted((Piece(_span_of(piece.rows), rows=piece.rows), *signs), key=lambda each: each.span))


def _touches(span: Span, apart: Iterable[Span]) -> bool:
    return any(span.function is each.function and span.first < each.end and each.first < span.end for each in apart)


def _around(pieces: tuple[Piece, ...], limits: BusLimits) -> Request:
    first = min(piece.span.first for piece in pieces)
    end = max(piece.span.end for piece in pieces)
    start = limits.start_for(first)
    start = first if start is None else start
    return Request(pieces[0].span.function, start, end - start, pieces)


def _join(request: Request, piece: Piece, *, limits: BusLimits, max_gap: int) -> Request | None:
    span = piece.span
    if span.function is not request.function or span.first - request.end > max_gap:
        return None
    if piece.alone or any(each.alone for each in request.pieces):
        return None
    end = max(request.end, span.end)
    if end - request.address > limits.max_registers or limits.is_forbidden(request.address, end):
        return None
    return Request(request.function, request.address, end - request.address, (*request.pieces, piece))


def _by_blocks(pieces: Iterable[Piece], *, limits: BusLimits, refused: Collection[Span]) -> tuple[Request, ...]:
    """The first block of the profile's list that holds a piece and was not refused; one request per block."""
    filled: dict[Span, list[Piece]] = {}
    lonely: list[Request] = []
    for piece in pieces:
        function = piece.span.function
        blocks = (Span(function, first, first + count) for first, count in limits.blocks)
        block = next((each for each in blocks if each.holds(piece.span) and each not in refused), None)
        if block is None:
            continue
        if piece.alone:
            lonely.append(Request(function, block.first, block.end - block.first, (piece,)))
        else:
            filled.setdefault(block, []).append(piece)
    shared = [
        Request(block.function, block.first, block.end - block.first, tuple(own)) for block, own in filled.items()
    ]
    return tuple(sorted((*shared, *lonely), key=lambda request: request.span))


def _is_refused(request: Request, refused: Collection[Span]) -> bool:
    return any(request.span.holds(span) for span in refused)
