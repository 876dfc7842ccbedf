"""Requests for the embedded model: chains, claims, options, lists, and the world made of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from selfrag.controller.options import listed_options, read_option
from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.chains import _relative, chain, described
from selfrag.training.mini.choices import choice
from selfrag.training.mini.claims import NUMBERS, claim, compared, in_words, stated
from selfrag.training.mini.corpus import slug
from selfrag.training.mini.example import FULLY, NO_SUPPORT, PARTIALLY
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judged import SentencesToJudge
from selfrag.training.mini.lexicon import value_items
from selfrag.training.mini.lists import several
from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas import read_entities
from selfrag.training.mini.sorts import KINDS_BY_KEY
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
    steps: Counter[int] = Counter()
    for _ in range(400):
        asked = claim(material)
        verdicts[_verdict(asked)] += 1
        steps[len(asked.steps)] += 1
        for step in asked.steps:
            assert step.entity.values[step.key].lower().rstrip(".") in step.sentence.lower()
    assert 140 < verdicts["true"] < 260
    assert min(steps[1], steps[2]) > 20


def test_what_a_true_claim_states_is_the_value(material: Material) -> None:
    made = 0
    while made < 100:
        asked = stated(material, material.entity(), steps=0)
        if asked is None or _verdict(asked) == "false":
            continue
        (step,) = asked.steps
        value = step.entity.values[step.key].lower().rstrip(".")
        words = NUMBERS[int(value)] if value.isdecimal() and int(value) < len(NUMBERS) else value
        assert value in asked.text.lower() or words in asked.text.lower()
        made += 1


def test_comparisons_compare(material: Material) -> None:
    """The verdict is that of the two numbers."""
    verdicts: Counter[str] = Counter()
    while sum(verdicts.values()) < 60:
        asked = compared(material)
        if asked is None or not (claimed := re.search(COMPARISON, asked.text.lower())):
            continue
        (step,) = asked.steps
        true = int(re.sub(r"\D", "", step.entity.values[step.key]))
        above = claimed[1] in ("longer than", "higher than", "more than", "after")
        right = (true > int(re.sub(r"\D", "", claimed[2]))) == above
        assert _verdict(asked) == str(right).lower(), asked
        verdicts[_verdict(asked)] += 1
    assert min(verdicts.values()) > 10


COMPARISON = (
    r"\b(longer than|shorter than|higher than|lower than|more than|less than|after|before)"
    r" (\d[\d,]*)(?! \d)"
)


def _verdict(asked: Asked) -> str:
    found = re.fullmatch(r".*, so the statement is (true|false)\.", asked.steps[-1].sentence, re.S)
    assert found is not None
    return found[1]


def test_a_small_number_that_is_the_value_may_stand_in_words() -> None:
    sentence = "The octopus has 8 arms and 18 suckers, 8,000 eggs and 8.5 hearts."
    drawn = {in_words(sentence, "8", Random(seed)) for seed in range(20)}
    assert drawn == {sentence, sentence.replace("has 8 arms", "has eight arms")}
    eighteen = {in_words(sentence, "18", Random(seed)) for seed in range(20)}
    assert sentence.replace("18", "eighteen") in eighteen
    assert {in_words(sentence, "8,000", Random(seed)) for seed in range(20)} == {sentence}


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


def test_every_passage_that_says_it_is_evidence(inventor: Inventor) -> None:
    """Also where it says it beside another fact ("the poem ... is by ..."), or under another name
    (a term's sentence)."""
    registry = World(inventor, WorldPlan(seed=3)).registry
    rng, seen = Random(3), Counter[str]()
    while min(seen["work"], seen["term"]) < 40:
        kind = rng.choice(("work", "term"))
        entity = inventor.entity(KINDS_BY_KEY[kind], rng)
        key = "sort" if kind == "work" else "answer"
        if key not in entity.values or registry.knows_other(entity):
            continue
        registry.add(entity)
        evidence = registry.evidence(Step.of(entity, key))
        name = f"{kind}/{slug(entity.name)}-{len(registry.things)}/"
        for passage_id, (_, text, _) in registry.passages.items():
            if passage_id.startswith(name) and entity.values[key].lower() in text.lower():
                assert passage_id in evidence, text
                seen[kind] += 1


def test_equal_seeds_make_equal_worlds(inventor: Inventor, tmp_path: Path) -> None:
    plan = WorldPlan(8, 5, 8, 5, 5, 5, 5, 5, 5, 5, seed=9)
    one = write_world(World(inventor, plan), tmp_path / "one")
    two = write_world(World(inventor, plan), tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
