"""Reading a SunSpec model: the recording of a real device, and scale factors that move under the reader."""

import struct
from decimal import Decimal

import pytest

from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.drivers.modbus_codec import shortest_float32
from edge_agent.drivers.sunspec import SunSpecDriver
from edge_agent.drivers.sunspec_chain import find_chain
from edge_agent.drivers.sunspec_models import ModelPlace, PointDefinition, definition_of, known_ids
from edge_agent.drivers.sunspec_read import MovedModelError, TornModelError, read_model
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, Quality
from tests.captures import expected_of, holding_of
from tests.modbus_server import FakeBus
from tests.sunspec_image import image, model_words

KACO = "kaco_blueplanet_86tl3_producing"
INPUT = {"DCW": Decimal(4900), "DCV": Decimal("600.5"), "DCA": Decimal("8.2")}


def inputs(count: int, scale: int) -> tuple[int, ...]:
    factors = {"DCA_SF": -1, "DCV_SF": -1, "DCW_SF": scale}
    return model_words(160, {"N": Decimal(count)}, scales=factors, modules=[INPUT] * count)


class ShiftingBus(FakeBus):
    """A bus whose registers change after each so many requests, as Fronius' scale factors do with the power."""

    def __init__(self, images: list[dict[int, int]], *, every: int) -> None:
        super().__init__(images[0])
        self.images = images
        self.every = every

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        self.holding = self.images[len(self.reads) // self.every % len(self.images)]
        return await super().read(unit, function, address=address, count=count)


async def test_every_point_of_the_recording_is_what_pysunspec2_reads() -> None:
    expected = expected_of(f"{KACO}.expected_pysunspec2")["models"]
    bus = FakeBus(holding_of(KACO))
    chain = await find_chain(bus, 1)
    assert [place.id for place in chain.places] == [
        1,
        103,
        113,
        120,
        121,
        122,
        123,
        126,
        129,
        130,
        132,
        135,
        136,
        160,
        64204,
    ]
    assert (chain.losses, chain.oddities) == ((), ())
    seen = 0
    for place in chain.places:
        if place.id not in known_ids():
            continue
        said = expected[f"{place.id}:0"]
        assert (place.address, place.length) == (said["addr"], said["len"])
        decoded = await read_model(bus, 1, place)
        for name, point in said["points"].items():
            if name.startswith("#"):
                ours = [
                    [plain(one[key]) for key in each]
                    for one, each in zip(decoded.repeated(name[1:]), point, strict=True)
                ]
                assert ours == [[value["value"] for value in each.values()] for each in point]
            elif definition_of(place.id).point(name).type != "pad":
                assert plain(decoded.points[name]) == as_we_write(
                    point["value"], definition_of(place.id).point(name)
                ), name
            seen += 1
    assert seen > 200


def as_we_write(value: float | str | None, point: PointDefinition) -> float | str | None:
    """Pysunspec2 keeps what lies behind the end of a text, and a single as the double next to it."""
    if isinstance(value, str):
        return value.split("\0")[0]
    if value is None or point.type != "float32":
        return value
    number = shortest_float32(int.from_bytes(struct.pack(">f", value), "big"))
    return None if number is None else float(number)


def plain(point: Decimal | str | None) -> float | str | None:
    return float(point) if isinstance(point, Decimal) else point


@pytest.mark.parametrize("count", [1, 5])
async def test_values_and_factors_come_in_one_request(count: int) -> None:
    bus = FakeBus(image(inputs(count, 1), base=0))
    await read_model(bus, 1, ModelPlace(160, 2, 8 + 20 * count))
    assert len(bus.reads) == 1


async def test_factors_of_a_long_model_are_looked_at_again() -> None:
    images = [image(inputs(12, scale), base=0) for scale in (1, 0)]
    place = ModelPlace(160, 2, 8 + 20 * 12)
    calm = FakeBus(images[0])
    assert (await read_model(calm, 1, place)).repeated("module")[11]["DCW"] == 4900
    assert [(address, count) for *_, address, count in calm.reads] == [(2, 110), (112, 120), (232, 20), (4, 4)]
    once = ShiftingBus([*images, *[images[1]] * 9], every=2)
    decoded = await read_model(once, 1, place)
    assert {module["DCW"] for module in decoded.repeated("module")} == {Decimal(4900)}, "read again as a whole"
    assert len(once.reads) == 8
    with pytest.raises(TornModelError, match="model 160 at 2 change faster than its 250 registers"):
        await read_model(ShiftingBus(images, every=1), 1, place)


async def test_values_that_do_not_belong_together_are_left_out() -> None:
    common, main = model_words(1, {}), model_words(103, {"W": Decimal(4820)})
    images = [image(common, main, inputs(12, scale)) for scale in (1, 0)]
    driver = SunSpecDriver(ShiftingBus(images, every=1), 1, device_type=DeviceType.INVERTER)
    answer = await driver.read()
    assert answer.values["ac_power_kw"] == 4.82
    assert "dc_power_kw.pv1" not in answer.values
    assert answer.quality == Quality.PARTIAL


async def test_factors_that_change_with_the_value_in_one_request() -> None:
    """Whatever moment a request falls into, the power is that of the moment."""
    powers = {0: Decimal(4820), 1: Decimal(48_200), -1: Decimal("482.1")}
    images = [image(model_words(103, {"W": power}, scales={"W_SF": scale})) for scale, power in powers.items()]
    driver = SunSpecDriver(ShiftingBus(images, every=1), 1, device_type=DeviceType.INVERTER)
    seen = {(await driver.read()).values["ac_power_kw"] for _ in range(12)}
    assert seen == {4.82, 48.2, 0.4821}


async def test_another_model_at_the_place() -> None:
    bus = FakeBus(image(model_words(103, {}), base=0))
    with pytest.raises(MovedModelError, match="model 103 of length 50 lies at 2, where model 101 of length 50 was"):
        await read_model(bus, 1, ModelPlace(101, 2, 50))
    with pytest.raises(RefusedAddressError):
        await read_model(bus, 1, ModelPlace(103, 9999, 50))


async def test_a_model_cut_short_by_its_own_length() -> None:
    whole = model_words(103, {"W": Decimal(4820), "WH": Decimal(1000), "St": Decimal(4)})
    bus = FakeBus({**dict(enumerate([103, 20, *whole[2:22]])), 22: 0xFFFF, 23: 0})
    decoded = await read_model(bus, 1, ModelPlace(103, 0, 20))
    assert (decoded.points["W"], decoded.points["WH"], decoded.points["St"]) == (4820, None, None)
    assert bus.reads == [(1, RegisterFunction.HOLDING, 0, 22)]


async def test_what_is_longer_than_its_definition_is_read_as_far_as_that() -> None:
    bus = FakeBus(dict(enumerate([103, 90, *model_words(103, {"St": Decimal(4)})[2:]])))
    assert (await read_model(bus, 1, ModelPlace(103, 0, 90))).points["St"] == 4
    assert bus.reads == [(1, RegisterFunction.HOLDING, 0, 52)]
