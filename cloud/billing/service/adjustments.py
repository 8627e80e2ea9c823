"""Keeping the dated rates beside the plans: adding records, ending and correcting them."""

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize_platform
from cloud.auth.schemas import Principal
from cloud.billing.repository import tariff_versions as stored
from cloud.billing.repository.tariffs import lock_tariffs
from cloud.billing.rules.records import adjustment_of
from cloud.billing.rules.versions import ONE_DAY, Span, changes
from cloud.billing.schemas.entries import AdjustmentEntry
from cloud.billing.schemas.tariff_answers import AdjustmentBody, AdjustmentOut, AdjustmentPatch, AdjustmentSaved
from cloud.billing.service.tariffs import check_category, way_out
from cloud.billing.tariff_rows import adjustment_row
from cloud.core.errors import ConflictError, NotFoundError, ValidationFailedError
from cloud.core.log import get_logger
from cloud.web.errors import field_problems
from cloud.web.etags import stale

_log = get_logger(__name__)

_UNIQUE = "23505"


class AdjustmentOverlapError(ConflictError):
    """Another record of this kind and scope is in force on one of these days."""

    code = "tariff_adjustment_overlap"


async def get_adjustment(conn: AsyncConnection, record_id: UUID) -> AdjustmentOut:
    """One dated record.

    Raises:
        NotFoundError: if there is none.
    """
    found = await stored.get_record(conn, record_id)
    if found is None:
        raise NotFoundError("There is no such record.")
    return found


async def add_adjustment(conn: AsyncConnection, user: Principal, body: AdjustmentBody) -> AdjustmentSaved:
    """Add a dated record, and end the one before if that was asked for.

    Raises:
        ForbiddenError: for anybody but a super administrator.
        ValidationFailedError: if a category is not known.
        AdjustmentOverlapError: names the record in the way.
    """
    authorize_platform(user, Action.TARIFF_WRITE)
    for field in ("categories", "excluded_categories"):
        for code in getattr(body, field):
            await check_category(conn, code, field=field)
    # No constraint can compare scopes: one transaction at a time looks and writes.
    await lock_tariffs(conn)
    span = Span(body.effective_from, body.effective_to)
    ended = None
    for record in await _in_the_way(conn, body, span):
        if not (body.ends_previous and record.effective_from < span.first):
            raise _overlap(record, span)
        await stored.end_record(conn, record.id, last=span.first - ONE_DAY)
        ended = record.id
    record_id = await _add_record(conn, body)
    _log.info("tariff_adjustment_added", record_id=str(record_id), user_id=str(user.user_id), kind=body.kind)
    return AdjustmentSaved(**(await get_adjustment(conn, record_id)).model_dump(), ended=ended)


async def _add_record(conn: AsyncConnection, body: AdjustmentBody) -> UUID:
    entry = body.model_dump(mode="json", exclude={"ends_previous"}, exclude_none=True)
    _, row = adjustment_row(adjustment_of(entry), province=body.provinces[0] if body.provinces else None)
    try:
        async with conn.begin_nested():
            return await stored.add_record(conn, {**row, "origin": "own"})
    except IntegrityError as error:
        if str(getattr(error.orig, "sqlstate", "")) != _UNIQUE:
            raise
        raise AdjustmentOverlapError(
            "A record of the same kind, scope and first day is there already; correct that one."
        ) from error


async def change_adjustment(
    conn: AsyncConnection, user: Principal, record_id: UUID, body: AdjustmentPatch, *, version: int
) -> AdjustmentOut:
    """End or correct a dated record. Bills that were stored keep the rates that they were made from.

    Raises:
        NotFoundError: if there is none.
        ForbiddenError: for anybody but a super administrator.
        PreconditionFailedError: if the version is not the present one.
        ValidationFailedError: if the dates or the rate cannot be used.
        AdjustmentOverlapError: names the record in the way.
    """
    current = await get_adjustment(conn, record_id)
    authorize_platform(user, Action.TARIFF_WRITE)
    if current.version != version:
        raise stale(current.version)
    values = body.model_dump(exclude_unset=True)
    entry = _entry_of(current, body)
    await lock_tariffs(conn)
    span = Span(entry.effective_from, entry.effective_to)
    for record in await _in_the_way(conn, entry, span):
        if record.id != record_id:
            raise _overlap(record, span)
    if values and not await stored.change_record(conn, record_id, version=version, values={**values, "origin": "own"}):
        raise stale(current.version)
    saved = await get_adjustment(conn, record_id)
    told = [str(change) for change in changes(current.model_dump(mode="json"), saved.model_dump(mode="json"))]
    _log.info("tariff_adjustment_changed", record_id=str(record_id), user_id=str(user.user_id), changes=told)
    return saved


def _entry_of(current: AdjustmentOut, body: AdjustmentPatch) -> AdjustmentEntry:
    """The record as it would be, checked like a new one."""
    document = current.model_dump(exclude={"id", "unit", "origin", "version"})
    try:
        return AdjustmentEntry.model_validate({**document, **body.model_dump(exclude_unset=True)})
    except ValidationError as error:
        raise ValidationFailedError(errors=field_problems(error.errors())) from error


async def _in_the_way(conn: AsyncConnection, entry: AdjustmentEntry, span: Span) -> list[AdjustmentOut]:
    return [
        record
        for record in await stored.records_of(conn, entry.kind)
        if _scope(record) == _scope(entry) and Span(record.effective_from, record.effective_to).overlaps(span)
    ]


def _scope(record: AdjustmentOut | AdjustmentEntry) -> tuple[tuple[str, ...], ...]:
    scopes = (record.disco_providers, record.provinces, record.categories)
    return tuple(tuple(sorted(str(word) for word in scope)) for scope in scopes)


def _overlap(record: AdjustmentOut, span: Span) -> AdjustmentOverlapError:
    theirs = Span(record.effective_from, record.effective_to)
    found = record.model_dump(mode="json", include={"id", "effective_from", "effective_to", "source"})
    return AdjustmentOverlapError(
        f"{record.kind} with the same scope is in force {theirs}; {way_out(theirs, span)}.", extra={"in_the_way": found}
    )
