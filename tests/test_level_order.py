"""The order in which a level's branches run changes what they cost, and nothing else."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from random_scripts import NAMES, random_script
from scripted_rag import ListRetriever, Script, nodes, passages, prompts
from test_pruning import assert_unchanged, survivors
from tiny_models import ScriptedBackend

from decoding.config import DecodingConfig
from decoding.generation import Generation
from decoding.pruning import LevelPruner
from decoding.standing import Contender
from selfrag.answer import Answer, Budget
from selfrag.expansions import ExpansionStore, StoreMode
from selfrag.rag import SelfRAG
from selfrag.replay import ReplayBackend


class Rows(ScriptedBackend):
    """A scripted backend with room for a few rows, which counts its passes."""

    def __init__(self, script: Script, rows: int) -> None:
        super().__init__(prompts(), script)
        self.rows, self.passes = rows, 0

    def step(self) -> bool:
        self.passes += 1
        waiting = self._waiting
        self._waiting, later = waiting[: self.rows], waiting[self.rows :]
        super().step()
        self._waiting += later
        return bool(self._waiting)


def cost(rows: int, **config: Any) -> tuple[list[Answer], int, int]:
    """Answers, tokens and forward passes over random scripts."""
    answers, passes = [], 0
    for seed in range(16):
        backend = Rows(random_script(random.Random(seed)), rows)
        settings = DecodingConfig(
            **{"mode": "always", "beam_width": 1, "max_segments": 2, "w_use": 0.0, **config}
        )
        rag = SelfRAG(backend, prompts(), ListRetriever(passages(*NAMES)), config=settings)
        with rag:
            answers.append(rag.ask("Q"))
        passes += backend.passes
    return answers, sum(answer.usage.generated_tokens for answer in answers), passes


def test_what_the_orders_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaders first: fewest tokens; together: fewest passes, unless there is one row only.

    Between them "auto", whose tokens may even be fewer than those of leaders alone.
    """
    whole, all_tokens, all_passes = cost(10, prune=False)
    together, tokens, passes = cost(10, order="together")
    both, auto_tokens, auto_passes = cost(10)
    assert auto_tokens < tokens and passes <= auto_passes < cost(10, order="leaders")[2]
    leaders, fewer_tokens, more_passes = cost(10, order="leaders")
    assert fewer_tokens < tokens < all_tokens
    assert passes <= all_passes and passes < more_passes
    for first, second, third in zip(together, leaders, whole, strict=True):
        assert_unchanged(first, third)
        assert_unchanged(second, third)
        assert second.usage.expansions == first.usage.expansions
        assert second.usage.prompt_tokens == first.usage.prompt_tokens
    for first, third in zip(both, whole, strict=True):
        assert_unchanged(first, third)
    monkeypatch.setattr(Rows, "resumes_cheaply", False)
    assert cost(10)[1:] == (tokens, passes)
    monkeypatch.undo()
    alone, _, alone_passes = cost(1, order="together")
    _, _, leader_passes = cost(1, order="leaders")
    assert leader_passes < alone_passes
    for first, third in zip(alone, whole, strict=True):
        assert_unchanged(first, third)


def test_a_passage_that_cannot_win_is_not_read() -> None:
    """w1 reaches 3 * 1 + 0.9 + 1 + 1 = 5.9; w2, at 3 * 0.5 + 3 at most, is never asked for."""
    script: Script = {"</paragraph>": {"[Relevant]": 0.9, "[Irrelevant]": 0.1}}
    script |= {"[Relevant]": {"a": 1.0}, "a": {"[Fully supported]": 1.0}}
    script |= {"[Fully supported]": {"[Utility:5]": 1.0}}
    found = {}
    for order in ("auto", "leaders", "together"):
        backend = Rows(script, 9)
        options = {"w_seq": 1.0, "w_rel": 1.0, "w_sup": 1.0, "w_ret": 3.0, "beam_width": 1}
        config = DecodingConfig(mode="always", order=order, max_segments=1, **options)
        retriever = ListRetriever(passages("w1", "w2"))
        with SelfRAG(backend, prompts(), retriever, config=config) as rag:
            answer = rag.ask("Q")
        found[order] = (answer.text, answer.score, answer.citations, answer.usage.pruned)
        texts = [prompts().codec.literal(asked.prompt_ids) for asked in backend.generations]
        assert any("w2" in text for text in texts) == (order != "auto")
        assert answer.usage.expansions == (1 if order == "auto" else 2)
        unread = nodes(answer)[2]
        assert unread["finish"] == "cut" and bool(unread["token_ids"]) == (order != "auto")
    assert found["auto"] == found["leaders"] == found["together"]


