"""The cloud: owns the schema, turns readings into energy that adds up, and energy into bills, alerts and reports."""

from importlib.metadata import version

__version__ = version("solar-hub")
