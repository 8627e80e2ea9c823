"""What a pushing device has said: age, assembly, absence, and whose it is."""

import pytest

from edge_agent.drivers.mqtt_codec import Decoded
from edge_agent.drivers.pushed import PushedValues
from shared.enums import Quality
from shared.readings import Value


def said(pushed: PushedValues, now: float) -> dict[str, Value] | None:
    answer = pushed.answer(now)
    return dict(answer.values) if answer else None


def test_values_age_one_by_one() -> None:
    pushed = PushedValues(max_age_s=30)
    pushed.take(Decoded({"a": 1.0}), 0)
    pushed.take(Decoded({"b": 2.0}), 20)
    assert said(pushed, 30) == {"a": 1.0, "b": 2.0}
    later = pushed.answer(31)
    assert later
    assert (dict(later.values), later.quality) == ({"a": None, "b": 2.0}, Quality.PARTIAL)
    assert said(pushed, 51) is None


def test_a_none_is_something_that_was_said() -> None:
    pushed = PushedValues(max_age_s=30)
    assert pushed.take(Decoded({"a": None}), 0)
    assert said(pushed, 1) == {"a": None}
    assert not pushed.take(Decoded({}), 1)


def test_an_assembly_is_shown_when_it_is_over() -> None:
    pushed = PushedValues(max_age_s=30, assembly_s=2)
    pushed.take(Decoded({"a": 1.0, "b": 1.0}), 0)
    assert said(pushed, 1) is None
    assert said(pushed, 2) == {"a": 1.0, "b": 1.0}
    pushed.take(Decoded({"a": 2.0}), 10)
    assert said(pushed, 11) == {"a": 1.0, "b": 1.0}, "half of the new moment is not mixed with half of the old"
    pushed.take(Decoded({"b": 2.0}), 11.5)
    assert said(pushed, 12) == {"a": 2.0, "b": 2.0}
    pushed.take(Decoded({"a": 3.0}), 20)
    pushed.take(Decoded({"a": 4.0}), 23)
    assert said(pushed, 23) == {"a": 3.0, "b": 2.0}


def test_what_a_partial_message_lacks_is_as_new_as_the_message() -> None:
    pushed = PushedValues(max_age_s=30)
    both = frozenset({"a", "b"})
    pushed.take(Decoded({"a": 1.0, "b": 1.0}, overlay=both), 0)
    assert pushed.take(Decoded({"a": 2.0}, overlay=both), 25)
    assert said(pushed, 50) == {"a": 2.0, "b": 1.0}
    pushed.forget_unchanged()
    assert said(pushed, 50) is None
    assert not pushed.take(Decoded({}, overlay=both), 51), "what is not known cannot be unchanged"


@pytest.mark.parametrize(("overrules", "shown"), [(False, {"a": 2.0}), (True, None)])
def test_who_speaks_is_there_unless_a_bridge_speaks_for_it(overrules: bool, shown: dict[str, Value] | None) -> None:
    pushed = PushedValues(max_age_s=30)
    pushed.take(Decoded({"a": 1.0}), 0)
    pushed.announce("lwt", is_online=False, overrules=overrules)
    assert said(pushed, 1) is None
    assert pushed.absence == "the device is announced as offline (lwt)"
    pushed.take(Decoded({"a": 2.0}), 1)
    assert said(pushed, 1) == shown
    pushed.announce("lwt", is_online=True, overrules=overrules)
    assert said(pushed, 1) == {"a": 2.0}
    assert pushed.absence is None


def test_two_that_speak_where_a_name_was_left_open() -> None:
    pushed = PushedValues(max_age_s=30)
    pushed.take(Decoded({"a": 1.0}, captures={"instance": "1"}), 0)
    assert said(pushed, 0) == {"a": 1.0}
    pushed.take(Decoded({"a": 2.0}, captures={"instance": "2"}), 10)
    assert said(pushed, 10) is None
    assert pushed.ambiguity(10) == "several devices speak: 1, 2; say which one in connection.instance"
    pushed.take(Decoded({"a": 2.0}, captures={"instance": "2"}), 31)
    assert pushed.ambiguity(31) is None, "the first is silent: it was replaced"
    assert said(pushed, 31) == {"a": 2.0}


def test_whoever_invents_topics_fills_no_memory() -> None:
    pushed = PushedValues(max_age_s=30)
    for number in range(1000):
        pushed.take(Decoded({"a": 1.0}, captures={"instance": f"{number:03}"}), 0)
    assert pushed.ambiguity(0) == (
        "several devices speak: 000, 001, 002, 003, 004; say which one in connection.instance"
    )
    pushed.take(Decoded({"a": 2.0}, captures={"instance": "new"}), 40)
    assert pushed.ambiguity(40) is None
    assert said(pushed, 40) == {"a": 2.0}
