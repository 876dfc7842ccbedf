"""The published long form: every defect that changes a result is there, and not in ours."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import ScriptedBackend, tiny_prompts

from decoding.config import DecodingConfig
from decoding.released_text import fix_spacing, postprocess, write_with_citations
from selfrag.answer import Answer
from selfrag.rag import SelfRAG

Script = dict[str, dict[str, float]]

PROMPTS = tiny_prompts()
BARE = "### Response:\n"
FULLY = {
    "[Fully supported]": 0.9,
    "[Partially supported]": 0.06,
    "[No support / Contradictory]": 0.04,
}
WEAKLY = {
    "[Fully supported]": 0.5,
    "[Partially supported]": 0.3,
    "[No support / Contradictory]": 0.2,
}
MORE = {"[Retrieval]": 0.8, "[No Retrieval]": 0.1}
SCRIPT: Script = {
    "p</paragraph>": {"[Relevant]": 0.8, "[Irrelevant]": 0.1},
    "p</paragraph>[Relevant]": {"A": 0.9},
    "[Relevant]A": FULLY,
    "A[Fully supported]": MORE,
    "q</paragraph>": {"[Relevant]": 0.6, "[Irrelevant]": 0.3},
    "q</paragraph>[Relevant]": {"B": 0.9},
    "[Relevant]B": WEAKLY,
    "B[Fully supported]": MORE,
    "[Fully supported][Retrieval]": {"C": 0.9},
    "[Retrieval]C": {"</s>": 0.9},
}
"""Every segment asks for the next one; what is written after `[Retrieval]` is thrown away."""
PASSAGES = [{"id": "p", "title": "t", "text": "p"}, {"id": "q", "title": "t", "text": "q"}]

SCORE_P = 0.8 / 0.9 + 0.93
SCORE_Q = 0.6 / 0.9 + 0.65
"""Relevance plus support of the two passages' segments, by hand."""


def ask(script: Script, passages: list[Any] = PASSAGES, **options: Any) -> Answer:
    settings: dict[str, Any] = {
        "procedure": "released-long",
        "mode": "always",
        "max_segments": 3,
        "released_special_tokens": "kept",
    }
    with SelfRAG(ScriptedBackend(PROMPTS, script), PROMPTS) as rag:
        config = DecodingConfig(**(settings | options))
        return rag.ask("who?", passages=passages, config=config)


def finals(answer: Answer) -> list[float]:
    return [node["scores"]["final"] for node in answer.tree["nodes"][1:]]


def prompts(answer: Answer) -> list[str]:
    codec = PROMPTS.codec
    whole = [codec.literal(node["prompt_ids"]) for node in answer.tree["nodes"][1:]]
    return [text.split(BARE)[1] for text in whole]


def finishing(letter: str, utility: float = 0.9) -> Script:
    """The segment of this letter is the last one."""
    return {
        f"{letter}[Fully supported]": {"[Utility:5]": utility, "[Utility:1]": 1 - utility},
        f"{letter}[Fully supported][Utility:5]": {"</s>": 0.99},
    }


def test_scores_are_multiplied_along_the_path() -> None:
    answer = ask(SCRIPT)
    p, q = SCORE_P, SCORE_Q
    assert finals(answer) == pytest.approx([p, q, p * p, p * q, q * p, q * q])
    assert answer.score == pytest.approx(p * p)
    assert answer.text == "A A"
    paper = ask(SCRIPT, procedure="paper", allow_repeats=True)
    assert paper.score == pytest.approx(0.9 + SCORE_P)


def test_utility_sequence_and_weights_take_no_part() -> None:
    script = SCRIPT | finishing("A")
    plain = ask(script, max_segments=2)
    assert finals(plain) == pytest.approx([SCORE_P, SCORE_Q])
    weighted = ask(script, max_segments=2, w_rel=5.0, w_sup=0.0, w_use=3.0, w_seq=7.0)
    assert finals(weighted) == finals(plain)
    weighted = ask(script, max_segments=2, procedure="paper", w_use=3.0)
    assert weighted.score == pytest.approx(0.9 + SCORE_P + 3.0 * 0.8)


