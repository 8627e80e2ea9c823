"""What the source promises about itself: sizes, errors that are not swallowed, SQL in its place."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from statistics import median

from tests.architecture.source import Module

MODULE_LINES = 400
FUNCTION_LINES = 50
MEDIAN_FUNCTION_LINES = 12

# A bug in one task must not end the others: these stand between. A plug-in is foreign code: what it raises has no name here.
MAY_CATCH_EVERYTHING = (
    "edge_agent/supervise.py",
    "edge_agent/drivers/custom_plugin.py",
    "cloud/worker.py",
    "cloud/core/jobs.py",
)

SQL_MODULES = (
    "*/repository.py",
    "*/repository/*",
    "*/tables.py",
    "edge_agent/store/*",
    "cloud/core/db.py",
    "cloud/core/roles.py",
    "cloud/core/migrate.py",
)
STATEMENT = re.compile(
    r"\s*(SELECT\s+\S|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|ROLE|DATABASE|VIEW|FUNCTION|POLICY)\s)"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines of a function without its decorators and docstring: what has to be understood."""
    last = function.end_lineno or function.lineno
    first = function.body[0]
    has_docstring = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return last - function.lineno + 1 - docstring


def test_modules_are_short(modules: list[Module]) -> None:
    sizes = {module.name: module.text.count("\n") for module in modules}
    long = {name: size for name, size in sizes.items() if size > MODULE_LINES}
    assert not long, long


def test_functions_are_short(modules: list[Module]) -> None:
    sizes = {f"{module.name}:{f.lineno} {f.name}": length(f) for module in modules for f in functions(module)}
    long = {name: size for name, size in sizes.items() if size > FUNCTION_LINES}
    assert not long, long
    assert median(sizes.values()) <= MEDIAN_FUNCTION_LINES


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"everything"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) for kind in kinds}


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_only_supervisors_catch_everything(modules: list[Module]) -> None:
    found = [
        f"{module.name}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and caught(node) & {"everything", "Exception", "BaseException"}
        and not raises_again(node)
        and module.name not in MAY_CATCH_EVERYTHING
    ]
    assert not found, "\n".join(found)


def test_no_error_is_dropped_without_a_word(modules: list[Module]) -> None:
    """`except X: pass` hides why; `contextlib.suppress` with a comment, or a log line, says it."""
    found = [
        f"{module.name}:{node.lineno}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert not found, "\n".join(found)


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the nodes that are docstrings (a string standing alone as a statement)."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def statements(module: Module) -> list[str]:
    prose = docstrings(module.tree)
    return [
        f"{module.name}:{node.lineno} {node.value.strip()[:40]!r}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and STATEMENT.match(node.value)
    ]


def test_sql_is_written_in_repositories_tables_and_the_store(modules: list[Module]) -> None:
    elsewhere = [module for module in modules if not any(fnmatch(module.name, place) for place in SQL_MODULES)]
    assert [found for module in elsewhere for found in statements(module)] == []


def test_sql_elsewhere_would_be_seen() -> None:
    source = '"""SELECT nothing: prose."""\nasync def read(conn):\n    await conn.execute("  SELECT kw FROM roof")\n'
    module = Module(name="cloud/sites/service.py", text=source, tree=ast.parse(source))
    assert statements(module) == ["cloud/sites/service.py:3 'SELECT kw FROM roof'"]


def test_nothing_is_left_for_later(modules: list[Module]) -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{module.name}:{number}"
        for module in modules
        for number, line in enumerate(module.text.splitlines(), start=1)
        if marker.search(line)
    ]
    assert not found, "\n".join(found)
