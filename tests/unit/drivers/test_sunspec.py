"""SunSpec devices: found, read, and refused when they are not what the plan says."""

from decimal import Decimal

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.sunspec import SunSpecDriver, discover
from shared.enums import DeviceType, Quality
from shared.readings import Value
from tests.captures import expected_of, holding_of
from tests.modbus_server import FakeBus
from tests.sunspec_image import image, model_words

COMMON = model_words(1, {"Mn": "Sun Maker", "Md": "S-5000", "Vr": "1.2", "SN": "4711", "DA": 1})
INVERTER = model_words(
    103,
    {
        "W": Decimal(4820),
        "Hz": Decimal("49.98"),
        "WH": Decimal(1234567),
        "AphA": Decimal("7.1"),
        "PhVphA": Decimal("231.4"),
        "PF": Decimal("99.1"),
        "DCW": Decimal(4990),
        "TmpCab": Decimal("44.1"),
        "TmpSnk": Decimal("51.5"),
        "St": 4,
        "Evt1": 0,
    },
    scales={"W_SF": 1, "Hz_SF": -2, "A_SF": -1, "V_SF": -1, "PF_SF": -1, "DCW_SF": 1, "Tmp_SF": -1},
)
RATINGS = model_words(120, {"WRtg": Decimal(5000)}, scales={"WRtg_SF": 2})
METER = model_words(
    203,
    {
        "W": Decimal(-1500),
        "WphA": Decimal(-500),
        "Hz": Decimal(50),
        "TotWhImp": Decimal(7001),
        "TotWhExp": Decimal(9002),
    },
)


def driver(bus: FakeBus, device_type: DeviceType = DeviceType.INVERTER, *, invert: bool = False) -> SunSpecDriver:
    return SunSpecDriver(bus, 3, device_type=device_type, invert_grid_sign=invert)


async def values_of(*models: tuple[int, ...], device_type: DeviceType = DeviceType.INVERTER) -> dict[str, Value]:
    return dict((await driver(FakeBus(image(*models)), device_type).read()).values)


async def test_an_inverter() -> None:
    values = await values_of(COMMON, INVERTER, RATINGS)
    assert {key: value for key, value in values.items() if value is not None} == {
        "ac_power_kw": 4.82,
        "grid_frequency_hz": 49.98,
        "energy_total_kwh": 1234.567,
        "ac_current_a.l1": 7.1,
        "ac_voltage_v.l1": 231.4,
        "power_factor": 0.991,
        "dc_power_kw": 4.99,
        "inverter_temperature_c.cabinet": 44.1,
        "inverter_temperature_c.heatsink": 51.5,
        "inverter_temperature_c": 51.5,
        "operating_state": "producing",
        "vendor_state_code": 4.0,
        "fault_codes": "",
        "rated_power_kw": 5.0,
    }
    assert values["ac_voltage_v.l2"] is None, "asked for, not available"


async def test_ratings_are_read_once() -> None:
    bus = FakeBus(image(COMMON, INVERTER, RATINGS))
    reader = driver(bus)
    assert "rated_power_kw" in (await reader.read()).values
    before = len(bus.reads)
    assert "rated_power_kw" not in (await reader.read()).values
    assert len(bus.reads) == before + 1
    assert {unit for unit, *_ in bus.reads} == {3}


async def test_a_meter_with_its_sign() -> None:
    values = await values_of(COMMON, METER, device_type=DeviceType.METER)
    assert values["grid_power_kw"] == -1.5
    assert values["grid_import_energy_total_kwh"] == 7.001
    assert values["grid_export_energy_total_kwh"] == 9.002
    other = (await driver(FakeBus(image(COMMON, METER)), DeviceType.METER, invert=True).read()).values
    assert other["grid_power_kw"] == 1.5
    assert other["grid_power_kw.l1"] == 0.5
    assert other["grid_import_energy_total_kwh"] == 7.001, "energies are named by direction"


async def test_the_device_type_chooses_among_the_models() -> None:
    both = (COMMON, INVERTER, METER)
    assert "grid_power_kw" not in await values_of(*both)
    assert "ac_power_kw" not in await values_of(*both, device_type=DeviceType.METER)


@pytest.mark.parametrize("base", [40000, 0, 50000])
async def test_each_base_is_tried(base: int) -> None:
    bus = FakeBus(image(COMMON, INVERTER, base=base))
    assert (await driver(bus).read()).values["ac_power_kw"] == 4.82


async def test_a_chain_without_end_or_with_half_an_end() -> None:
    for end in ((), (0xFFFF,), (0, 0, 0, 0)):
        places = await discover(FakeBus(image(COMMON, INVERTER, end=end)), 1)
        assert [place.id for place in places] == [1, 103]