def test_a_child_stores_its_siblings_segment_for_its_parents() -> None:
    found = prompts(ask(SCRIPT, max_segments=4))
    first, second = "[Relevant]A[Fully supported]", "[Relevant]B[Fully supported]"
    passage = "[Retrieval]<paragraph>t\n{}</paragraph>"
    assert found[2] == first + passage.format("p")
    assert found[4] == first + second + passage.format("p"), "there is no A on this path"
    paper = prompts(ask(SCRIPT, procedure="paper"))
    assert paper[4].startswith(passage.format("q") + second), "ours keeps to the parent's path"
    assert "A" not in paper[4]


def test_a_later_sibling_loses_the_parents_segment() -> None:
    script = SCRIPT | {
        "[Fully supported][Retrieval]<paragraph>t\np</paragraph>": {"[Relevant]": 0.8},
        "[Fully supported][Retrieval]<paragraph>t\np</paragraph>[Relevant]": {"D": 0.9},
        "[Fully supported][Retrieval]<paragraph>t\nq</paragraph>": {"[Relevant]": 0.9},
        "[Fully supported][Retrieval]<paragraph>t\nq</paragraph>[Relevant]": {"E": 0.9},
        "[Relevant]D": FULLY,
        "[Relevant]E": FULLY,
        "D[Fully supported]": MORE,
        "E[Fully supported]": MORE,
    }
    found = prompts(ask(script, max_segments=4, beam_width=2))
    a, d, e = (f"[Relevant]{letter}[Fully supported]" for letter in "ADE")
    expanded = {text.split("[Retrieval]")[0] for text in found[6:]}
    assert expanded == {a + d, d + e}, "the path A, E is continued as D, E"


def test_the_path_has_no_passages() -> None:
    assert all(text.count("<paragraph>") == 1 for text in prompts(ask(SCRIPT)))
    paper = prompts(ask(SCRIPT, procedure="paper"))
    assert max(text.count("<paragraph>") for text in paper) > 1


def test_stripped_special_tokens_end_the_tree_at_one_level() -> None:
    answer = ask(SCRIPT, released_special_tokens="stripped")
    assert len(answer.tree["nodes"]) == 3
    assert answer.text == "AC", "nothing is cut at [Retrieval] either"
    assert len(ask(SCRIPT, procedure="paper").segments) > 1


WANTS: Script = {
    BARE: {"S": 0.6, "[Retrieval]": 0.3, "[No Retrieval]": 0.1},
    f"{BARE}S": {"[Retrieval]": 0.9},
    f"{BARE}S[Retrieval]": {"</s>": 0.9},
    f"{BARE}[No Retrieval]": {"N": 0.9},
    "[No Retrieval]N": {".": 1.0},
    "[No Retrieval]N.": {"M": 1.0},
    "[No Retrieval]N.M": {"</s>": 1.0},
}


def test_adaptive_needs_the_token_and_the_ratio() -> None:
    answer = ask(SCRIPT | WANTS, mode="adaptive")
    (decision,) = answer.decisions
    assert (decision.action, decision.reason) == ("retrieve", "threshold")
    assert decision.p_retrieve == pytest.approx(0.75)
    low = ask(SCRIPT | WANTS, mode="adaptive", released_threshold=0.8)
    assert (low.decisions[0].action, low.text) == ("no_retrieval", "N. M")
    assert any("L6" in warning for warning in low.warnings)
    plain = WANTS | {f"{BARE}S": {"</s>": 0.9}}
    assert ask(SCRIPT | plain, mode="adaptive").decisions[0].reason == "text"
    assert ask(SCRIPT | plain, mode="adaptive", procedure="paper").decisions[0].action == "retrieve"


