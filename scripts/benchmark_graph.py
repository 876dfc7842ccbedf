"""Measures how building and searching the graph grow with the corpus.

python scripts/benchmark_graph.py [--rows 10000 100000 1000000] [--queries 100] [--folder FOLDER]

Passages are generated: each has a title of two invented words, mentions four other titles, most
of them of passages near by and some very popular, and forty common words. A query names one title
and three common words. The index has BM25 only, so that no encoder's time is measured. Each size
runs in a process of its own; one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from indexes.build import build_index
from indexes.graph_build import add_graph
from indexes.index import Index
from indexes.passage import Passage
from retrievers.bm25 import BM25Retriever
from retrievers.graph import GraphRetriever
from selfrag.evaluation.sizes import ONE, measure_each

_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or")]
_COMMON = 20_000


def main() -> None:
    """Reads the options and measures each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="Where to build; a temporary one if left out.")
    parser.add_argument(ONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    measure_each(__file__, sys.argv[1:], options.rows)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Build and search once: seconds to build the graph, its bytes, and the median and
    the slowest of the queries in milliseconds, BM25's part beside it."""
    rows = options.rows[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "index"
        build_index(passages(rows), path, encoder=None)
        began = time.perf_counter()
        manifest = add_graph(path)
        built = time.perf_counter() - began
        size = sum(record.size for name, record in manifest.files.items() if "/graph/" in name)
        index = Index.open(path)
        first = BM25Retriever(index)
        retriever = GraphRetriever(index, first)
        queries = list(asked(rows, options.queries + 5))
        for query in queries[:5]:
            retriever.search(query, 5)
        walked, plain = [], []
        for query in queries[5:]:
            began = time.perf_counter()
            first.search(query, 100)
            between = time.perf_counter()
            hits = retriever.search(query, 5)
            walked.append(time.perf_counter() - between)
            plain.append(between - began)
            assert hits
    return {
        "rows": rows,
        "graph_build_seconds": round(built, 2),
        "microseconds_a_passage": round(built / rows * 1e6, 1),
        "graph_megabytes": round(size / 1e6, 1),
        "median_query_ms": round(statistics.median(walked) * 1000, 2),
        "slowest_query_ms": round(max(walked) * 1000, 2),
        "median_bm25_ms": round(statistics.median(plain) * 1000, 2),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def title(number: int) -> str:
    """The title of a passage: two words that together occur once."""
    base = len(_SYLLABLES)
    first, second = divmod(number * 2_654_435_761 % 884_736_000, base**2)
    words = (_word(first % base**3), _word(second + base**2 * (number % 7)))
    return " ".join(words)


def _word(number: int) -> str:
    parts = []
    for _ in range(3):
        number, place = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[place])
    return "".join(parts).capitalize()


def passages(rows: int) -> Iterator[Passage]:
    """The generated corpus."""
    rng = Random(7)
    for number in range(rows):
        words = [_common(rng) for _ in range(40)]
        for place, other in enumerate(_mentioned(number, rows, rng)):
            words.insert(10 * place + 5, title(other))
        yield Passage(str(number), title(number), " ".join(words) + ".")


def _common(rng: Random) -> str:
    return f"w{int(_COMMON ** rng.random())}"


def _mentioned(number: int, rows: int, rng: Random) -> Iterator[int]:
    """Three passages near by and a popular one."""
    for _ in range(3):
        yield (number + rng.randint(1, 50)) % rows
    yield int(rows ** rng.random()) - 1


def asked(rows: int, count: int) -> Iterator[str]:
    """Queries that name a title and three common words."""
    rng = Random(11)
    for _ in range(count):
        words = " ".join(_common(rng) for _ in range(3))
        yield f"{words} {title(rng.randrange(rows))}?"


if __name__ == "__main__":
    main()
