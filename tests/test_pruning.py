"""Pruning changes the work and nothing else: random scripts and random models, with and without."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_scripts import NAMES, random_script
from scripted_rag import (
    CONTINUE,
    ListRetriever,
    Script,
    assert_close,
    assert_same_but_unread,
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
from decoding.scaling import Scaling
from decoding.scores import final_score
from decoding.segment import SegmentScores, boundary_of, read_segment
from decoding.standing import Contender, Standing
from decoding.tree import path_score
from selfrag.answer import NOT_FOUND, Answer, Budget, Usage
from selfrag.calibration import Calibration
from selfrag.controller import levels

VOCABULARY = prompts().vocabulary
SCALED = Calibration(
    relevance=0.6,
    support=0.5,
    scalings={"IsRel": Scaling(2.0, (0.8, 0.0)), "IsSup": Scaling(0.5, (0.0, 0.3, -0.2))},
)


def ask_both(
    seed: int, budget: int | None = None, calibration: Calibration | None = None, **config: Any
) -> tuple[Answer, Answer]:
    """The same question with and without pruning."""
    script = random_script(random.Random(seed))
    answers = []
    for prune in (True, False):
        rag, _ = scripted(
            script,
            ListRetriever(passages(*NAMES)),
            calibration=calibration,
            **{"mode": "always", "prune": prune, "max_segments": 3, **config},
        )
        with rag:
            answers.append(rag.ask("Q", budget=Budget(max_generated_tokens=budget)))
    return answers[0], answers[1]


def survivors(answer: Answer) -> list[list[int]]:
    """The ids of each level's survivors, best first; in the short form the one that answers."""
    if answer.configuration["form"] == "short":
        return [answer.tree["selected"]]
    levels: dict[int, list[Any]] = {}
    for node in nodes(answer)[1:]:
        kept = node["status"] in ("live", "finished")
        levels.setdefault(node["depth"], []).extend([node] if kept else [])
    return [
        [n["id"] for n in sorted(kept, key=lambda n: (-n["scores"]["F"], n["passage_rank"]))]
        for _, kept in sorted(levels.items())
    ]


def assert_unchanged(pruned: Answer, whole: Answer, tolerance: float = 0.0) -> None:
    """Same answer, same survivors, same scores and order of the survivors."""
    assert_same_but_unread(pruned, whole, tolerance)
    assert pruned.tree["selected"] == whole.tree["selected"]
    assert survivors(pruned) == survivors(whole)
    for found, expected in zip(nodes(pruned), nodes(whole), strict=True):
        if found["finish"] != "cut":
            assert found["status"] == expected["status"]
            assert_close(found["scores"], expected["scores"], tolerance)
            assert found["token_ids"] == expected["token_ids"]
        else:
            assert expected["id"] not in whole.tree["selected"]
            written = len(found["token_ids"])
            assert found["token_ids"] == expected["token_ids"][:written]
            assert found["status"] in ("cut", "dropped")
            if found["status"] == "dropped":
                assert expected["status"] == "dropped"


weights = st.sampled_from([0.0, 0.3, 1.0, 2.0, 1e9])
settings_of_all_kinds = st.fixed_dictionaries(
    {
        "form": st.sampled_from(["long", "short"]),
        "order": st.sampled_from(["auto", "together", "leaders"]),
        "mode": st.sampled_from(["always", "adaptive", "never"]),
        "passages": st.integers(1, 4),
        "beam_width": st.integers(1, 3),
        "max_segments": st.integers(1, 3),
        "max_segment_tokens": st.sampled_from([1, 2, 3, 30]),
        "retrieve_threshold": st.sampled_from([0.0, 0.5, 1.0]),
        "continue_threshold": st.sampled_from([None, 0.0, 0.5]),
        "end_threshold": st.sampled_from([None, 0.0, 0.5, 1.0]),
        "w_seq": weights,
        "w_rel": weights,
        "w_sup": weights,
        "w_use": weights,
        "w_ret": st.none() | weights,
        "path": st.sampled_from(["training", "text"]),
        "drop": st.sampled_from(
            [(), ("irrelevant",), ("no_support",), ("partially", "no_support")]
        ),
        "allow_repeats": st.booleans(),
        "prune_epsilon": st.sampled_from([0.0, 1e-6, 0.1]),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**9),
    settings_of_all_kinds,
    st.sampled_from([None, None, 5, 12, 30, 200]),
    st.sampled_from([None, SCALED]),
)
def test_random_scripts(
    seed: int, config: dict[str, Any], budget: int | None, calibration: Calibration | None
) -> None:
    assert_unchanged(*ask_both(seed, budget, calibration, **config))


