"""Keeping the tariffs: adding versions, ending and correcting them. The database's EXCLUDE constraint has the last word on overlaps."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.rules import Action, authorize_platform
from cloud.auth.schemas import Principal
from cloud.billing.checking import category_problem
from cloud.billing.repository import tariff_versions as stored
from cloud.billing.repository.tariffs import stored_categories
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.records import plan_of
from cloud.billing.rules.versions import ONE_DAY, Span, changes, unknown_rates
from cloud.billing.schemas.entries import TariffPatch
from cloud.billing.schemas.tariff_answers import TariffBody, TariffSaved, TariffVersion, TariffWarning
from cloud.core.errors import ConflictError, NotFoundError, ValidationFailedError
from cloud.core.log import get_logger
from cloud.web.etags import stale

_log = get_logger(__name__)

_EXCLUSION = "23P01"


class TariffOverlapError(ConflictError):
    """Another version of the tariff is in force on one of these days."""

    code = "tariff_overlap"


async def get_tariff(conn: AsyncConnection, tariff_id: UUID) -> TariffVersion:
    """One version of a tariff.

    Raises:
        NotFoundError: if there is none.
    """
    found = await stored.get_version(conn, tariff_id)
    if found is None:
        raise NotFoundError("There is no such tariff.")
    return found


async def add_tariff(conn: AsyncConnection, user: Principal, body: TariffBody) -> TariffSaved:
    """Add a version of a tariff, and end the one before if that was asked for.

    Raises:
        ForbiddenError: for anybody but a super administrator.
        ValidationFailedError: if the category or the rates cannot be used.
        TariffOverlapError: names the version in the way.
    """
    authorize_platform(user, Action.TARIFF_WRITE)
    await check_category(conn, body.category, field="category")
    rates = body.rates.to_json()
    _check_rates(rates, category=body.category, supports_tou=body.supports_tou)
    span = Span(body.effective_from, body.effective_to)
    ended = await _end_previous(conn, body) if body.ends_previous else None
    values = {**body.model_dump(exclude={"ends_previous", "rates"}), "rates": rates, "origin": "own"}
    others = await stored.versions_of(conn, body.disco_provider, body.category, body.variant)
    _check_free(others, span)
    try:
        async with conn.begin_nested():
            tariff_id = await stored.add_version(conn, values)
    except IntegrityError as error:
        # Somebody else was faster: what is in the way has been committed meanwhile, and is told like any other.
        _check_free(await stored.versions_of(conn, body.disco_provider, body.category, body.variant), span)
        raise _unexpected(error) from error
    _log.info("tariff_added", tariff_id=str(tariff_id), user_id=str(user.user_id), ended=str(ended) if ended else None)
    return await _saved(conn, tariff_id, ended=ended)


async def change_tariff(
    conn: AsyncConnection, user: Principal, tariff_id: UUID, body: TariffPatch, *, version: int
) -> TariffSaved:
    """End or correct a version. Bills that were stored keep the rates that they were made from.

    Raises:
        NotFoundError: if there is none.
        ForbiddenError: for anybody but a super administrator.
        PreconditionFailedError: if the version is not the present one.
        ValidationFailedError: if the dates or rates cannot be used.
        TariffOverlapError: names the version in the way.
    """
    current = await get_tariff(conn, tariff_id)
    authorize_platform(user, Action.TARIFF_WRITE)
    if current.version != version:
        raise stale(current.version)
    values = body.model_dump(exclude_unset=True, exclude={"rates"})
    if body.rates is not None:
        values["rates"] = body.rates.to_json()
    if values:
        values["origin"] = "own"
    span = Span(current.effective_from, values.get("effective_to", current.effective_to))
    _check_change(current, values, span)
    others = await stored.versions_of(conn, current.disco_provider, current.category, current.variant)
    _check_free([other for other in others if other.id != tariff_id], span)
    try:
        async with conn.begin_nested():
            if values and not await stored.change_version(conn, tariff_id, version=version, values=values):
                raise stale(current.version)
    except IntegrityError as error:
        others = await stored.versions_of(conn, current.disco_provider, current.category, current.variant)
        _check_free([other for other in others if other.id != tariff_id], span)
        raise _unexpected(error) from error
    saved = await _saved(conn, tariff_id)
    changed = changes(current.model_dump(mode="json"), TariffVersion.model_dump(saved, mode="json"))
    told = [str(change) for change in changed if change.field not in {"version", "updated_at", "warnings"}]
    _log.info("tariff_changed", tariff_id=str(tariff_id), user_id=str(user.user_id), changes=told)
    return saved


def _check_change(current: TariffVersion, values: dict[str, Any], span: Span) -> None:
    if span.last is not None and span.last < span.first:
        raise ValidationFailedError(
            f"effective_to {span.last} is before effective_from {span.first}.",
            errors=[{"field": "effective_to", "value": str(span.last), "message": f"{span.first} at the earliest"}],
        )
    _check_rates(
        values.get("rates", current.rates),
        category=current.category,
        supports_tou=values.get("supports_tou", current.supports_tou),
    )


async def check_category(conn: AsyncConnection, code: str, *, field: str) -> None:
    """Refuse a category that no tariff can be of.

    Raises:
        ValidationFailedError: names the field and the known categories.
    """
    categories = {category.code: category.alias_of for category in await stored_categories(conn)}
    problem = category_problem(code, categories)
    if problem is not None:
        raise ValidationFailedError(
            f"{code!r} {problem}.", errors=[{"field": field, "value": code, "message": problem}]
        )


def _check_rates(rates: dict[str, Any], *, category: str, supports_tou: bool) -> None:
    try:
        plan_of(rates, code=category, category=category, source="", supports_tou=supports_tou)
    except (BillingError, ValueError) as error:
        raise ValidationFailedError(str(error), errors=[{"field": "rates", "message": str(error)}]) from error


def _check_free(others: Sequence[TariffVersion], span: Span) -> None:
    for other in others:
        theirs = Span(other.effective_from, other.effective_to)
        if theirs.overlaps(span):
            raise TariffOverlapError(
                f"{other.name or other.category} of {other.disco_provider.value} is in force {theirs}; {way_out(theirs, span)}.",
                extra={
                    "in_the_way": {
                        "id": str(other.id),
                        "effective_from": other.effective_from.isoformat(),
                        "effective_to": None if other.effective_to is None else other.effective_to.isoformat(),
                        "source": other.source,
                    }
                },
            )


def way_out(theirs: Span, span: Span) -> str:
    """What to do about a record in the way, in words."""
    if theirs.first < span.first:
        return f"send ends_previous, or end it on {span.first - ONE_DAY}"
    if theirs.first > span.first:
        return f"let yours end on {theirs.first - ONE_DAY} at the latest"
    return "correct that version instead"


async def _end_previous(conn: AsyncConnection, body: TariffBody) -> UUID | None:
    versions = await stored.versions_of(conn, body.disco_provider, body.category, body.variant)
    previous = next(
        (
            other
            for other in versions
            if other.effective_from < body.effective_from
            and Span(other.effective_from, other.effective_to).covers(body.effective_from)
        ),
        None,
    )
    if previous is None:
        return None
    last = body.effective_from - ONE_DAY
    if not await stored.change_version(conn, previous.id, version=previous.version, values={"effective_to": last}):
        raise TariffOverlapError(
            "The version before was changed meanwhile; read it again and repeat.",
            extra={"in_the_way": {"id": str(previous.id)}},
        )
    return previous.id


async def _saved(conn: AsyncConnection, tariff_id: UUID, *, ended: UUID | None = None) -> TariffSaved:
    saved = await get_tariff(conn, tariff_id)
    others = await stored.versions_of(conn, saved.disco_provider, saved.category, saved.variant)
    warnings = (*_gap_warnings(saved, others), *_rate_warnings(saved))
    return TariffSaved(**saved.model_dump(), warnings=warnings, ended=ended)


def _gap_warnings(saved: TariffVersion, versions: Sequence[TariffVersion]) -> Iterator[TariffWarning]:
    place = [version.id for version in versions].index(saved.id)
    before = versions[place - 1] if place else None
    after = versions[place + 1] if place + 1 < len(versions) else None
    pairs = (("gap_before", before, saved), ("gap_after", saved, after))
    for code, one, other in pairs:
        if one is None or other is None or one.effective_to is None:
            continue
        first, last = one.effective_to + ONE_DAY, other.effective_from - ONE_DAY
        if first <= last:
            yield TariffWarning(
                code=code, message=f"No tariff is on record from {first} to {last}: bills of these days cannot be made."
            )


def _rate_warnings(saved: TariffVersion) -> Iterator[TariffWarning]:
    for words in unknown_rates(saved.rates):
        yield TariffWarning(
            code="rate_unknown",
            message=f"{words[0].upper()}{words[1:]} is not given: a bill that needs it cannot be made.",
        )


def _unexpected(error: IntegrityError) -> Exception:
    if str(getattr(error.orig, "sqlstate", "")) == _EXCLUSION:
        return TariffOverlapError("Another version of the tariff was in the way and is gone; repeat the request.")
    return error
