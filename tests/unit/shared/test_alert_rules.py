"""The rule engine, reading by reading."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from shared.alert_rules import Change, Condition, Operator, Watch, WatchFormatError, evaluate, max_gap_seconds
from shared.readings import Value

START = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
HOT = Condition(
    metric="inverter_temperature_c", operator=Operator.GT, threshold=80, duration_seconds=120, clear_threshold=75
)


def run(
    condition: Condition, values: list[Value], *, step_s: float = 60, enabled: bool = True
) -> tuple[Watch, list[tuple[int, Change]]]:
    watch, changes = Watch(), []
    for index, value in enumerate(values):
        at = START + timedelta(seconds=index * step_s)
        watch, change = evaluate(condition, watch, at, value, enabled=enabled)
        if change is not None:
            changes.append((index, change))
    return watch, changes


def test_opens_after_the_duration_and_clears_at_the_clear_threshold() -> None:
    watch, changes = run(HOT, [70, 81, 82, 83, 78, 76, 75])
    assert changes == [(3, Change.OPENED), (6, Change.CLEARED)]
    assert watch == Watch(last_at=START + timedelta(minutes=6), covered=True)


def test_the_start_is_the_first_moment_of_the_breach() -> None:
    watch, _ = run(HOT, [70, 81, 82, 83])
    assert watch.since == START + timedelta(minutes=1)


def test_without_a_duration_the_first_reading_opens() -> None:
    condition = Condition(metric="power_output", operator=Operator.LT, threshold=10)
    assert run(condition, [9.5])[1] == [(0, Change.OPENED)]


@pytest.mark.parametrize(
    ("operator", "value", "fires"),
    [
        ("lt", 9.9, True), ("lt", 10, False), ("lte", 10, True), ("lte", 10.1, False),
        ("gt", 10.1, True), ("gt", 10, False), ("gte", 10, True), ("gte", 9.9, False),
        ("eq", 10, True), ("eq", 10.5, False), ("ne", 10.5, True), ("ne", 10, False),
    ],
)  # fmt: skip
def test_operators(operator: str, value: float, fires: bool) -> None:
    condition = Condition(metric="grid_frequency_hz", operator=Operator(operator), threshold=10)
    assert bool(run(condition, [value])[1]) is fires


def test_state_is() -> None:
    condition = Condition(metric="operating_state", operator=Operator.STATE_IS, threshold="fault", duration_seconds=60)
    assert run(condition, ["producing", "fault", "fault", "standby"])[1] == [(2, Change.OPENED), (3, Change.CLEARED)]


def test_a_gap_freezes_the_timer() -> None:
    watch, _ = run(HOT, [81, 82])
    later = START + timedelta(hours=5)
    watch, change = evaluate(HOT, watch, later, 83)
    assert (change, watch.held_s) == (None, 60)
    watch, change = evaluate(HOT, watch, later + timedelta(seconds=60), 83)
    assert change is Change.OPENED


def test_a_missing_value_covers_nothing_on_either_side() -> None:
    assert run(HOT, [81, None, 82, None, 83, None, 84])[1] == []
    assert run(HOT, [81, None, 82, 83, 84])[1] == [(4, Change.OPENED)]


@pytest.mark.parametrize("value", ["fault", float("nan"), float("inf")])
def test_what_cannot_be_compared_covers_nothing(value: Value) -> None:
    assert run(HOT, [81, 82, value, value, value])[1] == []


def test_readings_out_of_order_are_ignored() -> None:
    watch, _ = run(HOT, [70, 81])
    assert evaluate(HOT, watch, START, 20) == (watch, None)
    assert evaluate(HOT, watch, START + timedelta(minutes=1), 20) == (watch, None)


def test_within_the_hysteresis_the_timer_waits() -> None:
    assert run(HOT, [81, 82, 78, 81, 82])[1] == [(4, Change.OPENED)]


def test_while_disabled_nothing_opens_and_the_timer_starts_anew() -> None:
    night = Condition(metric="power_output", operator=Operator.LT, threshold=10, duration_seconds=300)
    watch, changes = run(night, [0.0] * 60, enabled=False)
    assert changes == []
    at = START + timedelta(hours=1)
    watch, change = evaluate(night, watch, at, 0.0)
    assert (change, watch.held_s, watch.since) == (None, 0.0, at)


def test_while_disabled_an_open_alert_stays() -> None:
    watch, _ = run(HOT, [81, 82, 83])
    watch, change = evaluate(HOT, watch, START + timedelta(minutes=3), 20, enabled=False)
    assert (watch.is_open, change) == (True, None)
    assert evaluate(HOT, watch, START + timedelta(minutes=4), 20)[1] is Change.CLEARED


def test_no_data_counts_the_silence_from_the_last_value() -> None:
    silent = Condition(metric="ac_power_kw", operator=Operator.NO_DATA, duration_seconds=600)
    watch, _ = run(silent, [3.0])
    watch, change = evaluate(silent, watch, START + timedelta(seconds=599), None)
    assert change is None
    watch, change = evaluate(silent, watch, START + timedelta(seconds=600), None)
    assert (change, watch.since) == (Change.OPENED, START)
    assert evaluate(silent, watch, START + timedelta(seconds=700), 0.0)[1] is Change.CLEARED


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metric": "flux", "operator": "lt", "threshold": 1}, "not in the catalogue"),
        ({"metric": "ac_voltage_v.l9", "operator": "lt", "threshold": 1}, "no channel"),
        ({"metric": "power_output", "operator": "lt"}, "threshold is missing"),
        ({"metric": "power_output", "operator": "lt", "threshold": "low"}, "finite number"),
        ({"metric": "power_output", "operator": "lt", "threshold": float("nan")}, "finite number"),
        ({"metric": "operating_state", "operator": "state_is", "threshold": 3}, "compares with a word"),
        ({"metric": "power_output", "operator": "lt", "threshold": 10, "clear_threshold": 9}, "below the threshold"),
        ({"metric": "power_output", "operator": "gt", "threshold": 10, "clear_threshold": 11}, "above the threshold"),
        ({"metric": "power_output", "operator": "gt", "threshold": 10, "clear_threshold": float("-inf")}, "finite"),
        ({"metric": "power_output", "operator": "eq", "threshold": 10, "clear_threshold": 9}, "no hysteresis"),
        ({"metric": "power_output", "operator": "lt", "threshold": 10, "colour": "red"}, "Extra inputs"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Condition.model_validate(fields)


def test_the_schema_example_and_its_alias() -> None:
    example = (
        '{"metric":"power_output","operator":"lt","threshold":10.0,"duration_seconds":300,"device_type":"inverter"}'
    )
    assert Condition.model_validate_json(example).metric_key == "ac_power_kw"
    assert Condition(metric="ac_voltage_v.l2", operator=Operator.GT, threshold=253).metric_key == "ac_voltage_v.l2"


def test_a_watch_survives_the_store() -> None:
    watch, _ = run(HOT, [81, 82, 83])
    assert Watch.from_json(watch.to_json()) == watch
    assert Watch.from_json(Watch().to_json()) == Watch()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"last_at":"yesterday","since":null}', '{"last_at":null,"since":null,"x":1}']
)
def test_an_unreadable_watch_says_so(text: str) -> None:
    with pytest.raises(WatchFormatError, match="start with a new one"):
        Watch.from_json(text)


def test_the_longest_covered_distance_follows_the_poll_interval() -> None:
    assert max_gap_seconds(10) == 180
    assert max_gap_seconds(300) == 900
