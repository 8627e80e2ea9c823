"""The planner: every row once and whole, nothing illegal, and no more requests than needed."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus_plan import NETWORK, Link, Place, Request, Span, between, halve, plan, serial_link
from edge_agent.profiles.model import BusLimits, RegisterFunction, Row
from tests.modbus_server import FakeBus

LAST = 400
FUNCTIONS = st.sampled_from(list(RegisterFunction))
PLACES = st.lists(st.tuples(FUNCTIONS, st.integers(0, LAST)), max_size=6)


def made(**fields: Any) -> Row:
    return Row.model_validate({"metric": "energy_total_kwh", "unit": "Wh", "for": ["inverter"]} | fields)


@st.composite
def rows(draw: st.DrawFn, *, limits: BusLimits) -> list[Row]:
    """Rows that the profile's check would let pass with these limits: each can be read by itself."""
    found: list[Row] = []
    for _ in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(["u16", "u32", "u64"]))
        start = draw(st.integers(0, LAST))
        fields: dict[str, object] = {"type": kind, "address": start, "function": draw(FUNCTIONS).value}
        if kind == "u32" and draw(st.booleans()):
            del fields["address"]
            fields["addresses"] = [start, start + draw(st.integers(1, 4))]
        if draw(st.integers(0, 5)) == 0:
            fields["alone"] = True
        elif draw(st.integers(0, 3)) == 0:
            sign = {"address": draw(st.integers(0, LAST)), "function": draw(FUNCTIONS).value}
            fields["sign_from"] = sign | {"bit": 0, "negative_when": 1}
        row = made(**fields)
        if limits.is_readable(row.first, row.end):
            found.append(row)
    found += draw(companies(limits))
    return found


@st.composite
def companies(draw: st.DrawFn, limits: BusLimits) -> list[Row]:
    start = draw(st.integers(0, LAST))
    end = start + draw(st.integers(2, 12))
    if not limits.is_readable(start, end):
        return []
    return [made(type="u16", address=address, together="t") for address in (start, end - 1)]


@st.composite
def limits(draw: st.DrawFn) -> BusLimits:
    fields: dict[str, object] = {
        "max_registers": draw(st.integers(5, 125)),
        "max_gap": draw(st.integers(0, 60)),
        "forbidden": draw(st.lists(st.tuples(st.integers(0, LAST), st.integers(0, 20)), max_size=3)),
        "never_start_at": draw(st.lists(st.integers(0, LAST), max_size=12)),
    }
    fields["forbidden"] = [(low, low + width) for low, width in fields["forbidden"]]  # type: ignore[attr-defined]
    return BusLimits.model_validate(fields)


@st.composite
def block_limits(draw: st.DrawFn) -> BusLimits:
    blocks = draw(st.lists(st.tuples(st.integers(0, LAST), st.integers(1, 125)), min_size=1, max_size=6))
    return BusLimits(blocks=tuple(blocks))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Row], list[Place], BusLimits]:
    bus = draw(st.one_of(limits(), block_limits()))
    places = [place for place in draw(PLACES) if bus.is_readable(place[1], place[1] + 1)]
    return draw(rows(limits=bus)), places, bus


def touches(request: Request, bus: BusLimits) -> bool:
    return bus.is_forbidden(request.address, request.end)


@given(case=cases())
def test_every_row_and_place_is_read_once_and_whole(case: tuple[list[Row], list[Place], BusLimits]) -> None:
    rows, places, bus = case
    requests = plan(rows, limits=bus, places=places)
    assert sorted(id(row) for request in requests for row in request.rows) == sorted(map(id, rows))
    read = [place for request in requests for place in request.places]
    assert len(read) == len(set(read)) or any(row.sign_from for row in rows)
    assert set(places) <= set(read)
    for request in requests:
        registers = range(request.address, request.end)
        assert all(function is request.function and address in registers for function, address in request.places)
        for row in request.rows:
            assert row.function is request.function
            assert set(row.words) <= set(registers)
            assert request.words_of(row, registers) == row.words


