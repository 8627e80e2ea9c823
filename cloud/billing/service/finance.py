"""From a financial question to its answer; no database is asked."""

from decimal import Decimal

from cloud.billing.rules.investment.assumptions import Assumptions, FirstYear
from cloud.billing.rules.investment.finance import evaluate
from cloud.billing.rules.investment.loan import Loan
from cloud.billing.schemas.finance import FinanceCase, FinanceOut, FinanceTerms

_ZERO = Decimal(0)


def assumptions_of(terms: FinanceTerms) -> Assumptions:
    """The terms as the rules take them; what was not given stays a default and is stated as one.

    Raises:
        BillingError: names the field that contradicts another.
    """
    names = set(FinanceTerms.model_fields) - {"loan"}
    loan = terms.loan
    return Assumptions(
        **{name: getattr(terms, name) for name in names},
        loan=None if loan is None else Loan(loan.principal_pkr, loan.rate_percent, loan.years),
        given=frozenset(terms.model_fields_set & names),
    )


def first_year_of(case: FinanceCase) -> FirstYear:
    """The first year as given, or as the sum of its twelve months."""
    if case.first_year is not None:
        first = case.first_year
        return FirstYear(first.saved_pkr, first.export_income_pkr, first.generated_kwh)
    return FirstYear(
        saved_pkr=sum((bill.without_solar_pkr - bill.with_solar_pkr for bill in case.bills), _ZERO),
        export_income_pkr=sum((bill.export_income_pkr for bill in case.bills), _ZERO),
        generated_kwh=sum((bill.generated_kwh for bill in case.bills), _ZERO),
        basis="given: sum of twelve months' bills",
    )


def judge(first: FirstYear, terms: FinanceTerms) -> FinanceOut:
    """Answer for savings that are known.

    Raises:
        BillingError: names the field that contradicts another.
    """
    return FinanceOut.model_validate(evaluate(first, assumptions_of(terms)))


def judge_case(case: FinanceCase) -> FinanceOut:
    """Answer a question that brings its own savings.

    Raises:
        BillingError: names the field that contradicts another.
    """
    return judge(first_year_of(case), case)
