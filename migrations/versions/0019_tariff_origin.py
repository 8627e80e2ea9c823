"""Whose word a tariff is: the program's own data, or somebody's who keeps the tariffs of this installation."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = ("tariff_plans", "tariff_adjustments")


def upgrade() -> None:
    for table in TABLES:
        # What is there already was brought by `solarhub tariffs load`, which goes on keeping it.
        op.add_column(table, sa.Column("origin", sa.String(20), server_default="product", nullable=False))
        op.alter_column(table, "origin", server_default="own")
        op.create_check_constraint("origin_known", table, "origin IN ('product', 'own')")


def downgrade() -> None:
    for table in TABLES:
        op.drop_constraint(f"ck_{table}_origin_known", table)
        op.drop_column(table, "origin")
