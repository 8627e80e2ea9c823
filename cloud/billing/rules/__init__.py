"""The rate engine: from units and a tariff to a bill in which every line says why.

Pure functions on `Decimal`. The engine knows no database and no clock: the plan, the dated adjustments, the period and the units
are arguments; the result is frozen. `bill.price_bill` is the way in.
"""
