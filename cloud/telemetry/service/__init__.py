"""What telemetry does: `rollup` keeps the numbers right, `reading` answers questions about them, `live` says what flows now."""
