"""A box is remembered for a minute, and a credential that ended in between still writes nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from cloud.core.crypto import new_token, token_hash
from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.ids import new_id
from cloud.fleet.recognition import Recognition
from cloud.fleet.rules import CREDENTIAL_BYTES, Credential
from cloud.fleet.service import CredentialInvalidError
from cloud.fleet.tables import EdgeGateway
from cloud.ingest.deliveries import Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.schemas import Flush, batch_of
from cloud.ingest.service import take_batch
from shared.enums import TimeQuality
from tests.plants import NOW, Plant


async def give_credential(db: Database, plant: Plant) -> str:
    credential = Credential(plant.edge.gateway_id, new_token(CREDENTIAL_BYTES))
    await change(db, credential_hash=token_hash(credential.secret))
    return credential.text


async def change(db: Database, **values: object) -> None:
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(update(EdgeGateway).values(**values))


@pytest.mark.parametrize("ending", [{"revoked_at": NOW}, {"credential_hash": token_hash("another")}])
async def test_remembered_for_a_minute_and_judged_again_when_it_writes(
    db: Database, plant: Plant, ending: dict[str, object]
) -> None:
    recognition, bearer = Recognition(), await give_credential(db, plant)
    first = await recognition.recognise(db, bearer, now=NOW)
    await change(db, **ending)
    assert await recognition.recognise(db, bearer, now=NOW + timedelta(seconds=59)) is first
    batch = batch_of(new_id(), [Flush(1, NOW, TimeQuality.SYNCED, [])])
    async with db.transaction(first.identity.context) as conn:
        with pytest.raises(CredentialInvalidError):
            await take_batch(await asyncpg_of(conn), Delivery(first.identity, batch, NOW, first.proof), Memory())
    with pytest.raises(CredentialInvalidError):
        await recognition.recognise(db, bearer, now=NOW + timedelta(seconds=61))


async def test_what_is_not_good_is_not_remembered(db: Database, plant: Plant) -> None:
    recognition, bearer = Recognition(), await give_credential(db, plant)
    wrong = bearer[:-1] + ("A" if bearer[-1] != "A" else "B")
    for _ in range(2):
        with pytest.raises(CredentialInvalidError):
            await recognition.recognise(db, wrong, now=NOW)
    with pytest.raises(CredentialInvalidError):
        await recognition.recognise(db, "", now=NOW)


async def test_the_longest_known_is_forgotten_first(db: Database, plant: Plant) -> None:
    recognition, bearer = Recognition(capacity=0), await give_credential(db, plant)
    first = await recognition.recognise(db, bearer, now=NOW)
    assert await recognition.recognise(db, bearer, now=NOW) is not first
