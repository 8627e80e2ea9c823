"""A wrong profile file is refused with its name, the field, the value and the way out."""

from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.profiles.load import ProfileLibrary, UnknownProfileError
from shared.enums import DeviceType

HEAD = """
format = 1
name = "roof"
title = "A test platform"
platforms = ["T-1"]
quality = "draft"
word_order = "high_first"
[[sources]]
title = "a manual"
"""
ROW = """
[[row]]
metric = "ac_power_kw"
address = 10
type = "u16"
unit = "W"
for = ["inverter"]
"""


def library(folder: Path, text: str, *, name: str = "roof") -> ProfileLibrary:
    (folder / f"{name}.toml").write_text(text)
    return ProfileLibrary(folder)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        library(folder, text).modbus("roof")
    return str(caught.value)


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    profile = library(tmp_path, HEAD + ROW).modbus("roof")
    assert profile.rows_for(DeviceType.INVERTER)[0].words == (10,)
    assert profile.rows_for(DeviceType.BATTERY) == ()
    assert profile.device_types == (DeviceType.INVERTER,)


def test_the_installers_file_comes_before_the_shipped_one(tmp_path: Path) -> None:
    text = (HEAD + ROW).replace('"roof"', '"deye_1p_hybrid"')
    own = library(tmp_path, text, name="deye_1p_hybrid")
    assert own.modbus("deye_1p_hybrid").title == "A test platform"
    assert own.modbus_names().count("deye_1p_hybrid") == 1


def test_a_broken_file_does_not_touch_the_others(tmp_path: Path) -> None:
    own = library(tmp_path, "format = [", name="broken")
    assert own.modbus("deye_1p_hybrid").name == "deye_1p_hybrid"
    with pytest.raises(ConfigError, match=r"broken\.toml is no TOML"):
        own.modbus("broken")


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownProfileError, match=r"'sun' is not known; known are: .*deye_1p_hybrid, .*roof"):
        library(tmp_path, HEAD + ROW).modbus("sun")


@pytest.mark.parametrize("name", ["../roof", "mqtt/irradiance_json", "/etc/passwd", ""])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownProfileError):
        library(tmp_path, HEAD + ROW).modbus(name)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roof.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"roof\.toml is no TOML"):
        ProfileLibrary(tmp_path).modbus("roof")


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"other\.toml: name = 'roof'"):
        library(tmp_path, HEAD + ROW, name="other").modbus("other")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ROW.replace("ac_power_kw", "ac_power"), ["roof.toml", "row.0", "'ac_power'", "not in the catalogue"]),
        (ROW.replace('unit = "W"', ""), ["unit is missing", "ac_power_kw is kept in kW"]),
        (ROW.replace('"W"', '"V"'), ["unit 'V' cannot become 'kW'", "W, kW, MW"]),
        (ROW.replace("10", "70000"), ["row.0.address = 70000", "65535"]),
        (ROW.replace("u16", "u12"), ["row.0.type = 'u12'", "'u16'"]),
        (ROW.replace("inverter", "battery"), ["for has 'battery'", "exists for: inverter"]),
        (ROW + "adress = 3\n", ["row.0.adress", "Extra inputs"]),
        (ROW + "addresses = [1, 2]\n", ["either address or addresses"]),
        (ROW.replace("address = 10", "addresses = [1, 2]"), ["addresses has 2 entries", "u16 has 1"]),
        (ROW + "count = 2\n", ["count is 2", "leave count out"]),
        (ROW.replace("u16", "string"), ["string needs count"]),
        (ROW.replace('"u16"', '"string"\ncount = 2'), ["cannot give ac_power_kw"]),
        (ROW.replace('"u16"', '"bitfield"\ncount = 2'), ["needs code_prefix"]),
        (ROW + 'code_prefix = "x"\n', ["only a bitfield has one"]),
        (ROW + 'states = { 0 = "off" }\n', ["states belongs to operating_state"]),
        (ROW.replace("ac_power_kw", "operating_state"), ["operating_state needs states"]),
        (ROW + "scale = 0\n", ["scale is 0"]),
        (ROW.replace("10", "65535").replace("u16", "u32"), ["beyond register 65535"]),
        (ROW + ROW, ["ac_power_kw is given 2 times for inverter"]),
        (ROW + "range = [3, 1]\n", ["range 3.0..1.0", "lower bound first"]),
        (ROW + ROW.replace("ac_power_kw", "dc_power_kw").replace("u16", "u32"), ["share register 10"]),
        (ROW.replace("ac_power_kw", "battery_power_kw"), ["battery_power_kw at 10 has no sign"]),
        (
            ROW.replace("ac_power_kw", "battery_soc_percent").replace('"W"', '"percent"\nrange = [0, 400]'),
            ["wider than"],
        ),
        (ROW + "[bus]\nforbidden = [[5, 12]]\n", ["lies in bus.forbidden 5..12"]),
        (ROW + "[bus]\nforbidden = [[12, 5]]\n", ["bus.forbidden 12..5 is empty"]),
        (
            ROW.replace("address = 10", "addresses = [10, 80]").replace("u16", "u32") + "[bus]\nmax_registers = 60\n",
            ["needs 71 registers in one request"],
        ),
        (
            ROW + '[[derived]]\nmetric = "dc_power_kw"\nsum = ["dc_power_kw.pv1", "ac_power_kw"]\nfor = ["inverter"]\n',
            ["derived dc_power_kw: dc_power_kw.pv1 has no row"],
        ),
        (ROW + '[[derived]]\nmetric = "sun"\nsum = ["a", "b"]\nfor = ["inverter"]\n', ["derived sun", "catalogue"]),
        (
            ROW + '[[derived]]\nmetric = "dc_voltage_v"\nsum = ["ac_power_kw", "ac_power_kw"]\nfor = ["inverter"]\n',
            ["ac_power_kw is not in V"],
        ),
        (
            ROW + '[[derived]]\nmetric = "dc_power_kw"\nsum = ["ac_power_kw", "ac_power_kw"]\nfor = ["battery"]\n',
            ["no such metric for battery"],
        ),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, wrong: str, words: list[str]) -> None:
    said = refusal(tmp_path, HEAD + wrong)
    assert said.startswith("roof.toml: ")
    for word in words:
        assert word in said


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    assert "format = 2" in refusal(tmp_path, (HEAD + ROW).replace("format = 1", "format = 2"))


