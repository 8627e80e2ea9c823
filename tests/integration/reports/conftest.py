"""A home with a month of days and a day of quarter-hours, and what a worker has."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from cloud.core.db import SYSTEM
from cloud.core.jobs import JobContext
from cloud.reports.service import generate
from cloud.telemetry.tables import TelemetryDailySummary, TelemetryQuarterHour
from shared.periods import day_window, quarter_hours
from tests.integration.billing.conftest import (  # noqa: F401 -- fixtures of the running API and its home
    KARACHI,
    Home,
    api,
    api_settings,
    home,
    make_plant,
    password_hash,
    world,
)

FIRST, LAST = date(2026, 9, 1), date(2026, 9, 30)
BRIGHT = date(2026, 9, 12)


class Reporter:
    """The home, and a worker that makes its reports."""

    def __init__(self, home: Home) -> None:  # noqa: F811 -- the fixture's value
        self.home = home
        services = home.api.services
        self.context = JobContext(settings=services.settings, db=services.db, jobs=services.jobs, files=services.files)

    @property
    def now(self) -> datetime:
        return self.home.api.clock.at

    def body(self, **changes: Any) -> dict[str, Any]:
        dates = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
        parameters = {"site_ids": [self.home.site["id"]], "date_range": dates, **changes.pop("parameters", {})}
        return {"report_type": "performance_summary", "format": "pdf", "parameters": parameters, **changes}

    async def ask(self, **changes: Any) -> dict[str, Any]:
        answer = await self.home.api.call("POST", "/reports", self.home.owner, json=self.body(**changes))
        assert answer.status_code == 202, answer.text
        asked: dict[str, Any] = answer.json()
        return asked

    async def read(self, report_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.home.api.call("GET", f"/reports/{report_id}", self.home.owner)).json()
        return found

    async def work(self, report_id: str) -> bool:
        return await generate(self.context, UUID(report_id), now=self.now)

    def advance(self, **delta: float) -> None:
        """Move the clock, and log the owner in again."""
        api = self.home.api  # noqa: F811 -- the fixture's value
        api.clock.advance(**delta)
        self.home.owner.token = api.services.tokens.issue(self.home.owner.id, api.clock())

    def stored_files(self) -> list[str]:
        folder = self.context.settings.files_dir
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def _add_days(home: Home) -> None:  # noqa: F811 -- the fixture's value
    site = {"site_id": UUID(home.site["id"]), "organization_id": UUID(home.site["organization_id"])}
    days = [
        {
            **site,
            "summary_date": FIRST + timedelta(days=n),
            "energy_generated_kwh": 48.5 if FIRST + timedelta(days=n) == BRIGHT else 40.0,
            "energy_consumed_kwh": 25.0,
            "energy_imported_kwh": 8.0,
            "energy_exported_kwh": 23.0,
            "peak_power_kw": 7.25,
            "data_completeness_percent": 100.0,
            "algorithm_version": 1,
        }
        for n in range(30)
    ]
    quarters = [
        {
            **site,
            "bucket": bucket,
            "power_mean_kw": 4.0 if 28 <= n < 70 else 0.0,
            "load_power_mean_kw": 1.0,
            "grid_power_mean_kw": -3.0 if 28 <= n < 70 else 1.0,
            "covered_seconds": 900,
            "algorithm_version": 1,
            "imported_wh": 84_000 // 96,
            "consumed_wh": 250_000 // 96,
        }
        for n, bucket in enumerate(quarter_hours(day_window(BRIGHT, KARACHI)))
    ]
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("SELECT solarhub_ensure_partitions('telemetry_quarter_hour', :first, :last)"),
            {"first": FIRST, "last": LAST},
        )
        await conn.execute(insert(TelemetryDailySummary), days)
        await conn.execute(insert(TelemetryQuarterHour), quarters)


@pytest.fixture
async def reporter(home: Home) -> Reporter:  # noqa: F811 -- the fixture
    await _add_days(home)
    return Reporter(home)
