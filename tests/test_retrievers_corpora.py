"""Retrieval on real corpora beside the repository; skipped where these are missing.

The floors stand a little under what was measured when the settings were chosen.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import pytest
from storage_helpers import HashEncoder, shared_data

from indexes.build import build_index
from indexes.index import Index
from indexes.lexical import BM25Settings
from indexes.passage import text_for_search
from indexes.readers import read_passages
from indexes.verify import verify_index
from indexes.words import WordSettings, WordSplitter
from retrievers.base import Retriever
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever
from retrievers.fusion import HybridRetriever


def rows_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def gold_of(folder: str, corpus: Path, questions: Path, qrels: str) -> list[tuple[str, set[str]]]:
    rows = rows_of(questions)
    if qrels:
        gold = {row["id"]: set(row["gold_ids"]) for row in rows_of(shared_data(folder, qrels))}
        return [(row["question"], gold[row["id"]]) for row in rows if gold.get(row["id"])]
    ids = defaultdict(set)
    for passage in read_passages(corpus):
        ids[passage.title, passage.text].add(passage.id)
    pairs = [
        (row["question"], {p["title"]: p["text"] for p in row["paragraphs"] if p.get("gold")})
        for row in rows
    ]
    return [(question, set().union(*(ids[p] for p in gold.items()))) for question, gold in pairs]


@pytest.mark.parametrize(
    ("folder", "corpus", "questions", "qrels", "floor"),
    [
        ("hotpotqa", "dev500_corpus", "dev500", "dev500_qrels.jsonl.gz", 0.72),
        ("musique", "sample200_corpus", "sample200", "sample200_qrels.jsonl.gz", 0.47),
        ("popqa", "hipporag_popqa1000_corpus", "hipporag_popqa1000", "", 0.47),
    ],
)
def test_recall_of_bm25(
    tmp_path: Path, folder: str, corpus: str, questions: str, qrels: str, floor: float
) -> None:
    corpus_file = shared_data(folder, f"{corpus}.jsonl.gz")
    asked = gold_of(folder, corpus_file, shared_data(folder, f"{questions}.jsonl.gz"), qrels)
    build_index(corpus_file, tmp_path / "index", encoder=None)
    retriever = BM25Retriever(Index.open(tmp_path / "index"))
    answers = retriever.search_many([question for question, _ in asked], 5)
    recall = {
        k: np.mean(
            [
                len({hit.passage.id for hit in hits[:k]} & gold) / len(gold)
                for hits, (_, gold) in zip(answers, asked, strict=True)
                if gold
            ]
        )
        for k in (2, 5)
    }
    print(folder, len(asked), {k: round(100 * float(value), 1) for k, value in recall.items()})
    assert recall[5] >= floor


def test_wikipedia_passages_end_to_end(tmp_path: Path) -> None:
    file = shared_data("wiki_passages_sample", "flashrag_wiki1000.jsonl.gz")
    encoder = HashEncoder(dimension=64)
    build_index(file, tmp_path / "index", encoder=encoder)
    assert verify_index(tmp_path / "index").ok
    index = Index.open(tmp_path / "index")
    members: list[Retriever] = [DenseRetriever(index, encoder), BM25Retriever(index)]
    for retriever in (*members, HybridRetriever(members)):
        for row in range(0, 1000, 97):
            passage = index.store[row]
            assert retriever.search(passage.text, 1)[0].passage == passage


def test_bm25_ranks_as_bm25s_itself(tmp_path: Path) -> None:
    file = shared_data("wiki_passages_sample", "flashrag_wiki1000.jsonl.gz")
    passages = list(read_passages(file))[:400]
    chosen = BM25Settings(k1=0.9, b=0.4, words=WordSettings(stopwords=("the", "of", "Ünd")))
    for number, settings in enumerate((BM25Settings(), chosen)):
        folder = tmp_path / str(number)
        build_index(passages, folder, encoder=None, bm25=settings)
        retriever = BM25Retriever(Index.open(folder))
        splitter = WordSplitter(settings.words)
        plain = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
        plain.index([splitter.words(text_for_search(p)) for p in passages], show_progress=False)
        queries = [passage.text[:80] for passage in passages[::13]]
        answers = retriever.search_many(queries, 10)
        words = [splitter.words(query) for query in queries]
        rows, scores = plain.retrieve(words, k=11, show_progress=False)
        assert len(queries) == 31
        for query_words, hits, near, values in zip(words, answers, rows, scores, strict=True):
            np.testing.assert_allclose([hit.score for hit in hits], values[:10], rtol=1e-5)
            if len(set(values.tolist())) == 11:  # without ties there is only one order
                assert [hit.passage.id for hit in hits] == [passages[row].id for row in near[:10]]
            every = plain.get_scores(query_words)
            best = np.lexsort((np.arange(400), -every))[:10]
            assert [hit.passage.id for hit in hits] == [passages[row].id for row in best]
