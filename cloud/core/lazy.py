"""Commands that are imported when they are run, so that a price of a bill does not wait for the web server's modules.

A program names its commands with one line of help each; listing them, completing their names and refusing a misspelt one needs no more.
Imports inside functions would do the same, but hidden in every command: here they are named in one place for each group, and
`tests/unit/cloud/test_start.py` holds each line equal to the docstring of its command and says what a command may load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Later:
    """A command by name.

    Attributes:
        name: as it is typed.
        place: where its function, or its group's `typer.Typer`, is: `package.module:name`.
        line: first paragraph of its help.
    """

    name: str
    place: str
    line: str


def part(place: str) -> Any:  # noqa: ANN401 -- what stands there; the caller says which type it is
    """What `package.module:name` names; the module is imported now.

    Raises:
        ImportError: if there is no such module.
        AttributeError: if the module has no such name.
    """
    return resolve_name(place)


class LazyCommand(TyperCommand):
    """Stands in a group for a command; gives way to it as soon as arguments are parsed."""

    def __init__(self, later: Later) -> None:
        super().__init__(later.name, help=later.line)
        self.later = later

    def load(self) -> Any:  # noqa: ANN401 -- the class of commands stands in another place from one Typer to the next
        """The command itself, made by Typer as it makes those that are there from the start."""
        family = typer.Typer(add_completion=False)
        # Without a callback, Typer would take a family of one for the command.
        family.callback()(_nothing)
        found: typer.Typer | Callable[..., Any] = part(self.later.place)
        if isinstance(found, typer.Typer):
            family.add_typer(found, name=self.later.name)
        else:
            family.command(self.later.name)(found)
        return get_command(family).commands[self.later.name]  # type: ignore[attr-defined]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 -- as above
        """Parse the arguments: the context is the real command's, which is then invoked and completed."""
        return self.load().make_context(info_name, args, parent=parent, **extra)


class LazyGroup(TyperGroup):
    """A group with commands that are imported later; a subclass names them."""

    later: ClassVar[tuple[Later, ...]] = ()

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- TyperGroup's own
        super().__init__(**attributes)
        for one in self.later:
            self.add_command(LazyCommand(one))


def _nothing() -> None:
    """A group that does nothing of its own."""
