"""Reading a text as if it were a file."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cloud.ingest.importing.devices import Devices, SiteDevice
from cloud.ingest.importing.mapping import parse_mapping
from cloud.ingest.importing.readings import ImportedReading, RejectedRow, read_steps
from cloud.ingest.importing.table import Table

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
INVERTER = SiteDevice(UUID(int=1), "Roof", "INV-1", SINCE)
METER = SiteDevice(UUID(int=2), "Meter", None, SINCE)
DEVICES = Devices([INVERTER, METER])


def read(
    folder: Path, mapping: str, text: str | bytes
) -> tuple[list[ImportedReading], list[RejectedRow], tuple[int, int]]:
    """Readings, rejected rows, and how many rows were read and ignored."""
    path = folder / "export.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    form = parse_mapping(mapping, name="m")
    with Table(path, form.file) as table:
        steps = list(read_steps(table, form, DEVICES))
    readings = [reading for step in steps for reading in step.readings]
    rejected = [step.rejected for step in steps if step.rejected]
    return readings, rejected, (sum(step.rows for step in steps), sum(step.ignored for step in steps))
