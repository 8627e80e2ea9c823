"""MQTT through a real mosquitto: values arrive, go stale, and come back after the broker was killed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from edge_agent.clock import Clock, SystemClock
from edge_agent.drivers import mqtt
from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.mqtt import BrokerAddress, MqttPublisher
from shared.enums import DeviceType, ProtocolType, Quality
from shared.wire import PlanDevice
from tests.mqtt_broker import Broker

pytestmark = pytest.mark.broker

TOPIC = "roof/irradiance"
SAMPLE = {"irradiance_wm2.poa": 812.4, "module_temperature_c": 47.3}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(mqtt, "BACKOFF_LAST_S", 0.2)


class JumpingClock(SystemClock):
    """The box's clock, and jumps of the test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def payload(poa: float | None = 812.4, temperature: float | None = 47.3) -> str:
    return json.dumps({"poa_wm2": poa, "module_temperature_c": temperature})


def address(broker: Broker, client_id: str = "sensor", **fields: Any) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, client_id, **fields)


@asynccontextmanager
async def agent(broker: Broker, *, clock: Clock | None = None, **connection: Any) -> AsyncIterator[Driver]:
    factory = DriverFactory(clock=clock or SystemClock())
    device = PlanDevice(
        id=UUID("0198c5c5-0000-7000-8000-0000000000aa"),
        name="roof sensor",
        device_type=DeviceType.SENSOR,
        protocol=ProtocolType.MQTT,
        profile="irradiance_json",
        connection={"broker": "127.0.0.1", "port": broker.port, "topic_prefix": "roof"} | connection,
        poll_interval_s=1.0,
    )
    driver = factory.build(device)
    try:
        yield driver
    finally:
        await driver.close()
        await driver.close()
        await factory.close()


async def trouble(driver: Driver, *, saying: str = "") -> DriverError:
    """The error of a read, as soon as it says this: a busy machine may need a moment to learn the reason."""
    async with asyncio.timeout(15):
        while True:
            try:
                await driver.read()
            except DriverError as error:
                if saying in str(error):
                    return error
            await asyncio.sleep(0.02)


async def until(
    driver: Driver, wanted: Callable[[DeviceAnswer], bool], *, meanwhile: Callable[[], Awaitable[None]]
) -> None:
    """Read and act until an answer is the wanted one."""
    async with asyncio.timeout(15):
        while True:
            await meanwhile()
            try:
                if wanted(await driver.read()):
                    return
            except DriverError as error:
                if not error.retry:
                    raise
            await asyncio.sleep(0.05)


async def listening(driver: Driver, publisher: MqttPublisher) -> None:
    """Until the driver has heard something, and then nothing of it is left."""
    await until(
        driver,
        lambda answer: answer.values.get("module_temperature_c") == -1.0,
        meanwhile=lambda: publisher.publish(TOPIC, payload(None, -1.0)),
    )


async def test_what_is_published_is_read(broker: Broker) -> None:
    async with agent(broker) as driver, MqttPublisher(address(broker)) as publisher:
        await listening(driver, publisher)
        await publisher.publish(TOPIC, payload())
        await until(driver, lambda answer: answer.values == SAMPLE, meanwhile=_nothing)
        assert (await driver.read()).quality == Quality.GOOD


async def _nothing() -> None:
    await asyncio.sleep(0)


async def test_the_first_read_waits_for_a_message(broker: Broker) -> None:
    async with agent(broker) as driver, MqttPublisher(address(broker)) as publisher:

        async def publish() -> None:
            for _ in range(40):
                await publisher.publish(TOPIC, payload())
                await asyncio.sleep(0.02)

        publishing = asyncio.create_task(publish())
        assert (await driver.read()).values == SAMPLE
        publishing.cancel()


async def test_nothing_was_ever_published(broker: Broker) -> None:
    async with agent(broker) as driver:
        error = await trouble(driver, saying="publishes nothing; check the topic prefix")
        assert (error.kind, error.retry) == ("stale", True)
        assert "roof/irradiance" in str(error)


async def test_values_go_stale_one_by_one(broker: Broker) -> None:
    clock = JumpingClock()
    async with agent(broker, clock=clock) as driver, MqttPublisher(address(broker)) as publisher:
        await listening(driver, publisher)
        await publisher.publish(TOPIC, payload())
        await until(driver, lambda answer: answer.values == SAMPLE, meanwhile=_nothing)
        clock.ahead += 10
        assert (await trouble(driver)).kind == "stale"
        await publisher.publish(TOPIC, json.dumps({"poa_wm2": 5.5}))
        half = {"irradiance_wm2.poa": 5.5, "module_temperature_c": None}
        await until(driver, lambda answer: answer.values == half, meanwhile=_nothing)
        assert (await driver.read()).quality == Quality.PARTIAL