async def test_no_sunspec_at_all() -> None:
    with pytest.raises(
        DriverError, match=r"unit 3 has no SunSpec marker at 40000, 0, 50000; switch SunSpec on"
    ) as caught:
        await driver(FakeBus({40000: 1, 40001: 2})).read()
    assert (caught.value.kind, caught.value.retry) == ("identity", False)


async def test_another_device_type() -> None:
    with pytest.raises(DriverError, match=r"models 1, 203, but none of a inverter") as caught:
        await driver(FakeBus(image(COMMON, METER))).read()
    assert (caught.value.kind, caught.value.retry) == ("identity", False)


async def test_a_chain_that_moved_is_found_again() -> None:
    bus = FakeBus(image(COMMON, INVERTER))
    reader = driver(bus)
    await reader.read()
    bus.holding = image(COMMON, RATINGS, INVERTER)
    with pytest.raises(DriverError, match="looking for the models again") as caught:
        await reader.read()
    assert (caught.value.kind, caught.value.retry) == ("malformed", True)
    assert (await reader.read()).values["ac_power_kw"] == 4.82


async def test_a_main_model_that_is_refused_later() -> None:
    bus = FakeBus(image(COMMON, INVERTER))
    reader = driver(bus)
    await reader.read()
    bus.holding = {}
    with pytest.raises(DriverError, match="can no longer be read"):
        await reader.read()
    bus.holding = image(COMMON, INVERTER)
    assert (await reader.read()).values["ac_power_kw"] == 4.82
    await reader.close()


async def test_a_time_out_keeps_what_was_found() -> None:
    bus = FakeBus(image(COMMON, INVERTER))
    reader = driver(bus)
    await reader.read()
    bus.trouble = DriverError("silence", retry=True, kind="timeout")
    with pytest.raises(DriverError, match="silence"):
        await reader.read()
    bus.trouble = None
    before = len(bus.reads)
    await reader.read()
    assert len(bus.reads) == before + 1


async def test_the_scale_factors_of_this_moment_count() -> None:
    bus = FakeBus(image(COMMON, model_words(103, {"W": Decimal(480)}, scales={"W_SF": 1})))
    reader = driver(bus)
    assert (await reader.read()).values["ac_power_kw"] == 0.48
    bus.holding = image(COMMON, model_words(103, {"W": Decimal("480.1")}, scales={"W_SF": -1}))
    assert (await reader.read()).values["ac_power_kw"] == 0.4801


async def test_a_power_factor_as_percent_or_as_ratio() -> None:
    for said, meant in ((Decimal(98), 0.98), (Decimal(-100), -1.0), (Decimal(1), 1.0), (Decimal(0), 0.0)):
        values = await values_of(COMMON, model_words(103, {"PF": said}))
        assert values["power_factor"] == meant


async def test_states_and_events() -> None:
    values = await values_of(COMMON, model_words(103, {"St": 2, "StVnd": 513, "Evt1": 0b1001, "EvtVnd2": 1 << 30}))
    assert values["operating_state"] == "sleeping"
    assert values["vendor_state_code"] == 513.0
    assert values["fault_codes"] == "sunspec:evt1.0 sunspec:evt1.3 sunspec:evtvnd2.30"
    silent = await values_of(COMMON, model_words(103, {}))
    assert (silent["operating_state"], silent["fault_codes"]) == (None, None)
    assert (await values_of(COMMON, model_words(103, {"St": 40})))["operating_state"] == "unknown"


async def test_floats() -> None:
    values = await values_of(COMMON, model_words(113, {"W": Decimal("4820.5"), "WH": Decimal(1000)}))
    assert values["ac_power_kw"] == 4.8205
    assert values["energy_total_kwh"] == 1.0
    assert values["grid_frequency_hz"] is None


MPPT = {"DCA": Decimal("8.2"), "DCV": Decimal("600.5"), "DCW": Decimal(4900)}
MPPT_SCALES = {"DCA_SF": -1, "DCV_SF": -1, "DCW_SF": 1}


async def test_pv_inputs() -> None:
    inputs = model_words(160, {"N": 2}, scales=MPPT_SCALES, modules=[{"IDStr": "MPPT 1"} | MPPT, {"IDStr": "MPPT 2"}])
    answer = await driver(FakeBus(image(COMMON, INVERTER, inputs))).read()
    assert answer.values["dc_power_kw.pv1"] == 4.9
    assert answer.values["dc_voltage_v.pv1"] == 600.5
    assert answer.values["dc_current_a.pv1"] == 8.2
    assert answer.values["dc_power_kw.pv2"] is None
    assert answer.values["dc_power_kw"] == 4.99, "the inverter's own total"
    assert answer.quality == Quality.GOOD


