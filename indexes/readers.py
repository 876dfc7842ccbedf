"""Reads corpora as streams of passages, from the files in which corpora are published.

jsonl   one object per line: `id` or `_id`; `text`, or `contents` = "title\\ntext" as FlashRAG
        writes it; `title`; other keys become metadata. BEIR and Contriever files are such files.
tsv     DPR's table: a header with `id`, `text` and `title`, tab-separated, quoted.
text    one .txt or .md file, or a folder of them, cut into passages of about a hundred words.

Gzipped files are recognised by their content. Readers hold one row at a time and the ids seen.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from indexes.chunks import chunks_of
from indexes.errors import CorpusFormatError, InvalidPassage, InvalidSetting, SkippedPassages
from indexes.passage import Passage

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".tsv": "tsv",
    ".txt": "text",
    ".md": "text",
}
_ALIASES = {"flashrag": "jsonl", "beir": "jsonl", "contriever": "jsonl", "dpr": "tsv"}
FORMATS = ("auto", "jsonl", "tsv", "text", *_ALIASES)
_TEXT_SUFFIXES = (".txt", ".md")
_LONGEST_FIELD = 1 << 26
_Row = tuple[int, Passage]


def read_passages(path: Path | str, format: str = "auto") -> Iterator[Passage]:
    """The passages of a corpus, in the order of the file.

    Passages whose text is empty are left out; a `SkippedPassages` warning at the end counts them.

    Args:
        path: a file, or a folder of .txt and .md files, or a BEIR folder with a `corpus.jsonl`.
        format: one of `FORMATS`; "auto" goes by the file's name.

    Raises:
        CorpusFormatError: the file cannot be read, a row is bad, or two rows have the same id;
            it names the file and the line. Raised when the reading gets there.
        InvalidSetting: the format is unknown, or "auto" cannot tell it.
    """
    source = Path(path)
    if format not in FORMATS:
        raise InvalidSetting(
            f"The corpus format {format!r} is unknown.", f"Allowed are {', '.join(FORMATS)}."
        )
    if not source.exists():
        raise CorpusFormatError(source, None, "there is no such file or folder.", "Check the path.")
    return _distinct(*_rows_of(source, format))


def _rows_of(source: Path, format: str) -> tuple[Path, Iterator[_Row]]:
    if source.is_dir():
        for name in ("corpus.jsonl", "corpus.jsonl.gz"):
            if format != "text" and (source / name).is_file():
                return source / name, _jsonl_rows(source / name)
        if format not in ("auto", "text"):
            raise CorpusFormatError(
                source, None, f"a folder is not a {format} file.", "Name the file in it."
            )
        return source, _folder_rows(source)
    chosen = _ALIASES.get(format, format)
    if chosen == "auto":
        suffixes = [suffix.lower() for suffix in source.suffixes if suffix.lower() != ".gz"]
        chosen = _SUFFIXES.get(suffixes[-1] if suffixes else "", "")
        if not chosen:
            raise InvalidSetting(
                f"The format of {source} cannot be told from its name.",
                f"Name it: {', '.join(FORMATS[1:])}.",
            )
    readers: dict[str, Callable[[Path], Iterator[_Row]]] = {
        "jsonl": _jsonl_rows,
        "tsv": _tsv_rows,
        "text": lambda file: _text_rows(file, file.name),
    }
    return source, readers[chosen](source)


def _distinct(source: Path, rows: Iterator[_Row]) -> Iterator[Passage]:
    """Refuse ids that were seen before; leave empty texts out, and count them."""
    lines: dict[str, int] = {}
    skipped = 0
    first_skipped = 0
    for line, passage in rows:
        earlier = lines.setdefault(passage.id, line)
        if earlier != line:
            raise CorpusFormatError(
                source,
                line,
                f"the id {passage.id!r} was already given in line {earlier}.",
                "Give every passage an id of its own.",
            )
        if not passage.text.strip():
            skipped += 1
            first_skipped = first_skipped or line
            continue
        yield passage
    if skipped:
        message = f"{source}: {skipped} passages with empty text were skipped, the first in line "
        warnings.warn(SkippedPassages(f"{message}{first_skipped}."), stacklevel=3)


def _jsonl_rows(file: Path) -> Iterator[_Row]:
    for number, line in _lines(file):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusFormatError(
                file, number, f"the line is no JSON ({error}).", "Each line must be one object."
            ) from error
        if not isinstance(values, dict):
            raise CorpusFormatError(
                file,
                number,
                f"the line holds a {type(values).__name__}.",
                "Each line must be one object with id and text.",
            )
        yield number, _passage_of(file, number, values)


def _passage_of(file: Path, line: int, values: dict[str, Any]) -> Passage:
    id_ = values.pop("_id", None) if "_id" in values else values.pop("id", None)
    title = values.pop("title", None)
    text = values.pop("text", None)
    contents = values.pop("contents", None)
    if text is None and isinstance(contents, str):
        first, separator, rest = contents.partition("\n")
        if separator:
            title, text = title or _unquoted(first), rest
        else:
            text = contents
    if text is None:
        raise CorpusFormatError(
            file, line, f"the row has no text; its keys are {sorted(values)}.", "Add text."
        )
    metadata = values.pop("metadata", None)
    if isinstance(metadata, dict):
        values = {**metadata, **values}
    elif metadata is not None:
        values["metadata"] = metadata
    return _checked(file, line, id_, "" if title is None else title, text, values)


def _checked(
    file: Path, line: int, id_: Any, title: Any, text: Any, metadata: dict[str, Any]
) -> Passage:
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    try:
        passage = Passage("" if id_ is None else id_, title, text, metadata)
        for value in (passage.id, passage.title, passage.text, *map(str, metadata.items())):
            value.encode()
    except InvalidPassage as error:
        raise CorpusFormatError(file, line, error.message, error.hint) from error
    except UnicodeEncodeError as error:
        raise CorpusFormatError(
            file, line, f"the row holds a lone surrogate ({error.reason}).", "Write valid Unicode."
        ) from error
    return passage


def _unquoted(title: str) -> str:
    # FlashRAG's Wikipedia files put the title in double quotes, those of other corpora do not.
    quoted = len(title) > 1 and title.startswith('"') and title.endswith('"')
    return title[1:-1].replace('""', '"') if quoted else title


def _tsv_rows(file: Path) -> Iterator[_Row]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    rows = csv.reader((line for _, line in _lines(file)), delimiter="\t", strict=True)
    header: list[str] = []
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise CorpusFormatError(
                file,
                number,
                f"the row cannot be read ({error}).",
                "Fields that hold tabs, quotes or line ends must be quoted, quotes doubled.",
            ) from error
        if row is None:
            return
        if not row:
            continue
        if not header:
            header = _header_of(file, number, row)
        elif len(row) != len(header):
            raise CorpusFormatError(
                file,
                number,
                f"the row has {len(row)} fields, the header {len(header)}.",
                "Separate fields by single tabs; quote a field that begins with a quote.",
            )
        else:
            values = dict(zip(header, row, strict=True))
            id_, text = values.pop("id"), values.pop("text")
            yield number, _checked(file, number, id_, values.pop("title", ""), text, values)


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


def _folder_rows(folder: Path) -> Iterator[_Row]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in _TEXT_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not files:
        raise CorpusFormatError(
            folder, None, "the folder holds no .txt or .md file.", "Check the path."
        )
    count = 0
    for file in files:
        for _, passage in _text_rows(file, file.relative_to(folder).as_posix()):
            count += 1
            yield count, passage


def _text_rows(file: Path, name: str) -> Iterator[_Row]:
    lines = [line for _, line in _lines(file)]
    title = Path(name).stem
    if name.lower().endswith(".md"):
        headings = (line.lstrip("#").strip() for line in lines if line.startswith("# "))
        title = next(headings, title)
    for number, text in enumerate(chunks_of("".join(lines)), start=1):
        yield number, _checked(file, number, f"{name}#{number}", title, text, {"file": name})


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a plain or gzipped UTF-8 file, with their line ends."""
    number = 0
    with _opened(file) as stream:
        while True:
            number += 1
            try:
                line = stream.readline()
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise CorpusFormatError(
                    file, number, f"the line is not UTF-8 ({error}).", "Convert the file to UTF-8."
                ) from error
            except (EOFError, OSError, zlib.error) as error:
                raise CorpusFormatError(
                    file, number, f"the file cannot be read on ({error}).", "Copy it again."
                ) from error
            if not line:
                return
            yield number, text


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        raw = file.open("rb")
    except OSError as error:
        raise CorpusFormatError(
            file, None, f"the file cannot be opened ({error.strerror}).", "Check its permissions."
        ) from error
    with raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if zipped:
            with gzip.open(raw, "rb") as unzipped:
                yield io.BufferedReader(unzipped)
        else:
            yield raw
