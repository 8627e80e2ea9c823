"""Why an import, or a row of it, is not taken."""

from shared.errors import SolarHubError


class ImportRefusedError(SolarHubError):
    """The import cannot go on as it was asked for; the message says what to change."""


class MappingError(ImportRefusedError):
    """The mapping file is wrong."""


class UnreadableError(SolarHubError):
    """A row cannot be read; it goes to the rejects with this message, and the import goes on."""
