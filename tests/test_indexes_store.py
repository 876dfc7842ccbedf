"""The passage store: what is written comes back, by row, by id and in order."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import CORPUS, steady

from indexes.errors import CorruptIndex, DuplicateId, InvalidPassage, NotAnIndex, UnsupportedVersion
from indexes.lookup import merge_lookups
from indexes.passage import Passage
from indexes.shards import ShardWriter, shard_passages
from indexes.store import COUNTS_FILE, HASHES_FILE, ROWS_FILE, PassageStore, hash_of_id
from indexes.writer import PassageStoreWriter

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    lambda children: st.lists(children, max_size=2) | st.dictionaries(TEXT, children, max_size=2),
    max_leaves=4,
)
PASSAGES = st.lists(
    st.builds(Passage, TEXT.filter(bool), TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=2)),
    unique_by=lambda passage: passage.id,
    max_size=20,
)


def write(
    folder: Path, passages: list[Passage], rows_per_batch: int = 3, rows_per_file: int = 100
) -> PassageStore:
    with PassageStoreWriter(folder, rows_per_batch, rows_per_file) as writer:
        writer.add_all(passages)
    return PassageStore.open(folder)


@steady
@given(PASSAGES, st.integers(1, 5), st.integers(1, 9))
def test_what_is_written_comes_back(
    passages: list[Passage], rows_per_batch: int, rows_per_file: int
) -> None:
    with TemporaryDirectory() as folder:
        store = write(Path(folder), passages, rows_per_batch, rows_per_file)
        shards = sorted(Path(folder).glob("passages-*.arrow"))
        assert len(shards) == -(-len(passages) // rows_per_file)
        assert [p for shard in shards for p in shard_passages(shard)] == passages
        assert not list(Path(folder).glob("lookup-*"))
        assert len(store) == len(passages)
        assert list(store) == passages
        assert [store[row] for row in range(len(store))] == passages
        assert [store.row_of(passage.id) for passage in passages] == list(range(len(passages)))
        assert all(store.get(passage.id) == passage for passage in passages)


def test_rows_and_ids_outside_the_store(tmp_path: Path) -> None:
    store = write(tmp_path, list(CORPUS))
    assert store[-1] == CORPUS[-1]
    for row in (len(CORPUS), -len(CORPUS) - 1):
        with pytest.raises(IndexError):
            store[row]
    with pytest.raises(KeyError):
        store.row_of("nobody")
    assert "p1" in store and "nobody" not in store and 3 not in store


def test_duplicate_ids_leave_no_store(tmp_path: Path) -> None:
    writer = PassageStoreWriter(tmp_path)
    writer.add_all([CORPUS[0], CORPUS[1], CORPUS[0]])
    with pytest.raises(DuplicateId, match="Passages 1 and 3"):
        writer.finish()
    with pytest.raises(NotAnIndex):
        PassageStore.open(tmp_path)


@steady
@given(st.integers(1, 7), st.integers(1, 30), st.integers(1, 9))
def test_lookups_are_merged_in_ranges(rows_per_file: int, rows: int, per_range: int) -> None:
    """Whatever the sizes of shards and ranges, the lookup is that of one sort over everything."""
    passages = [Passage(f"id {number}", "", "x") for number in range(rows)]
    with TemporaryDirectory() as folder:
        path = Path(folder)
        shards = [
            passages[first : first + rows_per_file] for first in range(0, rows, rows_per_file)
        ]
        for number, shard in enumerate(shards):
            writer = ShardWriter(path, number, 3)
            for passage in shard:
                writer.add(passage)
            writer.finish()
        merge_lookups(path, [len(shard) for shard in shards], 3, per_range)
        pairs = sorted((hash_of_id(passage.id), row) for row, passage in enumerate(passages))
        assert np.load(path / HASHES_FILE).tolist() == [pair[0] for pair in pairs]
        assert np.load(path / ROWS_FILE).tolist() == [pair[1] for pair in pairs]


def test_duplicates_in_different_shards_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = [Passage(str(number), "", "x") for number in range(20)]
    with pytest.raises(DuplicateId, match="Passages 4 and 21 both have the id '3'"):
        write(tmp_path / "plain", [*passages, passages[3]], rows_per_file=4)
    monkeypatch.setattr("indexes.shards.hash_of_id", lambda passage_id: 7)
    with pytest.raises(DuplicateId, match="Passages 4 and 21 both have the id '3'"):
        write(tmp_path / "colliding", [*passages, passages[3]], rows_per_file=4)


def test_colliding_hashes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.store.hash_of_id", lambda passage_id: 7)
    monkeypatch.setattr("indexes.shards.hash_of_id", lambda passage_id: 7)
    store = write(tmp_path, list(CORPUS))
    assert [store.row_of(passage.id) for passage in CORPUS] == list(range(len(CORPUS)))
    with pytest.raises(KeyError):
        store.row_of("nobody")


def test_an_error_while_writing_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), PassageStoreWriter(tmp_path) as writer:
        writer.add(CORPUS[0])
        raise RuntimeError
    with pytest.raises(NotAnIndex):
        PassageStore.open(tmp_path)


@pytest.mark.parametrize(
    "passage",
    [
        Passage("1", "", "half a pair: \ud800"),
        Passage("1", "", "x", {"when": object()}),
        Passage("1", "", "x", {"key": "\udfff"}),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path: Path, passage: Passage) -> None:
    with pytest.raises(InvalidPassage, match="'1'"), PassageStoreWriter(tmp_path) as writer:
        writer.add(passage)


def test_damaged_stores_are_named(tmp_path: Path) -> None:
    write(tmp_path, list(CORPUS))
    counts = tmp_path / COUNTS_FILE
    arrow = tmp_path / "passages-00000.arrow"
    whole_counts, whole_arrow = counts.read_text(), arrow.read_bytes()

    def broken(**changes: object) -> None:
        counts.write_text(json.dumps({**json.loads(whole_counts), **changes}))

    broken(schema_version=99)
    with pytest.raises(UnsupportedVersion, match="99"):
        PassageStore.open(tmp_path)
    for changes in ({"rows": 5}, {"files": None}, {"rows_per_batch": 1}):
        broken(**changes)
        with pytest.raises(CorruptIndex):
            PassageStore.open(tmp_path)
    for text in ("", "[]", "{"):
        counts.write_text(text)
        with pytest.raises(CorruptIndex):
            PassageStore.open(tmp_path)
    counts.write_text(whole_counts)
    for data in (b"", whole_arrow[:100], whole_arrow[:-20], b"garbage" * 100):
        arrow.write_bytes(data)
        with pytest.raises(CorruptIndex, match="Arrow"):
            PassageStore.open(tmp_path)
    arrow.write_bytes(whole_arrow)
    for data in (b"", b"garbage", (tmp_path / HASHES_FILE).read_bytes()[:-8]):
        (tmp_path / HASHES_FILE).write_bytes(data)
        with pytest.raises(CorruptIndex, match=HASHES_FILE):
            PassageStore.open(tmp_path)


def test_no_pickle_is_read(tmp_path: Path) -> None:
    write(tmp_path, list(CORPUS))
    np.save(tmp_path / HASHES_FILE, np.array([object()] * 6), allow_pickle=True)
    with pytest.raises(CorruptIndex):
        PassageStore.open(tmp_path)


def test_damage_inside_a_batch_is_an_error_or_other_text(tmp_path: Path) -> None:
    write(tmp_path, list(CORPUS), rows_per_batch=6)
    arrow = tmp_path / "passages-00000.arrow"
    whole = arrow.read_bytes()
    refused = 0
    for position in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[position] ^= 0x80
        arrow.write_bytes(changed)
        try:
            passages = list(PassageStore.open(tmp_path))
        except CorruptIndex:
            refused += 1
        else:
            assert len(passages) <= len(CORPUS)
    assert refused > 100
