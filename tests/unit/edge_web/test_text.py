"""Words: nothing missing in either language, and the right language picked."""

import re
from string import Formatter

import pytest

from edge_agent.web.text import TEXTS, Language, pick_language, text
from edge_agent.web.view import SyncState
from shared.enums import AlertSeverity, DeviceType, OperatingState, TimeQuality
from shared.metrics import METRICS

ARABIC = re.compile(r"[؀-ۿ]")


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_say_the_same_things(key: str) -> None:
    english, urdu = TEXTS[key]
    assert english
    assert not ARABIC.search(english)
    assert ARABIC.search(urdu)
    assert fields(english) == fields(urdu)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("m_", list(METRICS)),
        ("state_", [state.value for state in OperatingState]),
        ("type_", [kind.value for kind in DeviceType]),
        ("severity_", [severity.value for severity in AlertSeverity]),
        ("sync_", [state.value for state in SyncState]),
        ("time_", [quality.value for quality in TimeQuality]),
    ],
)
def test_every_word_of_the_product_has_a_text(prefix: str, words: list[str]) -> None:
    assert [word for word in words if prefix + word not in TEXTS] == []


def test_parts_keep_their_own_direction_in_urdu() -> None:
    assert text(Language.ENGLISH, "since", moment="12:11") == "since 12:11"
    assert text(Language.URDU, "since", moment="12:11") == "\u206812:11\u2069 سے"


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        ("ur", "en", Language.URDU),
        ("de", "ur", Language.URDU),
        (None, "", Language.ENGLISH),
        (None, "ur-PK", Language.URDU),
        (None, "de, fr", Language.ENGLISH),
        (None, "en;q=0.5, ur;q=0.9", Language.URDU),
        (None, "ur;q=x, en;q=0.1", Language.ENGLISH),
        (None, "en, ur", Language.ENGLISH),
    ],
)
def test_language_is_the_one_asked_for_or_preferred(asked: str | None, accepted: str, expected: Language) -> None:
    assert pick_language(asked, accepted=accepted) is expected
