"""Two hundred settings for the price of a few, with the answers of two hundred runs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from random_scripts import NAMES, random_script
from scripted_rag import (
    ListRetriever,
    assert_same_answer,
    assert_same_but_unread,
    passages,
    prompts,
    scripted,
)

from decoding.config import DecodingConfig
from selfrag.evaluation.sweeps import grid, sweep
from selfrag.expansions import ExpansionStore
from selfrag.rag import SelfRAG
from selfrag.replay import ReplayBackend

QUESTIONS = ["One", "Two"]


def retriever() -> ListRetriever:
    found = passages(*NAMES)
    return ListRetriever(found, {"One": found[:3], "Two": found[2:]})


@pytest.mark.parametrize("form", ["long", "short"])
def test_a_sweep_costs_under_two_per_cent(form: str, tmp_path: Path) -> None:
    base: dict[str, Any] = {"form": form, "max_segments": 2, "passages": 3, "allow_repeats": True}
    values = {
        "retrieve_threshold": [0.0, 0.3, 0.6, 0.9],
        "w_rel": [0.0, 0.5, 1.0, 2.0, 5.0],
        "w_sup": [0.0, 1.0],
        "w_seq": [0.0, 1.0],
    }
    settings = [c for w in (0.0, 3.0, 0.5) for c in grid(DecodingConfig(**base, w_ret=w), values)]
    settings = settings[:200]
    assert len(settings) == len({str(config) for config in settings}) == 200
    script = random_script(random.Random(5))
    store = ExpansionStore(tmp_path / "store", "record")
    rag, backend = scripted(script, retriever(), store=store, **base)
    with rag:
        runs = list(sweep(rag, QUESTIONS, settings))
    calls = sum(run.model_calls for run in runs)
    assert calls == len(backend.generations)
    assert 0 < calls < 0.02 * sum(run.requests for run in runs)
    for number in range(0, 200, 29):
        alone, fresh = scripted(script, retriever(), **{**base, "prune": False})
        pruned, _ = scripted(script, retriever(), **base)
        with alone, pruned:
            config = settings[number].replace(prune=False)
            wanted = [alone.ask(question, config=config) for question in QUESTIONS]
            same = [pruned.ask(question, config=settings[number]) for question in QUESTIONS]
        for found, expected, other in zip(runs[number].answers, wanted, same, strict=True):
            assert_same_answer(found, expected)
            assert_same_but_unread(other, expected)
        assert runs[number].requests == len(fresh.generations)
    assert len({answer.text for run in runs for answer in run.answers}) > 2
    again = ExpansionStore(tmp_path / "store", "replay")
    replay = SelfRAG(ReplayBackend("scripted", 512), prompts(), retriever(), store=again)
    with replay:
        (run,) = sweep(replay, QUESTIONS, settings[77:78])
    assert run.model_calls == 0
    for found, expected in zip(run.answers, runs[77].answers, strict=True):
        assert_same_answer(found, expected)


def test_the_grid() -> None:
    made = grid(DecodingConfig(w_rel=7.0), {"w_sup": [1.0, 2.0], "w_use": [0.0, 0.5]})
    assert [(c.w_rel, c.w_sup, c.w_use) for c in made] == [
        (7.0, 1.0, 0.0),
        (7.0, 1.0, 0.5),
        (7.0, 2.0, 0.0),
        (7.0, 2.0, 0.5),
    ]
