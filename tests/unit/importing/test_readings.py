"""Files become readings: wide ones row by row, long ones moment by moment; what cannot be read keeps its line and a reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from cloud.ingest.importing.devices import Devices, SiteDevice
from cloud.ingest.importing.errors import ImportRefusedError, UnreadableError
from cloud.ingest.importing.mapping import FileForm
from cloud.ingest.importing.readings import ImportedReading
from cloud.ingest.importing.table import Table, content_hash
from tests.unit.importing.read import INVERTER, METER, SINCE, read

WIDE = """
[time]
column = "Time"
zone = "Asia/Karachi"
[device]
ref = "INV-1"
[[values]]
source = "PAC"
metric = "ac_power_kw"
unit = "W"
[[values]]
source = "Total"
metric = "energy_total_kwh"
"""
LONG = """
[time]
column = "at"
[device]
column = "device"
names = { WR1 = "INV-1", Z = "Meter" }
[long]
metric_column = "tag"
value_column = "value"
[[values]]
source = "P"
metric = "ac_power_kw"
[[values]]
source = "E"
metric = "energy_total_kwh"
[[values]]
source = "G"
metric = "grid_power_kw"
"""
SEVEN = datetime(2026, 6, 1, 7, tzinfo=UTC)


def test_a_wide_row_is_a_reading(tmp_path: Path) -> None:
    found, rejected, counts = read(
        tmp_path, WIDE, "Time,PAC,Total\n2026-06-01 12:00,1500,100.5\n\n2026-06-01 12:05,-,\n"
    )
    assert found == [
        ImportedReading(2, INVERTER.id, SEVEN, {"ac_power_kw": 1.5, "energy_total_kwh": 100.5}),
        ImportedReading(4, INVERTER.id, SEVEN + timedelta(minutes=5), {"ac_power_kw": None, "energy_total_kwh": None}),
    ]
    assert (rejected, counts) == ([], (2, 0))


def test_columns_of_several_devices_in_one_row(tmp_path: Path) -> None:
    mapping = WIDE + '[[values]]\nsource = "Grid"\nmetric = "grid_power_kw"\ndevice = "Meter"\nsign = -1\n'
    found, _, _ = read(tmp_path, mapping, "Grid,Time,PAC,Total\n0.5,2026-06-01 12:00,1500,100\n")
    assert found == [
        ImportedReading(2, INVERTER.id, SEVEN, {"ac_power_kw": 1.5, "energy_total_kwh": 100.0}),
        ImportedReading(2, METER.id, SEVEN, {"grid_power_kw": -0.5}),
    ]


def test_date_and_time_apart_and_a_column_that_names_the_device(tmp_path: Path) -> None:
    mapping = """
