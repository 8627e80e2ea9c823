"""What may happen to organisations and memberships."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.accounts import repository
from cloud.accounts.repository import Invitation
from cloud.accounts.schemas import AcceptIn, MemberIn, MemberOut, OrganizationIn, OrganizationOut, OrganizationPatch
from cloud.auth import repository as auth_repository
from cloud.auth.rules import Action, authorize, may_assign
from cloud.auth.schemas import Principal
from cloud.auth.service import Passwords
from cloud.core.crypto import new_token, token_hash
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import ConflictError, ForbiddenError, GoneError, NotFoundError, UnauthenticatedError
from cloud.web.etags import stale
from shared.enums import OrgMemberRole

INVITATION_TTL = timedelta(days=7)


async def create_organization(
    conn: AsyncConnection, user: Principal, body: OrganizationIn, *, now: datetime
) -> OrganizationOut:
    """A new organisation, owned by its creator. Needs the system context: the organisation is in nobody's context yet.

    Raises:
        ConflictError: `slug_taken`.
    """
    if await repository.slug_is_taken(conn, body.slug):
        raise _slug_taken(body.slug)
    try:
        organization_id = await repository.add_organization(
            conn, owner_id=user.user_id, now=now, values=body.model_dump(mode="json")
        )
    except IntegrityError as error:
        raise _slug_taken(body.slug) from error
    return await _organization(conn, organization_id)


async def change_organization(
    conn: AsyncConnection, user: Principal, organization_id: UUID, body: OrganizationPatch, *, version: int
) -> OrganizationOut:
    """Change what the body names.

    Raises:
        NotFoundError: for a stranger.
        ForbiddenError: for a role without this action.
        PreconditionFailedError: if the version is not the present one.
        ConflictError: `slug_taken`.
    """
    current = await _organization(conn, organization_id)
    authorize(user, Action.ORGANIZATION_UPDATE, current.id)
    if current.version != version:
        raise stale(current.version)
    values = body.model_dump(mode="json", exclude_unset=True)
    try:
        if values and not await repository.change_organization(conn, organization_id, version=version, values=values):
            raise stale(current.version)
    except IntegrityError as error:
        raise _slug_taken(str(body.slug)) from error
    return await _organization(conn, organization_id)


async def delete_organization(conn: AsyncConnection, user: Principal, organization_id: UUID, *, version: int) -> None:
    """Delete an organisation without sites.

    Raises:
        ConflictError: `organization_has_sites`: readings and bills hang on sites, and outlive a click.
    """
    current = await _organization(conn, organization_id)
    authorize(user, Action.ORGANIZATION_DELETE, current.id)
    try:
        deleted = await repository.delete_organization(conn, organization_id, version=version)
    except IntegrityError as error:
        raise ConflictError(
            "The organisation still has sites, with readings and bills; delete or move those first.",
            code="organization_has_sites",
        ) from error
    if not deleted:
        raise stale(current.version)


async def invite(
    conn: AsyncConnection, user: Principal, organization_id: UUID, body: MemberIn, *, now: datetime
) -> tuple[MemberOut, str]:
    """Invite somebody, with an account or without. Needs the system context, to look accounts up.

    An account never joins by itself: whoever opened it by another organisation's invitation need not be the person that this one
    means, and the answer does not tell whether there is one.

    Returns:
        The membership, and the token that accepts it.

    Raises:
        ForbiddenError: `role_not_assignable` for a role above the own, or ownership.
        ConflictError: `already_member`.
    """
    role = _may_manage(user, organization_id, body.role)
    account = await auth_repository.find_account(conn, body.email)
    if account is None:
        user_id = await auth_repository.add_account(
            conn, email=body.email, password_hash=None, first_name=body.email.partition("@")[0][:100], is_active=False
        )
        if user_id is None:
            raise ConflictError("Somebody is inviting the same person right now; try again.", code="already_member")
    else:
        user_id = account.id
    token = new_token()
    member_id = await repository.add_member(
        conn,
        organization_id=organization_id,
        user_id=user_id,
        role=role,
        invited_by=user.user_id,
        token_hash=token_hash(token),
        expires=now + INVITATION_TTL,
    )
    if member_id is None:
        raise ConflictError("This person is a member already, or invited.", code="already_member")
    return await _member(conn, organization_id, member_id), token


async def change_role(
    conn: AsyncConnection,
    user: Principal,
    organization_id: UUID,
    member_id: UUID,
    *,
    role: OrgMemberRole,
    version: int,
) -> MemberOut:
    """Give a member another role; the owner's stays until ownership is handed over."""
    authorize(user, Action.MEMBER_MANAGE, organization_id)
    current = await _member(conn, organization_id, member_id)
    _may_manage(user, organization_id, role)
    _refuse_for_owner(current)
    if current.version != version:
        raise stale(current.version)
    if current.role is not role and not await repository.change_member(conn, member_id, version=version, role=role):
        raise stale(current.version)
    return await _member(conn, organization_id, member_id)


