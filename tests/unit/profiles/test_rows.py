"""Conditions and signs: what they say, and which sayings exclude each other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.profiles.model import Row, SignFrom, When

WORDS = st.integers(0, 0xFFFF)


@st.composite
def conditions(draw: st.DrawFn) -> When:
    match draw(st.sampled_from(["list", "bit", "bounds"])):
        case "list":
            said: dict[str, object] = {"any_of": draw(st.lists(WORDS, min_size=1, max_size=4))}
        case "bit":
            said = {"bit": draw(st.integers(0, 15)), "is": draw(st.sampled_from([0, 1]))}
        case _:
            low = draw(WORDS)
            said = {"at_least": low, "at_most": draw(st.integers(low, min(0xFFFF, low + 40)))}
            if draw(st.booleans()):
                del said[draw(st.sampled_from(["at_least", "at_most"]))]
    return When.model_validate({"address": 1} | said)


@given(one=conditions(), other=conditions())
def test_two_conditions_exclude_each_other_if_no_word_fits_both(one: When, other: When) -> None:
    excluded = not any(one.holds(word) and other.holds(word) for word in range(0x10000))
    assert one.excludes(other) == other.excludes(one) == excluded


@given(one=conditions(), other=conditions())
def test_different_registers_exclude_nothing(one: When, other: When) -> None:
    assert not one.excludes(other.model_copy(update={"address": 2}))


@given(one=conditions(), other=conditions())
def test_of_two_rows_only_one_may_apply_where_the_register_is_refused(one: When, other: When) -> None:
    open_one, open_other = (each.model_copy(update={"or_unknown": True}) for each in (one, other))
    assert not open_one.excludes(open_other)
    assert open_one.excludes(other) == one.excludes(open_other) == one.excludes(other)


@pytest.mark.parametrize(
    ("said", "holds", "fails"),
    [
        ({"any_of": [1, 3]}, [1, 3], [0, 2]),
        ({"bit": 3, "is": 1}, [8, 0xFFFF], [0, 7]),
        ({"bit": 0, "is": 0}, [0, 2], [1, 3]),
        ({"at_least": 5, "at_most": 9}, [5, 9], [4, 10]),
        ({"at_least": 5}, [5, 0xFFFF], [4]),
        ({"at_most": 5}, [0, 5], [6]),
    ],
)
def test_a_condition(said: dict[str, Any], holds: list[int], fails: list[int]) -> None:
    condition = When.model_validate({"address": 1} | said)
    assert all(condition.holds(word) for word in holds)
    assert not any(condition.holds(word) for word in fails)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "exactly one of the three"),
        ({"any_of": [1], "at_least": 2}, "exactly one of the three"),
        ({"bit": 3}, "bit and is belong together"),
        ({"is": 1}, "bit and is belong together"),
        ({"at_least": 9, "at_most": 5}, "at_least = 9 is above at_most = 5"),
        ({"any_of": [70000]}, "65535"),
    ],
)
def test_a_condition_that_says_nothing_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        When.model_validate({"address": 1} | said)


@pytest.mark.parametrize(
    ("said", "negative", "positive"),
    [
        ({"bit": 0, "negative_when": 1}, [1, 3], [0, 2]),
        ({"bit": 4, "negative_when": 0}, [0], [16]),
        ({"negative_when_any_of": [0]}, [0], [1, 2]),
    ],
)
def test_a_sign(said: dict[str, Any], negative: list[int], positive: list[int]) -> None:
    sign = SignFrom.model_validate({"address": 1} | said)
    assert all(sign.is_negative(word) for word in negative)
    assert not any(sign.is_negative(word) for word in positive)


@pytest.mark.parametrize(
    "said", [{}, {"bit": 1}, {"negative_when": 1}, {"bit": 1, "negative_when": 1, "negative_when_any_of": [1]}]
)
def test_a_sign_that_says_nothing_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="negative_when"):
        SignFrom.model_validate({"address": 1} | said)


def test_one_condition_or_several() -> None:
    fields: dict[str, Any] = {"metric": "ac_power_kw", "address": 1, "type": "u16", "unit": "W", "for": ["inverter"]}
    one, two = {"address": 9, "any_of": [1]}, {"address": 8, "any_of": [1]}
    assert len(Row.model_validate(fields).when) == 0
    assert len(Row.model_validate(fields | {"when": one}).when) == 1
    both = Row.model_validate(fields | {"when": [one, two]})
    assert len(both.when) == 2
    other = Row.model_validate(fields | {"when": [{"address": 8, "any_of": [2]}]})
    assert both.excludes(other)
    assert not both.excludes(Row.model_validate(fields | {"when": one}))
