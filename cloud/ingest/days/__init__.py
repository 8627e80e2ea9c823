"""Closed days: a device's readings of one UTC day as one row of arrays, a tenth of the space; and the way back to rows."""
