"""What the edge agent and the cloud say to each other over HTTPS, under `/api/v1/edge/`.

Bodies are JSON, gzip-compressed above a kilobyte. Every body carries `schema_version`; the cloud takes `MIN_SUPPORTED` to
`SCHEMA_VERSION` and refuses others with the code `schema_version_unsupported`.

The agent stores readings as flushes: one `Flush` per committed row of its outbox, columnar per device. `seq` counts flushes without a
hole within an `epoch` (one life of the agent's store): the cloud answers the highest contiguous `seq` it has committed, and the agent
deletes only what is acknowledged. A batch carries the readings of many flushes, columnar per device over all of them: an agent that polls
every ten seconds has one reading of a device in a flush, and thousands of columns of one value are slow to write and to read.

Version 2 joined the flushes of a batch; version 1 (`FlushBatch`) sent them one by one.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, model_validator

from shared.alert_rules import Condition
from shared.enums import AlertSeverity, DeviceType, ProtocolType, TimeQuality
from shared.readings import Value

SCHEMA_VERSION = 2
MIN_SUPPORTED = 1

MAX_READINGS_PER_BATCH = 5_000
MAX_BATCH_BYTES = 1_000_000
"""Of one batch's JSON before compression."""

CLAIM_CODE_PATTERN = r"^[A-HJ-KM-NP-Z2-9]{4}-[A-HJ-KM-NP-Z2-9]{4}$"
"""Eight characters of an alphabet without 0/O, 1/I/L, shown as XXXX-XXXX."""

MetricKey = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)?$")]


class WireModel(BaseModel):
    """A body or a part of one: frozen, and tolerant of fields that a newer sender added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Versioned(WireModel):
    """A body that says in which version its shape last changed: what did not change is read by older readers as before."""

    schema_version: int = 1


class AgentFacts(WireModel):
    """What an agent tells of itself and its box."""

    agent_version: str = Field(max_length=32)
    hostname: str = Field(default="", max_length=255)
    machine: str = Field(default="", max_length=64)
    os: str = Field(default="", max_length=255)
    python: str = Field(default="", max_length=32)


class EnrolRequest(Versioned):
    """`POST edge/claim`: a one-time code for a credential."""

    code: str = Field(pattern=CLAIM_CODE_PATTERN)
    epoch: UUID
    facts: AgentFacts


class PlanDevice(WireModel):
    """One device that the agent reads.

    Attributes:
        connection: host, port, slave_id, topic_prefix …: as in the schema's `devices.connection_config`, secrets in clear.
        profile: name of a profile shipped with the agent, or "sunspec"; for MQTT the name of a topic map.
        poll_interval_s: seconds between two readings; for pushed data the longest silence that is still normal.
    """

    id: UUID
    name: str
    device_type: DeviceType
    protocol: ProtocolType
    profile: str
    connection: dict[str, Any]
    poll_interval_s: float = Field(default=10.0, gt=0, le=3600)
    rated_power_kw: float | None = Field(default=None, gt=0)


class PlanRule(WireModel):
    """An alert rule that the agent evaluates; `device_id` None means every device that the condition fits."""

    id: UUID
    name: str
    condition: Condition
    severity: AlertSeverity
    device_id: UUID | None = None
    auto_resolve: bool = True


class PlanSite(WireModel):
    """The site that the agent stands on."""

    id: UUID
    name: str
    timezone: str
    latitude: float | None = None
    longitude: float | None = None


class EdgePlan(Versioned):
    """`GET edge/plan`: what the agent is to do. `revision` grows with every change and is the plan's ETag."""

    revision: int
    site: PlanSite
    devices: tuple[PlanDevice, ...] = ()
    rules: tuple[PlanRule, ...] = ()


WireSecret = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, return_type=str, when_used="json")]
"""Hidden wherever it is printed or logged, in clear only in the JSON that goes over the wire."""


class EnrolAnswer(Versioned):
    """The credential is shown this once; the cloud keeps only its hash."""

    gateway_id: UUID
    credential: WireSecret
    plan: EdgePlan
    server_time: AwareDatetime


def _check_lengths(readings: int, quality: Sequence[int], values: Mapping[str, Sequence[Value]]) -> None:
    if len(quality) != readings:
        raise ValueError(f"quality has {len(quality)} entries for {readings} readings; send one per reading")
    for key, column in values.items():
        if len(column) != readings:
            raise ValueError(
                f"values.{key} has {len(column)} entries for {readings} readings; send one per reading, null where absent"
            )


class Block(WireModel):
    """Readings of one device in one flush, column by column.

    Attributes:
        offsets_ms: milliseconds from the flush's `started_at`, one per reading.
        quality: bits of `shared.enums.Quality`, one per reading.
        values: metric key -> one value per reading; None = asked for, not available. A key that one of the readings did not ask for
            is None there too.
    """

    device_id: UUID
    offsets_ms: tuple[int, ...] = Field(min_length=1)
    quality: tuple[int, ...]
    values: dict[MetricKey, tuple[Value, ...]]

    @model_validator(mode="after")
    def _columns_are_equally_long(self) -> Self:
        _check_lengths(len(self.offsets_ms), self.quality, self.values)
        return self


