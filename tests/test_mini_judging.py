"""Judged questions and the mixture that they are a share of."""

from pathlib import Path
from random import Random

import pytest

from selfrag.training.mini.example import FULLY, IRRELEVANT, RELEVANT, Judged
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judging import MOST
from selfrag.training.mini.mixture import Mixture, Shares
from selfrag.training.mini.schemas import FACTS, read_entities
from selfrag.training.mini.schemas.questions import inverse_question, inverses_of
from selfrag.training.mini.schemas.relation import Entity
from selfrag.training.mini.schemas.wordings import WORDINGS, read_wordings, wordings
from selfrag.training.mini.sorts import KINDS_BY_KEY


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture(Inventor(read_entities(FACTS)), 5, Shares())


def test_inverse_questions_name_only_values_that_the_thing_has() -> None:
    person = KINDS_BY_KEY["person"]
    known = Entity(person, "Ab Cd", values={"birth_year": "1903", "field": "Polish chemist"})
    texts = inverses_of(known, person.relation("birth_year"))
    assert any("{field}" in text for text in texts)
    assert not any("{birthplace}" in text or "{death_year}" in text for text in texts)
    asked = {inverse_question(known, person.relation("birth_year"), Random(n)) for n in range(300)}
    assert all("1903" in text and "{" not in text for text in asked)
    assert any("Polish chemist" in text for text in asked)


def test_judged_examples_hold_what_their_labels_say(mixture: Mixture) -> None:
    relevant = irrelevant = 0
    for _ in range(600):
        example = mixture.judging.example()
        assert 1 <= len(example.branches) <= MOST
        for segment in example.branches:
            assert segment.passage is not None and segment.passage[1]
            assert segment.relevance in (RELEVANT, IRRELEVANT)
            if segment.relevance == RELEVANT:
                relevant += 1
                assert segment.support == FULLY
            else:
                irrelevant += 1
        passages = [segment.passage for segment in example.branches if segment.support]
        for segment in example.branches:
            assert segment.support or segment.passage not in passages
    assert relevant > 400 and irrelevant > relevant


def test_shares_are_kept(mixture: Mixture) -> None:
    drawn = [mixture.example() for _ in range(3000)]
    judged = sum(isinstance(example, Judged) for example in drawn)
    assert abs(judged / 3000 - mixture.shares.judged) < 0.04
    with pytest.raises(ValueError, match="sum to over 1"):
        Shares(judged=0.9, reading=0.2)


def test_wordings_are_read_and_refuse_unknown_lines(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("## country.capital\nQ Seat of {s}?\nN the seat of {s}\n\nQ Seat of {s}?\n")
    found = read_wordings(tmp_path)[("country", "capital")]
    assert found.questions == ("Seat of {s}?",) and found.nouns == ("the seat of {s}",)
    file.write_text("## country.capital\nX what\n")
    with pytest.raises(ValueError, match=r"some\.txt, line 2"):
        read_wordings(tmp_path)
    assert wordings("country", "no such relation").questions == ()
    assert read_wordings(WORDINGS)
