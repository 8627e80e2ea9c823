"""Every operation of the API's own description, asked by nobody and by somebody of another organisation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from cloud.web.limits import Rate
from shared.wire import CLAIM_CODE_PATTERN
from tests.integration.api.conftest import Api, Person, World

METHODS = ("get", "post", "put", "patch", "delete")
# Who has no account yet: these recognise the caller by a one-time secret in the body, or tell nothing about anybody.
OPEN = {"/healthz", "/readyz", "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout"}
OPEN_WITH_TOKEN = {"/api/v1/invitations/accept", "/api/v1/edge/claim"}


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method, path, item[method])


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def sample(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value of a schema: its example, or the least that it takes."""
    schema = resolve(document, schema)
    if "example" in schema:
        return schema["example"]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return sample(document, schema[choice][0])
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: sample(document, fields[name]) for name in schema.get("required", ())}
        case "array":
            return [sample(document, schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case _:
            if schema.get("pattern") == CLAIM_CODE_PATTERN:
                return "ABCD-2345"
            formats = {"uuid": str(uuid4()), "date-time": "2026-06-01T07:00:00Z", "date": "2026-06-01"}
            return formats.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))


def body_of(document: dict[str, Any], operation: Operation) -> Any:
    content = operation.spec.get("requestBody", {}).get("content", {})
    return sample(document, content["application/json"]["schema"]) if "application/json" in content else None


def query_of(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    return {
        parameter["name"]: sample(document, parameter["schema"])
        for parameter in operation.spec.get("parameters", ())
        if parameter["in"] == "query" and parameter.get("required")
    }


def ids_of(world: World) -> dict[str, str]:
    """Ids of the other organisation, by the name of the path's parameter; what it has none of is unknown to everybody."""
    return {
        "organization_id": str(world.other_organization_id),
        "site_id": world.other_site["id"],
        "device_id": world.other_device["id"],
    }


def filled(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + str(uuid4()) + rest.partition("}")[2]
    return path


async def test_nobody_gets_anything(api: Api) -> None:
    document = api.app.openapi()
    answered = {}
    for operation in operations(document):
        if operation.path in OPEN:
            continue
        answer = await api.http.request(
            operation.method,
            filled(operation.path, {}),
            json=body_of(document, operation),
            params=query_of(document, operation),
            headers={"If-Match": '"1"'},
        )
        expected = {404, 410, 401} if operation.path in OPEN_WITH_TOKEN else {401}
        if answer.status_code not in expected:
            answered[str(operation)] = (answer.status_code, answer.text)
    assert not answered


async def test_something_of_another_organisation_does_not_exist(world: World) -> None:
    api, document = world.api, world.api.app.openapi()
    answered = {}
    tried = 0
    for operation in operations(document):
        if "{" not in operation.path or operation.path.startswith("/api/v1/edge/"):
            continue
        tried += 1
        answer = await api.http.request(
            operation.method,
            filled(operation.path, ids_of(world)),
            json=body_of(document, operation),
            params=query_of(document, operation),
            headers={**world.owner.headers, "If-Match": '"1"'},
        )
        if (answer.status_code, answer.json()["code"]) != (404, "not_found"):
            answered[str(operation)] = (answer.status_code, answer.text)
    assert not answered
    assert tried > 15


FOREIGN_FIELDS = ("organization_id", "site_id", "device_id")


async def test_ids_of_another_organisation_in_a_body_or_a_filter_do_not_exist(world: World) -> None:
    api, document = world.api, world.api.app.openapi()
    own = {"organization_id": str(world.organization_id), "site_id": world.site["id"], "device_id": world.device["id"]}
    answered = {}
    tried = set()
    for operation in operations(document):
        if operation.path.startswith("/api/v1/edge/") or operation.path in OPEN | OPEN_WITH_TOKEN:
            continue
        body = body_of(document, operation)
        names = {p["name"] for p in operation.spec.get("parameters", ()) if p["in"] == "query"}
        fields = set(body) if isinstance(body, dict) and operation.method == "post" else set()
        for field in FOREIGN_FIELDS:
            if field not in names | fields:
                continue
            tried.add(f"{operation} {field}")
            foreign = ids_of(world)[field]
            sent = {**body, **{f: own[f] for f in fields & own.keys()}, field: foreign} if field in fields else body
            answer = await api.http.request(
                operation.method,
                filled(operation.path, own),
                json=sent,
                params={**query_of(document, operation), **({field: foreign} if field in names else {})},
                headers=world.owner.headers,
            )
            if answer.status_code != 404:
                answered[f"{operation} {field}"] = (answer.status_code, answer.text)
    assert not answered
    assert {
        "POST /api/v1/sites organization_id",
        "POST /api/v1/devices site_id",
        "GET /api/v1/devices site_id",
    } <= tried


# What no field of ours takes as it is, or takes and can store: nothing in between.
NONSENSE: tuple[Any, ...] = (
    None,
    "\0",
    "\ud800",
    "x" * 400,
    -1,
    2**63,
    [None],
    {"\0": "\0"},
    "0001-01-01",
    "9999-12-31",
)


async def version_of(api: Api, path: str, person: Person) -> str:
    answer = await api.http.get(path, headers=person.headers)
    return answer.headers.get("etag", '"1"')


@pytest.mark.slow
@pytest.mark.timeout(300)  # thousands of requests
async def test_nonsense_in_any_field_is_refused_by_name(world: World) -> None:
    api, document = world.api, world.api.app.openapi()
    own = {"organization_id": str(world.organization_id), "site_id": world.site["id"], "device_id": world.device["id"]}
    rule = await api.call(
        "POST",
        f"/organizations/{world.organization_id}/alert-rules",
        world.owner,
        json={"name": "x", "condition": {"metric": "ac_power_kw", "operator": "lt", "threshold": 1}},
    )
    ids = own | {"rule_id": rule.json()["id"]}
    answered: dict[str, Any] = {}
    tried = 0
    for operation in operations(document):
        body = body_of(document, operation)
        if operation.path.startswith("/api/v1/edge/") or body is None:
            continue
        schema = resolve(document, operation.spec["requestBody"]["content"]["application/json"]["schema"])
        for field in schema["properties"]:
            await api.services.limiter.reset(Rate("account", 1, 60), str(world.owner.id))
            for value in NONSENSE:
                tried += 1
                path = filled(operation.path, ids)
                version = await version_of(api, path, world.owner) if operation.method == "patch" else ""
                sent = {**body, **{name: own[name] for name in body.keys() & own.keys()}, field: value}
                answer = await api.http.request(
                    operation.method,
                    path,
                    content=json.dumps(sent),
                    headers={**world.owner.headers, "If-Match": version, "Content-Type": "application/json"},
                )
                unnamed = answer.status_code == 422 and not answer.json().get("errors")
                if answer.status_code >= 500 or unnamed:
                    answered[f"{operation} {field}={str(value)[:20]!r}"] = (answer.status_code, answer.text[:200])
    assert not answered
    assert tried > 500


async def test_every_operation_is_described(api: Api) -> None:
    document = api.app.openapi()
    assert document["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for operation in operations(document):
        assert operation.spec.get("description"), operation
        assert operation.spec["tags"], operation
        if operation.path.startswith("/api/v1/"):
            problem = operation.spec["responses"]["4XX"]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/assets/swagger-ui-bundle.js", "/docs/assets/start.js", "/openapi.json"]
)
async def test_the_page_needs_nothing_from_elsewhere(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert answer.status_code == 200
    if path == "/docs":
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
