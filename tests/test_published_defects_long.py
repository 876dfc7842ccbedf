"""Defects L1 to L12 of the published long-form script: the paper procedure has none of them."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_rag import (
    CONTINUE,
    NO_SUPPORT,
    ListRetriever,
    Script,
    literal,
    nodes,
    passages,
    scripted,
)
from test_search_golden import RED, SCRIPT, one_level
from test_search_golden import ask as ask_golden

from decoding.scores import relevance_score
from selfrag.answer import Answer

FULLY = "[Fully supported]"


def ask(script: Script, *names: str, **config: Any) -> tuple[Answer, Any]:
    rag, backend = scripted(script, ListRetriever(passages(*names)), **config)
    with rag:
        return rag.ask("Q"), backend


def test_l01_the_utility_counts() -> None:
    """The loop over the utility tokens ran over another group: the score was always 0."""
    script = one_level(("[Relevant]", 0.9, "a", {}), ("[Relevant]", 0.8, "b", {}))
    script["w1</paragraph>[Relevant]a"] = {"[Utility:1]": 0.9, "[Utility:2]": 0.1}
    answer, _ = ask(script, "w1", "w2", mode="always")
    assert answer.text == "b" and answer.segments[0].utility == 1.0
    uses = [node["scores"]["use"] for node in nodes(answer)[1:]]
    assert uses == pytest.approx([-0.95, 1.0])
    without, _ = ask(script, "w1", "w2", mode="always", w_use=0.0)
    assert without.text == "a"


@pytest.mark.parametrize("weight", ["w_seq", "w_rel", "w_sup", "w_use"])
def test_l02_every_weight_counts(weight: str) -> None:
    """The sequence score was never forwarded, and the weights of the command line were ignored."""
    script: Script = {}
    rows = {  # each passage is best in one measurement
        "w_seq": (0.9, 0.5, 0.5, 3),
        "w_rel": (0.5, 0.9, 0.5, 3),
        "w_sup": (0.5, 0.5, 0.9, 3),
        "w_use": (0.5, 0.5, 0.5, 5),
    }
    for number, (seq, rel, sup, use) in enumerate(rows.values(), start=1):
        end = f"w{number}</paragraph>"
        script[end] = {"[Relevant]": rel, "[Irrelevant]": (1 - rel) * 0.99}
        script[f"{end}[Relevant]"] = {"abcd"[number - 1]: seq, "x": (1 - seq) / 2}
        end += f"[Relevant]{'abcd'[number - 1]}"
        script[end] = {FULLY: sup, NO_SUPPORT: (1 - sup) * 0.99}
        script[f"{end}{FULLY}"] = {f"[Utility:{use}]": 1.0}
    weights = dict.fromkeys(rows, 0.0) | {weight: 1.0}
    answer, _ = ask(script, *(f"w{i}" for i in range(1, 5)), mode="always", beam_width=4, **weights)
    assert answer.text == "abcd"[list(rows).index(weight)]


def test_l03_a_branch_sees_its_own_path_only() -> None:
    """All but the first child were given a sibling's segment in place of their parent's."""
    answer, _ = ask_golden(prune=False)
    tree, siblings_seen = nodes(answer), 0
    for node in tree[4:]:
        parent = tree[node["parent"]]
        prompt = literal(node["prompt_ids"])
        assert prompt.startswith(literal([*parent["prompt_ids"], *parent["token_ids"]]))
        siblings = [s for s in tree if s["parent"] == parent["parent"] and s is not parent]
        assert not any(s["literal"] in prompt for s in siblings)
        siblings_seen += len(siblings)
    assert siblings_seen == 6


def test_l04_earlier_passages_stay_in_the_prompt() -> None:
    """Only the segments' text was kept, unlike in training."""
    answer, _ = ask_golden(prune=False)
    prompt = literal(nodes(answer)[5]["prompt_ids"])
    assert "<paragraph>Two</paragraph>[Relevant]b.[Partially supported][Retrieval]" in prompt


def test_l05_adaptive_retrieval_and_the_tree_go_on() -> None:
    """Control tokens were stripped, so nothing was retrieved adaptively, nor below one segment."""
    answer, _ = ask_golden(prune=True)
    assert answer.configuration["mode"] == "adaptive" and answer.usage.retrievals == 2
    assert len(answer.segments) == 2
    dropped, _ = ask(
        one_level(
            ("[Relevant]", 0.9, "a", {NO_SUPPORT: 1.0}), ("[Relevant]", 0.6, "b", {FULLY: 1.0})
        ),
        "w1",
        "w2",
        mode="always",
        drop=("no_support",),
    )
    assert dropped.text == "b"


