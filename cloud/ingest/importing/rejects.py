"""Rows that could not be read, kept as they came with the reason, to be mended and imported again."""

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from cloud.ingest.importing.errors import ImportRefusedError
from cloud.ingest.importing.mapping import FileForm
from cloud.ingest.importing.readings import RejectedRow

_OWN_COLUMNS = ("rejected_file", "rejected_line", "rejected_reason")
_WriteRow = Callable[[Sequence[object]], object]


class Rejects:
    """A CSV file in UTF-8 that comes to be with the first row; a context manager.

    It has the heading of the file that the first row came from, with where and why in front.
    """

    def __init__(self, path: Path, form: FileForm) -> None:
        """`form`: of the files, whose delimiter is kept."""
        self.path = path
        self.count = 0
        self._form = form
        self._stack = ExitStack()
        self._write_row: _WriteRow | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, rejected: RejectedRow, *, file: Path, heading: Sequence[str]) -> None:
        """Write one row.

        Raises:
            ImportRefusedError: if the file cannot be written.
        """
        try:
            if self._write_row is None:
                self._write_row = self._opened(heading)
            self._write_row((file.name, rejected.row.line, rejected.reason, *rejected.row.cells))
        except OSError as error:
            raise ImportRefusedError(f"the rejects {str(self.path)!r} cannot be written: {error.strerror}") from error
        self.count += 1

    def _opened(self, heading: Sequence[str]) -> _WriteRow:
        file = self._stack.enter_context(self.path.open("w", encoding="utf-8", newline=""))
        write_row = csv.writer(file, delimiter=self._form.delimiter, quotechar=self._form.quote).writerow
        write_row((*_OWN_COLUMNS, *heading))
        return write_row
