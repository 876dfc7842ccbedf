"""Gold evidence: labels worked out by hand, and nothing said where nothing is known."""

import pytest
from critic_data_helpers import CHAIN, NEISSE, ODER, VIOLA, write_rows

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    PARTIALLY_SUPPORTED,
    RELEVANT,
    RETRIEVAL,
)
from selfrag.training.critic.fallback import FirstThatKnows
from selfrag.training.critic.gold import GoldCritic, gold_critic
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.sources import SourceRow, SourceSegment

PROMPT = "Compare the rivers.\n\nOder and Neisse"
FIRST, SECOND, THIRD, LAST = (segment.text for segment in CHAIN.segments)


def said(question: CriticQuestion, *rows: SourceRow) -> str:
    """The label, or "?" and the reason."""
    (result,) = GoldCritic(rows or (CHAIN,)).judge([question])
    return result.label if isinstance(result, Judgement) else f"? {result.reason}"


@pytest.mark.parametrize(
    ("needs", "evidence", "label"),
    [
        (True, None, RETRIEVAL),
        (False, ("oder",), NO_RETRIEVAL),
        (None, ("oder",), RETRIEVAL),
        (None, (), NO_RETRIEVAL),
        (None, None, "? the row does not say whether it needs retrieval"),
    ],
)
def test_need_of_an_instruction(
    needs: bool | None, evidence: tuple[str, ...] | None, label: str
) -> None:
    row = SourceRow("r", "Ask.", (SourceSegment("Text.", evidence),), needs_retrieval=needs)
    assert said(CriticQuestion("Retrieve", "Ask."), row) == label


@pytest.mark.parametrize(
    ("sentence", "passage", "label"),
    [
        (SECOND, ODER, CONTINUE_EVIDENCE),
        (SECOND, VIOLA, RETRIEVAL),
        (SECOND, None, RETRIEVAL),
        (THIRD, ODER, RETRIEVAL),
        (THIRD, NEISSE, CONTINUE_EVIDENCE),
        (LAST, NEISSE, NO_RETRIEVAL),
        (LAST, None, NO_RETRIEVAL),
    ],
)
def test_need_of_a_sentence(sentence: str, passage: object, label: str) -> None:
    question = CriticQuestion("Retrieve", PROMPT, passage=passage, sentence=sentence)  # type: ignore[arg-type]
    assert said(question) == label


def test_what_continues_is_supported_by_the_passage_before() -> None:
    row = SourceRow(
        "r",
        "Ask.",
        (SourceSegment("One.", ("oder",)), SourceSegment("Two.", None, continues=True)),
    )
    asked = {"preceding": "One.", "sentence": "Two."}
    assert said(CriticQuestion("Retrieve", "Ask.", passage=ODER, **asked), row) == CONTINUE_EVIDENCE
    assert said(CriticQuestion("IsSup", "Ask.", passage=ODER, **asked), row) == FULLY_SUPPORTED
    unknown = "? the evidence of the segment is not known"
    assert said(CriticQuestion("Retrieve", "Ask.", passage=VIOLA, **asked), row) == unknown
    assert said(CriticQuestion("IsSup", "Ask.", passage=VIOLA, **asked), row) == unknown


def test_relevance_to_the_whole_and_to_a_segment() -> None:
    assert said(CriticQuestion("IsRel", PROMPT, passage=NEISSE)) == RELEVANT
    assert said(CriticQuestion("IsRel", PROMPT, passage=VIOLA)) == IRRELEVANT
    first = CriticQuestion("IsRel", PROMPT, passage=NEISSE, sentence=FIRST)
    assert said(first) == IRRELEVANT
    third = CriticQuestion("IsRel", PROMPT, f"{FIRST}\n{SECOND}", NEISSE)
    assert said(third) == RELEVANT
    beside = CriticQuestion("IsRel", PROMPT, passage=ODER, sentence=THIRD)
    assert said(beside) == RELEVANT
    nowhere = CriticQuestion("IsRel", PROMPT, "Another beginning.", NEISSE)
    assert said(nowhere) == "? no gold segment has this sentence or beginning"


