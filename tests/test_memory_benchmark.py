"""Growth is measured from the warm-up on, either way, and a cache over its limit is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripted_rag import ListRetriever, passages, prompts, reflective_llama

from decoding.config import DecodingConfig
from decoding.engine.keyvalues import KeyValueShape
from selfrag.evaluation.memory import peak_memory, resident_memory
from selfrag.evaluation.memory_benchmark import (
    MemoryReport,
    WatchedEngine,
    made_questions,
    measure,
)
from selfrag.rag import SelfRAG


class Sizes:
    """A process that is as large as it is told to be."""

    def __init__(self, *sizes: int | None) -> None:
        self.left = list(sizes)

    def __call__(self) -> int | None:
        return self.left.pop(0)


def ask(sizes: Any, *, positions: int = 600, **options: Any) -> tuple[MemoryReport, list[int]]:
    model, advanced = reflective_llama(1), list[int]()
    limit = positions * KeyValueShape.of_model(model).bytes_per_position
    engine = WatchedEngine(model, fingerprint="x", cache_bytes=limit)
    config = DecodingConfig(mode="always", passages=2, max_segments=1, max_segment_tokens=3)
    retriever = ListRetriever(passages("One cat.", "Two dogs!"))
    with SelfRAG(engine, prompts(), retriever, config=config) as rag:
        report = measure(rag, engine, limit, resident=sizes, advance=advanced.append, **options)
    return report, advanced


def test_sizes_are_taken_after_every_so_many() -> None:
    report, advanced = ask(Sizes(1000, 1040, 960, 1010), questions=31, every=10)
    assert report.after == (10, 20, 30, 31)
    assert report.resident == (1000, 1040, 960, 1010)
    assert advanced == [8, 2, 8, 2, 8, 2, 1]
    assert report.growth == 0.04 and report.holds
    assert report.cache_limit / 2 < report.cache_highest <= report.cache_limit  # it had to evict
    assert report.to_dict()["holds"] is True


@pytest.mark.parametrize(("sizes", "growth"), [((1000, 1051), 0.051), ((1000, 940), -0.06)])
def test_growth_and_shrinking_are_told(sizes: tuple[int, ...], growth: float) -> None:
    report = MemoryReport(2, (1, 2), sizes, cache_limit=10, cache_highest=10)
    assert report.growth == pytest.approx(growth) and not report.holds
    held = replace(report, resident=(1000, 1050))
    assert held.holds and not replace(held, cache_highest=11).holds


def test_every_question_is_another_one() -> None:
    assert len({*made_questions(0, 500), *made_questions(500, 1000)}) == 1000
    assert [*made_questions(0, 3), *made_questions(3, 9)] == list(made_questions(0, 9))


@pytest.mark.parametrize("every", [0, 5])
def test_too_few_questions_are_refused(every: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 4, the questions"):
        ask(Sizes(), questions=4, every=every)


def test_a_system_that_tells_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="does not tell"):
        ask(Sizes(None), questions=2, every=1)


def test_the_size_of_this_process() -> None:
    now, peak = resident_memory(), peak_memory()
    if now is None or peak is None:
        pytest.skip("this system does not tell")
    assert 2**20 < now <= peak
