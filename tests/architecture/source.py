"""The project's own source as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "edge_agent", "cloud")


@dataclass(frozen=True)
class Module:
    """One source file: ``name`` is its path from the project's root, such as ``cloud/core/db.py``."""

    name: str
    text: str
    tree: ast.Module

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Line and dotted name of everything that is imported, anywhere in the file."""
        found: list[tuple[int, str]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.append((node.lineno, node.module or ""))
        return found

    @property
    def imported_names(self) -> Iterator[tuple[int, str]]:
        """Line and ``module.name`` of every ``from module import name``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def parse(path: Path) -> Module:
    text = path.read_text()
    return Module(name=path.relative_to(ROOT).as_posix(), text=text, tree=ast.parse(text))
