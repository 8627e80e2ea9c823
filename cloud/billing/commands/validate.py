"""`solarhub tariffs validate`: what is wrong with tariff data."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.billing.catalogue import product_documents, read_catalogue
from cloud.billing.checking import Finding, check_documents, read_document
from cloud.billing.rules.errors import BillingError
from cloud.core.console import explained
from cloud.core.lazy import part


def tariffs_validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Tariff files; without any the program's own are checked."),
    ] = None,
    *,
    database: Annotated[bool, typer.Option("--database", help="Check what is in the database.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find everything that is wrong with tariff data: form, sources, slabs, overlaps, gaps. Status 1 if anything is."""
    with explained():
        findings = _findings(files or [], database=database)
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(str(finding) for finding in findings) or "nothing is wrong")
    if findings:
        raise typer.Exit(1)


def _findings(files: list[Path], *, database: bool) -> tuple[Finding, ...]:
    if files and database:
        raise BillingError("give files, or --database, not both")
    product = read_catalogue()
    categories = {category.code: category.alias_of for category in product.categories}
    if database:
        # Only now: files are checked without SQLAlchemy, which takes longer to import than that.
        stored: dict[str, Any] = part("cloud.billing.commands.stored:database_document")()
        return check_documents({"database": stored}, known_categories=categories)
    if not files:
        return check_documents(product_documents(), known_categories={})
    documents: dict[str, dict[str, Any]] = {}
    unread: list[Finding] = []
    for path in files:
        try:
            documents[str(path)] = read_document(path)
        except BillingError as error:
            unread.append(Finding(str(path), "", "", None, str(error)))
    return (*unread, *check_documents(documents, known_categories=categories))
