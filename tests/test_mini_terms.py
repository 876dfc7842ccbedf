"""Terms and records asked for in their own words."""

from random import Random

import pytest

from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.schemas.record_shapes import in_other_words, record_question
from selfrag.training.mini.schemas.term_shapes import PATTERNS, term_question


def asked(name: str) -> set[str]:
    return {term_question(name, Random(seed)) or "" for seed in range(200)}


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("number of legs of a spider", "How many legs does a spider have?"),
        ("gland that produces insulin", "Which gland produces insulin?"),
        ("fruit from which prunes are made", "Prunes are made from which fruit?"),
        ("main ingredient of hummus", "What is hummus mainly made from?"),
        ("full name of the computer abbreviation GPU", "What does GPU stand for?"),
        ("study of earthquakes called", "Which science deals with earthquakes?"),
        ("medical name of the kneecap", "What do doctors call the kneecap?"),
        ("SI unit of force", "Which unit measures force?"),
        ("freezing point of water", "At what temperature does water freeze?"),
        ("colour made by mixing blue and red", "Which colour do you get by mixing blue and red?"),
    ],
)
def test_a_term_is_asked_for_in_its_own_words(name: str, question: str) -> None:
    assert question in asked(name)


def test_other_names_fit_no_pattern() -> None:
    assert term_question("Avogadro constant", Random(0)) is None


def test_every_pattern_fits_a_term_of_the_tables_and_leaves_no_slot() -> None:
    names = [entity.name for entity in read_entities() if entity.kind.key == "term"]
    for pattern, _ in PATTERNS:
        assert any(pattern.fullmatch(name) for name in names), pattern.pattern
    for name in names:
        assert not any("{" in question or "}" in question for question in asked(name))


def test_a_record_is_asked_for_with_other_words_of_the_same_meaning() -> None:
    texts = {
        in_other_words("Which is the largest island in the world?", Random(n)) for n in range(3000)
    }
    assert "Which is the biggest island on Earth?" in texts
    assert "Which is the largest island in the world?" in texts
    seconds = {in_other_words("the second-largest lake", Random(n)) for n in range(100)}
    assert seconds == {"the second-largest lake"}


def test_a_place_may_become_an_adjective() -> None:
    texts = {record_question("largest lake in Italy", Random(n)) or "" for n in range(600)}
    assert any("Italian" in text and "in Italy" not in text for text in texts)
