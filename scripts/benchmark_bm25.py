"""Compares BM25 search with bm25s used directly: same words, same ranking, how fast.

python scripts/benchmark_bm25.py --corpus CORPUS.jsonl[.gz] --questions QUESTIONS.jsonl[.gz]

Both ask every question, one at a time, for ten passages, in turns. bm25s gets the words that this
project cuts the questions into (the time for that is counted for both), keeps its index in memory
and returns row numbers. Ours reads its index memory-mapped and returns passages with their texts;
"rows only" is its ranking without them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bm25s
import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from indexes.build import build_index
from indexes.index import Index
from indexes.lexical import BM25Settings
from indexes.passage import text_for_search
from indexes.readers import read_passages
from indexes.words import WordSplitter
from retrievers.bm25 import BM25Retriever
from selfrag.evaluation.retrieval_questions import read_gold_questions

K = 10


def main() -> None:
    """Reads the options, measures, prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--qrels", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    passages = list(read_passages(options.corpus))
    found = read_gold_questions(options.questions, options.qrels, passages)
    questions = [question.text for question in found.questions]
    settings = BM25Settings()
    splitter = WordSplitter(settings.words)
    plain = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
    plain.index([splitter.words(text_for_search(p)) for p in passages], show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        build_index(passages, Path(folder) / "index", encoder=None, bm25=settings)
        ours = BM25Retriever(Index.open(Path(folder) / "index"))
        times: dict[str, list[float]] = {"ours": [], "ours, rows only": [], "bm25s": []}
        differing = 0
        for turn in range(options.rounds):
            for question in questions:
                began = time.perf_counter()
                hits = ours.search(question, K)
                times["ours"].append(time.perf_counter() - began)
                began = time.perf_counter()
                ours.rank_rows([question], K)
                times["ours, rows only"].append(time.perf_counter() - began)
                began = time.perf_counter()
                words = splitter.words(question)
                _, scores = plain.retrieve([words], k=K, show_progress=False)
                times["bm25s"].append(time.perf_counter() - began)
                if turn == 0:
                    every = plain.get_scores(words)
                    best = np.lexsort((np.arange(len(passages)), -every))[:K]
                    same = [passages[row].id for row in best if every[row] > 0]
                    differing += [hit.passage.id for hit in hits] != same
                    assert np.allclose(scores[0], np.sort(every)[::-1][:K], rtol=1e-5)
    medians = {name: statistics.median(values) * 1000 for name, values in times.items()}
    print(
        json.dumps(
            {
                "passages": len(passages),
                "questions": len(questions),
                "other_rankings": differing,
                "median_ms": {name: round(value, 4) for name, value in medians.items()},
                "speed_ratio": round(medians["bm25s"] / medians["ours"], 3),
                "speed_ratio_rows_only": round(medians["bm25s"] / medians["ours, rows only"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
