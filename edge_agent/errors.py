"""What can go wrong on the box."""

from shared.errors import SolarHubError


class EdgeError(SolarHubError):
    """Something on the site's side went wrong; the message says what to look at."""


class ConfigError(EdgeError):
    """A setting or a profile file is wrong: the message names the file, the field, the value and the way out."""
