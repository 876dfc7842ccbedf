"""One search tree computed by hand, and the rules of selection one by one.

The tree: three passages, beam width 2, weights 1, 1, 1 and 1/2. Text pieces are single letters.
"""

from __future__ import annotations

import math

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

from decoding.config import DecodingConfig
from decoding.search import BeamSearch
from decoding.segment import SegmentDraft
from decoding.tree import SegmentNode
from indexes.passage import Passage
from selfrag.answer import NOT_FOUND, Answer
from selfrag.calibration import Calibration

FULLY, PARTIALLY = "[Fully supported]", "[Partially supported]"

SCRIPT: Script = {
    # The bare question: p(R) / (p(R) + p(N)) = .6 / .8 = .75 > .2, so retrieve.
    "### Response:\n": {"[Retrieval]": 0.6, "[No Retrieval]": 0.2},
    # Node 1, passage One: rel = .8 / 1, seq = .9, sup = (.5 + .2 / 2) / .8 = .75.
    # F = .9 + .8 + .75 = 2.45. Then [Continue to Use Evidence] is the group's best.
    "One</paragraph>": {"[Relevant]": 0.8, "[Irrelevant]": 0.2},
    "One</paragraph>[Relevant]": {"a": 0.9},
    "[Relevant]a": {FULLY: 0.5, PARTIALLY: 0.2, NO_SUPPORT: 0.1},
    f"a{FULLY}": {CONTINUE: 0.5, "[Retrieval]": 0.3, "[No Retrieval]": 0.1},
    # Node 2, passage Two: rel = .6 / .9 = 2/3, seq = (.8 * .5) ** (1/2) = .6324555,
    # sup = (.1 + .6 / 2) / .8 = .5. F = 1.7991222. Ratio .6 / .9 = 2/3: retrieve again.
    "Two</paragraph>": {"[Relevant]": 0.6, "[Irrelevant]": 0.3},
    "Two</paragraph>[Relevant]": {"b": 0.8},
    "[Relevant]b": {".": 0.5, "x": 0.3},
    "[Relevant]b.": {FULLY: 0.1, PARTIALLY: 0.6, NO_SUPPORT: 0.1},
    f"b.{PARTIALLY}": {"[Retrieval]": 0.6, "[No Retrieval]": 0.3, CONTINUE: 0.1},
    # Node 3, passage Six: rel = .1, seq = .5, sup = 0 after [Irrelevant]. F = .6: not selected.
    "Six</paragraph>": {"[Relevant]": 0.1, "[Irrelevant]": 0.9},
    "Six</paragraph>[Irrelevant]": {"c": 0.5, "x": 0.3},
    "[Irrelevant]c": {"[Retrieval]": 0.9},
    # Node 4, below node 1, keeps its evidence: seq = .4, no rel, no sup.
    # F = (.9 + .4) / 2 + .8 + .75 = 2.2. Then ratio .1 / .8 = .125: no retrieval.
    CONTINUE: {"d": 0.4, "x": 0.3},
    f"{CONTINUE}d": {"[No Retrieval]": 0.7, "[Retrieval]": 0.1, CONTINUE: 0.1},
    # Node 5, below node 2, passage Red: rel = .9, seq = .5, sup = .9. s_use = .8 * 1 + .2 * 0.
    # F = (.6324555 + .5) / 2 + (2/3 + .9) / 2 + (.5 + .9) / 2 = .5662278 + .7833333 + .7
    #   = 2.0495611; final = 2.0495611 + .8 / 2 = 2.4495611.
    "Red</paragraph>": {"[Relevant]": 0.9, "[Irrelevant]": 0.1},
    "Red</paragraph>[Relevant]": {"e": 0.5, "x": 0.3},
    "[Relevant]e": {FULLY: 0.9, NO_SUPPORT: 0.1},
    f"e{FULLY}": {"[Utility:5]": 0.8, "[Utility:3]": 0.2},
    # Node 6, below node 2, passage Big: rel = .3 / .5 = .6, though <s> is more probable than
    # either; seq = 1; sup = (.2 + .2 / 2) / 1 = .3. It ends without a utility.
    # F = (.6324555 + 1) / 2 + (2/3 + .6) / 2 + (.5 + .3) / 2 = .8162278 + .6333333 + .4
    #   = 1.8495611 = final: finished, but third of its level.
    "Big</paragraph>": {"[Relevant]": 0.3, "[Irrelevant]": 0.2},
    "Big</paragraph>[Relevant]": {"f": 1.0},
    "[Relevant]f": {FULLY: 0.2, PARTIALLY: 0.2, NO_SUPPORT: 0.6},
    f"f{NO_SUPPORT}": {"</s>": 0.9},
    # Node 7, below node 4: seq = .9. s_use = -.2 - .6 / 2 + .2 = -.3.
    # F = (.9 + .4 + .9) / 3 + .8 + .75 = 2.2833333; final = 2.2833333 - .15 = 2.1333333.
    "[No Retrieval]": {"g": 0.9},
    "[No Retrieval]g": {"[Utility:2]": 0.6, "[Utility:1]": 0.2, "[Utility:5]": 0.2},
}

