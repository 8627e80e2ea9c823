"""What topic maps can say, through a real mosquitto."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiomqtt
import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers import mqtt
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.mqtt import BrokerAddress, MqttDriver
from edge_agent.drivers.mqtt_codec import bind
from edge_agent.drivers.sparkplug import rebirth_request
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from tests.mqtt_broker import Broker
from tests.sparkplug_bytes import metric, payload

pytestmark = pytest.mark.broker

LIBRARY = ProfileLibrary()
PORTAL = "N/c0619ab0"


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


class Device:
    """A device's own client: hears what it is asked, says what the test wants."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.heard: list[tuple[str, bytes, bool]] = []

    async def listen(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.heard.append((str(message.topic), message.payload, message.retain))

    async def say(self, topic: str, said: object, *, is_retained: bool = False) -> None:
        content = said if isinstance(said, bytes | str) else json.dumps(said)
        await self._client.publish(topic, content, qos=1, retain=is_retained)


@asynccontextmanager
async def device_at(broker: Broker, *, hears: str = "nothing") -> AsyncIterator[Device]:
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier="device") as client:
        await client.subscribe(hears, qos=1)
        device = Device(client)
        listening = asyncio.create_task(device.listen())
        yield device
        listening.cancel()
        await asyncio.wait([listening])


@asynccontextmanager
async def reading(
    broker: Broker,
    profile: str,
    device_type: str,
    *,
    clock: SystemClock | None = None,
    interval_s: float = 1.0,
    **names: Any,
) -> AsyncIterator[MqttDriver]:
    topics = bind(LIBRARY.mqtt(profile), {"topic_prefix": "c0619ab0", **names}, device_type=DeviceType(device_type))
    address = BrokerAddress("127.0.0.1", broker.port, f"agent-{UUID(int=1).hex[-4:]}")
    driver = MqttDriver(
        address, topics, poll_interval_s=interval_s, clock=clock or SystemClock(), status_topic="solarhub/test/status"
    )
    try:
        yield driver
    finally:
        await driver.close()


async def until(
    driver: MqttDriver, wanted: Callable[[DeviceAnswer | DriverError], bool], meanwhile: Callable[[], Awaitable[None]]
) -> None:
    async with asyncio.timeout(15):
        while True:
            await meanwhile()
            try:
                outcome: DeviceAnswer | DriverError = await driver.read()
            except DriverError as error:
                outcome = error
            if wanted(outcome):
                return
            await asyncio.sleep(0.05)


def values(**wanted: object) -> Callable[[DeviceAnswer | DriverError], bool]:
    return lambda outcome: isinstance(outcome, DeviceAnswer) and dict(outcome.values) == wanted


def saying(words: str) -> Callable[[DeviceAnswer | DriverError], bool]:
    return lambda outcome: isinstance(outcome, DriverError) and words in str(outcome)


async def nothing() -> None:
    await asyncio.sleep(0)


async def test_a_gx_device_is_kept_alive_and_its_battery_read(broker: Broker) -> None:
    async with (
        device_at(broker, hears="R/#") as gx,
        reading(broker, "victron_venus", "battery") as driver,
    ):

        async def answer() -> None:
            for topic, content, is_retained in gx.heard:
                assert (topic, content, is_retained) == ("R/c0619ab0/keepalive", b"", False)
                await gx.say(f"{PORTAL}/battery/512/Soc", {"value": 77.5})
                await gx.say(f"{PORTAL}/battery/512/Dc/0/Power", {"value": 663.75})

        await until(driver, values(battery_soc_percent=77.5, battery_power_kw=-0.66375), answer)
    assert len(gx.heard) == 1, "a keep-alive every 30 s"


async def test_a_second_battery_is_not_mixed_with_the_first(broker: Broker) -> None:
    clock = JumpingClock()
    async with device_at(broker) as gx, reading(broker, "victron_venus", "battery", clock=clock) as driver:

        async def first() -> None:
            await gx.say(f"{PORTAL}/battery/512/Soc", {"value": 77.5})

        async def both() -> None:
            await first()
            await gx.say(f"{PORTAL}/battery/513/Soc", {"value": 12.0})

        await until(driver, values(battery_soc_percent=77.5), first)
        await until(driver, saying("several devices speak: 512, 513; say which one in connection.instance"), both)
    async with device_at(broker) as gx, reading(broker, "victron_venus", "battery", instance=513) as driver:
        await until(driver, values(battery_soc_percent=12.0), both_of(gx))