def test_what_was_not_read_is_not_asked_of_a_replay(tmp_path: Path) -> None:
    judged = {"[Relevant]": 0.9, "[Irrelevant]": 0.1}
    script: Script = {"</paragraph>": judged, "[Relevant]": {"a": 1.0}}
    script |= {"a": {"[Fully supported]": 1.0}, "[Fully supported]": {"[Utility:5]": 1.0}}
    config = DecodingConfig(mode="always", w_ret=3.0, beam_width=1, max_segments=1)
    retriever, answers = ListRetriever(passages("w1", "w2")), []
    modes: tuple[StoreMode, ...] = ("cache", "replay")
    for mode in modes:
        backend = Rows(script, 9) if mode == "cache" else ReplayBackend("scripted", 512)
        store = ExpansionStore(tmp_path / "store", mode)
        with SelfRAG(backend, prompts(), retriever, config=config, store=store) as rag:
            answers.append(rag.ask("Q"))
    assert [answer.usage.expansions for answer in answers] == [1, 1]
    assert_unchanged(answers[1], answers[0])


def test_who_can_score_most_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    best, tokens, _ = cost(1, w_ret=3.0, order="together")
    sound = LevelPruner.best_first
    monkeypatch.setattr(LevelPruner, "best_first", lambda self: sound(self)[::-1])
    worst, more_tokens, _ = cost(1, w_ret=3.0, order="together")
    assert tokens < more_tokens
    for first, second in zip(best, worst, strict=True):
        assert first.tree["selected"] == second.tree["selected"]
        assert survivors(first) == survivors(second)


def test_who_runs_along_with_the_leaders() -> None:
    """Before anything is read, a floor is s_ret and a ceiling s_ret + 3 (w_rel, w_sup, w_seq 1).

    The leader, 0.9, is expected at 0.9 + 0.9 * 3 = 3.6; a ceiling of 3.7 comes along, 3.5 waits.
    With two places the second, 0.7, is expected at 0.7 + 2.7 = 3.4, and 3.5 comes along too.
    """
    contenders = [
        Contender((), Generation((1,), max_tokens=9), s_ret) for s_ret in (0.5, 0.9, 0.3, 0.7)
    ]
    config = DecodingConfig(w_rel=1.0, w_sup=1.0, w_seq=1.0, w_ret=1.0)
    expected = {1: [1, 3], 2: [1, 3, 0], 4: [1, 3, 0, 2]}
    for places, order in expected.items():
        assert LevelPruner(config, prompts().vocabulary, contenders, places).ahead() == order


def test_time_that_runs_out_between_the_rounds() -> None:
    """Branches that were held back are then called off like any other, and still in play."""

    class Slow(Rows):
        def step(self) -> bool:
            if self.passes == 3:  # one for all IsRel, two for the leader
                time.sleep(0.6)
            return super().step()

    script: Script = {"[Relevant]": {"a": 1.0}, "a": {"a": 1.0}}
    for name, relevant in (("w1", 0.6), ("w2", 0.9), ("w3", 0.7)):
        judged = {"[Relevant]": relevant, "[Irrelevant]": 1 - relevant}
        script[f"{name}</paragraph>"] = judged
    config = DecodingConfig(mode="always", order="leaders", beam_width=1)
    retriever = ListRetriever(passages("w1", "w2", "w3"))
    with SelfRAG(Slow(script, 9), prompts(), retriever, config=config) as rag:
        answer = rag.ask("Q", budget=Budget(max_seconds=0.5))
    assert answer.status == "budget" and set(answer.text) == {"a"}
    first, second, third = nodes(answer)[1:]
    assert [node["finish"] for node in (first, second, third)] == ["cancelled"] * 3
    assert [len(node["token_ids"]) for node in (first, third)] == [1, 1]
    assert len(second["token_ids"]) > 2
    assert answer.usage.generated_tokens == 2 + len(second["token_ids"])