ONE, TWO, SIX, RED, BIG, SAME = (
    *passages("One", "Two", "Six", "Red", "Big"),
    Passage("p9", "", "Red"),
)


def ask(prune: bool) -> tuple[Answer, ListRetriever]:
    retriever = ListRetriever((ONE, TWO, SIX), {"Q b.": (RED, BIG, SAME)})
    rag, _ = scripted(SCRIPT, retriever, passages=3, prune=prune)
    with rag:
        return rag.ask("Q"), retriever


def test_every_score_of_the_tree() -> None:
    answer, _ = ask(prune=False)
    tree = nodes(answer)
    root_of = [None, 0, 0, 0, 1, 2, 2, 4]
    assert [node["parent"] for node in tree] == root_of
    expected_f = [0.0, 2.45, 1.7991222, 0.6, 2.2, 2.0495611, 1.8495611, 2.2833333]
    assert [node["scores"]["F"] for node in tree] == pytest.approx(expected_f, abs=1e-6)
    finals = [node["scores"]["final"] for node in tree]
    assert finals[:5] == [None] * 5
    assert finals[5:] == pytest.approx([2.4495611, 1.8495611, 2.1333333], abs=1e-6)
    parts = [[node["scores"][name] for name in ("seq", "rel", "sup", "use")] for node in tree]
    assert parts[1] == pytest.approx([0.9, 0.8, 0.75, None])
    assert parts[2] == pytest.approx([math.sqrt(0.4), 2 / 3, 0.5, None])
    assert parts[3] == pytest.approx([0.5, 0.1, 0.0, None])
    assert parts[4] == pytest.approx([0.4, None, None, None])
    assert parts[5] == pytest.approx([0.5, 0.9, 0.9, 0.8])
    assert parts[6] == pytest.approx([1.0, 0.6, 0.3, None])
    assert parts[7] == pytest.approx([0.9, None, None, -0.3])


def test_who_survives() -> None:
    answer, _ = ask(prune=False)
    statuses = [node["status"] for node in nodes(answer)]
    assert statuses == [
        "root",
        "live",
        "live",
        "unselected",
        "live",
        "finished",
        "unselected",
        "finished",
    ]
    assert answer.tree["selected"] == [2, 5]


@pytest.mark.parametrize("prune", [False, True])
def test_the_answer(prune: bool) -> None:
    answer, retriever = ask(prune)
    assert answer.text == "b. e" and answer.status == "complete"
    assert answer.score == pytest.approx(2.4495611, abs=1e-6)
    assert retriever.queries == ["Q", "Q b."]
    first, second = answer.segments
    assert (first.text, first.passage_id, first.citation, first.action) == (
        "b.",
        "p2",
        1,
        "retrieve",
    )
    assert first.p_retrieve == pytest.approx(0.75)
    assert first.p_relevant == pytest.approx(2 / 3) and first.utility is None
    assert first.p_supported == pytest.approx({"fully": 0.125, "partially": 0.75, "no": 0.125})
    assert (second.text, second.passage_id, second.citation) == ("e", "p4", 2)
    assert second.p_retrieve == pytest.approx(2 / 3) and second.utility == pytest.approx(0.8)
    assert second.score == pytest.approx(2.0495611, abs=1e-6)
    cited = [(c.number, c.passage_id, c.text, c.segments) for c in answer.citations]
    assert cited == [(1, "p2", "Two", (0,)), (2, "p4", "Red", (1,))]
    assert answer.answerable is None and answer.draft is None and answer.warnings == ()


@pytest.mark.parametrize("prune", [False, True])
def test_the_decisions(prune: bool) -> None:
    answer, _ = ask(prune)
    found = [(d.node, d.depth, d.action, d.reason, d.threshold) for d in answer.decisions]
    assert found == [
        (0, 0, "retrieve", "threshold", 0.2),
        (1, 1, "continue", "token", None),
        (2, 1, "retrieve", "threshold", 0.2),
        (4, 2, "no_retrieval", "threshold", 0.2),
    ]
    ratios = [decision.p_retrieve for decision in answer.decisions]
    assert ratios == pytest.approx([0.75, 0.75, 2 / 3, 0.125])
    assert [d.mass for d in answer.decisions] == pytest.approx([0.8, 0.9, 1.0, 0.9])
    assert answer.decisions[1].p_continue == pytest.approx(5 / 9)


