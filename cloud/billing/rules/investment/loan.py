"""A loan that is paid back in equal amounts at the ends of years."""

from dataclasses import dataclass
from decimal import Decimal

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.money import HUNDRED, ZERO, percent_of, round_pkr


@dataclass(frozen=True, slots=True)
class Loan:
    """Borrowed money.

    Attributes:
        principal_pkr: received in year 0.
        rate_percent: interest a year, on what is still owed.
        years: number of equal payments.
    """

    principal_pkr: Decimal
    rate_percent: Decimal
    years: int

    def __post_init__(self) -> None:
        """Refuse what is no loan.

        Raises:
            BillingError: names the field, its value and what is allowed.
        """
        if self.principal_pkr <= 0:
            raise BillingError(f"loan.principal_pkr is {self.principal_pkr}; leave the loan out or give more than 0")
        if not 0 <= self.rate_percent <= HUNDRED:
            raise BillingError(f"loan.rate_percent is {self.rate_percent}; give 0 to 100 per cent a year")
        if self.years < 1:
            raise BillingError(f"loan.years is {self.years}; give 1 or more")


@dataclass(frozen=True, slots=True)
class Instalment:
    """One year of a loan, PKR.

    Attributes:
        flow_pkr: received (positive) or paid (negative).
        interest_pkr: part of the payment.
        owed_pkr: after it.
    """

    flow_pkr: Decimal
    interest_pkr: Decimal
    owed_pkr: Decimal


_NOTHING = Instalment(ZERO, ZERO, ZERO)


def level_payment(loan: Loan) -> Decimal:
    """The equal yearly payment, PKR, rounded to the paisa."""
    if loan.rate_percent == 0:
        return round_pkr(loan.principal_pkr / loan.years)
    rate = loan.rate_percent / HUNDRED
    return round_pkr(loan.principal_pkr * rate / (1 - (1 + rate) ** -loan.years))


def instalments_of(loan: Loan | None, years: int) -> tuple[Instalment, ...]:
    """Years 0 to `years`; interest is rounded to the paisa each year and the last payment clears what is owed.

    Args:
        loan: None = nothing borrowed.
        years: to look at, at least those of the loan.
    """
    if loan is None:
        return (_NOTHING,) * (years + 1)
    owed = round_pkr(loan.principal_pkr)
    parts = [Instalment(owed, ZERO, owed)]
    for year in range(1, loan.years + 1):
        interest = percent_of(owed, loan.rate_percent)
        payment = owed + interest if year == loan.years else min(level_payment(loan), owed + interest)
        owed += interest - payment
        parts.append(Instalment(-payment, interest, owed))
    return (*parts, *(_NOTHING,) * (years - loan.years))