def test_a_profile_without_rows_is_refused(tmp_path: Path) -> None:
    assert "row" in refusal(tmp_path, HEAD)


MAP = """
format = 1
name = "roof"
title = "A sensor"
quality = "draft"
for = ["sensor"]
[[sources]]
title = "a manual"
[[topic]]
topic = "{topic_prefix}/x"
format = "json"
value = [{ path = "a", metric = "module_temperature_c", unit = "degC" }]
"""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (MAP.replace("degC", "K"), ["unit 'K' cannot become 'degC'"]),
        (MAP.replace('path = "a", ', ""), ["path is ''", "only JSON has paths"]),
        (MAP.replace('"json"', '"number"'), ["path is 'a'", "number payload"]),
        (MAP.replace('"sensor"', '"inverter"'), ["module_temperature_c does not exist for inverter"]),
        (MAP.replace(', unit = "degC"', ""), ["unit is missing"]),
        (MAP.replace('"degC"', '"degC", scale = 0'), ["scale is 0"]),
        (MAP.replace('"degC"', '"degC", states = { a = "off" }'), ["states and operating_state belong together"]),
        (
            MAP.replace("value = [", 'value = [{ path = "b", metric = "module_temperature_c", unit = "degC" }, '),
            ["2 times"],
        ),
    ],
)
def test_a_wrong_topic_map_says_what_is_wrong(tmp_path: Path, wrong: str, words: list[str]) -> None:
    (tmp_path / "mqtt").mkdir()
    (tmp_path / "mqtt" / "roof.toml").write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        ProfileLibrary(tmp_path).mqtt("roof")
    for word in words:
        assert word in str(caught.value)


def test_a_topic_map_knows_its_placeholders(tmp_path: Path) -> None:
    (tmp_path / "mqtt").mkdir()
    (tmp_path / "mqtt" / "roof.toml").write_text(MAP)
    topic_map = ProfileLibrary(tmp_path).mqtt("roof")
    assert topic_map.placeholders == {"topic_prefix"}
    assert topic_map.metrics == ("module_temperature_c",)
