"""What every command of `solarhub` does alike: settings, and errors as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cloud.core.log import configure_logging
from cloud.core.settings import Settings, load_settings
from shared.errors import SolarHubError


@contextmanager
def explained() -> Iterator[None]:
    """Print an error of ours as one sentence and leave with status 1; a traceback helps nobody who set a wrong variable."""
    try:
        yield
    except SolarHubError as error:
        typer.echo(f"solarhub: {error}", err=True)
        raise typer.Exit(1) from error


def command_settings() -> Settings:
    """The settings, with the log set up by them.

    Raises:
        SettingsError: names the variable that is wrong.
    """
    settings = load_settings()
    configure_logging(json=settings.log_json, level=settings.log_level)
    return settings
