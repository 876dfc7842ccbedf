"""Documents as passages: plain text, Markdown, HTML and PDF, one file or a folder of them.

Passages are cut inside sections at sentences. Their ids are `path#number`, with the path as it
stands in the folder; metadata name the file, and of a PDF the first and last page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from indexes.chunks import spans_of
from indexes.errors import CorpusFormatError
from indexes.readers.html import html_sections
from indexes.readers.lines import text_of
from indexes.readers.markdown import markdown_sections
from indexes.readers.outline import Outline, Section
from indexes.readers.pdf import pdf_sections
from indexes.readers.rows import Row, checked
from indexes.readers.skipped import SkippedRows


def _plain_sections(file: Path) -> list[Section]:
    outline = Outline(file.name.removesuffix(".gz").rpartition(".")[0] or file.name)
    outline.paragraph(text_of(file))
    return outline.sections()


_READERS: dict[str, Callable[[Path], list[Section]]] = {
    ".txt": _plain_sections,
    ".md": markdown_sections,
    ".markdown": markdown_sections,
    ".html": html_sections,
    ".htm": html_sections,
    ".xhtml": html_sections,
    ".pdf": pdf_sections,
}
SUFFIXES = tuple(_READERS)


def document_rows(source: Path, words: int, overlap: int, skipped: SkippedRows) -> Iterator[Row]:
    """The passages of a document, or of all documents in a folder and its folders, by their paths.

    Hidden files and folders are passed over. Other files are counted in `skipped.other_files`.

    Raises:
        CorpusFormatError: a folder holds no document.
        MissingLibrary: a document needs a library that is not installed.
    """
    if not source.is_dir():
        yield from _passages(source, source.name, words, overlap)
        return
    files = []
    for file in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(source).parts)
        if hidden or not file.is_file():
            continue
        if _suffix(file) in _READERS:
            files.append(file)
        else:
            skipped.other_files += 1
    if not files:
        raise CorpusFormatError(
            source, None, f"the folder holds no {', '.join(SUFFIXES)} file.", "Check the path."
        )
    for file in files:
        yield from _passages(file, file.relative_to(source).as_posix(), words, overlap)


def _passages(file: Path, name: str, words: int, overlap: int) -> Iterator[Row]:
    count = 0
    try:
        sections = _READERS.get(_suffix(file), _plain_sections)(file)
        for section in sections:
            text = section.parts.text
            for start, end in spans_of(text, words, overlap):
                count += 1
                metadata: dict[str, Any] = {"file": name}
                if section.paged:
                    first, last = section.parts.numbers(start, end)
                    metadata |= {"page": first, "last_page": last}
                content = " ".join(text[start:end].split())
                passage = checked(file, None, f"{name}#{count}", section.title, content, metadata)
                yield None, passage
        if not count:
            # The reader of the corpus counts it as a passage without text.
            yield None, checked(file, None, f"{name}#1", "", "", {})
    except CorpusFormatError as error:
        yield error


def _suffix(file: Path) -> str:
    name = file.name.lower().removesuffix(".gz")
    return Path(name).suffix
