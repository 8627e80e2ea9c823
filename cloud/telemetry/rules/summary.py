"""Hours and days from quarter-hours, months from days: energies in whole Wh, and the yields that are printed beside them.

Definitions (IEC 61724-1 where it has one):

- Specific yield Y_f = energy / P0, P0 = DC rating at STC. Reference yield Y_r = plane-of-array irradiation / 1 kW/m2.
  Performance ratio = Y_f / Y_r, only where energy and irradiation both cover at least 95 % of the period; it may exceed 1.
- Capacity factor = energy / (AC rating x hours of the period).
- Completeness = valid readings / readings expected from the poll interval over the whole period; of a day or a month also over its
  daylight alone, where the site tells where it is (see `rules.daylight`).
- Sunshine hours: time with at least 120 W/m2 (WMO); without a complete irradiance record, time above 5 % of rated power, labelled so.
- Variance = (generated - expected) / expected of a month whose energy is at least 95 % complete; see `rules.expectation`.
- Self-consumed = generated - exported; self-sufficiency = the part of the consumption that was not imported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from typing import Any

from cloud.telemetry.rules.daylight import daylight, sum_within
from cloud.telemetry.rules.expectation import expected_month_kwh
from cloud.telemetry.rules.facts import DeviceFacts, Flow, RollupFlag, SiteFacts
from cloud.telemetry.rules.quarter import QUARTER_S, SUMMED, QuarterColumns, QuarterHour, Told, told_of
from shared.periods import Window, day_of

COMPLETE_PERCENT = 95.0
SUNSHINE_WM2 = 120.0
SUNSHINE_LOAD = 0.05
_HOUR_S = 3600
_NET_FLOWS = (Flow.GENERATED, Flow.CONSUMED)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose period it is.

    Attributes:
        devices: the device itself, or all of the site's.
        is_site: whether it is the whole site.
    """

    site: SiteFacts
    devices: tuple[DeviceFacts, ...]
    is_site: bool

    @classmethod
    def of_site(cls, site: SiteFacts) -> "Subject":
        """The whole site."""
        return cls(site, site.devices, is_site=True)

    @classmethod
    def of_device(cls, site: SiteFacts, device: DeviceFacts) -> "Subject":
        """One device of it."""
        return cls(site, (device,), is_site=False)

    @property
    def dc_rating_kw(self) -> float | None:
        """P0; modules belong to the site."""
        return self.site.dc_capacity_kw if self.is_site else None

    @property
    def ac_rating_kw(self) -> float | None:
        """P_AC."""
        return self.site.ac_rating_kw if self.is_site else self.devices[0].rated_power_kw

    def expected_readings(self, window: Window) -> int:
        """Readings that the poll intervals promise in a period, from each device's commissioning on."""
        count = 0
        for device in self.devices:
            start = max(window.start, device.commissioned_at or window.start)
            count += max(0, round((window.end - start).total_seconds() / device.poll_interval_s))
        return count

    def daylight(self, window: Window) -> tuple[Window, ...]:
        """The daylight of a period at the site; empty also where nobody told where the site is."""
        latitude, longitude = self.site.latitude, self.site.longitude
        if latitude is None or longitude is None:
            return ()
        return daylight(window, latitude=latitude, longitude=longitude)

    def expected_by_day(self, window: Window) -> int:
        """As `expected_readings`, of the period's daylight alone."""
        return sum(self.expected_readings(span) for span in self.daylight(window))


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of an hour, a day or a month; each table takes the fields that it has."""

    energy_generated_kwh: float | None = None
    energy_consumed_kwh: float | None = None
    energy_imported_kwh: float | None = None
    energy_exported_kwh: float | None = None
    energy_charged_kwh: float | None = None
    energy_discharged_kwh: float | None = None
    energy_bridged_kwh: float | None = None
    irradiation_kwh_m2: float | None = None
    peak_power_kw: float | None = None
    peak_power_at: datetime | None = None
    average_power_kw: float | None = None
    performance_ratio: float | None = None
    performance_ratio_reason: str | None = None
    sample_count: int = 0
    expected_count: int = 0
    covered_seconds: int = 0
    data_completeness_percent: float | None = None
    daylight_completeness_percent: float | None = None
    irradiation_completeness_percent: float | None = None
    battery_soc_percent: float | None = None
    net_energy_kwh: float | None = None
    capacity_factor: float | None = None
    specific_yield_kwh_kwp: float | None = None
    self_consumed_kwh: float | None = None
    self_consumption_percent: float | None = None
    self_sufficiency_percent: float | None = None
    sunshine_hours: float | None = None
    sunshine_basis: str | None = None
    co2_avoided_kg: float | None = None
    co2_factor_kg_per_kwh: float | None = None
    trees_equivalent: float | None = None
    tree_factor_kg: float | None = None
    expected_generation_kwh: float | None = None
    generation_variance_percent: float | None = None
    days_with_data: int = 0
    flags: int = 0

    def energy_wh(self, flow: Flow) -> int | None:
        """Energy of one flow, exactly as it was before it became kWh."""
        kwh: float | None = getattr(self, _KWH[flow])
        return None if kwh is None else round(kwh * 1000)


_WH = {flow: f"{flow.value}_wh" for flow in Flow}
_KWH = {flow: f"energy_{flow.value}_kwh" for flow in Flow}


@dataclass(frozen=True, slots=True)
class _Basis:
    """Sums of a period from which everything else follows."""

    energies_wh: dict[Flow, int | None]
    bridged_wh: int | None
    irradiation_wh_m2: float | None
    irradiation_s: float
    covered_s: int
    sample_count: int
    valid_by_day: float | None
    flags: int
    peak: tuple[float, datetime] | None
    average_kw: float | None
    sunshine: tuple[float, str] | None


def summarise(quarters: Sequence[QuarterHour], window: Window, subject: Subject) -> Summary:
    """Make an hour or a day of its quarter-hours.

    Args:
        quarters: those inside the window, in order; some may be missing.
        window: the period.
        subject: site or device.
    """
    return summarise_told(list(map(told_of, quarters)), window, subject)


def summarise_told(quarters: Sequence[Told], window: Window, subject: Subject) -> Summary:
    """Make the same of the bare values: whole days of a site are read and merged for every reading that comes in."""
    told = QuarterColumns(*zip(*quarters, strict=True)) if quarters else QuarterColumns(*((),) * len(SUMMED))
    levels = [level for level in told.battery_soc_last_percent if level is not None]
    irradiation_s = sum(told.irradiation_covered_seconds)
    bridged = zip(told.generated_wh, told.generated_bridged_wh, strict=True)
    basis = _Basis(
        energies_wh={flow: _total(getattr(told, column)) for flow, column in _WH.items()},
        bridged_wh=_total(bridged_wh for wh, bridged_wh in bridged if wh is not None),
        irradiation_wh_m2=_float_total(told.irradiation_wh_m2),
        irradiation_s=irradiation_s,
        covered_s=sum(told.covered_seconds),
        sample_count=sum(told.n_valid),
        # Hours keep no such number, and there are many of them.
        valid_by_day=sum_within(told.bucket, told.n_valid, subject.daylight(window))
        if window.seconds > _HOUR_S
        else None,
        flags=_union(told.flags),
        peak=_highest(zip(told.power_max_kw, told.bucket, strict=True)),
        average_kw=_weighted(zip(told.power_mean_kw, told.covered_seconds, strict=True)),
        sunshine=_sunshine(told, subject, has_irradiance=_percent(irradiation_s, window.seconds) >= COMPLETE_PERCENT),
    )
    fields = _fields(basis, window, subject)
    return Summary(**fields, battery_soc_percent=levels[-1] if levels else None)


def summarise_days(
    days: Sequence[Summary], window: Window, subject: Subject, *, day_windows: Sequence[Window]
) -> Summary:
    """Make a month of its days.

    Args:
        days: the days that have data, in order.
        window: the month.
        subject: site or device.
        day_windows: the time that each of the days stands for.
    """
    pairs = list(zip(days, day_windows, strict=True))
    basis = _Basis(
        energies_wh={flow: _total(day.energy_wh(flow) for day in days) for flow in Flow},
        bridged_wh=_total(
            None if day.energy_bridged_kwh is None else round(day.energy_bridged_kwh * 1000) for day in days
        ),
        irradiation_wh_m2=_float_total(
            None if day.irradiation_kwh_m2 is None else day.irradiation_kwh_m2 * 1000 for day in days
        ),
        irradiation_s=fsum((day.irradiation_completeness_percent or 0.0) / 100 * span.seconds for day, span in pairs),
        covered_s=sum(day.covered_seconds for day in days),
        sample_count=sum(day.sample_count for day in days),
        valid_by_day=fsum(
            (day.daylight_completeness_percent or 0.0) / 100 * subject.expected_by_day(span) for day, span in pairs
        ),
        flags=_union(day.flags for day in days),
        peak=_highest((day.peak_power_kw, day.peak_power_at) for day in days),
        average_kw=_weighted((day.average_power_kw, day.covered_seconds) for day in days),
        sunshine=_sunshine_of_days(days),
    )
    fields = _fields(basis, window, subject) | _trees(basis, subject) | _expectation(basis, window, subject)
    return Summary(**fields, days_with_data=len(days))


def _fields(basis: _Basis, window: Window, subject: Subject) -> dict[str, Any]:
    expected = subject.expected_readings(window)
    energies = {_KWH[flow]: _kwh(wh) for flow, wh in basis.energies_wh.items()}
    by_day = 0 if basis.valid_by_day is None else subject.expected_by_day(window)
    ratio, reason = _performance(basis, window, subject)
    return {
        **energies,
        "energy_bridged_kwh": _kwh(basis.bridged_wh),
        "irradiation_kwh_m2": None if basis.irradiation_wh_m2 is None else basis.irradiation_wh_m2 / 1000,
        "peak_power_kw": basis.peak[0] if basis.peak else None,
        "peak_power_at": basis.peak[1] if basis.peak else None,
        "average_power_kw": basis.average_kw,
        "performance_ratio": ratio,
        "performance_ratio_reason": reason,
        "sample_count": basis.sample_count,
        "expected_count": expected,
        "covered_seconds": basis.covered_s,
        "data_completeness_percent": min(100.0, _percent(basis.sample_count, expected)) if expected else None,
        "daylight_completeness_percent": min(100.0, _percent(basis.valid_by_day or 0.0, by_day)) if by_day else None,
        "irradiation_completeness_percent": min(100.0, _percent(basis.irradiation_s, window.seconds)),
        "sunshine_hours": basis.sunshine[0] if basis.sunshine else None,
        "sunshine_basis": basis.sunshine[1] if basis.sunshine else None,
        "flags": basis.flags,
        **_yields(basis.energies_wh, window, subject),
    }


def _yields(energies_wh: dict[Flow, int | None], window: Window, subject: Subject) -> dict[str, Any]:
    generated, consumed = (energies_wh[flow] for flow in _NET_FLOWS)
    imported, exported = energies_wh[Flow.IMPORTED], energies_wh[Flow.EXPORTED]
    fields: dict[str, Any] = {}
    if generated is not None:
        p0, p_ac, factor = subject.dc_rating_kw, subject.ac_rating_kw, subject.site.factors.co2_kg_per_kwh
        fields["specific_yield_kwh_kwp"] = generated / 1000 / p0 if p0 else None
        fields["capacity_factor"] = generated / 1000 / (p_ac * window.seconds / 3600) if p_ac else None
        if factor is not None:
            fields |= {"co2_avoided_kg": generated / 1000 * factor, "co2_factor_kg_per_kwh": factor}
    if generated is not None and consumed is not None:
        fields["net_energy_kwh"] = (generated - consumed) / 1000
    if generated is not None and exported is not None and subject.is_site:
        used = max(0, generated - exported)
        fields["self_consumed_kwh"] = used / 1000
        fields["self_consumption_percent"] = 100 * used / generated if generated else None
    if consumed and imported is not None and subject.is_site:
        fields["self_sufficiency_percent"] = min(100.0, max(0.0, 100 * (consumed - imported) / consumed))
    return fields


def _trees(basis: _Basis, subject: Subject) -> dict[str, Any]:
    generated, factors = basis.energies_wh[Flow.GENERATED], subject.site.factors
    if generated is None or factors.co2_kg_per_kwh is None or not factors.co2_kg_per_tree:
        return {}
    co2_kg = generated / 1000 * factors.co2_kg_per_kwh
    return {"trees_equivalent": co2_kg / factors.co2_kg_per_tree, "tree_factor_kg": factors.co2_kg_per_tree}


def _expectation(basis: _Basis, window: Window, subject: Subject) -> dict[str, Any]:
    """What a site's month should have given, and how far it was off."""
    site, p0 = subject.site, subject.dc_rating_kw
    if not p0:
        return {}
    month = day_of(window.start, site.zone)
    expected = expected_month_kwh(
        month.year, month.month, dc_capacity_kw=p0, latitude=site.latitude, monthly_yield=site.monthly_yield
    )
    rests_on = RollupFlag.NONE if site.monthly_yield is not None else RollupFlag.DEFAULT_EXPECTATION
    fields: dict[str, Any] = {"expected_generation_kwh": expected, "flags": basis.flags | int(rests_on)}
    generated = basis.energies_wh[Flow.GENERATED]
    is_complete = _percent(basis.covered_s, window.seconds) >= COMPLETE_PERCENT
    if generated is not None and expected > 0 and is_complete:
        fields["generation_variance_percent"] = 100 * (generated / 1000 - expected) / expected
    return fields


