"""`solarhub bill`: one bill from one JSON document, without a database."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.billing.case_file.examples import example_json, schema_json
from cloud.billing.case_file.explain import explained_bill
from cloud.billing.case_file.pricing import price_case
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.reading import parse_document, read_case
from cloud.billing.catalogue import read_catalogue
from cloud.core.console import explained
from cloud.core.text import Language

STANDARD_INPUT = "-"


def bill(
    file: Annotated[Path | None, typer.Option(help="JSON file with the case; - reads standard input.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bill as one JSON object.")] = False,
    as_text: Annotated[
        bool, typer.Option("--explain", help="Print the bill as a person reads it; the default.")
    ] = False,
    language: Annotated[Language, typer.Option(help="Of labels and headings of --explain.")] = Language.EN,
    schema: Annotated[bool, typer.Option("--schema", help="Print the case's JSON Schema and leave.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a case to begin with and leave.")] = False,
) -> None:
    """The bill that the distribution company would send, from one case: tariff, period, units. CASE.md describes the format."""
    with explained():
        if schema or example:
            typer.echo(schema_json() if schema else example_json())
            return
        if file is None:
            raise CaseError(
                "--file", "name the case: --file case.json, or --file - for standard input; --example prints one"
            )
        if as_json and as_text:
            raise CaseError("--json", "--json stands beside --explain; choose one")
        result = _priced(file)
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False) if as_json else explained_bill(result, language))


def _priced(file: Path) -> dict[str, Any]:
    is_input = str(file) == STANDARD_INPUT
    name = "standard input" if is_input else str(file)
    text = sys.stdin.read() if is_input else _text_of(file, field="--file")
    case = read_case(parse_document(text, name=name))
    folder = Path() if is_input else file.parent
    csv_text = None if case.csv_file is None else _text_of(folder / case.csv_file, field="interval_csv")
    return price_case(case, read_catalogue(), csv_text=csv_text)


def _text_of(file: Path, *, field: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CaseError(
            field, f"{field} is {file}, which cannot be read ({error.strerror}); name a file that exists"
        ) from error
    except UnicodeDecodeError as error:
        raise CaseError(field, f"{field} is {file}, which is not UTF-8 text; save it as UTF-8") from error
