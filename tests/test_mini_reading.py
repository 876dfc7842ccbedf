"""Reading exercises: the files keep their format, and the examples say what their labels mean."""

from itertools import groupby, islice
from random import Random

import pytest

from decoding.training_grammar import strict_violations
from selfrag.training.mini.example import RELEVANT, Example
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.material import Material
from selfrag.training.mini.reading import (
    Fact,
    Reader,
    Section,
    filled,
    read_sections,
    slots_of,
)
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.sorts import KINDS_BY_KEY, Sorts

SECTIONS = read_sections()


def reader(seed: int) -> Reader:
    return Reader(Material(Inventor(read_entities()), Random(seed)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    made = reader(5)
    return list(islice(iter(made.example, None), 4000))


def facts() -> list[tuple[Section, Fact]]:
    return [(section, fact) for section in SECTIONS for fact in section.facts]


def test_there_are_a_thousand_facts() -> None:
    assert len(facts()) >= 1000
    assert all(len(section.facts) >= 4 for section in SECTIONS)
    assert all(not section.unasked for section in SECTIONS if not section.sort)


def test_statements_of_a_fact_have_the_same_slots() -> None:
    for section, fact in facts():
        slots = set(slots_of(fact.statements[0]))
        assert len(fact.statements) >= 2, fact
        assert all(set(slots_of(text)) == slots for text in fact.statements), fact
        assert ("x" in slots) == bool(section.sort), fact
        assert all(text.endswith(".") for text in fact.statements), fact


def test_questions_name_what_is_needed_and_not_the_answer() -> None:
    for section, fact in facts():
        slots = set(slots_of(fact.statements[0]))
        assert len(fact.questions) >= 4, fact
        for asked, text in fact.questions:
            named = set(slots_of(text))
            assert asked in slots and asked not in named, text
            assert named and named <= slots, text
            assert asked == "x" or not section.sort or "x" in named, text


def test_every_slot_can_be_drawn() -> None:
    rng = Random(1)
    sorts = Sorts(Inventor(read_entities()).lexicon)
    for section, fact in facts():
        assert not section.kind or section.kind in KINDS_BY_KEY
        drawn = {*slots_of(" ".join(fact.statements)), section.sort} - {"x", "", "kind"}
        assert all(sorts.draw(slot.rstrip("0123456789"), rng).strip() for slot in drawn)
    with pytest.raises(KeyError):
        sorts.draw("colours", rng)


def test_slots_are_filled_with_articles_and_capitals() -> None:
    values = {"x": "the Danube", "object": "axe", "city2": "Rome"}
    assert filled("{X} lost {a:object} in {city2}.", values) == "The Danube lost an axe in Rome."
    assert filled("{A:object} fell.", values) == "An axe fell."
    assert slots_of("{X} and {a:object2}") == ["x", "object2"]


def test_a_line_of_no_form_is_refused(tmp_path) -> None:
    (tmp_path / "bad.txt").write_text("## general\nX what\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.txt, line 2"):
        read_sections(tmp_path)


def test_examples_keep_the_grammar(examples: list[Example]) -> None:
    for example in examples:
        assert strict_violations(example.output) == [], example
        assert "{" not in example.instruction + example.output


def test_an_answer_stands_in_its_passage_and_in_no_other(examples: list[Example]) -> None:
    kinds = set()
    for _, group in groupby(examples, lambda example: example.instruction):
        rows = list(group)
        kinds.update(row.kind for row in rows)
        answers = [row.segments[0] for row in rows if row.kind == "answered"]
        for segment in answers:
            assert segment.passage is not None and segment.sentence in segment.passage[1]
        for row in rows:
            other = row.segments[0].passage
            if row.kind in ("unstated", "irrelevant"):
                assert other is not None
                assert all(segment.sentence not in other[1] for segment in answers)
            if row.kind == "contradicted":
                assert other is not None and row.segments[0].sentence not in other[1]
                assert not row.segments[0].learnt
    assert kinds == {"answered", "unstated", "irrelevant", "contradicted", "beside"}


def test_labels_follow_the_thing_asked_about(examples: list[Example]) -> None:
    for example in examples:
        segment = example.segments[0]
        assert (segment.relevance == RELEVANT) == (example.kind not in ("irrelevant", "unstated"))
        assert (example.utility == 5) == (example.kind == "answered")


def test_equal_seeds_give_equal_examples() -> None:
    one, two = reader(8), reader(8)
    assert [one.example() for _ in range(50)] == [two.example() for _ in range(50)]
