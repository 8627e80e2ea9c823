"""Months that nobody billed, made when somebody asks; on a real database."""

import asyncio
import base64
import json
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from cloud.billing.rules.month import Month
from cloud.billing.schemas.runs import RunOut
from cloud.billing.service.catching_up import make_months
from cloud.cli import app
from cloud.core.errors import NotFoundError, ValidationFailedError
from tests.integration.billing.conftest import Home

JULY, AUGUST, SEPTEMBER, OCTOBER = (Month(2026, month) for month in (7, 8, 9, 10))


async def _make(home: Home, first: Month, last: Month) -> list[RunOut]:
    site = UUID(home.site["id"])
    return await make_months(home.api.services.db, site, first=first, last=last, now=home.api.clock())


async def _measured(home: Home, first: date, last: date) -> None:
    await home.quarters(first, last, imported_wh=262_000, consumed_wh=262_000)


async def test_what_is_missing_is_made_and_what_is_there_stays(home: Home) -> None:
    await _measured(home, date(2026, 7, 1), date(2026, 7, 31))
    await _measured(home, date(2026, 9, 1), date(2026, 9, 30))
    july, august, september = await _make(home, JULY, SEPTEMBER)
    assert [run.state for run in (july, august, september)] == ["billed", "skipped", "billed"]
    assert august.message
    await _measured(home, date(2026, 8, 1), date(2026, 8, 31))
    again = await _make(home, JULY, SEPTEMBER)
    assert [run.state for run in again] == ["billed"] * 3
    assert (again[0].bill_id, again[2].bill_id) == (july.bill_id, september.bill_id)
    stored = (await home.api.call("GET", home.bills, home.owner)).json()["items"]
    assert {bill["id"] for bill in stored} == {str(run.bill_id) for run in again}
    assert all(bill["is_automatic"] for bill in stored)


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (SEPTEMBER, OCTOBER, "2026-10 covers 2026-10-01 to 2026-10-31 and can be made from 2026-11-01 01:00 UTC on"),
        (SEPTEMBER, JULY, "The last month, 2026-07, comes before the first, 2026-09"),
        (Month(1990, 1), SEPTEMBER, "at most 120"),
    ],
)
async def test_months_that_cannot_be_made_are_refused_before_any_is(
    home: Home, first: Month, last: Month, told: str
) -> None:
    await _measured(home, date(2026, 9, 1), date(2026, 9, 30))
    with pytest.raises(ValidationFailedError, match=told):
        await _make(home, first, last)
    assert (await home.api.call("GET", home.bills, home.owner)).json()["items"] == []


async def test_an_unknown_site_is_named(home: Home) -> None:
    unknown = uuid4()
    with pytest.raises(NotFoundError, match=str(unknown)):
        await make_months(home.api.services.db, unknown, first=JULY, last=JULY, now=home.api.clock())


async def test_by_command(home: Home, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARHUB_DATABASE_URL", home.api.services.settings.database_url.get_secret_value())
    monkeypatch.setenv("SOLARHUB_REDIS_URL", redis_url)
    monkeypatch.setenv("SOLARHUB_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    await _measured(home, date(2026, 7, 1), date(2026, 7, 31))

    async def run(*words: str) -> Any:
        asked = ["bills", "make", "--site", home.site["id"], *words]
        return await asyncio.to_thread(CliRunner().invoke, app, asked)

    made = await run("--from", "2026-07", "--to", "2026-07", "--json")
    assert made.exit_code == 0, made.output
    [july] = json.loads(made.stdout)
    told = await run("--from", "2026-07", "--to", "2026-08")
    assert told.exit_code == 1, told.output
    assert told.stdout.splitlines()[0] == f"2026-07  billed  {july['bill_id']}"
    assert told.stdout.splitlines()[1].startswith("2026-08  skipped ")
    wrong = await run("--from", "July", "--to", "2026-08")
    assert (wrong.exit_code, "--from" in wrong.output) == (2, True)
