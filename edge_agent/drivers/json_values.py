"""What stands in a JSON document -> values of the catalogue, by a map. Pure.

A null, an empty text or a word such as "unavailable" is a value that is not available: None. What is not there at all is `ABSENT`, and the
caller says what that means.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException, InvalidOperation
from typing import Any

from edge_agent.errors import EdgeError
from edge_agent.profiles.mapped import PATH_STEP, PLACEHOLDER, MappedValue, Stamp, StampFormat
from edge_agent.profiles.units import UnitError
from shared.enums import DeviceType, OperatingState
from shared.readings import Value

ABSENT = object()
"""Nothing stands there."""

OPEN = "*"
"""First character of a step that takes what there is, if that is one; the connection's name for it follows."""

_NOT_AVAILABLE = frozenset(
    {"", "nan", "null", "none", "unavailable", "unknown", "inf", "-inf", "infinity", "-infinity"}
)
_UNIT_WORDS = {"°C": "degC", "C": "degC", "%": "percent"}


class PayloadError(EdgeError):
    """A message is not what its map says; the text names where it came from, what it holds and what was expected."""


class StaleError(PayloadError):
    """The values are not the present by their own stamp."""


class TemplateError(EdgeError):
    """The connection lacks a name that a map needs, or has one that cannot stand there."""


@dataclass(frozen=True, slots=True)
class BoundValue:
    """A value of a map with a connection's names filled in; paths are walked step by step."""

    spec: MappedValue
    path: tuple[str, ...]
    minus: tuple[str, ...]
    unit_path: tuple[str, ...]
    condition: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BoundStamp:
    """A stamp with a connection's names filled in."""

    spec: Stamp
    path: tuple[str, ...]
    now_path: tuple[str, ...]


def fill(template: str, names: Mapping[str, object], *, open_as: str, forbidden: str) -> str:
    """Fill the names of a template.

    Args:
        template: text with names in braces.
        names: what the connection gives.
        open_as: stands for a name that may be left open and was; `{}` in it is the name.
        forbidden: characters that no name's text may hold.

    Raises:
        TemplateError: if a name is missing, empty or would change what the template means.
    """
    filled = template
    for name, is_open in PLACEHOLDER.findall(template):
        given = names.get(name)
        value = "" if given is None else str(given).strip("/")
        if not value and is_open:
            value = open_as.format(name)
        elif not value or any(sign in value for sign in forbidden):
            raise TemplateError(
                f"{name} is {given!r}; {template!r} needs a text without {' and '.join(forbidden.replace(chr(0), ''))}"
            )
        filled = filled.replace(f"{{{name}{is_open}}}", value)
    return filled


def with_defaults(names: Mapping[str, object], defaults: Mapping[str, str]) -> dict[str, object]:
    """What a connection gives, and a map's defaults for what it does not or leaves empty."""
    return {**names, **{name: names.get(name) or text for name, text in defaults.items()}}


def nothing_to_read(open_names: Iterable[str]) -> str:
    """The text of an error: every name was left open that would say what to read."""
    return f"names nothing to read; give at least one of {', '.join(sorted(open_names))}"


def steps_of(template: str, names: Mapping[str, object]) -> tuple[str, ...]:
    """Fill the names of a path and part it.

    Raises:
        TemplateError: see `fill`.
    """
    return tuple(PATH_STEP.findall(fill(template, names, open_as=OPEN + "{}", forbidden="[]\0" + OPEN)))


def bind_values(
    values: Iterable[MappedValue], names: Mapping[str, object], *, device_type: DeviceType | None
) -> tuple[BoundValue, ...]:
    """Fill the names of the values that a device type has; a value whose whole path was left open is not asked for.

    Raises:
        TemplateError: see `fill`.
    """
    bound = []
    for value in values:
        if device_type is not None and value.read_for and device_type not in value.read_for:
            continue
        path = steps_of(value.path, names)
        if len(path) == 1 and path[0].startswith(OPEN):
            continue
        bound.append(
            BoundValue(
                spec=value,
                path=path,
                minus=steps_of(value.minus, names),
                unit_path=steps_of(value.unit_path, names),
                condition=steps_of(value.only_if.path, names) if value.only_if else (),
            )
        )
    return tuple(bound)


