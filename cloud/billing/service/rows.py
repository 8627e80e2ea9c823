"""What a stored bill keeps of a simulation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cloud.billing.rules.metering.estimated import mark_estimated
from cloud.billing.rules.simulation import Simulation
from cloud.billing.schemas.bills import BillBreakdown, SavingsBreakdown


def simulated_columns(inputs: Mapping[str, Any], simulation: Simulation) -> dict[str, Any]:
    """Columns of `billing_simulations` that come from a simulation and its inputs."""
    estimated = Decimal((inputs.get("energy") or {}).get("estimated_kwh", "0"))
    return {
        "bill_breakdown": BillBreakdown.model_validate(simulation.breakdown).to_json(),
        "savings_breakdown": SavingsBreakdown.model_validate(simulation.savings).to_json(),
        "estimated_bill_pkr": simulation.bill.total_pkr,
        "estimated_savings_pkr": simulation.without.total_pkr - simulation.bill.total_pkr,
        "inputs": dict(inputs),
        "lines": mark_estimated(simulation.lines, estimated),
        "warnings": simulation.warnings,
        "content_hash": simulation.content_hash,
    }