async def test_a_battery_among_the_inputs_is_no_pv() -> None:
    battery = {"DCW": Decimal(1000), "DCA": Decimal(2), "DCV": Decimal(500)}
    modules = [{"IDStr": "MPPT 1"} | MPPT, {"IDStr": "StCha 3"} | battery, {"IDStr": "StDisCha 4"} | battery]
    inputs = model_words(160, {"N": 3}, scales=MPPT_SCALES, modules=modules)
    answer = await driver(FakeBus(image(COMMON, INVERTER, inputs))).read()
    assert answer.values["dc_power_kw"] == 4.9
    assert answer.quality == Quality.DERIVED
    assert "dc_power_kw.pv2" not in answer.values
    asleep = model_words(160, {"N": 3}, scales=MPPT_SCALES, modules=[{"IDStr": "MPPT 1"}, *modules[1:]])
    values = (await driver(FakeBus(image(COMMON, INVERTER, asleep))).read()).values
    assert values["dc_power_kw"] is None, "what the inverter calls DC power would count the battery"


async def test_only_the_modules_that_the_device_counts() -> None:
    inputs = model_words(160, {"N": 1}, scales=MPPT_SCALES, modules=[MPPT, MPPT])
    values = await values_of(COMMON, INVERTER, inputs)
    assert "dc_power_kw.pv1" in values
    assert "dc_power_kw.pv2" not in values


async def test_many_inputs_are_read_in_whole_modules() -> None:
    inputs = model_words(160, {"N": 12}, scales=MPPT_SCALES, modules=[MPPT] * 12)
    bus = FakeBus(image(COMMON, INVERTER, inputs))
    values = (await driver(bus).read()).values
    assert values["dc_power_kw.pv12"] == 4.9
    sizes = [count for *_, count in bus.reads if count > 68]
    assert sizes == [110, 120]
    assert max(count for *_, count in bus.reads) <= 125


async def test_inputs_that_are_refused_are_missing() -> None:
    inputs = model_words(160, {"N": 2}, scales=MPPT_SCALES, modules=[MPPT, MPPT])
    bus = FakeBus(image(COMMON, INVERTER, inputs))
    reader = driver(bus)
    await reader.read()
    del bus.holding[40002 + len(COMMON) + len(INVERTER) + 20]
    answer = await reader.read()
    assert answer.quality == Quality.PARTIAL
    assert answer.values["ac_power_kw"] == 4.82


async def test_who_the_device_is() -> None:
    reader = driver(FakeBus(image(COMMON, INVERTER)))
    await reader.read()
    assert reader.identity is not None
    assert (reader.identity.manufacturer, reader.identity.serial_number) == ("Sun Maker", "4711")
    nameless = driver(FakeBus(image(INVERTER)))
    await nameless.read()
    assert nameless.identity is None


async def test_a_common_model_of_another_length() -> None:
    short = (1, 65, *COMMON[2:-1])
    reader = driver(FakeBus(image(short, INVERTER)))
    assert (await reader.read()).values["ac_power_kw"] == 4.82


async def test_kaco_reads_its_recording() -> None:
    models = expected_of("kaco_blueplanet_86tl3_producing.expected_pysunspec2")["models"]
    said = {name: point["value"] for name, point in models["103:0"]["points"].items()}
    reader = driver(FakeBus(holding_of("kaco_blueplanet_86tl3_producing")))
    values = (await reader.read()).values
    assert values["ac_power_kw"] == said["W"] / 1000
    assert values["ac_apparent_power_kva"] == said["VA"] / 1000
    assert values["ac_reactive_power_kvar"] == said["VAr"] / 1000
    assert values["energy_total_kwh"] == said["WH"] / 1000
    assert values["grid_frequency_hz"] == said["Hz"]
    assert values["dc_power_kw"] == said["DCW"] / 1000
    assert values["dc_voltage_v"] == said["DCV"]
    assert values["dc_current_a"] == said["DCA"]
    assert values["ac_current_a"] == said["A"]
    assert values["inverter_temperature_c"] == said["TmpCab"]
    assert values["power_factor"] == said["PF"] == 1.0, "this device sends the ratio where the model says percent"
    for number, phase in enumerate("ABC", start=1):
        assert values[f"ac_current_a.l{number}"] == said[f"Aph{phase}"]
        assert values[f"ac_voltage_v.l{number}"] == said[f"PhVph{phase}"]
    assert values["operating_state"] == "producing"
    assert values["ac_voltage_v.l1_l2"] is None
    assert values["rated_power_kw"] == models["120:0"]["points"]["WRtg"]["value"] / 1000
    for number, module in enumerate(models["160:0"]["points"]["#module"], start=1):
        assert values[f"dc_power_kw.pv{number}"] == module["DCW"]["value"] / 1000
        assert values[f"dc_voltage_v.pv{number}"] == module["DCV"]["value"]
        assert values[f"dc_current_a.pv{number}"] == module["DCA"]["value"]
    assert reader.identity is not None
    assert reader.identity.model == models["1:0"]["points"]["Md"]["value"]