[file]
delimiter = ";"
decimal = ","
skip_rows = 2
encoding = "cp1252"
[time]
columns = ["Datum", "Zeit"]
format = "%d.%m.%Y %H:%M"
zone = "Asia/Karachi"
[device]
column = "Gerät"
[[values]]
source = "Leistung"
metric = "ac_power_kw"
"""
    text = (
        "Anlage Süd\nerstellt;heute\nGerät;Datum;Zeit;Leistung\nRoof;01.06.2026;12:00;1,5\nKeller;01.06.2026;12:00;2\n"
    )
    found, rejected, _ = read(tmp_path, mapping, text.encode("cp1252"))
    assert found == [ImportedReading(4, INVERTER.id, SEVEN, {"ac_power_kw": 1.5})]
    assert [(row.row.line, row.reason) for row in rejected] == [
        (5, f"the site has no device 'Keller'; it has 'Roof' (serial number INV-1), 'Meter' (id {METER.id})")
    ]


def test_columns_by_number_in_a_file_without_headings(tmp_path: Path) -> None:
    mapping = WIDE.replace('"Time"', '"#1"').replace('"PAC"', '"#3"').replace('"Total"', '"#2"')
    found, rejected, _ = read(
        tmp_path, mapping + "[file]\nheader = false\n", "2026-06-01 12:00,100,1500,extra\n2026-06-01 12:05,100\n"
    )
    assert found == [ImportedReading(1, INVERTER.id, SEVEN, {"ac_power_kw": 1.5, "energy_total_kwh": 100.0})]
    assert [(row.row.line, row.reason) for row in rejected] == [(2, "the row has 2 cells, expected 3")]


def test_rows_that_cannot_be_read_keep_line_and_reason(tmp_path: Path) -> None:
    text = (
        "Time,PAC,Total\n2026-06-01 12:00,broken,1\n2026-06-01 12:05,1\n2026-06-01 12:10,1,2,3\n"
        '2026-06-01 12:15,1,2,\nTotal,,300\n"2026-06-01\n12:20",5,6\n2026-06-01 12:25,7,8\n'
    )
    found, rejected, counts = read(tmp_path, WIDE, text)
    assert [reading.line for reading in found] == [5, 8, 9]
    assert [(row.row.line, row.reason.split(",")[0]) for row in rejected] == [
        (2, "'PAC' is 'broken'"),
        (3, "the row has 2 cells"),
        (4, "the row has 4 cells"),
        (6, "time 'Total' is not written as ISO 8601"),
    ]
    assert counts == (7, 0)


def test_a_long_file_gathers_the_rows_of_a_moment(tmp_path: Path) -> None:
    rows = ["device,at,tag,value"]
    for minute in (0, 5):
        at = f"2026-06-01T07:{minute:02}Z"
        rows += [f"WR1,{at},P,1.5", f"Z,{at},G,-0.5", f"WR1,{at},E,{100 + minute}"]
    found, rejected, counts = read(tmp_path, LONG, "\n".join(rows))
    assert (rejected, counts) == ([], (6, 0))
    five = SEVEN + timedelta(minutes=5)
    assert found == [
        ImportedReading(2, INVERTER.id, SEVEN, {"ac_power_kw": 1.5, "energy_total_kwh": 100.0}),
        ImportedReading(3, METER.id, SEVEN, {"grid_power_kw": -0.5}),
        ImportedReading(5, INVERTER.id, five, {"ac_power_kw": 1.5, "energy_total_kwh": 105.0}),
        ImportedReading(6, METER.id, five, {"grid_power_kw": -0.5}),
    ]


def test_a_long_file_may_run_backwards_but_not_turn(tmp_path: Path) -> None:
    rows = ["device,at,tag,value", *(f"WR1,2026-06-01T07:{minute:02}Z,P,1" for minute in (10, 5, 0))]
    found, _, _ = read(tmp_path, LONG, "\n".join(rows))
    assert [reading.at.minute for reading in found] == [10, 5, 0]
    with pytest.raises(
        ImportRefusedError, match=r"turns from .*07:00:00.* back to .*07:10:00.* in line 5: .* sort the file"
    ):
        read(tmp_path, LONG, "\n".join([*rows, "WR1,2026-06-01T07:10Z,E,100"]))


def test_other_metrics_of_a_long_file(tmp_path: Path) -> None:
    text = "device,at,tag,value\nWR1,2026-06-01T07:00Z,P,1\nWR1,2026-06-01T07:00Z,Wifi,-60\nWR1,2026-06-01T07:00Z,P,2\n"
    found, rejected, _ = read(tmp_path, LONG, text)
    assert [reading.values for reading in found] == [{"ac_power_kw": 1.0}]
    assert [row.reason.split(",")[0] for row in rejected] == [
        "'tag' is 'Wifi'",
        "'ac_power_kw' stands twice for 2026-06-01T07:00:00+00:00; the first one is taken",
    ]
    ignoring = LONG.replace("[long]", '[long]\nunmapped = "ignore"')
    _, rejected, counts = read(tmp_path, ignoring, text)
    assert (len(rejected), counts) == (1, (3, 1))


@pytest.mark.parametrize(
    ("mapping", "text", "said"),
    [
        (WIDE, "Time,Power,Total\n", "has no column 'PAC'; its headings are 'Time', 'Power', 'Total'"),
        (WIDE, "Time,PAC,PAC,Total\n", "has two columns 'PAC'"),
        (WIDE, "", "has no heading; it is empty"),
        (WIDE.replace('"PAC"', '"#9"'), "Time,PAC,Total\n", "has no column '#9'"),
        (
            WIDE.replace("INV-1", "INV-9"),
            "Time,PAC,Total\n",
            "the mapping: the site has no device 'INV-9'; it has 'Roof'",
        ),
        (WIDE + "[file]\nheader = false\n", "a,b\n", "none, as file.header is false"),
        (WIDE, "Time,PAC,Total\n" + '"' + "x" * 200_000, "is no CSV after line 2: field larger"),
        (WIDE, b"Time,PAC,Total\n\xff\xfe,1,2\n", "is not written in 'utf-8-sig'"),
        (WIDE + "[file]\nencoding = 'utf-16'\n", "Time,PAC,Total\n", "is not written in 'utf-16'"),
    ],
    ids=["column", "twice", "empty", "number", "device", "no heading", "quote", "encoding", "utf-16"],
)
def test_a_wrong_file_is_refused(tmp_path: Path, mapping: str, text: str | bytes, said: str) -> None:
    with pytest.raises(ImportRefusedError) as caught:
        read(tmp_path, mapping, text)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="cannot be read: No such file"), Table(tmp_path / "x", FileForm()):
        pytest.fail("it was opened")
    with pytest.raises(ImportRefusedError, match="cannot be read: Is a directory"):
        content_hash(tmp_path)


def test_devices_are_found_by_serial_number_name_or_id() -> None:
    twins = Devices([INVERTER, METER, SiteDevice(UUID(int=3), "Roof", "INV-3", SINCE)])
    assert [twins.find(ref).id.int for ref in ("INV-1", "Meter", str(UUID(int=3)), "INV-3")] == [1, 2, 3, 3]
    with pytest.raises(UnreadableError, match=r"more than one device 'Roof'; it has 'Roof' \(serial number INV-1\)"):
        twins.find("Roof")
    with pytest.raises(UnreadableError, match="no devices at all: add them first"):
        Devices([]).find("Roof")
