"""Tariff data as TOML: the standard library reads it and does not write it."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from cloud.billing.rules.errors import BillingError


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | date):
        return str(value)
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for the one control character that JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(entry)}" for name, entry in value.items()) + " }"
    raise BillingError(f"{value!r} cannot be written as TOML; give text, whole numbers, dates, lists and objects")


def _list(values: list[Any]) -> str:
    if values and all(isinstance(entry, list) for entry in values):
        return "[\n" + "".join(f"  {_value(row)},\n" for row in values) + "]"
    return "[" + ", ".join(_value(entry) for entry in values) + "]"


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else _value(name)


def _lines(table: Mapping[str, Any], path: str, *, depth: int) -> Iterator[str]:
    below: dict[str, Any] = {}
    for name, value in table.items():
        is_tables = isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
        if (isinstance(value, Mapping) or is_tables) and depth:
            below[name] = value
        elif value is not None:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in below.items():
        inner = f"{path}.{_key(name)}" if path else _key(name)
        for entry in value if isinstance(value, list) else (value,):
            yield ""
            yield f"[[{inner}]]" if isinstance(value, list) else f"[{inner}]"
            yield from _lines(entry, inner, depth=depth - 1)


def toml_text(document: Mapping[str, Any], *, depth: int = 4) -> str:
    """Write a document; what is None is left out.

    Args:
        document: text, whole numbers, dates, lists and objects.
        depth: objects down to here get a heading of their own, deeper ones stand on one line.

    Raises:
        BillingError: if a value has no form in TOML.
    """
    return "\n".join(_lines(document, "", depth=depth)).lstrip("\n") + "\n"
