from uuid import uuid4

import pytest

from cloud.auth.rules import ROLE_ACTIONS, Action, authorize, authorize_platform, is_allowed, may_assign, scope_for
from cloud.auth.schemas import Membership, Principal
from cloud.core.errors import ForbiddenError, NotFoundError
from shared.enums import OrgMemberRole

O, A, M, V, I = (  # noqa: E741 -- column heads of the table below
    OrgMemberRole.OWNER,
    OrgMemberRole.ADMIN,
    OrgMemberRole.MANAGER,
    OrgMemberRole.VIEWER,
    OrgMemberRole.INSTALLER,
)

# Written out once more, cell by cell, from what each role is for.
TABLE = {
    "organization.read": (O, A, M, V, I),
    "organization.update": (O, A),
    "organization.delete": (O,),
    "member.read": (O, A, M, V),
    "member.manage": (O, A),
    "site.read": (O, A, M, V, I),
    "site.create": (O, A, M),
    "site.update": (O, A, M),
    "site.delete": (O, A),
    "device.read": (O, A, M, V, I),
    "device.write": (O, A, M, I),
    "gateway.read": (O, A, M, V, I),
    "gateway.manage": (O, A, M, I),
    "telemetry.read": (O, A, M, V, I),
    "alert.read": (O, A, M, V, I),
    "alert.handle": (O, A, M, I),
    "rule.read": (O, A, M, V, I),
    "rule.write": (O, A, M),
    "tariff.read": (O, A, M, V),
    "tariff.write": (),
    "bill.read": (O, A, M, V),
    "bill.create": (O, A, M),
    "report.read": (O, A, M, V),
    "report.create": (O, A, M),
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(Action)
    assert set(ROLE_ACTIONS) == set(OrgMemberRole)


@pytest.mark.parametrize("role", OrgMemberRole)
@pytest.mark.parametrize("action", Action)
def test_each_cell(role: OrgMemberRole, action: Action) -> None:
    assert is_allowed(role, action) is (role in TABLE[action])


def test_an_installer_sees_no_money() -> None:
    assert not [action for action in ROLE_ACTIONS[I] if action.startswith(("bill", "tariff", "report"))]


@pytest.mark.parametrize("action", Action)
def test_a_stranger_hears_that_there_is_nothing(action: Action) -> None:
    stranger = Principal(uuid4(), "x@example.com", memberships=(Membership(uuid4(), O),))
    with pytest.raises(NotFoundError):
        authorize(stranger, action, uuid4())


def test_a_member_without_the_right_hears_why() -> None:
    organization = uuid4()
    viewer = Principal(uuid4(), "v@example.com", memberships=(Membership(organization, V),))
    with pytest.raises(ForbiddenError) as caught:
        authorize(viewer, Action.SITE_CREATE, organization)
    assert caught.value.extra == {"action": "site.create", "role": "viewer"}
    authorize(viewer, Action.SITE_READ, organization)


def test_a_scope_holds_the_organisations_that_allow_it() -> None:
    ours, theirs = uuid4(), uuid4()
    person = Principal(uuid4(), "p@example.com", memberships=(Membership(ours, M), Membership(theirs, I)))
    assert scope_for(person, Action.SITE_READ).organization_ids == {ours, theirs}
    bills = scope_for(person, Action.BILL_READ)
    assert bills.covers(ours)
    assert not bills.covers(theirs)
    with pytest.raises(ForbiddenError):
        scope_for(person, Action.ORGANIZATION_DELETE)
    nobody = Principal(uuid4(), "n@example.com")
    assert scope_for(nobody, Action.SITE_READ).organization_ids == frozenset()


def test_a_super_admin_may_everything_everywhere() -> None:
    boss = Principal(uuid4(), "b@example.com", is_super_admin=True)
    for action in Action:
        authorize(boss, action, uuid4())
        assert scope_for(boss, action).covers(uuid4())


def test_what_all_share_is_for_super_admins_alone() -> None:
    authorize_platform(Principal(uuid4(), "b@example.com", is_super_admin=True), Action.TARIFF_WRITE)
    owner = Principal(uuid4(), "o@example.com", memberships=(Membership(uuid4(), O),))
    for person in (owner, Principal(uuid4(), "n@example.com")):
        with pytest.raises(ForbiddenError, match="super administrator") as caught:
            authorize_platform(person, Action.TARIFF_WRITE)
        assert caught.value.extra == {"action": "tariff.write"}


@pytest.mark.parametrize("assigner", OrgMemberRole)
def test_nobody_gives_ownership_or_more_than_the_own(assigner: OrgMemberRole) -> None:
    order = [I, V, M, A, O]
    for role in OrgMemberRole:
        expected = role is not O and order.index(role) <= order.index(assigner)
        assert may_assign(assigner, role) is expected
