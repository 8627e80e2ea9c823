"""A code makes one gateway, once; a credential proves it until it is rotated away or revoked."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.accounts.tables import Organization
from cloud.core.crypto import SecretBox
from cloud.core.db import SYSTEM, Database
from cloud.devices.tables import Device
from cloud.fleet import repository
from cloud.fleet.rules import Credential
from cloud.fleet.service import (
    ROTATION_GRACE,
    ClaimCodeExpiredError,
    ClaimCodeUnknownError,
    ClaimCodeUsedError,
    CredentialInvalidError,
    Fleet,
    authenticate,
    rotate,
)
from cloud.fleet.tables import ClaimCode, EdgeGateway
from shared.wire import AgentFacts, EnrolAnswer, EnrolRequest, PlanRule
from tests.plants import NOW, Plant, gateway_of, make_plant

EPOCH = UUID(int=9)


async def no_rules(conn: AsyncConnection, *, site_id: UUID, organization_id: UUID) -> tuple[PlanRule, ...]:
    return ()


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(SecretBox(b"k" * 32), no_rules)


async def new_code(db: Database, fleet: Fleet, plant: Plant) -> str:
    async with db.transaction(plant.edge.context) as conn:
        user_id = await conn.scalar(select(Organization.owner_id))
        assert user_id is not None
        made = await fleet.new_claim_code(
            conn, site_id=plant.site_id, organization_id=plant.organization_id, user_id=user_id, now=NOW
        )
    assert made.expires_at == NOW + timedelta(minutes=15)
    return made.code


async def claim(db: Database, fleet: Fleet, code: str, *, minutes: float = 1) -> EnrolAnswer:
    request = EnrolRequest(code=code, epoch=EPOCH, facts=AgentFacts(agent_version="0.1.0", hostname="pi-roof"))
    async with db.transaction(SYSTEM) as conn:
        return await fleet.claim(conn, request, now=NOW + timedelta(minutes=minutes))


async def test_a_code_makes_a_gateway_with_a_plan(db: Database, plant: Plant, fleet: Fleet) -> None:
    answer = await claim(db, fleet, await new_code(db, fleet, plant))
    assert answer.plan.site.id == plant.site_id
    assert {device.id for device in answer.plan.devices} == {plant.inverter_id, plant.meter_id}
    edge = await authenticate(db, answer.credential.get_secret_value(), now=NOW)
    assert (edge.gateway_id, edge.site_id, edge.organization_id) == (
        answer.gateway_id,
        plant.site_id,
        plant.organization_id,
    )


async def test_neither_code_nor_credential_is_stored(db: Database, plant: Plant, fleet: Fleet) -> None:
    code = await new_code(db, fleet, plant)
    secret = (await claim(db, fleet, code)).credential.get_secret_value().rpartition("_")[2]
    async with db.transaction(SYSTEM) as conn:
        rows = [str(row) for table in (ClaimCode, EdgeGateway) for row in await conn.execute(select(table))]
    assert not any(code in row or secret in row for row in rows)


async def test_a_code_works_once(db: Database, plant: Plant, fleet: Fleet) -> None:
    code = await new_code(db, fleet, plant)
    await claim(db, fleet, code)
    with pytest.raises(ClaimCodeUsedError):
        await claim(db, fleet, code)


async def test_two_boxes_at_once_make_one_gateway(db: Database, plant: Plant, fleet: Fleet) -> None:
    code = await new_code(db, fleet, plant)
    results = await asyncio.gather(*(claim(db, fleet, code) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, EnrolAnswer) for result in results) == 1
    assert sum(isinstance(result, ClaimCodeUsedError) for result in results) == 4


async def test_old_and_unknown_codes_are_told_apart(db: Database, plant: Plant, fleet: Fleet) -> None:
    code = await new_code(db, fleet, plant)
    with pytest.raises(ClaimCodeExpiredError):
        await claim(db, fleet, code, minutes=15)
    with pytest.raises(ClaimCodeUnknownError):
        await claim(db, fleet, "ABCD-EFGH")


@pytest.mark.parametrize("bearer", ["", "she_x", "eyJhbGciOiJFZERTQSJ9.e30.x"])
async def test_what_is_no_credential_is_refused(db: Database, plant: Plant, bearer: str) -> None:
    with pytest.raises(CredentialInvalidError):
        await authenticate(db, bearer, now=NOW)


async def test_a_wrong_secret_and_another_gateways_secret_are_refused(db: Database, plant: Plant, fleet: Fleet) -> None:
    answer = await claim(db, fleet, await new_code(db, fleet, plant))
    secret = answer.credential.get_secret_value().split("_", 2)[2]
    for stolen in (Credential(answer.gateway_id, "x" * 43), Credential(plant.edge.gateway_id, secret)):
        with pytest.raises(CredentialInvalidError):
            await authenticate(db, stolen.text, now=NOW)


async def test_revoking_ends_a_credential_at_once(db: Database, plant: Plant, fleet: Fleet) -> None:
    answer = await claim(db, fleet, await new_code(db, fleet, plant))
    async with db.transaction(plant.edge.context) as conn:
        await repository.revoke_gateway(conn, answer.gateway_id, at=NOW)
    with pytest.raises(CredentialInvalidError):
        await authenticate(db, answer.credential.get_secret_value(), now=NOW)


async def test_after_a_rotation_the_old_credential_has_its_grace(db: Database, plant: Plant, fleet: Fleet) -> None:
    old = (await claim(db, fleet, await new_code(db, fleet, plant))).credential.get_secret_value()
    edge = await authenticate(db, old, now=NOW)
    async with db.transaction(edge.context) as conn:
        gateway = await repository.gateway_by_id(conn, edge.gateway_id)
        assert gateway is not None
        new = (await rotate(conn, gateway, now=NOW)).credential
    assert await authenticate(db, new, now=NOW + timedelta(days=400)) == edge
    assert await authenticate(db, old, now=NOW + ROTATION_GRACE - timedelta(seconds=1)) == edge
    with pytest.raises(CredentialInvalidError):
        await authenticate(db, old, now=NOW + ROTATION_GRACE)


async def test_the_plan_opens_passwords_for_the_agent(db: Database, plant: Plant, fleet: Fleet) -> None:
    stored = fleet.secrets_box.seal_fields(
        {"host": "10.0.0.9", "password": "s3cret"}, ["password"], context=f"devices.{plant.meter_id}"
    )
    async with db.transaction(plant.edge.context) as conn:
        await conn.execute(update(Device).where(Device.id == plant.meter_id).values(connection_config=stored))
        plan = await fleet.plan(conn, plant.edge)
    assert "s3cret" not in str(stored)
    assert [device.connection for device in plan.devices if device.id == plant.meter_id] == [
        {"host": "10.0.0.9", "password": "s3cret"}
    ]


@pytest.mark.parametrize(
    ("statement", "grows"),
    [
        ("UPDATE devices SET poll_interval_s = 30", True),
        ("UPDATE devices SET status = 'offline', last_seen_at = now()", False),
        ("UPDATE sites SET timezone = 'Asia/Kolkata'", True),
        ("UPDATE sites SET description = 'x'", False),
        ("DELETE FROM devices WHERE device_type = 'meter'", True),
    ],
)
async def test_what_stands_in_the_plan_gives_it_a_new_revision(
    db: Database, plant: Plant, statement: str, grows: bool
) -> None:
    other = await make_plant(db, name="sara")
    before, others_before = (await gateway_of(db, plant)).plan_revision, (await gateway_of(db, other)).plan_revision
    async with db.transaction(plant.edge.context) as conn:
        await conn.execute(text(statement))
    assert ((await gateway_of(db, plant)).plan_revision > before) is grows
    assert (await gateway_of(db, other)).plan_revision == others_before


async def test_a_decommissioned_site_is_read_no_more(db: Database, plant: Plant, fleet: Fleet) -> None:
    before = (await gateway_of(db, plant)).plan_revision
    async with db.transaction(plant.edge.context) as conn:
        await conn.execute(text("UPDATE sites SET status = 'decommissioned'"))
        plan = await fleet.plan(conn, plant.edge)
    assert (plan.devices, plan.rules) == ((), ())
    assert (await gateway_of(db, plant)).plan_revision > before
