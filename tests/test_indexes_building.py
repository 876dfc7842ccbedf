"""The stages of a build: streamed files are those of the libraries, and kills lose nothing."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.building.codes import fill
from indexes.building.journal import Journal
from indexes.building.reading import StoredCorpus, read_corpus
from indexes.building.words import build_words
from indexes.errors import (
    CorpusFormatError,
    DiskFull,
    InterruptedBuild,
    InvalidSetting,
    InvalidVectors,
    ResumedBuild,
)
from indexes.index import Index
from indexes.lexical import BM25Settings, LexicalIndex
from indexes.matrix import MatrixFiles, write_matrix
from indexes.passage import Passage, text_for_search
from indexes.progress import Reporter
from indexes.readers import read_passages
from indexes.verify import verify_index

SHARD_ROWS = (90, 90, 20)


def many(count: int) -> list[Passage]:
    return [Passage(str(n), f"Title {n % 7}", f"word{n} word{n % 13} filler") for n in range(count)]


def write_corpus(file: Path, count: int) -> Path:
    rows = [{"id": p.id, "title": p.title, "text": p.text} for p in many(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def started_journal(folder: Path) -> Journal:
    folder.mkdir(parents=True)
    (folder / "parts").mkdir()
    return Journal.start(folder.with_suffix(".jsonl"), folder, {"source": "x"})


@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT])
def test_streamed_files_are_those_of_faiss(tmp_path: Path, metric: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    matrices = MatrixFiles(tmp_path, SHARD_ROWS, 16)
    first = 0
    for number, rows in enumerate(SHARD_ROWS):
        part = vectors[first : first + rows]
        write_matrix(matrices.file(number), [part[:50], part[50:]], rows, 16, "float32")
        first += rows
    np.testing.assert_array_equal(matrices.take(np.array([199, 0, 90])), vectors[[199, 0, 90]])
    factories = (
        "Flat",
        "SQ8",
        "SQfp16",
        "SQ4",
        "IVF4,Flat",
        "IVF4,SQ8",
        "IVF4,PQ4x2",
        "PCA8,IVF4,SQ8",
    )
    for number, factory in enumerate((*factories, "PQ4x2", "IVF4,PQ8x4fsr")):
        index = faiss.index_factory(16, factory, metric)
        if not index.is_trained:
            index.train(vectors)
        expected = faiss.clone_index(index)
        expected.add(vectors)
        faiss.write_index(expected, str(tmp_path / "expected"))
        journal = started_journal(tmp_path / f"{number}")
        with Reporter(lambda progress: None) as reporter:
            fill(
                index,
                matrices,
                tmp_path / "streamed",
                tmp_path / f"{number}" / "parts",
                journal,
                reporter,
            )
        assert (tmp_path / "streamed").read_bytes() == (tmp_path / "expected").read_bytes(), factory


@pytest.mark.parametrize(("rows_per_file", "postings"), [(1000, 10**6), (7, 10), (50, 1)])
def test_streamed_words_are_those_of_bm25s(
    tmp_path: Path, rows_per_file: int, postings: int
) -> None:
    settings = BM25Settings(1.7, 0.6)
    passages = [*many(60), *CORPUS, Passage("empty", "", "the of")]
    LexicalIndex.build(map(text_for_search, passages), settings).save(tmp_path / "expected")
    journal = started_journal(tmp_path / "work")
    with Reporter(lambda progress: None) as reporter:
        corpus = read_corpus(
            passages, tmp_path / "work" / "store", rows_per_file, journal, reporter
        )
        used = build_words(
            corpus,
            settings,
            tmp_path / "found",
            tmp_path / "work" / "parts",
            journal,
            reporter,
            postings,
        )
    assert len(used) == 6 * len(corpus.shard_rows)
    names = sorted(file.name for file in (tmp_path / "expected").iterdir())
    assert sorted(file.name for file in (tmp_path / "found").iterdir()) == names
    for name in names:
        found = (tmp_path / "found" / name).read_bytes()
        assert found == (tmp_path / "expected" / name).read_bytes(), name


class Interrupted(Exception):
    """Stands for whatever ends a build from outside."""


class FragileEncoder(HashEncoder):
    """An encoder that fails at a chosen call, and counts the texts that it was given."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.calls = 0
        self.texts = 0
        self._fails_at = fails_at

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.calls == self._fails_at:
            raise Interrupted
        self.calls += 1
        self.texts += len(texts)
        return super().encode_texts(texts)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture(autouse=True)
