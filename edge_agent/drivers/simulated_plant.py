"""One day of a simulated plant in steps of ten seconds: two inverters, a battery, a load and the grid, in whole watts.

Within a step every power is constant and sources equal sinks exactly (pv + battery + grid = load). Energy is watts x milliseconds, so
an integer of millijoules is exact at every millisecond and adds up without an error.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

STEP_S = 10
STEP_MS = STEP_S * 1000
STEPS_PER_DAY = 86_400 // STEP_S
MJ_PER_WH = 3_600_000

STRING_KWP, STRING_AC_W, STRING_EFFICIENCY = 5.0, 5000, 0.972
HYBRID_KWP, HYBRID_AC_W, HYBRID_EFFICIENCY = 5.5, 5000, 0.985
BATTERY_WH, BATTERY_W, BATTERY_LOW = 10_000, 5000, 0.15
BATTERY_ONE_WAY_PERMILLE = 950
"""Share of the energy that arrives, each way: a round trip keeps 90 %."""

FULL_MJ = BATTERY_WH * MJ_PER_WH
_LOW_MJ = int(FULL_MJ * BATTERY_LOW)
_SOILING_AND_CABLES = 0.96
_PER_KELVIN = -0.0035
_HYBRID_IDLE_W, _HYBRID_LOSS_PERMILLE = 28, 25
_STRING_IDLE_W = 12
_WAKE_W, _STAY_AWAKE_W = 25, 6
_STARTING_STEPS = 12


class StringState(IntEnum):
    """What the string inverter does."""

    SLEEPING = 0
    STARTING = 1
    PRODUCING = 2
    LIMITED = 3


@dataclass(frozen=True, slots=True)
class EnergyFlows:
    """Energy by direction; the unit is named by who returns it."""

    generated: int
    consumed: int
    imported: int
    exported: int
    charged: int
    discharged: int


@dataclass(frozen=True, slots=True)
class Powers:
    """Powers (W) of one step; sources positive, `grid` is import and `battery` discharge when positive."""

    string_ac: int
    string_dc1: int
    string_dc2: int
    pv1: int
    pv2: int
    load: int
    battery: int
    grid: int

    @property
    def hybrid_ac(self) -> int:
        """What the hybrid gives to its AC side; negative while it takes in AC to charge."""
        return self.pv1 + self.pv2 + self.battery


@dataclass(frozen=True, slots=True)
class Counters:
    """What each device's lifetime counter has counted since commissioning, in millijoules."""

    string_ac: int = 0
    string_dc1: int = 0
    string_dc2: int = 0
    pv1: int = 0
    pv2: int = 0
    hybrid_out: int = 0
    """What the hybrid gave to its AC side; what it took in to charge is not counted back."""
    load: int = 0
    imported: int = 0
    exported: int = 0
    charged: int = 0
    discharged: int = 0


@dataclass(frozen=True, slots=True)
class ShownCounters:
    """Lifetime counters as the devices show them, whole Wh: 1 Wh steps on the SunSpec devices, 100 Wh steps on the hybrid."""

    string_wh: int
    string_dc1_wh: int
    string_dc2_wh: int
    meter_import_wh: int
    meter_export_wh: int
    hybrid_pv_wh: int
    hybrid_out_wh: int
    hybrid_load_wh: int
    hybrid_import_wh: int
    hybrid_export_wh: int
    hybrid_charge_wh: int
    hybrid_discharge_wh: int


# What the counters showed when the site was commissioned: nothing on a roof starts at zero.
_USED = ShownCounters(
    string_wh=12_345_678,
    string_dc1_wh=6_420_113,
    string_dc2_wh=6_281_902,
    meter_import_wh=4_321_987,
    meter_export_wh=6_789_012,
    hybrid_pv_wh=12_345_600,
    hybrid_out_wh=14_210_300,
    hybrid_load_wh=21_035_700,
    hybrid_import_wh=4_318_800,
    hybrid_export_wh=6_792_400,
    hybrid_charge_wh=5_120_900,
    hybrid_discharge_wh=4_609_200,
)


@dataclass(frozen=True, slots=True)
class Carry:
    """What goes from one day into the next: the counters, and the energy in the battery (mJ)."""

    counters: Counters
    stored_mj: int


@dataclass(frozen=True, slots=True)
class Sky:
    """Irradiance (W/m2) and module temperature (deg C) of one step."""

    poa_wm2: float
    module_c: float


@dataclass(frozen=True, slots=True)
class Day:
    """One computed day: powers, state and sky of every step; counters and stored energy at its beginning, one longer at the end."""

    powers: tuple[Powers, ...]
    states: tuple[StringState, ...]
    sky: tuple[Sky, ...]
    columns: tuple["array[int]", ...]
    """One column per field of `Counters`."""
    stored_mj: "array[int]"

    def counters(self, into_ms: int) -> Counters:
        """Counters at a millisecond of the day."""
        step, rest_ms = divmod(into_ms, STEP_MS)
        growth = _rates(self.powers[step])
        return Counters(*(column[step] + watts * rest_ms for column, watts in zip(self.columns, growth, strict=True)))

    @property
    def end(self) -> Carry:
        """What the next day begins with."""
        return Carry(Counters(*(column[-1] for column in self.columns)), self.stored_mj[-1])


