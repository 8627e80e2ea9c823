"""Claiming a box, recognising it again, and telling it what to do."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core import crypto
from cloud.core.db import SYSTEM, Database
from cloud.core.errors import ConflictError, GoneError, NotFoundError, UnauthenticatedError
from cloud.core.ids import new_id
from cloud.devices.schemas import SECRET_FIELDS
from cloud.fleet import repository
from cloud.fleet.rules import (
    CLAIM_CODE_BYTES,
    CLAIM_CODE_LIFETIME,
    CREDENTIAL_BYTES,
    Credential,
    claim_code,
    normalise_claim_code,
    parse_credential,
)
from cloud.fleet.schemas import ClaimCodeRead, CredentialRead, EdgeIdentity, StoredCredential
from shared.enums import SiteStatus
from shared.wire import EdgePlan, EnrolAnswer, EnrolRequest, PlanDevice, PlanRule, PlanSite

ROTATION_GRACE = timedelta(days=7)
"""A box that is offline while its credential is rotated has this long to come back and learn of it."""


class ClaimCodeUnknownError(NotFoundError):
    """No such claim code; look at the screen again, or make a new one on the site's page."""

    code = "claim_code_unknown"


class ClaimCodeExpiredError(GoneError):
    """The claim code is older than 15 minutes; make a new one on the site's page."""

    code = "claim_code_expired"


class ClaimCodeUsedError(ConflictError):
    """The claim code has been used; every box needs a code of its own."""

    code = "claim_code_used"


class CredentialInvalidError(UnauthenticatedError):
    """The credential is unknown or revoked; enrol the box again with a new claim code."""

    code = "credential_invalid"


