"""The planner: every row once and whole, nothing illegal, and no more requests than needed."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.modbus_plan import Request, halve, plan
from edge_agent.profiles.model import BusLimits, RegisterFunction, Row


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    found: list[Row] = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["u16", "u32", "u64"]))
        start = draw(st.integers(0, 400))
        place: dict[str, object] = {"address": start}
        if kind == "u32" and draw(st.booleans()):
            place = {"addresses": [start, start + draw(st.integers(1, 4))]}
        fields = {
            "metric": "energy_total_kwh",
            "type": kind,
            "unit": "Wh",
            "function": draw(st.sampled_from(["holding", "input"])),
            "for": ["inverter"],
        }
        found.append(Row.model_validate(fields | place))
    return found


LIMITS = st.builds(
    lambda longest, gap, forbidden: BusLimits(
        max_registers=longest, max_gap=gap, forbidden=tuple((low, low + width) for low, width in forbidden)
    ),
    st.integers(5, 125),
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20)), max_size=3),
)


def touches(request: Request, limits: BusLimits) -> bool:
    return any(low < request.end and request.address <= high for low, high in limits.forbidden)


@given(rows=rows(), limits=LIMITS)
def test_every_row_is_read_once_and_whole(rows: list[Row], limits: BusLimits) -> None:
    requests = plan(rows, limits=limits)
    assert sorted(id(row) for request in requests for row in request.rows) == sorted(map(id, rows))
    for request in requests:
        registers = range(request.address, request.end)
        for row in request.rows:
            assert row.function is request.function
            assert set(row.words) <= set(registers)
            assert request.words_of(row, registers) == row.words


@given(rows=rows(), limits=LIMITS)
def test_nothing_illegal_is_asked(rows: list[Row], limits: BusLimits) -> None:
    for request in plan(rows, limits=limits):
        assert 1 <= request.count <= limits.max_registers
        if len(request.rows) > 1:
            assert not touches(request, limits)
        covered = {address for row in request.rows for address in range(row.first, row.first + row.extent)}
        holes = [address for address in range(request.address, request.end) if address not in covered]
        longest = run = 0
        for previous, address in zip([None, *holes], holes, strict=False):
            run = run + 1 if previous is not None and address == previous + 1 else 1
            longest = max(longest, run)
        assert longest <= limits.max_gap


@given(rows=rows(), limits=LIMITS)
def test_two_neighbouring_requests_could_not_have_been_one(rows: list[Row], limits: BusLimits) -> None:
    requests = plan(rows, limits=limits)
    for one, other in itertools.pairwise(requests):
        if one.function is not other.function:
            continue
        row = other.rows[0]
        together = Request(one.function, one.address, max(one.end, row.first + row.extent) - one.address, ())
        assert (
            row.first - one.end > limits.max_gap or together.count > limits.max_registers or touches(together, limits)
        )


@given(rows=rows(), limits=LIMITS)
def test_halving_ends_with_each_row_alone(rows: list[Row], limits: BusLimits) -> None:
    waiting = list(plan(rows, limits=limits))
    alone: list[Row] = []
    while waiting:
        request = waiting.pop()
        halves = halve(request)
        if halves == (request,):
            alone.extend(request.rows)
            assert (request.address, request.count) == (request.rows[0].first, request.rows[0].extent)
        else:
            assert sum(len(half.rows) for half in halves) == len(request.rows)
            assert all(request.address <= half.address and half.end <= request.end for half in halves)
            waiting.extend(halves)
    assert sorted(map(id, alone)) == sorted(map(id, rows))


def test_the_order_is_the_registers(  # a known answer beside the rules
) -> None:
    def at(address: int) -> Row:
        return Row.model_validate(
            {"metric": "energy_total_kwh", "address": address, "type": "u32", "unit": "Wh", "for": ["inverter"]}
        )

    made = plan([at(100), at(0), at(10)], limits=BusLimits(max_registers=60, max_gap=8))
    assert [(request.address, request.count) for request in made] == [(0, 12), (100, 2)]
    assert made[0].function is RegisterFunction.HOLDING