def both_of(gx: Device) -> Callable[[], Awaitable[None]]:
    async def both() -> None:
        await gx.say(f"{PORTAL}/battery/512/Soc", {"value": 77.5})
        await gx.say(f"{PORTAL}/battery/513/Soc", {"value": 12.0})

    return both


async def test_what_a_bridge_repeats_of_a_sleeping_inverter_is_not_taken(broker: Broker) -> None:
    async with (
        device_at(broker) as dtu,
        reading(broker, "opendtu", "inverter", topic_prefix="solar", serial="1141") as driver,
    ):

        async def repeat() -> None:
            await dtu.say("solar/1141/0/power", "285.7")

        await until(driver, values(ac_power_kw=0.2857), repeat)
        await dtu.say("solar/1141/status/reachable", "0", is_retained=True)
        await until(driver, saying("announced as offline (solar/1141/status/reachable)"), repeat)
        await dtu.say("solar/1141/status/reachable", "1", is_retained=True)
        await until(driver, values(ac_power_kw=0.2857), repeat)


async def test_partial_messages_keep_the_rest(broker: Broker) -> None:
    clock = JumpingClock()
    status = {"em:0": {"total_act_power": 100, "a_voltage": 231.0}}
    async with (
        device_at(broker, hears="em/rpc") as em,
        reading(broker, "shelly_gen2_em", "meter", topic_prefix="em", clock=clock) as driver,
    ):

        async def answer() -> None:
            for _, content, _ in em.heard:
                asked = json.loads(content)
                assert asked["method"] == "Shelly.GetStatus"
                await em.say(f"{asked['src']}/rpc", {"id": 1, "result": status})
            em.heard.clear()

        known = {"grid_power_kw": 0.1, "ac_voltage_v.l1": 231.0}
        await until(driver, values(**known), answer)
        clock.ahead += 60  # both would have aged, had nobody spoken
        await em.say("em/events/rpc", {"method": "NotifyStatus", "params": {"em:0": {"total_act_power": 200}}})
        await until(driver, values(**known | {"grid_power_kw": 0.2}), nothing)


async def test_a_retained_number_is_not_taken_for_the_present(broker: Broker) -> None:
    async with device_at(broker) as box:
        await box.say("solar_assistant/total/pv_power/state", "4210", is_retained=True)
        async with reading(broker, "solar_assistant", "inverter", topic_prefix="total") as driver:
            await until(driver, saying("only a retained message of unknown age"), nothing)

            async def speak() -> None:
                await box.say("solar_assistant/total/pv_power/state", "4300", is_retained=True)

            await until(driver, values(dc_power_kw=4.3), speak)


async def test_a_node_that_was_born_before_is_asked_for_its_birth(broker: Broker) -> None:
    node = {"topic_prefix": "roof", "node": "box", "device": "inv1", "ac_power": "AC/Power"}
    async with (
        device_at(broker, hears="spBv1.0/roof/NCMD/box") as box,
        reading(broker, "sparkplug_b", "inverter", **node) as driver,
    ):
        seq = 7

        async def live() -> None:
            nonlocal seq
            if box.heard:
                assert box.heard == [("spBv1.0/roof/NCMD/box", rebirth_request(), False)]
                await box.say("spBv1.0/roof/NBIRTH/box", payload(metric("bdSeq", long=0), seq=0))
                await box.say(
                    "spBv1.0/roof/DBIRTH/box/inv1",
                    payload(metric("AC/Power", alias=1, datatype=3, integer=1500), seq=1),
                )
                box.heard.clear()
                seq = 1
            seq = (seq + 1) % 256
            await box.say("spBv1.0/roof/DDATA/box/inv1", payload(metric(alias=1, integer=2500), seq=seq))

        await until(driver, values(ac_power_kw=2.5), live)
        await box.say("spBv1.0/roof/NDEATH/box", payload(metric("bdSeq", long=0), seq=None))
        await until(driver, saying("announced as offline"), nothing)
