"""`solarhub tariffs import-urdb`: a tariff of the Utility Rate Database as one of ours."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from cloud.billing.rules.breakdown import line_json
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.intervals import parse_intervals_csv
from cloud.billing.rules.model import RateStatus
from cloud.billing.rules.money import money_text
from cloud.billing.rules.scheduled.bill import ScheduledBills, ScheduledMonth, Terms
from cloud.billing.toml_text import toml_text
from cloud.billing.urdb import ImportedTariff, import_rate, read_urdb
from cloud.core.console import explained
from cloud.core.discos import DiscoProvider
from cloud.core.lazy import part

IMPORTED_CATEGORY = {"code": "imported", "name": "Imported tariff"}
"""What a plan is of unless a category of ours is named."""


def import_urdb(
    file: Annotated[
        Path, typer.Argument(help="JSON of the Utility Rate Database's API: a rate, or an answer with items.")
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the plan as tariff data (TOML) here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print plan, warnings and bills as one JSON object.")] = False,
    label: Annotated[str | None, typer.Option(help="Which rate of the file.")] = None,
    category: Annotated[str | None, typer.Option(help="Code of the category that the plan shall be of.")] = None,
    company: Annotated[list[DiscoProvider] | None, typer.Option(help="Company that the plan shall be of.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The plan's first day, instead of the rate's."),
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Of the amounts; USD for rates of the United States.")] = None,
    price: Annotated[
        Path | None, typer.Option(help="CSV of intervals (start, imported_kwh, exported_kwh, …) to price with it.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the meter, for moments without an offset.")] = "Asia/Karachi",
) -> None:
    """Take a tariff of the Utility Rate Database over, say what was left out, and price a meter's intervals with it."""
    with explained():
        rate = read_urdb(_text_of(file), label=label)
        imported = import_rate(
            rate,
            category=category or IMPORTED_CATEGORY["code"],
            effective_from=None if since is None else since.date(),
            currency=currency,
        )
        plan = {**imported.record, **({"disco_providers": [one.value for one in company]} if company else {})}
        bills = None if price is None else _priced(imported, price, zone)
        if out is not None:
            _write(out, toml_text(_document(plan, category)))
        typer.echo(_json(plan, imported, bills) if as_json else "\n".join(_words(plan, imported, bills, out)))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BillingError(f"{file} cannot be read: {error}; name a file in UTF-8") from error


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BillingError(
            f"{file} cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error


def _document(plan: Mapping[str, Any], category: str | None) -> dict[str, Any]:
    return {"categories": [] if category else [IMPORTED_CATEGORY], "plans": [plan]}


def _priced(imported: ImportedTariff, file: Path, zone_name: str) -> ScheduledBills:
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BillingError(f"zone is {zone_name!r}; give an IANA zone, e.g. America/Denver") from error
    terms = Terms(source=imported.record["source"], status=RateStatus(imported.record["status"]))
    intervals = parse_intervals_csv(_text_of(file), zone=zone)
    # Only now: taking a tariff over needs no NumPy, which takes as long to import as the rest of the command.
    price_intervals = part("cloud.billing.rules.scheduled.intervals:price_intervals")
    bills: ScheduledBills = price_intervals(imported.schedule, intervals, zone=zone, terms=terms)
    return bills


def _months_json(months: tuple[ScheduledMonth, ...]) -> list[dict[str, Any]]:
    return [
        {
            "month": str(month.month),
            "total": money_text(month.total),
            "lines": [line_json(line) for line in month.lines],
        }
        for month in months
    ]


def _bills_json(bills: ScheduledBills, currency: str) -> dict[str, Any]:
    without = bills.total_without_solar
    return {
        "currency": currency,
        "total": money_text(bills.total),
        "months": _months_json(bills.months),
        "total_without_solar": None if without is None else money_text(without),
        "total_savings": None if without is None else money_text(without - bills.total),
        "months_without_solar": None if bills.without_solar is None else _months_json(bills.without_solar),
        "assumptions": list(bills.assumptions),
    }


def _json(plan: Mapping[str, Any], imported: ImportedTariff, bills: ScheduledBills | None) -> str:
    document = {
        "plan": {
            name: str(value) if name.startswith("effective_") and value else value for name, value in plan.items()
        },
        "warnings": list(imported.warnings),
        "bills": None if bills is None else _bills_json(bills, imported.schedule.currency),
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _words(
    plan: Mapping[str, Any], imported: ImportedTariff, bills: ScheduledBills | None, out: Path | None
) -> Iterator[str]:
    schedule = imported.schedule
    yield f"{plan['name']}, from {plan['effective_from']}"
    yield (
        f"{len(schedule.energy)} energy periods, {len(schedule.flat_demand)} flat and {len(schedule.demand)} timed demand charges, "
        f"{schedule.metering.value.replace('_', ' ')}, in {schedule.currency}"
    )
    yield from (f"warning: {warning}" for warning in imported.warnings)
    if out is not None:
        yield f"written to {out}" + ("" if "disco_providers" in plan else "; it names no company: every one is meant")
    if bills is None:
        return
    for month in bills.months:
        yield f"{month.month}  {money_text(month.total):>14}"
        for line in month.lines:
            if line.amount_pkr is not None:
                yield f"    {line.label}: {line.formula} = {money_text(line.amount_pkr)}"
    yield f"total    {money_text(bills.total):>14} {schedule.currency}"
    if bills.total_without_solar is not None:
        yield f"without solar {money_text(bills.total_without_solar)}, saved {money_text(bills.total_without_solar - bills.total)}"
    yield from (f"assumed: {assumption}" for assumption in bills.assumptions)