def test_adaptive_without_a_threshold_never_retrieves() -> None:
    answer = ask(SCRIPT | WANTS, mode="adaptive", released_threshold=None)
    assert (answer.decisions[0].action, answer.decisions[0].reason) == (
        "no_retrieval",
        "no_threshold",
    )


def test_adaptive_with_stripped_tokens_never_retrieves() -> None:
    script = SCRIPT | WANTS | {BARE: {"[Retrieval]": 0.9, "[No Retrieval]": 0.05}}
    answer = ask(script, mode="adaptive", released_special_tokens="stripped")
    assert (answer.decisions[0].action, answer.decisions[0].reason) == ("no_retrieval", "text")
    assert ask(script, mode="adaptive", procedure="paper").decisions[0].action == "retrieve"


def test_mode_never_fails_after_writing() -> None:
    answer = ask(SCRIPT | WANTS, mode="never")
    assert (answer.status, answer.text, answer.draft) == ("failed", "", "N.M</s>")
    assert any("L7" in warning for warning in answer.warnings)


def test_a_missing_relevance_token_counts_minus_one_hundred() -> None:
    script = SCRIPT | {"p</paragraph>": {"[Relevant]": 0.9}, "q</paragraph>": {"[Irrelevant]": 0.9}}
    script["q</paragraph>[Irrelevant]"] = {"</s>": 1.0}
    assert finals(ask(script, max_segments=2)) == pytest.approx(
        [0.9 / (0.9 - 100) + 0.93, -100 / (0.9 - 100)]
    )
    paper = ask(script, max_segments=2, procedure="paper")
    assert paper.segments[0].p_relevant == pytest.approx(1.0)


def test_what_is_finished_is_lost_when_a_sibling_grows() -> None:
    script = SCRIPT | finishing("A", 1.0)
    script["q</paragraph>"] = {"[Relevant]": 0.5, "[Irrelevant]": 0.45}
    later = "[Fully supported][Retrieval]<paragraph>t\np</paragraph>"
    script[later] = {"[Relevant]": 0.5, "[Irrelevant]": 0.45}
    answer = ask(script)
    assert finals(answer)[0] == max(finals(answer))
    assert answer.text == "B A"
    statuses = [node["status"] for node in answer.tree["nodes"][1:3]]
    assert statuses == ["unselected", "live"]
    paper = ask(script, procedure="paper")
    assert paper.text == "A"


def test_passages_are_the_same_at_every_level() -> None:
    answer = ask(SCRIPT, max_segments=4)
    assert answer.usage.retrievals == 1
    assert ask(SCRIPT, procedure="paper").usage.retrievals > 1


@pytest.mark.parametrize(
    ("threshold", "levels"),
    [(0.2, 2), (0.49, 2), (0.51, 1), (1.0, 1), (-1.0, 2)],
)
def test_no_retrieval_is_looked_at_twice(threshold: float, levels: int) -> None:
    row = {"[No Retrieval]": 0.5, "[Retrieval]": 0.3, "[Continue to Use Evidence]": 0.1}
    script = SCRIPT | {
        "A[Fully supported]": row,
        "B[Fully supported]": row,
        "[Fully supported][No Retrieval]": {"</s>": 1.0},
    }
    answer = ask(script, released_threshold=threshold)
    assert max(node["depth"] for node in answer.tree["nodes"]) == levels


def test_no_retrieval_without_a_threshold_fails() -> None:
    script = SCRIPT | {"A[Fully supported]": {"[No Retrieval]": 0.9}}
    script["[Fully supported][No Retrieval]"] = {"</s>": 1.0}
    answer = ask(script, released_threshold=None)
    assert answer.status == "failed"
    assert any("TypeError" in warning for warning in answer.warnings)


def test_utility_without_grounding_fails() -> None:
    answer = ask(SCRIPT | finishing("A"), released_groundness=False)
    assert answer.status == "failed"
    assert any("AttributeError" in warning for warning in answer.warnings)


