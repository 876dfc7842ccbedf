"""The published short form: every defect that changes a result is there, and not in ours."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tiny_models import ScriptedBackend, tiny_prompts

from decoding.config import DecodingConfig
from decoding.released_text import postprocess_option, strip_leading_mark
from selfrag.answer import Answer, Budget
from selfrag.rag import SelfRAG

Row = dict[str, float]
Script = dict[str, Row]

BARE = "### Response:\n"
FULLY = {
    "[Fully supported]": 0.7,
    "[Partially supported]": 0.2,
    "[No support / Contradictory]": 0.1,
}
SCRIPT: Script = {
    BARE: {"[Retrieval]": 0.95, "[No Retrieval]": 0.03},
    f"{BARE}[No Retrieval]": {"N": 0.9},
    "[No Retrieval]N": {"\n": 0.9},
    "[No Retrieval]N\n": {"M": 0.9},
    "[No Retrieval]N\nM": {"</s>": 0.9},
    "p</paragraph>": {"[Relevant]": 0.8, "[Irrelevant]": 0.1},
    "p</paragraph>[Relevant]": {"A": 0.6},
    "[Relevant]A": FULLY,
    "A[Fully supported]": {"[Utility:5]": 0.9, "[Utility:1]": 0.1},
    "A[Fully supported][Utility:5]": {"</s>": 0.99},
    "q</paragraph>": {"[Relevant]": 0.9, "[Irrelevant]": 0.1},
    "q</paragraph>[Relevant]": {"B": 0.8},
    "[Relevant]B": FULLY,
    "B[Fully supported]": {"[Utility:5]": 0.6, "[Utility:1]": 0.4},
    "B[Fully supported][Utility:5]": {"</s>": 0.99},
}
PROMPTS = tiny_prompts()
PASSAGES = [{"id": "p", "title": "t", "text": "p"}, {"id": "q", "title": "t", "text": "q"}]

RELEVANT_P = (0.8 * 0.6 * 0.7 * 0.9 * 0.99) ** 0.2 + 0.8 / 0.9 + 0.8
RELEVANT_Q = (0.9 * 0.8 * 0.7 * 0.6 * 0.99) ** 0.2 + 0.9 + 0.8
"""Sequence, relevance and support scores of the two candidates, by hand."""


def ask(
    script: Script, passages: list[Any] = PASSAGES, budget: Budget | None = None, **options: Any
) -> Answer:
    settings: dict[str, Any] = {"procedure": "released-short", "form": "short", "passages": 5}
    extra = {key: options.pop(key) for key in ("options",) if key in options}
    prompts = PROMPTS
    with SelfRAG(ScriptedBackend(prompts, script), prompts) as rag:
        config = DecodingConfig(**(settings | options))
        return rag.ask("who?", passages=passages, config=config, budget=budget, **extra)


def test_the_decision_is_turned_round_by_the_logarithms() -> None:
    released = ask(SCRIPT)
    (decision,) = released.decisions
    assert decision.p_retrieve == pytest.approx(math.log(0.95) / (math.log(0.95) + math.log(0.03)))
    assert decision.p_retrieve == pytest.approx(0.0144, abs=1e-4)
    assert (decision.action, decision.reason) == ("no_retrieval", "log_ratio")
    assert released.text == "NM"
    paper = ask(SCRIPT, procedure="paper")
    assert paper.decisions[0].action == "retrieve"
    assert paper.decisions[0].p_retrieve == pytest.approx(0.95 / 0.98)


def test_a_small_probability_of_retrieval_retrieves() -> None:
    script = SCRIPT | {BARE: {"[Retrieval]": 0.03, "[No Retrieval]": 0.95}}
    assert ask(script).decisions[0].action == "retrieve"
    assert ask(script, procedure="paper").decisions[0].action == "no_retrieval"


def test_scores_count_control_tokens_and_the_end_of_text() -> None:
    answer = ask(SCRIPT, mode="always")
    scores = [node["scores"]["final"] for node in answer.tree["nodes"][1:]]
    assert scores == pytest.approx([RELEVANT_P + 0.8, RELEVANT_Q + 0.2])
    assert answer.text == "A"
    assert answer.score == pytest.approx(RELEVANT_P + 0.8)


def test_utility_weighs_one_unless_told_otherwise() -> None:
    script = SCRIPT | {"B[Fully supported]": {"[Utility:5]": 0.86, "[Utility:1]": 0.14}}
    base_q = (0.9 * 0.8 * 0.7 * 0.86 * 0.99) ** 0.2 + 0.9 + 0.8
    assert base_q + 0.72 < RELEVANT_P + 0.8, "p wins where utility weighs 1"
    assert base_q + 0.36 > RELEVANT_P + 0.4, "q wins where it weighs 1/2"
    assert ask(script, mode="always").text == "A"
    assert ask(script, mode="always", w_use=0.5).text == "A"
    assert ask(script, mode="always", released_w_use=0.5).text == "B"
    assert ask(script, mode="always", procedure="paper").text == "B"


@pytest.mark.parametrize(
    ("flag", "missing"),
    [("seqscore", (0.8 * 0.6 * 0.7 * 0.9 * 0.99) ** 0.2), ("groundness", 0.8), ("utility", 0.8)],
)
def test_a_flag_that_is_off_drops_its_term(flag: str, missing: float) -> None:
    answer = ask(SCRIPT, mode="always", **{f"released_{flag}": False})
    assert answer.tree["nodes"][1]["scores"]["final"] == pytest.approx(RELEVANT_P + 0.8 - missing)


def test_what_was_never_written_counts_nothing() -> None:
    answer = ask(SCRIPT, mode="always", max_segment_tokens=2)
    expected = (0.8 * 0.6) ** 0.5 + 0.8 / 0.9
    assert answer.tree["nodes"][1]["scores"]["final"] == pytest.approx(expected)
    assert answer.text == "B"


def test_the_end_of_text_counts_only_within_the_limit() -> None:
    at_limit = ask(SCRIPT, mode="always", max_segment_tokens=4).tree["nodes"][1]
    expected = (0.8 * 0.6 * 0.7 * 0.9) ** 0.25 + 0.8 / 0.9 + 0.8 + 0.8
    assert at_limit["scores"]["final"] == pytest.approx(expected)


def test_generation_runs_through_control_tokens() -> None:
    script = SCRIPT | {
        "A[Fully supported]": {"[Retrieval]": 0.9},
        "A[Fully supported][Retrieval]": {"C": 0.9},
        "[Retrieval]C": {"[Utility:5]": 1.0},
        "[Retrieval]C[Utility:5]": {"D": 0.9},
        "[Utility:5]D": {"</s>": 1.0},
    }
    assert ask(script, mode="always").text == "ACD"
    assert ask(script, mode="always", procedure="paper").tree["nodes"][1]["text"] == "A"


def test_the_best_candidate_is_not_post_processed() -> None:
    script = SCRIPT | {"p</paragraph>[Relevant]": {"\n": 0.6}, "[Relevant]\n": {"A": 1.0}}
    script["[Relevant]\nA"] = FULLY
    kept = ask(script, mode="always", released_special_tokens="kept")
    assert kept.text == "[Relevant]\nA[Fully supported][Utility:5]</s>"
    assert ask(script, mode="always").text == "\nA"


def test_closed_sets_add_up_exact_strings() -> None:
    script = {key: row for key, row in SCRIPT.items() if "A" not in key and "B" not in key}
    for passage, key, relevant in (("p", "X", 0.8), ("q", "X.", 0.7), ("r", "Y", 0.9)):
        script[f"{passage}</paragraph>"] = {"[Relevant]": relevant, "[Irrelevant]": 1 - relevant}
        script[f"{passage}</paragraph>[Relevant]"] = {key[0]: 0.9}
    script |= {
        "q</paragraph>[Relevant]X": {".": 1.0},
        "[Relevant]X": {"</s>": 1.0},
        "[Relevant]X.": {"</s>": 1.0},
        "[Relevant]Y": {"</s>": 1.0},
        BARE: {"[Retrieval]": 0.5, "[No Retrieval]": 0.5},
        "Y: y\n\n### Response:\n": {"[Retrieval]": 0.5, "[No Retrieval]": 0.5},
    }
    passages = [*PASSAGES, {"id": "r", "title": "t", "text": "r"}]
    options = {"X": "x", "Y": "y"}
    released = ask(script, passages, options=options)
    scores = released.option_scores
    assert scores is not None
    assert list(scores) == ["X", "X.", "Y"]
    assert scores["X"] == pytest.approx((0.8 * 0.9) ** (1 / 3) + 0.8)
    assert scores["X."] == pytest.approx((0.7 * 0.9) ** (1 / 4) + 0.7)
    assert (released.text, released.choice) == ("Y", "Y")
    paper = ask(script, passages, options=options, procedure="paper")
    assert paper.choice == "X"


def test_passages_are_not_merged() -> None:
    twice = [PASSAGES[0], {**PASSAGES[0], "id": "again"}]
    assert len(ask(SCRIPT, twice, mode="always").tree["nodes"]) == 3
    assert len(ask(SCRIPT, twice, mode="always", procedure="paper").tree["nodes"]) == 2


@pytest.mark.parametrize(
    ("passages", "options", "failure"),
    [
        (PASSAGES, {"released_threshold": None}, "S4"),
        (PASSAGES[:1], {"mode": "always"}, "AttributeError"),
        ([], {"mode": "always"}, "IndexError"),
        ([], {"released_threshold": 0.0}, "UnboundLocalError"),
    ],
)
def test_where_the_script_fails_the_answer_says_so(
    passages: list[Any], options: dict[str, Any], failure: str
) -> None:
    answer = ask(SCRIPT, passages, **options)
    assert (answer.status, answer.text) == ("failed", "")
    assert any(failure in warning for warning in answer.warnings)
    if len(passages) == 1:
        assert answer.draft == "A"


def test_an_impossible_token_fails_the_decision() -> None:
    answer = ask(SCRIPT | {BARE: {"[No Retrieval]": 0.9}})
    assert answer.status == "failed"
    assert any("S3" in warning for warning in answer.warnings)


def test_never_answers_with_the_post_processed_text() -> None:
    answer = ask(SCRIPT, mode="never")
    assert (answer.text, answer.usage.retrievals) == ("NM", 0)


def test_an_empty_prediction_is_reported() -> None:
    answer = ask(SCRIPT | {f"{BARE}[No Retrieval]": {"</s>": 1.0}}, mode="never")
    assert (answer.text, answer.status) == ("", "complete")
    assert any("first character" in warning for warning in answer.warnings)


def test_budgets_hold() -> None:
    answer = ask(SCRIPT, mode="always", budget=Budget(max_generated_tokens=4))
    assert answer.status == "budget"
    assert answer.usage.generated_tokens <= 4


def test_a_passage_that_does_not_fit_is_left_out() -> None:
    passages = [*PASSAGES, {"id": "long", "title": "t", "text": "long " * 600}]
    answer = ask(SCRIPT, passages, mode="always")
    assert answer.text == "A"
    assert any("'long'" in warning and "does not fit" in warning for warning in answer.warnings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Relevant]A.[Fully supported][Utility:5]</s>", "A."),
        (" A\nB<|endoftext|>", " AB"),
        ("A[Continue to Use Evidence]B", "A[Continue to Use Evidence]B"),
    ],
)
def test_post_processing_of_options(text: str, expected: str) -> None:
    assert postprocess_option(text) == expected


def test_a_leading_mark_is_cut() -> None:
    assert [strip_leading_mark(text) for text in ("#A", ":A", "A#", "")] == ["A", "A", "A#", ""]