@pytest.mark.parametrize("mode", ["adaptive", "never"])
def test_l06_l07_no_retrieval_gives_the_same_kind_of_answer(mode: str) -> None:
    """Deciding against retrieval gave another type, of which the first letter was taken; the mode
    without retrieval used a variable that was never set.
    """
    script: Script = {
        "### Response:\n": {"[No Retrieval]": 0.9},
        "[No Retrieval]": {"h": 1.0},
        "[No Retrieval]h": {"i": 1.0},
        "i": {"[Utility:5]": 1.0},
    }
    answer, _ = ask(script, "w1", mode=mode)
    assert answer.text == "hi" and answer.status == "complete" and len(answer.segments) == 1
    assert answer.segments[0].action == "no_retrieval" and answer.citations == ()
    assert answer.usage.retrievals == 0


def test_l08_relevance_is_a_share_whatever_is_missing() -> None:
    """A missing token counted -100 unexponentiated: relevance could leave 0 to 1."""
    minus = -float("inf")
    assert relevance_score(minus, -0.1) == 0.0 and relevance_score(-0.1, minus) == 1.0
    assert relevance_score(minus, minus) is None
    script: Script = {
        "w1</paragraph>": {"[Irrelevant]": 1.0},
        "[Irrelevant]": {"a": 1.0},
        "a": {"[Utility:5]": 1.0},
    }
    answer, _ = ask(script, "w1", mode="always")
    assert answer.segments[0].p_relevant == 0.0


def test_l09_what_is_finished_stays_and_scores_are_means() -> None:
    """A finished branch was lost once another one grew, and scores multiplied along the path."""
    script = one_level(("[Relevant]", 0.9, "a", {}), ("[Relevant]", 0.8, "b", {FULLY: 1.0}))
    script |= {f"b{FULLY}": {CONTINUE: 1.0}, CONTINUE: {"d": 0.4, "x": 0.3}, "d": {"</s>": 1.0}}
    answer, _ = ask(script, "w1", "w2", mode="always", w_sup=0.0)
    tree = nodes(answer)
    assert [node["status"] for node in tree] == ["root", "finished", "live", "finished"]
    assert tree[3]["depth"] == 2 and answer.text == "a"
    assert tree[3]["scores"]["F"] == pytest.approx((0.5 + 0.4) / 2 + 0.8)
    assert answer.score == pytest.approx(0.5 + 0.9 + 0.5)


def test_l10_every_segment_retrieves_or_continues() -> None:
    """The same passages served all segments, and continuing was a textual replacement."""
    answer, retriever = ask_golden(prune=True)
    assert retriever.queries == ["Q", "Q b."]
    assert [segment.passage_id for segment in answer.segments] == ["p2", "p4"]
    whole, _ = ask_golden(prune=False)
    continued = nodes(whole)[4]
    assert continued["action"] == "continue" and continued["passage_id"] == "p1"
    assert literal(continued["prompt_ids"]).endswith(CONTINUE)


def test_l11_citations_name_their_passages_and_the_text_is_whole() -> None:
    """Numbers went astray after repeated segments, last letters were cut off, "3.5" was split."""
    script = {
        "</paragraph>": {"[Relevant]": 0.9, "[Irrelevant]": 0.1},
        "[Relevant]": {"3": 0.9},
        "3": {".": 0.9},
        "3.": {"5": 0.9},
        "3.5": {FULLY: 1.0},
        f"3.5{FULLY}": {"[Retrieval]": 1.0},
    }
    by_query = {"Q 3.5": (RED,)}
    rag, _ = scripted(
        script, ListRetriever(passages("w1"), by_query), mode="always", max_segments=3
    )
    with rag:
        answer = rag.ask("Q")
    assert [segment.text for segment in answer.segments] == ["3.5"] * 3
    assert answer.text == "3.5 3.5 3.5"
    assert [segment.citation for segment in answer.segments] == [1, 2, 2]
    cited = [(c.number, c.text, c.segments) for c in answer.citations]
    assert cited == [(1, "w1", (0,)), (2, "Red", (1, 2))]


def test_l12_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Debugging output was left in."""
    ask_golden(prune=True)
    ask(SCRIPT, "One", max_segments=1)
    assert capfd.readouterr() == ("", "")