def _fixed_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQ8", "IVF4,PQ8x4fsr"])
def test_an_interrupted_build_goes_on(tmp_path: Path, factory: str) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 100)
    options = {"factory": factory, "batch_size": 8, "rows_per_file": 30}
    build_index(corpus, tmp_path / "whole", encoder=HashEncoder(), **options)  # type: ignore[arg-type]
    out = tmp_path / "out"
    with pytest.raises(Interrupted):  # shards of 30 rows take 4 calls: the third one is begun
        build_index(corpus, out, encoder=FragileEncoder(fails_at=9), **options)  # type: ignore[arg-type]
    encoder = FragileEncoder()
    with pytest.warns(ResumedBuild, match="going on after 7 finished parts"):
        build_index(corpus, out, encoder=encoder, **options)  # type: ignore[arg-type]
    assert encoder.texts == 40
    assert contents(out) == contents(tmp_path / "whole")
    assert verify_index(out).ok


def interrupted(tmp_path: Path) -> tuple[Path, Path]:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 40)
    with pytest.raises(Interrupted):
        build_index(
            corpus, tmp_path / "out", encoder=FragileEncoder(2), batch_size=10, rows_per_file=20
        )
    return corpus, tmp_path / "out"


def test_a_stream_goes_on_where_its_file_is_known(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 40)

    def build(encoder: HashEncoder, out: Path, **others: object) -> None:
        passages = read_passages(corpus, "jsonl")
        build_index(passages, out, encoder=encoder, rows_per_file=10, **others)  # type: ignore[arg-type]

    for others in ({}, {"corpus_path": corpus, "reading": {"format": "jsonl"}}):
        out = tmp_path / str(len(others))
        with pytest.raises(Interrupted):
            build(FragileEncoder(3), out, **others)
        encoder = FragileEncoder()
        if others:
            with pytest.warns(ResumedBuild):
                build(encoder, out, **others)
        else:
            build(encoder, out)
        assert encoder.texts == (10 if others else 40)


def test_other_settings_are_refused_unless_told(tmp_path: Path) -> None:
    corpus, out = interrupted(tmp_path)
    with pytest.raises(InterruptedBuild, match="batch_size was 10, and is 5") as caught:
        build_index(corpus, out, encoder=HashEncoder(), batch_size=5, rows_per_file=20)
    assert "--restart" in caught.value.hint and "--overwrite" in caught.value.hint
    with pytest.raises(InterruptedBuild):
        build_index(CORPUS, out, encoder=HashEncoder())
    encoder = FragileEncoder()
    build_index(corpus, out, encoder=encoder, batch_size=10, rows_per_file=20, restart=True)
    assert encoder.texts == 40
    assert sorted(entry.name for entry in out.iterdir()) == ["generation-000001", "manifest.json"]


def test_overwriting_discards_a_build_with_other_settings(tmp_path: Path) -> None:
    _, out = interrupted(tmp_path)
    build_index(CORPUS, out, encoder=None, overwrite=True)
    assert len(Index.open(out)) == len(CORPUS)
    assert len(list(out.iterdir())) == 2


def test_a_changed_source_is_other_settings(tmp_path: Path) -> None:
    corpus, out = interrupted(tmp_path)
    write_corpus(corpus, 41)
    with pytest.raises(InterruptedBuild, match="source"):
        build_index(corpus, out, encoder=HashEncoder(), batch_size=10, rows_per_file=20)


def test_a_source_that_changed_unseen_is_found(tmp_path: Path) -> None:
    journal = started_journal(tmp_path / "work")
    with Reporter(lambda progress: None) as reporter:
        read_corpus(many(9), tmp_path / "work" / "store", 4, journal, reporter)
        shards = Journal.start(tmp_path / "j", tmp_path / "work", {})
        entry = journal.get("passages 0") or {}
        shards.finish("passages 0", [], rows=entry["rows"], digest=entry["digest"])
        with pytest.raises(InterruptedBuild, match="before passage 5"):
            read_corpus(many(9)[::-1], tmp_path / "work" / "store", 4, shards, reporter)


