"""Pruning changes the work and nothing else: random scripts and random models, with and without."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scripted_rag import (
    CONTINUE,
    NO_SUPPORT,
    ListRetriever,
    Script,
    assert_close,
    assert_same_answer,
    nodes,
    passages,
    prompts,
    scripted,
    tiny_rag,
)
from tiny_models import ScriptedBackend

from decoding.config import DecodingConfig
from decoding.errors import CutUnproven
from decoding.generation import Draft, Generation, PartialDraft
from decoding.pruning import LevelPruner
from decoding.segment import SegmentScores, read_segment
from decoding.tree import path_score
from selfrag.answer import Answer

VOCABULARY = prompts().vocabulary
SUPPORT = ("[Fully supported]", "[Partially supported]", NO_SUPPORT)
NAMES = ("w1", "w2", "w3", "w4")


def random_row(draw: random.Random, pieces: list[str], mass: float = 1.0) -> dict[str, float]:
    weights = [draw.random() ** 3 + 1e-3 for _ in pieces]
    return {p: mass * w / sum(weights) for p, w in zip(pieces, weights, strict=True)}


def random_script(draw: random.Random) -> Script:
    """Each passage has a text of its own, judged at random and ended in one of many ways."""
    script: Script = {}

    def write(end: str, letters: str, most: int) -> None:
        for _ in range(draw.randint(0, most)):
            letter = draw.choice(letters)
            script[end] = {letter: draw.uniform(0.51, 1.0)}
            end += letter
        if draw.random() < 0.6:
            script[end] = row = random_row(draw, list(SUPPORT), 0.97)
            end += max(row, key=lambda piece: row[piece])
        way = draw.choice(["utility", "utility", "retrieval", "continue", "end"])
        pieces = {
            "utility": [f"[Utility:{k}]" for k in range(1, 6)],
            "retrieval": ["[Retrieval]"],
            "continue": [CONTINUE],
            "end": ["</s>"],
        }[way]
        script[end] = random_row(draw, pieces, 0.95)

    for name in NAMES:
        end = f"{name}</paragraph>"
        script[end] = row = random_row(draw, ["[Relevant]", "[Irrelevant]"], 0.99)
        write(end + max(row, key=lambda piece: row[piece]), "abcdefg", 5)
    for start in (CONTINUE, "[No Retrieval]"):
        write(start, "hijkl", 2)
    return script


def ask_both(seed: int, **config: Any) -> tuple[Answer, Answer]:
    """The same question with and without pruning."""
    script = random_script(random.Random(seed))
    answers = []
    for prune in (True, False):
        rag, _ = scripted(
            script, ListRetriever(passages(*NAMES)), mode="always", prune=prune, **config
        )
        with rag:
            answers.append(rag.ask("Q"))
    return answers[0], answers[1]


def assert_unchanged(pruned: Answer, whole: Answer, tolerance: float = 0.0) -> None:
    assert_same_answer(pruned, whole, tolerance)
    assert pruned.tree["selected"] == whole.tree["selected"]
    short = whole.configuration["form"] == "short"
    chosen = ("live",) if short else ("live", "finished")
    for found, expected in zip(nodes(pruned), nodes(whole), strict=True):
        if not short or expected["id"] in whole.tree["selected"]:
            assert (found["status"] in chosen) == (expected["status"] in chosen)
        if found["status"] != "cut":
            assert found["status"] == expected["status"]
            assert_close(found["scores"], expected["scores"], tolerance)
            assert found["token_ids"] == expected["token_ids"]
        else:
            assert expected["status"] in ("unselected", "dropped", "finished")
            assert expected["id"] not in whole.tree["selected"]


weights = st.sampled_from([0.0, 0.3, 1.0, 2.0])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    form=st.sampled_from(["long", "short"]),
    beam_width=st.integers(1, 3),
    w_seq=weights,
    w_rel=weights,
    w_sup=weights,
    w_use=weights,
    max_segment_tokens=st.sampled_from([1, 3, 30]),
    drop=st.sampled_from([(), ("irrelevant",), ("no_support",)]),
)
def test_random_scripts(seed: int, **config: Any) -> None:
    assert_unchanged(*ask_both(seed, max_segments=3, **config))


@pytest.mark.parametrize("form", ["long", "short"])
def test_random_models(form: str) -> None:
    saved = 0
    weights = {"w_seq": 0.2, "w_rel": 2.0, "w_sup": 0.0, "w_use": 0.0}
    for seed in range(3):
        answers = []
        for prune in (True, False):
            options = {"form": form, "prune": prune, "beam_width": 1, **weights}
            with tiny_rag(seed, mode="always", **options) as rag:
                answers.append(rag.ask("Which?"))
        assert_unchanged(answers[0], answers[1], tolerance=1e-5)
        saved += answers[1].usage.generated_tokens - answers[0].usage.generated_tokens
    assert saved > 0


@pytest.mark.parametrize("form", ["long", "short"])
def test_a_bound_that_is_too_tight_would_be_found(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = LevelPruner.bound
    monkeypatch.setattr(LevelPruner, "bound", lambda *a: 0.7 * sound(*a))
    with pytest.raises(AssertionError):
        for seed in range(60):
            assert_unchanged(*ask_both(seed, form=form, beam_width=1))


def test_a_bound_that_ignores_the_utility_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = LevelPruner.bound
    monkeypatch.setattr(LevelPruner, "bound", lambda self, *a: sound(self, *a) - self.bonus)
    with pytest.raises(AssertionError):
        for seed in range(100):
            assert_unchanged(*ask_both(seed, form="short", w_use=2.0))


def test_it_saves_work() -> None:
    pairs = [ask_both(seed, form="long", beam_width=1, w_use=0.0) for seed in range(12)]
    assert sum(pruned.usage.pruned for pruned, _ in pairs) > 5
    tokens = [
        sum(answer.usage.generated_tokens for answer in side) for side in zip(*pairs, strict=False)
    ]
    assert tokens[0] < tokens[1]


scores = st.builds(
    SegmentScores,
    seq=st.none() | st.floats(0, 1),
    rel=st.none() | st.floats(0, 1),
    sup=st.none() | st.floats(0, 1),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    earlier=st.lists(scores, max_size=3),
    limit=st.integers(1, 8),
    first=st.booleans(),
    short=st.booleans(),
)
def test_the_bound_holds_at_every_prefix(
    seed: int, earlier: list[SegmentScores], limit: int, first: bool, short: bool
) -> None:
    config = DecodingConfig(w_seq=1.5, w_rel=0.5, w_sup=2.0, w_ret=1.2)
    pruner = LevelPruner(config, VOCABULARY, places=1)
    bounds: list[float] = []
    s_ret = random.Random(seed).choice((None, 0.0, 0.3, 1.0))

    def watch(partial: PartialDraft) -> bool:
        bounds.append(pruner.bound(partial, earlier, limit, s_ret))
        return False

    script = random_script(random.Random(seed))
    prompt = "w1</paragraph>" if first else CONTINUE
    ends = {*VOCABULARY.utility, *VOCABULARY.retrieve.ids, *VOCABULARY.eos_ids}
    generation = Generation(
        prompts().codec.encode(["w1", VOCABULARY.paragraph_end], bos=False)
        if first
        else (VOCABULARY.continue_evidence,),
        max_tokens=limit,
        stop_ids=frozenset(ends),
        closing_ids=frozenset() if short else frozenset(VOCABULARY.is_sup.ids),
        first_ids=VOCABULARY.is_rel.ids if first else (),
        read_ids=VOCABULARY.read_ids,
    )
    assert prompt in script
    backend = ScriptedBackend(prompts(), script)
    bounds.append(pruner.bound(PartialDraft(), earlier, limit, s_ret))
    backend.submit(generation, watch)
    while backend.step():
        pass
    ((_, draft),) = backend.poll()
    scores = replace(read_segment(draft, VOCABULARY).scores, ret=s_ret)
    final = path_score([*earlier, scores], config)
    assert len(bounds) == 1 + len(draft.token_ids)
    assert all(bound >= final - 1e-12 for bound in bounds)
    assert bounds == sorted(bounds, reverse=True) or earlier


def test_only_a_strictly_hopeless_branch_is_cut() -> None:
    pruner = LevelPruner(DecodingConfig(prune_epsilon=0.01), VOCABULARY, places=2)
    assert not pruner.hopeless(-100.0)
    pruner.complete(1.0)
    assert not pruner.hopeless(-100.0)
    pruner.complete(3.0)
    assert not pruner.hopeless(0.995) and pruner.hopeless(0.98)
    pruner.complete(2.0)
    assert pruner.cutoff == 2.0 and pruner.hopeless(1.98) and not pruner.hopeless(1.995)


@settings(deadline=None)
@given(st.floats(-6, 0), st.floats(0.05, 1))
def test_a_cut_is_checked(log_probability: float, other: float) -> None:
    """A recorded prefix may be given up only where its bound is under the level's best."""
    pruner = LevelPruner(DecodingConfig(w_rel=0.0, w_sup=0.0), VOCABULARY, places=1)
    pruner.complete(other)
    draft = Draft((100,), (log_probability,), {}, None, "cut")
    bound = pruner.bound(draft, [], 4)
    assume(abs(bound + pruner.config.prune_epsilon - other) > 1e-9)
    assert bound == pytest.approx(2.718281828459045 ** (log_probability / 4))
    if bound + pruner.config.prune_epsilon < other:
        pruner.check_cut(draft, [], 4)
    else:
        with pytest.raises(CutUnproven, match="prune"):
            pruner.check_cut(draft, [], 4)