def bind_stamp(stamp: Stamp | None, names: Mapping[str, object]) -> BoundStamp | None:
    """Fill the names of a stamp; raises as `fill` does."""
    return None if stamp is None else BoundStamp(stamp, steps_of(stamp.path, names), steps_of(stamp.now_path, names))


def document_of(payload: bytes | str, where: str) -> Any:  # noqa: ANN401 - JSON may hold anything
    """The object or array that a payload is; numbers with a point are exact decimals.

    Raises:
        PayloadError: if it is neither.
    """
    try:
        document = json.loads(payload, parse_float=Decimal)
    except ValueError as error:
        raise PayloadError(f"{where}: {shown(payload)} is no JSON: {error}") from error
    except RecursionError as error:
        raise PayloadError(f"{where}: the JSON is nested too deeply") from error
    if not isinstance(document, dict | list):
        raise PayloadError(f"{where}: {shown(payload)} is JSON, but neither an object nor an array")
    return document


def at(document: Any, steps: Iterable[str], where: str) -> Any:  # noqa: ANN401 - JSON may hold anything
    """What stands at a path, or `ABSENT`.

    Raises:
        PayloadError: if several things stand where there should be one.
    """
    node = document
    for step in steps:
        if step.startswith("["):
            node = _only(_picked(node, step[1:-1]), step, where)
        elif step.startswith(OPEN):
            node = _only(_children(node), step, where)
        elif isinstance(node, dict):
            node = node.get(step, ABSENT)
        elif isinstance(node, list):
            node = node[int(step)] if step.isdecimal() and int(step) < len(node) else ABSENT
        elif step != "0":
            return ABSENT
        if node is ABSENT:
            return ABSENT
    return node


def _children(node: Any) -> list[Any]:  # noqa: ANN401 - JSON may hold anything
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _picked(node: Any, tests: str) -> list[Any]:  # noqa: ANN401 - JSON may hold anything
    wanted = [test.split("=", 1) for test in tests.split("&")]
    return [
        child
        for child in _children(node)
        if isinstance(child, dict)
        and all(key in child and (word.startswith(OPEN) or str(child[key]) == word) for key, word in wanted)
    ]


def _only(found: list[Any], step: str, where: str) -> Any:  # noqa: ANN401 - JSON may hold anything
    if len(found) > 1:
        name = step.rpartition(OPEN)[2].rstrip("]") if OPEN in step else ""
        way_out = f"say which in connection.{name}" if name else "the map has to say more"
        raise PayloadError(f"{where}: {len(found)} things stand where one is wanted ({step}); {way_out}")
    return found[0] if found else ABSENT


def value_at(bound: BoundValue, document: Any, where: str, *, is_partial: bool = False) -> Any:  # noqa: ANN401 - a Value or ABSENT
    """One value of a document, or `ABSENT` if the document does not carry it.

    With `is_partial` the document holds only what has changed; then a missing `minus` is not a zero.

    Raises:
        PayloadError: if something stands there that is no such value.
    """
    raw = at(document, bound.path, where)
    condition = bound.spec.only_if
    if raw is ABSENT or (condition and not condition.holds(at(document, bound.condition, where))):
        return ABSENT
    unit = at(document, bound.unit_path, where) if bound.unit_path else None
    if bound.minus and number_of(raw) is not None:
        part = at(document, bound.minus, where)
        if part is ABSENT and is_partial:
            return ABSENT
        raw = _less(raw, part)
    return value_of(bound.spec, raw, where, unit=unit if isinstance(unit, str) else None)


