"""Documents and KILT pages as passages: text, Markdown, HTML, PDF, folders of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from storage_helpers import steady

from indexes.errors import CorpusFormatError, MissingLibrary, SkippedPassages
from indexes.readers import read_passages
from indexes.readers.parts import Parts


def written(folder: Path, name: str, text: str | bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def titled(file: Path) -> list[tuple[str, str]]:
    return [(passage.title, passage.text) for passage in read_passages(file)]


def pdf_of(pages: list[str], title: str = "", password: str = "") -> PdfWriter:
    """A PDF with one line of text on each page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(width=300, height=300)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    return writer


def test_markdown_headings_are_titles(tmp_path: Path) -> None:
    text = """---
title: The Manual
---
Before *all* headings.

# Guide

See [the site](https://example.org/x) and ![a boat](b.png).
Costs 3.14.

## Install
```sh
# not a heading
pip install x
```

Linux
-----
- one
- two

| a | b |
|---|---|
| 1 | 2 |

# Empty
"""
    assert titled(written(tmp_path, "m.md", text)) == [
        ("The Manual", "Before all headings."),
        ("Guide", "See the site and a boat. Costs 3.14."),
        ("Guide > Install", "# not a heading pip install x"),
        ("Guide > Linux", "one two a | b 1 | 2"),
        ("Empty", "Empty"),
    ]


def test_markdown_without_front_matter_or_first_heading(tmp_path: Path) -> None:
    text = "---\n\nText.\n\n## Part\n\nMore &amp; more.\n"
    assert titled(written(tmp_path, "notes.md", text)) == [
        ("notes", "Text."),
        ("notes > Part", "More & more."),
    ]


def test_html_headings_are_titles(tmp_path: Path) -> None:
    text = """<!doctype html><html><head><title>Site: page</title><style>p {}</style></head>
<body><nav><a href="/">Home</a></nav><p>Above<br>all.<script>var x = "<p>no</p>";</script>
<h1>The <em>Seine</em></h1><div>A <b>riv</b>er in France.<p>It is 777 km long.</div>
<h2>Towns</h2><ul><li>Paris<li>Rouen</ul><table><tr><td>a<td>1.5<tr><td>b<td>2</table>
<template>never</template><!-- never --><img alt="A bridge"></body></html>"""
    assert titled(written(tmp_path, "p.html", text)) == [
        ("Site: page", "Above all."),
        ("The Seine", "A river in France. It is 777 km long."),
        ("The Seine > Towns", "Paris Rouen a 1.5 b 2 A bridge"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "<title>Zürich</title><p>Größe".encode(),
        b"\xef\xbb\xbf" + "<title>Zürich</title><p>Größe".encode(),
        "<title>Zürich</title><p>Größe".encode("utf-16"),
        '<meta charset="iso-8859-1"><title>Zürich</title><p>Größe'.encode("latin-1"),
    ],
)
def test_html_encodings(tmp_path: Path, data: bytes) -> None:
    assert titled(written(tmp_path, "p.htm", data)) == [("Zürich", "Größe")]


@pytest.mark.parametrize("declared", [b"", b'<meta charset="klingon">', b'<meta charset="utf-8">'])
def test_html_of_unknown_encoding(tmp_path: Path, declared: bytes) -> None:
    with pytest.raises(CorpusFormatError, match="the page is not utf-8"):
        titled(written(tmp_path, "p.html", declared + b"<p>\xfc"))


def test_deep_html_is_read(tmp_path: Path) -> None:
    text = "<div>" * 5000 + "deep" + "</div>" * 5000
    assert titled(written(tmp_path, "p.html", text)) == [("p", "deep")]


