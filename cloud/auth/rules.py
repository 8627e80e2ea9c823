"""What each role may do inside its organisation: one table, role × action."""

from enum import StrEnum
from uuid import UUID

from cloud.auth.schemas import Principal, Scope
from cloud.core.errors import ForbiddenError, NotFoundError
from shared.enums import OrgMemberRole


class Action(StrEnum):
    """Everything that a role can be allowed to do."""

    ORGANIZATION_READ = "organization.read"
    ORGANIZATION_UPDATE = "organization.update"
    ORGANIZATION_DELETE = "organization.delete"
    MEMBER_READ = "member.read"
    MEMBER_MANAGE = "member.manage"
    SITE_READ = "site.read"
    SITE_CREATE = "site.create"
    SITE_UPDATE = "site.update"
    SITE_DELETE = "site.delete"
    DEVICE_READ = "device.read"
    DEVICE_WRITE = "device.write"
    GATEWAY_READ = "gateway.read"
    GATEWAY_MANAGE = "gateway.manage"
    TELEMETRY_READ = "telemetry.read"
    ALERT_READ = "alert.read"
    ALERT_HANDLE = "alert.handle"
    RULE_READ = "rule.read"
    RULE_WRITE = "rule.write"
    TARIFF_READ = "tariff.read"
    TARIFF_WRITE = "tariff.write"
    """Of no role: tariffs are everybody's, so the platform's super administrators keep them; see `authorize_platform`."""
    BILL_READ = "bill.read"
    BILL_CREATE = "bill.create"
    REPORT_READ = "report.read"
    REPORT_CREATE = "report.create"


_A = Action
_SEE_PLANT = frozenset(
    {
        _A.ORGANIZATION_READ,
        _A.SITE_READ,
        _A.DEVICE_READ,
        _A.GATEWAY_READ,
        _A.TELEMETRY_READ,
        _A.ALERT_READ,
        _A.RULE_READ,
    }
)
_SEE_MONEY = frozenset({_A.TARIFF_READ, _A.BILL_READ, _A.REPORT_READ})
_VIEW = _SEE_PLANT | _SEE_MONEY | {_A.MEMBER_READ}
_SET_UP = frozenset({_A.DEVICE_WRITE, _A.GATEWAY_MANAGE, _A.ALERT_HANDLE})
_MANAGE = _VIEW | _SET_UP | {_A.SITE_CREATE, _A.SITE_UPDATE, _A.RULE_WRITE, _A.BILL_CREATE, _A.REPORT_CREATE}
_ADMINISTER = _MANAGE | {_A.ORGANIZATION_UPDATE, _A.MEMBER_MANAGE, _A.SITE_DELETE}

ROLE_ACTIONS: dict[OrgMemberRole, frozenset[Action]] = {
    OrgMemberRole.OWNER: _ADMINISTER | {_A.ORGANIZATION_DELETE},
    OrgMemberRole.ADMIN: _ADMINISTER,
    OrgMemberRole.MANAGER: _MANAGE,
    OrgMemberRole.VIEWER: _VIEW,
    # An installer sees and sets up the plant; what it earns and costs is the customer's own business.
    OrgMemberRole.INSTALLER: _SEE_PLANT | _SET_UP,
}
"""The whole of authorisation inside an organisation; the tests repeat it cell by cell."""

_RANK = (OrgMemberRole.INSTALLER, OrgMemberRole.VIEWER, OrgMemberRole.MANAGER, OrgMemberRole.ADMIN, OrgMemberRole.OWNER)


def is_allowed(role: OrgMemberRole, action: Action) -> bool:
    """One cell of the table."""
    return action in ROLE_ACTIONS[role]


def scope_for(principal: Principal, action: Action) -> Scope:
    """The organisations in which the person may do this.

    Raises:
        ForbiddenError: if the person belongs to organisations, but may do it in none of them.
    """
    if principal.is_super_admin:
        return Scope(everything=True)
    ids = frozenset(m.organization_id for m in principal.memberships if is_allowed(m.role, action))
    if principal.memberships and not ids:
        raise _forbidden(action, principal.memberships[0].role)
    return Scope(organization_ids=ids)


def authorize(principal: Principal, action: Action, organization_id: UUID) -> None:
    """Check one action on something of one organisation.

    Raises:
        NotFoundError: for a stranger to the organisation, who must not even learn that the thing exists.
        ForbiddenError: for a member whose role does not include the action.
    """
    if principal.is_super_admin:
        return
    role = principal.role_in(organization_id)
    if role is None:
        raise NotFoundError
    if not is_allowed(role, action):
        raise _forbidden(action, role)


def authorize_platform(principal: Principal, action: Action) -> None:
    """Check an action on what all organisations share.

    Raises:
        ForbiddenError: for everybody but the platform's super administrators.
    """
    if not principal.is_super_admin:
        raise ForbiddenError(
            f"{action.value!r} changes what all organisations share; ask a super administrator of the platform.",
            extra={"action": action.value},
        )


def may_assign(assigner: OrgMemberRole, role: OrgMemberRole) -> bool:
    """Whether a member may give or take this role: never one above the own, and ownership only through a transfer."""
    return role is not OrgMemberRole.OWNER and _RANK.index(role) <= _RANK.index(assigner)


def _forbidden(action: Action, role: OrgMemberRole) -> ForbiddenError:
    return ForbiddenError(
        f"The role {role.value!r} does not include {action.value!r}; ask an owner or administrator of the organisation.",
        extra={"action": action.value, "role": role.value},
    )
