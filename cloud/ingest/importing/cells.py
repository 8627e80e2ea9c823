"""What stands in a cell, as a value of a metric."""

import math
import re
from collections.abc import Callable
from decimal import Decimal

from cloud.ingest.importing.errors import UnreadableError
from cloud.ingest.importing.mapping import FileForm, ValueForm
from shared.enums import OperatingState
from shared.readings import Value

CellReader = Callable[[str], Value]
"""Text of a cell -> value in the metric's unit, None for a missing one; raises `UnreadableError`."""


def cell_reader(value: ValueForm, file: FileForm) -> CellReader:
    """How the cells of one column are read."""
    missing = frozenset(word.strip().casefold() for word in file.missing)
    read = _word_reader(value) if value.is_text else _number_reader(value, file)

    def read_cell(text: str) -> Value:
        return None if text.casefold() in missing else read(text)

    return read_cell


def _word_reader(value: ValueForm) -> CellReader:
    words = dict(value.words)
    if value.metric == "operating_state":
        words = {state.value: state.value for state in OperatingState} | words

    def read_word(text: str) -> Value:
        if value.metric != "operating_state":
            return words.get(text, text)
        word = words.get(text)
        if word is None:
            raise UnreadableError(f"{value.source!r} is {text!r}: add it to the words of this value")
        return word

    return read_word


def _number_reader(value: ValueForm, file: FileForm) -> CellReader:
    number_form, point = _number_form(file), file.decimal
    conversion, scale, offset, sign = value.conversion, value.scale, value.offset, value.sign
    sentinels = frozenset(value.sentinels)
    is_plain = conversion.is_identity and scale == sign == 1 and offset == 0 and not sentinels

    def read_number(text: str) -> Value:
        if not number_form.fullmatch(text):
            raise UnreadableError(f"{value.source!r} is {text!r}, which is no number as this file writes them")
        plain = (text.replace(file.thousands, "") if file.thousands else text).replace(point, ".")
        if is_plain:
            number = float(plain)
        else:
            exact = Decimal(plain)
            if exact in sentinels:
                return None
            number = float(conversion.apply(sign * (exact * scale + offset)))
        if not math.isfinite(number):
            raise UnreadableError(f"{value.source!r} is {text!r}, which is beyond every number")
        return number + 0.0  # no negative zero

    return read_number


def _number_form(file: FileForm) -> re.Pattern[str]:
    """Thousands only where they belong: with "." between thousands, "1.5" is no number rather than fifteen."""
    grouped = rf"[0-9]{{1,3}}({re.escape(file.thousands)}[0-9]{{3}})+|" if file.thousands else ""
    point = re.escape(file.decimal)
    return re.compile(
        rf"[+-]?(({grouped}[0-9]{{1,40}})({point}[0-9]{{0,40}})?|{point}[0-9]{{1,40}})([eE][+-]?[0-9]{{1,3}})?"
    )
