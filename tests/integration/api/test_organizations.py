import asyncio
from uuid import uuid4

import httpx
import pytest

from cloud.accounts.service import INVITATION_TTL
from shared.enums import OrgMemberRole, UserRole
from tests.integration.api.conftest import PASSWORD, Api, Person, World


async def test_anonymous_gets_401(api: Api) -> None:
    some = uuid4()
    for method, path, body in (
        ("GET", "/organizations", None),
        ("POST", "/organizations", {"name": "x", "slug": "x"}),
        ("GET", f"/organizations/{some}", None),
        ("PATCH", f"/organizations/{some}", {}),
        ("DELETE", f"/organizations/{some}", None),
        ("GET", f"/organizations/{some}/members", None),
        ("POST", f"/organizations/{some}/members", {"email": "a@example.com"}),
        ("PATCH", f"/organizations/{some}/members/{some}", {"role": "viewer"}),
        ("DELETE", f"/organizations/{some}/members/{some}", None),
    ):
        answer = await api.call(method, path, json=body, if_match='"1"')
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)


async def test_another_organisation_does_not_exist(world: World) -> None:
    api, there = world.api, f"/organizations/{world.other_organization_id}"
    members = (await api.call("GET", f"{there}/members", world.stranger)).json()["items"]
    own_members = f"/organizations/{world.organization_id}/members"
    for method, path, body in (
        ("GET", there, None),
        ("PATCH", there, {"name": "mine"}),
        ("DELETE", there, None),
        ("GET", f"{there}/members", None),
        ("POST", f"{there}/members", {"email": "owner@example.com"}),
        ("GET", f"{there}/members/{members[0]['id']}", None),
        # The stranger's membership under one's own organisation.
        ("GET", f"{own_members}/{members[0]['id']}", None),
        ("PATCH", f"{own_members}/{members[0]['id']}", {"role": "viewer"}),
        ("DELETE", f"{own_members}/{members[0]['id']}", None),
    ):
        answer = await api.call(method, path, world.owner, json=body, if_match='"1"')
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
    assert [o["id"] for o in (await api.call("GET", "/organizations", world.owner)).json()["items"]] == [
        str(world.organization_id)
    ]


@pytest.mark.parametrize(
    ("retention", "field"),
    [
        ({"raw_days": 44}, "raw_days"),
        ({"raw_days": 3_661}, "raw_days"),
        ({"quarter_hour_days": 399}, "quarter_hour_days"),
        ({"raw_days": 800}, "retention"),
        ({"hour_days": 700}, "retention"),
        ({"day_days": 9}, "day_days"),
    ],
)
async def test_numbers_are_kept_within_bounds(api: Api, retention: dict[str, int], field: str) -> None:
    ali = await api.person("ali@example.com")
    body = {"name": "Ravi Solar", "slug": "ravi-solar", "settings": {"retention": retention}}
    refused = await api.call("POST", "/organizations", ali, json=body)
    assert refused.status_code == 422
    assert field in refused.json()["errors"][0]["field"]


async def test_how_long_numbers_are_kept_can_be_changed(api: Api) -> None:
    ali = await api.person("ali@example.com")
    created = await api.call("POST", "/organizations", ali, json={"name": "Ravi Solar", "slug": "ravi-solar"})
    path = created.headers["location"].removeprefix("/api/v1")
    change = {"settings": {"retention": {"raw_days": 365}}}
    changed = await api.call("PATCH", path, ali, json=change, headers={"If-Match": '"1"'})
    assert changed.json()["settings"]["retention"] == {"raw_days": 365}


async def test_the_creator_owns_a_new_organisation(api: Api) -> None:
    ali = await api.person("ali@example.com")
    body = {"name": "Ravi Solar", "slug": "ravi-solar", "website": "https://example.pk", "settings": {"language": "ur"}}
    created = await api.call("POST", "/organizations", ali, json=body)
    assert created.status_code == 201, created.text
    assert created.json()["owner_id"] == str(ali.id)
    assert created.json()["settings"] == {
        "language": "ur",
        "timezone": "Asia/Karachi",
        "currency": "PKR",
        "retention": {"raw_days": 90, "quarter_hour_days": 731, "hour_days": 1827},
    }
    path = created.headers["location"].removeprefix("/api/v1")
    assert (await api.call("GET", path, ali)).headers["etag"] == '"1"'
    me = (await api.call("GET", "/auth/me", ali)).json()
    assert me["memberships"] == [{"organization_id": created.json()["id"], "role": "owner"}]
    again = await api.call("POST", "/organizations", await api.person("zara@example.com"), json=body)
    assert (again.status_code, again.json()["code"]) == (409, "slug_taken")
    renamed = await api.call("PATCH", path, ali, json={"name": "Ravi Solar (Pvt)"}, if_match='"1"')
    assert (renamed.status_code, renamed.headers["etag"]) == (200, '"2"')
    assert (await api.call("PATCH", path, ali, json={"name": "x"}, if_match='"1"')).status_code == 412
    assert (await api.call("DELETE", path, ali, if_match='"1"')).status_code == 412
    assert (await api.call("DELETE", path, ali, if_match='"2"')).status_code == 204
    assert (await api.call("GET", path, ali)).status_code == 404


