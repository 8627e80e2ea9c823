"""What a financial result stands on: each value, and whether it was given, is a default of ours, or comes from a source."""

from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.investment.loan import Loan
from cloud.billing.rules.money import HUNDRED, ZERO, number_text

MAX_LIFE_YEARS = 50
MAX_GROWTH_PERCENT = Decimal(30)
"""More than that a year is no growth over a system's life: 30 % for 25 years is 700-fold."""
LEAST_PRICE_PKR = Decimal(1)
GIVEN = "given"

DEFAULT_BASIS = {
    "opex_percent": "assumption: cleaning, visits and insurance together, of the price",
    "opex_escalation_percent": "assumption: running costs stay as they are",
    "degradation_percent": (
        "median of measured systems: Jordan and Kurtz, Photovoltaic Degradation Rates - an Analytical Review, "
        "Progress in Photovoltaics 21 (2013)"
    ),
    "tariff_escalation_percent": "assumption: tariffs stay as they are, since later ones are not notified",
    "discount_rate_percent": "assumption: what the money would earn elsewhere; give the owner's own rate",
    "life_years": "assumption: the usual term of a module's performance warranty",
    "inverter_replacement_year": "assumption: about half of the life",
    "export_rate_held": "assumption: the rate of exports is fixed by the contract, tariffs move without it",
}
"""Where each default comes from."""


@dataclass(frozen=True, slots=True)
class FirstYear:
    """What the first year of operation brings.

    Attributes:
        saved_pkr: bills without solar less bills with solar, the export income inside.
        export_income_pkr: part of it that is credited for exports.
        generated_kwh: solar energy; 0 = not known.
        basis: where these come from.
    """

    saved_pkr: Decimal
    export_income_pkr: Decimal = ZERO
    generated_kwh: Decimal = ZERO
    basis: str = GIVEN

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        for name in ("export_income_pkr", "generated_kwh"):
            if getattr(self, name) < 0:
                raise BillingError(f"{name} is {getattr(self, name)}; give 0 or more")


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Price, rates and life of an investment. Percents are a year.

    Attributes:
        capex_pkr: price of the system, all in.
        opex_percent: running costs, per cent of the price.
        opex_escalation_percent: growth of the running costs.
        degradation_percent: loss of generation, of the year before.
        tariff_escalation_percent: growth of what a saved kWh is worth.
        discount_rate_percent: what the money would earn elsewhere.
        life_years: years of operation that are looked at; nothing is left of the system afterwards.
        inverter_replacement_year: at whose end the inverter is bought again.
        inverter_replacement_pkr: its price; None = not counted.
        export_rate_held: export income does not grow with the tariff.
        loan: that pays part of the price.
        given: names of the values that are not defaults.
    """

    capex_pkr: Decimal
    opex_percent: Decimal = Decimal(1)
    opex_escalation_percent: Decimal = ZERO
    degradation_percent: Decimal = Decimal("0.5")
    tariff_escalation_percent: Decimal = ZERO
    discount_rate_percent: Decimal = Decimal(12)
    life_years: int = 25
    inverter_replacement_year: int = 12
    inverter_replacement_pkr: Decimal | None = None
    export_rate_held: bool = True
    loan: Loan | None = None
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        if self.capex_pkr < LEAST_PRICE_PKR:
            raise BillingError(f"capex_pkr is {self.capex_pkr}; give the system's price, 1 rupee or more")
        if not 1 <= self.life_years <= MAX_LIFE_YEARS:
            raise BillingError(f"life_years is {self.life_years}; give 1 to {MAX_LIFE_YEARS}")
        if not 0 <= self.degradation_percent < HUNDRED:
            raise BillingError(f"degradation_percent is {self.degradation_percent}; give 0 to less than 100")
        for name in ("opex_escalation_percent", "tariff_escalation_percent"):
            if not -HUNDRED < getattr(self, name) <= MAX_GROWTH_PERCENT:
                raise BillingError(
                    f"{name} is {getattr(self, name)}; give more than -100 and at most {MAX_GROWTH_PERCENT}"
                )
        if not -HUNDRED < self.discount_rate_percent <= HUNDRED:
            raise BillingError(f"discount_rate_percent is {self.discount_rate_percent}; give more than -100, up to 100")
        self._check_parts()

    def _check_parts(self) -> None:
        if self.opex_percent < 0:
            raise BillingError(f"opex_percent is {self.opex_percent}; give 0 or more")
        price = self.inverter_replacement_pkr
        if price is not None and price < 0:
            raise BillingError(f"inverter_replacement_pkr is {price}; give 0 or more")
        if price is not None and not 1 <= self.inverter_replacement_year <= self.life_years:
            raise BillingError(
                f"inverter_replacement_year is {self.inverter_replacement_year}; it lies in the life of {self.life_years} years"
            )
        if self.loan is None:
            return
        if self.loan.principal_pkr > self.capex_pkr:
            raise BillingError(
                f"loan.principal_pkr is {self.loan.principal_pkr}; it pays at most the price ({self.capex_pkr})"
            )
        if self.loan.years > self.life_years:
            raise BillingError(f"loan.years is {self.loan.years}; it ends within the life of {self.life_years} years")

    @property
    def opex_pkr(self) -> Decimal:
        """Running costs of the first year, PKR."""
        return self.capex_pkr * self.opex_percent / HUNDRED


@dataclass(frozen=True, slots=True)
class Stated:
    """One value that a result stands on.

    Attributes:
        value: as text.
        unit: empty for a plain word.
        basis: `given`, an assumption of ours in words, or a source.
    """

    name: str
    value: str
    unit: str
    basis: str


_UNITS = {"pkr": "PKR", "percent": "% a year", "years": "years", "kwh": "kWh"}


def _unit_of(name: str) -> str:
    if name == "opex_percent":
        return "% of the price a year"
    return _UNITS.get(name.replace(".", "_").rsplit("_", 1)[-1], "")


def _stated(name: str, value: Decimal | int | bool, basis: str) -> Stated:
    if isinstance(value, bool):
        return Stated(name, "yes" if value else "no", "", basis)
    return Stated(name, number_text(Decimal(value)), _unit_of(name), basis)


def stands_on(first: FirstYear, assumed: Assumptions) -> tuple[Stated, ...]:
    """Everything that the results are made of, with its origin."""
    stated = [
        _stated(f"first_year.{name}", getattr(first, name), first.basis)
        for name in ("saved_pkr", "export_income_pkr", "generated_kwh")
    ]
    stated.append(_stated("capex_pkr", assumed.capex_pkr, GIVEN))
    for name, basis in DEFAULT_BASIS.items():
        if name == "inverter_replacement_year" and assumed.inverter_replacement_pkr is None:
            continue
        stated.append(_stated(name, getattr(assumed, name), GIVEN if name in assumed.given else basis))
    if assumed.inverter_replacement_pkr is not None:
        stated.append(_stated("inverter_replacement_pkr", assumed.inverter_replacement_pkr, GIVEN))
    if assumed.loan is not None:
        names = ("principal_pkr", "rate_percent", "years")
        stated += [_stated(f"loan.{name}", getattr(assumed.loan, name), GIVEN) for name in names]
    return (
        *stated,
        Stated(
            "savings", "in step with generation", "", "assumption: both parts of the savings fall as generation does"
        ),
        Stated("residual_value", "0", "PKR", "assumption: nothing is left of the system after its life"),
        Stated("tax", "not counted", "", "assumption: neither tax on the savings nor depreciation for tax"),
    )
