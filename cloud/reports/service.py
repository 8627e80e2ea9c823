"""The life of a report: asked for, taken by a worker, rendered, stored, read, expired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize
from cloud.auth.schemas import Principal
from cloud.billing.repository import bills
from cloud.billing.schemas.bills import BillIn, BillOut
from cloud.billing.service.site_bills import MONTH_DAYS, simulate_site_bill
from cloud.core.db import SYSTEM, Database, TenantContext
from cloud.core.errors import (
    ConflictError,
    FieldProblem,
    GoneError,
    NotFoundError,
    RateLimitedError,
    ValidationFailedError,
)
from cloud.core.files import Files
from cloud.core.jobs import JobContext, PendingJobs
from cloud.core.log import get_logger
from cloud.reports import repository
from cloud.reports.render.process import AVAILABLE, RenderError, render
from cloud.reports.repository import Claim
from cloud.reports.rules.document import ReportDocument, Style
from cloud.reports.rules.measures import CurvePoint, DayEnergy, PerformanceData, Worth
from cloud.reports.rules.performance import build_performance_summary
from cloud.reports.rules.words import period as period_words
from cloud.reports.schemas import Branding, DateRange, ReportIn, ReportOut, ReportParameters
from cloud.sites import repository as sites
from cloud.sites.schemas import SiteOut
from cloud.sites.service import get_site
from shared.enums import ReportStatus, ReportType
from shared.periods import day_window, quarter_hours, zone_of

GENERATE = "reports.generate"
AVAILABLE_TYPES = (ReportType.PERFORMANCE_SUMMARY,)
MAX_DAYS = 366
MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=5)
WAITED = timedelta(seconds=60)
QUIET = timedelta(minutes=5)
KEEP = timedelta(days=400)
_SWEEP_LIMIT = 100
MAX_WAITING = 20
"""Unfinished reports of one organisation: each costs a worker seconds, and others wait behind them."""

_log = get_logger(__name__)


class TypeNotAvailableError(ValidationFailedError):
    """Reports of this type cannot be made yet."""

    code = "report_type_not_available"


class FormatNotAvailableError(ValidationFailedError):
    """Reports cannot be written in this format yet."""

    code = "format_not_available"


class LanguageNotAvailableError(ValidationFailedError):
    """Reports cannot be written in this language yet."""

    code = "language_not_available"


def _check_available(body: ReportIn) -> None:
    if body.report_type not in AVAILABLE_TYPES:
        known = [report_type.value for report_type in AVAILABLE_TYPES]
        raise TypeNotAvailableError(
            f"Reports of type {body.report_type.value} cannot be made yet; available: {', '.join(known)}.",
            extra={"available": known},
            errors=[{"field": "report_type", "value": body.report_type.value, "message": f"one of {', '.join(known)}"}],
        )
    if body.format not in AVAILABLE:
        known = [file_format.value for file_format in AVAILABLE]
        raise FormatNotAvailableError(
            f"Reports cannot be written as {body.format.value} yet; available: {', '.join(known)}.",
            extra={"available": known},
            errors=[{"field": "format", "value": body.format.value, "message": f"one of {', '.join(known)}"}],
        )
    if body.language != "en":
        raise LanguageNotAvailableError(
            "Reports are in English for now; leave language out or send en.",
            extra={"available": ["en"]},
            errors=[{"field": "language", "value": body.language, "message": "en"}],
        )


def _check_parameters(parameters: ReportParameters) -> tuple[UUID, DateRange]:
    problems: list[FieldProblem] = []
    if len(parameters.site_ids) != 1:
        problems.append({"field": "parameters.site_ids", "message": "name exactly one site for this type of report"})
    if parameters.date_range is None:
        problems.append({"field": "parameters.date_range", "message": "give start_date and end_date"})
    elif (parameters.date_range.end_date - parameters.date_range.start_date).days >= MAX_DAYS:
        problems.append({"field": "parameters.date_range", "message": f"at most {MAX_DAYS} days"})
    unused = {
        "device_ids": bool(parameters.device_ids),
        "include_sections": bool(parameters.include_sections),
        "comparison_mode": parameters.comparison_mode is not None,
        "custom_filters": bool(parameters.custom_filters),
        "grouping": parameters.grouping != "daily",
    }
    problems += [
        {"field": f"parameters.{name}", "message": "not available for this type of report yet; leave it out"}
        for name, given in unused.items()
        if given
    ]
    if problems or parameters.date_range is None:
        raise ValidationFailedError("The parameters do not fit this type of report.", errors=problems)
    return parameters.site_ids[0], parameters.date_range


async def request_report(
    conn: AsyncConnection, user: Principal, body: ReportIn, *, now: datetime, after_commit: PendingJobs
) -> ReportOut:
    """Ask for a report; a worker makes it.

    Raises:
        NotFoundError: for a site of strangers.
        ForbiddenError: for a role without this action.
        ValidationFailedError: `report_type_not_available`, `format_not_available`, or wrong parameters.
        RateLimitedError: `too_many_reports` while `MAX_WAITING` are unfinished.
    """
    _check_available(body)
    site_id, dates = _check_parameters(body.parameters)
    site = await get_site(conn, user, site_id, Action.REPORT_CREATE)
    if await repository.count_waiting(conn, site.organization_id) >= MAX_WAITING:
        raise RateLimitedError(
            f"{MAX_WAITING} reports of the organisation are not finished yet; ask again when some are.",
            code="too_many_reports",
        )
    report_id = await repository.add_report(
        conn,
        {
            "organization_id": site.organization_id,
            "created_by": user.user_id,
            "report_type": body.report_type.value,
            "name": body.name or f"{site.name}, {period_words(dates.start_date, dates.end_date)}"[:255],
            "parameters": body.parameters.to_json(),
            "format": body.format.value,
            "language": body.language,
            "requested_at": now,
            "expires_at": now + KEEP,
        },
    )
    after_commit.add(GENERATE, report_id=report_id)
    return await get_report(conn, user, report_id)


async def get_report(conn: AsyncConnection, user: Principal, report_id: UUID) -> ReportOut:
    """A report that the person may read.

    Raises:
        NotFoundError: if there is none, or it belongs to somebody else.
    """
    report = await repository.get_report(conn, report_id)
    if report is None:
        raise NotFoundError("There is no such report.")
    authorize(user, Action.REPORT_READ, report.organization_id)
    return report


async def file_of(conn: AsyncConnection, files: Files, report: ReportOut) -> bytes:
    """The file of a finished report.

    Raises:
        ConflictError: `report_not_ready` or `report_failed`.
        GoneError: `report_expired`.
        NotFoundError: `file_missing` if the store has lost it.
    """
    if report.status is ReportStatus.FAILED:
        raise ConflictError(f"The report could not be made: {report.error}", code="report_failed")
    if report.status is ReportStatus.EXPIRED:
        raise GoneError(
            "The report's file was deleted when its time was over; ask for it again.", code="report_expired"
        )
    path = await repository.file_path(conn, report.id)
    if path is None:
        raise ConflictError(
            f"The report is {report.status.value}; ask again in a few seconds.",
            code="report_not_ready",
            extra={"report_status": report.status.value},
            headers={"Retry-After": "2"},
        )
    return await files.get(path)


def style_of(branding: Branding | None) -> Style:
    """An organisation's branding as the document's style; the product's own look without one."""
    if branding is None:
        return Style()
    return Style(
        primary_color=branding.primary_color,
        secondary_color=branding.secondary_color,
        header_text=branding.header_text,
        footer_text=branding.footer_text,
        show_page_numbers=branding.show_page_numbers,
    )


