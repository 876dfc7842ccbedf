"""The cache of results: what is served, what never is, its bound, damage, threads, processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from retrieval_helpers import Ranked
from storage_helpers import CORPUS, HashEncoder

from indexes.build import build_index
from retrievers import cache as cache_module
from retrievers.cache import CachedRetriever, ResultCache
from retrievers.errors import CacheWarning, InvalidQuery, InvalidRetriever
from retrievers.hit import Hit
from retrievers.opening import open_retriever

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.fixture
def kept(file: Path) -> Iterator[ResultCache]:
    cache = ResultCache(file)
    yield cache
    cache.close()


def key(number: int) -> bytes:
    return b"%032d" % number


def test_what_was_found_is_served_again(kept: ResultCache, file: Path) -> None:
    below = Ranked(CORPUS)
    cached = CachedRetriever(below, kept)
    first = cached.search_many(["a", "b", "a"], 3)
    assert first == below.search_many(["a", "b", "a"], 3)
    assert cached.search_many(["b", "c"], 3) == first[1:]
    assert [queries for queries, _ in below.asked] == [["a", "b"], ["a", "b", "a"], ["c"]]
    with closing(ResultCache(file)) as again:
        assert CachedRetriever(below, again).search("a", 3) == first[0]
    assert len(below.asked) == 3 and len(kept) == 3
    assert cached.fingerprint == below.fingerprint
    with pytest.raises(InvalidQuery):
        cached.search("\ud800", 3)


def test_other_indexes_configurations_and_numbers_are_not_served(kept: ResultCache) -> None:
    below, other = Ranked(CORPUS), Ranked(CORPUS[::-1], "reversed")
    CachedRetriever(below, kept, "index 1").search("q", 2)
    assert CachedRetriever(other, kept, "index 1").search("q", 2)[0].passage.id == "p6"
    CachedRetriever(below, kept, "index 2").search("q", 2)
    assert len(CachedRetriever(below, kept, "index 1").search("q", 3)) == 3
    CachedRetriever(below, kept, "index 1").search("q ", 2)
    assert len(below.asked) == 4 and len(kept) == 5


def test_a_changed_index_is_asked_again(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "index"
    config = {"cache": {"path": str(file), "of": "bm25"}}
    build_index(CORPUS, folder, encoder=HashEncoder())
    assert len(open_retriever(folder, config).search("capital", 5)) == 2
    build_index(CORPUS[1:], folder, encoder=HashEncoder(), overwrite=True)
    assert len(open_retriever(folder, config).search("capital", 5)) == 1


def test_the_oldest_go(file: Path) -> None:
    hits = [Hit(CORPUS[0], 1.0, 1)]
    with closing(ResultCache(file, max_entries=3)) as cache:
        cache.put([(key(number), hits) for number in range(3)])
        cache.put([(key(0), hits)])  # written again, and so the newest
        cache.put([(key(7), hits)])
        present = [found is not None for found in cache.get([key(n) for n in (0, 1, 2, 7)])]
        assert present == [True, False, True, True]
        cache.put([(key(number), hits) for number in range(100, 150)])
        assert len(cache) == 3
    assert file.stat().st_size < 200_000


def damage_garbage(file: Path) -> None:
    file.write_bytes(b"this is no database at all" * 100)


def damage_truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def damage_text(file: Path) -> None:
    content = file.read_bytes()
    assert content.count(b"capital of Germany") >= 1
    file.write_bytes(content.replace(b"capital of Germany", b"capital of Gormany"))


def damage_version(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("damage", [damage_garbage, damage_truncated, damage_text, damage_version])
def test_damage_costs_a_warning_and_no_answer(file: Path, damage) -> None:  # type: ignore[no-untyped-def]
    below = Ranked(CORPUS)
    with closing(ResultCache(file)) as cache:
        expected = CachedRetriever(below, cache).search("q", 4)
    damage(file)
    with pytest.warns(CacheWarning, match="damaged"):
        cache = ResultCache(file)
        assert CachedRetriever(below, cache).search("q", 4) == expected
    assert CachedRetriever(below, cache).search("q", 4) == expected
    assert len(cache) == 1 and len(below.asked) == 2
    assert file.with_name("results.sqlite.damaged").is_file()
    cache.close()


def test_damage_while_it_is_open(file: Path) -> None:
    below = Ranked(CORPUS)
    cache = ResultCache(file)
    cached = CachedRetriever(below, cache)
    expected = cached.search("q", 4)
    with file.open("r+b") as stream:
        stream.write(b"x" * file.stat().st_size)
    with pytest.warns(CacheWarning, match="damaged"):
        assert cached.search("q", 4) == expected
    cache.close()


def test_a_row_under_another_key_is_not_served(kept: ResultCache, file: Path) -> None:
    kept.put([(key(1), [Hit(CORPUS[0], 1.0, 1)])])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE results SET key = ?", (key(2),))
    with pytest.warns(CacheWarning, match="checksum"):
        assert kept.get([key(2)]) == [None]


def test_databases_of_others_are_left_alone(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE letters (text TEXT)")
    content = file.read_bytes()
    with pytest.raises(InvalidRetriever, match="another program"):
        ResultCache(file)
    assert file.read_bytes() == content
    for path in (tmp_path / "nowhere" / "x.sqlite", tmp_path):
        with pytest.raises(InvalidRetriever):
            ResultCache(path)
    with pytest.raises(InvalidRetriever):
        ResultCache(tmp_path / "x.sqlite", max_entries=0)


def test_a_locked_file_is_passed_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_SECONDS_FOR_LOCK", 0.01)
    below = Ranked(CORPUS)
    cache = ResultCache(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.warns(CacheWarning, match="cannot be used now"):
            assert len(CachedRetriever(below, cache).search("q", 2)) == 2
        other.execute("ROLLBACK")
    CachedRetriever(below, cache).search("q", 2)
    assert len(cache) == 1
    cache.close()


def test_hits_that_are_no_json_are_not_kept(kept: ResultCache) -> None:
    from indexes.passage import Passage

    strange = Ranked([Passage("p", "", "text", {"when": object()})])
    with pytest.warns(CacheWarning, match="not cached"):
        assert len(CachedRetriever(strange, kept).search("q", 1)) == 1
    assert len(kept) == 0


def test_threads_share_a_cache(kept: ResultCache) -> None:
    cached = CachedRetriever(Ranked(CORPUS), kept)
    expected = cached.retriever.search("q", 3)
    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("error")
        found = list(pool.map(lambda n: cached.search(f"query {n % 20}", 3), range(200)))
    assert found == [expected] * 200
    assert len(kept) == 20


def test_processes_share_a_file(file: Path) -> None:
    code = """
import sys, warnings
warnings.simplefilter("error")
from indexes.passage import Passage
from retrievers.cache import ResultCache
from retrievers.hit import Hit
cache = ResultCache(sys.argv[1], max_entries=30)
for number in range(100):
    name = b"%032d" % (number % 40)
    hits = [Hit(Passage(name.decode(), "", "text"), 1.0, 1)]
    found = cache.get([name])[0]
    assert found is None or found == hits, found
    cache.put([(name, hits)])
cache.close()
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=200)
        assert worker.returncode == 0, errors
    with closing(ResultCache(file)) as cache:
        assert 0 < len(cache) <= 30
