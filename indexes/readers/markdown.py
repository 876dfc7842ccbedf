"""Markdown as sections: front matter goes, headings become titles, markup becomes its text.

Links keep their text, images their description; code blocks stand as written. Comments and tags of
embedded HTML are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from indexes.readers.lines import text_of
from indexes.readers.outline import Outline, Section

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(.*?)^(?:---|\.\.\.)[^\S\n]*(?:\n|\Z)", re.S | re.M)
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.S)


def markdown_sections(file: Path) -> list[Section]:
    """The sections of a Markdown file; CommonMark with tables.

    Raises:
        CorpusFormatError: the file cannot be read.
    """
    from markdown_it import MarkdownIt

    text = text_of(file).replace("\r\n", "\n")
    name = file.name.removesuffix(".gz").rpartition(".")[0]
    if found := _FRONT_MATTER.match(text):
        values = _front_matter(found[1])
        if values is not None:
            name = str(values.get("title") or name)
            text = text[found.end() :]
    outline = Outline(name)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    row: list[str] | None = None
    for number, token in enumerate(tokens):
        if token.type == "inline":
            content = _text_of(token.children or [])
            before = tokens[number - 1]
            if before.type == "heading_open":
                outline.heading(int(before.tag[1:]), content)
            elif row is None:
                outline.paragraph(content)
            else:
                row.append(content)
        elif token.type in ("fence", "code_block"):
            outline.paragraph(token.content)
        elif token.type == "html_block":
            outline.paragraph(_TAG.sub(" ", token.content))
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            outline.paragraph(" | ".join(row or []))
            row = None
    return outline.sections()


def _front_matter(text: str) -> dict[str, Any] | None:
    """The values of front matter; None where the text between the rules is none."""
    import yaml

    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _text_of(tokens: Sequence[Any]) -> str:
    pieces = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        elif token.type == "image":
            pieces.append(_text_of(token.children or []))
        elif token.type != "html_inline":
            pieces.append(token.content)
    return "".join(pieces)
