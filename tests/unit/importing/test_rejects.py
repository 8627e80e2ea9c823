"""Rows that cannot be read are written down, to be mended."""

import csv
from pathlib import Path

import pytest

from cloud.ingest.importing.errors import ImportRefusedError
from cloud.ingest.importing.mapping import FileForm
from cloud.ingest.importing.readings import RejectedRow
from cloud.ingest.importing.rejects import Rejects
from cloud.ingest.importing.table import Row, csv_files

REJECTED = RejectedRow(Row(7, ["01.06.2026", 'a "b"; c', ""]), "is no number; see there")


def test_without_rejects_there_is_no_file(tmp_path: Path) -> None:
    with Rejects(tmp_path / "rejects.csv", FileForm()) as rejects:
        assert rejects.count == 0
    assert not rejects.path.exists()


def test_a_row_stands_under_its_heading_with_file_line_and_reason(tmp_path: Path) -> None:
    with Rejects(tmp_path / "rejects.csv", FileForm(delimiter=";")) as rejects:
        rejects.add(REJECTED, file=Path("/data/june.csv"), heading=["day", "text", "more"])
        rejects.add(REJECTED, file=Path("/data/july.csv"), heading=["day", "text", "more"])
    with rejects.path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert rejects.count == len(rows) == 2
    assert rows[1] == {
        "rejected_file": "july.csv",
        "rejected_line": "7",
        "rejected_reason": "is no number; see there",
        "day": "01.06.2026",
        "text": 'a "b"; c',
        "more": "",
    }


def test_rejects_that_cannot_be_written_stop_the_import(tmp_path: Path) -> None:
    with (
        Rejects(tmp_path, FileForm()) as rejects,
        pytest.raises(ImportRefusedError, match="cannot be written: Is a dir"),
    ):
        rejects.add(REJECTED, file=Path("a.csv"), heading=[])


def test_folders_stand_for_their_csv_files(tmp_path: Path) -> None:
    for name in ("b.csv", "a.CSV", "notes.txt"):
        (tmp_path / name).touch()
    other = tmp_path / "notes.txt"
    assert csv_files([other, tmp_path, tmp_path / "b.csv"]) == (other, tmp_path / "a.CSV", tmp_path / "b.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportRefusedError, match="has no file whose name ends with"):
        csv_files([tmp_path / "empty"])