@pytest.mark.parametrize(("passages", "depth"), [([], 3), (PASSAGES, 1)])
def test_a_tree_without_levels_fails(passages: list[Any], depth: int) -> None:
    answer = ask(SCRIPT, passages, max_segments=depth)
    assert (answer.status, answer.text) == ("failed", "")
    assert any("KeyError" in warning for warning in answer.warnings)


def test_unsupported_segments_can_be_left_out_of_the_text() -> None:
    script = SCRIPT | {
        "[Relevant]A": {"[No support / Contradictory]": 0.9, "[Fully supported]": 0.1},
        "A[No support / Contradictory]": {"</s>": 1.0},
    }
    script["q</paragraph>"] = {"[Relevant]": 0.01, "[Irrelevant]": 0.0}
    assert ask(script, PASSAGES[:1]).text == "A"
    assert ask(script, PASSAGES[:1], drop=("no_support",)).text == ""
    stripped = {"released_special_tokens": "stripped", "drop": ("no_support",)}
    assert ask(script, PASSAGES[:1], **stripped).text == "A"


def test_the_citation_writer_in_an_answer() -> None:
    answer = ask(SCRIPT | finishing("A", 1.0), released_writer="asqa")
    assert answer.text == " [1].  [2]."
    assert [(c.number, c.passage_id, c.segments) for c in answer.citations] == [
        (1, "q", (0,)),
        (2, "p", (1,)),
    ]


@pytest.mark.parametrize(
    ("paths", "text", "positions"),
    [
        ([["", "One.", "Two."]], "One [1]. Two [2].", (1, 2)),
        ([["", "One.", "One.", "Two."]], "One [1]. Two [3].", (1, 3)),
        ([["", "No stop"]], "No sto [1].", (1,)),
        ([["", "[Relevant]It is 3.5 m.[Fully supported]"]], "It is 3. 5 m [1].", (1,)),
        ([["", "One.", "Two. [Continue to Use Evidence]"]], None, (1, 2)),
        ([["", ""], ["", "Other."]], "Other [1].", (1,)),
    ],
)
def test_the_citation_writer(
    paths: list[list[str]], text: str | None, positions: tuple[int, ...]
) -> None:
    cited = write_with_citations(paths)
    assert cited is not None
    assert cited.positions == positions
    if text is not None:
        assert cited.text == text


def test_the_citation_writer_takes_a_leaked_token_for_passage_one() -> None:
    cited = write_with_citations([["", "One.", "Two.[Continue to Use Evidence]Three."]])
    assert cited is not None
    assert cited.text == "One [1]. Two [1]. Three [2]."


def test_the_citation_writer_without_a_second_path() -> None:
    assert write_with_citations([["", ""]]) is None
    script = SCRIPT | {"p</paragraph>": {"[Relevant]": 0.8}, "p</paragraph>[Relevant]": MORE}
    script["[Relevant][Retrieval]"] = {"</s>": 1.0}
    script["p</paragraph>"] = {"</s>": 0.9, "[Relevant]": 0.1}
    answer = ask(script, PASSAGES[:1], released_writer="asqa")
    assert answer.text == ""
    assert any("L11" in warning for warning in answer.warnings)


def test_spacing_is_damaged_and_a_token_leaks() -> None:
    assert fix_spacing("$3.5 in the U.S. Wow!Yes") == "$3. 5 in the U. S. Wow! Yes"
    text = " [Relevant]A.[Continue to Use Evidence]B[Utility:5]</s>"
    assert postprocess(text) == "A.[Continue to Use Evidence]B"


def test_a_stream_ends_with_the_same_answer() -> None:
    expected = ask(SCRIPT)
    with SelfRAG(ScriptedBackend(PROMPTS, SCRIPT), PROMPTS) as rag:
        config = DecodingConfig.from_dict(expected.configuration)
        events = list(rag.stream("who?", passages=PASSAGES, config=config))
    assert events[-1].type == "run.finished"
    assert events[-1].data["answer"]["text"] == expected.text
    committed = [event.data["text"] for event in events if event.type == "segment.committed"]
    assert committed == ["A", "A"]
