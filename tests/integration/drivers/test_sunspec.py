"""SunSpec devices behind real sockets: found at every base and unit, and read in spite of what is wrong with their maps."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import ModbusBus
from edge_agent.drivers.modbus_server import RegisterServer
from edge_agent.drivers.sunspec import SunSpecDriver
from edge_agent.drivers.sunspec_chain import bases_with, find_chain, find_units
from edge_agent.drivers.sunspec_controls import change_limit, limit_state
from edge_agent.drivers.sunspec_models import known_ids
from edge_agent.drivers.sunspec_read import read_model
from shared.enums import DeviceType, Quality
from tests.captures import holding_of
from tests.modbus_server import serve
from tests.sunspec_image import END, MARKER, image, model_words

COMMON = model_words(1, {"Mn": "Sun Maker", "Md": "S-10", "SN": "4711"})
INVERTER = model_words(103, {"W": Decimal(9870), "WH": Decimal(1_234_560), "St": Decimal(4)}, scales={"W_SF": 1})
RATINGS = model_words(120, {"WRtg": Decimal(10_000)}, scales={"WRtg_SF": 1})
LIMIT = model_words(123, {"WMaxLimPct": Decimal(100), "WMaxLim_Ena": Decimal(0), "WMaxLimPct_RvrtTms": Decimal(0)})
METER = model_words(203, {"W": Decimal(-4200)})
BANK = model_words(802, {"SoC": Decimal(64), "W": Decimal(1500), "ChaSt": Decimal(3)})
WEATHER = model_words(307, {"TmpAmb": Decimal("38.4")})
GARBAGE = tuple(range(0x4142, 0x4142 + 40))

PATIENT_S = 10.0


@asynccontextmanager
async def endpoint(
    *models: Sequence[int], base: int = 40000, unit: int = 1, end: Sequence[int] = END
) -> AsyncIterator[ModbusBus]:
    """A device with these models, and nothing else in its registers."""
    words = [*MARKER, *(word for model in models for word in model), *end]
    async with RegisterServer("127.0.0.1", 0, unit=unit, first_address=base, image=lambda: words) as server:
        bus = ModbusBus("127.0.0.1", server.port, timeout_s=PATIENT_S)
        try:
            yield bus
        finally:
            await bus.close()


def driver(bus: ModbusBus, device_type: DeviceType = DeviceType.INVERTER, **more: tuple[int, ...]) -> SunSpecDriver:
    return SunSpecDriver(bus, 1, device_type=device_type, **more)


@pytest.mark.parametrize("base", [40000, 0, 50000, 30000])
async def test_found_at_each_base(base: int) -> None:
    async with endpoint(COMMON, INVERTER, base=base) as bus:
        chain = await find_chain(bus, 1, bases=bases_with(30000))
        assert (chain.base, [place.id for place in chain.places]) == (base, [1, 103])
        reader = driver(bus, bases=bases_with(30000))
        assert (await reader.read()).values["ac_power_kw"] == 9.87
        assert reader.identity is not None
        assert reader.identity.serial_number == "4711"


async def test_found_over_all_units() -> None:
    async with endpoint(COMMON, INVERTER, unit=9) as bus:
        found = [(unit, chain.base) async for unit, chain in find_units(bus, range(1, 16))]
        assert found == [(9, 40000)]


async def test_four_devices_in_one_map() -> None:
    async with endpoint(COMMON, INVERTER, RATINGS, METER, BANK, WEATHER) as bus:
        wanted = {
            DeviceType.INVERTER: ("ac_power_kw", 9.87),
            DeviceType.METER: ("grid_power_kw", -4.2),
            DeviceType.BATTERY: ("battery_power_kw", 1.5),
            DeviceType.WEATHER_STATION: ("ambient_temperature_c", 38.4),
        }
        for device_type, (key, value) in wanted.items():
            answer = await driver(bus, device_type).read()
            assert (answer.values[key], answer.quality) == (value, Quality.GOOD)


SHORT_COMMON = (1, 65, *COMMON[2:67])
BAD_MAPS = {
    "no end": ((COMMON, INVERTER, RATINGS), (), Quality.GOOD),
    "half an end": ((COMMON, INVERTER, RATINGS), (0xFFFF,), Quality.GOOD),
    "model 1 of 65": ((SHORT_COMMON, INVERTER, RATINGS), END, Quality.GOOD),
    "model 1 says 66 and has 65": (((1, 66, *SHORT_COMMON[2:]), INVERTER, RATINGS), END, Quality.GOOD),
    "model 1 says 65 and has 66": (((1, 65, *COMMON[2:]), INVERTER, RATINGS), END, Quality.GOOD),
    "a length beyond the addresses": ((COMMON, (103, 0xFFFF, *INVERTER[2:]), RATINGS), END, Quality.GOOD),
    "a length beyond the device": ((COMMON, (103, 900, *INVERTER[2:]), RATINGS), END, Quality.GOOD),
    "no length": ((COMMON, (103, 0, *INVERTER[2:]), RATINGS), END, Quality.GOOD),
    "an empty model of a maker": ((COMMON, (64111, 0), INVERTER, RATINGS), END, Quality.PARTIAL),
    "a number that is none": ((COMMON, (0x4142, 38, *GARBAGE[:38]), INVERTER, RATINGS), END, Quality.PARTIAL),
    "garbage": ((COMMON, GARBAGE, INVERTER, RATINGS), END, Quality.PARTIAL),
    "garbage at the end": ((COMMON, INVERTER, RATINGS, GARBAGE), (), Quality.PARTIAL),
}


@pytest.mark.parametrize("name", BAD_MAPS)
async def test_bad_maps_are_survived(name: str, caplog: pytest.LogCaptureFixture) -> None:
    models, end, quality = BAD_MAPS[name]
    async with endpoint(*models, end=end) as bus:
        reader = driver(bus)
        with caplog.at_level(logging.INFO, logger="edge_agent.drivers.sunspec"):
            answers = [await reader.read() for _ in range(3)]
        assert [answer.values["ac_power_kw"] for answer in answers] == [9.87] * 3
        assert [answer.quality for answer in answers] == [quality] * 3
        assert answers[0].values["rated_power_kw"] == 10.0
        assert answers[0].values["energy_total_kwh"] == 1234.56
        lost = [record for record in caplog.records if record.message == "sunspec_lost"]
        assert len(lost) == (0 if quality == Quality.GOOD else 1), "said once"


async def test_a_model_that_answers_exception_2(caplog: pytest.LogCaptureFixture) -> None:
    holding = image(COMMON, INVERTER, RATINGS, LIMIT)
    del holding[40002 + len(COMMON) + len(INVERTER) + 20]
    async with serve(holding) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=PATIENT_S)
        reader = driver(bus)
        answer = await reader.read()
        assert (answer.values["ac_power_kw"], answer.quality) == (9.87, Quality.PARTIAL)
        assert "rated_power_kw" not in answer.values
        assert answer.values["active_power_limit_percent"] == 100.0
        assert [vars(record)["what"] for record in caplog.records if record.message == "sunspec_lost"] == [
            "model 120 at 40122"
        ]
        await bus.close()


async def test_a_device_of_another_kind() -> None:
    async with endpoint(COMMON, METER) as bus:
        with pytest.raises(DriverError, match="models 1, 203, but none of a battery") as caught:
            await driver(bus, DeviceType.BATTERY).read()
        assert (caught.value.kind, caught.value.retry) == ("identity", False)


async def test_the_limit_of_a_recorded_device() -> None:
    async with serve(holding_of("kaco_blueplanet_86tl3_producing")) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=PATIENT_S)
        chain = await find_chain(bus, 1)
        assert len({place.id for place in chain.places} & known_ids()) == 8
        assert all(before.end == after.address for before, after in pairwise(chain.places))
        place = next(place for place in chain.places if place.id == 123)
        model = await read_model(bus, 1, place)
        assert limit_state(model).effective_percent == 100
        told = change_limit(place, model, percent=Decimal("33.33"), reversion_s=60)
        assert [write.words for write in told.writes] == [(60,), (333,), (1,)]
        await bus.close()