def test_prompts_and_passages_of_the_tree() -> None:
    answer, _ = ask(prune=False)
    tree = nodes(answer)
    assert [node["passage_id"] for node in tree] == [
        None,
        "p1",
        "p2",
        "p3",
        "p1",
        "p4",
        "p5",
        None,
    ]
    assert literal(tree[5]["prompt_ids"]).endswith(
        f"Two</paragraph>[Relevant]b.{PARTIALLY}[Retrieval]<paragraph>Red</paragraph>"
    )
    assert literal(tree[7]["prompt_ids"]).endswith(
        f"<paragraph>One</paragraph>[Relevant]a{FULLY}{CONTINUE}d[No Retrieval]"
    )
    assert answer.usage.generated_tokens == 3 + 4 + 2 + 1 + 3 + 3 + 1
    assert answer.usage.expansions == 7 and answer.usage.retrievals == 2


def test_weights_count() -> None:
    retriever = ListRetriever((ONE, TWO, SIX), {"Q b.": (RED, BIG, SAME)})
    rag, _ = scripted(SCRIPT, retriever, passages=3, w_use=0.0, prune=False)
    with rag:
        assert rag.ask("Q").text == "a d g"  # 2.2833333 now beats 2.0495611
        config = DecodingConfig(passages=3, w_seq=1.0, w_rel=0.0, w_sup=0.0, w_use=0.0)
        # Level 1 by seq alone: node 1 .9, node 2 .63; level 2: node 6 .816 beats node 4 .65.
        assert rag.ask("Q", config=config).text == "b. f"


def one_level(*rows: tuple[str, float, str, dict[str, float]]) -> Script:
    """Passages w1, w2, …: IsRel token, its share, one letter of probability .5, IsSup row."""
    script: Script = {}
    for number, (relevance, share, letter, support) in enumerate(rows, start=1):
        other = "[Relevant]" if relevance == "[Irrelevant]" else "[Irrelevant]"
        script[f"w{number}</paragraph>"] = {relevance: share, other: 1 - share}
        script[f"w{number}</paragraph>{relevance}"] = {letter: 0.5, "x": 0.3}
        after = support or {"[Utility:5]": 1.0}
        script[f"w{number}</paragraph>{relevance}{letter}"] = after
    for name in (FULLY, PARTIALLY, NO_SUPPORT):
        script[name] = {"[Utility:5]": 1.0}
    return script


THREE = one_level(
    ("[Relevant]", 0.9, "a", {NO_SUPPORT: 0.6, FULLY: 0.4}),
    ("[Irrelevant]", 0.6, "b", {}),
    ("[Relevant]", 0.85, "c", {PARTIALLY: 1.0}),
)


@pytest.mark.parametrize("form", ["short", "long"])
@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize(
    "drop, text",
    [
        ((), "c"),  # .85 + .5 beats .9 + .4
        (("no_support",), "c"),
        (("partially",), "a"),
        (("no_support", "partially"), "b"),
        (("irrelevant", "partially"), "a"),
    ],
)
def test_hard_constraints(form: str, prune: bool, drop: tuple[str, ...], text: str) -> None:
    retriever = ListRetriever(passages("w1", "w2", "w3"))
    rag, _ = scripted(
        THREE, retriever, form=form, prune=prune, drop=drop, mode="always", beam_width=3
    )
    with rag:
        answer = rag.ask("Q")
    assert answer.text == text
    dropped = [node["passage_id"] for node in nodes(answer) if node["status"] == "dropped"]
    verdicts = {"p1": "no_support", "p2": "irrelevant", "p3": "partially"}
    expected = [key for key, verdict in verdicts.items() if verdict in drop]
    assert set(dropped) <= set(expected)
    if not prune:
        assert dropped == expected


@pytest.mark.parametrize("form", ["short", "long"])
def test_everything_dropped(form: str) -> None:
    drop = ("irrelevant", "no_support", "partially")
    retriever = ListRetriever(passages("w1", "w2", "w3"))
    rag, _ = scripted(THREE, retriever, form=form, drop=drop, mode="always")
    with rag:
        answer = rag.ask("Q")
    assert answer.status == "not_found" and answer.text == NOT_FOUND
    assert answer.answerable is False and answer.segments == () and answer.citations == ()
    assert any("dropped" in warning for warning in answer.warnings)
    assert [node["status"] for node in nodes(answer)] == ["root", *["dropped"] * 3]


def test_everything_dropped_at_the_second_level_keeps_the_first() -> None:
    script = {
        **one_level(("[Relevant]", 0.9, "a", {FULLY: 1.0}), ("[Irrelevant]", 0.9, "b", {})),
        FULLY: {"[Retrieval]": 1.0},
    }
    retriever = ListRetriever(passages("w1"), {"Q a": passages("w1", "w2")[1:]})
    rag, _ = scripted(script, retriever, drop=("irrelevant",), mode="always")
    with rag:
        answer = rag.ask("Q")
    assert answer.text == "a" and answer.status == "complete"
    assert any("dropped" in warning for warning in answer.warnings)


