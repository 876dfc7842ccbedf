"""Runs all retrievers over one corpus and its questions, and measures them side by side.

The passages are shuffled and given new ids before they are indexed, because in many files a
question's gold passages stand near each other. `best` is one configuration for all corpora: the
graph retriever over the hybrid of vectors and BM25, with its default settings.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexes.build import build_index
from indexes.graph import GRAPH_FOLDER
from indexes.graph_build import add_graph
from indexes.index import Index
from indexes.manifest import BM25_FOLDER, STORE_FOLDER, VECTORS_FILE, Manifest
from indexes.passage import Passage
from retrievers.base import Retriever
from retrievers.bm25 import BM25Retriever
from retrievers.dense import DenseRetriever, QueryEncoder
from retrievers.fusion import HybridRetriever
from retrievers.graph import GraphRetriever
from selfrag.evaluation.memory import peak_memory, reset_peak_memory
from selfrag.evaluation.retrieval_measures import MEASURES, measure
from selfrag.evaluation.retrieval_questions import GoldQuestion

NAMES = ("bm25", "dense", "hybrid", "graph")
BEST = "graph"
DEPTH = 10
_PARTS = {
    "bm25": (STORE_FOLDER, BM25_FOLDER),
    "dense": (STORE_FOLDER, VECTORS_FILE),
    "hybrid": (STORE_FOLDER, BM25_FOLDER, VECTORS_FILE),
    "graph": (STORE_FOLDER, BM25_FOLDER, VECTORS_FILE, GRAPH_FOLDER),
}


@dataclass(frozen=True, slots=True, eq=False)
class RetrieverRun:
    """What one retriever did with the questions.

    Attributes:
        name: of the retriever.
        values: by measure, one value per question, shape [questions]; over several shuffles the
            mean of a question's values.
        by_shuffle: by measure, the mean of every shuffle.
        seconds: by question, one at a time, encoding of the question included.
        open_seconds: to open the index and make the retriever; the encoder is loaded before.
        index_bytes: the files that it reads.
        peak_memory: resident bytes of the process at most, libraries included; None where the
            system does not tell.
    """

    name: str
    values: dict[str, npt.NDArray[np.float64]]
    by_shuffle: dict[str, list[float]]
    seconds: npt.NDArray[np.float64]
    open_seconds: float
    index_bytes: int
    peak_memory: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One retriever on one shuffle."""

    values: dict[str, npt.NDArray[np.float64]]
    seconds: npt.NDArray[np.float64]
    open_seconds: float
    index_bytes: int
    peak_memory: int | None


def run_benchmark(
    corpus: Sequence[Passage],
    questions: Sequence[GoldQuestion],
    encoder: QueryEncoder,
    *,
    shuffles: int = 1,
    seed: int = 0,
    advance: Callable[[str], None] = lambda name: None,
) -> list[RetrieverRun]:
    """Index the corpus and ask every retriever every question.

    Args:
        corpus: passages with ids of their own; questions name its rows.
        questions: at least one.
        encoder: for the vectors.
        shuffles: how many orders of the corpus are indexed, each with another seed.
        seed: of the first.
        advance: told the retriever's name after every question.

    Returns:
        The runs, in the order of `NAMES`.
    """
    passes: dict[str, list[_Pass]] = {name: [] for name in NAMES}
    for number in range(shuffles):
        shuffled, places = shuffle(corpus, seed + number)
        moved = [
            GoldQuestion(
                question.text,
                tuple(frozenset(places[row] for row in group) for group in question.gold),
            )
            for question in questions
        ]
        with tempfile.TemporaryDirectory(prefix="selfrag-benchmark-") as scratch:
            folder = Path(scratch) / "index"
            build_index(shuffled, folder, encoder=encoder, progress=lambda progress: None)
            manifest = add_graph(folder, progress=lambda progress: None)
            for name in NAMES:
                passes[name].append(_run(name, folder, manifest, encoder, moved, advance))
    return [_merge(name, passes[name]) for name in NAMES]


def shuffle(corpus: Sequence[Passage], seed: int) -> tuple[list[Passage], list[int]]:
    """The passages in another order with new ids, and the new row of every old one."""
    order = list(range(len(corpus)))
    random.Random(seed).shuffle(order)
    places = [0] * len(corpus)
    shuffled = []
    for new, old in enumerate(order):
        places[old] = new
        passage = corpus[old]
        shuffled.append(Passage(f"passage-{new}", passage.title, passage.text))
    return shuffled, places


def make_retriever(name: str, folder: Path, encoder: QueryEncoder) -> Retriever:
    """Open an index with only the parts that the retriever of this name reads."""
    index = Index.open(folder, vectors=name != "bm25", bm25=name != "dense")
    if name == "bm25":
        return BM25Retriever(index)
    dense = DenseRetriever(index, encoder)
    if name == "dense":
        return dense
    hybrid = HybridRetriever([dense, BM25Retriever(index)])
    return hybrid if name == "hybrid" else GraphRetriever(index, hybrid)


def _run(
    name: str,
    folder: Path,
    manifest: Manifest,
    encoder: QueryEncoder,
    questions: Sequence[GoldQuestion],
    advance: Callable[[str], None],
) -> _Pass:
    measurable = reset_peak_memory()
    began = time.perf_counter()
    retriever = make_retriever(name, folder, encoder)
    opened = time.perf_counter() - began
    retriever.search(questions[0].text, DEPTH)  # the first call of a library loads things
    rows: dict[str, list[float]] = {measure_name: [] for measure_name in MEASURES}
    seconds = []
    for question in questions:
        began = time.perf_counter()
        hits = retriever.search(question.text, DEPTH)
        seconds.append(time.perf_counter() - began)
        found = [int(hit.passage.id.removeprefix("passage-")) for hit in hits]
        for measure_name, value in measure(found, question.gold).items():
            rows[measure_name].append(value)
        advance(name)
    parts = tuple(f"{manifest.generation}/{part}" for part in _PARTS[name])
    size = sum(r.size for file, r in manifest.files.items() if file.startswith(parts))
    return _Pass(
        values={key: np.array(value) for key, value in rows.items()},
        seconds=np.array(seconds),
        open_seconds=opened,
        index_bytes=size,
        peak_memory=peak_memory() if measurable else None,
    )


def _merge(name: str, passes: list[_Pass]) -> RetrieverRun:
    peaks = [item.peak_memory for item in passes if item.peak_memory is not None]
    return RetrieverRun(
        name=name,
        values={key: np.mean([item.values[key] for item in passes], axis=0) for key in MEASURES},
        by_shuffle={key: [float(item.values[key].mean()) for item in passes] for key in MEASURES},
        seconds=np.concatenate([item.seconds for item in passes]),
        open_seconds=float(np.mean([item.open_seconds for item in passes])),
        index_bytes=passes[0].index_bytes,
        peak_memory=max(peaks) if len(peaks) == len(passes) else None,
    )
