"""How answers are judged, kind by kind: verdicts, options, hops, parts, evidence, refusals."""

from __future__ import annotations

import pytest
from sample_answers import spoken

from selfrag.answer import NOT_FOUND
from selfrag.controller.options import listed_options, question_with_options, read_option
from selfrag.evaluation.outcomes import judge
from selfrag.evaluation.questions import EvaluationQuestion
from selfrag.evaluation.verdicts import read_verdict, verdict_of_answer

OPTIONS = {"A": "Lomé", "B": "Bamako", "C": "Niamey"}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The capital of Mali is Bamako, so the statement is true.", True),
        ("FALSE.", False),
        ("Yes, Accra is its capital.", True),
        ("No, its capital is Accra.", False),
        ("The answer is no.", False),
        ("No river flows there, so the statement is true.", True),
        ("Dr. No was made in 1962, so it is false.", False),
        ("It is true, not false.", None),
        ("Yes, that is false.", None),
        ("The statement is not true.", None),
        ("It isn't true.", None),
        ("It is no longer true.", None),
        ("The capital of Mali is Bamako.", None),
        ("It is untrue; truth is hard.", None),
        ("", None),
        (NOT_FOUND, None),
    ],
)
def test_verdicts(text: str, verdict: bool | None) -> None:
    assert read_verdict(text) is verdict


def test_verdicts_of_answers() -> None:
    assert {verdict_of_answer(text) for text in ("True", "yes", " SUPPORTED ", "supports")} == {
        True
    }
    assert {verdict_of_answer(text) for text in ("False", "NO", "Refuted", "refutes")} == {False}
    assert verdict_of_answer("not true") is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The capital of Mali is Bamako, so the answer is B.", "B"),
        ("Bamako is not Lomé, so the answer is B.", "B"),
        ("the answer is (B)", "B"),
        ("Answer: B", "B"),
        ('The right option is "B", of course.', "B"),
        ("The answer is option B because it is.", "B"),
        ("The answer is A, not B.", "A"),
        ("The answer is A or B.", None),
        ("The answer is A. No, the answer is B.", None),
        ("The answer is a city.", None),
        ("The answer is a city, Niamey.", "C"),
        ("The answer is A city of note, Niamey.", "C"),
        ("The answer is Bamako.", "B"),
        ("The answer is D.", None),
        ("The answer is not B.", None),
    ],
)
def test_stated_options(text: str, key: str | None) -> None:
    assert read_option(text, OPTIONS) == key


def test_listed_options_are_the_inverse_of_listing() -> None:
    from selfrag.answer import Question

    assert listed_options(question_with_options(Question("Which?", options=OPTIONS))) == OPTIONS
    assert listed_options("Which? A) Lomé, B) Bamako; C) Niamey") == OPTIONS
    assert listed_options("Which?\n(A) Lomé\n(B) Bamako\n(C) Niamey\nChoose one.") == OPTIONS
    assert listed_options("Is vitamin A. good?") == {}
    assert listed_options("Which? B: Lomé C: Bamako") == {}
    assert listed_options("Which? A: B: Bamako") == {}


def question(kind: str, *answers: str, **values: object) -> EvaluationQuestion:
    return EvaluationQuestion("1", "Q?", kind, answers, **values)  # type: ignore[arg-type]


def test_a_hop_has_25_words_a_segment() -> None:
    long = "word " * 49 + "Accra"
    hop = question("two_hop", "Accra", evidence=(("p1",), ("p2", "p3")))
    two = judge(hop, spoken(long, "p1", "p3", cited={"p1": "x", "p3": "Accra"}))
    assert two.right and two.cited and two.evidence_cited and two.different_passages == 2
    one = judge(hop, spoken(long, "p1", cited={"p3": "x"}))
    assert not one.right and not one.cited and one.evidence_cited is False
    same = judge(hop, spoken("Accra", "p1", "p1", None))
    assert same.right and same.different_passages == 1
    assert not judge(question("single_hop", "Accra"), spoken(long, "p1", "p3")).right
    assert judge(question("single_hop", "Accra"), spoken("Accra")).evidence_cited is None


def test_a_long_form_needs_every_part() -> None:
    asked = question("long_form", parts=(("Accra",), ("cedi", "Ghanaian cedi")))
    whole = judge(asked, spoken("It is Accra. It pays in cedi.", "p1", "p2"))
    assert (whole.right, whole.parts_found, whole.cited) == (True, 2, False)
    half = judge(asked, spoken("It is Accra.", "p1", cited={"p1": "Accra has the cedi."}))
    assert (half.right, half.parts_found, half.cited) == (False, 1, True)
    assert judge(question("long_form", "cedi", "Accra"), spoken("It is Accra.")).right
    assert not judge(asked, spoken("word " * 24 + "Accra cedi", "p1")).right


def test_fact_checks() -> None:
    asked = question("fact_check", "refuted", evidence=(("p1",),))
    right = judge(asked, spoken("The statement is false.", "p1", cited={"p1": "x"}))
    assert (right.right, right.read, right.cited) == (True, "false", True)
    assert not judge(asked, spoken("The statement is false.", cited={"p2": "x"})).cited
    wrong = judge(asked, spoken("The statement is true."))
    assert (wrong.right, wrong.read) == (False, "true")
    assert judge(asked, spoken("Who knows.")).read is None
    assert judge(question("fact_check", "no"), spoken("No.", cited={"p2": "x"})).cited


def test_multiple_choice() -> None:
    asked = question("multiple_choice", "B", options=tuple(OPTIONS.items()))
    right = judge(asked, spoken("So the answer is B.", cited={"p": "Bamako is a city."}))
    assert (right.right, right.read, right.cited) == (True, "B", True)
    assert judge(asked, spoken("It is Bamako.")).right
    wrong = judge(asked, spoken("C", cited={"p": "Plan B"}))
    assert (wrong.right, wrong.read, wrong.cited) == (False, "C", False)


def test_a_refusal_is_no_verdict_and_no_option() -> None:
    yes_or_no = (("A", "Yes"), ("B", "No"))
    refusal = spoken(NOT_FOUND, refused=True, draft="The answer is B, so no.")
    asked = question("multiple_choice", "B", options=yes_or_no)
    assert read_option(NOT_FOUND, dict(yes_or_no)) == "B"
    outcome = judge(asked, refusal)
    assert (outcome.right, outcome.read, outcome.refused) == (False, None, True)
    assert outcome.written_right
    outcome = judge(question("fact_check", "false"), refusal)
    assert (outcome.right, outcome.read, outcome.written_right) == (False, None, True)


def test_details_are_plain_data() -> None:
    asked = question("multiple_choice", "B", options=tuple(OPTIONS.items()), evidence=(("p",),))
    row = judge(asked, spoken("B")).to_dict()
    assert row["options"] == OPTIONS and row["evidence"] == [["p"]] and row["read"] == "B"