@pytest.mark.parametrize("form", ["long", "short"])
@pytest.mark.parametrize("order", ["auto", "together", "leaders"])
def test_random_models(form: str, order: str) -> None:
    saved = 0
    for seed, weights in ((0, (0.2, 2.0, 0.0, 0.0)), (1, (1.0, 1.0, 1.0, 3.0)), (2, (1, 1, 0, 0))):
        answers = []
        for prune in (True, False):
            w_seq, w_rel, w_sup, w_ret = weights
            options = {"form": form, "prune": prune, "beam_width": 1, "order": order, "w_use": 0.0}
            options |= {"w_seq": float(w_seq), "w_rel": float(w_rel), "w_sup": float(w_sup)}
            with tiny_rag(seed, mode="always", w_ret=float(w_ret), **options) as rag:
                answers.append(rag.ask("Which?"))
        assert_unchanged(answers[0], answers[1], tolerance=1e-5)
        saved += answers[1].usage.generated_tokens - answers[0].usage.generated_tokens
    assert saved > 0


def planted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one of the bounds wrong in one way."""
    ceiling, floor, cases = LevelPruner.ceiling, LevelPruner.floor, Standing.best_cases
    wrong: dict[str, tuple[Any, str, Any]] = {
        "low ceiling": (LevelPruner, "ceiling", lambda self, s: 0.7 * ceiling(self, s)),
        "high floor": (LevelPruner, "floor", lambda self, s: floor(self, s) + 0.8),
        "utility not in the ceiling": (
            LevelPruner,
            "ceiling",
            lambda self, s: ceiling(self, s) - self.bonus,
        ),
        "support not in the ceiling": (
            Standing,
            "best_cases",
            property(lambda self: cases.__get__(self)[:1]),
        ),
        "who is dropped counts": (Standing, "competes", property(lambda self: True)),
        "a budget that may run out": (levels, "may_prune", lambda *_: True),
    }
    monkeypatch.setattr(*wrong[name])


@pytest.mark.parametrize(
    "plant, config",
    [
        ("low ceiling", {"form": "long", "beam_width": 1}),
        ("low ceiling", {"form": "short", "beam_width": 1}),
        ("high floor", {"form": "long", "beam_width": 1}),
        ("high floor", {"form": "short", "beam_width": 1, "w_use": 0.0}),
        ("utility not in the ceiling", {"form": "short", "w_use": 2.0}),
        ("support not in the ceiling", {"form": "long", "beam_width": 1, "w_sup": 2.0}),
        ("who is dropped counts", {"drop": ("no_support",), "w_rel": 5.0, "beam_width": 1}),
        ("a budget that may run out", {"budget": 30, "max_segment_tokens": 8, "w_ret": 3.0}),
    ],
)
def test_a_bound_that_is_wrong_would_be_found(
    plant: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same comparison; without the plant it finds nothing."""
    for seed in range(4):
        assert_unchanged(*ask_both(seed, **config))
    planted(monkeypatch, plant)
    with pytest.raises((AssertionError, CutUnproven)):
        for seed in range(100):
            assert_unchanged(*ask_both(seed, **config))


def test_it_saves_work() -> None:
    pairs = [ask_both(seed, form="long", beam_width=1, w_use=0.0) for seed in range(12)]
    assert sum(pruned.usage.pruned for pruned, _ in pairs) > 5
    tokens = [
        sum(answer.usage.generated_tokens for answer in side) for side in zip(*pairs, strict=False)
    ]
    assert tokens[0] < tokens[1]


def test_what_usage_says_of_the_saving() -> None:
    """The most that can have been saved is never less than what was."""
    for seed in range(20):
        pruned, whole = ask_both(seed, form="short", w_ret=2.0)
        cut = [node for node in nodes(pruned) if node["finish"] == "cut"]
        usage = pruned.usage
        assert usage.pruned == len(cut)
        assert usage.pruned_tokens == sum(len(node["token_ids"]) for node in cut)
        assert usage.unwritten_tokens == 100 * len(cut) - usage.pruned_tokens
        saved = whole.usage.generated_tokens - usage.generated_tokens
        assert 0 <= saved <= usage.unwritten_tokens
        assert whole.usage.pruned == whole.usage.unwritten_tokens == 0
        assert usage.saved_at_most == pytest.approx(
            usage.unwritten_tokens / (usage.unwritten_tokens + usage.generated_tokens)
        )
        assert Answer.from_json(pruned.to_json()).usage == usage
        assert pruned.to_dict()["usage"]["saved_at_most"] == usage.saved_at_most
    assert Usage().saved_at_most is None


def test_the_floor_of_a_leader_cuts_before_anything_has_ended() -> None:
    """w1: s_ret 1, IsRel 0.9: at least 3 + 0.9. w2: 1/2, 0.1, [Irrelevant]: at most 1.5+1+0.1."""
    script: Script = {
        "w1</paragraph>": {"[Relevant]": 0.9, "[Irrelevant]": 0.1},
        "w2</paragraph>": {"[Relevant]": 0.1, "[Irrelevant]": 0.9},
        "w1</paragraph>[Relevant]": {"a": 1.0},
        "w2</paragraph>[Irrelevant]": {"a": 1.0},
        "a": {"a": 1.0},
    }
    rag, _ = scripted(
        script, ListRetriever(passages("w1", "w2")), mode="always", beam_width=1, w_ret=3.0
    )
    with rag:
        config = rag.config.replace(max_segments=1, order="leaders")
        answer = rag.ask("Q", config=config)
    assert [node["finish"] for node in nodes(answer)[1:]] == ["limit", "cut"]
    assert len(nodes(answer)[2]["token_ids"]) == 1
    assert answer.usage.unwritten_tokens == 99


