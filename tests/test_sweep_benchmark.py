"""What a sweep costs is counted right, also where it was interrupted, and differences are found."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from random_scripts import NAMES, random_script
from scripted_rag import ListRetriever, passages, scripted

from decoding.config import DecodingConfig
from selfrag.evaluation.sweep_benchmark import OtherSweep, measure, random_settings, same
from selfrag.expansions import ExpansionStore
from selfrag.rag import SelfRAG

QUESTIONS = ["One", "Two", "Three"]
BASE = DecodingConfig(passages=3, max_segments=2, allow_repeats=True)


class Models:
    """Opens scripted models, and counts what they were asked with a recording and without."""

    def __init__(self, seed: int, seed_alone: int | None = None) -> None:
        self.seeds = seed, seed if seed_alone is None else seed_alone
        self.recorded = self.alone = self.opened = 0

    @contextmanager
    def __call__(self, recording: Path | None) -> Iterator[SelfRAG]:
        self.opened += 1
        found = passages(*NAMES)
        retriever = ListRetriever(found, {"One": found[:3], "Two": found[2:]})
        store = None if recording is None else ExpansionStore(recording, "record")
        script = random_script(random.Random(self.seeds[recording is None]))
        rag, backend = scripted(script, retriever, store=store)
        with rag:
            yield rag
        if recording is None:
            self.alone += len(backend.generations)
        else:
            self.recorded += len(backend.generations)


def counted(values: dict[str, Any]) -> dict[str, Any]:
    """Figures without times."""
    first = {key: value for key, value in values["first_setting"].items() if key != "seconds"}
    return {**values, "first_setting": first, "later_settings_seconds": None}


def test_calls_are_counted_and_answers_compared(tmp_path: Path) -> None:
    settings, models, told = random_settings(BASE, 12, seed=3), Models(5), dict[str, int]()

    def advance(stage: str, done: int) -> None:
        told[stage] = told.get(stage, 0) + done

    values = measure(models, QUESTIONS, settings, tmp_path, sample=6, advance=advance)
    assert told == {"sweep": 36, "check": 6}
    assert values["model_calls"]["sweep"] == models.recorded > 0
    assert values["check"]["model_calls"] == models.alone > 0
    assert (values["check"]["asked"], values["check"]["same"]) == (6, 6)
    separate = 0
    for config in settings:
        with Models(5)(None) as rag:
            answers = rag.ask_many(QUESTIONS, config=config.replace(prune=False))
        separate += sum(answer.usage.model_calls for answer in answers)
    cost = values["model_calls"]
    assert cost["separate_runs"] == separate
    assert cost["share"] == models.recorded / separate < 0.3
    assert values["first_setting"]["model_calls"] <= models.recorded
    assert 0 < values["questions_answered_differently"] <= 3
    assert 0 < values["generated_tokens"]["sweep"] < values["generated_tokens"]["separate_runs"]


def test_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    settings = random_settings(BASE, 8, seed=3)
    whole = measure(Models(5), QUESTIONS, settings, tmp_path / "whole", sample=8)
    folder, models = tmp_path / "parts", Models(5)
    measure(models, QUESTIONS, settings[:3], folder, sample=0)
    assert models.opened == 1  # nobody to be compared with
    journal = folder / "settings.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:40])  # stopped while it wrote the third
    again = measure(models, QUESTIONS, settings, folder, sample=8)
    assert counted(again) == counted(whole)
    opened = models.opened
    assert measure(models, QUESTIONS, settings, folder, sample=8) == again
    assert models.opened == opened + 1  # the sample alone
    for questions, others in (
        (QUESTIONS[:2], settings),
        (QUESTIONS, random_settings(BASE, 8, seed=4)),
    ):
        with pytest.raises(OtherSweep, match="other questions or settings"):
            measure(models, questions, others, folder, sample=0)


def test_another_answer_is_found(tmp_path: Path) -> None:
    settings = random_settings(BASE, 4, seed=3)
    values = measure(Models(5, 6), QUESTIONS, settings, tmp_path, sample=4)
    assert values["check"]["same"] < 4
    assert len(values["check"]["differences"]) == 4 - values["check"]["same"]
    assert values["check"]["differences"][0]["configuration"]["passages"] == 3


def test_what_is_the_same() -> None:
    one: dict[str, Any] = {"text": "a", "passages": ["1"], "status": "complete", "score": 1.0}
    assert same(one, {**one, "score": 1.000009})
    assert same({**one, "score": None}, {**one, "score": None})
    others: dict[str, Any] = {"text": "b", "passages": [], "status": "budget", "score": None}
    for name, value in (*others.items(), ("score", 1.00002)):
        assert not same(one, {**one, name: value})
        assert not same({**one, name: value}, one)


def test_settings_differ_and_come_again() -> None:
    made = random_settings(BASE, 200, seed=0)
    assert made[0] == BASE and made == random_settings(BASE, 200, seed=0)
    assert made[:50] == random_settings(BASE, 50, seed=0)
    assert len({json.dumps(config.to_dict()) for config in made}) == 200
    fixed = ("relevance_threshold", "passages", "query", "max_segment_tokens")
    assert all(getattr(one, name) == getattr(BASE, name) for one in made for name in fixed)
