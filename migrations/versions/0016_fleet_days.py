"""Days of all sites of an organisation, found by their date."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_telemetry_daily_summary_fleet ON telemetry_daily_summary (organization_id, summary_date)"
        " WHERE device_id IS NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_telemetry_daily_summary_fleet")
