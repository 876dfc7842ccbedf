"""The benchmark of `auto`: real vectors extended to many, imported, searched, and extrapolated.

Every stage keeps its result in a working folder and is not done again: texts, vectors, comparison
of made vectors with real ones, import, searches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexes.index import Index
from indexes.nearest import faiss_threads
from indexes.progress import Progress
from retrievers.dense import QueryEncoder
from selfrag.evaluation.auto_extrapolation import Rates, code_seconds, extrapolate, inverted
from selfrag.evaluation.auto_index import imported, write_corpus, write_vectors
from selfrag.evaluation.auto_match import Match, match
from selfrag.evaluation.auto_speed import DEPTH, measure_speed
from selfrag.evaluation.interpolation import Floats, Interpolation, extended, nearest_neighbours
from selfrag.evaluation.real_vectors import (
    Tick,
    cached_texts,
    encoded_questions,
    encoded_sentences,
    write_array,
    write_json,
)
from selfrag.evaluation.recall_curves import exact_rows, recall_of

LARGE_PASSAGES, LARGE_DIMENSION, LARGE_MEMORY = 21_015_324, 768, 4 * 10**9
# Title, text of 100 words and id of a passage of English Wikipedia, without metadata.
LARGE_PASSAGE_BYTES = 650.0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured.

    Attributes:
        data: the folder of corpora.
        work: where results are kept.
        real: real sentences at most.
        rows: vectors in all.
        questions: real questions at most.
        memory: the budget given to `auto`, bytes.
        threads: of all searches.
        rounds: of A B A B.
        seed: of what is made.
    """

    data: Path
    work: Path
    real: int = 120_000
    rows: int = 1_000_000
    questions: int = 1_000
    memory: int = 10**9
    threads: int = 2
    rounds: int = 4
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Where the results of these numbers of vectors are kept."""
        return self.work / f"{self.real}-{self.rows}-{self.seed}"


def run(benchmark: Benchmark, encoder: QueryEncoder, tick: Tick) -> dict[str, Any]:
    """Do all stages; the figures as JSON values."""
    sentences, questions = cached_texts(benchmark.data, benchmark.work)
    found = len(sentences)
    sentences, questions = sentences[: benchmark.real], questions[: benchmark.questions]
    asked = encoded_questions(questions, encoder, benchmark.work, tick)
    real = encoded_sentences(sentences, encoder, benchmark.work, tick)
    folder = benchmark.folder
    folder.mkdir(parents=True, exist_ok=True)
    with faiss_threads(benchmark.threads):
        made_as: Match = kept(
            folder / f"match-{len(asked)}.json",
            lambda: match(real, asked, benchmark.seed, tick),
        )
        settings = Interpolation(made_as["neighbours"], made_as["residual"], benchmark.seed)
        _prepare(real, sentences, benchmark, settings, tick)
    progress = _told(tick)
    budget = benchmark.memory
    auto = imported(folder, f"auto-{budget}", encoder, "auto", budget, progress)
    flat = imported(folder, "flat", encoder, "Flat", None, progress)
    write_array(folder / "asked.npy", asked)
    name = f"searches-{budget}-{benchmark.threads}-{benchmark.rounds}-{len(asked)}.json"
    searches = kept(folder / name, lambda: _searches(benchmark, asked, tick))
    resident = kept(
        folder / f"resident-{budget}-{benchmark.threads}.json", lambda: _resident(benchmark)
    )
    large = _extrapolated(searches, resident, auto)
    return {
        "benchmark": {
            "sentences_found": found,
            "real": len(sentences),
            "rows": benchmark.rows,
            "questions": len(asked),
            "dimension": int(asked.shape[1]),
            "memory": budget,
            "threads": benchmark.threads,
        },
        "match": made_as,
        "auto": auto,
        "flat": flat,
        "searches": searches,
        "resident": resident,
        "large": large,
    }


def kept(file: Path, make: Callable[[], Any]) -> Any:
    """The JSON value in a file, made and written where there is none."""
    if not file.is_file():
        write_json(file, make())
    return json.loads(file.read_text(encoding="utf-8"))


def _prepare(
    real: Floats, sentences: list[str], benchmark: Benchmark, settings: Interpolation, tick: Tick
) -> None:
    """The vectors and the corpus of the index."""
    folder, rows = benchmark.folder, benchmark.rows
    if not (folder / "vectors.npy").is_file():
        made: Iterator[Floats] = iter(())
        if rows > len(real):
            near = nearest_neighbours(
                real,
                settings.neighbours,
                lambda done: tick("neighbours", done, len(real)),
            )
            made = _told_blocks(
                extended(real, near, rows - len(real), settings), len(real), rows, tick
            )
        write_vectors(folder / "vectors.npy", real, made, rows)
    if not (folder / "corpus.jsonl").is_file():
        write_corpus(folder, sentences, rows)


def _told_blocks(blocks: Iterator[Floats], done: int, rows: int, tick: Tick) -> Iterator[Floats]:
    for block in blocks:
        yield block
        done += len(block)
        tick("extending", done, rows)


def _told(tick: Tick) -> Callable[[Progress], None]:
    return lambda progress: tick(progress.stage, progress.done, progress.total or progress.done)


def _searches(benchmark: Benchmark, asked: Floats, tick: Tick) -> dict[str, Any]:
    """Recall against exact search, speeds in turns, and the rates that are extrapolated from."""
    import faiss

    folder, threads = benchmark.folder, benchmark.threads
    opened = {
        name: Index.open(folder / name, bm25=False, threads=threads).require_vectors()
        for name in ("flat", f"auto-{benchmark.memory}")
    }
    flat, auto = opened.values()
    matrix = np.load(folder / "vectors.npy", allow_pickle=False)
    plain: Any = faiss.IndexFlatIP(matrix.shape[1])
    plain.add(matrix)
    with faiss_threads(threads):
        truth = exact_rows(matrix, asked)
        del matrix
        recall = recall_of(auto.search(asked, DEPTH)[1], truth)
        speeds = measure_speed(
            {"faiss exact": plain.search, "flat": flat.search, "auto": auto.search},
            asked,
            rounds=benchmark.rounds,
            tick=lambda done: tick("searching", done, 3 * benchmark.rounds),
        )
        values = {name: speed.to_dict() for name, speed in speeds.items()}
        return {
            "recall": recall,
            "speeds": values,
            "ratios": ratios(values),
            "rates": _rates(auto, asked, speeds["auto"].single),
        }


def ratios(speeds: dict[str, dict[str, float]]) -> dict[str, float]:
    """How many times the queries a second of the faster exact search `auto` answers."""
    exact = [value for name, value in speeds.items() if name != "auto"]
    return {
        f"{kind}{what}": min(value[f"{kind}{what}_seconds"] for value in exact)
        / speeds["auto"][f"{kind}{what}_seconds"]
        for kind in ("single", "batch")
        for what in ("", "_processor")
    }


def _rates(auto: Any, asked: Floats, single: float) -> dict[str, float] | None:
    """What the chosen index does in detail; None where it has no inverted lists."""
    import faiss

    segment = auto.segments[0]
    try:
        lists = inverted(segment)
    except ValueError:
        return None
    probes = int(lists.nprobe)
    sizes = np.array([lists.invlists.list_size(n) for n in range(lists.nlist)])
    _, nearest = faiss.downcast_index(lists.quantizer).search(asked, probes)
    wanted = auto.candidates(DEPTH)
    seconds = []
    for row in range(min(200, len(asked))):
        began = time.perf_counter()
        segment.search(asked[row : row + 1], wanted)
        seconds.append(time.perf_counter() - began)
    proposing = float(np.median(seconds))
    first = 2 * np.sqrt(lists.nlist)
    return {
        "nprobe": probes,
        "lists": int(lists.nlist),
        "probes_of_first": probes / min(lists.nlist, max(8, round(first))),
        "crowding": float(sizes[nearest].mean() / sizes.mean()),
        "candidates": wanted,
        "candidate_seconds": max(0.0, single - proposing) / wanted,
        "proposing_seconds": proposing,
    }


def _resident(benchmark: Benchmark) -> dict[str, int]:
    """Resident memory of a fresh process that opens the index and asks, nothing else."""
    folder = benchmark.folder
    script = Path(__file__).resolve().parents[2] / "scripts" / "benchmark_auto.py"
    where = [str(folder / f"auto-{benchmark.memory}"), str(folder / "asked.npy")]
    command = [sys.executable, str(script), "--resident", *where]
    command += ["--threads", str(benchmark.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    values: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return values


def _extrapolated(
    searches: dict[str, Any], resident: dict[str, int], auto: dict[str, Any]
) -> dict[str, Any]:
    found = searches["rates"]
    assumed = found is None
    code, centroid = code_seconds(LARGE_PASSAGES, LARGE_DIMENSION, LARGE_MEMORY)
    rates = Rates(
        code=code,
        centroid=centroid,
        candidate=0.0 if assumed else found["candidate_seconds"],
        process=resident["open_all"],
        crowding=1.0 if assumed else found["crowding"],
        probes=1.0 if assumed else found["probes_of_first"],
    )
    figures = extrapolate(LARGE_PASSAGES, LARGE_DIMENSION, LARGE_MEMORY, LARGE_PASSAGE_BYTES, rates)
    return {
        "passages": LARGE_PASSAGES,
        "dimension": LARGE_DIMENSION,
        "memory": LARGE_MEMORY,
        "measured_on": auto["factory"],
        "figures": [figure.to_dict() for figure in figures],
    }
