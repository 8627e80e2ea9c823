"""Modules that are imported by name: the import contracts do not see them, so what they may name is said here."""

import ast
import re
from collections.abc import Iterator

import pytest

from cloud.core.lazy import part
from tests.architecture.source import Module

PLACE = re.compile(r"(?:cloud|shared|edge_agent)(?:\.\w+)+:\w+")
# The table of commands stands above everything, as in the import contracts. Everybody else stays in the own domain.
EVERYWHERE = "cloud/cli/"
IMPORTERS = {"import_module", "resolve_name", "__import__", "exec_module", "part"}
# Gets its places from the tables.
DOOR = "cloud/core/lazy.py"


def places(module: Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PLACE.fullmatch(node.value):
            yield node.lineno, node.value


def unread(module: Module) -> Iterator[str]:
    """Imports by a name that is not written there."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in IMPORTERS:
            continue
        given = node.args[0] if node.args else None
        if not (isinstance(given, ast.Constant) and PLACE.fullmatch(str(given.value)) and name == "part"):
            yield f"{module.name}:{node.lineno} imports by name"


def outside(module: Module) -> list[str]:
    domain = ".".join(module.name.split("/")[:2])
    return [
        f"{module.name}:{line} loads {place}"
        for line, place in places(module)
        if not module.name.startswith(EVERYWHERE) and not place.startswith(f"{domain}.")
    ]


def test_every_place_is_there(modules: list[Module]) -> None:
    named = {place for module in modules for _, place in places(module)}
    assert len(named) > 15
    for place in sorted(named):
        assert callable(part(place)), place


def test_nothing_is_imported_by_name_across_domains(modules: list[Module]) -> None:
    found = [line for module in modules for line in outside(module)]
    assert not found, "\n".join(found)


def test_nothing_else_is_imported_by_name(modules: list[Module]) -> None:
    found = [line for module in modules if module.name != DOOR for line in unread(module)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "source", "seen"),
    [
        ("cloud/billing/urdb.py", 'part("cloud.web.services:open_database")', (1, 0)),
        ("cloud/cli/serve.py", 'part("cloud.web.services:open_database")', (0, 0)),
        ("cloud/billing/urdb.py", 'part("cloud.billing.loading:load_tariffs")', (0, 0)),
        ("cloud/billing/urdb.py", "part(place)", (0, 1)),
        ("cloud/billing/urdb.py", 'importlib.import_module("cloud.web")', (0, 1)),
    ],
)
def test_a_hidden_import_would_be_seen(name: str, source: str, seen: tuple[int, int]) -> None:
    module = Module(name=name, text=source, tree=ast.parse(source))
    assert (len(outside(module)), len(list(unread(module)))) == seen