@given(case=cases())
def test_nothing_illegal_is_asked(case: tuple[list[Row], list[Place], BusLimits]) -> None:
    rows, places, bus = case
    for request in plan(rows, limits=bus, places=places):
        assert 1 <= request.count <= bus.max_registers
        assert not touches(request, bus)
        if bus.blocks:
            assert (request.address, request.count) in bus.blocks
            continue
        assert request.address not in bus.never_start_at
        covered = {row.first + step for row in request.rows for step in range(row.extent)}
        covered |= {address for _, address in request.places}
        start = min(covered)
        holes = [address for address in range(start, request.end) if address not in covered]
        longest = run = 0
        for previous, address in zip([None, *holes], holes, strict=False):
            run = run + 1 if previous is not None and address == previous + 1 else 1
            longest = max(longest, run)
        assert longest <= max(bus.max_gap, 10)  # a company of rows may lie 10 apart: it says so itself


@given(case=cases())
def test_companions_share_a_request_and_loners_have_their_own(case: tuple[list[Row], list[Place], BusLimits]) -> None:
    rows, places, bus = case
    requests = plan(rows, limits=bus, places=places)
    assert sum(any(row.together for row in request.rows) for request in requests) <= 1
    loners = {(row.function, row.first, row.end) for row in rows if row.alone}
    for request in requests:
        alone = [row for row in request.rows if row.alone]
        if alone:
            assert {row.words for row in request.rows} == {alone[0].words}
            assert len(request.pieces) == 1
        elif len(request.pieces) > 1 and not bus.blocks:
            assert not any(
                function is request.function and first < request.end and request.address < end
                for function, first, end in loners
            )


@given(case=cases(), baud=st.sampled_from([1200, 2400, 9600, 19200, 115200]))
def test_two_neighbouring_requests_could_not_have_been_one(
    case: tuple[list[Row], list[Place], BusLimits], baud: int
) -> None:
    rows, places, bus = case
    if bus.blocks or any(row.alone for row in rows):
        return
    link = serial_link(baud)
    gap = min(bus.max_gap, link.worthwhile_gap)
    requests = plan(rows, limits=bus, places=places, link=link)
    for one, other in itertools.pairwise(requests):
        if one.function is not other.function:
            continue
        piece = other.pieces[0]
        together = Request(one.function, one.address, max(one.end, piece.span.end) - one.address)
        assert piece.span.first - one.end > gap or together.count > bus.max_registers or touches(together, bus)


@given(case=cases())
def test_halving_ends_with_each_row_alone(case: tuple[list[Row], list[Place], BusLimits]) -> None:
    rows, places, bus = case
    waiting = list(plan(rows, limits=bus, places=places))
    alone: list[Row] = []
    while waiting:
        request = waiting.pop()
        halves = halve(request, limits=bus)
        if halves == (request,):
            alone.extend(request.rows)
            assert len(request.pieces) == 1
        else:
            assert sum(len(half.rows) for half in halves) == len(request.rows)
            assert sum(len(half.places) for half in halves) == len(request.places)
            waiting.extend(halves)
    assert sorted(map(id, alone)) == sorted(map(id, rows))


SPANS = st.lists(
    st.builds(lambda f, first, n: Span(f, first, first + n), FUNCTIONS, st.integers(0, LAST), st.integers(0, 10)),
    max_size=8,
)


@given(case=cases(), refused=SPANS)
def test_what_was_refused_is_not_asked_again(
    case: tuple[list[Row], list[Place], BusLimits], refused: list[Span]
) -> None:
    rows, places, bus = case
    requests = plan(rows, limits=bus, places=places, refused=refused)
    if not bus.blocks:
        assert not any(request.span.holds(span) for request in requests for span in refused)
    assert {id(row) for request in requests for row in request.rows} <= set(map(id, rows))


