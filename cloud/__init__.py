"""The cloud: owns the schema, turns readings into energy that adds up, and energy into bills, alerts and reports."""
