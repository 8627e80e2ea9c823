from typing import Any
from uuid import uuid4

import pytest

from shared.enums import OrgMemberRole
from tests.integration.api.conftest import World


async def test_anonymous_gets_401_with_a_challenge(world: World) -> None:
    for method, path in (("GET", "/sites"), ("POST", "/sites"), ("GET", f"/sites/{world.site['id']}")):
        answer = await world.api.call(method, path, json={} if method == "POST" else None)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


async def test_another_organisations_site_does_not_exist(world: World) -> None:
    path = f"/sites/{world.other_site['id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = await world.api.call(method, path, world.owner, json=body, if_match='"1"')
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    unknown = await world.api.call("GET", f"/sites/{uuid4()}", world.owner)
    assert unknown.json() | {"correlation_id": ""} == answer.json() | {"correlation_id": ""}
    listed = await world.api.call("GET", "/sites", world.owner)
    assert [site["id"] for site in listed.json()["items"]] == [world.site["id"]]


async def test_a_site_cannot_be_made_in_another_organisation(world: World) -> None:
    body = {"organization_id": str(world.other_organization_id), "name": "x"}
    assert (await world.api.call("POST", "/sites", world.owner, json=body)).status_code == 404


async def test_create_read_change_decommission(world: World) -> None:
    api = world.api
    created = await api.call(
        "POST",
        "/sites",
        world.owner,
        json={
            "organization_id": str(world.organization_id),
            "name": "  Home in Model Town ",
            "address": {"city": "Lahore"},
            "latitude": 31.52,
            "longitude": 74.36,
            "configuration": {"system_capacity_kw": 10, "disco_provider": "lesco", "tariff_category": "commercial_b2"},
        },
    )
    assert created.status_code == 201
    assert created.json()["name"] == "Home in Model Town"
    assert created.headers["etag"] == '"1"'
    path = created.headers["location"].removeprefix("/api/v1")
    read = await api.call("GET", path, world.owner)
    assert read.json() == created.json()
    changed = await api.call("PATCH", path, world.owner, json={"latitude": None, "name": "Home"}, if_match='"1"')
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["latitude"], changed.json()["version"]) == ("Home", None, 2)
    assert changed.json()["address"]["city"] == "Lahore"
    assert changed.headers["etag"] == '"2"'
    gone = await api.call("DELETE", path, world.owner, if_match='"2"')
    assert gone.status_code == 204
    assert (await api.call("GET", path, world.owner)).json()["status"] == "decommissioned"
    visible = (await api.call("GET", "/sites", world.owner)).json()["items"]
    assert created.json()["id"] not in [site["id"] for site in visible]
    retired = await api.call("GET", "/sites", world.owner, params={"status": "decommissioned"})
    assert [site["id"] for site in retired.json()["items"]] == [created.json()["id"]]


async def test_if_match_is_required_and_a_stale_version_is_refused(world: World) -> None:
    api, path = world.api, f"/sites/{world.site['id']}"
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        missing = await api.call(method, path, world.owner, json=body)
        assert (missing.status_code, missing.json()["code"]) == (428, "if_match_required")
        anything = await api.call(method, path, world.owner, json=body, if_match="*")
        assert anything.status_code == 428
        foreign = await api.call(method, path, world.owner, json=body, if_match='W/"abc"')
        assert (foreign.status_code, foreign.json()["code"]) == (412, "version_stale")
    assert (await api.call("PATCH", path, world.owner, json={"name": "first"}, if_match='"1"')).status_code == 200
    second = await api.call("PATCH", path, world.owner, json={"name": "second"}, if_match='"1"')
    assert (second.status_code, second.json()["current_version"]) == (412, 2)
    assert (await api.call("GET", path, world.owner)).json()["name"] == "first"


async def test_an_empty_change_changes_nothing(world: World) -> None:
    answer = await world.api.call("PATCH", f"/sites/{world.site['id']}", world.owner, json={}, if_match='"1"')
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nul\u0000"}, "name"),
        ({"name": None}, "name"),
        ({"timezone": "Asia/Lahore"}, "timezone"),
        ({"latitude": 91}, "latitude"),
        ({"configuration": {"panel_count": -1}}, "configuration.panel_count"),
        ({"configuration": {"no_such": 1}}, "configuration.no_such"),
        ({"organization_id": "01980a5c-6f0b-7c3e-9f5e-0d7a4b2f8c11"}, "organization_id"),
        ({"version": 7}, "version"),
    ],
)
async def test_a_wrong_field_is_named(world: World, body: dict[str, Any], field: str) -> None:
    answer = await world.api.call("PATCH", f"/sites/{world.site['id']}", world.owner, json=body, if_match='"1"')
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert any(problem["field"] == field or field in problem["message"] for problem in answer.json()["errors"]), (
        answer.text
    )


async def test_roles(world: World) -> None:
    api, path = world.api, f"/sites/{world.site['id']}"
    allowed = {
        OrgMemberRole.ADMIN: (200, 200, 204),
        OrgMemberRole.MANAGER: (200, 200, 403),
        OrgMemberRole.VIEWER: (200, 403, 403),
        OrgMemberRole.INSTALLER: (200, 403, 403),
    }
    for role in reversed(allowed):
        person = await api.member(world.organization_id, f"{role.value}@example.com", role)
        read = await api.call("GET", path, person)
        changed = await api.call("PATCH", path, person, json={"description": role.value}, if_match=read.headers["etag"])
        now = (await api.call("GET", path, person)).headers["etag"]
        deleted = await api.call("DELETE", path, person, if_match=now)
        assert (read.status_code, changed.status_code, deleted.status_code) == allowed[role], role
        if role is OrgMemberRole.VIEWER:
            assert (changed.json()["action"], changed.json()["role"]) == ("site.update", "viewer")


async def test_filters_and_orders(world: World) -> None:
    api = world.api
    for name in ("Bahria 100%", "Askari"):
        body = {"organization_id": str(world.organization_id), "name": name}
        assert (await api.call("POST", "/sites", world.owner, json=body)).status_code == 201

    async def names(**params: Any) -> list[str]:
        answer = await api.call("GET", "/sites", world.owner, params=params)
        assert answer.status_code == 200, answer.text
        return [site["name"] for site in answer.json()["items"]]

    assert await names(sort="name") == ["Askari", "Bahria 100%", "Site one"]
    assert await names(sort="-created") == ["Askari", "Bahria 100%", "Site one"]
    assert await names(name_contains="0%") == ["Bahria 100%"]
    assert await names(name_contains="_") == []
    assert await names(organization_id=str(world.organization_id), limit=1) == ["Site one"]
    foreign = await api.call("GET", "/sites", world.owner, params={"organization_id": str(world.other_organization_id)})
    assert foreign.status_code == 404
