"""Corpus readers: the published formats, and errors that name the line."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import shared_data, steady

from indexes.errors import CorpusFormatError, InvalidSetting, SkippedPassages, StorageError
from indexes.passage import Passage
from indexes.readers import read_passages
from indexes.readers.identifiers import SeenIds

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FULL = TEXT.filter(lambda text: bool(text.strip()))
ROWS = st.lists(st.tuples(FULL, TEXT, FULL), max_size=8, unique_by=lambda row: row[0])


def written(folder: Path, name: str, text: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@steady
@given(ROWS, st.booleans())
def test_jsonl_round_trip(rows: list[tuple[str, str, str]], zipped: bool) -> None:
    lines = [json.dumps({"id": i, "title": t, "text": x}) + "\n" for i, t, x in rows]
    data = "".join(lines).encode()
    with TemporaryDirectory() as folder:
        name = "corpus.jsonl.gz" if zipped else "corpus.jsonl"
        file = written(Path(folder), name, gzip.compress(data) if zipped else data)
        assert list(read_passages(file)) == [Passage(i, t, x) for i, t, x in rows]


@steady
@given(ROWS)
def test_tsv_round_trip(rows: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "passages.tsv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL)
            writer.writerow(["id", "text", "title"])
            writer.writerows([(i, x, t) for i, t, x in rows])
        assert list(read_passages(file)) == [Passage(i, t, x) for i, t, x in rows]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"id": 7, "text": "x"}, Passage("7", "", "x")),
        ({"id": "1", "contents": '"A ""b"""\nx\ny'}, Passage("1", 'A "b"', "x\ny")),
        ({"id": "1", "contents": "A\nx"}, Passage("1", "A", "x")),
        ({"id": "1", "contents": "x"}, Passage("1", "", "x")),
        (
            {"_id": "1", "title": "A", "text": "x", "metadata": {"url": "u"}},
            Passage("1", "A", "x", {"url": "u"}),
        ),
        (
            {"id": "1", "title": "A", "section": "S", "text": "x"},
            Passage("1", "A", "x", {"section": "S"}),
        ),
        ({"id": "1", "title": None, "text": "x"}, Passage("1", "", "x")),
    ],
)
def test_published_json_shapes(tmp_path: Path, line: dict[str, object], expected: Passage) -> None:
    assert list(read_passages(written(tmp_path, "c.jsonl", json.dumps(line)))) == [expected]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "list"),
        ('{"text": "x"}', "id is empty"),
        ('{"id": true, "text": "x"}', "bool"),
        ('{"id": "2"}', "no text"),
        ('{"id": "2", "text": 5}', "text is 5"),
        ('{"id": "2", "text": "\\ud800"}', "surrogate"),
        ('{"id": "1", "text": "again"}', "already given in line 1"),
        ('{"id": "1", "text": ""}', "already given in line 1"),
        (b'{"id": "2", "text": "\xff"}', "UTF-8"),
    ],
)
def test_bad_json_lines_are_named(tmp_path: Path, bad: str | bytes, message: str) -> None:
    data = bad if isinstance(bad, bytes) else bad.encode()
    good = b'{"id": "1", "text": "x"}\n\n'
    passages = read_passages(written(tmp_path, "c.jsonl", good + data + b"\n"))
    assert next(passages).id == "1"
    with pytest.raises(CorpusFormatError, match=message) as caught:
        next(passages)
    assert caught.value.line == 3
    assert caught.value.hint


