"""Other names of the case's fields: what people, bills and the database call the same thing."""

import re
from collections.abc import Mapping
from typing import Any

from cloud.billing.case_file.parts import month_entry, one_of_month, period_parts, sum_of_parts
from cloud.billing.case_file.problems import CaseError, shown, unknown_name
from cloud.billing.schemas.tariffs import TariffRates

ALIASES: Mapping[str, tuple[str, ...]] = {
    "disco_provider": ("disco", "company", "distribution_company"),
    "category": ("tariff_category", "tariff_code"),
    "tariff": ("tariff_plan",),
    "sanctioned_load_kw": ("sanctioned_load", "load_kw", "sanctioned_kw"),
    "phases": ("phase",),
    "province": ("state",),
    "period_start": ("first_day", "from", "start_date", "from_date", "billing_period_start"),
    "period_end": ("last_day", "to", "end_date", "to_date", "billing_period_end"),
    "reading_date": ("current_reading_date",),
    "bill_month": ("billing_month", "month"),
    "units": (
        "imported_kwh",
        "units_kwh",
        "import_kwh",
        "units_consumed",
        "energy_imported_kwh",
        "total_units",
        "units_imported",
        "grid_import_kwh",
    ),
    "peak_units": ("imported_peak_kwh", "peak_kwh"),
    "off_peak_units": ("offpeak_units", "off_peak_kwh", "imported_off_peak_kwh"),
    "interval_csv": ("intervals_csv", "csv"),
    "time_zone": ("timezone",),
    "max_demand_kw": ("mdi_kw", "mdi", "maximum_demand_kw"),
    "demand_history_kw": ("mdi_history", "mdi_history_kw"),
    "history": ("units_history", "billed_units", "consumption_history", "monthly_units"),
    "history_without_solar": ("units_history_without_solar",),
    "exported_kwh": (
        "export_kwh",
        "exported_units",
        "export_units",
        "energy_exported_kwh",
        "units_exported",
        "grid_export_kwh",
    ),
    "exported_peak_kwh": ("export_peak_kwh", "exported_peak_units"),
    "consumed_kwh": ("consumption_kwh", "energy_consumed_kwh"),
    "consumed_peak_kwh": ("consumption_peak_kwh",),
    "generated_kwh": ("generation_kwh", "solar_kwh", "energy_generated_kwh"),
    "export_scheme": ("scheme",),
    "contract_date": ("net_metering_since", "installation_date"),
    "surplus_kwh_brought_forward": ("ledger_kwh", "surplus_kwh", "credit_units"),
    "surplus_peak_kwh_brought_forward": ("ledger_peak_kwh",),
    "active_taxpayer": ("taxpayer_status", "taxpayer", "filer", "is_filer"),
    "protected": ("is_protected",),
    "rates_override": ("overrides", "rate_overrides"),
    "note": ("name", "comment", "reference", "description", "title"),
}
"""Field -> its other names. A case may write any of them, and one of them only."""

_FIELD_OF = {other: field for field, others in ALIASES.items() for other in others}
MONTHLY = frozenset({"history", "history_without_solar", "demand_history_kw"})
"""Fields by month: an object, or a list of `{"month": ..., "units": ...}`."""
PERIOD = "period"
"""Short for the period's two days, in an object."""


def _spread_period(document: dict[str, Any]) -> None:
    period = document.pop("period", None)
    if period is None:
        return
    names = {"start": "period_start", "end": "period_end"}
    for key, value in period_parts(period).items():
        field = names.get(key) or _FIELD_OF.get(key, key)
        if field not in {"period_start", "period_end"}:
            raise CaseError(f"period.{key}", f"period.{key} is not a field of a period; write start and end")
        _put(document, field, value, written=f"period.{key}")


def _put(document: dict[str, Any], field: str, value: object, *, written: str) -> None:
    if field in document and document[field] != value:
        raise CaseError(
            written,
            f"{written} ({shown(value)}) and {field} ({shown(document[field])}) are two names of the same field; keep one",
        )
    document[field] = value


