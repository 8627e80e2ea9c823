"""Why a bill could not be made, as the caller sees it."""

from cloud.billing.rules.errors import BillingError, MissingInputError, RateUnknownError
from cloud.core.errors import ConflictError, FieldProblem, ValidationFailedError


class BillNotPossibleError(ValidationFailedError):
    """The bill cannot be worked out from what is there."""

    code = "bill_not_possible"


class SetUpMissingError(ValidationFailedError):
    """The site's configuration lacks what a bill needs."""

    code = "billing_setup_missing"


class TariffMissingError(ValidationFailedError):
    """No tariff is on record for the site on these days."""

    code = "tariff_missing"


class TariffRateUnknownError(ValidationFailedError):
    """The tariff is on record without the rate that this bill needs."""

    code = "tariff_rate_unknown"


class EnergyMissingError(ValidationFailedError):
    """There are no readings of grid import in the period."""

    code = "energy_missing"


class PeriodNotStartedError(ValidationFailedError):
    """The period lies in the future."""

    code = "period_not_started"


class PeriodNotOverError(ValidationFailedError):
    """The meter has not been read yet at the end of this period."""

    code = "period_not_over"


class ActualBillOverlapsError(ConflictError):
    """A paper bill of some of these days was entered before."""

    code = "actual_bill_overlaps"


_SITE_FIELDS = {"sanctioned_load_kw": "configuration.sanctioned_load_kw"}


def problem_of(error: BillingError) -> ValidationFailedError:
    """The engine's error as the caller's."""
    words = str(error)
    if isinstance(error, MissingInputError):
        problems: list[FieldProblem] = [{"field": _SITE_FIELDS.get(error.field, error.field), "message": words}]
        return SetUpMissingError(words, errors=problems)
    if isinstance(error, RateUnknownError):
        return TariffRateUnknownError(words)
    return BillNotPossibleError(words)
