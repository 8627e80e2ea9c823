"""A financial question as a JSON file: read, checked, answered, and told in words."""

import difflib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from cloud.billing.rules.errors import BillingError
from cloud.billing.schemas.finance import (
    FINANCE_EXAMPLE,
    FinanceCase,
    FinanceOut,
    FirstYearIn,
    LoanIn,
    MonthBillsIn,
    PaybackOut,
    WorthOut,
)

_INSIDE: dict[str, type[BaseModel]] = {"loan": LoanIn, "first_year": FirstYearIn, "bills": MonthBillsIn}


def example_json() -> str:
    """A full question."""
    return json.dumps(FINANCE_EXAMPLE, indent=2)


def schema_json() -> str:
    """JSON schema of the question."""
    return json.dumps(FinanceCase.model_json_schema(), indent=2)


def _known(first: str, *, is_nested: bool) -> list[str]:
    shape = _INSIDE.get(first) if is_nested else FinanceCase
    return sorted((shape or FinanceCase).model_fields)


def _sentence(problem: Mapping[str, Any]) -> str:
    place = problem["loc"]
    field = ".".join(str(part) for part in place) or "the question"
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
    if problem["type"] == "missing":
        return f"{field} is missing; give it, as `solarhub finance --example` shows"
    if problem["type"] == "extra_forbidden":
        known = _known(str(place[0]), is_nested=len(place) > 1)
        near = difflib.get_close_matches(str(place[-1]), known, n=3, cutoff=0.5) or known
        return f"{field} is not a field here; known: {', '.join(near)}"
    if not place or isinstance(problem.get("input"), dict | list):
        return f"{field}: {message}"
    return f"{field} is {problem['input']!s:.40}; {message[:1].lower()}{message[1:]}"


def read_question(text: str, *, name: str) -> FinanceCase:
    """Check a question.

    Args:
        text: JSON; numbers keep the digits they are written with.
        name: of the file, for messages.

    Raises:
        BillingError: names the field, its value and the way out.
    """
    try:
        document = json.loads(text.removeprefix("\ufeff"), parse_float=Decimal)
    except json.JSONDecodeError as error:
        words = f"{name} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise BillingError(f"{words}; `solarhub finance --example` prints a question") from error
    if not isinstance(document, dict):
        raise BillingError(f"{name} is not a JSON object; `solarhub finance --example` prints one")
    try:
        return FinanceCase.model_validate(document)
    except ValidationError as error:
        raise BillingError(_sentence(error.errors(include_url=False)[0])) from error


def _when(back: PaybackOut | None) -> str:
    if back is None:
        return "not within the life"
    years, months = divmod(back.months, 12)
    return f"{years} years {months} months ({back.years} years)"


def _worth_lines(title: str, worth: WorthOut) -> Iterator[str]:
    rate = f"{worth.irr.percent} % a year" if worth.irr.percent is not None else worth.irr.note
    yield title
    yield f"  payback                {_when(worth.payback)}"
    yield f"  payback, discounted    {_when(worth.discounted_payback)}"
    yield f"  net present value      PKR {worth.npv_pkr:,.2f}"
    yield f"  internal rate          {rate}"
    yield f"  left over at the end   PKR {worth.gain_pkr:,.2f}"


def _table_lines(result: FinanceOut) -> Iterator[str]:
    yield f"{'year':>4} {'kWh':>10} {'saved':>14} {'exports':>12} {'costs':>14} {'flow':>15} {'sum':>16}"
    for year in result.years:
        costs = year.opex_pkr + year.replacement_pkr if year.year else year.flow_pkr
        yield (
            f"{year.year:>4} {year.generated_kwh:>10,.0f} {year.saved_pkr:>14,.2f} {year.export_income_pkr:>12,.2f}"
            f" {costs:>14,.2f} {year.flow_pkr:>15,.2f} {year.cumulative_pkr:>16,.2f}"
        )


def told(result: FinanceOut) -> str:
    """The answer as a person reads it."""
    lines = [*_worth_lines("The system", result.project)]
    if result.owner is not None:
        lines += [
            "",
            *_worth_lines(f"The owner's money, with the loan (interest PKR {result.interest_pkr:,.2f})", result.owner),
        ]
    if result.lcoe_pkr_per_kwh is not None:
        lines += ["", f"A kWh of the system costs PKR {result.lcoe_pkr_per_kwh} over its life."]
    lines += ["", *_table_lines(result), "", "Stands on"]
    lines += [
        f"  {item.name}: {item.value}{f' {item.unit}' if item.unit else ''} ({item.basis})" for item in result.stands_on
    ]
    if result.notes:
        lines += ["", "Notes", *(f"  {note}" for note in result.notes)]
    return "\n".join(lines)
