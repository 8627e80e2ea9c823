"""Bills as the distribution company printed them, beside those worked out here."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE = "billing_simulations"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("origin", sa.String(20), server_default="simulated", nullable=False))
    op.add_column(TABLE, sa.Column("reference", sa.String(100)))
    op.add_column(TABLE, sa.Column("compared_to", sa.Uuid()))
    op.create_check_constraint("origin_known", TABLE, "origin IN ('simulated', 'entered')")
    op.create_check_constraint("entered_is_actual", TABLE, "origin <> 'entered' OR is_actual AND NOT is_automatic")
    op.create_check_constraint("only_entered_compares", TABLE, "origin = 'entered' OR compared_to IS NULL")
    op.create_foreign_key(
        "fk_billing_simulations_compared_to", TABLE, TABLE, ["compared_to"], ["id"], ondelete="SET NULL"
    )
    op.create_index("ix_billing_simulations_compared_to", TABLE, ["compared_to"])
    # A meter is read once for each day: two printed bills of a site never share one.
    op.execute(
        f"ALTER TABLE {TABLE} ADD CONSTRAINT ex_billing_simulations_entered_no_overlap EXCLUDE USING gist"
        " (site_id WITH =, daterange(period_start, period_end, '[]') WITH &&) WHERE (origin = 'entered')"
    )


def downgrade() -> None:
    op.execute(f"DELETE FROM {TABLE} WHERE origin = 'entered'")
    op.drop_constraint("ex_billing_simulations_entered_no_overlap", TABLE)
    op.drop_index("ix_billing_simulations_compared_to", TABLE)
    op.drop_constraint("fk_billing_simulations_compared_to", TABLE)
    for check in ("only_entered_compares", "entered_is_actual", "origin_known"):
        op.drop_constraint(f"ck_{TABLE}_{check}", TABLE)
    for column in ("compared_to", "reference", "origin"):
        op.drop_column(TABLE, column)