def ask(request: Request, bus: FakeBus, *, limits: BusLimits, read: list[Row], refused: list[Span]) -> bool:
    """What a driver does with one request: halve what is refused. Whether the whole was answered."""
    if all(address in bus.holding for address in range(request.address, request.end)):
        read.extend(request.rows)
        return True
    parts = halve(request, limits=limits)
    if len(parts) == 1:
        refused.append(request.span)
        return False
    answered = [ask(part, bus, limits=limits, read=read, refused=refused) for part in parts]
    blamed = between(parts) if all(answered) else None
    if blamed is not None:
        refused.append(blamed)
    return False


def learn(rows: list[Row], bus: FakeBus, limits: BusLimits) -> tuple[list[Row], int]:
    """Ask and plan anew until a round teaches nothing: the rows that were read, and the rounds."""
    refused: list[Span] = []
    for count in range(1, 200):
        read: list[Row] = []
        before = len(refused)
        for request in plan(rows, limits=limits, refused=refused):
            ask(request, bus, limits=limits, read=read, refused=refused)
        if len(refused) == before:
            return read, count
    raise AssertionError("learning does not end")


@given(data=st.data(), gap=st.integers(0, 30), missing=st.sets(st.integers(0, 120), max_size=30))
def test_learning_ends_with_every_row_that_the_device_has(data: st.DataObject, gap: int, missing: set[int]) -> None:
    bus_limits = BusLimits(max_gap=gap, max_registers=60)
    starts = data.draw(st.sets(st.integers(0, 115), min_size=1, max_size=20))
    rows = [made(type="u32", address=first) for first in starts if first - 1 not in starts]
    device = FakeBus({address: 0 for address in range(130) if address not in missing})
    read, rounds = learn(rows, device, bus_limits)
    there = [row for row in rows if not missing & set(row.words)]
    assert sorted(map(id, read)) == sorted(map(id, there))
    assert rounds <= len(rows) + 2


def at(address: int) -> Row:
    return made(type="u32", address=address)


def test_the_order_is_the_registers() -> None:  # a known answer beside the rules
    made = plan([at(100), at(0), at(10)], limits=BusLimits(max_registers=60, max_gap=8))
    assert [(request.address, request.count) for request in made] == [(0, 12), (100, 2)]
    assert made[0].function is RegisterFunction.HOLDING


def test_a_slow_line_bridges_less() -> None:
    rows, bus = [at(0), at(40)], BusLimits(max_gap=60)
    assert len(plan(rows, limits=bus, link=NETWORK)) == 1
    assert len(plan(rows, limits=bus, link=serial_link(9600))) == 2
    assert len(plan(rows, limits=bus, link=serial_link(115_200))) == 1


def test_the_price_of_a_register() -> None:
    """20 registers at 9600 baud: 8 + 5 + 40 characters of 10 bits are 55 ms on the wire."""
    link = serial_link(9600, turnaround_s=0)
    wire = link.request_s + 20 * link.register_s - 3.5 * 10 / 9600
    assert abs(wire - 0.0552) < 0.0001
    assert serial_link(9600).worthwhile_gap == 17
    assert serial_link(1200).worthwhile_gap < serial_link(9600).worthwhile_gap < serial_link(57_600).worthwhile_gap
    assert serial_link(9600, request_gap_s=0.5).worthwhile_gap == 125
    assert Link(request_s=1, register_s=0).worthwhile_gap == 125


def test_a_request_moves_its_start() -> None:
    bus = BusLimits(never_start_at=(10, 9))
    (request,) = plan([at(10)], limits=bus)
    assert (request.address, request.count) == (8, 4)
    assert request.words_of(request.rows[0], [8, 9, 10, 11]) == (10, 11)


def test_another_block_is_tried() -> None:
    bus = BusLimits(blocks=((100, 125), (100, 58), (100, 45)))
    rows = [at(110), at(150)]
    holding = RegisterFunction.HOLDING
    assert [request.count for request in plan(rows, limits=bus)] == [125]
    once = plan(rows, limits=bus, refused=[Span(holding, 100, 225)])
    assert [request.count for request in once] == [58]
    twice = plan(rows, limits=bus, refused=[Span(holding, 100, 225), Span(holding, 100, 158)])
    assert [(request.count, len(request.rows)) for request in twice] == [(45, 1)]