def test_what_a_constraint_will_drop_is_given_up_at_once() -> None:
    script: Script = {
        "w1</paragraph>": {"[Irrelevant]": 1.0},
        "[Irrelevant]": {"a": 1.0},
        "a": {"a": 1.0},
    }
    for form in ("long", "short"):
        config: dict[str, Any] = {"mode": "always", "form": form, "drop": ("irrelevant",)}
        rag, _ = scripted(script, ListRetriever(passages("w1")), **config)
        with rag:
            answer = rag.ask("Q")
        assert [node["status"] for node in nodes(answer)] == ["root", "dropped"]
        assert answer.usage.generated_tokens == 1 and answer.text == NOT_FOUND
        assert "Every branch was dropped; see the tree." in answer.warnings


scores = st.builds(
    SegmentScores,
    seq=st.none() | st.floats(0, 1),
    rel=st.none() | st.floats(0, 1),
    sup=st.none() | st.floats(0, 1),
    ret=st.none() | st.floats(0, 1),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    earlier=st.lists(scores, max_size=3),
    limit=st.integers(1, 8),
    first=st.booleans(),
    short=st.booleans(),
    size=st.sampled_from([1.0, 1e9]),
)
def test_the_bounds_hold_at_every_prefix(
    seed: int, earlier: list[SegmentScores], limit: int, first: bool, short: bool, size: float
) -> None:
    config = DecodingConfig(w_seq=1.5 * size, w_rel=0.5, w_sup=2.0, w_ret=1.2, w_use=0.7)
    script = random_script(random.Random(seed))
    s_ret = random.Random(seed).choice((None, 0.0, 0.3, 1.0))
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
    contender = Contender(tuple(earlier), generation, s_ret)
    pruner = LevelPruner(config, VOCABULARY, [contender], 1, config.w_use if short else 0.0)
    (standing,) = pruner.standings
    ceilings, floors = [pruner.ceiling(standing)], [pruner.floor(standing)]

    def watch(partial: PartialDraft) -> bool:
        standing.advance(partial)
        fresh = Standing(contender, config, VOCABULARY)
        fresh.advance(partial)
        ceilings.append(pruner.ceiling(standing))
        floors.append(pruner.floor(standing))
        assert (ceilings[-1], floors[-1]) == (pruner.ceiling(fresh), pruner.floor(fresh))
        return False

    assert prompt in script
    backend = ScriptedBackend(prompts(), script)
    backend.submit(generation, watch)
    while backend.step():
        pass
    ((_, draft),) = backend.poll()
    scores = replace(read_segment(draft, VOCABULARY).scores, ret=s_ret)
    final = path_score([*earlier, scores], config)
    if short:
        final = final_score(final, boundary_of(draft, VOCABULARY).utility, config.w_use)
    rounding = pruner.margin - config.prune_epsilon
    assert len(ceilings) == 1 + len(draft.token_ids)
    assert all(bound >= final - rounding for bound in ceilings)
    assert all(bound <= final + rounding for bound in floors)
    if draft.finish == "closed":
        assert ceilings[-1] == floors[-1] == final
    for earlier_one, later in itertools.pairwise(ceilings):
        assert later <= earlier_one + rounding


def level(places: int = 1, count: int = 3, **config: Any) -> LevelPruner:
    generation = Generation((1,), max_tokens=4)
    return LevelPruner(
        DecodingConfig(**config), VOCABULARY, [Contender((), generation)] * count, places
    )


def test_only_a_strictly_hopeless_branch_is_cut() -> None:
    pruner = level(places=2, prune_epsilon=0.01)
    assert not pruner.hopeless(-100.0)
    pruner._raise(0, 1.0)
    assert not pruner.hopeless(-100.0)
    pruner._raise(1, 3.0)
    assert not pruner.hopeless(0.995) and pruner.hopeless(0.98)
    pruner._raise(2, 2.0)
    assert pruner.cutoff == 2.0 and pruner.hopeless(1.98) and not pruner.hopeless(1.995)


def test_epsilon_grows_with_the_weights() -> None:
    """Scores near 1e12 are known to about 1e-4: an absolute epsilon alone would trust rounding."""
    pruner = level(w_seq=1e12)
    pruner._raise(0, 1e12)
    assert not pruner.hopeless(1e12 - 1e-3) and pruner.hopeless(1e12 - 10.0)


@settings(deadline=None)
@given(st.floats(-6, 0), st.floats(0.05, 1))
def test_a_cut_is_checked(log_probability: float, other: float) -> None:
    """A recorded prefix may be given up only where its ceiling is under the level's best."""
    pruner = level(w_rel=0.0, w_sup=0.0)
    pruner._raise(1, other)
    draft = Draft((100,), (log_probability,), {}, None, "cut")
    ceiling = math.exp(log_probability / 4)
    assume(abs(ceiling + pruner.margin - other) > 1e-9)
    if ceiling + pruner.margin < other:
        pruner.check_cut(0, draft)
    else:
        with pytest.raises(CutUnproven, match="prune"):
            pruner.check_cut(0, draft)
