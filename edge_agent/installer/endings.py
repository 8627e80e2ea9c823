"""How the installer's commands end."""

import json
import logging
from typing import NoReturn

import typer

from edge_agent.drivers.base import DriverError
from edge_agent.errors import ConfigError, EdgeError
from edge_agent.installer.address import AddressError

EXIT_ERROR = 1
EXIT_USAGE = 2


class UsageError(EdgeError):
    """The command was typed wrongly; the message names the option, its value and how to write it."""


def fail(error: Exception | str, *, as_json: bool, code: int = EXIT_ERROR) -> NoReturn:
    """Say what is wrong on standard error and end."""
    typer.echo(json.dumps({"error": str(error)}) if as_json else f"error: {error}", err=True)
    raise typer.Exit(code)


def exit_code_of(error: EdgeError) -> int:
    """2 for a command that was typed wrongly, 1 for what went wrong with the device."""
    is_usage = isinstance(error, AddressError | ConfigError | UsageError) or (
        isinstance(error, DriverError) and error.kind == "config"
    )
    return EXIT_USAGE if is_usage else EXIT_ERROR


def quiet() -> None:
    """Only what is wrong with the program itself is logged; what is wrong with a device is the command's answer."""
    logging.basicConfig(level=logging.ERROR)
