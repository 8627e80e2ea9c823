"""Why a bill cannot be worked out."""

from shared.errors import SolarHubError


class BillingError(SolarHubError):
    """The bill cannot be worked out from what was given; the message names what is missing or wrong."""


class MissingInputError(BillingError):
    """A plan needs a value that the case does not have.

    Attributes:
        field: the case's field.
    """

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class RateUnknownError(BillingError):
    """The plan's record has no rate for these units: nothing is invented in its place."""
