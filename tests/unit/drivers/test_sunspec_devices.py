"""What each kind of SunSpec device gives, worked out by hand from the models' definitions."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from edge_agent.drivers.sunspec import DEVICE_TYPES, SunSpecDriver
from edge_agent.drivers.sunspec_models import Point
from shared.enums import DeviceType, Quality
from shared.metrics import metric_of
from shared.readings import Value
from tests.modbus_server import FakeBus
from tests.sunspec_image import image, model_words

COMMON = model_words(1, {"Mn": "Sun Maker"})
DER = {
    "ACType": 2,
    "St": 1,
    "InvSt": 3,
    "ConnSt": 1,
    "Alrm": 0,
    "W": Decimal(9520),
    "VA": Decimal(9600),
    "Var": Decimal(-1200),
    "PF": Decimal("0.992"),
    "A": Decimal("41.7"),
    "Hz": Decimal("50.02"),
    "TotWhInj": Decimal(123_456_789_012),
    "TmpCab": Decimal("41.5"),
    "TmpSnk": Decimal("55.1"),
    "WL1": Decimal(3170),
    "VL1": Decimal("231.4"),
    "VL3L1": Decimal("400.6"),
    "AL2": Decimal("13.9"),
    "PFL3": Decimal("-0.98"),
    "VAL2": Decimal(3200),
    "VarL3": Decimal(-400),
}
DER_SCALES = {"W_SF": 1, "VA_SF": 1, "Var_SF": 1, "PF_SF": -3, "A_SF": -1, "V_SF": -1, "Hz_SF": -2, "Tmp_SF": -1}
PORT_SCALES = {"DCA_SF": -1, "DCV_SF": -1, "DCW_SF": 1, "DCWH_SF": 0, "Tmp_SF": 0}


async def answer(
    *models: Sequence[int], device_type: DeviceType = DeviceType.INVERTER
) -> tuple[dict[str, Value], Quality]:
    """The first reading: values that are there, and the quality."""
    said = await SunSpecDriver(FakeBus(image(COMMON, *models)), 1, device_type=device_type).read()
    for key in said.values:
        assert device_type in metric_of(key).device_types, f"{key} is no metric of a {device_type.value}"
    return {key: value for key, value in said.values.items() if value is not None}, said.quality


def port(kind: int | None, watts: int, **more: Point) -> dict[str, Point]:
    kinds = None if kind is None else Decimal(kind)
    return {
        "PrtTyp": kinds,
        "DCW": Decimal(watts),
        "DCV": Decimal("610.5"),
        "DCA": Decimal("8.1"),
        "DCAlrm": Decimal(0),
    } | more


async def test_an_inverter_of_the_700_series() -> None:
    der = model_words(701, DER, scales=DER_SCALES)
    capacity = model_words(702, {"WMaxRtg": Decimal(10_000)}, scales={"W_SF": 2})
    ports = model_words(714, {"DCW": Decimal(9700)}, scales=PORT_SCALES, modules=[port(0, 4900), port(None, 4800)])
    values, quality = await answer(der, capacity, ports)
    assert values == {
        "ac_power_kw": 9.52,
        "ac_apparent_power_kva": 9.6,
        "ac_reactive_power_kvar": -1.2,
        "power_factor": 0.992,
        "ac_current_a": 41.7,
        "grid_frequency_hz": 50.02,
        "energy_total_kwh": 123_456_789.012,
        "inverter_temperature_c": 55.1,
        "inverter_temperature_c.cabinet": 41.5,
        "inverter_temperature_c.heatsink": 55.1,
        "ac_power_kw.l1": 3.17,
        "ac_voltage_v.l1": 231.4,
        "ac_voltage_v.l3_l1": 400.6,
        "ac_current_a.l2": 13.9,
        "power_factor.l3": -0.98,
        "ac_apparent_power_kva.l2": 3.2,
        "ac_reactive_power_kvar.l3": -0.4,
        "operating_state": "producing",
        "vendor_state_code": 3.0,
        "fault_codes": "",
        "dc_power_kw": 9.7,
        "dc_power_kw.pv1": 4.9,
        "dc_voltage_v.pv1": 610.5,
        "dc_current_a.pv1": 8.1,
        "dc_power_kw.pv2": 4.8,
        "dc_voltage_v.pv2": 610.5,
        "dc_current_a.pv2": 8.1,
        "rated_power_kw": 10.0,
    }
    assert quality == Quality.GOOD


@pytest.mark.parametrize(
    ("points", "state"),
    [
        *(({"InvSt": code}, state) for code, state in enumerate(
            ["off", "sleeping", "starting", "producing", "producing_limited", "shutting_down", "fault", "standby", "unknown"]
        )),
        ({"InvSt": None, "St": 0}, "off"),
        ({"InvSt": None, "St": 1}, "producing"),
        ({"InvSt": None, "St": 1, "W": Decimal(0)}, "standby"),
        ({"InvSt": None, "St": 1, "W": None}, "standby"),
        ({"InvSt": None, "St": 7}, "unknown"),
    ],
)  # fmt: skip
async def test_states_of_the_700_series(points: Mapping[str, Point], state: str) -> None:
    values, _ = await answer(model_words(701, DER | points, scales=DER_SCALES))
    assert values["operating_state"] == state


@pytest.mark.parametrize(
    ("code", "state"),
    [(1, "off"), (2, "sleeping"), (3, "starting"), (4, "producing"), (5, "producing_limited"), (6, "shutting_down"), (7, "fault"),
     (8, "standby"), (0, "unknown"), (9, "unknown")],
)  # fmt: skip
@pytest.mark.parametrize("model", [101, 103, 112])
async def test_states_of_the_100_series(model: int, code: int, state: str) -> None:
    values, _ = await answer(model_words(model, {"St": Decimal(code), "StVnd": Decimal(77)}))
    assert (values["operating_state"], values["vendor_state_code"]) == (state, 77.0)


async def test_the_older_model_is_read_where_there_are_both() -> None:
    """Their counters differ, and a counter must not change its source."""
    values, _ = await answer(model_words(701, DER), model_words(103, {"WH": Decimal(5000), "W": Decimal(1)}))
    assert values["energy_total_kwh"] == 5.0


async def test_events_are_told_apart() -> None:
    modules: list[dict[str, Point]] = [{"DCEvt": Decimal(1 << 15)}, {"DCEvt": Decimal(0)}]
    inputs = model_words(160, {"N": Decimal(2), "Evt": Decimal(2)}, modules=modules)
    values, _ = await answer(model_words(103, {"Evt1": Decimal(1 << 7), "Evt2": Decimal(0x8000_0001)}), inputs)
    assert values["fault_codes"] == "sunspec:evt1.7 sunspec:inputs.1 sunspec:input1.15", (
        "a field whose top bit is set says nothing"
    )
    values, _ = await answer(model_words(701, DER | {"Alrm": Decimal(1 << 16)}, scales=DER_SCALES))
    assert values["fault_codes"] == "sunspec:alrm.16"


async def test_pv_power_without_the_inverters_own() -> None:
    ports = model_words(714, {}, scales=PORT_SCALES, modules=[port(0, 4900), port(0, 4800)])
    values, quality = await answer(model_words(701, DER), ports)
    assert (values["dc_power_kw"], quality) == (9.7, Quality.DERIVED)
    ports = model_words(714, {}, scales=PORT_SCALES, modules=[port(0, 4900), port(0, 4800) | {"DCW": None}])
    values, quality = await answer(model_words(701, DER), ports)
    assert "dc_power_kw" not in values, "a part is no total"
    assert quality == Quality.GOOD


HYBRID = (
    model_words(701, DER, scales=DER_SCALES),
    model_words(713, {"SoC": Decimal("64.5"), "SoH": Decimal(98), "Sta": Decimal(0)}, scales={"Pct_SF": -1}),
    model_words(
        714,
        {"DCW": Decimal(4100)},
        scales=PORT_SCALES,
        modules=[
            port(0, 4900),
            port(1, -800, DCA=Decimal("-2.1"), DCV=Decimal(380), DCWhInj=Decimal(7_000_000), DCWhAbs=Decimal(8_000_000), Tmp=Decimal(31)),
        ],
    ),
)  # fmt: skip


async def test_a_hybrid_of_the_700_series() -> None:
    values, quality = await answer(*HYBRID)
    assert values["dc_power_kw"] == 4.9
    assert "dc_power_kw.pv2" not in values
    assert quality == Quality.DERIVED
    values, quality = await answer(*HYBRID, device_type=DeviceType.BATTERY)
    assert values == {
        "battery_soc_percent": 64.5,
        "battery_soh_percent": 98.0,
        "vendor_state_code": 0.0,
        "battery_power_kw": -0.8,
        "battery_current_a": -2.1,
        "battery_voltage_v": 380.0,
        "battery_temperature_c": 31.0,
        "battery_discharge_energy_total_kwh": 7000.0,
        "battery_charge_energy_total_kwh": 8000.0,
        "fault_codes": "",
    }
    assert quality == Quality.GOOD


async def test_a_battery_among_the_inputs_of_model_160() -> None:
    modules: list[dict[str, Point]] = [
        {"IDStr": "MPPT 1", "DCW": Decimal(4000)},
        {"IDStr": "StCha 3", "DCW": Decimal(0), "DCV": Decimal(0), "DCA": Decimal(0), "DCWH": Decimal(900_000)},
        {"IDStr": "StDisCha 4", "DCW": Decimal(1500), "DCV": Decimal(390), "DCA": Decimal(4), "DCWH": Decimal(800_000)},
    ]
    inputs = model_words(160, {"N": Decimal(3)}, modules=modules)
    basic = model_words(124, {"ChaState": Decimal("55.5"), "ChaSt": Decimal(3)}, scales={"ChaState_SF": -2})
    values, quality = await answer(basic, inputs, device_type=DeviceType.BATTERY)
    assert values == {
        "battery_soc_percent": 55.5,
        "vendor_state_code": 3.0,
        "battery_power_kw": 1.5,
        "battery_current_a": 4.0,
        "battery_voltage_v": 390.0,
        "battery_charge_energy_total_kwh": 900.0,
        "battery_discharge_energy_total_kwh": 800.0,
        "operating_state": "producing",
    }
    assert quality == Quality.DERIVED
    modules[1], modules[2] = modules[1] | {"DCW": Decimal(700)}, modules[2] | {"DCW": Decimal(0)}
    values, _ = await answer(
        model_words(124, {"ChaState": Decimal(50)}),
        model_words(160, {}, modules=modules),
        device_type=DeviceType.BATTERY,
    )
    assert (values["battery_power_kw"], values["operating_state"]) == (-0.7, "charging_only")


BANK = {
    "SoC": Decimal("71.3"),
    "SoH": Decimal(97),
    "NCyc": Decimal(411),
    "V": Decimal("512.4"),
    "A": Decimal("-20.5"),
    "W": Decimal(-10_500),
    "CellVMin": Decimal("3.281"),
    "CellVMax": Decimal("3.312"),
    "State": Decimal(3),
    "ChaSt": Decimal(4),
    "Evt1": Decimal(0b101),
}
BANK_SCALES = {"SoC_SF": -1, "V_SF": -1, "A_SF": -1, "W_SF": 1, "CellV_SF": -3}
STRINGS: list[dict[str, Point]] = [
    {"StrSoC": Decimal(70 + n), "StrA": Decimal(-n), "StrModTmpAvg": Decimal(25 + n), "StrEvt1": Decimal(n == 2)}
    for n in (1, 2)
]


async def test_a_battery_bank_with_its_strings() -> None:
    bank = model_words(802, BANK, scales=BANK_SCALES)
    strings = model_words(
        803, {"ModTmpMax": Decimal(29), "ModTmpMin": Decimal(22), "ModTmpAvg": Decimal(26)}, modules=STRINGS
    )
    values, quality = await answer(bank, strings, device_type=DeviceType.BATTERY)
    assert values == {
        "battery_soc_percent": 71.3,
        "battery_soh_percent": 97.0,
        "battery_cycles_total": 411.0,
        "battery_voltage_v": 512.4,
        "battery_current_a": -20.5,
        "battery_power_kw": -10.5,
        "battery_cell_voltage_min_v": 3.281,
        "battery_cell_voltage_max_v": 3.312,
        "operating_state": "charging_only",
        "vendor_state_code": 3.0,
        "battery_temperature_c": 26.0,
        "battery_temperature_c.min": 22.0,
        "battery_temperature_c.max": 29.0,
        "battery_soc_percent.bat1": 71.0,
        "battery_current_a.bat1": -1.0,
        "battery_temperature_c.bat1": 26.0,
        "battery_soc_percent.bat2": 72.0,
        "battery_current_a.bat2": -2.0,
        "battery_temperature_c.bat2": 27.0,
        "fault_codes": "sunspec:evt1.0 sunspec:evt1.2 sunspec:string2.evt1.0",
    }
    assert quality == Quality.GOOD


@pytest.mark.parametrize(
    ("status", "sent", "power", "state"),
    [
        (3, 2000, 2.0, "producing"),
        (3, -2000, 2.0, "producing"),
        (4, 2000, -2.0, "charging_only"),
        (4, -2000, -2.0, "charging_only"),
        (6, -10, -0.01, "standby"),
        (5, 0, 0.0, "standby"),
        (None, 2000, 2.0, "producing"),
        (None, -2000, -2.0, "charging_only"),
        (None, 0, 0.0, "standby"),
        (1, 0, 0.0, "off"),
        (42, 0, 0.0, "unknown"),
    ],
)
async def test_a_batterys_direction_is_what_it_says_it_does(
    status: int | None, sent: int, power: float, state: str
) -> None:
    words = model_words(802, BANK | {"ChaSt": None if status is None else Decimal(status), "W": Decimal(sent)})
    values, _ = await answer(words, device_type=DeviceType.BATTERY)
    assert (values["battery_power_kw"], values["operating_state"]) == (power, state)


@pytest.mark.parametrize(
    ("code", "state"), [(1, "off"), (2, "starting"), (4, "standby"), (5, "standby"), (6, "shutting_down"), (99, "fault"), (8, "unknown")]
)  # fmt: skip
async def test_states_of_a_bank(code: int, state: str) -> None:
    words = model_words(802, BANK | {"State": Decimal(code), "StateVnd": Decimal(500)})
    values, _ = await answer(words, device_type=DeviceType.BATTERY)
    assert (values["operating_state"], values["vendor_state_code"]) == (state, 500.0)


def a_string(number: int, **more: Point) -> tuple[int, ...]:
    return model_words(
        804,
        {"Idx": Decimal(number), "SoC": Decimal(60 + number), "V": Decimal(50 + number), "A": Decimal(number)} | more,
        modules=[{"ModNCell": Decimal(16)}] * 4,
    )


async def test_strings_that_have_a_model_each() -> None:
    one = {
        "CellVMin": Decimal(3),
        "CellVMax": Decimal(4),
        "ModTmpMin": Decimal(20),
        "ModTmpMax": Decimal(30),
        "Evt1": Decimal(8),
    }
    other = {"CellVMin": Decimal(2), "CellVMax": Decimal(5), "ModTmpMin": Decimal(21), "ModTmpMax": Decimal(29)}
    values, _ = await answer(a_string(1, **one), a_string(2, **other), device_type=DeviceType.BATTERY)
    assert values == {
        "battery_soc_percent.bat1": 61.0,
        "battery_voltage_v.bat1": 51.0,
        "battery_current_a.bat1": 1.0,
        "battery_soc_percent.bat2": 62.0,
        "battery_voltage_v.bat2": 52.0,
        "battery_current_a.bat2": 2.0,
        "battery_cell_voltage_min_v": 2.0,
        "battery_cell_voltage_max_v": 5.0,
        "battery_temperature_c.min": 20.0,
        "battery_temperature_c.max": 30.0,
        "fault_codes": "sunspec:string1.evt1.3",
    }
    values, _ = await answer(a_string(1, **one), device_type=DeviceType.BATTERY)
    assert (values["battery_soc_percent"], values["battery_voltage_v"], values["battery_current_a"]) == (
        61.0,
        51.0,
        1.0,
    )


async def test_a_module_alone() -> None:
    module = model_words(
        805, {"SoC": Decimal(44), "V": Decimal(51), "CellTmpMax": Decimal(33), "SN": "M-1"}, modules=[{}] * 16
    )
    values, _ = await answer(module, device_type=DeviceType.BATTERY)
    assert values == {"battery_soc_percent": 44.0, "battery_voltage_v": 51.0, "battery_temperature_c.max": 33.0}


async def test_a_storage_that_is_broken() -> None:
    values, _ = await answer(model_words(713, {"Sta": Decimal(2)}), device_type=DeviceType.BATTERY)
    assert (values["operating_state"], values["vendor_state_code"]) == ("fault", 2.0)


@pytest.mark.parametrize("device_type", [DeviceType.WEATHER_STATION, DeviceType.SENSOR])
async def test_a_weather_station(device_type: DeviceType) -> None:
    sensors: list[dict[str, Point]] = [
        {"GHI": Decimal(812)},
        {"GHI": Decimal(700), "POAI": Decimal(934), "DFI": Decimal(102), "DNI": Decimal(850)},
    ]
    values, quality = await answer(
        model_words(307, {"TmpAmb": Decimal("38.4"), "RH": Decimal(21), "WndSpd": Decimal(3), "WndDir": Decimal(270)}),
        model_words(302, {}, modules=sensors),
        model_words(303, {}, modules=[{"TmpBOM": None}, {"TmpBOM": Decimal("61.7")}]),
        model_words(304, {}, modules=[{"Inclx": Decimal("30.01")}]),
        model_words(305, {"Lat": Decimal("31.5497")}),
        model_words(306, {"GHI": Decimal(820)}),
        device_type=device_type,
    )
    assert values == {
        "irradiance_wm2.ghi": 812.0,
        "irradiance_wm2.poa": 934.0,
        "irradiance_wm2.dhi": 102.0,
        "irradiance_wm2.reference": 820.0,
        "module_temperature_c": 61.7,
        "ambient_temperature_c": 38.4,
        "humidity_percent": 21.0,
        "wind_speed_ms": 3.0,
        "wind_direction_deg": 270.0,
    }
    assert quality == Quality.GOOD


async def test_a_station_with_one_sensor() -> None:
    values, _ = await answer(model_words(303, {}, modules=[{"TmpBOM": Decimal("-0.1")}]), device_type=DeviceType.SENSOR)
    assert values == {"module_temperature_c": -0.1}


@pytest.mark.parametrize("model", [201, 202, 203, 204, 211, 212, 213, 214])
async def test_meters(model: int) -> None:
    between = "PhVphAB" if model in (202, 203, 204) else "PPVphAB"
    points: dict[str, Point] = {
        "W": Decimal(-1500),
        "WphB": Decimal(-700),
        "VA": Decimal(1600),
        "VARphC": Decimal(40),
        "PF": Decimal(-96),
        "PFphA": Decimal("-0.5"),
        "Hz": Decimal(50),
        between: Decimal(401),
        "PhVphA": Decimal(231),
        "TotWhExp": Decimal(9_002_000),
        "TotWhImpPhB": Decimal(12_000),
        "Evt": Decimal(1 << 2),
    }
    values, quality = await answer(model_words(model, points, scales={"PF_SF": -1}), device_type=DeviceType.METER)
    assert values == {
        "grid_power_kw": -1.5,
        "grid_power_kw.l2": -0.7,
        "ac_apparent_power_kva": 1.6,
        "ac_reactive_power_kvar.l3": 0.04,
        "power_factor": -0.96,
        "power_factor.l1": -0.5,
        "grid_frequency_hz": 50.0,
        "ac_voltage_v.l1_l2": 401.0,
        "ac_voltage_v.l1": 231.0,
        "grid_export_energy_total_kwh": 9002.0,
        "grid_import_energy_total_kwh.l2": 12.0,
        "fault_codes": "sunspec:evt.2",
    }
    assert quality == Quality.GOOD


async def test_slow_values_come_in_turn() -> None:
    bus = FakeBus(
        image(
            COMMON,
            model_words(103, {"W": Decimal(1)}),
            model_words(122, {"Ris": Decimal(1_500_000)}, scales={"Ris_SF": 3}),
            model_words(123, {"WMaxLimPct": Decimal("70.5"), "WMaxLim_Ena": Decimal(1)}, scales={"WMaxLimPct_SF": -1}),
        )
    )
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    seen = [(await driver.read()).values for _ in range(5)]
    assert seen[0]["insulation_resistance_mohm"] == 1.5
    assert seen[0]["active_power_limit_percent"] == 70.5
    assert ["insulation_resistance_mohm" in values for values in seen[1:]] == [False, True, False, True]
    assert ["active_power_limit_percent" in values for values in seen[1:]] == [True, False, True, False]


@pytest.mark.parametrize("device_type", DEVICE_TYPES)
async def test_a_device_that_implements_nothing_gives_nothing(device_type: DeviceType) -> None:
    models = [model_words(number, {}) for number in (103, 701, 203, 802, 713, 124, 306, 307, 122, 123, 704, 120)]
    values, _ = await answer(*models, device_type=device_type)
    assert values == {}


async def test_the_identity_is_that_of_the_device_and_not_of_its_meter() -> None:
    names = [model_words(1, {"Mn": "A", "SN": serial}) for serial in ("inverter", "meter")]
    chain = image(names[0], model_words(101, {}), names[1], model_words(203, {}))
    for device_type, serial in ((DeviceType.INVERTER, "inverter"), (DeviceType.METER, "meter")):
        driver = SunSpecDriver(FakeBus(chain), 1, device_type=device_type)
        await driver.read()
        assert driver.identity is not None
        assert driver.identity.serial_number == serial