async def test_a_retained_message_has_no_age(broker: Broker) -> None:
    async with MqttPublisher(address(broker)) as publisher:
        await publisher.publish(TOPIC, payload(), is_retained=True)
        async with agent(broker) as driver:
            error = await trouble(driver, saying="retained message of unknown age")
            assert error.kind == "stale"


async def test_a_malformed_message_changes_nothing_and_is_named(broker: Broker) -> None:
    clock = JumpingClock()
    async with agent(broker, clock=clock) as driver, MqttPublisher(address(broker)) as publisher:
        await listening(driver, publisher)
        await publisher.publish(TOPIC, b"{rubbish")
        await publisher.publish(TOPIC, payload())
        await until(driver, lambda answer: answer.values == SAMPLE, meanwhile=_nothing)
        await publisher.publish(TOPIC, b"{rubbish")
        await asyncio.sleep(0.2)
        assert (await driver.read()).values == SAMPLE
        clock.ahead += 10
        assert (await trouble(driver, saying="'{rubbish' is no JSON")).kind == "stale"


async def test_the_broker_is_killed_and_comes_back(broker: Broker) -> None:
    clock = JumpingClock()
    async with agent(broker, clock=clock) as driver, MqttPublisher(address(broker)) as publisher:
        await listening(driver, publisher)
        await broker.kill()
        clock.ahead += 10
        error = await trouble(driver, saying="no connection to the broker")
        assert (error.kind, error.retry) == ("stale", True)
        with pytest.raises(DriverError, match="check the address and that the broker runs"):
            await publisher.publish(TOPIC, payload())
        await broker.start()

        async def publish() -> None:
            try:
                await publisher.publish(TOPIC, payload())
            except DriverError as error:
                if not error.retry:  # the broker may still be starting
                    raise

        await until(driver, lambda answer: answer.values == SAMPLE, meanwhile=publish)


async def test_a_device_that_says_goodbye_is_away_at_once(broker: Broker) -> None:
    async with agent(broker) as driver:
        async with MqttPublisher(address(broker), status_topic="roof/status") as publisher:
            await listening(driver, publisher)
        error = await trouble(driver, saying="announced as offline")
        assert error.kind == "stale"
        async with MqttPublisher(address(broker), status_topic="roof/status") as publisher:
            await until(
                driver, lambda answer: answer.values == SAMPLE, meanwhile=lambda: publisher.publish(TOPIC, payload())
            )


async def test_the_agent_says_whether_it_is_there(broker: Broker) -> None:
    words: asyncio.Queue[str] = asyncio.Queue()

    async def watch() -> None:
        async with address(broker, "watcher").client() as client:
            await client.subscribe("solarhub/me/status", qos=1)
            async for message in client.messages:
                words.put_nowait(bytes(message.payload).decode())

    watching = asyncio.create_task(watch())
    async with agent(broker, client_id="me") as driver:
        await trouble(driver)
        assert await asyncio.wait_for(words.get(), 5) == "online"
    assert await asyncio.wait_for(words.get(), 5) == "offline"
    watching.cancel()


async def test_a_password(guarded_broker: Broker) -> None:
    known = {"username": "sensor", "password": "sun"}
    async with (
        agent(guarded_broker, **known) as driver,
        MqttPublisher(address(guarded_broker, **known)) as publisher,
    ):
        await listening(driver, publisher)


async def test_a_wrong_password_is_somebodys_to_correct(guarded_broker: Broker) -> None:
    async with agent(guarded_broker, username="sensor", password="moon") as driver:
        error = await trouble(driver, saying="correct username and password")
        assert (error.kind, error.retry) == ("refused", False)
        assert "moon" not in str(error)
    with pytest.raises(DriverError, match="check the address") as caught:
        async with MqttPublisher(address(guarded_broker)):
            pass
    assert caught.value.kind == "refused"


async def test_a_port_without_a_broker(broker: Broker) -> None:
    await broker.kill()
    async with agent(broker) as driver:
        error = await trouble(driver, saying="no connection to the broker")
        assert (error.kind, error.retry) == ("stale", True)
    with pytest.raises(DriverError, match="check the address"):
        async with MqttPublisher(address(broker)):
            pass