def test_pdf_pages(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    pdf_of(["One begins here", "and ends here. Two.", "Three."], "The report").write(file)
    passages = list(read_passages(file, chunk_words=8))
    assert [(p.id, p.title, p.text, p.metadata) for p in passages] == [
        (
            "report.pdf#1",
            "The report",
            "One begins here and ends here. Two. Three.",
            {"file": "report.pdf", "page": 1, "last_page": 3},
        )
    ]
    cut = [p.metadata["page"] for p in read_passages(file, chunk_words=6)]
    assert cut == [1, 2]


def test_pdf_that_cannot_be_read(tmp_path: Path) -> None:
    for name, data in (("a.pdf", b"no pdf"), ("b.pdf", b"%PDF-1.7\n" + bytes(100))):
        with pytest.raises(CorpusFormatError, match=r"PDF cannot be read"):
            titled(written(tmp_path, name, data))
    locked = tmp_path / "locked.pdf"
    pdf_of(["secret"], password="x").write(locked)
    with pytest.raises(CorpusFormatError, match="PDF cannot be read"):
        titled(locked)


def test_a_mixed_folder(tmp_path: Path) -> None:
    written(tmp_path, "b.md", "# Title\n\nBody.")
    written(tmp_path, "sub/deep/a.txt", "Alpha beta.")
    written(tmp_path, "sub/p.html", "<title>Page</title>Text")
    written(tmp_path, "empty.txt", "\n")
    written(tmp_path, "latin.txt", b"Z\xfcrich")
    written(tmp_path, "table.csv", "1,2")
    pdf_of(["In a file."]).write(tmp_path / "sub" / "c.pdf")
    passages = read_passages(tmp_path, on_error="skip")
    with pytest.warns(SkippedPassages) as caught:
        assert [(p.id, p.title) for p in passages] == [
            ("b.md#1", "Title"),
            ("sub/c.pdf#1", "c"),
            ("sub/deep/a.txt#1", "a"),
            ("sub/p.html#1", "Page"),
        ]
    assert "first in empty.txt#1" in str(caught[0].message)
    assert "latin.txt, line 1: the line is not UTF-8" in passages.skipped.first_bad[0]
    assert passages.skipped.to_dict()["other_files"] == 1


@pytest.mark.parametrize(("name", "library"), [("a.pdf", "pypdf"), ("a.html", "selectolax.lexbor")])
def test_missing_libraries_name_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    # Not a fault of the file: skipping does not hide it.
    with pytest.raises(MissingLibrary, match=library.partition(".")[0]) as caught:
        list(read_passages(written(tmp_path, name, "x"), on_error="skip"))
    assert "selfrag[documents]" in caught.value.hint


PAGE = {
    "_id": "290",
    "wikipedia_id": "290",
    "wikipedia_title": "A",
    "text": [
        "A\n",
        "A is the first letter. It is a vowel.\n",
        "It is old.\n",
        "Section::::History.\n",
        "Section::::History.:Early use.\n",
        "BULLET::::- In Egypt\n",
        "BULLET::::- In Crete\n",
    ],
    "anchors": [{"text": "vowel", "paragraph_id": 1}],
    "categories": "Letters",
}


@pytest.mark.parametrize("name", ["kilt_knowledgesource.json", "kilt.jsonl"])
def test_kilt_pages(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, name, json.dumps(PAGE) + "\n")
    reader = read_passages(file, chunk_words=9)
    assert reader.format == "kilt"
    passages = list(reader)
    assert [(p.id, p.title, p.text) for p in passages] == [
        ("290#1", "A", "A is the first letter. It is a vowel."),
        ("290#2", "A", "It is old."),
        ("290#3", "A", "- In Egypt - In Crete"),
    ]
    assert [p.metadata for p in passages] == [
        {"wikipedia_id": "290", "start_paragraph_id": 1, "end_paragraph_id": 1},
        {"wikipedia_id": "290", "start_paragraph_id": 2, "end_paragraph_id": 2},
        {
            "wikipedia_id": "290",
            "start_paragraph_id": 5,
            "end_paragraph_id": 6,
            "section": "History > Early use",
        },
    ]


def test_kilt_packs_paragraphs(tmp_path: Path) -> None:
    file = written(tmp_path, "kilt.jsonl", json.dumps(PAGE))
    first = next(read_passages(file, "kilt"))
    assert first.text == "A is the first letter. It is a vowel. It is old."
    assert (first.metadata["start_paragraph_id"], first.metadata["end_paragraph_id"]) == (1, 2)


def test_bad_kilt_pages_are_named(tmp_path: Path) -> None:
    hub = {"wikipedia_id": 7, "wikipedia_title": "B", "text": {"paragraph": ["B", "Bee."]}}
    rows = [
        PAGE,
        {**PAGE, "text": "no list"},
        {**PAGE, "wikipedia_id": None},
        {**PAGE, "wikipedia_id": "9", "text": ["A", 5]},
        {**PAGE, "wikipedia_id": "8", "text": ["A\n"]},
        PAGE,
        hub,
    ]
    file = written(tmp_path, "kilt.jsonl", "\n".join(map(json.dumps, rows)))
    with pytest.raises(CorpusFormatError, match="no list of strings") as caught:
        list(read_passages(file))
    assert caught.value.line == 2
    passages = read_passages(file, on_error="skip")
    with pytest.warns(SkippedPassages):
        assert [p.id for p in passages] == ["290#1", "290#2", "7#1"]
    assert (passages.skipped.bad, passages.skipped.empty) == (5, 1)  # line 6 repeats two passages
    with pytest.raises(CorpusFormatError, match="kilt"):
        list(read_passages(file, "jsonl"))


@steady
@given(st.lists(st.text("ab"), min_size=1).filter(any), st.data())
def test_parts_know_their_numbers(texts: list[str], data: st.DataObject) -> None:
    parts = Parts("--")
    for number, text in enumerate(texts):
        parts.add(number, text)
    # The slow way: the number of the part for every character; a separator belongs before it.
    owners = [number for number, text in enumerate(texts) if text for _ in text + "--"][:-2]
    assert len(owners) == len(parts.text)
    start = data.draw(st.integers(0, len(owners) - 1))
    end = data.draw(st.integers(start + 1, len(owners)))
    assert parts.numbers(start, end) == (owners[start], owners[end - 1])
