"""Recordings of real devices, read by `device read` as an installer would."""

import json
from typing import Any

import pytest

from edge_agent.installer.asking import Asked, read_once
from shared.metrics import METRICS
from tests.captures import FOLDER, expected_of
from tests.integration.installer.command import Ended, solarhub_edge
from tests.modbus_server import serve

DEYE = "sunsynk_sg01lp1_3k6"
KACO = "kaco_blueplanet_86tl3_producing"
GOODWE = sorted(path.name.removesuffix(".dump.json") for path in FOLDER.glob("goodwe_*.dump.json"))

Said = dict[tuple[str, str | None], float | str | None]

DEYE_NAMES = {
    "rated_power_kw": ("rated_power_w", 1000),
    "energy_total_kwh": ("total_pv_kwh", 1),
    "dc_power_kw": ("pv_power_w", 1000),
    "ac_power_kw": ("inverter_power_w", 1000),
    "battery_soc_percent": ("battery_soc", 1),
    "battery_voltage_v": ("battery_voltage", 1),
    "battery_power_kw": ("battery_power_w_discharging", 1000),
    "battery_charge_energy_total_kwh": ("total_battery_charge_kwh", 1),
    "battery_discharge_energy_total_kwh": ("total_battery_discharge_kwh", 1),
    "grid_power_kw": ("grid_ct_power_w_import", 1000),
    "load_power_kw": ("load_power_w", 1000),
    "grid_import_energy_total_kwh": ("total_grid_import_kwh", 1),
    "grid_export_energy_total_kwh": ("total_grid_export_kwh", 1),
    "load_energy_total_kwh": ("total_load_kwh", 1),
}

_INPUTS = {
    f"{metric}.pv{n}": (f"{name}{n}", divisor)
    for n in range(1, 5)
    for metric, name, divisor in (("dc_voltage_v", "vpv", 1), ("dc_current_a", "ipv", 1), ("dc_power_kw", "ppv", 1000))
}
GOODWE_NAMES = {
    "et": _INPUTS
    | {
        "ac_voltage_v.l1": ("vgrid", 1),
        "ac_voltage_v.l2": ("vgrid2", 1),
        "ac_voltage_v.l3": ("vgrid3", 1),
        "ac_current_a.l1": ("igrid", 1),
        "grid_frequency_hz": ("fgrid", 1),
        "ac_power_kw": ("total_inverter_power", 1000),
        "energy_total_kwh": ("e_total", 1),
        "energy_today_kwh": ("e_day", 1),
        "battery_voltage_v": ("vbattery1", 1),
        "battery_current_a": ("ibattery1", 1),
        "battery_power_kw": ("pbattery1", 1000),
        "battery_soc_percent": ("battery_soc", 1),
        "battery_soh_percent": ("battery_soh", 1),
        "battery_charge_energy_total_kwh": ("e_bat_charge_total", 1),
        "battery_discharge_energy_total_kwh": ("e_bat_discharge_total", 1),
        "load_power_kw": ("load_ptotal", 1000),
        "grid_power_kw": ("meter_active_power_total", -1000),
    },
    "dt": _INPUTS
    | {
        "ac_voltage_v.l1": ("vgrid1", 1),
        "ac_current_a.l1": ("igrid1", 1),
        "grid_frequency_hz": ("fgrid1", 1),
        "ac_power_kw": ("total_inverter_power", 1000),
        "energy_total_kwh": ("e_total", 1),
        "energy_today_kwh": ("e_day", 1),
        "inverter_temperature_c": ("temperature", 1),
    },
}
"""Metric -> name in the goodwe library and what its number is divided by."""

OTHERWISE: dict[tuple[str, str], tuple[str | None, float]] = {
    # Neither its battery's manager nor a meter speaks to it: the library prints the zeros in their registers. The connection is measured
    # by the inverter itself.
    ("goodwe_et_GEH10_1U_10_Test", "battery_soc_percent"): (None, 1),
    ("goodwe_et_GEH10_1U_10_Test", "battery_soh_percent"): (None, 1),
    ("goodwe_et_GEH10_1U_10_Test", "grid_power_kw"): ("active_power", -1000),
}
"""Where a recording has another source for a metric than its family; None where the metric is not available."""

ROUNDING_KW = 0.0005
"""Powers that are not in a register are whole watts in the library."""


