"""`solarhub new-secret-key`: needed before anything is installed."""

import base64
import secrets

import typer


def new_secret_key() -> None:
    """Print a new value for SOLARHUB_SECRET_KEY. Keep it: without it stored device passwords cannot be read."""
    typer.echo(base64.b64encode(secrets.token_bytes(32)).decode())
