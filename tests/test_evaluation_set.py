"""The shipped question files: counts, spread, and answers that agree with the tables."""

import json
from collections import Counter
from pathlib import Path

import pytest

from selfrag.evaluation.matching import contains_answer, normalise
from selfrag.evaluation.questions import (
    DEVELOPMENT_QUESTIONS,
    EMBEDDED_QUESTIONS,
    read_questions,
)

FACTS = Path(__file__).resolve().parents[1] / "selfrag" / "training" / "mini" / "facts"
FILES = (EMBEDDED_QUESTIONS, DEVELOPMENT_QUESTIONS)
FORMATS = {"id", "question", "kind", "answers", "relation", "entity", "phrasing"}
WHOLE_CELL = {"superlatives_geo", "superlatives_science", "terms", "sports_and_misc"}
LEAST = {
    "countries": 110,
    "elements": 60,
    "people": 60,
    "works": 50,
    "inventions": 30,
    "rivers mountains lakes cities": 60,
    "planets moons": 20,
    "superlatives_geo superlatives_science": 20,
    "terms events landmarks animals sports_and_misc": 20,
}
# An answer of one of these words would be right in almost any text.
COMMON_WORDS = set(
    normalise("a an and as at be by for he i in is it no not of on or the to us was")
)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def questions(path):
    return read_questions(path)


@pytest.fixture(scope="module")
def tables():
    """Table name -> rows; the first column is the entity."""
    found = {}
    for path in FACTS.glob("*.tsv"):
        header, *lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        columns = header.split("\t")
        found[path.stem] = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]
    return found


def answerable(questions):
    return [question for question in questions if question.kind == "answerable"]


def rows_of(tables, table, entity):
    return [row for row in tables[table] if next(iter(row.values())) == entity]


def test_counts(questions):
    kinds = Counter(question.kind for question in questions)
    assert kinds["answerable"] >= 420
    assert kinds["no_retrieval"] >= 110
    assert kinds["unanswerable"] >= 70


def test_rows_have_the_documented_keys(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) - {"evidence"} == FORMATS


def test_questions_are_unique(questions):
    texts = [normalise(question.text) for question in questions]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_the_files_share_no_question():
    held_out, development = (
        {normalise(question.text) for question in read_questions(path)} for path in FILES
    )
    assert held_out & development == set()


@pytest.mark.parametrize("names", LEAST)
def test_spread_over_the_tables(questions, names):
    tables = names.split()
    asked = [q for q in answerable(questions) if q.relation.split(".")[0] in tables]
    assert len(asked) >= LEAST[names]


def test_a_third_is_phrased_by_hand(questions):
    asked = answerable(questions)
    by_hand = [question for question in asked if question.phrasing == "hand"]
    assert len(by_hand) >= max(150, len(asked) / 3)
    assert all(question.phrasing in {"hand", "template"} for question in questions)


def test_answers_are_values_of_the_entity(questions, tables):
    for question in answerable(questions):
        table, column = question.relation.split(".")
        rows = rows_of(tables, table, question.entity)
        assert len(rows) == 1, (question.id, question.entity, len(rows))
        value = rows[0][column]
        assert value, (question.id, question.relation)
        values = {value} if table in WHOLE_CELL else set(value.split(";"))
        assert len(values) == 1, (question.id, "one value only")
        given = {normalise(answer) for answer in question.answers}
        assert given & {normalise(item) for item in values}, (question.id, values)


def test_answers_cannot_be_met_by_chance(questions):
    for question in answerable(questions):
        assert not contains_answer(question.text, question.answers), question.id
        for answer in question.answers:
            words = normalise(answer)
            assert words, question.id
            assert not set(words) <= COMMON_WORDS, (question.id, answer)


def test_unanswerable_questions_are_not_in_the_tables(questions, tables):
    everything = " ".join(
        " ".join(normalise(cell))
        for rows in tables.values()
        for row in rows
        for cell in row.values()
    )
    for question in questions:
        if question.kind != "unanswerable":
            continue
        assert not question.answers, question.id
        if question.relation == "unknown_entity":
            assert f" {' '.join(normalise(question.entity))} " not in f" {everything} ", question.id
            assert normalise(question.entity)[0] in normalise(question.text), question.id
        else:
            table, column = question.relation.split(".")
            assert len(rows_of(tables, table, question.entity)) == 1, question.id
            assert column not in tables[table][0], question.id


def test_rewriting_and_arithmetic_have_answers(questions):
    for question in questions:
        if question.relation in {"arithmetic", "uppercase", "lowercase", "repeat", "reverse"}:
            assert question.kind == "no_retrieval"
            assert question.answers, question.id
