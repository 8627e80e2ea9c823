"""Brings the product's tariff data into the database; twice is once."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.catalogue import Catalogue, CategoryRecord, PlanRecord, read_catalogue
from cloud.billing.repository import tariffs
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, AdjustmentKind, RateStatus
from cloud.billing.rules.records import adjustment_of
from cloud.billing.rules.simulation import adjustment_json
from cloud.billing.schemas.tariffs import LoadedTariffs, TariffRates
from cloud.core.discos import DiscoProvider

_UNITS = {
    AdjustmentKind.DUTY: "percent",
    AdjustmentKind.GST: "percent",
    AdjustmentKind.MUNICIPAL: "pkr_by_units",
    AdjustmentKind.TV_FEE: "pkr_per_month",
    AdjustmentKind.INCOME_TAX: "pkr_by_amount",
}
_SCOPES = ("disco_providers", "provinces", "categories", "excluded_categories", "bands")

Key = tuple[str, str, str, date]
"""Company, category, variant (or kind, scope, consumers) and first day: what makes a record the same one."""


def plan_rows(record: PlanRecord) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Rows of `tariff_plans` for one record: one for each company."""
    rates = TariffRates.model_validate(record.rates).to_json()
    for disco in record.disco_providers:
        yield (
            (disco.value, record.category, record.variant, record.effective_from),
            {
                "disco_provider": disco.value,
                "category": record.category,
                "variant": record.variant,
                "name": record.name,
                "effective_from": record.effective_from,
                "effective_to": record.effective_to,
                "rates": rates,
                "supports_net_metering": record.supports_net_metering,
                "supports_tou": record.supports_tou,
                "source": record.source,
                "status": record.status.value,
            },
        )


def adjustment_row(record: Adjustment, *, province: str | None) -> tuple[Key, dict[str, Any]]:
    """Row of `tariff_adjustments` for one record (in one of its provinces)."""
    document = adjustment_json(record)
    if province is not None:
        document["provinces"] = [province]
    only_disco = next(iter(record.disco_providers)) if len(record.disco_providers) == 1 else None
    scope = province or only_disco or "all"
    consumers = min(record.categories).partition("_")[0] if record.categories else "all"
    row = {
        "kind": record.kind.value,
        "scope": scope,
        "consumers": consumers,
        "effective_from": record.effective_from,
        "effective_to": record.effective_to,
        "rate": record.rate,
        "unit": _UNITS.get(record.kind, "pkr_per_kwh"),
        "parameters": {name: document[name] for name in _SCOPES if document[name]},
        "source": record.source,
        "status": record.status.value,
    }
    return (record.kind.value, scope, consumers, record.effective_from), row


def all_plan_rows(catalogue: Catalogue) -> dict[Key, dict[str, Any]]:
    """Rows of `tariff_plans` for all plans."""
    return dict(item for record in catalogue.plans for item in plan_rows(record))


def all_adjustment_rows(catalogue: Catalogue) -> dict[Key, dict[str, Any]]:
    """Rows of `tariff_adjustments` for all dated records.

    Raises:
        BillingError: if two records would be one row.
    """
    rows: dict[Key, dict[str, Any]] = {}
    for record in catalogue.adjustments:
        provinces: list[str | None] = [*sorted(record.provinces)] or [None]
        for province in provinces:
            key, row = adjustment_row(record, province=province)
            if key in rows:
                raise BillingError(
                    f"tariff data: {record.kind.value} from {record.effective_from} stands there twice for {key[1]}, {key[2]}; "
                    "keep one of them"
                )
            rows[key] = row
    return rows


async def stored_catalogue(conn: AsyncConnection) -> Catalogue:
    """What is in the database, in the form of the product's data; versions that are alike at several companies are one.

    Raises:
        BillingError: if a stored record is wrong.
    """
    alike: dict[tuple[object, ...], list[DiscoProvider]] = {}
    records: dict[tuple[object, ...], PlanRecord] = {}
    for (disco, *_), row in (await tariffs.stored_plans(conn)).items():
        key = tuple(repr(value) for name, value in row.items() if name not in {"id", "disco_provider"})
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
        entry = {
            name: value for name, value in row.items() if name not in {"id", "disco_provider"} and value is not None
        }
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


async def load_tariffs(conn: AsyncConnection, catalogue: Catalogue | None = None) -> LoadedTariffs:
    """Add what is new in the tariff data and correct what has changed; records of other origin stay.

    Args:
        conn: of a transaction; any tenant context, tariffs belong to nobody.
        catalogue: the data; None = what comes with the product.

    Raises:
        BillingError: if the data is wrong; nothing is changed then.
    """
    data = catalogue or read_catalogue()
    plans, adjustments = all_plan_rows(data), all_adjustment_rows(data)
    await tariffs.lock_tariffs(conn)
    old_plans = await tariffs.stored_plans(conn)
    old_adjustments = await tariffs.stored_adjustments(conn)
    changed_plans = {key for key in plans.keys() & old_plans.keys() if _differs(old_plans[key], plans[key])}
    changed = {
        key for key in adjustments.keys() & old_adjustments.keys() if _differs(old_adjustments[key], adjustments[key])
    }
    # Corrections first: a new version may begin only when the one before has been given its end.
    for key in sorted(changed_plans):
        await tariffs.change_plan(conn, old_plans[key]["id"], plans[key])
    for key in sorted(changed):
        await tariffs.change_adjustment(conn, old_adjustments[key]["id"], adjustments[key])
    new_plans = [plans[key] for key in sorted(plans.keys() - old_plans.keys())]
    new_adjustments = [adjustments[key] for key in sorted(adjustments.keys() - old_adjustments.keys())]
    await tariffs.add_plans(conn, new_plans)
    await tariffs.add_adjustments(conn, new_adjustments)
    return LoadedTariffs(
        plans_added=len(new_plans),
        plans_changed=len(changed_plans),
        plans_unchanged=len(plans) - len(new_plans) - len(changed_plans),
        adjustments_added=len(new_adjustments),
        adjustments_changed=len(changed),
        adjustments_unchanged=len(adjustments) - len(new_adjustments) - len(changed),
    )