def test_damaged_parts_are_made_again(tmp_path: Path) -> None:
    corpus, out = interrupted(tmp_path)
    (out / "building" / "vectors" / "vectors-00000.npy").write_bytes(b"x")
    encoder = FragileEncoder()
    with pytest.warns(ResumedBuild, match="after 3 finished parts"):
        build_index(corpus, out, encoder=encoder, batch_size=10, rows_per_file=20)
    assert encoder.texts == 40
    assert verify_index(out).ok


def test_a_full_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, out = interrupted(tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("indexes.building.pipeline.write_matrix", full)
        with pytest.warns(ResumedBuild), pytest.raises(DiskFull, match="4 parts") as caught:
            build_index(corpus, out, encoder=HashEncoder(), batch_size=10, rows_per_file=20)
    assert "again" in caught.value.hint
    encoder = FragileEncoder()
    with pytest.warns(ResumedBuild):
        build_index(corpus, out, encoder=encoder, batch_size=10, rows_per_file=20)
    assert encoder.texts == 20


def test_a_build_that_cannot_be_published_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 40)
    out = tmp_path / "out"

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("indexes.manifest.Manifest.write", full)
        with pytest.raises(DiskFull):
            build_index(corpus, out, encoder=HashEncoder())
    encoder = FragileEncoder()
    with pytest.warns(ResumedBuild):
        build_index(corpus, out, encoder=encoder)
    assert encoder.texts == 0
    build_index(corpus, tmp_path / "whole", encoder=HashEncoder())
    assert contents(out) == contents(tmp_path / "whole")


def test_errors_that_repeat_leave_nothing_behind(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 40)
    with pytest.raises(InvalidSetting, match="fewer than its 50 lists"):
        build_index(corpus, tmp_path / "out", encoder=HashEncoder(), factory="IVF50,Flat")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_row_after_a_finished_shard_leaves_nothing_behind(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 40)
    good = corpus.read_text(encoding="utf-8")
    corpus.write_text(f'{good}{{"id": "7", "text": "a second seven"}}\n', encoding="utf-8")
    with pytest.raises(CorpusFormatError, match="line 41"):
        build_index(corpus, tmp_path / "out", encoder=HashEncoder(), rows_per_file=20)
    corpus.write_text(good, encoding="utf-8")
    build_index(corpus, tmp_path / "out", encoder=HashEncoder(), rows_per_file=20)
    assert len(Index.open(tmp_path / "out")) == 40


def test_journals_forget_what_was_not_written_whole(tmp_path: Path) -> None:
    root = tmp_path / "work"
    journal = started_journal(root)
    for number in range(3):
        (root / f"file{number}").write_text(str(number))
        journal.finish(f"part {number}", [root / f"file{number}"], number=number)
    file = tmp_path / "work.jsonl"
    whole = file.read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        read = Journal.read(file, root)
        kept = sum(end <= length for end in ends)
        assert (read is None) == (kept == 0)
        if read is not None:
            assert len(read) == kept - 1
            assert file.read_bytes() == whole[: ends[kept - 1]]
    (root / "file1").write_text("other")
    read = Journal.read(file, root)
    assert read is not None and read.check() == 2 and len(read) == 1
    assert read.get("part 0") is not None and read.get("part 1") is None


def test_numbers_beyond_float16_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidVectors, match="65504"):
        write_matrix(tmp_path / "m.npy", [np.full((1, 2), 1e6, np.float32)], 1, 2, "float16")
    with pytest.raises(InvalidVectors, match="1 vectors were given for 2"):
        write_matrix(tmp_path / "m.npy", [np.ones((1, 2), np.float32)], 2, 2, "float16")
    assert not (tmp_path / "m.npy").exists()


def test_a_stored_corpus_knows_its_rows(tmp_path: Path) -> None:
    corpus = StoredCorpus(tmp_path, (4, 4, 1), "")
    assert (len(corpus), corpus.first_row(0), corpus.first_row(2)) == (9, 0, 8)