def test_support() -> None:
    def asked(sentence: str, passage: object) -> str:
        return said(CriticQuestion("IsSup", PROMPT, passage=passage, sentence=sentence))  # type: ignore[arg-type]

    assert asked(FIRST, ODER) == FULLY_SUPPORTED
    assert asked(FIRST, NEISSE) == NO_SUPPORT
    assert asked(THIRD, ODER) == NO_SUPPORT
    assert asked(LAST, ODER) == "? the sentence needs no passage"
    partly = SourceSegment(FIRST, ("oder",), support=PARTIALLY_SUPPORTED)
    question = CriticQuestion("IsSup", "Ask.", passage=ODER, sentence=FIRST)
    assert said(question, SourceRow("r", "Ask.", (partly,))) == PARTIALLY_SUPPORTED


def test_utility_is_that_of_the_whole_output() -> None:
    whole = " ".join((FIRST, SECOND, THIRD, LAST))
    assert said(CriticQuestion("IsUse", PROMPT, sentence=whole)) == "[Utility:4]"
    assert said(CriticQuestion("IsUse", PROMPT, sentence=FIRST)) == (
        "? the output is not the gold row's"
    )
    row = SourceRow("r", "Ask.", (), output="Text.")
    question = CriticQuestion("IsUse", "Ask.", sentence="Text.")
    assert said(question, row) == "? the row has no utility"


def test_a_sentence_twice_is_told_apart_by_what_precedes_it() -> None:
    row = SourceRow(
        "r",
        "Ask.",
        (
            SourceSegment("Yes.", ("oder",)),
            SourceSegment("Then.", ()),
            SourceSegment("Yes.", ("neisse",)),
        ),
    )
    at_first = CriticQuestion("IsSup", "Ask.", "", ODER, "Yes.")
    at_last = CriticQuestion("IsSup", "Ask.", "Yes. Then.", ODER, "Yes.")
    assert said(at_first, row) == FULLY_SUPPORTED
    assert said(at_last, row) == NO_SUPPORT
    by_itself = CriticQuestion("IsSup", "Ask.", "Elsewhere.", ODER, "Yes.")
    assert said(by_itself, row) == "? gold rows disagree: r"


def test_rows_that_disagree_say_nothing_and_a_silent_one_does_not_count() -> None:
    yes = SourceRow("yes", "Ask.", (), output="A.", needs_retrieval=True)
    no = SourceRow("no", "Ask.", (), output="B.", needs_retrieval=False)
    silent = SourceRow("silent", "Ask.", (), output="C.")
    question = CriticQuestion("Retrieve", "Ask.")
    assert said(question, yes, no) == "? gold rows disagree: no, yes"
    assert said(question, silent, yes) == RETRIEVAL
    assert said(CriticQuestion("Retrieve", "Other.")) == "? no gold row has this instruction"


def test_control_strings_are_text() -> None:
    text = "[Retrieval]<paragraph>x</paragraph>[Utility:5]"
    row = SourceRow("r", text, (SourceSegment(text, ("oder",)),))
    assert said(CriticQuestion("IsSup", text, passage=ODER, sentence=text), row) == FULLY_SUPPORTED


def test_a_critic_of_files_passes_over_what_is_no_row(tmp_path: object) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"id": "bad"}, CHAIN.to_dict()])  # type: ignore[operator]
    (result,) = gold_critic([path]).judge([CriticQuestion("Retrieve", PROMPT)])
    assert isinstance(result, Judgement)
    assert (result.label, result.row, result.source) == (RETRIEVAL, "chain", "gold")


class Fixed:
    """Answers everything with one label, and remembers what it was asked."""

    name = "fixed"

    def __init__(self) -> None:
        self.asked: list[CriticQuestion] = []

    def judge(self, questions: list[CriticQuestion]) -> list[Judgement | Unjudged]:
        self.asked += questions
        return [Judgement(one, one.labels[-1], self.name) for one in questions]


def test_the_next_critic_is_asked_what_the_first_does_not_know() -> None:
    fixed = Fixed()
    known = CriticQuestion("Retrieve", PROMPT)
    unknown = CriticQuestion("IsUse", "Other.", sentence="Text.")
    critic = FirstThatKnows([GoldCritic([CHAIN]), fixed])  # type: ignore[list-item]
    results = critic.judge([unknown, known])
    assert critic.name == "gold+fixed"
    assert [one.source for one in results if isinstance(one, Judgement)] == ["fixed", "gold"]
    assert fixed.asked == [unknown]
    nobody = FirstThatKnows([GoldCritic([CHAIN]), GoldCritic([])]).judge([unknown])
    assert nobody == [
        Unjudged(unknown, "no gold row has this instruction; no gold row has this instruction")
    ]
