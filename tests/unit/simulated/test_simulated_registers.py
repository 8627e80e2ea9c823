"""The simulated devices' words, decoded by pysunspec2 and by the Deye map written out by hand."""

from datetime import date, timedelta

import pytest
from sunspec2.device import Model

from edge_agent.drivers.simulated import SimulatedSite, SiteState
from edge_agent.drivers.simulated_registers import (
    HYBRID_SERIAL,
    METER_SERIAL,
    deye_words,
    grid_phases_w,
    sunspec_inverter_words,
    sunspec_meter_words,
)
from shared.enums import OperatingState

SITE = SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=date(2026, 7, 15))
NOON = SITE.at(SITE.start + timedelta(hours=12))
NIGHT = SITE.at(SITE.start + timedelta(hours=26))
HOURS = [SITE.at(SITE.start + timedelta(hours=hour)) for hour in range(0, 48, 3)]


def models_of(words: list[int]) -> dict[int, dict[str, object]]:
    """Walk the chain as the specification says and let pysunspec2 decode each model."""
    assert words[:2] == [0x5375, 0x6E53]
    found: dict[int, dict[str, object]] = {}
    place = 2
    while words[place] != 0xFFFF:
        number, length = words[place : place + 2]
        data = b"".join(word.to_bytes(2, "big") for word in words[place : place + 2 + length])
        model = Model(model_id=number, model_len=length, data=data)
        found[number] = model.get_dict(computed=True)
        place += 2 + length
    assert words[place:] == [0xFFFF, 0]
    return found


def u32_low_first(words: list[int], address: int) -> int:
    return words[address] | words[address + 1] << 16


def s16(word: int) -> int:
    return word - 65_536 if word >= 32_768 else word


def test_inverter_has_the_models_of_a_three_phase_string_inverter() -> None:
    assert list(models_of(sunspec_inverter_words(NOON))) == [1, 103, 160, 120]


def test_inverter_by_day_says_what_the_site_does() -> None:
    models = models_of(sunspec_inverter_words(NOON))
    inverter, inputs = models[103], models[160]
    assert inverter["W"] == NOON.powers.string_ac
    assert inverter["WH"] == NOON.counters.string_wh
    assert inverter["St"] == 4
    assert inverter["Hz"] == pytest.approx(NOON.frequency_hz, abs=0.006)
    assert [inverter[f"PhVph{phase}"] for phase in "ABC"] == pytest.approx(NOON.voltage_v, abs=0.06)
    assert inverter["DCW"] == NOON.powers.string_dc1 + NOON.powers.string_dc2
    first, second = inputs["module"]  # type: ignore[misc]
    assert (first["DCW"], second["DCW"]) == (NOON.powers.string_dc1, NOON.powers.string_dc2)
    assert (first["IDStr"], first["DCWH"]) == ("PV1", NOON.counters.string_dc1_wh)
    assert first["DCA"] * first["DCV"] == pytest.approx(first["DCW"], rel=0.01)
    assert models[120]["WRtg"] == 5000


def test_inverter_asleep_measures_nothing_but_keeps_its_counter() -> None:
    assert NIGHT.string_state is OperatingState.SLEEPING
    inverter = models_of(sunspec_inverter_words(NIGHT))[103]
    absent = ["A", "AphA", "PhVphA", "PhVphC", "W", "Hz", "VA", "VAr", "PF", "DCA", "DCV", "DCW"]
    assert {name: inverter[name] for name in absent} == dict.fromkeys(absent)
    assert (inverter["St"], inverter["WH"]) == (2, NIGHT.counters.string_wh)


@pytest.mark.parametrize("state", HOURS, ids=lambda state: f"{state.at:%d-%H}")
def test_meter_agrees_with_itself_and_the_site(state: SiteState) -> None:
    meter = models_of(sunspec_meter_words(state))[203]
    assert meter["W"] == state.powers.grid == sum(meter[f"Wph{phase}"] for phase in "ABC")  # type: ignore[misc]
    assert (meter["TotWhImp"], meter["TotWhExp"]) == (state.counters.meter_import_wh, state.counters.meter_export_wh)
    assert meter["TotWhImpPhA"] is None
    assert meter["AphA"] == pytest.approx(grid_phases_w(state)[0] / state.voltage_v[0], abs=0.006)


def test_meter_is_told_from_the_inverter_by_its_serial_number() -> None:
    assert models_of(sunspec_meter_words(NOON))[1]["SN"] == METER_SERIAL
    assert models_of(sunspec_inverter_words(NOON))[1]["SN"] != METER_SERIAL


@pytest.mark.parametrize("state", HOURS, ids=lambda state: f"{state.at:%d-%H}")
def test_hybrid_registers_hold_the_site(state: SiteState) -> None:
    words = deye_words(state)
    power, total = state.powers, state.counters
    assert (s16(words[169]), s16(words[175]), s16(words[190])) == (power.grid, power.hybrid_ac, power.battery)
    assert (words[178], words[186], words[187]) == (power.load, power.pv1, power.pv2)
    assert words[184] == round(state.charge_stored_percent)
    assert u32_low_first(words, 96) * 100 == total.hybrid_pv_wh
    assert u32_low_first(words, 72) * 100 == total.hybrid_charge_wh
    assert u32_low_first(words, 74) * 100 == total.hybrid_discharge_wh
    assert u32_low_first(words, 81) * 100 == total.hybrid_export_wh
    assert u32_low_first(words, 85) * 100 == total.hybrid_load_wh
    assert (words[78] | words[80] << 16) * 100 == total.hybrid_import_wh, "low and high word around the frequency"
    assert words[79] / 100 == pytest.approx(state.frequency_hz, abs=0.006)
    assert words[183] / 100 * s16(words[191]) / 100 == pytest.approx(power.battery, abs=1 + abs(power.battery) * 0.01)
    assert 0 < (words[182] - 1000) / 10 < 60
    assert words[108] * 100 == state.today.hybrid_pv_wh // 100 * 100


def test_hybrid_says_what_it_is() -> None:
    words = deye_words(NOON)
    assert words[0] == 3
    assert b"".join(word.to_bytes(2, "big") for word in words[3:8]).decode() == HYBRID_SERIAL
    assert u32_low_first(words, 16) / 10 == 5000
    assert words[59] == 2
    assert words[103:107] == [0, 0, 0, 0]


def test_hybrid_with_an_empty_battery_at_night_stands_by() -> None:
    idle = SITE.at(SITE.start + timedelta(hours=27))
    assert idle.powers.hybrid_ac == 0
    assert deye_words(idle)[59] == 0


def test_hybrid_has_no_voltage_on_its_inputs_in_the_dark() -> None:
    words = deye_words(NIGHT)
    assert words[109:113] == [0, 0, 0, 0]
    assert deye_words(NOON)[109] > 1500


def test_words_are_words() -> None:
    for state in HOURS:
        for words in (sunspec_inverter_words(state), sunspec_meter_words(state), deye_words(state)):
            assert all(isinstance(word, int) and 0 <= word <= 0xFFFF for word in words)