def _worth_of(bill: BillOut, *, days: int) -> Worth:
    plan = bill.inputs["plan"]
    savings = bill.savings_breakdown
    return Worth(
        bill_with_solar_pkr=bill.estimated_bill_pkr,
        bill_without_solar_pkr=Decimal(savings["bill_without_solar"]),
        savings_pkr=Decimal(savings["total_savings"]),
        tariff=plan["code"],
        source=plan["source"],
        pending=_pending(bill.lines),
        is_month=days in MONTH_DAYS,
    )


def _pending(lines: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(line["label"] for line in lines if line["amount"] is None)


async def _worth(conn: AsyncConnection, site: SiteOut, dates: DateRange, *, now: datetime) -> tuple[Worth | None, str]:
    first, last = dates.start_date, dates.end_date
    days = (last - first).days + 1
    stored = await bills.latest_bill(conn, site.id, first, last)
    if stored is not None:
        return _worth_of(stored, days=days), ""
    if days not in MONTH_DAYS:
        # Slabs and fixed charges are monthly: a bill of three days would say little and look like much.
        return None, "a bill is worked out for about a month; this period is not one"
    try:
        made = await simulate_site_bill(conn, site, BillIn(period_start=first, period_end=last), now=now)
    except ValidationFailedError as problem:
        return None, problem.detail
    bill, without = made.simulation.bill.total_pkr, made.simulation.without.total_pkr
    return Worth(
        bill, without, without - bill, made.tariff.name, made.tariff.source, _pending(made.simulation.lines)
    ), ""


def full_day(points: Sequence[CurvePoint], starts: Sequence[datetime], zone: ZoneInfo) -> tuple[CurvePoint, ...]:
    """One point for each quarter-hour of the day, in local time; those without a row know nothing."""
    known = {point.at: point for point in points}
    return tuple(replace(known.get(start, CurvePoint(start)), at=start.astimezone(zone)) for start in starts)


def _best_day(days: Sequence[DayEnergy]) -> DayEnergy | None:
    return max((day for day in days if day.generated_kwh), key=lambda day: day.generated_kwh or 0.0, default=None)


async def performance_data(conn: AsyncConnection, site: SiteOut, dates: DateRange, *, now: datetime) -> PerformanceData:
    """Collect what a performance summary of a site is made of."""
    zone = zone_of(site.timezone)
    days = await repository.site_days(conn, site.id, dates.start_date, dates.end_date)
    best = _best_day(days)
    curve: tuple[CurvePoint, ...] = ()
    if best is not None:
        window = day_window(best.day, zone)
        points = await repository.site_curve(conn, site.id, window)
        curve = full_day(points, list(quarter_hours(window)), zone)
    worth, problem = await _worth(conn, site, dates, now=now)
    configuration, address = site.configuration, site.address
    branding = await repository.default_branding(conn, site.organization_id, ReportType.PERFORMANCE_SUMMARY)
    return PerformanceData(
        organization=await repository.organization_name(conn, site.organization_id),
        site=site.name,
        place=", ".join(part for part in (address.city, address.state) if part),
        timezone=site.timezone,
        first_day=dates.start_date,
        last_day=dates.end_date,
        created_at=now.astimezone(zone),
        days=days,
        curve=curve,
        curve_day=None if best is None else best.day,
        capacity_kwp=configuration.system_capacity_kw,
        inverter_kw=configuration.inverter_capacity_kw,
        battery_kwh=configuration.battery_capacity_kwh,
        disco="" if configuration.disco_provider is None else configuration.disco_provider.value.upper(),
        worth=worth,
        worth_problem=problem,
        co2=await repository.factor(conn, "grid_electricity"),
        tree=await repository.factor(conn, "tree"),
        style=style_of(branding),
    )


async def _document(db: Database, report: ReportOut, *, now: datetime) -> ReportDocument:
    site_id, dates = _check_parameters(ReportParameters.model_validate(report.parameters))
    context = TenantContext(organization_ids=(report.organization_id,), site_ids=(site_id,))
    async with db.transaction(context) as conn:
        site = await sites.get_site(conn, site_id)
        if site is None:
            raise NotFoundError("The site of the report no longer exists.")
        return build_performance_summary(await performance_data(conn, site, dates, now=now))


async def generate(context: JobContext, report_id: UUID, *, now: datetime) -> bool:
    """Make a report that nobody else works on; asked twice, it is made once.

    Returns:
        Whether this call finished the report.

    An error of the renderer puts it back to wait for the next attempt, the last of `MAX_ATTEMPTS` makes it fail. A worker that dies
    leaves a lease behind: when it is over, the sweep asks for the report again.
    """
    async with context.db.transaction(SYSTEM) as conn:
        claim = await repository.claim_report(conn, report_id, now=now, lease=LEASE)
    if claim is None:
        return False
    if claim.attempt > MAX_ATTEMPTS:
        why = claim.report.error or f"{MAX_ATTEMPTS} workers were lost while making it"
        return await _finish(context, claim, {"status": ReportStatus.FAILED, "error": why})
    try:
        document = await _document(context.db, claim.report, now=now)
        content = await render(document, claim.report.format)
    except RenderError as error:
        return await _set_back(context, claim, str(error))
    except (NotFoundError, ValidationFailedError) as error:
        return await _finish(context, claim, {"status": ReportStatus.FAILED, "error": error.detail})
    return await _store(context, claim, content, now=now)


async def _store(context: JobContext, claim: Claim, content: bytes, *, now: datetime) -> bool:
    report = claim.report
    # The attempt is part of the name: a slow worker that was given up cannot overwrite the file of the one after it.
    path = f"reports/{report.organization_id}/{report.id}-{claim.attempt}.{report.format.value}"
    stored = await context.files.put(path, content)
    finished = await _finish(
        context,
        claim,
        {
            "status": ReportStatus.COMPLETED,
            "completed_at": now,
            "file_path": stored.path,
            "file_size_bytes": stored.size_bytes,
            "sha256": stored.sha256,
            "error": None,
        },
    )
    if not finished:
        await context.files.delete(stored.path)
    return finished


async def _set_back(context: JobContext, claim: Claim, error: str) -> bool:
    last = claim.attempt >= MAX_ATTEMPTS
    _log.warning("report_not_rendered", report_id=claim.report.id, attempt=claim.attempt, error=error)
    await _finish(context, claim, {"status": ReportStatus.FAILED if last else ReportStatus.PENDING, "error": error})
    return False


async def _finish(context: JobContext, claim: Claim, values: dict[str, Any]) -> bool:
    async with context.db.transaction(SYSTEM) as conn:
        return await repository.finish_report(conn, claim, values)


async def sweep_waiting(context: JobContext, now: datetime) -> int:
    """Ask again for reports whose message was lost or whose worker died; returns how many."""
    async with context.db.transaction(SYSTEM) as conn:
        waiting = await repository.take_waiting(conn, now=now, waited=WAITED, quiet=QUIET, limit=_SWEEP_LIMIT)
    for report_id in waiting:
        await context.jobs.enqueue(GENERATE, report_id=report_id)
    return len(waiting)


async def sweep_expired(context: JobContext, now: datetime) -> int:
    """Delete the files of reports whose time is over; returns how many."""
    async with context.db.transaction(SYSTEM) as conn:
        paths = await repository.take_expired(conn, now=now, limit=_SWEEP_LIMIT)
        # Before the commit: the rows name the files until they are gone, so that the next run deletes what this one could not.
        for path in paths:
            await context.files.delete(path)
    return len(paths)
