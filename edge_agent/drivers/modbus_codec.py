"""Words of a device -> values of the catalogue, and back. Pure.

Scaling is exact: a counter of 1234 tenths is 123.4, not 123.40000000000001.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from edge_agent.errors import EdgeError
from edge_agent.profiles.model import Derived, RegisterType, Row, WordOrder
from shared.enums import OperatingState
from shared.readings import Value

_WORD_BITS = 16


class EncodingError(EdgeError):
    """A value does not fit into a row's registers."""


def decode(row: Row, words: Sequence[int], *, order: WordOrder, is_negative: bool = False) -> Value:
    """The value of a row, in the metric's unit; None where the device says "not available".

    Args:
        row: what the words mean.
        words: unsigned 16-bit words in the row's order of addresses.
        order: of the words, see `Profile.order_of`.
        is_negative: what the row's `sign_from` says.
    """
    if row.type is RegisterType.STRING:
        return text_of(words)
    raw = _raw_of_words(row, words, order=order)
    if _is_missing(row, raw):
        return None
    if row.code_prefix is not None:
        return _codes(raw, row)
    if row.states:
        return row.states.get(_integer(raw, row.type), OperatingState.UNKNOWN).value
    # Newer firmware may sign what older firmware gave as a magnitude: where a register gives the sign, the number's own does not count.
    is_magnitude = row.sign_from is not None
    if row.type is RegisterType.F32:
        single = shortest_float32(raw)
        if single is None:
            return None
        value = float(((abs(single) if is_magnitude else single) * row.scale + row.shift) * row.factor)
    else:
        integer = _integer(raw, row.type)
        slope, base, divisor = row.line
        value = ((abs(integer) if is_magnitude else integer) * slope + base) / divisor
    return (-value if is_negative else value) + 0.0  # + 0.0: a negated zero is a zero


def encode(row: Row, value: Value, *, order: WordOrder) -> tuple[int, ...]:
    """The words that decode to a value, to the row's resolution; in the row's order of addresses.

    Raises:
        EncodingError: if the value does not fit, or is None in a row that has no word for "not available".
    """
    count = len(row.words)
    if row.type is RegisterType.STRING:
        return _words_of_text(str(value or ""), count=count)
    raw = _raw(row, value) << (8 if row.type is RegisterType.U8_HIGH else 0)
    if not 0 <= raw < 1 << (_WORD_BITS * count):
        raise EncodingError(f"{row.key}: {value!r} does not fit into {row.type.value} at {row.first}")
    words = tuple((raw >> (_WORD_BITS * position)) & 0xFFFF for position in range(count))
    return words if order is WordOrder.LOW_FIRST else words[::-1]


def is_in_range(row: Row, value: Value, *, rated_kw: float | None = None) -> bool:
    """Whether a number lies in the row's sane ranges; True where there is no range or no number.

    Args:
        row: with `range` in the kept unit and `range_of_rated` in parts of the rated power.
        value: as decoded.
        rated_kw: of the device; None where the plan does not say it, and then only `range` counts.
    """
    if not isinstance(value, float):
        return True
    if row.range is not None and not row.range[0] <= value <= row.range[1]:
        return False
    if row.range_of_rated is None or rated_kw is None:
        return True
    low, high = row.range_of_rated
    return low * rated_kw <= value <= high * rated_kw


def compute(derived: Derived, values: Mapping[str, Value]) -> float | None:
    """A derived value without binary residue (0.1 + 0.2 is 0.3); None as soon as one of the values is no number.

    Args:
        derived: what to compute.
        values: of the poll, terms included. A key that is absent is no part of the device and is left out; nothing is computed from
            nothing.
    """
    given = [key for key in derived.terms if key in values]
    numbers = {key: Decimal(repr(values[key])) for key in given if isinstance(values[key], float)}
    if not given or len(numbers) < len(set(given)) or (derived.product and len(given) < len(derived.product)):
        return None
    if derived.product:
        result = Decimal(1)
        for key in derived.product:
            result *= numbers[key]
    else:
        result = sum((numbers[key] for key in derived.sum if key in numbers), Decimal(0))
        result -= sum((numbers[key] for key in derived.minus if key in numbers), Decimal(0))
    result *= derived.scale
    if (derived.clip == "positive" and result < 0) or (derived.clip == "negative" and result > 0):
        result = Decimal(0)
    return float(result) + 0.0


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


