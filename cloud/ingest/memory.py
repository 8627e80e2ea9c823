"""What one process remembers of gateways between transactions, to ask less."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from uuid import UUID

from cloud.core.bulk import BulkConnection
from cloud.core.crypto import same
from cloud.fleet.schemas import EdgeIdentity
from cloud.ingest.repository import ledger
from cloud.ingest.repository.batches import Turn
from cloud.ingest.repository.ledger import Stand
from cloud.ingest.repository.raw import ColumnSet
from cloud.ingest.rules import KnownDevice
from cloud.ingest.schemas import Batch

_GATEWAYS = 20_000
"""That are remembered at once."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is remembered of a gateway whose next batch may have come.

    Attributes:
        turn: what must be true if it has.
        devices: of its site, at that revision of its plan.
    """

    turn: Turn
    devices: dict[UUID, KnownDevice]


@dataclass(slots=True)
class _Gateway:
    plan_revision: int
    devices: dict[UUID, KnownDevice]
    stand: Stand | None = None


class Memory:
    """The devices of each gateway's site, how each gateway stood, and the raw columns in use.

    Nothing is believed without the gateway's row, which is locked: devices are as remembered while the plan has the same revision, since
    every change of a device gives it a new one; a credential is while the row has the same version.
    """

    def __init__(self) -> None:
        """Empty."""
        self.columns = ColumnSet()
        self._gateways: OrderedDict[UUID, _Gateway] = OrderedDict()

    async def devices_of(self, pg: BulkConnection, edge: EdgeIdentity, revision: int) -> dict[UUID, KnownDevice]:
        """The site's devices by id."""
        known = self._gateways.get(edge.gateway_id)
        if known is None or known.plan_revision != revision:
            known = self._gateways[edge.gateway_id] = _Gateway(revision, await ledger.known_devices(pg, edge.site_id))
            self._gateways.move_to_end(edge.gateway_id)
            if len(self._gateways) > _GATEWAYS:
                self._gateways.popitem(last=False)
        return known.devices

    def expected(self, gateway_id: UUID, batch: Batch, proof: str | None) -> Expected | None:
        """What is remembered, if this may be the gateway's next batch and its credential is proven; else the batch wants a closer look."""
        known = self._gateways.get(gateway_id)
        stand = known.stand if known else None
        if known is None or stand is None or stand.epoch != batch.epoch or batch.first_seq <= stand.acked_seq:
            return None
        if proof is not None and not same(proof, stand.credential_hash):
            return None
        before = replace(stand, acked_seq=batch.first_seq - 1)
        return Expected(Turn(gateway_id, before, known.plan_revision), known.devices)

    def note(self, gateway_id: UUID, stand: Stand | None) -> None:
        """How a gateway stands now, if its devices are known; None: its next batch wants a closer look."""
        known = self._gateways.get(gateway_id)
        if known is not None:
            known.stand = stand
