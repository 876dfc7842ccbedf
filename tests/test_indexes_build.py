"""Building and publishing: round trips, settings, interrupted and competing builds."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.errors import (
    CorpusFormatError,
    DimensionMismatch,
    DuplicateId,
    EmptyCorpus,
    IndexBusy,
    IndexExists,
    InvalidSetting,
    InvalidVectors,
    MissingPart,
    NotAnIndex,
)
from indexes.index import Index
from indexes.lexical import BM25Settings
from indexes.manifest import Manifest
from indexes.passage import Passage
from indexes.progress import Progress
from indexes.publish import locked
from indexes.verify import verify_index
from indexes.words import WordSettings

ROOT = Path(__file__).resolve().parents[1]


def many(count: int) -> list[Passage]:
    return [Passage(str(n), f"Title {n % 7}", f"word{n} word{n % 13} filler") for n in range(count)]


def test_round_trip(tmp_path: Path) -> None:
    manifest = build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    index = Index.open(tmp_path / "index", full_check=True)
    assert index.manifest == manifest
    assert list(index.store) == list(CORPUS)
    assert index.require_vectors().ntotal == len(index) == len(CORPUS)
    expected = HashEncoder().encode_passages(list(CORPUS))
    np.testing.assert_array_equal(index.require_vectors().reconstruct_n(0, len(CORPUS)), expected)
    assert index.bm25 is not None and index.bm25.search("Curie", 3)[0].tolist() == [3]
    info = index.info()
    assert info["corpus"]["passages"] == 6 and info["factory"] == "Flat" and info["bytes"] > 0
    assert verify_index(tmp_path / "index").ok


def test_an_index_can_be_moved(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "here", encoder=HashEncoder())
    (tmp_path / "here").rename(tmp_path / "there")
    assert verify_index(tmp_path / "there").ok


def test_builds_are_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    texts = []
    for name in ("a", "b"):
        build_index(many(50), tmp_path / name, encoder=HashEncoder(), batch_size=7)
        texts.append((tmp_path / name / "manifest.json").read_text())
    assert texts[0] == texts[1]
    assert "2023-11-14" in texts[0]


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "SQ8", "IVF4,Flat", "IVF4,SQ8", "HNSW8"])
def test_factories(tmp_path: Path, factory: str) -> None:
    build_index(many(300), tmp_path / "index", encoder=HashEncoder(), factory=factory)
    index = Index.open(tmp_path / "index")
    vectors = HashEncoder().encode_passages([index.store[5]])
    assert 5 in index.require_vectors().search(vectors, 3)[1][0]
    assert index.manifest.factory == factory


@pytest.mark.parametrize("factory", ["nonsense", "IVF4096,Flat", "IDMap,Flat", "PQ5"])
def test_factories_that_do_not_work(tmp_path: Path, factory: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        build_index(many(50), tmp_path / "index", encoder=HashEncoder(), factory=factory)
    assert caught.value.hint
    with pytest.raises(NotAnIndex):
        Index.open(tmp_path / "index")


def test_parts_can_be_left_out(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "words", encoder=None)
    words = Index.open(tmp_path / "words")
    assert words.vectors is None
    with pytest.raises(MissingPart, match="vectors"):
        words.require_vectors()
    build_index(CORPUS, tmp_path / "vectors", encoder=HashEncoder(), bm25=False)
    vectors = Index.open(tmp_path / "vectors")
    assert vectors.bm25 is None
    with pytest.raises(MissingPart, match="BM25"):
        vectors.require_bm25()
    with pytest.raises(InvalidSetting):
        build_index(CORPUS, tmp_path / "nothing", encoder=None, bm25=False)


def test_word_settings_are_saved(tmp_path: Path) -> None:
    settings = BM25Settings(2.0, 0.1, WordSettings(fold_accents=False, stopwords=("paris",)))
    build_index(CORPUS, tmp_path / "index", encoder=None, bm25=settings)
    index = Index.open(tmp_path / "index")
    assert index.bm25 is not None and index.bm25.settings == settings
    assert index.bm25.search("Paris Zurich", 3)[0].tolist() == []
    assert index.bm25.search("Zürich", 3)[0].tolist() == [4]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[Progress] = []
    passages = many(40)
    build_index(passages, tmp_path / "i", encoder=HashEncoder(), progress=told.append, batch_size=8)
    stages = list(dict.fromkeys(step.stage for step in told))
    assert stages == ["reading", "encoding", "adding", "counting words"]
    for stage in stages:
        steps = [step for step in told if step.stage == stage]
        assert (steps[0].done, steps[-1].done) == (0, 40)
        assert [step.done for step in steps] == sorted(step.done for step in steps)
    half = Progress("encoding", 20, 40, 2.0)
    assert (half.rate, half.seconds_left) == (10.0, 2.0)
    assert Progress("reading", 0, None, 0.0).seconds_left is None


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_terminals_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_index(CORPUS, tmp_path / "a", encoder=HashEncoder())
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    build_index(CORPUS, tmp_path / "b", encoder=HashEncoder())
    for word in ("reading", "encoding", "counting words", "6/6"):
        assert word in terminal.getvalue()


def test_existing_folders_are_safe(tmp_path: Path) -> None:
    out = tmp_path / "index"
    build_index(CORPUS, out, encoder=None)
    with pytest.raises(IndexExists, match="already"):
        build_index(CORPUS[:2], out, encoder=None)
    assert len(Index.open(out)) == 6
    build_index(CORPUS[:2], out, encoder=None, overwrite=True)
    assert len(Index.open(out)) == 2
    assert verify_index(out).ok
    assert sorted(entry.name for entry in out.iterdir()) == ["generation-000002", "manifest.json"]
    (out / ".directory").write_text("of a file manager")
    build_index(CORPUS, out, encoder=None, overwrite=True)
    assert (out / ".directory").exists()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(IndexExists, match=r"thesis\.tex"):
        build_index(CORPUS, out, encoder=None, overwrite=True)
    with pytest.raises(IndexExists, match="file"):
        build_index(CORPUS, out / "thesis.tex", encoder=None)


def test_an_open_index_survives_its_replacement(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    before = Index.open(tmp_path / "index")
    build_index(CORPUS[:2], tmp_path / "index", encoder=HashEncoder(), overwrite=True)
    assert list(before.store) == list(CORPUS)
    assert before.bm25 is not None and before.bm25.search("Curie", 1)[0].tolist() == [3]


def test_readers_see_the_old_index_or_the_new(tmp_path: Path) -> None:
    out = tmp_path / "index"
    sizes = (3, 5, 4, 6)
    build_index(CORPUS[: sizes[0]], out, encoder=HashEncoder())
    seen: set[int] = set()

    def read(stop: threading.Event) -> None:
        while not stop.wait(0.001):
            index = Index.open(out)
            seen.add(len(index))
            assert list(index.store) == list(CORPUS[: len(index)])
            assert index.require_vectors().ntotal == len(index)

    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, stop)
        try:
            for size in sizes:
                build_index(CORPUS[:size], out, encoder=HashEncoder(), overwrite=True)
        finally:
            stop.set()
        reading.result()
    assert seen <= set(sizes)


def broken_stream() -> Iterator[Passage]:
    yield from CORPUS[:3]
    raise RuntimeError("the source broke")


def test_a_build_that_fails_leaves_the_old_index(tmp_path: Path) -> None:
    out = tmp_path / "index"
    with pytest.raises(RuntimeError):
        build_index(broken_stream(), out, encoder=None)
    with pytest.raises(NotAnIndex, match="run it again"):
        Index.open(out)
    build_index(CORPUS, out, encoder=HashEncoder())
    with pytest.raises(RuntimeError):
        build_index(broken_stream(), out, encoder=None, overwrite=True)
    assert list(Index.open(out).store) == list(CORPUS)
    assert verify_index(out).ok


class BadEncoder(HashEncoder):
    """An encoder whose answers are wrong in a chosen way."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        count = len(texts)
        if self._fault == "dimension":
            return np.ones((count, 5), dtype=np.float32)
        if self._fault == "rows":
            return np.ones((count - 1, 16), dtype=np.float32)
        return np.full((count, 16), np.nan, dtype=np.float32)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("dimension", DimensionMismatch), ("rows", InvalidVectors), ("nan", InvalidVectors)],
)
def test_encoders_are_checked(tmp_path: Path, fault: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        build_index(CORPUS, tmp_path / "index", encoder=BadEncoder(fault))


def test_corpora_are_checked(tmp_path: Path) -> None:
    with pytest.raises(EmptyCorpus):
        build_index([], tmp_path / "a", encoder=None)
    with pytest.raises(DuplicateId):
        build_index([CORPUS[0], CORPUS[0]], tmp_path / "b", encoder=None)
    with pytest.raises(CorpusFormatError):
        build_index(tmp_path / "nowhere.jsonl", tmp_path / "c", encoder=None)
    (tmp_path / "x.jsonl").write_text('{"id": "1", "text": "x y"}\n{')
    with pytest.raises(CorpusFormatError, match="line 2"):
        build_index(tmp_path / "x.jsonl", tmp_path / "d", encoder=None)
    with pytest.raises(InvalidSetting):
        build_index(CORPUS, tmp_path / "e", encoder=HashEncoder(similarity="manhattan"))


def test_one_build_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    (tmp_path / "index").mkdir()
    with locked(tmp_path / "index"), pytest.raises(IndexBusy):
        build_index(CORPUS, tmp_path / "index", encoder=None)
    build_index(CORPUS, tmp_path / "index", encoder=None)


KILLED_BUILD = """
    import os, signal, sys
    import indexes.publish as publish
    from indexes.build import build_index
    from indexes.passage import Passage
    import indexes.manifest as manifest

    def die(*arguments, **named):
        os.kill(os.getpid(), signal.SIGKILL)

    out, moment = sys.argv[1], sys.argv[2]
    def passages():
        for number in range(3000):
            if moment == "reading" and number == 2500:
                die()
            yield Passage(str(number), "", f"new word{number}")
    if moment == "flushing":
        publish.flush_to_disk = die
    if moment == "publishing":
        manifest.Manifest.write = die
    if moment == "removing":
        publish._remove = die
    build_index(passages(), out, encoder=None, overwrite=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("moment", ["reading", "flushing", "publishing", "removing"])
def test_a_killed_build_leaves_the_old_index_or_the_new(tmp_path: Path, moment: str) -> None:
    out = tmp_path / "index"
    build_index(CORPUS, out, encoder=HashEncoder())
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED_BUILD), str(out), moment],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    left = Index.open(out, full_check=True)
    assert len(left) == (3000 if moment == "removing" else len(CORPUS))
    assert len(list(out.iterdir())) > 2
    build_index(CORPUS[:2], out, encoder=None, overwrite=True)
    assert len(list(out.iterdir())) == 2
    assert len(Index.open(out)) == 2
    assert verify_index(out).ok


def test_fingerprints_tell_contents_not_times(tmp_path: Path) -> None:
    first = build_index(CORPUS, tmp_path / "a", encoder=HashEncoder())
    again = build_index(CORPUS, tmp_path / "b", encoder=HashEncoder())
    other = build_index(CORPUS[::-1], tmp_path / "c", encoder=HashEncoder())
    encoder = build_index(CORPUS, tmp_path / "d", encoder=HashEncoder(fingerprint="hash-2"))
    assert first.fingerprint == again.fingerprint
    assert len({first.fingerprint, other.fingerprint, encoder.fingerprint}) == 3
    assert Manifest.read(tmp_path / "a") == first