def _performance(basis: _Basis, window: Window, subject: Subject) -> tuple[float | None, str | None]:
    """Performance ratio, or the reason why there is none."""
    generated, irradiation = basis.energies_wh[Flow.GENERATED], basis.irradiation_wh_m2
    reason = None
    if not subject.is_site:
        reason = "only_for_a_site"
    elif not subject.dc_rating_kw:
        reason = "no_dc_capacity"
    elif generated is None:
        reason = "no_generation_data"
    elif irradiation is None:
        reason = "no_irradiation"
    elif _percent(basis.irradiation_s, window.seconds) < COMPLETE_PERCENT:
        reason = "irradiation_incomplete"
    elif _percent(basis.covered_s, window.seconds) < COMPLETE_PERCENT:
        reason = "energy_incomplete"
    elif not irradiation:
        reason = "no_sun"
    if reason is not None or not subject.dc_rating_kw or generated is None or not irradiation:
        return None, reason
    return (generated / 1000 / subject.dc_rating_kw) / (irradiation / 1000), None


def _sunshine(told: QuarterColumns, subject: Subject, *, has_irradiance: bool) -> tuple[float, str] | None:
    if has_irradiance:
        sun = zip(told.irradiance_mean_wm2, told.irradiation_covered_seconds, strict=True)
        return sum(seconds for wm2, seconds in sun if (wm2 or 0.0) >= SUNSHINE_WM2) / 3600, "irradiance"
    rated = subject.ac_rating_kw
    powers = [kw for kw in told.power_mean_kw if kw is not None]
    if not rated or not powers:
        return None
    return sum(1 for power in powers if power > SUNSHINE_LOAD * rated) * QUARTER_S / 3600, "power"


def _sunshine_of_days(days: Iterable[Summary]) -> tuple[float, str] | None:
    told = [(day.sunshine_hours, day.sunshine_basis) for day in days if day.sunshine_hours is not None]
    if not told:
        return None
    # A sum is as good as its weakest part.
    basis = "irradiance" if all(basis == "irradiance" for _, basis in told) else "power"
    return fsum(hours for hours, _ in told), basis


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _float_total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fsum(known) if known else None


def _union(flags: Iterable[int]) -> int:
    union = 0
    for bits in flags:
        union |= bits
    return union


def _highest(values: Iterable[tuple[float | None, datetime | None]]) -> tuple[float, datetime] | None:
    known = [(value, at) for value, at in values if value is not None and at is not None]
    # Of equal peaks the first counts.
    return max(known, key=lambda pair: pair[0]) if known else None


def _weighted(values: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in values if value is not None and weight]
    weight = sum(seconds for _, seconds in known)
    return fsum(value * seconds for value, seconds in known) / weight if weight else None


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def _kwh(wh: int | None) -> float | None:
    return None if wh is None else wh / 1000
