"""What the simulated devices' registers hold: pure functions from a site's state to 16-bit words.

SunSpec devices follow the SunSpec Alliance's information models 1, 103, 120, 160 and 203 (big-endian, value = word x 10^scale factor);
the hybrid follows the map of Deye's single-phase low-voltage hybrids (documents and readings gathered by ha-solarman, kellerza/sunsynk
and kbialek/deye-inverter-mqtt; low word first). Written apart from the drivers that read them, so that one checks the other.
"""

from collections.abc import Sequence

from edge_agent.drivers.simulated import SiteState
from edge_agent.drivers.simulated_plant import HYBRID_AC_W, STRING_AC_W
from shared.enums import OperatingState

SUNSPEC_BASE = 40_000
DEYE_BASE = 0

INVERTER_SERIAL = "SIM-INV-24070001"
METER_SERIAL = "SIM-MTR-24070002"
HYBRID_SERIAL = "2407080003"
"""Ten characters, as on the type plate of the real one."""

_NO_U16, _NO_S16, _NO_U32 = 0xFFFF, 0x8000, 0xFFFFFFFF
_END = [0xFFFF, 0]
_SUNSPEC_STATES = {
    OperatingState.SLEEPING: 2,
    OperatingState.STARTING: 3,
    OperatingState.PRODUCING: 4,
    OperatingState.PRODUCING_LIMITED: 5,
}
_DEYE_STANDBY, _DEYE_NORMAL = 0, 2
_DEYE_TYPE_SINGLE_PHASE_HYBRID = 3
_DEYE_REGISTERS = 280
# Settings that stand still: PV limit, charge and discharge current, shutdown and low charge, no charging from the grid, work mode
# "zero export to the current transformer" switched off, export limit, export allowed.
_DEYE_SETTINGS = {53: 5500, 210: 100, 211: 100, 217: 10, 219: 15, 232: 0, 244: 0, 245: 5000, 247: 1, 194: 1}


def sunspec_inverter_words(state: SiteState) -> list[int]:
    """Words of the three-phase string inverter from `SUNSPEC_BASE`: models 1, 103, 160 with two inputs, 120, end."""
    return [
        *_common("Solar Hub", "Simulated SI-5000", serial=INVERTER_SERIAL),
        *_model(103, words=_inverter_103(state)),
        *_model(160, words=_inputs_160(state)),
        *_model(120, words=_nameplate_120()),
        *_END,
    ]


def sunspec_meter_words(state: SiteState) -> list[int]:
    """Words of the three-phase grid meter from `SUNSPEC_BASE`: models 1, 203, end. Positive power is import."""
    return [
        *_common("Solar Hub", "Simulated SM-3", serial=METER_SERIAL),
        *_model(203, words=_meter_203(state)),
        *_END,
    ]


def deye_words(state: SiteState) -> list[int]:
    """Words of the single-phase hybrid from address 0; what the map does not name reads 0, as on the real one."""
    words = [0] * _DEYE_REGISTERS
    for address, value in _deye_values(state).items():
        words[address] = value & 0xFFFF
    return words


def _model(number: int, *, words: Sequence[int]) -> list[int]:
    return [number, len(words), *words]


def _text(value: str, *, words: int) -> list[int]:
    raw = value.encode("ascii").ljust(2 * words, b"\0")[: 2 * words]
    return [raw[i] << 8 | raw[i + 1] for i in range(0, len(raw), 2)]


def _high_first(value: int) -> tuple[int, int]:
    return value >> 16 & 0xFFFF, value & 0xFFFF


def _scaled(value: float, *, factor: int) -> int:
    return round(value * 10.0**-factor) & 0xFFFF


def _sf(exponent: int) -> int:
    return exponent & 0xFFFF


def _common(maker: str, model: str, *, serial: str) -> list[int]:
    return [
        *_text("SunS", words=2),
        *_model(
            1,
            words=[
                *_text(maker, words=16),
                *_text(model, words=16),
                *_text("", words=8),
                *_text("1.0", words=8),
                *_text(serial, words=16),
                1,
                0x8000,
            ],
        ),
    ]


def thirds(watts: int) -> tuple[int, int, int]:
    """Split a power over three phases; the parts add up to it."""
    part = watts // 3
    return watts - 2 * part, part, part


