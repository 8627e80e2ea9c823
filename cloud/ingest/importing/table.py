"""One CSV file, row by row: never more of it in memory than a row."""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Self

from cloud.ingest.importing.errors import ImportRefusedError, UnreadableError
from cloud.ingest.importing.mapping import FileForm

_NUMBERED = re.compile(r"#([1-9][0-9]{0,3})")
_HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file.

    Attributes:
        line: the line that it ends on, counted from 1 as an editor does.
    """

    line: int
    cells: Sequence[str]


class Table:
    """An open file; a context manager.

    A column is named by its heading, or `#3` for the third one, which is the only way in files without a heading.
    """

    def __init__(self, path: Path, form: FileForm) -> None:
        """`form`: how it is written."""
        self.path = path
        self.heading: tuple[str, ...] = ()
        self._form = form
        self._needed = 0
        self._skipped = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self.size_bytes = self.path.stat().st_size
                self._raw: BufferedReader = stack.enter_context(self.path.open("rb"))
            except OSError as error:
                raise ImportRefusedError(f"the file {str(self.path)!r} cannot be read: {error.strerror}") from error
            self._text = stack.enter_context(TextIOWrapper(self._raw, encoding=self._form.encoding, newline=""))
            self._rows = self._records()
            if self._form.header:
                self.heading = self._read_heading()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def position_bytes(self) -> int:
        """How far into the file its reader is."""
        return self._raw.tell()

    def index_of(self, column: str) -> int:
        """Place of a column, from 0; from now on rows without it are unreadable.

        Raises:
            ImportRefusedError: if there is no such column, or two of them.
        """
        found = [place for place, name in enumerate(self.heading) if name == column]
        numbered = _NUMBERED.fullmatch(column)
        if not found and numbered and (not self.heading or int(numbered[1]) <= len(self.heading)):
            found = [int(numbered[1]) - 1]
        if len(found) != 1:
            why = "two columns" if found else "no column"
            listed = ", ".join(repr(name) for name in self.heading) or "none, as file.header is false"
            raise ImportRefusedError(
                f"the file {str(self.path)!r} has {why} {column!r}; its headings are {listed};"
                " name a column by its heading, or the third one as '#3'"
            )
        self._needed = max(self._needed, found[0] + 1)
        return found[0]

    def rows(self) -> Iterator[Row]:
        """The records after the heading; blank lines are none."""
        return self._rows

    def check(self, row: Row) -> None:
        """See that a row has the cells that are needed, and none too many.

        Raises:
            UnreadableError: if it has not.
        """
        needed = len(self.heading) or self._needed
        surplus = row.cells[needed:] if self.heading else ()
        if len(row.cells) < needed or any(surplus):
            raise UnreadableError(f"the row has {len(row.cells)} cells, expected {needed}")

    def _read_heading(self) -> tuple[str, ...]:
        first = next(self._rows, None)
        if first is None:
            raise ImportRefusedError(f"the file {str(self.path)!r} has no heading; it is empty after file.skip_rows")
        return tuple(first.cells)

    def _records(self) -> Iterator[Row]:
        try:
            for _ in range(self._form.skip_rows):
                self._skipped += bool(self._text.readline())
            reader = csv.reader(
                self._text, delimiter=self._form.delimiter, quotechar=self._form.quote, skipinitialspace=True
            )
            for cells in reader:
                if cells:
                    yield Row(self._skipped + reader.line_num, [cell.strip() for cell in cells])
        except csv.Error as error:
            raise ImportRefusedError(
                f"the file {str(self.path)!r} is no CSV after line {self._skipped + reader.line_num}: {error};"
                " look for a quotation mark that is not closed"
            ) from error
        except UnicodeError as error:
            raise ImportRefusedError(
                f"the file {str(self.path)!r} is not written in {self._form.encoding!r} (byte {self.position_bytes} or a"
                ' little before); set file.encoding, often "cp1252" or "utf-16"'
            ) from error


def content_hash(path: Path) -> bytes:
    """SHA-256 of a file.

    Raises:
        ImportRefusedError: if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_HASH_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise ImportRefusedError(f"the file {str(path)!r} cannot be read: {error.strerror}") from error
    return digest.digest()


def csv_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files that are meant, each once; of a folder those that end with `.csv`, in the order of their names.

    Raises:
        ImportRefusedError: if a folder has none.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(each for each in path.iterdir() if each.suffix.lower() == ".csv") if path.is_dir() else [path]
        if not found:
            raise ImportRefusedError(f"the folder {str(path)!r} has no file whose name ends with .csv")
        files += found
    return tuple(dict.fromkeys(files))
