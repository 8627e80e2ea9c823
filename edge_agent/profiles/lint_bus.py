"""Whether the device's limits leave a legal request for everything that a profile reads."""

from collections.abc import Iterator

from edge_agent.profiles.model import BusLimits, Profile, Row


def bus_findings(profile: Profile) -> Iterator[str]:
    """All findings about requests, each with the row, the value and the way out."""
    bus = profile.bus
    yield from _unsound_limits(bus)
    for row in profile.rows:
        yield from _unreadable(f"row {row.key} at {row.first}", row.first, row.end, bus=bus)
        for name, address in _deciding(row):
            yield from _unreadable(f"row {row.key}: {name} at {address}", address, address + 1, bus=bus)
        if row.alone and row.together:
            yield f"row {row.key} at {row.first} is both alone and together; keep one of the two"
    yield from _unsound_companies(profile)


def _unsound_limits(bus: BusLimits) -> Iterator[str]:
    for low, high in bus.forbidden:
        if low > high:
            yield f"bus.forbidden {low}..{high} is empty; write the lower address first"
    for first, count in bus.blocks:
        if not 1 <= count <= bus.max_registers:
            yield f"bus.blocks [{first}, {count}] has a count outside 1..bus.max_registers = {bus.max_registers}"
        elif first + count > 0x10000:
            yield f"bus.blocks [{first}, {count}] would end beyond register 65535"
        if bus.is_forbidden(first, first + count):
            yield f"bus.blocks [{first}, {count}] touches bus.forbidden; narrow one of the two"
        if first in bus.never_start_at:
            yield f"bus.blocks [{first}, {count}] begins at an address of bus.never_start_at; drop it from one of the two"


def _deciding(row: Row) -> Iterator[tuple[str, int]]:
    for condition in row.when:
        yield "when", condition.address
    if row.sign_from is not None:
        yield "sign_from", row.sign_from.address


def _unreadable(what: str, first: int, end: int, *, bus: BusLimits) -> Iterator[str]:
    if end - first > bus.max_registers:
        yield f"{what} needs {end - first} registers in one request, more than bus.max_registers = {bus.max_registers}"
    for low, high in bus.forbidden:
        if first <= high and low < end:
            yield f"{what} lies in bus.forbidden {low}..{high}; drop the row or narrow the range"
    if not bus.is_in_a_block(first, end):
        yield f"{what} lies in no block of bus.blocks; add the block that holds it"
    start = bus.start_for(first)
    if not bus.blocks and (start is None or end - start > bus.max_registers):
        yield f"{what}: no request for it can begin outside bus.never_start_at; narrow bus.never_start_at or bus.forbidden"


def _unsound_companies(profile: Profile) -> Iterator[str]:
    companies: dict[str, list[Row]] = {}
    for row in profile.rows:
        if row.together:
            companies.setdefault(row.together, []).append(row)
    for name, rows in companies.items():
        if len(rows) == 1:
            yield f"together = {name!r} is on one row only ({rows[0].key}); name its companion or leave it out"
        if len({(row.function, row.poll) for row in rows}) > 1:
            yield f"together = {name!r} is on rows of several functions or poll classes; one request has one of each"
            continue
        first, end = min(row.first for row in rows), max(row.end for row in rows)
        yield from _unreadable(f"together = {name!r}, {first}..{end - 1},", first, end, bus=profile.bus)
