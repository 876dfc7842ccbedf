"""Damage: what opening refuses, and that verifying finds every flipped byte."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path

import pytest
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from indexes.checksums import sha256_of_json
from indexes.errors import CorruptIndex, NotAnIndex, StorageError, UnsupportedVersion
from indexes.index import Index
from indexes.lexical import BM25Settings, LexicalIndex
from indexes.manifest import Manifest
from indexes.store import PassageStore
from indexes.verify import verify_index
from indexes.words import WordSettings
from indexes.writer import PassageStoreWriter


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    return tmp_path / "index"


def data_files(index: Path) -> list[Path]:
    return sorted(file for file in index.rglob("*") if file.is_file())


def test_what_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, message in (("empty", "no index"), ("file", "is a file"), ("none", "not exist")):
        for look in (Index.open, verify_index):
            with pytest.raises(NotAnIndex, match=message) as caught:
                look(tmp_path / name)
            assert caught.value.hint


def test_flipped_bytes_are_found(index: Path) -> None:
    chance = random.Random(0)
    for file in data_files(index):
        whole = file.read_bytes()
        for _ in range(12):
            position = chance.randrange(len(whole))
            changed = bytearray(whole)
            changed[position] ^= 1 << chance.randrange(8)
            file.write_bytes(changed)
            try:
                report = verify_index(index)
            except (CorruptIndex, UnsupportedVersion):
                assert file.name == "manifest.json"
            else:
                assert not report.ok
                assert [p.file for p in report.problems] == [file.relative_to(index).as_posix()]
            file.write_bytes(whole)
    assert verify_index(index).ok


def test_small_files_are_compared_on_opening(index: Path) -> None:
    chance = random.Random(1)
    for file in data_files(index):
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 0x40
        file.write_bytes(changed)
        with pytest.raises(StorageError):
            Index.open(index)
        file.write_bytes(whole)


def test_truncated_missing_and_foreign_files(index: Path) -> None:
    for file in data_files(index):
        whole = file.read_bytes()
        for data in (b"", whole[: len(whole) // 2], whole[:-2], whole + b"\0", b"garbage"):
            file.write_bytes(data)
            with pytest.raises(CorruptIndex, match=file.name):
                Index.open(index)
        file.unlink()
        with pytest.raises(StorageError, match=file.name):
            Index.open(index)
        file.write_bytes(whole)
    assert verify_index(index).ok


def test_every_problem_is_listed(index: Path) -> None:
    files = [file for file in data_files(index) if file.name != "manifest.json"]
    files[0].write_bytes(b"x")
    files[1].unlink()
    (files[2].parent / "extra.npy").write_bytes(b"x")
    report = verify_index(index)
    assert len(report.problems) == 3
    assert not report.ok and report.to_dict()["ok"] is False
    assert all(str(problem) for problem in report.problems)


def rewrite(index: Path, **changes: object) -> None:
    """Change a manifest and give it a correct checksum again."""
    file = index / "manifest.json"
    values = {**json.loads(file.read_text()), **changes}
    values.pop("manifest_sha256")
    values["manifest_sha256"] = sha256_of_json(values)
    file.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def test_manifests_that_do_not_fit(index: Path) -> None:
    values = json.loads((index / "manifest.json").read_text())
    encoder, corpus = values["encoder"], values["corpus"]
    rewrite(index, encoder={**encoder, "dimension": 5})
    with pytest.raises(CorruptIndex, match="dimension"):
        Index.open(index)
    rewrite(index, encoder={**encoder, "similarity": "euclidean"})
    with pytest.raises(CorruptIndex, match="euclidean"):
        Index.open(index)
    rewrite(index, encoder=encoder, corpus={**corpus, "passages": 7})
    with pytest.raises(CorruptIndex, match="7"):
        Index.open(index)
    rewrite(index, corpus={**corpus, "sha256": "0" * 64})
    assert ["another corpus" in p.message for p in verify_index(index).problems] == [True]
    rewrite(index, corpus=corpus)
    assert verify_index(index).ok


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"schema_version": 3}, UnsupportedVersion),
        ({"generation": "../elsewhere"}, CorruptIndex),
        ({"generation": "/elsewhere"}, CorruptIndex),
        ({"files": {"../secret": {"size": 1, "sha256": "", "ends_sha256": ""}}}, CorruptIndex),
        ({"files": []}, CorruptIndex),
        ({"encoder": {}}, CorruptIndex),
        ({"bm25": {"k1": -1, "b": 0, "words": {}}}, CorruptIndex),
        ({"corpus": None}, CorruptIndex),
    ],
)
def test_manifests_with_wrong_values(
    index: Path, changes: dict[str, object], error: type[StorageError]
) -> None:
    rewrite(index, **changes)
    with pytest.raises(error):
        Index.open(index)


def test_indexes_of_format_version_1_are_read_as_they_are() -> None:
    """The embedded index is one; its fingerprint is that of the program that wrote it."""
    folder = Path(__file__).resolve().parents[1] / "selfrag" / "assets" / "index"
    manifest = Manifest.read(folder)
    assert manifest.version in (1, 2)
    assert manifest.render() == (folder / "manifest.json").read_text(encoding="utf-8")
    values = {
        "schema_version": 1,
        "corpus": {"sha256": manifest.corpus_sha256, "passages": manifest.passages},
        "encoder": manifest.encoder.fingerprint if manifest.encoder else None,
        "factory": manifest.factory,
        "search_parameters": manifest.search_parameters,
        "bm25": manifest.bm25.to_dict() if manifest.bm25 else None,
    }
    assert manifest.fingerprint == sha256_of_json(values)
    assert len(Index.open(folder)) == manifest.passages


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"schema_version": 1}', "\xff"])
def test_manifests_that_are_none(index: Path, text: str) -> None:
    (index / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptIndex):
        Index.open(index)
    build_index(CORPUS, index, encoder=None, overwrite=True)
    assert verify_index(index).ok


def test_parts_of_two_indexes_do_not_mix(index: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    build_index(CORPUS[::-1], other, encoder=HashEncoder())
    shutil.copytree(other / "generation-000001", index / "generation-000001", dirs_exist_ok=True)
    with pytest.raises(CorruptIndex):
        Index.open(index)


def test_damaged_arrays_and_settings_raise_named_errors(tmp_path: Path) -> None:
    """Without a manifest in front of them the readers still fail in words of their own."""
    chance = random.Random(2)
    plain = BM25Settings(words=WordSettings(stopwords="none"))
    with PassageStoreWriter(tmp_path / "store") as writer:
        writer.add_all(CORPUS)
    LexicalIndex.build([passage.text for passage in CORPUS], plain).save(tmp_path / "words")

    def use() -> None:
        store = PassageStore.open(tmp_path / "store")
        words = LexicalIndex.open(tmp_path / "words", len(CORPUS), plain)
        for passage in CORPUS:
            words.search(passage.text, 3)
            with contextlib.suppress(KeyError):
                store.row_of(passage.id)

    use()
    for file in [*(tmp_path / "store").glob("*.[nj]*"), *(tmp_path / "words").iterdir()]:
        whole = file.read_bytes()
        for position in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[position] ^= chance.randrange(1, 256)
            file.write_bytes(changed)
            with contextlib.suppress(StorageError):
                use()
        file.write_bytes(whole)
