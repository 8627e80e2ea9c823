"""The other side of the bill's benchmark: one year of one tariff in NREL's System Advisor Model (PySAM, module Utilityrate5)."""

from dataclasses import dataclass

import PySAM.Utilityrate5 as Utilityrate5

NO_TOP = 1e38
NET_BILLING = 2
"""Every interval's import at the tariff, every interval's export at its own rate."""


@dataclass(frozen=True, slots=True)
class SamTariff:
    """Two prices by hour, a fixed charge, a demand charge, a credit for exports; PKR, PKR/kWh, PKR/kW.

    Attributes:
        peak_hours: for each month, the 24 hours of a day: whether each is a peak hour.
    """

    off_peak: float
    peak: float
    sell: float
    fixed: float
    demand_per_kw: float
    peak_hours: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class SamYear:
    """Monthly charges of the year; PKR."""

    energy: tuple[float, ...]
    energy_without: tuple[float, ...]
    demand: tuple[float, ...]
    demand_without: tuple[float, ...]


class Sam:
    """A year and a tariff, ready to be executed."""

    def __init__(self, tariff: SamTariff, *, load_kw: list[float], generation_kw: list[float]) -> None:
        self._module = Utilityrate5.new()
        self._module.Lifetime.analysis_period = 1
        self._module.Lifetime.system_use_lifetime_output = 0
        self._module.Lifetime.inflation_rate = 0
        self._module.SystemOutput.degradation = [0]
        self._module.SystemOutput.gen = generation_kw
        self._module.Load.load = load_kw
        self._set_rates(tariff)

    def _set_rates(self, tariff: SamTariff) -> None:
        rates = self._module.ElectricityRates
        rates.en_electricity_rates = 1
        rates.rate_escalation = [0]
        rates.ur_metering_option = NET_BILLING
        rates.ur_monthly_fixed_charge = tariff.fixed
        rates.ur_monthly_min_charge = 0
        rates.ur_annual_min_charge = 0
        rates.ur_sell_eq_buy = 0
        rates.ur_nm_yearend_sell_rate = 0
        rates.ur_nm_credit_month = 11
        rates.ur_nm_credit_rollover = 0
        rates.ur_en_ts_sell_rate = 0
        rates.ur_en_ts_buy_rate = 0
        hours = [[2 if peak else 1 for peak in day] for day in tariff.peak_hours]
        rates.ur_ec_sched_weekday = hours
        rates.ur_ec_sched_weekend = hours
        rates.ur_ec_tou_mat = [
            [1, 1, NO_TOP, 0, tariff.off_peak, tariff.sell],
            [2, 1, NO_TOP, 0, tariff.peak, tariff.sell],
        ]
        rates.ur_dc_enable = 1
        rates.ur_enable_billing_demand = 0
        rates.ur_dc_sched_weekday = [[1] * 24] * 12
        rates.ur_dc_sched_weekend = [[1] * 24] * 12
        rates.ur_dc_tou_mat = [[1, 1, NO_TOP, 0]]
        rates.ur_dc_flat_mat = [[month, 1, NO_TOP, tariff.demand_per_kw] for month in range(12)]

    def execute(self) -> None:
        """What is timed: the bills of one year, with and without the system."""
        self._module.execute()

    def year(self) -> SamYear:
        """What came out."""
        outputs = self._module.Outputs
        return SamYear(
            energy=tuple(outputs.year1_monthly_ec_charge_gross_with_system),
            energy_without=tuple(outputs.year1_monthly_ec_charge_without_system),
            demand=tuple(outputs.year1_monthly_dc_fixed_with_system),
            demand_without=tuple(outputs.year1_monthly_dc_fixed_without_system),
        )
