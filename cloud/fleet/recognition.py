"""Recognising the same box again within seconds, without asking the database each time."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloud.core.crypto import token_hash
from cloud.core.db import Database
from cloud.fleet.schemas import EdgeIdentity
from cloud.fleet.service import authenticate, proof_of

REMEMBERED_FOR = timedelta(seconds=60)
CAPACITY = 20_000
"""Boxes that one process remembers: about 10 MB."""


@dataclass(frozen=True, slots=True)
class RecognisedEdge:
    """A gateway that showed a good credential not long ago; whoever writes for it checks `proof` against the locked row.

    Attributes:
        identity: its `plan_revision` may be as old as the recognition.
        proof: hash of the bearer token's secret.
    """

    identity: EdgeIdentity
    proof: str


class Recognition:
    """Remembers good credentials for a minute, by their hash.

    Only for work that locks the gateway's row and judges the proof again: there a credential revoked a moment ago is refused.
    """

    def __init__(self, *, remembered_for: timedelta = REMEMBERED_FOR, capacity: int = CAPACITY) -> None:
        """Empty."""
        self._remembered_for = remembered_for
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[datetime, RecognisedEdge]] = OrderedDict()

    async def recognise(self, db: Database, bearer: str, *, now: datetime) -> RecognisedEdge:
        """Recognise an agent by its bearer credential.

        Raises:
            CredentialInvalidError: as `authenticate`; what is not good is never remembered.
        """
        key = token_hash(bearer)
        known = self._known.get(key)
        if known is not None and now - self._remembered_for < known[0] <= now:
            return known[1]
        identity = await authenticate(db, bearer, now=now)
        recognised = RecognisedEdge(identity, proof_of(bearer))
        self._known[key] = (now, recognised)
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return recognised
