"""The mappings of the README are right, and say what is written beside them."""

import re
from pathlib import Path

from cloud.ingest import importing
from cloud.ingest.importing.devices import Devices, SiteDevice
from cloud.ingest.importing.mapping import parse_mapping
from cloud.ingest.importing.readings import read_steps
from cloud.ingest.importing.table import Table
from tests.unit.importing.read import INVERTER, METER, SINCE

README = Path(importing.__file__).with_name("README.md").read_text(encoding="utf-8")
MAPPINGS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
FILES = [
    "\n".join(line.strip() for line in block.splitlines())
    for block in re.findall(r"\n\n((?:    [^\n]+\n)+)\n```toml", README)
]
DEVICES = Devices([SiteDevice(INVERTER.id, "Roof", "INV-2207A1234", SINCE), METER])


def test_each_documented_mapping_reads_the_file_beside_it(tmp_path: Path) -> None:
    assert len(MAPPINGS) == len(FILES) == 2
    found = []
    for number, (mapping, rows) in enumerate(zip(MAPPINGS, FILES, strict=True)):
        form = parse_mapping(mapping, name="README.md")
        path = tmp_path / f"{number}.csv"
        path.write_text(rows, encoding=form.file.encoding)
        with Table(path, form.file) as table:
            steps = list(read_steps(table, form, DEVICES))
        assert [step.rejected for step in steps if step.rejected] == []
        found += [(reading.at.isoformat(), reading.values) for step in steps for reading in step.readings]
    seven = "2026-06-01T07:00:00+00:00"
    assert found == [
        (
            seven,
            {
                "ac_power_kw": 4.8125,
                "energy_total_kwh": 12345.6,
                "inverter_temperature_c": 41.5,
                "operating_state": "producing",
            },
        ),
        (seven, {"ac_power_kw": 4.812, "energy_total_kwh": 12345.6}),
        (seven, {"grid_power_kw": 1.25}),
    ]