def test_bad_json_lines_are_skipped_and_listed(tmp_path: Path) -> None:
    lines = [
        b'{"id": "1", "text": "x"}',
        *(b"{" for _ in range(11)),
        b'{"id": "2", "text": "\xff"}',
    ]
    lines += [b'{"id": "1", "text": "again"}', b'{"id": "3", "text": "y"}']
    passages = read_passages(written(tmp_path, "c.jsonl", b"\n".join(lines)), on_error="skip")
    with pytest.warns(SkippedPassages, match=r"13 bad rows .*\n.*line 2: .*JSON[\s\S]*and 3 more"):
        assert [passage.id for passage in passages] == ["1", "3"]
    assert passages.skipped.bad == 13
    assert len(passages.skipped.first_bad) == 10
    assert "line 11:" in passages.skipped.first_bad[-1]


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.readers.lines.LONGEST_LINE", 100)
    good = '{"id": "1", "text": "x"}\n'
    file = written(tmp_path, "c.jsonl", "[" + "1, " * 200 + "]\n" + good)
    with pytest.raises(CorpusFormatError, match="more than 100 bytes") as caught:
        list(read_passages(file))
    assert caught.value.line == 1
    with pytest.warns(SkippedPassages, match="1 bad rows"):
        assert [p.id for p in read_passages(file, on_error="skip")] == ["1"]


def test_utf16_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, "c.jsonl", '{"id": "1", "text": "x"}'.encode("utf-16"))
    with pytest.raises(CorpusFormatError, match="UTF-16") as caught:
        list(read_passages(file, on_error="skip"))
    assert "iconv -f UTF-16" in caught.value.hint


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("2\tx\n", "2 fields"),
        ('2\t"x" y\tT\n', "cannot be read"),
        ('2\t"x\n', "cannot be read"),
        ("1\tx\tT\n", "line 2"),
        ("\tx\tT\n", "id is empty"),
    ],
)
def test_bad_table_rows_are_named(tmp_path: Path, bad: str, message: str) -> None:
    file = written(tmp_path, "c.tsv", "id\ttext\ttitle\n1\tx\tT\n" + bad)
    with pytest.raises(CorpusFormatError, match=message) as caught:
        list(read_passages(file))
    assert caught.value.line == 3


def test_a_quote_that_stays_open_costs_one_row(tmp_path: Path) -> None:
    rows = ["id\ttext\ttitle", '2\t"x\tT', '3\t"a\nb"\tT', "4\ty\tT", '5\t"z\tT', "6\tx\tT"]
    data = "\n".join(rows).encode() + b"\n7\t\xff\tT\n8\tx\tT\n"
    passages = read_passages(written(tmp_path, "c.tsv", data), on_error="skip")
    with pytest.warns(SkippedPassages, match="3 bad rows"):
        assert [(p.id, p.text) for p in passages] == [
            ("3", "a\nb"),
            ("4", "y"),
            ("6", "x"),
            ("8", "x"),
        ]
    lines = [message.split(", line ")[1].split(":")[0] for message in passages.skipped.first_bad]
    assert lines == ["2", "6", "8"]


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_table_that_cannot_be_read_on(tmp_path: Path, on_error: Literal["stop", "skip"]) -> None:
    data = gzip.compress(b"id\ttext\n" + b"".join(b"%d\tx\n" % n for n in range(5000)))
    with pytest.raises(CorpusFormatError, match="cut off"):
        list(read_passages(written(tmp_path, "c.tsv.gz", data[:-9]), on_error=on_error))


def test_a_table_needs_its_header(tmp_path: Path) -> None:
    with pytest.raises(CorpusFormatError, match="header") as caught:
        list(read_passages(written(tmp_path, "c.tsv", "1\tx\tT\n")))
    assert caught.value.line == 1


def test_rows_of_several_lines_are_counted(tmp_path: Path) -> None:
    file = written(tmp_path, "c.tsv", 'id\ttext\n1\t"a\nb"\n2\ty\n1\tz\n')
    with pytest.raises(CorpusFormatError, match="line 2") as caught:
        list(read_passages(file))
    assert caught.value.line == 5


def test_long_fields_are_read(tmp_path: Path) -> None:
    text = "word " * 100_000
    file = written(tmp_path, "c.tsv", f"id\ttext\n1\t{text}\n")
    assert [len(passage.text) for passage in read_passages(file)] == [500_000]


def test_empty_texts_are_counted(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "" if n % 2 else "x"} for n in range(6)]
    file = written(tmp_path, "c.jsonl", "\n".join(map(json.dumps, rows)))
    with pytest.warns(SkippedPassages, match="3 passages .* line 2"):
        assert [passage.id for passage in read_passages(file)] == ["0", "2", "4"]


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = written(tmp_path, "c.jsonl", b'\xef\xbb\xbf{"id": "1", "text": "x"}\r\n')
    assert list(read_passages(file)) == [Passage("1", "", "x")]