async def test_an_organisation_with_sites_stays(world: World) -> None:
    path = f"/organizations/{world.organization_id}"
    answer = await world.api.call("DELETE", path, world.owner, if_match='"1"')
    assert (answer.status_code, answer.json()["code"]) == (409, "organization_has_sites")
    assert (await world.api.call("GET", path, world.owner)).status_code == 200


async def test_a_taken_slug_is_refused_on_change(world: World) -> None:
    path = f"/organizations/{world.organization_id}"
    answer = await world.api.call("PATCH", path, world.owner, json={"slug": "jhelum"}, if_match='"1"')
    assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")


async def join(api: Api, invited: httpx.Response, password: str = PASSWORD) -> httpx.Response:
    body = {"token": invited.json()["invitation_token"], "password": password}
    return await api.call("POST", "/invitations/accept", json=body)


async def test_a_person_with_an_account_joins_with_its_password(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    fitter = await api.person("fitter@example.com")
    added = await api.call("POST", path, world.owner, json={"email": "Fitter@example.com", "role": "installer"})
    assert added.status_code == 201, added.text
    assert (added.json()["first_name"], added.json()["invitation_accepted"]) == ("", False)
    # An address belongs to whoever opened the account first: membership needs the token as well.
    assert (await api.call("GET", f"/sites/{world.site['id']}", fitter)).status_code == 404
    assert (await join(api, added, "another password")).status_code == 401
    assert (await join(api, added)).status_code == 204
    assert (await api.call("GET", f"/sites/{world.site['id']}", fitter)).status_code == 200
    twice = await api.call("POST", path, world.owner, json={"email": "fitter@example.com"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_member")
    member = f"{path}/{added.json()['id']}"
    joined = await api.call("GET", member, world.owner)
    assert joined.json()["first_name"] == "fitter"
    promoted = await api.call("PATCH", member, world.owner, json={"role": "manager"}, if_match=joined.headers["etag"])
    assert (promoted.status_code, promoted.json()["role"]) == (200, "manager")
    stale = await api.call("DELETE", member, world.owner, if_match=added.headers["etag"])
    assert stale.status_code == 412
    assert (await api.call("DELETE", member, fitter, if_match=promoted.headers["etag"])).status_code == 204
    assert (await api.call("GET", f"/sites/{world.site['id']}", fitter)).status_code == 404


async def test_an_invitation_does_not_tell_whether_there_is_an_account(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    await api.person("known@example.com")
    answers = [
        await api.call("POST", path, world.owner, json={"email": f"{name}@example.com"}) for name in ("known", "other")
    ]
    known, other = ({**answer.json(), "email": ""} for answer in answers)
    own = {"id", "user_id", "invitation_token", "created_at", "updated_at"}
    assert {key: value for key, value in known.items() if key not in own} == {
        key: value for key, value in other.items() if key not in own
    }


async def test_who_made_an_invitation_cannot_guess_passwords_with_it(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    await api.person("known@example.com")
    invited = await api.call("POST", path, world.owner, json={"email": "known@example.com"})
    codes = [(await join(api, invited, f"guess number {index}")).status_code for index in range(6)]
    assert codes == [401] * 5 + [429]


async def test_an_invitation_used_twice_at_once_is_used_once(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    invited = await api.call("POST", path, world.owner, json={"email": "new@example.com"})
    answers = await asyncio.gather(*(join(api, invited, f"password number {index}") for index in range(3)))
    assert [answer.status_code for answer in answers].count(204) == 1
    login = [await log_in(api, f"password number {index}") for index in range(3)]
    assert [answer.status_code for answer in login] == [200 if a.status_code == 204 else 401 for a in answers]


async def log_in(api: Api, password: str) -> httpx.Response:
    return await api.call("POST", "/auth/login", json={"email": "new@example.com", "password": password})


async def test_an_invitation_makes_an_account_once(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    invited = await api.call("POST", path, world.owner, json={"email": "new@example.com", "role": "viewer"})
    token = invited.json()["invitation_token"]
    assert token
    assert token not in (await api.call("GET", path, world.owner)).text
    login = {"email": "new@example.com", "password": PASSWORD}
    assert (await api.call("POST", "/auth/login", json=login)).status_code == 401
    accept = {"token": token, "password": PASSWORD, "first_name": "Noor"}
    wrong = await api.call("POST", "/invitations/accept", json=accept | {"token": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "invitation_unknown")
    assert (await api.call("POST", "/invitations/accept", json=accept)).status_code == 204
    assert (await api.call("POST", "/auth/login", json=login)).status_code == 200
    used = await api.call("POST", "/invitations/accept", json=accept)
    assert used.json()["code"] == "invitation_unknown"
    member = (await api.call("GET", f"{path}/{invited.json()['id']}", world.owner)).json()
    assert (member["first_name"], member["invitation_accepted"]) == ("Noor", True)


async def test_an_invitation_expires(world: World) -> None:
    path = f"/organizations/{world.organization_id}/members"
    invited = await world.api.call("POST", path, world.owner, json={"email": "late@example.com"})
    world.api.clock.advance(seconds=INVITATION_TTL.total_seconds())
    accept = {"token": invited.json()["invitation_token"], "password": PASSWORD, "first_name": "Late"}
    answer = await world.api.call("POST", "/invitations/accept", json=accept)
    assert (answer.status_code, answer.json()["code"]) == (410, "invitation_expired")


async def test_a_second_invitation_cannot_take_over_an_account(world: World) -> None:
    api = world.api
    body = {"email": "new@example.com"}
    first = await api.call("POST", f"/organizations/{world.organization_id}/members", world.owner, json=body)
    second = await api.call("POST", f"/organizations/{world.other_organization_id}/members", world.stranger, json=body)
    accept = {"token": first.json()["invitation_token"], "password": PASSWORD, "first_name": "Noor"}
    assert (await api.call("POST", "/invitations/accept", json=accept)).status_code == 204
    theft = {"token": second.json()["invitation_token"], "password": "the thief's password", "first_name": "Thief"}
    refused = await api.call("POST", "/invitations/accept", json=theft)
    assert (refused.status_code, refused.json()["code"]) == (401, "login_failed")
    login = {"email": "new@example.com", "password": PASSWORD}
    assert (await api.call("POST", "/auth/login", json=login)).status_code == 200
    assert (await api.call("POST", "/invitations/accept", json=theft | {"password": PASSWORD})).status_code == 204


@pytest.mark.parametrize("role", [OrgMemberRole.OWNER, OrgMemberRole.ADMIN])
async def test_nobody_gives_a_role_above_the_own_or_ownership(world: World, role: OrgMemberRole) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    manager = await api.member(world.organization_id, "manager@example.com", OrgMemberRole.MANAGER)
    assert (await api.call("POST", path, manager, json={"email": "x@example.com"})).status_code == 403
    admin = await api.member(world.organization_id, "admin@example.com", OrgMemberRole.ADMIN)
    answer = await api.call("POST", path, admin, json={"email": "x@example.com", "role": role.value})
    assert answer.status_code == (403 if role is OrgMemberRole.OWNER else 201)


async def test_the_owner_cannot_be_removed_or_lowered(world: World) -> None:
    api, path = world.api, f"/organizations/{world.organization_id}/members"
    owner = (await api.call("GET", path, world.owner)).json()["items"][0]
    admin = await api.member(world.organization_id, "admin@example.com", OrgMemberRole.ADMIN)
    for person in (world.owner, admin):
        for method, body in (("DELETE", None), ("PATCH", {"role": "viewer"})):
            answer = await api.call(method, f"{path}/{owner['id']}", person, json=body, if_match='"1"')
            assert (answer.status_code, answer.json()["code"]) == (409, "owner_required")


async def test_a_super_admin_sees_every_organisation(world: World) -> None:
    boss: Person = await world.api.person("boss@example.com", role=UserRole.SUPER_ADMIN)
    listed = (await world.api.call("GET", "/organizations", boss)).json()["items"]
    assert {o["id"] for o in listed} == {str(world.organization_id), str(world.other_organization_id)}
    assert (await world.api.call("GET", f"/devices/{world.other_device['id']}", boss)).status_code == 200
