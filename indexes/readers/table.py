"""DPR's table of passages: a header, tab-separated fields, quotes around those that need them."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from indexes.errors import CorpusFormatError
from indexes.readers.lines import lines_of
from indexes.readers.rows import Row, checked

_LONGEST_FIELD = 1 << 24


def table_rows(file: Path) -> Iterator[Row]:
    """The rows of a table; behind a bad one, reading goes on in the line after its first.

    Raises:
        CorpusFormatError: the first row does not name the columns id and text.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    lines = _Lines(file)
    header: list[str] = []
    for number, row in _fields(file, lines):
        if isinstance(row, CorpusFormatError):
            if not header:
                raise row
            yield row
        elif not header:
            header = _header_of(file, number, row)
        elif len(row) != len(header):
            yield CorpusFormatError(
                file,
                number,
                f"the row{lines.extent()} has {len(row)} fields, the header {len(header)}.",
                "Separate fields by single tabs; quote a field that begins with a quote.",
            )
        else:
            values = dict(zip(header, row, strict=True))
            id_, text = values.pop("id"), values.pop("text")
            try:
                passage = checked(file, number, id_, values.pop("title", ""), text, values)
            except CorpusFormatError as error:
                yield error
            else:
                yield number, passage


class _BadLine(Exception):
    """A line inside a row cannot be read."""

    def __init__(self, error: CorpusFormatError) -> None:
        super().__init__(str(error))
        self.error = error


class _Lines:
    """Lines for one row after the other; those behind a bad row's first can be given back.

    A quote that is never closed swallows the rows behind it, and these are good ones.
    """

    def __init__(self, file: Path) -> None:
        self._lines = lines_of(file)
        self._returned: deque[tuple[int, str | CorpusFormatError]] = deque()
        self._taken: list[tuple[int, str | CorpusFormatError]] = []

    def begin(self) -> int | None:
        """The number of the line in which the next row begins; None at the end of the file."""
        self._taken.clear()
        if not self._returned:
            following = next(self._lines, None)
            if following is None:
                return None
            self._returned.append(following)
        return self._returned[0][0]

    def give_back(self) -> None:
        """Have all lines of the row but the first read again, as rows of their own."""
        self._returned.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    def extent(self) -> str:
        """Where a row of several lines ends, for messages."""
        return f" (to line {self._taken[-1][0]})" if len(self._taken) > 1 else ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        taken = self._returned.popleft() if self._returned else next(self._lines)
        self._taken.append(taken)
        if isinstance(taken[1], CorpusFormatError):
            raise _BadLine(taken[1])
        return taken[1]


def _fields(file: Path, lines: _Lines) -> Iterator[tuple[int, list[str] | CorpusFormatError]]:
    rows = csv.reader(lines, delimiter="\t", strict=True)
    while (number := lines.begin()) is not None:
        try:
            row = next(rows, [])
        except _BadLine as bad:
            lines.give_back()
            yield number, bad.error if bad.error.line == number else _row_error(file, number, bad)
        except csv.Error as error:
            lines.give_back()
            yield number, _row_error(file, number, error)
        else:
            if row:
                yield number, row


def _row_error(file: Path, number: int, error: Exception) -> CorpusFormatError:
    return CorpusFormatError(
        file,
        number,
        f"the row cannot be read ({error}).",
        "Fields that hold tabs, quotes or line ends must be quoted, quotes doubled.",
    )


def _header_of(file: Path, line: int, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if not {"id", "text"} <= set(names) or len(set(names)) < len(names):
        raise CorpusFormatError(
            file,
            line,
            f"the header is {names[:5]}.",
            "The first line must name the columns, among them id and text: id, text, title.",
        )
    return names
