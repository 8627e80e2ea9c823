"""All SQL of telemetry.

`queue` says what must be computed, `facts` and `raw` bring what it is computed from, `rollups` keeps what came out, `reads` answers.
"""
