"""MQTT: the only module that knows aiomqtt.

A device that pushes is read by keeping its newest values (`pushed.py`): `read()` answers them while they are fresh. Sessions are clean on
purpose: what a broker has queued while the agent was away would arrive with an unknown age and be taken for the present.
"""

import asyncio
import logging
import math
import random
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiomqtt

from edge_agent.clock import Clock
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.mqtt_codec import BoundMap, PayloadError, decode, decode_sparkplug
from edge_agent.drivers.pushed import PushedValues
from edge_agent.drivers.sparkplug import NAMESPACE, SparkplugNode, rebirth_request
from edge_agent.profiles.topics import Request

STALE_INTERVALS = 3
"""Poll intervals after which a value that nobody renewed is no longer the present."""

BACKOFF_FIRST_S = 0.5
BACKOFF_LAST_S = 60.0
KEEPALIVE_S = 30
GOODBYE_TIMEOUT_S = 2.0
QOS = 1
REBIRTH_PAUSE_S = 10.0
"""After which a node that has not answered is asked for its birth again."""
_FILTERS_SHOWN = 4

_CONNECTION_REFUSED_CODES = frozenset({4, 5, 134, 135})
"""CONNACK of MQTT 3.1.1 and 5: bad user name or password, not authorised."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """How to reach and convince a broker.

    Attributes:
        client_id: must be the only one of its name at the broker.
        ca_file: certificates to trust with TLS; None for the system's.
    """

    broker: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    use_tls: bool = False
    ca_file: str | None = None

    def client(self, *, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
        """An unconnected client."""
        context = ssl.create_default_context(cafile=self.ca_file) if self.use_tls else None
        return aiomqtt.Client(
            self.broker,
            self.port,
            identifier=self.client_id,
            username=self.username,
            password=self.password,
            tls_context=context,
            will=will,
            keepalive=KEEPALIVE_S,
            clean_session=True,
        )


class MqttDriver:
    """One device that publishes its values.

    Args:
        address: of the broker.
        topics: what the device publishes where.
        poll_interval_s: of the agent's clock; values older than three of them are stale.
        clock: of the agent.
        status_topic: where the agent says `online`, and the broker in its stead `offline` when it is lost.
    """

    def __init__(
        self,
        address: BrokerAddress,
        topics: BoundMap,
        *,
        poll_interval_s: float,
        clock: Clock,
        status_topic: str,
    ) -> None:
        self._address = address
        self._topics = topics
        self._poll_interval_s = poll_interval_s
        self._pushed = PushedValues(
            max_age_s=max(STALE_INTERVALS * poll_interval_s, topics.silence_s), assembly_s=topics.assembly_s
        )
        self._clock = clock
        self._status_topic = status_topic
        self._node = SparkplugNode()
        self._rebirth_from = -math.inf
        self._refusal: str | None = None
        self._trouble = "no message yet"
        self._first_message = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: aiomqtt.Client | None = None

    async def read(self) -> DeviceAnswer:
        """The newest values; the first read connects and waits up to half a poll interval for a message.

        Raises:
            DriverError: `stale` if nothing fresh is known, with the reason; `refused` if the broker refuses the credential.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._receive(), name=f"mqtt {self._address.client_id}")
            await self._wait_for_first()
        answer = self._pushed.answer(self._clock.monotonic())
        if answer is not None:
            return answer
        where = f"{self._address.broker}:{self._address.port} {', '.join(self._topics.filters[:_FILTERS_SHOWN])}"
        if self._refusal is not None:
            raise DriverError(f"{where}: {self._refusal}", retry=False, kind="refused")
        if (ambiguity := self._pushed.ambiguity(self._clock.monotonic())) is not None:
            raise DriverError(f"{where}: {ambiguity}", retry=True, kind="identity")
        trouble = self._pushed.absence or self._trouble
        raise DriverError(
            f"{where}: nothing fresh within {self._pushed.max_age_s:g} s: {trouble}", retry=True, kind="stale"
        )

    async def close(self) -> None:
        """Say goodbye to the broker and stop receiving."""
        task, self._task = self._task, None
        client, self._client = self._client, None
        if client is not None:
            farewell = self._status("offline")  # a broker sends the last will only for those who are lost
            try:
                await client.publish(farewell.topic, farewell.payload, qos=QOS, retain=True, timeout=GOODBYE_TIMEOUT_S)
            except aiomqtt.MqttError as error:
                _log.debug("mqtt goodbye failed", extra={"error": str(error)})
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _wait_for_first(self) -> None:
        waits = {
            asyncio.ensure_future(self._first_message.wait()),
            asyncio.ensure_future(self._clock.sleep(self._poll_interval_s / 2)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._first_message.is_set():
            await self._clock.sleep(self._topics.assembly_s)  # what belongs to the first message is still on its way

    async def _receive(self) -> None:
        backoff = BACKOFF_FIRST_S
        while True:
            try:
                async with self._address.client(will=self._status("offline")) as client:
                    await self._greet(client)
                    backoff = BACKOFF_FIRST_S
                    await self._converse(client)
            except (aiomqtt.MqttError, OSError, ValueError) as error:
                self._note_failure(error)
            # Real time: a broker needs the same time to come back however fast the agent's clock runs. Jitter, so that a house full of
            # agents does not return in the same instant.
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, protects nothing
            backoff = min(2 * backoff, BACKOFF_LAST_S)

    async def _greet(self, client: aiomqtt.Client) -> None:
        for topic_filter in self._topics.filters:
            await client.subscribe(topic_filter, qos=QOS)
        birth = self._status("online")
        await client.publish(birth.topic, birth.payload, qos=birth.qos, retain=birth.retain)
        self._client = client
        self._refusal = None
        self._trouble = "connected, but the device publishes nothing; check the topic prefix"
        _log.info("mqtt connected", extra={"broker": self._address.broker, "client_id": self._address.client_id})

    async def _converse(self, client: aiomqtt.Client) -> None:
        """Take messages until the connection is lost, and say meanwhile what the device wants to hear."""
        async with AsyncExitStack() as stack:
            for topic, request in self._topics.requests:
                asking = asyncio.create_task(self._repeat(client, topic, request))
                stack.push_async_callback(_end, asking)
            async for message in client.messages:
                topic = str(message.topic)
                if topic.startswith(f"{NAMESPACE}/"):
                    await self._take_sparkplug(client, topic, message.payload)
                else:
                    self._take(topic, message.payload, is_retained=message.retain)

    async def _take_sparkplug(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        try:
            decoded, news = decode_sparkplug(self._topics, topic, payload, node=self._node)
        except PayloadError as error:
            self._trouble = str(error)
            return
        now = self._clock.monotonic()
        if decoded.is_online is not None:
            self._pushed.announce(NAMESPACE, is_online=decoded.is_online, overrules=True)
        if news.starts_over:
            self._pushed.forget_unchanged()
        if self._pushed.take(decoded, now):
            self._first_message.set()
        if not news.needs_birth or now < self._rebirth_from:
            return
        self._rebirth_from = now + REBIRTH_PAUSE_S
        self._trouble = "a message was missed; the edge node was asked to say everything again"
        _, group, _, edge_node, *_ = topic.split("/")
        await client.publish(f"{NAMESPACE}/{group}/NCMD/{edge_node}", rebirth_request(), qos=0, retain=False)

    async def _repeat(self, client: aiomqtt.Client, topic: str, request: Request) -> None:
        while True:
            try:
                await client.publish(topic, request.payload, qos=QOS, retain=False)
            except aiomqtt.MqttError as error:
                # The connection's own loop learns of a loss by itself; this only says what was not heard.
                _log.debug("mqtt request failed", extra={"topic": topic, "error": str(error)})
            if request.every_s is None:
                return
            await asyncio.sleep(request.every_s)  # real time, as the device's own patience is

    def _status(self, word: str) -> aiomqtt.Will:
        return aiomqtt.Will(self._status_topic, word, qos=QOS, retain=True)

    def _take(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        try:
            decoded = decode(self._topics, topic, payload, now=self._clock.now())
        except PayloadError as error:
            self._trouble = str(error)
            return
        if decoded.is_online is not None:
            self._pushed.announce(topic, is_online=decoded.is_online, overrules=decoded.overrules)
        elif is_retained:
            self._trouble = "only a retained message of unknown age"
        elif self._pushed.take(decoded, self._clock.monotonic()):
            self._first_message.set()

    def _note_failure(self, error: Exception) -> None:
        self._client = None
        self._pushed.forget_unchanged()
        self._node.forget()
        code = getattr(error, "rc", None)
        number = getattr(code, "value", code)
        if isinstance(error, aiomqtt.MqttCodeError) and number in _CONNECTION_REFUSED_CODES:
            self._refusal = f"the broker refuses the credential ({error}); correct username and password"
        if self._trouble != (trouble := f"no connection to the broker: {error}"):
            _log.warning("mqtt connection lost", extra={"broker": self._address.broker, "error": str(error)})
        self._trouble = trouble


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


class MqttPublisher:
    """Publishes as a device does; used by simulators. An asynchronous context manager, for one task.

    Args:
        address: of the broker.
        status_topic: retained `online` and last will `offline`, as many devices do; None for none.
    """

    def __init__(self, address: BrokerAddress, *, status_topic: str | None = None) -> None:
        self._address = address
        self._status_topic = status_topic
        self._stack = AsyncExitStack()
        self._client: aiomqtt.Client | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            DriverError: `refused` if the broker cannot be reached.
        """
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say `offline` and disconnect."""
        try:
            if self._client is not None and self._status_topic is not None:
                await self.publish(self._status_topic, b"offline", is_retained=True)
        finally:
            await self._drop()

    async def publish(self, topic: str, payload: bytes | str, *, is_retained: bool = False) -> None:
        """Publish with QoS 1 and wait for the broker's acknowledgement; connects again if the connection was lost before.

        Raises:
            DriverError: `refused` if the message could not be delivered; the next call tries again.
        """
        client = self._client or await self._connect()
        try:
            await client.publish(topic, payload, qos=QOS, retain=is_retained)
        except aiomqtt.MqttError as error:
            await self._drop()
            raise self._unreachable(error) from error

    async def _connect(self) -> aiomqtt.Client:
        will = aiomqtt.Will(self._status_topic, b"offline", qos=QOS, retain=True) if self._status_topic else None
        try:
            client = await self._stack.enter_async_context(self._address.client(will=will))
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise self._unreachable(error) from error
        self._client = client
        if self._status_topic is not None:
            await self.publish(self._status_topic, b"online", is_retained=True)
        return client

    async def _drop(self) -> None:
        self._client = None
        stack, self._stack = self._stack, AsyncExitStack()
        try:
            await stack.aclose()
        except aiomqtt.MqttError as error:
            _log.debug("mqtt goodbye failed", extra={"error": str(error)})

    def _unreachable(self, error: Exception) -> DriverError:
        return DriverError(
            f"broker {self._address.broker}:{self._address.port}: {error}; check the address and that the broker runs",
            retry=True,
            kind="refused",
        )