def test_truncated_and_false_gzip_files(tmp_path: Path) -> None:
    data = gzip.compress(b'{"id": "1", "text": "x"}\n' * 1000)
    for broken in (data[:-20], data[:4], data[:30] + bytes(20)):
        with pytest.raises(CorpusFormatError):
            list(read_passages(written(tmp_path, "c.jsonl.gz", broken)))


def test_text_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    written(tmp_path, "b.md", "Intro.\n\n# The Title\n\nBody of it.")
    written(tmp_path / "sub", "a.txt", "Alpha beta.")
    written(tmp_path / ".hidden", "c.txt", "never")
    written(tmp_path, "d.csv", "never")
    passages = list(read_passages(tmp_path))
    assert [(p.id, p.title, p.text) for p in passages] == [
        ("b.md#1", "b", "Intro."),
        ("b.md#2", "The Title", "Body of it."),
        ("sub/a.txt#1", "a", "Alpha beta."),
    ]
    assert passages[0].metadata == {"file": "b.md"}


def test_beir_folder(tmp_path: Path) -> None:
    written(tmp_path, "corpus.jsonl", '{"_id": "1", "title": "A", "text": "x"}\n')
    assert list(read_passages(tmp_path)) == [Passage("1", "A", "x")]


def test_ids_are_kept_exactly_and_with_their_lines() -> None:
    with SeenIds() as seen:
        assert [seen.add(id_, line) for line, id_ in enumerate(["a", "A", "a ", "1", "01"], 1)] == [
            None
        ] * 5
        assert seen.add("A", 9) == 2
        assert seen.add("A", 10) == 2


@steady
@given(st.lists(TEXT.filter(bool), max_size=30))
def test_ids_as_a_dictionary_would_keep_them(ids: list[str]) -> None:
    lines: dict[str, int] = {}
    with SeenIds() as seen:
        for line, id_ in enumerate(ids, start=1):
            assert seen.add(id_, line) == lines.get(id_)
            lines.setdefault(id_, line)


def test_ids_without_room_are_an_error_with_a_hint() -> None:
    with SeenIds() as seen:
        seen._database.execute("pragma max_page_count = 8")
        with pytest.raises(StorageError, match="full") as caught:
            for number in range(10_000):
                seen.add(f"id {number}", number)
        assert "SQLITE_TMPDIR" in caught.value.hint


def test_settings_that_are_not_allowed(tmp_path: Path) -> None:
    file = written(tmp_path, "c.jsonl", '{"id": "1", "text": "x"}\n')
    with pytest.raises(InvalidSetting, match="ignore"):
        read_passages(file, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="passages already"):
        read_passages(file, chunk_words=50)
    with pytest.raises(InvalidSetting, match="0 words"):
        read_passages(written(tmp_path, "a.txt", "x"), chunk_words=0)


def test_what_cannot_be_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusFormatError, match="no such"):
        read_passages(tmp_path / "nowhere.jsonl")
    with pytest.raises(CorpusFormatError, match=r"no \.txt"):
        list(read_passages(tmp_path))
    with pytest.raises(InvalidSetting, match="parquet"):
        read_passages(tmp_path, "parquet")
    with pytest.raises(InvalidSetting, match="name"):
        read_passages(written(tmp_path, "corpus.xyz", ""))
    with pytest.raises(CorpusFormatError, match="folder is not"):
        read_passages(tmp_path, "tsv")


def test_real_wikipedia_passages() -> None:
    file = shared_data("wiki_passages_sample", "flashrag_wiki1000.jsonl.gz")
    passages = list(read_passages(file))
    assert len(passages) == 1000
    assert passages[0].title == "Evan Morris"


def test_real_beir_corpus() -> None:
    passages = list(read_passages(shared_data("beir_scifact", "corpus.jsonl.gz"), "beir"))
    assert len(passages) == 5183
    assert passages[0].id == "4983"