def dump_of(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.dump.json").read_text()))


def words_of(dump: dict[str, Any], table: str) -> dict[int, int]:
    return {int(address): word for address, word in dump.get(table, {}).items()}


async def read(name: str, *arguments: str) -> Ended:
    dump = dump_of(name)
    unit = int(dump.get("unit_id", 1))
    async with serve(words_of(dump, "holding"), unit=unit, registers_in=words_of(dump, "input")) as port:
        url = f"tcp://127.0.0.1:{port}"
        return await solarhub_edge("device", "read", "--url", url, "--unit", str(unit), "--json", *arguments)


def said(document: dict[str, Any]) -> Said:
    values = {(entry["metric"], entry["channel"]): entry["value"] for entry in document["values"]}
    assert len(values) == len(document["values"]), "each metric and channel once"
    assert {entry["unit"] for entry in document["values"]} <= {metric.unit for metric in METRICS.values()}
    assert all((entry["value"] is None) == (entry["quality"] == "not_available") for entry in document["values"])
    return values


def key_of(metric: str) -> tuple[str, str | None]:
    name, _, channel = metric.partition(".")
    return name, channel or None


@pytest.mark.parametrize("profile", ["auto", "deye_1p_hybrid"])
async def test_deye(profile: str) -> None:
    ended = await read(DEYE, "--profile", profile)
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    expected = expected_of(f"{DEYE}.expected")["values"]
    values = said(document)
    assert {metric: values[key_of(metric)] for metric in DEYE_NAMES} == {
        metric: expected[name] / divisor for metric, (name, divisor) in DEYE_NAMES.items()
    }
    assert document["profile"] == "deye_1p_hybrid"
    assert document["identity"]["registers"][0] | {"meaning": ""} == {
        "address": 0,
        "function": "holding",
        "words": [3],
        "agrees": True,
        "meaning": "",
    }
    assert document["requests"] > 3
    assert document["seconds"] > 0
    assert "registers" not in document


async def test_one_device_type_with_its_registers() -> None:
    ended = await read(DEYE, "--profile", "deye_1p_hybrid", "--type", "battery", "--raw")
    document = ended.document
    assert {entry["device_type"] for entry in document["values"]} == {"battery"}
    assert len(document["registers"]) == document["requests"]
    holding = words_of(dump_of(DEYE), "holding")
    for request in document["registers"]:
        addresses = range(request["address"], request["address"] + request["count"])
        assert request["words"] == [holding[address] for address in addresses]
    assert "battery_soc_percent" in {row for request in document["registers"] for row in request["rows"]}


async def test_kaco_by_sunspec() -> None:
    ended = await read(KACO)
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    models: dict[str, Any] = expected_of(f"{KACO}.expected_pysunspec2")["models"]
    points = {name: point["value"] for name, point in models["103:0"]["points"].items()}
    values = said(document)
    assert document["profile"] == "sunspec"
    assert document["identity"]["manufacturer"] == models["1:0"]["points"]["Mn"]["value"]
    assert document["identity"]["serial_number"] == models["1:0"]["points"]["SN"]["value"]
    for metric, (point, divisor) in {
        "ac_power_kw": ("W", 1000),
        "dc_power_kw": ("DCW", 1000),
        "energy_total_kwh": ("WH", 1000),
        "grid_frequency_hz": ("Hz", 1),
        "ac_voltage_v.l1": ("PhVphA", 1),
        "ac_voltage_v.l1_l2": ("PPVphAB", 1),
        "ac_current_a.l3": ("AphC", 1),
        "inverter_temperature_c.heatsink": ("TmpSnk", 1),
    }.items():
        value = points[point]
        assert values[key_of(metric)] == (None if value is None else pytest.approx(value / divisor, abs=1e-9)), metric
    assert values["ac_voltage_v", "l1_l2"] is None


@pytest.mark.parametrize("name", GOODWE)
async def test_goodwe(name: str) -> None:
    family = name.split("_")[1]
    ended = await read(name, "--profile", f"goodwe_{family}")
    assert (ended.code, ended.err) == (0, "")
    values = said(ended.document)
    expected = expected_of(f"{name}.expected")["values"]
    names = GOODWE_NAMES[family] | {metric: source for (device, metric), source in OTHERWISE.items() if device == name}
    common = {
        metric: (word, divisor)
        for metric, (word, divisor) in names.items()
        if key_of(metric) in values and (word is None or word in expected)
    }
    assert len(common) >= 8
    for metric, (word, divisor) in common.items():
        entry = {"value": None, "register": 0} if word is None else expected[word]
        tolerance = 1e-9 if entry["register"] else ROUNDING_KW
        value = entry["value"]
        wanted = None if value is None else pytest.approx(value / divisor, abs=tolerance)
        assert values[key_of(metric)] == wanted, metric


@pytest.mark.parametrize("name", GOODWE)
async def test_a_platform_without_identity_registers_is_known_by_its_numbers(name: str) -> None:
    dump = dump_of(name)
    unit = int(dump["unit_id"])
    async with serve(words_of(dump, "holding"), unit=unit) as port:
        report = await read_once(Asked(f"tcp://127.0.0.1:{port}", unit=unit))
    assert report.profile == f"goodwe_{name.split('_')[1]}"


async def test_a_device_that_refuses_everything_is_named_and_ends_with_1() -> None:
    async with serve({5: 5}) as port:
        url = f"tcp://127.0.0.1:{port}"
        ended = await solarhub_edge("device", "read", "--url", url, "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "profile = 'auto'" in ended.error
    assert "profiles list" in ended.error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "tcp://127.0.0.1:1", "--profile", "sunspec"], ["127.0.0.1:1", "no connection"]),
        (["--url", "tcp://127.0.0.1:1", "--profile", "nosuch"], ["nosuch", "deye_1p_hybrid"]),
        (["--url", "127.0.0.1:502"], ["127.0.0.1:502", "rtu://"]),
        (["--url", "v5://127.0.0.1"], ["logger_serial", "--logger-serial"]),
        (["--url", "mqtt://127.0.0.1/x", "--profile", "auto"], ["auto", "profile"]),
    ],
)
async def test_what_is_wrong_is_said_on_standard_error(arguments: list[str], words: list[str]) -> None:
    ended = await solarhub_edge("device", "read", "--json", *arguments)
    assert ended.out == ""
    assert ended.code == (1 if "sunspec" in arguments else 2)
    assert [word for word in words if word not in ended.error] == []
