"""Plain rows decoded in one pass give what each gives alone, for every row that comes with the agent."""

import random

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers import modbus_codec
from edge_agent.drivers.modbus_plan import plan
from edge_agent.drivers.modbus_quick import QuickRows, is_plain
from edge_agent.profiles.load import ProfileLibrary

LIBRARY = ProfileLibrary()
PROFILES = [LIBRARY.modbus(name) for name in LIBRARY.modbus_names()]
EDGES = (0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)


@given(st.sampled_from(PROFILES), st.integers(0, 2**32), st.sampled_from([None, 5.0, 50.0]), st.booleans())
def test_one_pass_is_row_by_row(profile: object, seed: int, rated_kw: float | None, edges: bool) -> None:
    dice = random.Random(seed)  # noqa: S311 -- registers, no secrets
    for device_type in profile.device_types:  # type: ignore[attr-defined]
        for request in plan(profile.rows_for(device_type), limits=profile.bus):  # type: ignore[attr-defined]
            registers = [dice.choice(EDGES) if edges else dice.randrange(0x1_0000) for _ in range(request.count)]
            quick = QuickRows(request, order_of=profile.order_of, rated_kw=rated_kw)  # type: ignore[attr-defined]
            values: dict[str, object] = {}
            is_sane = quick.decode(registers, values)  # type: ignore[arg-type]
            plain = [row for row in request.rows if row not in quick.others]
            each = {
                row.key: modbus_codec.decode(
                    row,
                    request.words_of(row, registers),
                    order=profile.order_of(row),  # type: ignore[attr-defined]
                )
                for row in plain
            }
            assert values == each
            assert is_sane == all(modbus_codec.is_in_range(row, each[row.key], rated_kw=rated_kw) for row in plain)
            assert [str(value) for value in values.values()] == [str(each[key]) for key in values], "no -0.0"


def test_most_rows_are_plain_and_none_is_lost() -> None:
    rows = [row for profile in PROFILES for row in profile.rows]
    assert sum(map(is_plain, rows)) > len(rows) / 2
    assert not all(map(is_plain, rows))