async def remove_member(
    conn: AsyncConnection, user: Principal, organization_id: UUID, member_id: UUID, *, version: int
) -> None:
    """End a membership; everybody may end their own."""
    authorize(user, Action.ORGANIZATION_READ, organization_id)
    current = await _member(conn, organization_id, member_id)
    if current.user_id != user.user_id:
        authorize(user, Action.MEMBER_MANAGE, organization_id)
    _refuse_for_owner(current)
    if not await repository.remove_member(conn, member_id, version=version):
        raise stale(current.version)


async def accept_invitation(db: Database, passwords: Passwords, body: AcceptIn, *, now: datetime) -> UUID:
    """An invited person joins; returns the account.

    An account that is active keeps its password and name: then the given password must be that one, so that a token in wrong hands
    opens a membership of nobody else. No connection is held while the password is hashed.

    Raises:
        NotFoundError: `invitation_unknown`: a wrong token, or one that was used.
        GoneError: `invitation_expired`.
        UnauthenticatedError: `login_failed`: the account has another password.
    """
    hashed_token, password = token_hash(body.token.get_secret_value()), body.password.get_secret_value()
    async with db.transaction(SYSTEM) as conn:
        seen = await _invitation(conn, hashed_token, now)
    new_hash = None
    if seen.password_hash is None:
        new_hash = await passwords.hash(password)
    elif not await passwords.verify(password, seen.password_hash) or not seen.is_active:
        raise UnauthenticatedError("The account exists already, with another password.", code="login_failed")
    async with db.transaction(SYSTEM) as conn:
        invitation = await _invitation(conn, hashed_token, now)
        if invitation.password_hash != seen.password_hash:
            raise UnauthenticatedError(
                "The account has got another password meanwhile; try again.", code="login_failed"
            )
        if new_hash is not None:
            await auth_repository.set_password(conn, invitation.user_id, new_hash, activate=True)
            names = (body.first_name or invitation.first_name, body.last_name or "")
            await repository.name_account(conn, invitation.user_id, first_name=names[0], last_name=names[1])
        await repository.accept_invitation(conn, invitation.member_id, now)
    return invitation.user_id


async def _invitation(conn: AsyncConnection, hashed_token: str, now: datetime) -> Invitation:
    found = await repository.lock_invitation(conn, hashed_token)
    if found is None:
        raise NotFoundError("There is no such invitation; it may have been used.", code="invitation_unknown")
    if found.expires is None or found.expires <= now:
        raise GoneError("The invitation has expired; ask for a new one.", code="invitation_expired")
    return found


async def _organization(conn: AsyncConnection, organization_id: UUID) -> OrganizationOut:
    found = await repository.get_organization(conn, organization_id)
    if found is None:
        raise NotFoundError
    return found


async def get_organization(conn: AsyncConnection, user: Principal, organization_id: UUID) -> OrganizationOut:
    """One organisation of the person."""
    authorize(user, Action.ORGANIZATION_READ, organization_id)
    return await _organization(conn, organization_id)


async def get_member(conn: AsyncConnection, user: Principal, organization_id: UUID, member_id: UUID) -> MemberOut:
    """One member of an organisation of the person."""
    authorize(user, Action.MEMBER_READ, organization_id)
    return await _member(conn, organization_id, member_id)


async def _member(conn: AsyncConnection, organization_id: UUID, member_id: UUID) -> MemberOut:
    found = await repository.get_member(conn, organization_id, member_id)
    if found is None:
        raise NotFoundError
    return found


def _may_manage(user: Principal, organization_id: UUID, role: OrgMemberRole) -> OrgMemberRole:
    authorize(user, Action.MEMBER_MANAGE, organization_id)
    own = user.role_in(organization_id) or OrgMemberRole.OWNER  # a stranger here can only be a super_admin
    if not may_assign(own, role):
        raise ForbiddenError(
            f"A member with the role {own.value!r} cannot give the role {role.value!r}.", code="role_not_assignable"
        )
    return role


def _refuse_for_owner(member: MemberOut) -> None:
    if member.role is OrgMemberRole.OWNER:
        raise ConflictError(
            "The owner stays until the ownership is handed over to somebody else.", code="owner_required"
        )


def _slug_taken(slug: str) -> ConflictError:
    return ConflictError(f"The name {slug!r} is taken by another organisation; choose another slug.", code="slug_taken")
