"""HTML as sections: headings become titles, the rest its text.

Scripts, styles, navigation and controls are left out. What a page's main part is is not guessed:
nothing that a reader of the page would see is lost.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from indexes.errors import CorpusFormatError, MissingLibrary
from indexes.readers.lines import bytes_of
from indexes.readers.outline import Outline, Section

_UNSEEN = "head script style template noscript svg math iframe object canvas audio video"
_CONTROLS = "nav button select datalist"
_LEFT_OUT = frozenset(f"{_UNSEEN} {_CONTROLS}".split())
_MARKUP = "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q"
_MORE_MARKUP = "rp rt ruby s samp small span strike strong sub sup time tt u var wbr"
_INLINE = frozenset(f"{_MARKUP} {_MORE_MARKUP}".split())
_CELLS = frozenset(("td", "th"))
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.I)
# The names that browsers take for Windows' code page (WHATWG Encoding, section 4.2).
_WINDOWS = frozenset(("ascii", "iso8859-1", "latin-1"))


def html_sections(file: Path) -> list[Section]:
    """The sections of an HTML file.

    The bytes are UTF-8 where they can be, else what the page declares.

    Raises:
        CorpusFormatError: the file cannot be read or decoded.
        MissingLibrary: selectolax is not installed.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingLibrary("selectolax", "HTML files", "documents") from error

    parser = LexborHTMLParser(_decoded(file, bytes_of(file)))
    title = parser.css_first("head > title")
    name = " ".join((title.text() if title is not None else "").split())
    outline = Outline(name or file.name.removesuffix(".gz").rpartition(".")[0])
    level = 0
    pieces: list[str] = []
    for event, value in _events(parser.root):
        if event == "text":
            pieces.append(value)
            continue
        if event == "break" and value in _CELLS:
            pieces.append(" ")
            continue
        text = "".join(pieces)
        pieces = []
        if level:
            outline.heading(level, text)
        else:
            outline.paragraph(text)
        level = int(value) if event == "heading" else 0
    outline.paragraph("".join(pieces))
    return outline.sections()


def _events(root: Any) -> Iterator[tuple[str, str]]:
    """Text, breaks between blocks and the beginnings of headings, in document order.

    Without recursion: pages may be nested deeper than Python's stack.
    """
    node = root
    while node is not None:
        descend = False
        if node.is_text_node:
            yield "text", node.text_content or ""
        elif node.is_element_node:
            descend = node.tag not in _LEFT_OUT and node.child is not None
            yield from _edge(node.tag, opening=True)
            if node.tag == "img" and (description := node.attributes.get("alt")):
                yield "text", description
        if descend:
            node = node.child
            continue
        while node is not None and node.next is None:
            node = node.parent
            if node is not None and node.is_element_node:
                yield from _edge(node.tag, opening=False)
        node = None if node is None else node.next


def _edge(tag: str, opening: bool) -> Iterator[tuple[str, str]]:
    if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
        yield ("heading", tag[1]) if opening else ("break", tag)
    elif tag not in _INLINE:
        yield "break", tag


def _decoded(file: Path, data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig"]
        if found := _CHARSET.search(data[:4096]):
            encodings.append(_python_name(found[1].decode("ascii")))
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            last = error
    raise CorpusFormatError(
        file,
        None,
        f"the page is not {' or '.join(encodings)} ({last}).",
        "Convert it to UTF-8, or declare its encoding in a meta element.",
    )


def _python_name(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        return declared
    return "cp1252" if name in _WINDOWS else name
