"""What holds for every series of readings and every threshold."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.alert_rules import Change, Condition, Operator, Watch, evaluate
from shared.readings import Value

START = datetime(2026, 6, 1, tzinfo=UTC)

operators = st.sampled_from([Operator.LT, Operator.LTE, Operator.GT, Operator.GTE])
values = st.none() | st.floats(-100, 100, allow_nan=False)
readings = st.lists(st.tuples(st.integers(0, 20_000), values), max_size=60)


def follow(
    condition: Condition, timed: list[tuple[int, Value]], max_gap_s: float = 180.0
) -> tuple[Watch, list[Change]]:
    watch, changes = Watch(), []
    for second, value in timed:
        watch, change = evaluate(condition, watch, START + timedelta(seconds=second), value, max_gap_s=max_gap_s)
        if change is not None:
            changes.append(change)
    return watch, changes


@given(operators, st.floats(0.1, 50), st.lists(st.floats(0, 1), min_size=200, max_size=200))
def test_200_crossings_within_the_hysteresis_are_one_alert(
    operator: Operator, width: float, depths: list[float]
) -> None:
    bad = -1 if operator in {Operator.LT, Operator.LTE} else 1
    condition = Condition(metric="grid_power_kw", operator=operator, threshold=10, clear_threshold=10 - bad * width)
    crossing = [
        10 + bad * (depth + 0.01) if i % 2 == 0 else 10 - bad * width * depth * 0.99 for i, depth in enumerate(depths)
    ]
    _, changes = follow(condition, [(i * 10, value) for i, value in enumerate(crossing)])
    assert changes == [Change.OPENED]


@given(st.lists(st.integers(181, 10_000), min_size=1, max_size=40))
def test_gaps_never_fire(gaps: list[int]) -> None:
    condition = Condition(metric="grid_power_kw", operator=Operator.LT, threshold=10, duration_seconds=1)
    second, timed = 0, [(0, 0.0)]
    for gap in gaps:
        second += gap
        timed.append((second, 0.0))
    watch, changes = follow(condition, list(timed))
    assert changes == []
    assert watch.held_s == 0


@given(operators, readings, st.integers(0, 1000))
def test_openings_and_ends_alternate(operator: Operator, timed: list[tuple[int, Value]], duration_s: int) -> None:
    condition = Condition(metric="grid_power_kw", operator=operator, threshold=0, duration_seconds=duration_s)
    watch, changes = follow(condition, timed)
    assert all(change is (Change.OPENED, Change.CLEARED)[i % 2] for i, change in enumerate(changes))
    assert watch.is_open == (len(changes) % 2 == 1)


@given(operators, readings, st.integers(0, 1000))
def test_late_readings_change_nothing(operator: Operator, timed: list[tuple[int, Value]], duration_s: int) -> None:
    condition = Condition(metric="grid_power_kw", operator=operator, threshold=0, duration_seconds=duration_s)
    newest, kept = -1, []
    for second, value in timed:
        if second > newest:
            kept.append((second, value))
            newest = second
    assert follow(condition, timed) == follow(condition, kept)


@given(operators, readings, st.integers(1, 1000))
def test_no_alert_opens_before_its_duration(
    operator: Operator, timed: list[tuple[int, Value]], duration_s: int
) -> None:
    condition = Condition(metric="grid_power_kw", operator=operator, threshold=0, duration_seconds=duration_s)
    watch = Watch()
    for second, value in timed:
        at = START + timedelta(seconds=second)
        watch, change = evaluate(condition, watch, at, value)
        if change is Change.OPENED:
            assert watch.since is not None
            assert duration_s <= watch.held_s <= (at - watch.since).total_seconds()


@given(operators, readings)
def test_a_watch_survives_the_store_at_every_step(operator: Operator, timed: list[tuple[int, Value]]) -> None:
    condition = Condition(metric="grid_power_kw", operator=operator, threshold=0, duration_seconds=60)
    watch = Watch()
    for second, value in timed:
        watch, _ = evaluate(condition, Watch.from_json(watch.to_json()), START + timedelta(seconds=second), value)
        assert Watch.from_json(watch.to_json()) == watch
