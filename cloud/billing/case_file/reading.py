"""From a JSON text to a checked case; what is wrong is one sentence."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from cloud.billing.case_file.names import written_name
from cloud.billing.case_file.problems import CaseError, listed, nearest, shown
from cloud.billing.case_file.shape import CaseAdjustment, CaseBand, CaseFile, CaseInterval, InlineTariff, RatesOverride
from cloud.billing.schemas.tariffs import TariffRates, TariffSlab

_INSIDE: Mapping[str, type[BaseModel]] = {
    "tariff": InlineTariff,
    "rates": TariffRates,
    "slabs": TariffSlab,
    "bands": CaseBand,
    "adjustments": CaseAdjustment,
    "rates_override": RatesOverride,
    "intervals": CaseInterval,
}
_WAYS_OUT: Mapping[str, str] = {
    "decimal": 'write a plain number such as 289 or "289.5", without separators or a unit',
    "date": "write a day as 2026-06-23",
    "month": "write a month as 2026-06",
    "string": "write it as text in quotes",
    "bool": "write true or false",
    "model": "write an object in braces",
    "dict": 'write an object in braces, by month: {"2026-04": 216}',
    "tuple": "write a list in brackets",
}


_BOUNDS = {
    "greater_than_equal": ("ge", "it must be {} or more"),
    "less_than_equal": ("le", "it must be {} or less"),
    "greater_than": ("gt", "it must be more than {}"),
    "too_long": ("max_length", "at most {} entries fit in"),
    "string_too_long": ("max_length", "at most {} characters fit in"),
    "string_too_short": ("min_length", "write at least {} character"),
}
"""Kind of error -> where its limit stands, and the way out."""


def _names_of(location: Iterable[object]) -> list[str]:
    inside = [part for part in location if isinstance(part, str) and part in _INSIDE]
    model = _INSIDE[inside[-1]] if inside else CaseFile
    return sorted(set(model.model_fields) - {"tariff_name"})


def _is_day(location: tuple[Any, ...]) -> bool:
    last = str(location[-1]) if location else ""
    return last.endswith(("_start", "_end", "_date", "effective_from", "effective_to"))


def _of_value_error(error: Mapping[str, Any], location: tuple[Any, ...]) -> str:
    reason = str(error["msg"]).removeprefix("Value error, ")
    if _is_day(location):
        return _WAYS_OUT["date"]
    if "bill_month" in location or "[key]" in location:
        return _WAYS_OUT["month"]
    return _WAYS_OUT["decimal"] if reason == "not a number" else reason


def _way_out(error: Mapping[str, Any], location: tuple[Any, ...]) -> str:
    context, kind = error.get("ctx", {}), str(error["type"])
    if kind == "value_error":
        return _of_value_error(error, location)
    if kind in {"literal_error", "enum"}:
        return f"write {context['expected']}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(context[name])
    if "rates_override" in location and kind == "dict_type":
        return 'write a number, or numbers by month: {"2026-07": 2.0581}'
    return next((text for start, text in _WAYS_OUT.items() if kind.startswith(start)), str(error["msg"]))


def _sentence(error: Mapping[str, Any], document: Mapping[str, Any]) -> CaseError:
    # Parts of a location that stand for a choice between types are no fields: `function-after[...]`, `decimal`, `dict[...]`.
    types = ("function-", "dict[", "constrained-", "decimal", "bool", "str", "tagged-union")
    location = tuple(p for p in error["loc"] if not (isinstance(p, str) and p.startswith(types)))
    if error["type"] == "case":
        return CaseError(".".join(map(str, location)), str(error["ctx"]["reason"]))
    first = written_name(str(location[0]), document) if location else "the case"
    parts = [str(part) for part in location[1:] if part != "[key]"]
    field = ".".join([first, *parts])
    if error["type"] == "missing":
        return CaseError(field, f"{field} is missing; give it")
    if error["type"] == "extra_forbidden":
        known = _names_of(location[:-1])
        near = nearest(str(location[-1]), known)
        hint = f"did you mean {listed(near)}?" if near else f"known there: {', '.join(known)}"
        return CaseError(field, f"{field} is not a field of the case; {hint}")
    return CaseError(field, f"{field} is {shown(error.get('input'))}; {_way_out(error, location)}")


def case_error(error: ValidationError, document: Mapping[str, Any]) -> CaseError:
    """The first thing that is wrong, as one sentence in the document's own names."""
    return _sentence(error.errors(include_url=False)[0], document)


def read_case(document: Mapping[str, Any]) -> CaseFile:
    """Check a case.

    Args:
        document: the JSON object.

    Raises:
        CaseError: names the field, its value and the way out.
    """
    try:
        return CaseFile.model_validate(dict(document))
    except ValidationError as error:
        raise case_error(error, document) from error


def _refused(constant: str) -> None:
    raise CaseError("the case", f"{constant} is not a number of JSON; write a finite number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise CaseError(
                name, f"{name} stands twice in the same object ({shown(result[name])}, {shown(value)}); keep one"
            )
        result[name] = value
    return result


def parse_document(text: str, *, name: str) -> dict[str, Any]:
    """Read the JSON text of a case; numbers keep the digits they are written with.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        CaseError: says where the text stops being JSON, or what it is instead of an object.
    """
    try:
        document = json.loads(
            text.removeprefix("\ufeff"), parse_float=Decimal, parse_constant=_refused, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        words = f"{name} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}; `solarhub bill --example` prints a case"
        raise CaseError(name, words) from error
    if not isinstance(document, dict):
        raise CaseError(
            name, f"{name} holds {shown(document)}; a case is one JSON object, see `solarhub bill --example`"
        )
    return document
