"""How a command begins that works with an installation: its settings, and the log."""

from cloud.core.log import configure_logging
from cloud.core.settings import Settings, load_settings


def command_settings() -> Settings:
    """The settings, with the log set up by them.

    Raises:
        SettingsError: names the variable that is wrong.
    """
    settings = load_settings()
    configure_logging(json=settings.log_json, level=settings.log_level)
    return settings
