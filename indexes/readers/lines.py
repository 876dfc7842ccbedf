"""Numbered lines of plain and gzipped UTF-8 files; it does not know what the lines mean."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from indexes.errors import CorpusFormatError

LONGEST_LINE = 1 << 26
"""Bytes; a longer line is refused, so that a file that is one line does not fill the memory."""

_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_CONVERT = "Convert the file to UTF-8, for example with `iconv -f latin1 -t utf-8`."


def lines_of(file: Path) -> Iterator[tuple[int, str | CorpusFormatError]]:
    """The lines of a file with their line ends, counted from 1; an error where one is bad.

    Raises:
        CorpusFormatError: the file cannot be opened, or not be read on.
    """
    number = 0
    with opened(file) as stream:
        while True:
            number += 1
            line = _next_line(file, number, stream)
            if not line:
                return
            if len(line) > LONGEST_LINE:
                yield number, _too_long(file, number, stream)
                continue
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield (
                    number,
                    CorpusFormatError(file, number, f"the line is not UTF-8 ({error}).", _CONVERT),
                )


def text_of(file: Path) -> str:
    """A whole UTF-8 file as one text.

    Raises:
        CorpusFormatError: it cannot be read, or holds a bad line.
    """
    lines = []
    for _, line in lines_of(file):
        if isinstance(line, CorpusFormatError):
            raise line
        lines.append(line)
    return "".join(lines)


def bytes_of(file: Path) -> bytes:
    """A whole file, unzipped.

    Raises:
        CorpusFormatError: it cannot be read.
    """
    with opened(file, any_encoding=True) as stream:
        try:
            return stream.read()
        except (EOFError, OSError, zlib.error) as error:
            raise _unreadable(file, None, error) from error


@contextmanager
def opened(file: Path, any_encoding: bool = False) -> Iterator[IO[bytes]]:
    """The bytes of a file, unzipped where it is gzipped.

    Raises:
        CorpusFormatError: the file cannot be opened, or begins like UTF-16 and may not.
    """
    try:
        raw = file.open("rb")
    except OSError as error:
        raise CorpusFormatError(
            file, None, f"the file cannot be opened ({error.strerror}).", "Check its permissions."
        ) from error
    with raw:
        start = raw.read(2)
        if start in _OTHER_ENCODINGS and not any_encoding:
            encoding = _OTHER_ENCODINGS[start]
            raise CorpusFormatError(
                file, None, f"the file is {encoding}.", _CONVERT.replace("latin1", encoding)
            )
        raw.seek(0)
        if start == b"\x1f\x8b":
            with gzip.open(raw, "rb") as unzipped:
                yield io.BufferedReader(unzipped)
        else:
            yield raw


def _next_line(file: Path, number: int, stream: IO[bytes]) -> bytes:
    try:
        return stream.readline(LONGEST_LINE + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(file, number, error) from error


def _too_long(file: Path, number: int, stream: IO[bytes]) -> CorpusFormatError:
    while (rest := _next_line(file, number, stream)) and not rest.endswith(b"\n"):
        pass
    return CorpusFormatError(
        file,
        number,
        f"the line has more than {LONGEST_LINE:,} bytes.",
        "Write one row per line; a file that is one JSON array is not jsonl.",
    )


def _unreadable(file: Path, line: int | None, error: Exception) -> CorpusFormatError:
    return CorpusFormatError(
        file,
        line,
        f"the file cannot be read on ({error}).",
        "It is cut off or damaged; copy it again.",
    )
