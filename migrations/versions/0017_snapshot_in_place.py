"""Newest values updated in place.

Every reading moves a snapshot's time. With a B-tree over it each update wrote a new entry into all four indexes of the table; a BRIN
index over the same columns lets PostgreSQL 16 and later update the row within its page (HOT) and write none. A site's few snapshots are
found by the primary key, which begins with the site. Pages are filled by half, so that the next version of a row has room beside it.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_INDEX = "CREATE INDEX ix_device_telemetry_snapshot_site_id_timestamp ON device_telemetry_snapshot"


def upgrade() -> None:
    op.execute("DROP INDEX ix_device_telemetry_snapshot_site_id_timestamp")
    op.execute(f"{_INDEX} USING brin (site_id, timestamp)")
    op.execute("ALTER TABLE device_telemetry_snapshot SET (fillfactor = 50)")


def downgrade() -> None:
    op.execute("ALTER TABLE device_telemetry_snapshot RESET (fillfactor)")
    op.execute("DROP INDEX ix_device_telemetry_snapshot_site_id_timestamp")
    op.execute(f"{_INDEX} (site_id, timestamp)")
