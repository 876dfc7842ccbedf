"""Adding, deleting and compacting: what is found afterwards, and that nothing else changes."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.changes import add_passages, compact_index, delete_passages
from indexes.errors import (
    DiskFull,
    DuplicateId,
    EmptyCorpus,
    EncoderMismatch,
    InterruptedBuild,
    InvalidSetting,
    MissingPart,
    UnknownIds,
)
from indexes.index import Index
from indexes.passage import Passage
from indexes.verify import verify_index
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever


def many(first: int, last: int) -> list[Passage]:
    return [Passage(str(n), "", f"word{n} word{n % 13} shared") for n in range(first, last)]


def found(path: Path, query: str, k: int = 500) -> tuple[set[str], set[str]]:
    index = Index.open(path, full_check=True)
    kinds = (DenseRetriever(index, HashEncoder()), BM25Retriever(index))
    dense, words = ({hit.passage.id for hit in kind.search(query, k)} for kind in kinds)
    return dense, words


def data(path: Path) -> dict[str, bytes]:
    manifest = Index.open(path).manifest
    folder = path / manifest.generation
    names = sorted(name.removeprefix(f"{manifest.generation}/") for name in manifest.files)
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF4,SQ8", "IVF4,PQ8x4fsr"])
def test_changes_and_compaction(tmp_path: Path, factory: str) -> None:
    out = tmp_path / "index"
    encoder = HashEncoder()
    build_index(many(0, 90), out, encoder=encoder, factory=factory, rows_per_file=50)
    before = Index.open(out)
    delete_passages(out, ["3", "89", "40"])
    assert len(list(out.iterdir())) == 2
    assert verify_index(out).ok
    gone = {"3", "89", "40"}
    everything = {str(n) for n in range(90)}
    dense, words = found(out, "shared word3 word89")
    assert words == everything - gone
    assert dense <= everything - gone and ("IVF" in factory or dense == everything - gone)
    index = Index.open(out)
    assert "3" not in index.store and index.store.row_of("4") == 4
    assert index.fingerprint != before.fingerprint
    fingerprints = {BM25Retriever(one).fingerprint for one in (before, index)}
    assert len(fingerprints) == 2

    again = Passage("3", "", "an altogether new text")
    add_passages(out, [again, *many(90, 100)], encoder=encoder)
    assert verify_index(out).ok
    index = Index.open(out)
    assert index.store.get("3") == again and index.store.row_of("3") == 90
    assert index.manifest.corpus_sha256 != before.manifest.corpus_sha256
    dense, words = found(out, "altogether new text", 1)
    assert dense == words == {"3"}
    assert "95" in found(out, "word95 word4 shared", 1)[0]
    with pytest.raises(DuplicateId, match="'95'"):
        add_passages(out, many(95, 96), encoder=encoder)
    assert len(list(out.iterdir())) == 2

    left = [p for p in many(0, 90) if p.id not in gone] + [again, *many(90, 100)]
    compact_index(out, rows_per_file=50)
    build_index(left, tmp_path / "fresh", encoder=encoder, factory=factory, rows_per_file=50)
    assert data(out) == data(tmp_path / "fresh")
    compact, fresh = Index.open(out).manifest, Index.open(tmp_path / "fresh").manifest
    assert compact.fingerprint == fresh.fingerprint
    assert compact.vectors == fresh.vectors


def test_an_index_of_words_alone_changes_too(tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "i", encoder=None)
    delete_passages(tmp_path / "i", ["p4"])
    add_passages(tmp_path / "i", [Passage("p7", "", "Curie again")])
    compact_index(tmp_path / "i")
    hits = BM25Retriever(Index.open(tmp_path / "i")).search("Curie", 5)
    assert [hit.passage.id for hit in hits] == ["p7"]
    assert verify_index(tmp_path / "i").ok


def test_changes_that_are_refused_change_nothing(tmp_path: Path) -> None:
    out = tmp_path / "i"
    build_index(CORPUS, out, encoder=HashEncoder())
    before = data(out)
    with pytest.raises(UnknownIds, match=r"1 of 2 ids are not in the index: \['nobody'\]"):
        delete_passages(out, ["p1", "nobody"])
    with pytest.raises(InvalidSetting, match="No passage would be left"):
        delete_passages(out, [passage.id for passage in CORPUS])
    with pytest.raises(MissingPart, match="no encoder"):
        add_passages(out, many(0, 1))
    with pytest.raises(EncoderMismatch):
        add_passages(out, many(0, 1), encoder=HashEncoder(fingerprint="other"))
    with pytest.raises(EmptyCorpus):
        add_passages(out, [], encoder=HashEncoder())
    with pytest.raises(DuplicateId):
        add_passages(out, [*many(0, 2), *many(1, 2)], encoder=HashEncoder())
    assert data(out) == before
    assert len(list(out.iterdir())) == 2
    delete_passages(out, ["p1"])
    with pytest.raises(UnknownIds):
        delete_passages(out, ["p1"])


def test_a_full_disk_leaves_the_index_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "i"
    build_index(CORPUS, out, encoder=None)
    before = data(out)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("indexes.changes.merge_parts", full)
    with pytest.raises(DiskFull, match="as it was"):
        delete_passages(out, ["p1"])
    assert data(out) == before
    assert len(list(out.iterdir())) == 2


def test_an_interrupted_build_is_not_discarded_by_a_change(tmp_path: Path) -> None:
    out = tmp_path / "i"
    build_index(CORPUS, out, encoder=None)
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps({"id": str(n), "text": "x"}) + "\n" for n in range(4)))

    class Broken(HashEncoder):
        def encode_passages(self, passages: list[Passage]) -> np.ndarray:  # type: ignore[type-arg]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        build_index(corpus, out, encoder=Broken(), overwrite=True)
    with pytest.raises(InterruptedBuild):
        delete_passages(out, ["p1"])


def test_bundled_encoders_stay_with_the_index(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("w")
    encoder = HashEncoder()
    encoder.folder = tmp_path / "model"
    out = tmp_path / "i"
    build_index(CORPUS, out, encoder=encoder, bundle_encoder=True)
    for change in (lambda: delete_passages(out, ["p1"]), lambda: compact_index(out)):
        manifest = change()
        assert manifest.encoder is not None
        assert manifest.encoder.name == f"{manifest.generation}/encoder"
        assert (out / manifest.encoder.name / "weights").read_text() == "w"
        assert verify_index(out).ok
