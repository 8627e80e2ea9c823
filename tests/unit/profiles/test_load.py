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

OTHER = ROW.replace("ac_power_kw", "dc_power_kw").replace("10", "12")
IDENTITY = """
[[identity]]
address = 1
meaning = "type"
"""
CONTROL = """
[[control]]
name = "limit_percent"
address = 40
function_code = 6
type = "u16"
scale = 0.1
unit = "percent"
range = [0, 100]
"""


def term() -> str:
    return ROW.replace('metric = "ac_power_kw"', 'term = "output_w"')


def derived(text: str) -> str:
    return f'[[derived]]\nmetric = "dc_power_kw"\nfor = ["inverter"]\n{text}\n'


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
        (ROW.replace("metric =", 'term = "x"\nmetric ='), ["either metric, or term"]),
        (ROW.replace('metric = "ac_power_kw"', ""), ["either metric, or term"]),
        (term(), ["term output_w at 10 is used by no derived value of inverter"]),
        (term().replace('"W"', '"work mode"'), ["unit 'work mode' is not known", "Wh"]),
        (term().replace('type = "u16"', 'type = "string"\ncount = 2'), ["cannot give output_w"]),
        (ROW + "sign_from = { address = 3 }\n", ["write either bit with negative_when"]),
        (ROW + "when = { address = 3 }\n", ["exactly one of the three"]),
        (
            ROW + "when = { address = 3, any_of = [1] }\n" + ROW + "when = { address = 3, any_of = [1, 2] }\n",
            ["ac_power_kw is given 2 times for inverter (at 10 and 10)", "conditions that exclude each other"],
        ),
        (
            ROW + "when = { address = 3, any_of = [1] }\n" + ROW + "when = { address = 4, any_of = [2] }\n",
            ["conditions that exclude each other"],
        ),
        (ROW + "when = { address = 3, any_of = [1] }\n" + ROW, ["conditions that exclude each other"]),
        (
            ROW + "when = { address = 8, any_of = [1] }\n[bus]\nforbidden = [[8, 9]]\n",
            ["when at 8 lies in bus.forbidden"],
        ),
        (
            ROW + "sign_from = { address = 8, bit = 0, negative_when = 1 }\n[bus]\nblocks = [[10, 5]]\n",
            ["sign_from at 8 lies in no block"],
        ),
        (ROW + "[bus]\nblocks = [[100, 5]]\n", ["row ac_power_kw at 10 lies in no block of bus.blocks"]),
        (ROW + "[bus]\nblocks = [[10, 126]]\n", ["[10, 126] has a count outside 1..bus.max_registers = 125"]),
        (ROW + "[bus]\nblocks = [[10, 9]]\nforbidden = [[12, 13]]\n", ["[10, 9] touches bus.forbidden"]),
        (ROW + "[bus]\nblocks = [[10, 9]]\nnever_start_at = [10]\n", ["begins at an address of bus.never_start_at"]),
        (ROW + "[bus]\nblocks = [[10, 9], [65500, 90]]\n", ["[65500, 90] would end beyond register 65535"]),
        (ROW + "[bus]\nnever_start_at = [10]\nforbidden = [[9, 9]]\n", ["no request for it can begin outside"]),
        (ROW + 'alone = true\ntogether = "x"\n', ["both alone and together"]),
        (ROW + 'together = "x"\n', ["together = 'x' is on one row only (ac_power_kw)"]),
        (
            ROW + 'together = "x"\n' + OTHER.replace("12", "300") + 'together = "x"\n',
            ["together = 'x', 10..300, needs 291 registers"],
        ),
        (
            ROW + 'together = "x"\n' + OTHER + 'together = "x"\nfunction = "input"\n',
            ["on rows of several functions or poll classes"],
        ),
        (ROW + "range_of_rated = [1.3, -0.1]\n", ["range_of_rated 1.3..-0.1; write the lower bound first"]),
        (
            ROW.replace("ac_power_kw", "dc_voltage_v").replace('"W"', '"V"') + "range_of_rated = [0, 1]\n",
            ["range_of_rated, which is for powers; write range"],
        ),
        (
            ROW + derived('sum = ["ac_power_kw"]\nproduct = ["ac_power_kw", "ac_power_kw"]'),
            ["either sum and minus, or product"],
        ),
        (ROW + derived('product = ["ac_power_kw"]'), ["product has one factor"]),
        (ROW + derived('sum = ["ac_power_kw"]\nscale = 0'), ["scale is 0"]),
        (ROW + derived('sum = ["ac_power_kw"]') + derived('sum = ["ac_power_kw"]'), ["write only_if_missing = true"]),
        (
            ROW + derived('sum = ["ac_power_kw"]').replace("dc_power_kw", "operating_state"),
            ["derived operating_state is a state"],
        ),
        (ROW + IDENTITY, ["a word is compared with any_of"]),
        (ROW + IDENTITY + 'type = "string"\ncount = 4\n', ["a text is compared with starts_with"]),
        (ROW + IDENTITY + 'type = "string"\ncount = 4\nstarts_with = [""]\n', ["beginnings that are not empty"]),
        (ROW + CONTROL.replace("range = [0, 100]", ""), ["control limit_percent at 40 has no range"]),
        (ROW + CONTROL.replace("[0, 100]", "[100, 0]"), ["control limit_percent has range 100.0..0.0"]),
        (ROW + CONTROL.replace("[0, 100]", "[-1, 100]"), ["-1 percent is raw -10, which u16 cannot hold"]),
        (ROW + CONTROL.replace("[0, 100]", "[0, 9000]"), ["9000 percent is raw 90000, which u16 cannot hold"]),
        (ROW + CONTROL.replace("u16", "u32"), ["function_code 6 writes one register, u32 has 2; write 16"]),
        (ROW + CONTROL.replace("u16", "f32"), ["type is f32; what is written is one of"]),
        (ROW + CONTROL.replace("= 6", "= 5"), ["control.0.function_code = 5"]),
        (ROW + CONTROL.replace("scale = 0.1", "scale = 0"), ["scale is 0"]),
        (ROW + CONTROL + CONTROL, ["control limit_percent is given twice"]),
        (ROW + "[connection]\ndefault_baud = 12\n", ["connection.default_baud = 12"]),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, wrong: str, words: list[str]) -> None:
    said = refusal(tmp_path, HEAD + wrong)
    assert said.startswith("roof.toml: ")
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    "text",
    [
        term() + derived('sum = ["output_w"]'),
        term() + derived('sum = ["output_w"]\nclip = "positive"'),
        ROW + derived('minus = ["ac_power_kw"]') + derived('sum = ["dc_power_kw"]\nonly_if_missing = true'),
        ROW + "when = { address = 3, any_of = [1] }\n" + ROW + "when = { address = 3, any_of = [2] }\nscale = 10\n",
        ROW.replace("u16", "u8_high") + OTHER.replace("u16", "u8_low").replace("12", "10"),
        ROW + "[bus]\nblocks = [[10, 5]]\n",
        ROW + "[bus]\nnever_start_at = [10, 9]\n",
        ROW + 'together = "x"\n' + OTHER + 'together = "x"\n',
        ROW.replace("ac_power_kw", "grid_power_kw") + "sign_from = { address = 8, bit = 0, negative_when = 1 }\n",
        ROW + "range_of_rated = [-0.1, 1.3]\n",
        ROW + IDENTITY + 'type = "string"\ncount = 4\nstarts_with = ["GW"]\n',
        ROW + CONTROL + "gate = { address = 39, value = 1 }\nin_flash = true\nreverts_after_s = 60\nverified = true\n",
        ROW
        + '[connection]\ndefault_unit = 247\ndefault_baud = 9600\nparity = "N"\ntcp_port = 502\nsingle_client = true\n',
    ],
)
def test_what_a_file_may_say(tmp_path: Path, text: str) -> None:
    profile = library(tmp_path, HEAD + text).modbus("roof")
    assert profile.fingerprint == library(tmp_path, HEAD + text).modbus("roof").fingerprint


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    one = library(tmp_path, HEAD + ROW).modbus("roof")
    other = library(tmp_path, HEAD + ROW.replace("10", "11")).modbus("roof")
    assert one.fingerprint != other.fingerprint


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