@pytest.mark.parametrize("form", ["short", "long"])
@pytest.mark.parametrize("prune", [False, True])
def test_ties_go_to_the_better_rank(form: str, prune: bool) -> None:
    script = one_level(*[("[Relevant]", 0.6, letter, {FULLY: 1.0}) for letter in "abc"])
    retriever = ListRetriever(passages("w1", "w2", "w3"))
    rag, _ = scripted(script, retriever, form=form, prune=prune, mode="always")
    with rag:
        answer = rag.ask("Q")
    assert answer.text == "a" and answer.citations[0].passage_id == "p1"


def node(identifier: int, score: float, rank: int = 0, final: float | None = None) -> SegmentNode:
    return SegmentNode(
        identifier, 0, 1, "retrieve", passage_rank=rank, path_score=score, final=final
    )


def test_finished_and_live_compete_for_the_same_places() -> None:
    search = BeamSearch(DecodingConfig(beam_width=2))
    weak_end, live, better_live = node(1, 1.0, final=9.0), node(2, 1.5), node(3, 2.0)
    assert search.close_level([weak_end, live, better_live]) == [better_live, live]
    assert search.pool == [] and weak_end.status == "unselected"
    assert search.best() is better_live
    end, other = node(4, 1.9, final=1.4), node(5, 1.8)
    assert search.close_level([other, end]) == [end, other]
    assert search.pool == [end] and search.live == [other]
    assert search.best() is end
    later = node(6, 3.0, final=2.5)
    search.close_level([later])
    assert search.pool == [end, later] and search.best() is later and search.live == []


def test_order_within_a_level_is_score_rank_id() -> None:
    search = BeamSearch(DecodingConfig(beam_width=4))
    candidates = [node(4, 1.0, 2), node(3, 1.0, 2), node(2, 1.0, 1), node(1, 2.0, 3), node(5, 0.0)]
    assert [n.id for n in search.close_level(candidates)] == [1, 2, 3, 4]
    pool = BeamSearch(DecodingConfig(beam_width=3))
    pool.close_level([node(3, 1.0, 2, final=2.0), node(2, 1.2, 1, final=2.0), node(1, 1, 3, 2.0)])
    best = pool.best()
    assert best is not None and best.id == 2


def test_an_unsupported_answer_is_a_draft_where_thresholds_are_known() -> None:
    retriever = ListRetriever(passages("w1", "w2", "w3"))
    for thresholds, expected in (
        (Calibration(0.5, 0.4), True),
        (Calibration(0.5, 0.6), False),
        (Calibration(0.5, 0.4, utility=-1.0), True),
        (Calibration(0.5, 0.4, utility=1.01), False),
    ):
        rag, _ = scripted(THREE, retriever, mode="always", calibration=thresholds, form="short")
        with rag:
            answer = rag.ask("Q")
        assert answer.answerable is expected
        assert answer.text == ("c" if expected else NOT_FOUND)
        assert answer.draft == (None if expected else "c")
        assert answer.status == ("complete" if expected else "not_found")
        assert bool(answer.citations) is expected and answer.segments[0].text == "c"


def test_no_passages_where_retrieval_was_wanted_is_not_supported() -> None:
    script: Script = {"[No Retrieval]": {"h": 1.0}, "h": {"[Utility:5]": 1.0}}
    rag, _ = scripted(script, ListRetriever(()), mode="always", calibration=Calibration(0.5, 0.5))
    with rag:
        answer = rag.ask("Q")
    assert answer.answerable is False and answer.text == NOT_FOUND and answer.draft == "h"
    rag, _ = scripted(script, ListRetriever(()), mode="never", calibration=Calibration(0.5, 0.5))
    with rag:
        answer = rag.ask("Q")
    assert answer.answerable is True and answer.text == "h"


def test_a_segment_that_repeats_its_path_is_no_candidate() -> None:
    """Retrieval finds the same passage again and greedy decoding the same sentence."""
    search = BeamSearch(DecodingConfig(beam_width=2))

    def add(parent, *text_ids):  # type: ignore[no-untyped-def]
        segment = SegmentDraft(text_ids, text_ids, (-0.1,) * len(text_ids), None, None)
        return search.tree.add(parent, "retrieve", segment, None, search.config)

    first = add(search.tree.root, 7, 8)
    search.close_level([first])
    again, new, empty = add(first, 7, 8), add(first, 7, 9), add(first)
    survivors = search.close_level([again, new, empty])
    assert again.status == "repeated"
    assert set(map(id, survivors)) == {id(new), id(empty)}
