"""A case to begin with: a real K-Electric bill of June 2026."""

import json
from collections.abc import Mapping
from typing import Any

from cloud.billing.case_file.shape import CaseFile

EXAMPLE: Mapping[str, Any] = {
    "note": "K-Electric, un-protected home, bill of June 2026: PKR 14,096.48",
    "disco_provider": "kelectric",
    "category": "A-1(a)",
    "sanctioned_load_kw": 4,
    "phases": 1,
    "province": "sindh",
    "period_start": "2026-05-24",
    "period_end": "2026-06-23",
    "units": 289,
    "history": {"2026-04": 216},
    "export_scheme": "none",
    "active_taxpayer": True,
}


def example_json() -> str:
    """The example, as a file."""
    return json.dumps(EXAMPLE, indent=2, ensure_ascii=False)


def schema_json() -> str:
    """The JSON Schema of a case."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **CaseFile.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False)
