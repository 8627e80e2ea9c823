"""Tariff categories and emission factors."""

from decimal import Decimal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import insert

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# code, name, code in the schedule of electricity tariffs (S.R.O. 279(I)/2026; None where its wording was not verified), alias of
CATEGORIES = [
    ("residential_lifeline", "Residential, lifeline (single phase, up to 1 kW, up to 100 kWh in each of twelve months)", "A-1", None),
    ("residential_protected", "Low-income residential (subsidised)", "A-1(a)", None),
    ("residential_unprotected", "Standard residential", "A-1(a)", None),
    ("residential_tou", "Residential, time of use (5 kW and more)", "A-1(b)", None),
    ("commercial_a1", "Small commercial (below 5 kW)", "A-2(a)", None),
    ("commercial_a2", "Medium commercial (5 to 500 kW)", "A-2(b)", None),
    ("commercial_a3", "Large commercial (above 500 kW)", None, None),
    ("tou_commercial", "Commercial, time of use", "A-2(c)", None),
    ("general_services", "General services", "A-3", None),
    ("industrial_b1", "Small industrial (up to 25 kW)", "B-1", None),
    ("industrial_b2", "Medium industrial (25 to 500 kW)", "B-2", None),
    ("industrial_b3", "Large industrial (500 to 5000 kW, 11 to 33 kV)", "B-3", None),
    ("industrial_b4", "Industrial, peak and off-peak, 66 to 132 kV", "B-4", None),
    ("tou_industrial", "Industrial, time of use", None, None),
    ("bulk_supply", "Single-point bulk supply", "C", None),
    ("agricultural_tube_well", "Agricultural tube wells", "D", None),
    ("electric_vehicle", "Charging of electric vehicles", None, None),
    ("commercial_b2", "Other name of commercial_a2", None, "commercial_a2"),
]

# code, kind, value, unit, name, source, default
FACTORS = [
    ("pk_grid_ifi_2021", "grid_electricity", "0.515", "kg_co2_per_kwh", "Pakistan, intermittent generation (combined margin)",
     "UNFCCC harmonised IFI default grid factors 2021", True),
    ("pk_grid_consumption_ifi_2021", "grid_electricity", "0.386", "kg_co2_per_kwh", "Pakistan, electricity consumption",
     "UNFCCC harmonised IFI default grid factors 2021", False),
    ("pk_grid_ember_2024", "grid_electricity", "0.3986", "kg_co2_per_kwh", "Pakistan, average of generation in 2024", "Ember 2024", False),
    ("tree_seedling_epa", "tree", "60", "kg_co2_per_tree", "Urban tree seedling grown for 10 years",
     "US EPA greenhouse gas equivalencies calculator", True),
    ("tree_20kg", "tree", "20", "kg_co2_per_tree", "Tree at 20 kg of CO2, as often quoted", "Rule of thumb without a method behind it", False),
]


CATEGORY_COLUMNS = ("code", "name", "nepra_code", "alias_of")
FACTOR_COLUMNS = ("code", "kind", "value", "unit", "name", "source", "is_default")


def upgrade() -> None:
    categories = sa.table("tariff_categories", *(sa.column(name, sa.String()) for name in CATEGORY_COLUMNS))
    rows = [dict(zip(CATEGORY_COLUMNS, row, strict=True)) for row in CATEGORIES]
    op.execute(insert(categories).values(rows).on_conflict_do_nothing())
    types = {"value": sa.Numeric(), "is_default": sa.Boolean()}
    factors = sa.table("emission_factors", *(sa.column(name, types.get(name, sa.String())) for name in FACTOR_COLUMNS))
    rows = [dict(zip(FACTOR_COLUMNS, row, strict=True)) for row in FACTORS]
    op.execute(insert(factors).values([row | {"value": Decimal(row["value"])} for row in rows]).on_conflict_do_nothing())


def downgrade() -> None:
    # Categories that plans refer to stay until their tables go.
    op.execute("DELETE FROM tariff_categories c WHERE alias_of IS NOT NULL AND NOT EXISTS (SELECT FROM tariff_plans WHERE category = c.code)")
    op.execute(
        "DELETE FROM tariff_categories c WHERE NOT EXISTS (SELECT FROM tariff_plans WHERE category = c.code)"
        " AND NOT EXISTS (SELECT FROM tariff_categories a WHERE a.alias_of = c.code)"
    )
    op.execute("DELETE FROM emission_factors")
