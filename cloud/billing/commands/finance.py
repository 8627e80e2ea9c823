"""`solarhub finance`: what a system is worth as an investment, without a database."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cloud.billing.finance_file import example_json, read_question, schema_json, told
from cloud.billing.rules.errors import BillingError
from cloud.billing.service.finance import judge_case
from cloud.core.console import explained


def finance(
    file: Annotated[Path | None, typer.Option(help="JSON file with the question; - reads standard input.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a question and leave.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the question's JSON schema and leave.")] = False,
) -> None:
    """Payback, net present value, internal rate and cost of a kWh, from a price and a year's savings or twelve pairs of bills."""
    with explained():
        if example or schema:
            typer.echo(example_json() if example else schema_json())
            return
        if file is None:
            raise BillingError("name the question: --file question.json, or --file - for standard input")
        result = judge_case(read_question(_text_of(file), name=str(file)))
        typer.echo(json.dumps(result.model_dump(mode="json")) if as_json else told(result))


def _text_of(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BillingError(f"{file} cannot be read: {error}; name a JSON file in UTF-8") from error
