"""What every command of `solarhub` does alike: errors as one sentence, progress beside the result."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from shared.errors import SolarHubError


@contextmanager
def explained() -> Iterator[None]:
    """Print an error of ours as one sentence and leave with status 1; a traceback helps nobody who set a wrong variable."""
    try:
        yield
    except SolarHubError as error:
        typer.echo(f"solarhub: {error}", err=True)
        raise typer.Exit(1) from error


def progress(line: str) -> None:
    """Tell how far a command is, on standard error: standard output is for its result."""
    typer.echo(line, err=True)
