"""The knowledge source of KILT: one Wikipedia page per line, its text a list of paragraphs.

A page has `wikipedia_id` (or `_id`), `wikipedia_title` and `text`. Paragraph 0 is the title;
`Section::::History.:Early life.` is a heading with its path, `BULLET::::- ` begins a list item.
Passages are cut inside sections. Their metadata name the page and the first and last paragraph, by
the numbers that KILT's answers use for evidence. Anchors, categories and history are left out.
Source: github.com/facebookresearch/KILT, README, "Structure of each record".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexes.chunks import spans_of
from indexes.errors import CorpusFormatError
from indexes.passage import Passage
from indexes.readers.jsonl import objects_of
from indexes.readers.parts import Parts
from indexes.readers.rows import Row, checked

_SECTION = "Section::::"
_BULLET = "BULLET::::"


def is_page(values: dict[str, Any]) -> bool:
    """Whether a row looks like a page of KILT, and not like a passage."""
    return "wikipedia_title" in values and isinstance(values.get("text"), list | dict)


def kilt_rows(file: Path, words: int, overlap: int) -> Iterator[Row]:
    """The passages of a knowledge source; a page that is bad in any paragraph gives none."""
    for number, values in objects_of(file):
        if isinstance(values, CorpusFormatError):
            yield values
            continue
        try:
            passages = list(_passages_of(file, number, values, words, overlap))
        except CorpusFormatError as error:
            yield error
            continue
        for passage in passages:
            yield number, passage


def _passages_of(
    file: Path, line: int, values: dict[str, Any], words: int, overlap: int
) -> Iterator[Passage]:
    page = values.get("wikipedia_id", values.get("_id"))
    if isinstance(page, int) and not isinstance(page, bool):
        page = str(page)
    if not isinstance(page, str) or not page:
        raise CorpusFormatError(
            file, line, f"the page's wikipedia_id is {page!r}.", "It must be a number or a string."
        )
    title = values.get("wikipedia_title")
    count = 0
    for section, parts in _sections(title, _paragraphs(file, line, values)):
        for start, end in spans_of(parts.text, words, overlap):
            count += 1
            first, last = parts.numbers(start, end)
            metadata: dict[str, Any] = {
                "wikipedia_id": page,
                "start_paragraph_id": first,
                "end_paragraph_id": last,
            }
            if section:
                metadata["section"] = section
            text = " ".join(parts.text[start:end].split())
            yield checked(file, line, f"{page}#{count}", title, text, metadata)
    if not count:
        # The reader of the corpus counts it as a passage without text.
        yield checked(file, line, f"{page}#1", title, "", {"wikipedia_id": page})


def _paragraphs(file: Path, line: int, values: dict[str, Any]) -> list[str]:
    text = values.get("text")
    # The copy on the Hugging Face Hub wraps the list: {"paragraph": [...]}.
    paragraphs = text.get("paragraph") if isinstance(text, dict) else text
    if not isinstance(paragraphs, list) or not all(isinstance(part, str) for part in paragraphs):
        raise CorpusFormatError(
            file,
            line,
            "the page's text is no list of strings.",
            "KILT's pages have a list of paragraphs; files of passages are jsonl.",
        )
    return paragraphs


def _sections(title: Any, paragraphs: list[str]) -> Iterator[tuple[str, Parts]]:
    """Headings' paths and the paragraphs below them."""
    section = ""
    parts = Parts()
    for number, paragraph in enumerate(paragraphs):
        text = paragraph.strip()
        if number == 0 and text == title:
            continue
        if text.startswith(_SECTION):
            if parts:
                yield section, parts
            names = text.removeprefix(_SECTION).removesuffix(".").split(".:")
            section, parts = " > ".join(name.strip() for name in names), Parts()
        else:
            parts.add(number, text.removeprefix(_BULLET))
    if parts:
        yield section, parts
