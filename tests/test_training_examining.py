"""What an answer to a held-out row counts as."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexes.passage import Passage
from selfrag.answer import Answer, Citation, Decision, Question, Usage
from selfrag.evaluation.questions import EvaluationQuestion
from selfrag.training.sources import SourceRow, SourceSegment
from selfrag.training.steps.examining import _figures
from selfrag.training.steps.exams import Exam, FileExam, exam_of

REFUSAL = "I do not know."
ROW = SourceRow(
    "r",
    "Where is it?",
    (SourceSegment("It is big.", ("p1",)), SourceSegment("It is in Rome.", ("p2",))),
)


def exam(row: SourceRow = ROW, known: str = "p1 p2") -> Exam:
    return exam_of(row, lambda name: name in known.split())


def answer(text: str, *, action: str = "retrieve", cited: str = "", **others: object) -> Answer:
    values = {
        "question": "Where is it?",
        "text": text,
        "segments": (),
        "citations": tuple(
            Citation(number=1, passage_id=cited, title="", text="x", segments=(0,))
            for _ in ([cited] if cited else [])
        ),
        "decisions": (_decision(action),),
        "usage": Usage(),
    }
    return Answer(**{**values, **others})  # type: ignore[arg-type]


def _decision(action: str) -> Decision:
    import dataclasses

    given = {field.name: None for field in dataclasses.fields(Decision)}
    return Decision(**{**given, "action": action})  # type: ignore[arg-type]


def test_an_answer_that_is_right_in_every_way() -> None:
    found = exam().judge(answer("It is big. It is in Rome.", cited="p2"), REFUSAL)
    assert found == {
        "contained": True,
        "equal": True,
        "decision": True,
        "cited": True,
        "falsely refused": False,
    }


def test_the_last_sentence_is_enough_to_contain_the_answer() -> None:
    found = exam().judge(answer("Well, it is in Rome!", cited="p3"), REFUSAL)
    assert (found["contained"], found["equal"], found["cited"]) == (True, False, False)


def test_a_wrong_answer_without_retrieval() -> None:
    found = exam().judge(answer("It is in Romeville.", action="no_retrieval"), REFUSAL)
    assert not any(found.values())


@pytest.mark.parametrize(
    "said",
    [
        answer("i do not know"),
        answer("Nothing was found.", answerable=False),
        answer("", status="not_found"),
    ],
)
def test_a_refusal_is_right_where_the_evidence_is_nowhere(said: Answer) -> None:
    assert exam(known="").judge(said, REFUSAL) == {"refused": True, "decision": True}
    assert exam().judge(said, REFUSAL)["falsely refused"]
    assert exam(known="").judge(answer("It is in Rome."), REFUSAL)["refused"] is False


def test_a_row_that_needs_no_passage() -> None:
    row = SourceRow("r", "Say hello.", (SourceSegment("Hello.", ()),))
    found = exam(row).judge(answer("Hello.", action="no_retrieval"), REFUSAL)
    assert found == {
        "contained": True,
        "equal": True,
        "decision": True,
        "falsely refused": False,
    }
    assert exam(row).judge(answer("Hello."), REFUSAL)["decision"] is False


def test_what_is_only_there_to_be_judged_is_no_answer() -> None:
    row = replace(ROW, segments=(SourceSegment("It is small.", ("p1",), learnt=False),))
    assert set(exam(row).judge(answer("x"), REFUSAL)) == {"decision", "cited", "falsely refused"}


def test_an_output_of_which_nothing_more_is_known() -> None:
    row = SourceRow("r", "Where?", (), output="In Rome.", input="It")
    made = exam(row)
    assert made.question == Question("It", instruction="Where?")
    assert set(made.judge(answer("x"), REFUSAL)) == {"contained", "equal", "falsely refused"}


def test_passages_of_the_row_are_there_without_an_index() -> None:
    row = replace(ROW, passages=(Passage("p2", "", "It is in Rome."),))
    made = exam(row, known="")
    assert made.answerable
    assert made.evidence == ("p2",)
    assert made.question.passages == row.passages


def test_questions_of_a_file_are_judged_as_everywhere() -> None:
    asked = EvaluationQuestion(
        "q", "Where is it?", "two_hop", ("Rome",), evidence=(("p1",), ("p2",))
    )
    found = FileExam(asked).judge(answer("It is in Rome.", cited="p2"), REFUSAL)
    assert found["contained"] and found["decision"] and not found["falsely refused"]
    unknown = FileExam(replace(asked, kind="unanswerable", answers=(), evidence=()))
    assert unknown.judge(answer(REFUSAL), REFUSAL) == {"decision": True, "refused": True}
    greeting = FileExam(replace(asked, kind="no_retrieval", answers=(), evidence=()))
    found = greeting.judge(answer("Hello.", action="no_retrieval"), REFUSAL)
    assert found == {"decision": True, "falsely refused": False}


def test_shares_are_counted_by_data_set() -> None:
    rows = [
        {"dataset": "a", "measures": {"contained": True, "decision": True}},
        {"dataset": "a", "measures": {"contained": False}},
        {"dataset": "b", "measures": {"decision": False}},
    ]
    found = _figures(rows)
    assert list(found) == ["all", "a", "b"]
    counts = {
        name: {measure: (share["hits"], share["n"]) for measure, share in measures.items()}
        for name, measures in found.items()
    }
    assert counts == {
        "all": {"contained": (1, 2), "decision": (1, 2)},
        "a": {"contained": (1, 2), "decision": (1, 1)},
        "b": {"decision": (0, 1)},
    }
    # Wilson's interval of 1 of 2 at 95 %: 0.5 -+ 0.4055, by hand from (p + z^2/2n) / (1 + z^2/n).
    assert found["all"]["contained"]["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