def grid_phases_w(state: SiteState) -> tuple[int, int, int]:
    """Import (W, positive) of each phase: the hybrid sits on phase 1, the string inverter on all three; they add up to the total."""
    string = thirds(state.powers.string_ac)
    load = state.powers.load
    loads = (load - load * 3 // 10 - load // 5, load * 3 // 10, load // 5)
    one, two, three = (draw - part for draw, part in zip(loads, string, strict=True))
    return one - state.powers.hybrid_ac, two, three


def _inverter_103(state: SiteState) -> list[int]:
    power = state.powers
    total_dc = power.string_dc1 + power.string_dc2
    asleep = state.string_state is OperatingState.SLEEPING
    counter = _high_first(state.counters.string_wh)
    cabinet = [_scaled(state.ambient_c + 8 + power.string_ac / 300, factor=-1)]
    cabinet += [_scaled(state.ambient_c + 10 + power.string_ac / 200, factor=-1), _NO_S16, _NO_S16, _sf(-1)]
    status = [_SUNSPEC_STATES[state.string_state], _NO_U16, *([0] * 12)]
    if asleep:  # only the bus side is awake: no AC or DC measurement is made
        ac = [*([_NO_U16] * 4), _sf(-2), *([_NO_U16] * 6), _sf(-1), _NO_S16, 0, _NO_U16, _sf(-2)]
        ac += [_NO_S16, 0, _NO_S16, 0, _NO_S16, _sf(-1)]
        return [*ac, *counter, 0, _NO_U16, _sf(-2), _NO_U16, _sf(-1), _NO_S16, 0, *cabinet, *status]
    volts = state.voltage_v
    amps = [watts / volt for watts, volt in zip(thirds(power.string_ac), volts, strict=True)]
    line = [3**0.5 * (volts[a] + volts[b]) / 2 for a, b in ((0, 1), (1, 2), (2, 0))]
    dc_volts = _panel_v(state, modules=12)
    return [
        *(_scaled(value, factor=-2) for value in (sum(amps), *amps)),
        _sf(-2),
        *(_scaled(value, factor=-1) for value in (*line, *volts)),
        _sf(-1),
        power.string_ac & 0xFFFF,
        0,
        _scaled(state.frequency_hz, factor=-2),
        _sf(-2),
        power.string_ac & 0xFFFF,
        0,
        0,
        0,
        1000 if power.string_ac else 0,  # unity power factor, in percent
        _sf(-1),
        *counter,
        0,
        _scaled(total_dc / dc_volts, factor=-2),
        _sf(-2),
        _scaled(dc_volts, factor=-1),
        _sf(-1),
        total_dc & 0xFFFF,
        0,
        *cabinet,
        *status,
    ]


def _panel_v(state: SiteState, *, modules: int) -> float:
    """Voltage (V) of a string of modules of 31.5 V each at their best point; less when hot."""
    return modules * 31.5 * (1 - 0.0028 * (state.module_c - 25))


def _inputs_160(state: SiteState) -> list[int]:
    asleep = state.string_state is OperatingState.SLEEPING
    words = [_sf(-2), _sf(-1), 0, 0, 0, 0, 2, _NO_U16]
    inputs = (
        (state.powers.string_dc1, state.counters.string_dc1_wh, 6),
        (state.powers.string_dc2, state.counters.string_dc2_wh, 6),
    )
    for number, (watts, counter, modules) in enumerate(inputs, start=1):
        volts = _panel_v(state, modules=modules)
        measured = (
            [_NO_U16] * 3 if asleep else [_scaled(watts / volts, factor=-2), _scaled(volts, factor=-1), watts & 0xFFFF]
        )
        words += [number, *_text(f"PV{number}", words=8), *measured, *_high_first(counter)]
        words += [*_high_first(_NO_U32), _NO_S16, _SUNSPEC_STATES[state.string_state], 0, 0]
    return words


def _nameplate_120() -> list[int]:
    """Type 4 (PV); 5 kW, 5 kVA, 3 kvar in each quadrant, 7.5 A, power factor 0.8; no storage."""
    return [
        4,
        STRING_AC_W,
        0,
        STRING_AC_W,
        0,
        *((3000, _NO_S16, _NO_S16, -3000 & 0xFFFF)),
        0,
        75,
        _sf(-1),
        *((80, _NO_S16, _NO_S16, -80 & 0xFFFF)),
        _sf(-2),
        *((_NO_U16, _NO_S16) * 4),
        0x8000,
    ]


def _meter_203(state: SiteState) -> list[int]:
    phases = grid_phases_w(state)
    volts = state.voltage_v
    amps = [watts / volt for watts, volt in zip(phases, volts, strict=True)]
    line = [3**0.5 * (volts[a] + volts[b]) / 2 for a, b in ((0, 1), (1, 2), (2, 0))]
    total = state.powers.grid
    no_phases = [0] * 6  # an accumulator that is not there reads 0
    return [
        *(_scaled(value, factor=-2) for value in (sum(amps), *amps)),
        _sf(-2),
        *(_scaled(value, factor=-1) for value in (sum(volts) / 3, *volts, sum(line) / 3, *line)),
        _sf(-1),
        _scaled(state.frequency_hz, factor=-2),
        _sf(-2),
        *(watts & 0xFFFF for watts in (total, *phases)),
        0,
        *(abs(watts) & 0xFFFF for watts in (total, *phases)),
        0,
        *([0] * 5),
        *(_power_factor(watts) for watts in (total, *phases)),
        _sf(-1),
        *_high_first(state.counters.meter_export_wh),
        *no_phases,
        *_high_first(state.counters.meter_import_wh),
        *no_phases,
        0,
        *([0] * 16),
        _NO_S16,
        *([0] * 32),
        _NO_S16,
        0,
        0,
    ]


def _power_factor(watts: int) -> int:
    """Tenths of a percent, with the power's sign."""
    return (1000 if watts > 0 else -1000 if watts < 0 else 0) & 0xFFFF


def _deye_values(state: SiteState) -> dict[int, int]:
    """Address -> value, negative where the register is signed."""
    power = state.powers
    volt = state.voltage_v[0]
    hertz = round(state.frequency_hz * 100)
    soc = state.charge_stored_percent
    battery_v = 49.6 + 0.04 * soc - power.battery * 0.0002
    pv_v = _panel_v(state, modules=7)
    lit_v = pv_v if power.pv1 + power.pv2 > 0 else 0.0
    serial = _text(HYBRID_SERIAL, words=5)
    return {
        0: _DEYE_TYPE_SINGLE_PHASE_HYBRID,
        **{3 + index: word for index, word in enumerate(serial)},
        16: HYBRID_AC_W * 10,
        59: _DEYE_STANDBY if state.hybrid_state is OperatingState.STANDBY else _DEYE_NORMAL,
        79: hertz,
        90: _deye_temperature(state.ambient_c + 12 + abs(power.hybrid_ac) / 200),
        91: _deye_temperature(state.ambient_c + 9 + abs(power.hybrid_ac) / 160),
        109: round(lit_v * 10),
        110: round(power.pv1 / pv_v * 10),
        111: round(lit_v * 10),
        112: round(power.pv2 / pv_v * 10),
        150: round(volt * 10),
        154: round(volt * 10),
        160: round(power.grid / volt * 100),
        164: round(power.hybrid_ac / volt * 100),
        169: power.grid,
        172: power.grid,
        175: power.hybrid_ac,
        178: power.load,
        182: _deye_temperature(state.ambient_c + 3),
        183: round(battery_v * 100),
        184: round(soc),
        186: power.pv1,
        187: power.pv2,
        190: power.battery,
        191: round(power.battery / battery_v * 100),
        192: hertz,
        193: hertz,
        **_deye_energies(state),
        **_DEYE_SETTINGS,
    }


def _deye_energies(state: SiteState) -> dict[int, int]:
    """Counters in tenths of a kWh: of the device's day in one word, lifetime ones in two, low word first."""
    total, today = state.counters, state.today
    days = {
        60: today.hybrid_out_wh,
        70: today.hybrid_charge_wh,
        71: today.hybrid_discharge_wh,
        76: today.hybrid_import_wh,
        77: today.hybrid_export_wh,
        84: today.hybrid_load_wh,
        108: today.hybrid_pv_wh,
    }
    lifetime = {
        (63, 64): total.hybrid_out_wh,
        (72, 73): total.hybrid_charge_wh,
        (74, 75): total.hybrid_discharge_wh,
        (78, 80): total.hybrid_import_wh,
        (81, 82): total.hybrid_export_wh,
        (85, 86): total.hybrid_load_wh,
        (96, 97): total.hybrid_pv_wh,
    }
    words = {address: wh // 100 for address, wh in days.items()}
    for (low, high), wh in lifetime.items():
        words[high], words[low] = _high_first(wh // 100)
    return words


def _deye_temperature(celsius: float) -> int:
    return round(celsius * 10) + 1000
