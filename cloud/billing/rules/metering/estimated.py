"""Lines that stand on estimated units say so."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cloud.billing.rules.kinds import LineKind, RateStatus
from cloud.billing.rules.money import number_text

BY_UNITS = frozenset({LineKind.ENERGY, LineKind.QTA, LineKind.SURCHARGE})
"""Kinds that are priced by this period's units. Taxes are on these lines; what they are on is said there."""


def mark_estimated(lines: Iterable[Mapping[str, Any]], estimated_kwh: Decimal) -> list[dict[str, Any]]:
    """Give lines that stand on partly estimated units the status `estimated`; a pending line stays pending.

    Args:
        lines: as `breakdown.line_json` writes them.
        estimated_kwh: part of the period's units that was not measured.
    """
    found = [dict(line) for line in lines]
    if not estimated_kwh:
        return found
    for line in found:
        if line["kind"] in BY_UNITS and line["status"] != RateStatus.PENDING:
            line["status"] = RateStatus.ESTIMATED.value
            line["base"] = f"{line['base']}, of which {number_text(estimated_kwh)} kWh of the import are estimated"
    return found
