"""Words of a device -> values of the catalogue, and back. Pure.

Scaling is decimal: a counter of 1234 tenths is 123.4, not 123.40000000000001.
"""

import math
import struct
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from edge_agent.errors import EdgeError
from edge_agent.profiles.model import RegisterType, Row, WordOrder
from shared.enums import OperatingState
from shared.readings import Value

_WORD_BITS = 16


class EncodingError(EdgeError):
    """A value does not fit into a row's registers."""


def decode(row: Row, words: Sequence[int], *, order: WordOrder) -> Value:
    """The value of a row, in the metric's unit; None where the device says "not available".

    Args:
        row: what the words mean.
        words: unsigned 16-bit words in the row's order of addresses.
        order: of the words, see `Profile.order_of`.
    """
    if row.type is RegisterType.STRING:
        return _text(words)
    raw = _unsigned(words, order=order)
    if raw in row.sentinels:
        return None
    if row.type is RegisterType.BITFIELD:
        return _codes(raw, row)
    if row.states:
        return row.states.get(_integer(raw, row.type), OperatingState.UNKNOWN).value
    number = shortest_float32(raw) if row.type is RegisterType.F32 else Decimal(_integer(raw, row.type))
    if number is None:
        return None
    return float((number * row.scale + row.offset) * row.factor) + 0.0  # + 0.0: a negated zero is a zero


def encode(row: Row, value: Value, *, order: WordOrder) -> tuple[int, ...]:
    """The words that decode to a value, to the row's resolution; in the row's order of addresses.

    Raises:
        EncodingError: if the value does not fit, or is None in a row that has no word for "not available".
    """
    count = len(row.words)
    if row.type is RegisterType.STRING:
        return _words_of_text(str(value or ""), count=count)
    raw = _raw(row, value)
    if not 0 <= raw < 1 << (_WORD_BITS * count):
        raise EncodingError(f"{row.metric}: {value!r} does not fit into {row.type.value} at {row.first}")
    words = tuple((raw >> (_WORD_BITS * position)) & 0xFFFF for position in range(count))
    return words if order is WordOrder.LOW_FIRST else words[::-1]


def is_in_range(row: Row, value: Value) -> bool:
    """Whether a number lies in the row's sane range; True where there is no range or no number."""
    if row.range is None or not isinstance(value, float):
        return True
    low, high = row.range
    return low <= value <= high


def add_up(values: Sequence[Value]) -> float | None:
    """Sum of numbers without binary residue (0.1 + 0.2 is 0.3); None as soon as one is not a number."""
    numbers = [value for value in values if isinstance(value, float)]
    return float(sum(Decimal(repr(number)) for number in numbers)) if len(numbers) == len(values) else None


def shortest_float32(raw: int) -> Decimal | None:
    """The shortest decimal number that is this IEEE 754 single (230.1, not 230.10000610351562); None for NaN and infinity."""
    (number,) = struct.unpack(">f", raw.to_bytes(4, "big"))
    if not math.isfinite(number):
        return None
    for digits in range(6, 9):
        text = f"{number:.{digits}g}"
        try:
            if struct.pack(">f", float(text)) == raw.to_bytes(4, "big"):
                return Decimal(text)
        except OverflowError:
            continue  # rounded up beyond the largest single
    return Decimal(f"{number:.9g}")


def _unsigned(words: Sequence[int], *, order: WordOrder) -> int:
    raw = 0
    for word in words if order is WordOrder.HIGH_FIRST else reversed(words):
        raw = raw << _WORD_BITS | word
    return raw


def _integer(raw: int, kind: RegisterType) -> int:
    if not kind.is_signed:
        return raw
    bits = _WORD_BITS * (kind.fixed_words or 1)
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _text(words: Sequence[int]) -> str | None:
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return data.split(b"\0", 1)[0].decode("latin-1").strip() or None


def _words_of_text(text: str, *, count: int) -> tuple[int, ...]:
    data = text.encode("latin-1", errors="replace")[: 2 * count].ljust(2 * count, b"\0")
    return tuple(int.from_bytes(data[2 * i : 2 * i + 2], "big") for i in range(count))


def _codes(raw: int, row: Row) -> str:
    """Fault codes of the bits that are set, separated by spaces; an empty text is "no fault"."""
    bits = (bit for bit in range(_WORD_BITS * len(row.words)) if raw >> bit & 1)
    return " ".join(f"{row.code_prefix}{bit + row.first_code}" for bit in bits)


def _raw(row: Row, value: Value) -> int:
    """A value as one unsigned number, which may lie outside the row's words."""
    if value is None:
        if not row.sentinels:
            raise EncodingError(f"{row.metric}: the row at {row.first} has no word for 'not available'")
        return row.sentinels[0]
    if row.type is RegisterType.BITFIELD:
        return _raw_of_codes(row, str(value))
    if row.states:
        return _raw_of_state(row, str(value))
    if isinstance(value, str):
        raise EncodingError(f"{row.metric}: {value!r} is a word, the row at {row.first} wants a number")
    number = (Decimal(repr(value)) / row.factor - row.offset) / row.scale
    if row.type is RegisterType.F32:
        return int.from_bytes(struct.pack(">f", float(number)), "big")
    return _wrapped(row, int(number.to_integral_value(rounding=ROUND_HALF_EVEN)))


def _wrapped(row: Row, integer: int) -> int:
    bits = _WORD_BITS * len(row.words)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if row.type.is_signed else (0, 1 << bits)
    if not low <= integer < high:
        raise EncodingError(f"{row.metric}: raw {integer} does not fit into {row.type.value} at {row.first}")
    return integer % (1 << bits)


def _raw_of_codes(row: Row, value: str) -> int:
    raw = 0
    for code in value.split():
        number = code.removeprefix(row.code_prefix or "")
        if number == code or not number.isdigit() or int(number) < row.first_code:
            raise EncodingError(f"{row.metric}: {code!r} is no code like {row.code_prefix}{row.first_code}")
        raw |= 1 << (int(number) - row.first_code)
    return raw


def _raw_of_state(row: Row, value: str) -> int:
    for code, state in row.states.items():
        if state.value == value:
            return code
    raise EncodingError(
        f"{row.metric}: no code means {value!r}; known are {', '.join(sorted(set(row.states.values())))}"
    )
