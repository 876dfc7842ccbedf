"""The passages of a corpus file or folder, with the rules that hold for every format.

Ids are distinct, texts are not empty, and a bad row ends the reading or is skipped and counted.
It chooses the reader of a format; how rows look is the readers' affair.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from indexes.chunks import CHUNK_WORDS, check_chunking
from indexes.errors import CorpusFormatError, InvalidSetting, SkippedPassages
from indexes.passage import Passage
from indexes.readers.documents import SUFFIXES, document_rows
from indexes.readers.identifiers import SeenIds
from indexes.readers.jsonl import jsonl_rows, objects_of
from indexes.readers.kilt import is_page, kilt_rows
from indexes.readers.rows import Row
from indexes.readers.skipped import SkippedRows
from indexes.readers.table import table_rows

OnError = Literal["stop", "skip"]
ON_ERROR = ("stop", "skip")
_ALIASES = {"flashrag": "jsonl", "beir": "jsonl", "contriever": "jsonl", "dpr": "tsv"}
FORMATS = ("auto", "jsonl", "tsv", "kilt", "text", *_ALIASES)
_SUFFIX_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".tsv": "tsv",
    **dict.fromkeys(SUFFIXES, "text"),
}
_BEIR_FILES = ("corpus.jsonl", "corpus.jsonl.gz")
_CHUNKED = ("kilt", "text")


class CorpusReader(Iterator[Passage]):
    """The passages of a corpus in its order, read as they are asked for; made by `read_passages`.

    Attributes:
        path: the corpus file or folder.
        format: "jsonl", "tsv", "kilt" or "text".
        skipped: what was left out so far; complete when the reading is over.
        finished: whether it is over.
    """

    def __init__(
        self, path: Path, format: str, words: int, overlap: int, on_error: OnError
    ) -> None:
        self.path = path
        self.format = format
        self.skipped = SkippedRows()
        self.finished = False
        self._on_error = on_error
        self._passages = self._read(words, overlap)

    def __iter__(self) -> CorpusReader:
        return self

    def __next__(self) -> Passage:
        return next(self._passages)

    def _rows(self, words: int, overlap: int) -> Iterator[Row]:
        if self.format == "jsonl":
            return jsonl_rows(self.path)
        if self.format == "tsv":
            return table_rows(self.path)
        if self.format == "kilt":
            return kilt_rows(self.path, words, overlap)
        return document_rows(self.path, words, overlap, self.skipped)

    def _read(self, words: int, overlap: int) -> Iterator[Passage]:
        with SeenIds() as seen:
            for row in self._rows(words, overlap):
                if isinstance(row, CorpusFormatError):
                    self._handle(row)
                    continue
                line, passage = row
                if (earlier := seen.add(passage.id, line or 0)) is not None:
                    self._handle(_duplicate(self.path, line, passage.id, earlier))
                elif passage.text.strip():
                    yield passage
                else:
                    where = passage.id if line is None else f"line {line}"
                    self.skipped.add_empty(where)
        self.finished = True
        if self.skipped:
            message = f"{self.path}: {self.skipped.describe()}"
            warnings.warn(SkippedPassages(message), stacklevel=3)

    def _handle(self, error: CorpusFormatError) -> None:
        if self._on_error == "stop":
            raise error
        self.skipped.add_bad(error.message)


def read_passages(
    path: Path | str,
    format: str = "auto",
    *,
    chunk_words: int | None = None,
    chunk_overlap: int | None = None,
    on_error: OnError = "stop",
) -> CorpusReader:
    """The passages of a corpus, in the order of the file or of the names in a folder.

    Passages whose text is empty are left out. Where anything is left out, a `SkippedPassages`
    warning at the end counts it, and `CorpusReader.skipped` holds the counts.

    Args:
        path: a file, or a folder of documents, or a BEIR folder with a `corpus.jsonl`.
        format: one of `FORMATS`; "auto" goes by the file's name, and knows KILT by its first page.
        chunk_words: the most words of a passage that is cut from a document or a page; 100 unless
            given. The other formats hold passages already, and do not take it.
        chunk_overlap: how many sentences it repeats of the passage before it; 0 unless given.
        on_error: "stop" ends at the first bad row or second use of an id; "skip" leaves such rows
            out. A file that is cut off or cannot be opened, and a table without its header, end
            the reading either way: of what is missing nobody can say how much it is.

    Raises:
        CorpusFormatError: the file cannot be read, a row is bad, or two rows have the same id;
            it names the file and the line. Raised when the reading gets there.
        InvalidSetting: a setting is not allowed, or "auto" cannot tell the format.
        MissingLibrary: a document needs a library that is not installed. Raised at its turn.
    """
    source = Path(path)
    if format not in FORMATS:
        raise InvalidSetting(
            f"The corpus format {format!r} is unknown.", f"Allowed are {', '.join(FORMATS)}."
        )
    if on_error not in ON_ERROR:
        raise InvalidSetting(f"on_error is {on_error!r}.", f"Allowed are {', '.join(ON_ERROR)}.")
    words = CHUNK_WORDS if chunk_words is None else chunk_words
    overlap = chunk_overlap or 0
    check_chunking(words, overlap)
    if not source.exists():
        raise CorpusFormatError(source, None, "there is no such file or folder.", "Check the path.")
    file, chosen = _resolve(source, format)
    if chosen not in _CHUNKED and (chunk_words is not None or chunk_overlap is not None):
        raise InvalidSetting(
            f"{source} is read as {chosen}, whose rows are passages already.",
            f"Leave the chunk settings out; they are for {' and '.join(_CHUNKED)}.",
        )
    return CorpusReader(file, chosen, words, overlap, on_error)


def _resolve(source: Path, format: str) -> tuple[Path, str]:
    """The file or folder that is read, and its format, which is no alias."""
    chosen = _ALIASES.get(format, format)
    if source.is_dir():
        for name in _BEIR_FILES:
            if chosen in ("auto", "jsonl") and (source / name).is_file():
                return source / name, "jsonl"
        if chosen not in ("auto", "text"):
            raise CorpusFormatError(
                source, None, f"a folder is not a {format} file.", "Name the file in it."
            )
        return source, "text"
    if chosen == "auto":
        suffixes = [suffix.lower() for suffix in source.suffixes if suffix.lower() != ".gz"]
        chosen = _SUFFIX_FORMATS.get(suffixes[-1] if suffixes else "", "")
        if not chosen:
            raise InvalidSetting(
                f"The format of {source} cannot be told from its name.",
                f"Name it: {', '.join(FORMATS[1:])}.",
            )
        if chosen == "jsonl" and _begins_with_page(source):
            chosen = "kilt"
    return source, chosen


def _begins_with_page(file: Path) -> bool:
    try:
        first = next(objects_of(file), None)
    except CorpusFormatError:  # told again, and in its place, by the reading itself
        return False
    return first is not None and isinstance(first[1], dict) and is_page(first[1])


def _duplicate(source: Path, line: int | None, id_: str, earlier: int) -> CorpusFormatError:
    return CorpusFormatError(
        source,
        line,
        f"the id {id_!r} was already given in line {earlier}.",
        "Give every passage an id of its own.",
    )