def _spread_units(document: dict[str, Any]) -> None:
    units = document.get("units")
    if not isinstance(units, Mapping):
        return
    document.pop("units")
    names = {"peak": "peak_units", "off_peak": "off_peak_units", "offpeak": "off_peak_units", "total": "units"}
    for key, value in units.items():
        if key not in names:
            raise CaseError(f"units.{key}", f"units.{key} is not a part of the units; write peak and off_peak")
        _put(document, names[key], value, written=f"units.{key}")


def _spread_exports(document: dict[str, Any]) -> None:
    exported = document.get("exported_kwh")
    if not isinstance(exported, Mapping):
        return
    for key in exported:
        if key not in {"peak", "off_peak", "offpeak"}:
            words = f"exported_kwh.{key} is not a part of the units; write peak and off_peak"
            raise CaseError(f"exported_kwh.{key}", words)
    whole = sum_of_parts(exported)
    if whole is None:
        words = f"exported_kwh is {shown(exported)}; write peak and off_peak in it, as numbers"
        raise CaseError("exported_kwh", words)
    document["exported_kwh"] = whole[0]
    _put(document, "exported_peak_kwh", whole[1], written="exported_kwh.peak")


def _by_month(value: object) -> object:
    """A list of months as an object by month; anything else as it is."""
    if isinstance(value, Mapping):
        return {month: one_of_month(entry) for month, entry in value.items()}
    entries = [month_entry(entry) for entry in value] if isinstance(value, list) else []
    if not entries or None in entries:
        return value
    result: dict[str, Any] = {}
    for month, number in (entry for entry in entries if entry is not None):
        _put(result, month, number, written=f"a second entry of {month}")
    return result


def _with_rates(tariff: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tariff whose rates stand in it without an object of their own."""
    inside = {name: value for name, value in tariff.items() if name in TariffRates.model_fields}
    if "rates" in tariff or not inside:
        return tariff
    return {**{name: value for name, value in tariff.items() if name not in inside}, "rates": inside}


def _spread_tariff(document: dict[str, Any]) -> None:
    tariff = document.get("tariff")
    if isinstance(tariff, str):
        # A code names the tariff as a category does; both are read by the same list of names.
        document["tariff_name"] = document.pop("tariff")
    elif tariff is not None and not isinstance(tariff, Mapping):
        raise CaseError(
            "tariff", f"tariff is {shown(tariff)}; write a tariff's code as text, or an object with its rates"
        )
    elif tariff is not None:
        document["tariff"] = _with_rates(tariff)
    if "rates" in document and ("tariff" in document or "tariff_name" in document):
        raise CaseError("rates", "rates stands beside a tariff; keep one of them (the rates may stand in tariff.rates)")


def _as_written_here(name: str, known: frozenset[str] | set[str]) -> str:
    """`Sanctioned Load kW` and `sanctionedLoadKw` are `sanctioned_load_kw`; a name that this makes no field stays as it is."""
    if name in known:
        return name
    plain = re.sub(r"[\s\-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower()
    return plain if plain in known else name


def canonical(document: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The case with each field under its own name; a field that is null counts as not given.

    Args:
        document: as people wrote it.
        known: names of the fields.

    Raises:
        CaseError: for a name that the format does not have, or two names of one field with different values.
    """
    every = (known - {"tariff_name"}) | set(_FIELD_OF) | {PERIOD}
    result: dict[str, Any] = {}
    for said, value in document.items():
        written = _as_written_here(said, every)
        if written.startswith("_") or value is None:
            continue  # a comment, or a field left empty
        if written not in every:
            raise CaseError(written, unknown_name(written, every))
        _put(result, _FIELD_OF.get(written, written), value, written=written)
    _spread_period(result)
    _spread_units(result)
    _spread_exports(result)
    _spread_tariff(result)
    for name in MONTHLY & result.keys():
        result[name] = _by_month(result[name])
    return result


def written_name(field: str, document: Mapping[str, Any]) -> str:
    """How the document calls a field."""
    others = (field, *ALIASES.get(field, ()), *({"tariff_name": ("tariff", "tariff_plan")}.get(field, ())))
    said = {_as_written_here(name, frozenset(others)): name for name in document}
    return next((said[other] for other in others if other in said), field)