def _less(raw: object, part: object) -> Decimal | None:
    if part is ABSENT:
        return number_of(raw)
    whole, less = number_of(raw), number_of(part)
    return None if whole is None or less is None else whole - less


def value_of(spec: MappedValue, raw: object, where: str, *, unit: str | None = None) -> Value:
    """What a raw thing means, in `unit` where the message names one.

    Raises:
        PayloadError: if it is no such value.
    """
    if raw is None or (isinstance(raw, str) and raw.strip().lower() in _NOT_AVAILABLE and spec.code_prefix is None):
        return None
    if spec.states:
        return spec.states.get(_word(raw), OperatingState.UNKNOWN).value
    if spec.code_prefix is not None:
        return "" if _word(raw) in {"0", "0.0", ""} else f"{spec.code_prefix}{_word(raw)}"
    number = number_of(raw)
    if number is None:
        raise PayloadError(f"{where}: {spec.metric} at {spec.path or 'the payload'} is {raw!r}, expected a number")
    if spec.zero_is_missing and number == 0:
        return None
    try:
        factor = spec.factor(_UNIT_WORDS.get(unit, unit) if unit else None)
        converted = float((number * spec.scale + spec.offset) * factor) + 0.0  # + 0.0: a negated zero is a zero
    except UnitError as error:
        raise PayloadError(f"{where}: {spec.metric} comes in {unit!r}: {error}") from error
    except (DecimalException, ValueError) as error:
        raise PayloadError(f"{where}: {spec.metric} is {raw!r}, too large for a number") from error
    return converted if math.isfinite(converted) else None


def _word(raw: object) -> str:
    return str(raw).strip().lower() if isinstance(raw, bool) else str(raw).strip()


def number_of(raw: object) -> Decimal | None:
    """A number, also as text; None for anything else."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        return None
    try:
        return Decimal(raw.strip() if isinstance(raw, str) else raw)
    except InvalidOperation:
        return None


def check_age(stamp: BoundStamp | None, document: Any, where: str, *, now: datetime) -> None:  # noqa: ANN401 - JSON
    """Whether a document's values are the present.

    `now` is the aware UTC time of the agent, for documents that do not say the device's.

    Raises:
        StaleError: if they are too old.
        PayloadError: if the stamp is none.
    """
    if stamp is None:
        return
    raw = at(document, stamp.path, where)
    if raw is ABSENT or raw is None:
        return
    if stamp.spec.format is StampFormat.AGE_S:
        age = _finite(number_of(raw))
    else:
        present = at(document, stamp.now_path, where) if stamp.now_path else ABSENT
        moment = now if present is ABSENT or present is None else _moment(present, stamp.spec.now_format, where)
        age = (moment - _moment(raw, stamp.spec.format, where)).total_seconds()
    if age is None:
        raise PayloadError(f"{where}: the age is {raw!r}, expected seconds")
    if age > stamp.spec.max_age_s:
        raise StaleError(
            f"{where}: the values are {age:.0f} s old by their own stamp, more than {stamp.spec.max_age_s:g} s; "
            "the device is silent, or its clock and the agent's differ"
        )


def _finite(number: Decimal | None) -> float | None:
    return float(number) if number is not None and number.is_finite() else None


def _moment(raw: object, stamp_format: StampFormat, where: str) -> datetime:
    try:
        if stamp_format is StampFormat.ISO:
            moment = datetime.fromisoformat(str(raw))
            if moment.tzinfo is None:
                raise PayloadError(f"{where}: the time {raw!r} has no offset, so nobody knows how old it is")
            return moment
        seconds = _finite(number_of(raw))
        if seconds is None:
            raise PayloadError(f"{where}: the time is {raw!r}, expected a number")
        return datetime.fromtimestamp(seconds / (1000 if stamp_format is StampFormat.UNIX_MS else 1), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise PayloadError(f"{where}: {raw!r} is no time: {error}") from error


def shown(payload: bytes | str, *, limit: int = 60) -> str:
    """The beginning of a payload, for an error's text."""
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