def simulate_day(carry: Carry, *, sky: Sequence[Sky], load_w: Sequence[int]) -> Day:
    """Run one day of steps from the state that the day before left.

    Args:
        carry: counters and battery at midnight.
        sky: one entry per step.
        load_w: what the home draws, one entry per step, without the hybrid's own use.
    """
    columns = tuple(array("q", (getattr(carry.counters, f.name),)) for f in fields(Counters))
    stored = array("q", (carry.stored_mj,))
    powers: list[Powers] = []
    states: list[StringState] = []
    awake = 0
    for above, home in zip(sky, load_w, strict=True):
        dc_w = panel_w(STRING_KWP, sky=above)
        awake = awake + 1 if dc_w >= (_STAY_AWAKE_W if awake else _WAKE_W) else 0
        state, string_ac, string_dc = _string_inverter(dc_w, awake=awake)
        pv_w = int(panel_w(HYBRID_KWP, sky=above) * HYBRID_EFFICIENCY)
        step = _dispatch(home, string_ac=string_ac, string_dc=string_dc, pv=pv_w, stored_mj=stored[-1])
        powers.append(step)
        states.append(state)
        stored.append(_stored_after(stored[-1], battery_w=step.battery))
        for column, watts in zip(columns, _rates(step), strict=True):
            column.append(column[-1] + watts * STEP_MS)
    return Day(tuple(powers), tuple(states), tuple(sky), columns, stored)


def panel_w(kwp: float, *, sky: Sky) -> float:
    """DC power (W) of panels of this rated power (kWp), less for heat, dust and cables."""
    derated = _SOILING_AND_CABLES * (1 + _PER_KELVIN * (sky.module_c - 25))
    return max(0.0, kwp * sky.poa_wm2 * derated)


def shown_counters(counters: Counters) -> ShownCounters:
    """What the devices' displays and registers say."""

    def wh(mj: int) -> int:
        return mj // MJ_PER_WH

    def tenths_of_kwh(mj: int) -> int:
        return mj // (100 * MJ_PER_WH) * 100

    grown = ShownCounters(
        string_wh=wh(counters.string_ac),
        string_dc1_wh=wh(counters.string_dc1),
        string_dc2_wh=wh(counters.string_dc2),
        meter_import_wh=wh(counters.imported),
        meter_export_wh=wh(counters.exported),
        hybrid_pv_wh=tenths_of_kwh(counters.pv1 + counters.pv2),
        hybrid_out_wh=tenths_of_kwh(counters.hybrid_out),
        hybrid_load_wh=tenths_of_kwh(counters.load),
        hybrid_import_wh=tenths_of_kwh(counters.imported),
        hybrid_export_wh=tenths_of_kwh(counters.exported),
        hybrid_charge_wh=tenths_of_kwh(counters.charged),
        hybrid_discharge_wh=tenths_of_kwh(counters.discharged),
    )
    return _combine(grown, _USED, sign=1)


def shown_growth(first: ShownCounters, last: ShownCounters) -> ShownCounters:
    """How far the shown counters went between two moments."""
    return _combine(last, first, sign=-1)


def _combine(a: ShownCounters, b: ShownCounters, *, sign: int) -> ShownCounters:
    return ShownCounters(*(getattr(a, f.name) + sign * getattr(b, f.name) for f in fields(ShownCounters)))


def _rates(step: Powers) -> tuple[int, ...]:
    """How fast (W) each of `Counters` grows, in its order."""
    return (
        step.string_ac,
        step.string_dc1,
        step.string_dc2,
        step.pv1,
        step.pv2,
        max(0, step.hybrid_ac),
        step.load,
        max(0, step.grid),
        max(0, -step.grid),
        max(0, -step.battery),
        max(0, step.battery),
    )


def _string_inverter(dc_w: float, *, awake: int) -> tuple[StringState, int, int]:
    """State, AC and DC power (W) of an inverter that has seen enough light for this many steps."""
    if awake == 0:
        return StringState.SLEEPING, 0, 0
    if awake <= _STARTING_STEPS:
        return StringState.STARTING, 0, 0
    ac = int(dc_w * STRING_EFFICIENCY) - _STRING_IDLE_W
    if ac > STRING_AC_W:  # it clips by leaving the panels' best point, so its DC side falls too
        return StringState.LIMITED, STRING_AC_W, int((STRING_AC_W + _STRING_IDLE_W) / STRING_EFFICIENCY)
    return StringState.PRODUCING, max(0, ac), int(dc_w)


def _dispatch(home_w: int, *, string_ac: int, string_dc: int, pv: int, stored_mj: int) -> Powers:
    """Own use first, then the battery, then the grid."""
    room_w = min(BATTERY_W, (FULL_MJ - stored_mj) * 1000 // (BATTERY_ONE_WAY_PERMILLE * STEP_MS))
    ready_w = min(BATTERY_W, max(0, stored_mj - _LOW_MJ) * BATTERY_ONE_WAY_PERMILLE // 1000 // STEP_MS)
    load = home_w + _HYBRID_IDLE_W + pv * _HYBRID_LOSS_PERMILLE // 1000
    surplus = string_ac + pv - load
    battery = -min(surplus, room_w) if surplus >= 0 else min(-surplus, ready_w, max(0, HYBRID_AC_W - pv))
    pv = min(pv, HYBRID_AC_W - battery)  # beyond its AC rating the hybrid can only charge
    dc1, pv1 = string_dc * 51 // 100, pv * 54 // 100
    return Powers(
        string_ac=string_ac,
        string_dc1=dc1,
        string_dc2=string_dc - dc1,
        pv1=pv1,
        pv2=pv - pv1,
        load=load,
        battery=battery,
        grid=load - string_ac - pv - battery,
    )


def _stored_after(stored_mj: int, *, battery_w: int) -> int:
    if battery_w < 0:
        return stored_mj - battery_w * STEP_MS * BATTERY_ONE_WAY_PERMILLE // 1000
    return stored_mj - -(-battery_w * STEP_MS * 1000 // BATTERY_ONE_WAY_PERMILLE)