def _raw_of_words(row: Row, words: Sequence[int], *, order: WordOrder) -> int:
    raw = words[0] if len(words) == 1 else _unsigned(words, order=order)
    if row.type is RegisterType.U8_HIGH:
        return raw >> 8
    return raw & 0xFF if row.type is RegisterType.U8_LOW else raw


def _is_missing(row: Row, raw: int) -> bool:
    return raw in row.missing or (row.max_raw is not None and _integer(raw, row.type) > row.max_raw)


def _integer(raw: int, kind: RegisterType) -> int:
    if not kind.is_signed:
        return raw
    bits = _WORD_BITS * (kind.fixed_words or 1)
    if kind is RegisterType.S32_OR_S16:
        high, low = raw >> _WORD_BITS, raw & 0xFFFF
        if high == 0xFFFF or (high == 0 and low >> (_WORD_BITS - 1)):
            raw, bits = low, _WORD_BITS
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def text_of(words: Sequence[int]) -> str | None:
    """The text in registers, two characters each, up to the first zero byte; None for no text."""
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return data.split(b"\0", 1)[0].decode("latin-1").strip() or None


def _words_of_text(text: str, *, count: int) -> tuple[int, ...]:
    data = text.encode("latin-1", errors="replace")[: 2 * count].ljust(2 * count, b"\0")
    return tuple(int.from_bytes(data[2 * i : 2 * i + 2], "big") for i in range(count))


def _codes(raw: int, row: Row) -> str:
    """Fault codes, separated by spaces: of the bits that are set, or the number itself; an empty text is "no fault"."""
    if row.type is not RegisterType.BITFIELD:
        return f"{row.code_prefix}{raw}" if raw else ""
    bits = (bit for bit in range(_WORD_BITS * len(row.words)) if raw >> bit & 1)
    return " ".join(f"{row.code_prefix}{bit + row.first_code}" for bit in bits)


def _raw(row: Row, value: Value) -> int:
    """A value as one unsigned number, which may lie outside the row's words."""
    if value is None:
        if row.zero_is_missing or row.type.zero_is_missing:
            return 0
        if not row.sentinels:
            raise EncodingError(f"{row.key}: the row at {row.first} has no word for 'not available'")
        return row.sentinels[0]
    if row.code_prefix is not None:
        return _raw_of_codes(row, str(value))
    if row.states:
        return _raw_of_state(row, str(value))
    if isinstance(value, str):
        raise EncodingError(f"{row.key}: {value!r} is a word, the row at {row.first} wants a number")
    number = (Decimal(repr(value)) / row.factor - row.shift) / row.scale
    if row.type is RegisterType.F32:
        return int.from_bytes(struct.pack(">f", float(number)), "big")
    return _wrapped(row, int(number.to_integral_value(rounding=ROUND_HALF_EVEN)))


def _wrapped(row: Row, integer: int) -> int:
    bits = 8 if row.type.is_byte else _WORD_BITS * len(row.words)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if row.type.is_signed else (0, 1 << bits)
    if not low <= integer < high:
        raise EncodingError(f"{row.key}: raw {integer} does not fit into {row.type.value} at {row.first}")
    return integer % (1 << bits)


def _raw_of_codes(row: Row, value: str) -> int:
    raw = 0
    for code in value.split():
        number = code.removeprefix(row.code_prefix or "")
        if number == code or not number.isdigit() or int(number) < row.first_code:
            raise EncodingError(f"{row.key}: {code!r} is no code like {row.code_prefix}{row.first_code}")
        raw |= 1 << (int(number) - row.first_code) if row.type is RegisterType.BITFIELD else int(number)
    return raw


def _raw_of_state(row: Row, value: str) -> int:
    for code, state in row.states.items():
        if state.value == value:
            return code
    raise EncodingError(f"{row.key}: no code means {value!r}; known are {', '.join(sorted(set(row.states.values())))}")