class PlanRules(Protocol):
    """Gives the alert rules that an agent evaluates; filled in by whoever knows alerts."""

    async def __call__(self, conn: AsyncConnection, *, site_id: UUID, organization_id: UUID) -> tuple[PlanRule, ...]:
        """Rules for the site's own devices, in a stable order."""
        ...


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet's use cases; one per process.

    Attributes:
        secrets_box: opens the devices' stored passwords for the agent that needs them.
        plan_rules: see `PlanRules`.
    """

    secrets_box: crypto.SecretBox
    plan_rules: PlanRules

    async def new_claim_code(
        self, conn: AsyncConnection, *, site_id: UUID, organization_id: UUID, user_id: UUID, now: datetime
    ) -> ClaimCodeRead:
        """Make a one-time code for a site; only its hash is kept."""
        code = claim_code(secrets.token_bytes(CLAIM_CODE_BYTES))
        expires_at = now + CLAIM_CODE_LIFETIME
        await repository.add_claim_code(
            conn,
            site_id=site_id,
            organization_id=organization_id,
            code_hash=_hash(code),
            expires_at=expires_at,
            created_by=user_id,
        )
        return ClaimCodeRead(code=code, expires_at=expires_at)

    async def claim(self, conn: AsyncConnection, request: EnrolRequest, *, now: datetime) -> EnrolAnswer:
        """Turn a code into a gateway with a credential.

        Args:
            conn: a transaction in the system context: who asks is only known once the code is found.
            request: what the box sent.
            now: the cloud's time.

        Raises:
            ClaimCodeUnknownError: if nobody made such a code.
            ClaimCodeUsedError: if another box was faster.
            ClaimCodeExpiredError: if it is too old.
        """
        typed = normalise_claim_code(request.code)
        claim = await repository.lock_claim_code(conn, _hash(typed)) if typed else None
        if claim is None:
            raise ClaimCodeUnknownError
        if claim.used_at is not None:
            raise ClaimCodeUsedError
        if claim.expires_at <= now:
            raise ClaimCodeExpiredError
        credential = Credential(new_id(), crypto.new_token(CREDENTIAL_BYTES))
        await repository.add_gateway(
            conn,
            gateway_id=credential.gateway_id,
            claim=claim,
            credential_hash=_hash(credential.secret),
            facts=request.facts,
            at=now,
        )
        await repository.use_claim_code(conn, claim.id, gateway_id=credential.gateway_id, at=now)
        gateway = await repository.gateway_by_id(conn, credential.gateway_id)
        if gateway is None:
            raise RuntimeError("the gateway that was just written is gone")
        return EnrolAnswer.model_validate(
            {
                "gateway_id": credential.gateway_id,
                "credential": credential.text,
                "plan": await self.plan(conn, _identity(gateway)),
                "server_time": now,
            }
        )

    async def plan(self, conn: AsyncConnection, edge: EdgeIdentity) -> EdgePlan:
        """What the agent is to do: its site, the devices it reads, the rules it watches; nothing on a site that is decommissioned.

        Raises:
            DecryptionError: if a device's password was stored with another secret key.
        """
        site = await repository.site_by_id(conn, edge.site_id)
        devices = await repository.devices_of_site(conn, edge.site_id)
        rules = await self.plan_rules(conn, site_id=edge.site_id, organization_id=edge.organization_id)
        if site.status is SiteStatus.DECOMMISSIONED:
            devices, rules = (), ()
        return EdgePlan(
            revision=edge.plan_revision,
            site=PlanSite(
                id=site.id, name=site.name, timezone=site.timezone, latitude=site.latitude, longitude=site.longitude
            ),
            devices=tuple(self._plan_device(device) for device in devices if device.profile),
            rules=rules,
        )

    def _plan_device(self, device: Row[Any]) -> PlanDevice:
        stored: Mapping[str, Any] = device.connection_config
        return PlanDevice(
            id=device.id,
            name=device.name,
            device_type=device.device_type,
            protocol=device.protocol,
            profile=device.profile,
            connection=self.secrets_box.open_fields(stored, SECRET_FIELDS, context=f"devices.{device.id}"),
            poll_interval_s=device.poll_interval_s,
            rated_power_kw=device.rated_power_kw,
        )


async def authenticate(db: Database, bearer: str, *, now: datetime) -> EdgeIdentity:
    """Recognise an agent by its bearer credential.

    Raises:
        CredentialInvalidError: for anything but a present credential of a gateway that is not revoked; one answer for all cases.
    """
    credential = parse_credential(bearer)
    if credential is None:
        raise CredentialInvalidError(challenge="Bearer")
    async with db.transaction(SYSTEM) as conn:
        gateway = await repository.gateway_by_id(conn, credential.gateway_id)
    if gateway is None or not is_good(_hash(credential.secret), stored_credential(gateway), now):
        raise CredentialInvalidError(challenge="Bearer")
    return _identity(gateway)


async def rotate(conn: AsyncConnection, gateway: Row[Any], *, now: datetime) -> CredentialRead:
    """Give a gateway a new credential; the present one stays good for `ROTATION_GRACE`."""
    credential = Credential(gateway.id, crypto.new_token(CREDENTIAL_BYTES))
    until = now + ROTATION_GRACE
    await repository.rotate_credential(
        conn, gateway.id, credential_hash=_hash(credential.secret), previous_valid_until=until
    )
    return CredentialRead(credential=credential.text, previous_valid_until=until)


def stored_credential(gateway: Row[Any]) -> StoredCredential:
    """What a gateway's row says of its credential."""
    return StoredCredential(
        gateway.credential_hash, gateway.previous_credential_hash, gateway.previous_valid_until, gateway.revoked_at
    )


def proof_of(bearer: str) -> str:
    """Hash of a credential's secret, as it is stored.

    Raises:
        CredentialInvalidError: if it is no agent's credential.
    """
    credential = parse_credential(bearer)
    if credential is None:
        raise CredentialInvalidError(challenge="Bearer")
    return _hash(credential.secret)


def is_good(proof: str, stored: StoredCredential, now: datetime) -> bool:
    """Whether a proof is that of a gateway's present credential, or of the one before within its grace."""
    if stored.revoked_at is not None:
        return False
    if crypto.same(proof, stored.credential_hash):
        return True
    previous, until = stored.previous_credential_hash, stored.previous_valid_until
    return previous is not None and until is not None and now < until and crypto.same(proof, previous)


def _identity(gateway: Row[Any]) -> EdgeIdentity:
    return EdgeIdentity(
        gateway_id=gateway.id,
        site_id=gateway.site_id,
        organization_id=gateway.organization_id,
        plan_revision=gateway.plan_revision,
    )


def _hash(token: str) -> str:
    return crypto.token_hash(token)
