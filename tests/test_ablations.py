"""Ablations: rows without passages or judgements, parts of the data, and the comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sample_answers import make_answer

from decoding.config import DecodingConfig
from indexes.passage import Passage
from selfrag.evaluation.ablations import AFTER_TRAINING, AT_TEST, ablate_at_test, markdown
from selfrag.evaluation.outcomes import Outcome
from selfrag.evaluation.questions import EvaluationQuestion
from selfrag.training.generator.variants import (
    answered,
    part_of,
    without_critic,
    without_retriever,
)
from selfrag.training.rows import PROMPT_END, TrainingRow, TreeSegment

R, REL, IRR, FULL = "[Retrieval]", "[Relevant]", "[Irrelevant]", "[Fully supported]"
P = [Passage(f"p{number}", "", f"text {number}") for number in range(4)]
ROW = TrainingRow(
    "r",
    "Ask?",
    (
        TreeSegment(PROMPT_END, R, "", P[0], IRR),
        TreeSegment(PROMPT_END, R, "One.", P[1], REL, FULL),
        TreeSegment(PROMPT_END, R, "No.", P[2], IRR, FULL, 1, learnt=False, accepted=True),
        TreeSegment(1, R, "Two.", P[3], REL, FULL, 5),
        TreeSegment(1, R, "", P[1], IRR),
    ),
)
REFUSAL = TrainingRow(
    "n", "Ask?", (TreeSegment(PROMPT_END, R, "I do not know.", P[0], IRR, "", 1),)
)
TALK = TrainingRow("t", "Hi", (TreeSegment(PROMPT_END, "[No Retrieval]", "Hello!", utility=5),))


def test_the_answer_is_the_path_with_the_highest_utility() -> None:
    assert [one.sentence for one in answered(ROW)] == ["One.", "Two."]
    unlearnt = TrainingRow("u", "Ask?", (ROW.segments[2],))
    assert answered(unlearnt) == ()


def test_rows_without_a_retriever_have_no_passage() -> None:
    made, refusal, talk = without_retriever([ROW, REFUSAL, TALK])
    assert made.segments == (
        TreeSegment(PROMPT_END, "[No Retrieval]", "One."),
        TreeSegment(0, "[No Retrieval]", "Two.", utility=5),
    )
    assert refusal.segments[0].sentence == "I do not know." and talk == TALK


def test_rows_without_a_critic_take_what_was_found_first() -> None:
    made, talk = without_critic([ROW, REFUSAL, TALK])
    assert made.segments == (
        TreeSegment(PROMPT_END, R, "One.", P[0], REL, FULL),
        TreeSegment(0, R, "Two.", P[3], REL, FULL, 5),
    )
    assert talk == TALK


def test_a_smaller_part_is_in_a_larger() -> None:
    rows = [TrainingRow(str(n), "Ask?", TALK.segments) for n in range(400)]
    quarter, half = ({row.id for row in part_of(rows, share)} for share in (0.25, 0.5))
    assert quarter < half and 70 < len(quarter) < 130 and 160 < len(half) < 240
    assert len(list(part_of(rows, 1))) == 400
    with pytest.raises(ValueError, match="share"):
        list(part_of(rows, 0))


def test_every_variant_is_compared_with_the_full_procedure() -> None:
    questions = [
        EvaluationQuestion(str(n), f"Q{n}?", "two_hop" if n % 2 else "single_hop", ("a",))
        for n in range(8)
    ]
    asked: list[DecodingConfig] = []

    def ask(given: Sequence[EvaluationQuestion], config: DecodingConfig) -> Sequence[Outcome]:
        asked.append(config)
        right = 6 if config.mode == "adaptive" and config.passages > 1 else 2
        return [
            Outcome(
                question=one,
                answer=make_answer(),
                right=place < right,
                cited=True,
                retrieved_first=True,
                decided=True,
                refused=False,
            )
            for place, one in enumerate(given)
        ]

    made = ablate_at_test(ask, questions, DecodingConfig())
    assert [one.name for one in made] == list(AT_TEST) and len(asked) == len(AT_TEST)
    by_name = {one.name: one for one in made}
    assert by_name["full"].against_full == {}
    assert by_name["full"].accuracy["all"].hits == 6
    top = by_name["top-1 only"].against_full
    assert top["all"].difference.value == -0.5 and top["all"].only_right == 4
    assert top["two_hop"].difference.value == -0.5
    assert by_name["no IsSup"].against_full["all"].difference.value == 0
    table = markdown(made).splitlines()
    assert len(table) == 2 + len(AT_TEST) and "| top-1 only | 25.0% [" in table[5]
    assert "| -50.0 [" in table[5]


def test_every_change_is_a_valid_configuration() -> None:
    for changes in (*AT_TEST.values(), *AFTER_TRAINING.values()):
        DecodingConfig().replace(**changes)
