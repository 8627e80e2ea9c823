"""Brings the product's tariff data into the database; twice is once."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.catalogue import Catalogue, CategoryRecord, PlanRecord, read_catalogue
from cloud.billing.repository import tariffs
from cloud.billing.rules.model import RateStatus
from cloud.billing.rules.records import adjustment_of
from cloud.billing.rules.versions import Span, room_for
from cloud.billing.schemas.tariffs import LoadedTariffs
from cloud.billing.tariff_rows import Key, all_adjustment_rows, all_plan_rows
from cloud.core.discos import DiscoProvider


async def stored_catalogue(conn: AsyncConnection) -> Catalogue:
    """What is in the database, in the form of the product's data; versions that are alike at several companies are one.

    Raises:
        BillingError: if a stored record is wrong.
    """
    aside = {"id", "disco_provider", "origin"}
    alike: dict[tuple[object, ...], list[DiscoProvider]] = {}
    records: dict[tuple[object, ...], PlanRecord] = {}
    for (disco, *_), row in (await tariffs.stored_plans(conn)).items():
        key = tuple(repr(value) for name, value in row.items() if name not in aside)
        alike.setdefault(key, []).append(DiscoProvider(disco))
        records[key] = _record_of(row)
    plans = tuple(replace(records[key], disco_providers=tuple(sorted(discos))) for key, discos in alike.items())
    adjustments = await tariffs.adjustment_records(conn)
    known = [record for record in adjustments if record["rate"] is not None or record.get("bands")]
    categories = tuple(
        CategoryRecord(c.code, c.name, c.nepra_code, c.alias_of) for c in await tariffs.stored_categories(conn)
    )
    return Catalogue(plans, tuple(adjustment_of(record) for record in known), tuple(known), categories)


async def stored_document(conn: AsyncConnection) -> dict[str, Any]:
    """What is in the database, as a tariff file would say it, with whatever is wrong in it."""
    plans = []
    for (disco, *_), row in (await tariffs.stored_plans(conn)).items():
        aside = {"id", "disco_provider", "origin"}
        entry = {name: value for name, value in row.items() if name not in aside and value is not None}
        plans.append({"code": row["name"] or row["category"], **entry, "disco_providers": [disco]})
    adjustments = [
        {name: value for name, value in record.items() if value is not None}
        for record in await tariffs.adjustment_records(conn)
        if record["status"] != RateStatus.PENDING
    ]
    categories = [
        {name: value for name, value in c.model_dump(exclude={"has_plans"}).items() if value is not None}
        for c in await tariffs.stored_categories(conn)
    ]
    return {"categories": categories, "plans": plans, "adjustments": adjustments}


def _record_of(row: Mapping[str, Any]) -> PlanRecord:
    names = ("name", "category", "variant", "effective_from", "effective_to", "source", "rates")
    flags = ("supports_net_metering", "supports_tou")
    return PlanRecord(
        code=row["name"] or row["category"],
        status=RateStatus(row["status"]),
        disco_providers=(DiscoProvider(row["disco_provider"]),),
        **{name: row[name] for name in (*names, *flags)},
    )


def _differs(stored: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return any(_plain(stored[name]) != _plain(value) for name, value in row.items())


def _plain(value: object) -> object:
    return value.normalize() if isinstance(value, Decimal) else value


@dataclass(slots=True)
class _Work:
    """What loading has to do in one table."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[tuple[UUID, dict[str, Any]]] = field(default_factory=list)
    unchanged: int = 0
    kept: int = 0
    in_the_way: list[str] = field(default_factory=list)


def _work(
    rows: Mapping[Key, dict[str, Any]], stored: Mapping[Key, Mapping[str, Any]], tariff: Callable[..., object]
) -> _Work:
    """Compare the product's rows with the stored ones.

    Args:
        rows: of the product.
        stored: of the database.
        tariff: what versions of the same thing have in common, of a key and a row.
    """
    # Rows of this installation's own, and any that the product's data no longer knows: what they rule, they go on ruling.
    others: dict[object, list[Span]] = defaultdict(list)
    for key, old in stored.items():
        if old["origin"] == "own" or key not in rows:
            others[tariff(key, old)].append(Span(old["effective_from"], old["effective_to"]))
    work = _Work()
    for key, row in sorted(rows.items(), key=lambda item: item[0]):
        known = stored.get(key)
        if known is not None and known["origin"] == "own":
            work.kept += 1
            continue
        room = room_for(Span(row["effective_from"], row["effective_to"]), others[tariff(key, row)])
        if room is None:
            name = ", ".join(part for part in key[:3] if part not in {"all", "standard"})
            work.in_the_way.append(
                f"{name} from {key[3]} is not loaded: another record of this installation is in force on that day; end that one "
                "the day before"
            )
            continue
        wanted = {**row, "effective_to": room.last, "origin": "product"}
        if known is None:
            work.new.append(wanted)
        elif _differs(known, wanted):
            work.changed.append((known["id"], wanted))
        else:
            work.unchanged += 1
    return work


def _scope_of(key: Key, row: Mapping[str, Any]) -> object:
    parameters = row["parameters"]
    return key[0], *(
        tuple(sorted(parameters.get(name) or ())) for name in ("disco_providers", "provinces", "categories")
    )


async def load_tariffs(conn: AsyncConnection, catalogue: Catalogue | None = None) -> LoadedTariffs:
    """Add what is new in the tariff data and correct what has changed.

    What was added or corrected in this installation stays as it is: a version of the program's that it follows ends where it begins,
    and one whose first day it rules is not loaded, which the answer says.

    Args:
        conn: of a transaction; any tenant context, tariffs belong to nobody.
        catalogue: the data; None = what comes with the product.

    Raises:
        BillingError: if the data is wrong; nothing is changed then.
    """
    data = catalogue or read_catalogue()
    rows, records = all_plan_rows(data), all_adjustment_rows(data)
    await tariffs.lock_tariffs(conn)
    plans = _work(rows, await tariffs.stored_plans(conn), lambda key, _row: key[:3])
    adjustments = _work(records, await tariffs.stored_adjustments(conn), _scope_of)
    # Corrections first: a new version may begin only when the one before has been given its end.
    for plan_id, row in plans.changed:
        await tariffs.change_plan(conn, plan_id, row)
    for record_id, row in adjustments.changed:
        await tariffs.change_adjustment(conn, record_id, row)
    await tariffs.add_plans(conn, plans.new)
    await tariffs.add_adjustments(conn, adjustments.new)
    return LoadedTariffs(
        plans_added=len(plans.new),
        plans_changed=len(plans.changed),
        plans_unchanged=plans.unchanged,
        plans_kept=plans.kept,
        adjustments_added=len(adjustments.new),
        adjustments_changed=len(adjustments.changed),
        adjustments_unchanged=adjustments.unchanged,
        adjustments_kept=adjustments.kept,
        in_the_way=(*plans.in_the_way, *adjustments.in_the_way),
    )
