"""What `solarhub bill --example` and `--schema` print."""

import json

from cloud.billing.case_file.shape import EXAMPLE, CaseFile


def example_json() -> str:
    """The example, as a file."""
    return json.dumps(EXAMPLE, indent=2, ensure_ascii=False)


def schema_json() -> str:
    """The JSON Schema of a case."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **CaseFile.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False)
