"""Tariff data as rows of the database, and what makes two rows the same record; nothing here asks a database."""

from collections.abc import Iterable, Iterator
from datetime import date
from hashlib import sha256
from typing import Any

from cloud.billing.catalogue import Catalogue, PlanRecord
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.model import Adjustment, AdjustmentKind
from cloud.billing.rules.simulation import adjustment_json
from cloud.billing.schemas.tariffs import TariffRates

_UNITS = {
    AdjustmentKind.DUTY: "percent",
    AdjustmentKind.GST: "percent",
    AdjustmentKind.MUNICIPAL: "pkr_by_units",
    AdjustmentKind.TV_FEE: "pkr_per_month",
    AdjustmentKind.INCOME_TAX: "pkr_by_amount",
}
_SCOPE_CHARS = 40
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


def _short(words: Iterable[str]) -> str:
    """Words of a scope in the 40 characters that its column has."""
    joined = "+".join(sorted(words))
    return (
        joined
        if len(joined) <= _SCOPE_CHARS
        else f"{joined[: _SCOPE_CHARS - 9]}…{sha256(joined.encode()).hexdigest()[:8]}"
    )


def adjustment_row(record: Adjustment, *, province: str | None) -> tuple[Key, dict[str, Any]]:
    """Row of `tariff_adjustments` for one record (in one of its provinces)."""
    document = adjustment_json(record)
    if province is not None:
        document["provinces"] = [province]
    scope = province or _short(record.disco_providers) or "all"
    # One category is named; of several their group, since the product's records are for groups.
    consumers = min(record.categories) if record.categories else "all"
    if len(record.categories) > 1:
        consumers = consumers.partition("_")[0]
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
