"""What the index of a larger corpus will take, each figure with how it was derived.

Sizes follow from formats: bytes a code, a row number, a centroid. Times follow from rates that are
measured here or in the benchmark, and from counts. Nothing of the large corpus is built.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexes.choice import choose_factory
from indexes.vectors import candidates_per_result, make_index, search_parameters

ROW_NUMBER_BYTES = 8
LOOKUP_BYTES = 16
RESULTS = 10
_FEWEST_CANDIDATES = 64
_SAMPLE_LISTS = 16
_SAMPLE_CODES = 100_000
_SAMPLE_TRAINING = 10_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One expected quantity: its value in bytes or seconds, and where it comes from."""

    name: str
    value: float
    unit: str
    derivation: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured, for times and memory that cannot be counted.

    Attributes:
        code: seconds to score one code of the chosen kind (`code_seconds`).
        centroid: seconds to score one centroid of the chosen dimension, likewise.
        candidate: seconds to read and score one candidate from the vectors on disk, when the
            system has them in memory.
        cold_read: seconds to read one candidate from the disk itself; an assumption, not measured.
        process: resident bytes of a process with the libraries and an open index, mapped files
            left out.
        crowding: how many times more codes stand in the lists that a question reads than in
            average lists.
        probes: the searched number of lists, relative to what `search_parameters` begins with.
    """

    code: float
    centroid: float
    candidate: float
    process: int
    crowding: float = 1.0
    probes: float = 1.0
    cold_read: float = 1e-4


def extrapolate(
    passages: int, dimension: int, memory: int, passage_bytes: float, rates: Rates
) -> list[Figure]:
    """Bytes on disk, resident memory and time per query of an index that `auto` would choose.

    Args:
        passages: how many.
        dimension: numbers per vector.
        memory: the budget, bytes.
        passage_bytes: of an average passage in the store: title, text and id.
        rates: what was measured.

    Raises:
        ValueError: `auto` chooses no index with inverted lists for so many.
    """
    import faiss

    factory = choose_factory(passages, dimension, memory).factory
    index: Any = make_index(factory, dimension, "cosine")
    lists = inverted(index)
    probes = round(rates.probes * int(search_parameters(index).partition("=")[2]))
    probes = max(1, min(lists.nlist, probes))
    code = int(lists.code_size)
    wanted = max(RESULTS * candidates_per_result(factory), _FEWEST_CANDIDATES)
    codes, numbers = passages * code, passages * ROW_NUMBER_BYTES
    centroids = lists.nlist * dimension * 4
    books = 256 * dimension * 4 if isinstance(lists, faiss.IndexIVFPQ) else 2 * dimension * 4
    read = probes / lists.nlist * passages * rates.crowding
    index_bytes = codes + numbers + centroids + books
    halves = passages * dimension * 2
    texts = round(passages * passage_bytes) + passages * LOOKUP_BYTES
    times = {
        "coarse": lists.nlist * rates.centroid,
        "scan": read * rates.code,
        "rerank": wanted * rates.candidate,
    }
    n, d = f"{passages:,}", f"{dimension}"
    return [
        Figure("codes", codes, "bytes", f"{n} x {code} bytes a code of {factory}"),
        Figure("row numbers", numbers, "bytes", f"{n} x {ROW_NUMBER_BYTES} bytes"),
        Figure("centroids", centroids, "bytes", f"{lists.nlist:,} lists x {d} x 4 bytes"),
        Figure("code books", books, "bytes", "one set for all lists, float32"),
        Figure("index file", index_bytes, "bytes", "codes, row numbers, centroids, code books"),
        Figure("vectors for exact scores", halves, "bytes", f"{n} x {d} x 2 bytes (float16)"),
        Figure(
            "passages",
            texts,
            "bytes",
            f"{n} x ({passage_bytes:.0f} bytes a passage, assumed + {LOOKUP_BYTES} of the id's "
            "hash and row)",
        ),
        Figure(
            "on disk",
            index_bytes + halves + texts,
            "bytes",
            "index file, vectors for exact scores, passages; BM25 and graph not counted",
        ),
        Figure(
            "resident at most",
            rates.process + index_bytes,
            "bytes",
            f"{_mega(rates.process)} of the process (measured) + the whole index file, as if every "
            "list had been read; vectors for exact scores are read and not mapped",
        ),
        Figure(
            "resident after opening",
            rates.process + centroids + books,
            "bytes",
            "the process (measured) + centroids and code books; lists are mapped, not read",
        ),
        Figure(
            "coarse search",
            times["coarse"],
            "seconds",
            f"{lists.nlist:,} centroids x {1e9 * rates.centroid:.1f} ns (measured)",
        ),
        Figure(
            "scan",
            times["scan"],
            "seconds",
            f"{probes} of {lists.nlist:,} lists x {n} x {rates.crowding:.2f} (lists that are read "
            f"are fuller, measured) = {read:,.0f} codes x {1e9 * rates.code:.1f} ns (measured)",
        ),
        Figure(
            "exact scores",
            times["rerank"],
            "seconds",
            f"{wanted} candidates x {1e6 * rates.candidate:.1f} us (measured, in the system's "
            "cache)",
        ),
        Figure("query, warm", sum(times.values()), "seconds", "coarse search, scan, exact scores"),
        Figure(
            "query, candidates from the disk",
            sum(times.values()) + wanted * rates.cold_read,
            "seconds",
            f"the same + {wanted} reads x {1e6 * rates.cold_read:.0f} us (assumed: a solid-state "
            "disk, one read after the other)",
        ),
    ]


def code_seconds(passages: int, dimension: int, memory: int) -> tuple[float, float]:
    """Seconds to score one code, and one centroid, of the index that `auto` would choose.

    Measured with random vectors and few lists, all of which are read: scanning does not depend on
    what the codes say. One thread.
    """
    import faiss

    factory = choose_factory(passages, dimension, memory).factory
    head, _, codes = factory.partition(",")
    generator = np.random.default_rng(0)
    sample = generator.standard_normal((_SAMPLE_TRAINING, dimension), dtype=np.float32)
    index: Any = make_index(f"IVF{_SAMPLE_LISTS},{codes}", dimension, "cosine")
    index.train(sample)
    for _ in range(_SAMPLE_CODES // _SAMPLE_TRAINING):
        index.add(sample)
    index.nprobe = _SAMPLE_LISTS
    scanned = _seconds(index, sample[:20])
    coarse: Any = faiss.IndexFlatIP(dimension)
    count = int(head.removeprefix("IVF"))
    coarse.add(generator.standard_normal((count, dimension), dtype=np.float32))
    return scanned / _SAMPLE_CODES, _seconds(coarse, sample[:20]) / count


def inverted(index: Any) -> Any:
    """The part of an index that has inverted lists.

    Raises:
        ValueError: it has none.
    """
    import faiss

    try:
        return faiss.downcast_index(faiss.extract_index_ivf(index))
    except RuntimeError as error:
        raise ValueError("The index has no inverted lists.") from error


def _seconds(index: Any, questions: Any) -> float:
    """The median seconds of one question at a time."""
    index.search(questions[:1], _FEWEST_CANDIDATES)
    seconds = []
    for row in range(len(questions)):
        began = time.perf_counter()
        index.search(questions[row : row + 1], _FEWEST_CANDIDATES)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def _mega(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"
