"""Requests for the embedded model: chains, claims, options, lists, and the world made of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from selfrag.controller.options import listed_options, read_option
from selfrag.training.mini.chains import _relative, chain, described
from selfrag.training.mini.choices import choice
from selfrag.training.mini.claims import claim
from selfrag.training.mini.example import FULLY, NO_SUPPORT, PARTIALLY
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judged import SentencesToJudge
from selfrag.training.mini.lexicon import value_items
from selfrag.training.mini.lists import several
from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.world import ABSENT, World, WorldPlan, write_world
from selfrag.training.sources import SourceRow
from selfrag.training.stages import read_lines


@pytest.fixture(scope="module")
def inventor() -> Inventor:
    return Inventor(read_entities())


@pytest.fixture
def material(inventor: Inventor) -> Material:
    return Material(inventor, Random(4))


@pytest.mark.parametrize("hops", [2, 3])
def test_a_chain_names_its_first_thing_only(material: Material, hops: int) -> None:
    for _ in range(150):
        asked = chain(material, hops)
        assert len(asked.steps) == hops
        last = asked.steps[-1].entity
        assert last.name.lower() not in asked.text.lower(), asked
        for step in asked.steps:
            assert step.entity.values[step.key].lower() in step.sentence.lower()
        for before, after in zip(asked.steps, asked.steps[1:], strict=False):
            # A step finds the thing that the next is about: as its value, or by its value.
            spoken = after.entity.spoken
            assert before.entity is after.entity or before.entity.values[before.key] == spoken


def test_questions_become_descriptions() -> None:
    heads = ("{noun}", "river")
    assert _relative("Which river flows into {v}?", heads) == "the river that flows into {v}"
    assert (
        _relative("Which {noun} was {verb} by {v}?", heads) == "the {noun} that was {verb} by {v}"
    )
    assert _relative("Who is known for {v}?", heads) == "the person who is known for {v}"
    for not_the_subject in (
        "Which river does {v} flow into?",
        "Which river is {v}?",
        "Of which river is {v} the mouth?",
        "What is the {v} planet?",
    ):
        assert _relative(not_the_subject, heads) is None


def test_without_steps_a_thing_is_named(material: Material) -> None:
    entity = material.entity()
    assert described(material, entity, 0) == (entity.spoken, [])


def test_claims_are_true_as_often_as_false(material: Material) -> None:
    verdicts: Counter[str] = Counter()
    for _ in range(400):
        asked = claim(material)
        (step,) = asked.steps
        verdict = re.fullmatch(r".*, so the statement is (true|false)\.", step.sentence, re.S)
        assert verdict is not None
        verdicts[verdict.group(1)] += 1
        true_value = step.entity.values[step.key].lower().rstrip(".")
        assert true_value in step.sentence.lower()
        if verdict.group(1) == "true":
            assert true_value in asked.text.lower()
    assert 140 < verdicts["true"] < 260


def test_the_answer_names_one_option(material: Material) -> None:
    """What a reader of the answer takes for its letter is the letter of the right option."""
    letters: Counter[str] = Counter()
    for _ in range(300):
        asked = choice(material)
        (step,) = asked.steps
        options = listed_options(asked.text)
        letter = read_option(step.sentence, options)
        assert letter is not None, asked
        letters[letter] += 1
        option = options[letter].lower()
        said = (step.entity.values[step.key].lower(), step.entity.spoken.lower())
        assert any(text in option or option in text for text in said), asked
    assert min(letters.values()) > 40


def test_sentences_are_judged_by_what_the_passage_states(material: Material) -> None:
    """No sentence has two labels, however often it is drawn, and what is supported holds a value
    that the passage states."""
    judge = SentencesToJudge(material)
    labels: Counter[str] = Counter()
    for _ in range(60):
        entity = material.entity()
        relation = material.rng.choice(material.asked(entity))
        keys = material.company(entity, relation.key)
        items = {i for key in keys for i in value_items(entity.values[key])}
        given: dict[str, str] = {}
        for _ in range(12):
            for sentence, token, worth in judge.draw(entity, keys, relation.key):
                labels[token] += 1
                assert given.setdefault(sentence, token) == token, (sentence, keys)
                assert sentence.endswith(".") and "{" not in sentence
                worths = {FULLY: {5, 2}, PARTIALLY: {3}, NO_SUPPORT: {1}}
                assert worth in worths[token]
                if token == FULLY and entity.kind.key != "term":
                    assert any(item in sentence.lower() for item in items), (sentence, items)
    assert min(labels.values()) > 0.2 * sum(labels.values())


def test_a_list_asks_for_every_fact(material: Material) -> None:
    for _ in range(200):
        text, steps = several(material)
        assert 2 <= len(steps) <= 5
        for step in steps:
            words = re.findall(r"\w+", f"{step.entity.name} {step.entity.slots.get('plural', '')}")
            assert any(word.lower() in text.lower() for word in words), (text, step)


@pytest.fixture(scope="module")
def world(inventor: Inventor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    plan = WorldPlan(60, 40, 60, 40, 30, 30, 30, 40, 30, 20, seed=3)
    return write_world(World(inventor, plan), tmp_path_factory.mktemp("world"))


def test_a_world_holds_the_evidence_of_its_rows(world: tuple[Path, Path]) -> None:
    corpus_path, sources_path = world
    corpus = {line.row["id"]: line.row for line in read_lines([corpus_path]) if line.row}
    rows = [SourceRow.from_dict(line.row) for line in read_lines([sources_path]) if line.row]
    assert len({row.id for row in rows}) == len(rows)
    assert {row.dataset for row in rows} >= {"single", "inverse", "chain2", "chain3", "claim"}
    for row in rows:
        for segment in row.segments:
            assert segment.evidence is not None
            if row.dataset == "unanswerable":
                assert segment.evidence == (ABSENT,)
                continue
            assert (segment.evidence == ()) == (row.needs_retrieval is False)
            for passage_id in segment.evidence:
                assert passage_id in corpus
            if row.dataset == "read":
                assert segment.text in corpus[segment.evidence[0]]["text"]


def test_equal_seeds_make_equal_worlds(inventor: Inventor, tmp_path: Path) -> None:
    plan = WorldPlan(8, 5, 8, 5, 5, 5, 5, 5, 5, 5, seed=9)
    one = write_world(World(inventor, plan), tmp_path / "one")
    two = write_world(World(inventor, plan), tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
