"""The ledger of exported units, the automatic bills of each month, and what a kWh of solar is worth."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = ("export_ledger", "billing_runs", "savings_rates")
ROWS = "solarhub_sees_organization(organization_id) OR solarhub_is_system()"
MOVES = ("brought", "added", "used", "paid", "carried")


def _key() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("bill_month", sa.Date(), nullable=False),
    )


def _kwh(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Numeric(14, 3), server_default=sa.text("0"), nullable=False)


def _ledger() -> None:
    op.create_table(
        "export_ledger",
        *_key(),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        *(_kwh(f"{part}_{move}_kwh") for part in ("peak", "off_peak") for move in MOVES),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_check_constraint(
        "kwh_not_negative",
        "export_ledger",
        " AND ".join(f"{part}_{move}_kwh >= 0" for part in ("peak", "off_peak") for move in MOVES),
    )
    for part in ("peak", "off_peak"):
        brought, added, used, paid, carried = (f"{part}_{move}_kwh" for move in MOVES)
        op.create_check_constraint(
            f"{part}_adds_up", "export_ledger", f"{carried} = {brought} + {added} - {used} - {paid}"
        )
    op.create_check_constraint("period_ascends", "export_ledger", "period_end >= period_start")
    op.create_index("ix_export_ledger_bill_id", "export_ledger", ["bill_id"])


def _runs() -> None:
    op.create_table(
        "billing_runs",
        *_key(),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("state", sa.String(20), server_default="due", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.String(50)),
        sa.Column("message", sa.Text()),
        sa.Column("bill_id", sa.Uuid()),
    )
    op.create_check_constraint("state_known", "billing_runs", "state IN ('due', 'billed', 'skipped')")
    op.create_check_constraint("period_ascends", "billing_runs", "period_end >= period_start")
    op.create_check_constraint("skipped_says_why", "billing_runs", "state <> 'skipped' OR reason IS NOT NULL")
    op.create_index("ix_billing_runs_due", "billing_runs", ["due_at"], postgresql_where=sa.text("state = 'due'"))
    op.create_index("ix_billing_runs_bill_id", "billing_runs", ["bill_id"])


def _rates() -> None:
    op.create_table(
        "savings_rates",
        *_key(),
        sa.Column("import_pkr_per_kwh", sa.Numeric(14, 6)),
        sa.Column("import_peak_pkr_per_kwh", sa.Numeric(14, 6)),
        sa.Column("export_pkr_per_kwh", sa.Numeric(14, 6)),
        sa.Column("export_peak_pkr_per_kwh", sa.Numeric(14, 6)),
        sa.Column("reason", sa.String(50)),
        sa.Column("message", sa.Text()),
        sa.Column("days_savings_pkr", sa.Numeric(14, 2)),
        sa.Column("bill_savings_pkr", sa.Numeric(14, 2)),
        sa.Column("bill_id", sa.Uuid()),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_check_constraint("rate_or_reason", "savings_rates", "(import_pkr_per_kwh IS NULL) = (reason IS NOT NULL)")
    op.create_index("ix_savings_rates_bill_id", "savings_rates", ["bill_id"])


def upgrade() -> None:
    op.add_column(
        "billing_simulations", sa.Column("is_automatic", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("billing_simulations", sa.Column("replaces_id", sa.Uuid()))
    op.create_foreign_key(
        "fk_billing_simulations_replaces_id",
        "billing_simulations",
        "billing_simulations",
        ["replaces_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index("ix_billing_simulations_replaces_id", "billing_simulations", ["replaces_id"])
    _ledger()
    _runs()
    _rates()
    for table in TABLES:
        op.create_primary_key(f"pk_{table}", table, ["site_id", "bill_month"])
        op.create_index(f"ix_{table}_organization_id", table, ["organization_id"])
        op.create_check_constraint("month_begins", table, "EXTRACT(day FROM bill_month) = 1")
        op.create_foreign_key(
            f"fk_{table}_site_id_organization_id",
            table,
            "sites",
            ["site_id", "organization_id"],
            ["id", "organization_id"],
            ondelete="RESTRICT",
        )
        op.create_foreign_key(
            f"fk_{table}_bill_id",
            table,
            "billing_simulations",
            ["bill_id"],
            ["id"],
            ondelete="CASCADE" if table == "export_ledger" else "SET NULL",
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO solarhub_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant_isolation ON {table} USING ({ROWS}) WITH CHECK ({ROWS})")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_billing_simulations_replaces_id", "billing_simulations")
    op.drop_constraint("fk_billing_simulations_replaces_id", "billing_simulations")
    op.drop_column("billing_simulations", "replaces_id")
    op.drop_column("billing_simulations", "is_automatic")