class Flush(WireModel):
    """One committed row of the agent's outbox."""

    seq: int = Field(ge=1)
    started_at: AwareDatetime
    time_quality: TimeQuality
    blocks: tuple[Block, ...]

    @property
    def reading_count(self) -> int:
        """Readings in all blocks."""
        return sum(len(block.offsets_ms) for block in self.blocks)


class Stretch(WireModel):
    """Readings of one device in one batch, column by column, in the order of their flushes.

    Attributes:
        seqs: number of the flush that holds the reading, one per reading.
        offsets_ms: milliseconds from the batch's `started_at`, one per reading.
        quality: bits of `shared.enums.Quality`, one per reading; a clock that had not been synced is told here.
        values: as `Block.values`.
    """

    device_id: UUID
    seqs: tuple[int, ...] = Field(min_length=1)
    offsets_ms: tuple[int, ...]
    quality: tuple[int, ...]
    values: dict[MetricKey, tuple[Value, ...]]

    @model_validator(mode="after")
    def _columns_are_equally_long(self) -> Self:
        if len(self.offsets_ms) != len(self.seqs):
            raise ValueError(
                f"offsets_ms has {len(self.offsets_ms)} entries for {len(self.seqs)} readings; send one per reading"
            )
        _check_lengths(len(self.seqs), self.quality, self.values)
        return self


class ReadingBatch(Versioned):
    """`POST edge/readings`: the readings of the flushes `first_seq` to `last_seq`, none missing; a flush may be empty.

    Attributes:
        started_at: the moment that offsets count from.
        stretches: one per device and set of metric keys.
    """

    schema_version: int = 2
    epoch: UUID
    first_seq: int = Field(ge=1)
    last_seq: int
    started_at: AwareDatetime
    stretches: tuple[Stretch, ...]

    @model_validator(mode="after")
    def _sequence_is_whole(self) -> Self:
        if self.last_seq < self.first_seq:
            raise ValueError(f"last_seq is {self.last_seq}, before first_seq {self.first_seq}")
        for index, stretch in enumerate(self.stretches):
            for seq in stretch.seqs:
                if not self.first_seq <= seq <= self.last_seq:
                    raise ValueError(
                        f"stretches[{index}].seqs holds {seq}, outside {self.first_seq} to {self.last_seq}"
                    )
        return self


class FlushBatch(Versioned):
    """`POST edge/readings` as version 1 sends it: flushes in ascending, gapless order of `seq`."""

    epoch: UUID
    flushes: tuple[Flush, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sequence_is_contiguous(self) -> Self:
        first = self.flushes[0].seq
        for index, flush in enumerate(self.flushes):
            if flush.seq != first + index:
                raise ValueError(
                    f"flushes[{index}].seq is {flush.seq}, expected {first + index}; send flushes in order without a hole"
                )
        return self


class RejectedReading(WireModel):
    """A reading that could not be stored as one; the cloud keeps it in quarantine."""

    seq: int
    device_id: UUID
    index: int
    """Position within the block."""
    reason: str


class BatchAck(Versioned):
    """What is committed. The agent may delete every flush with seq <= `acked_seq`.

    Attributes:
        stored: readings new in the database.
        duplicates: readings that were there already.
        flagged: stored readings that carry a quality flag set by the cloud.
    """

    acked_seq: int
    stored: int
    duplicates: int
    flagged: int
    rejected: tuple[RejectedReading, ...] = ()
    server_time: AwareDatetime


class EdgeAlert(WireModel):
    """An alert opened by the agent. `id` is UUIDv5(gateway, rule, device, start): the same alert sent twice is one alert."""

    id: UUID
    rule_id: UUID
    device_id: UUID
    metric: str
    value: float | str | None
    threshold: float | str | None
    severity: AlertSeverity
    triggered_at: AwareDatetime
    resolved_at: AwareDatetime | None = None


class AlertBatch(Versioned):
    """`POST edge/alerts`: openings and ends, oldest first; safe to repeat."""

    alerts: tuple[EdgeAlert, ...] = Field(min_length=1, max_length=500)


class AlertAck(Versioned):
    """Ids that the cloud has committed in the state sent."""

    accepted: tuple[UUID, ...]
    rejected: dict[UUID, str] = {}
    """Id -> reason, for alerts of rules or devices that the cloud does not know as this gateway's."""


class NewestReading(WireModel):
    """The newest values of one device, for the live view; feeds the snapshot only."""

    device_id: UUID
    at: AwareDatetime
    quality: int = 0
    values: dict[MetricKey, Value]


class BufferState(WireModel):
    """What waits at the edge."""

    pending_readings: int = Field(ge=0)
    pending_flushes: int = Field(ge=0)
    oldest_at: AwareDatetime | None = None
    store_bytes: int = Field(ge=0)


class Heartbeat(Versioned):
    """`POST edge/heartbeat`: the live lane."""

    epoch: UUID
    at: AwareDatetime
    time_quality: TimeQuality
    facts: AgentFacts
    plan_revision: int | None
    buffer: BufferState
    newest: tuple[NewestReading, ...] = ()


class HeartbeatAnswer(Versioned):
    """Tells the agent the time and whether a newer plan waits."""

    server_time: AwareDatetime
    plan_revision: int
    status: Literal["ok"] = "ok"
