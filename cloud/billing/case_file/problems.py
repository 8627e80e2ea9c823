"""Why a case cannot be priced, and which name was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from cloud.billing.rules.errors import BillingError

_MOST_CHARS = 80


def printable(words: str) -> str:
    """On one line, with what no terminal and no answer can show replaced."""
    line = " ".join(words.split()).encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else "?" for char in line)


class CaseError(BillingError):
    """The case cannot be priced as it is written; the message names the field, its value and the way out.

    Attributes:
        field: as it stands in the case, dotted.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(printable(message))
        self.field = printable(field)


def shown(value: Any) -> str:  # noqa: ANN401 -- whatever JSON brought
    """A value as the case's writer knows it, on one short line."""
    words = f'"{value}"' if isinstance(value, str) else str(value)
    words = {"True": "true", "False": "false", "None": "null"}.get(words, words)
    line = printable(words)
    return line if len(line) <= _MOST_CHARS else f"{line[: _MOST_CHARS - 1]}…"


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """The known names that look most like this one, the likeliest first; a part of a name counts too."""
    names = list(known)
    if not name:
        return []
    close = get_close_matches(name.lower(), names, n=count, cutoff=0.5)
    within = [other for other in names if name.lower() in other or other in name.lower()]
    return list(dict.fromkeys([*close, *within]))[:count]


def listed(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The sentence about a field that the format does not have."""
    names = list(known)
    near = nearest(name, names)
    name = name or '""'
    if near:
        return f"{name} is not a field of the case; did you mean {listed(near)}?"
    return f"{name} is not a field here; known: {', '.join(sorted(names))}"
