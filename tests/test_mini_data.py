"""Corpus and training examples of the embedded model."""

from collections import Counter
from itertools import islice
from random import Random

import pytest
from transformers import PreTrainedTokenizerFast

from decoding.training_grammar import strict_violations
from selfrag.training.generator.encoding import RowEncoder
from selfrag.training.masking import IGNORED, mask_labels
from selfrag.training.mini.corpus import corpus_rows
from selfrag.training.mini.course import example_row
from selfrag.training.mini.example import Example
from selfrag.training.mini.generator import Generator
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.lexicon import value_items
from selfrag.training.mini.schemas import (
    KINDS,
    Entity,
    all_questions,
    answer_sentence,
    passage_text,
    read_entities,
    stated_keys,
    training_pairs,
)
from selfrag.training.mini.tokenizer import CONTROL_TOKENS, train_tokenizer


@pytest.fixture(scope="module")
def entities() -> list[Entity]:
    return read_entities()


@pytest.fixture(scope="module")
def inventor(entities: list[Entity]) -> Inventor:
    return Inventor(entities)


@pytest.fixture(scope="module")
def examples(inventor: Inventor) -> list[Example]:
    return list(islice(Generator(inventor, seed=11), 2500))


@pytest.fixture(scope="module")
def tokenizer(examples: list[Example]) -> PreTrainedTokenizerFast:
    texts = [text for example in examples[:600] for text in (example.prompt, example.output)]
    return train_tokenizer(texts, 600)


def test_corpus_is_large_and_its_ids_are_unique(entities: list[Entity]) -> None:
    rows = list(corpus_rows(entities))
    assert len(rows) >= 3000
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["text"].endswith((".", "!", "?")) and row["title"] for row in rows)
    assert not any("{" in row["text"] or row["text"].endswith("..") for row in rows)
    assert rows == list(corpus_rows(entities))


def test_every_passage_states_its_values(entities: list[Entity]) -> None:
    texts = {row["id"]: row["text"] for row in corpus_rows(entities)}
    joined = "\n".join(texts.values()).lower()
    for entity in entities:
        for plan in entity.kind.plans.values():
            for key in stated_keys(entity, plan):
                if key == "sentence":  # the same term, told once, may stand in two tables
                    continue
                assert entity.values[key].lower().rstrip(".") in joined, (entity.name, key)
    assert "Ouagadougou" in texts["country/burkina-faso/capital"]


def test_changeable_facts_say_as_of_when(entities: list[Entity]) -> None:
    for row in corpus_rows(entities):
        if row["id"].endswith(("/money", "/city")):
            assert "As of 2025," in row["text"]


def test_every_relation_is_asked_in_many_ways(inventor: Inventor) -> None:
    rng = Random(1)
    for kind in KINDS:
        entity = inventor.entity(kind, rng)
        for relation in kind.relations:
            if relation.asked and relation.key in entity.values:
                assert len(list(all_questions(entity, relation))) >= 12, (kind.key, relation.key)
                value = entity.values[relation.key].lower()
                assert value in answer_sentence(entity, relation.key).lower()
                stated = passage_text(entity, [relation.key], rng).lower()
                assert value in stated or "sentence" in entity.values


def test_training_pairs_reach_every_entity(entities: list[Entity]) -> None:
    titles = {title for _, title, _ in training_pairs(entities, Random(2))}
    asked = {e.title for e in entities if any(e.kind.relation(k).asked for k in e.values)}
    assert asked <= titles | {e.title for e in entities if e.kind.key == "term"}


def test_every_output_follows_the_grammar(examples: list[Example]) -> None:
    for example in examples:
        assert strict_violations(example.output) == []
        assert strict_violations(example.output + "</s>") == []


def test_shares_of_the_kinds(examples: list[Example]) -> None:
    kinds = Counter(example.kind for example in examples)
    total = len(examples)
    longer = sum(2 <= len(example.segments) <= 8 for example in examples)
    assert longer / total > 0.15
    # Eight of 124 parts of the four fifths with one segment: 5.2 %, with a deviation of 0.44.
    assert 0.035 < kinds["request"] / total < 0.07
    assert kinds["answered"] / total > 0.18
    for kind in (
        "inverse",
        "irrelevant",
        "unstated",
        "partial",
        "contradicted",
        "overview",
        "parts",
    ):
        assert kinds[kind] / total > 0.01, kind
    assert {example.utility for example in examples} == {1, 2, 3, 4, 5}


def test_labels_agree_with_their_meaning(examples: list[Example]) -> None:
    for example in examples:
        for segment in example.segments:
            if segment.relevance == "[Irrelevant]":
                assert segment.sentence == "I do not know." and not segment.support
            if segment.sentence == "I do not know." and segment.relevance == "[Relevant]":
                assert segment.support == "[No support / Contradictory]"
        if example.kind == "request":
            assert example.segments[0].passage is None and example.utility == 5


def test_equal_seeds_give_equal_examples(inventor: Inventor) -> None:
    one = list(islice(Generator(inventor, 3), 50))
    assert one == list(islice(Generator(inventor, 3), 50))
    assert one != list(islice(Generator(inventor, 4), 50))


def test_no_invented_thing_has_a_true_value(entities: list[Entity], inventor: Inventor) -> None:
    true: dict[str, set[str]] = {}
    for entity in entities:
        for text in entity.values.values():
            true.setdefault(entity.name.lower(), set()).update((text.lower(), *value_items(text)))
    rng = Random(5)
    met = 0
    for _ in range(400):
        for kind in KINDS:
            entity = inventor.entity(kind, rng)
            known = true.get(entity.name.lower())
            if known is None:
                continue
            met += 1
            for key, text in entity.values.items():
                if key not in ("sentence", "detail"):
                    assert not known.intersection((text.lower(), *value_items(text)))
    assert met > 100


def test_tokenizer_gives_text_back(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [tokenizer.convert_tokens_to_ids(t) for t in ("<unk>", "<s>", "</s>")] == [0, 1, 2]
    base = tokenizer.backend_tokenizer.token_to_id(CONTROL_TOKENS[0])
    assert [tokenizer.convert_tokens_to_ids(t) for t in CONTROL_TOKENS] == list(
        range(base, base + 15)
    )
    assert tokenizer.pad_token_id == base + 15 == len(tokenizer) - 1
    for text in (
        "São Tomé and Príncipe",
        "  two  spaces\n\nlines\t",
        "東京 is 1,234.5 km²",
        "don't!",
    ):
        ids = tokenizer(text).input_ids
        assert ids[0] == 1 and tokenizer.decode(ids[1:]) == text


def test_pieces_do_not_depend_on_position(tokenizer: PreTrainedTokenizerFast) -> None:
    for name in ("Ouagadougou", "Galdhøpiggen", "Saint-Denis", "1969"):
        alone = tokenizer(name, add_special_tokens=False).input_ids
        for text in ("in {}", "({})", "{}.", "\n{}\n", "[Relevant]{}[Utility:5]", "the {} and"):
            ids = tokenizer(text.format(name), add_special_tokens=False).input_ids
            assert any(ids[at : at + len(alone)] == alone for at in range(len(ids))), text
    lower = tokenizer("ouagadougou", add_special_tokens=False).input_ids
    assert lower[1:] == tokenizer("Ouagadougou", add_special_tokens=False).input_ids[1:]


def test_encoding_a_row_equals_encoding_the_whole(
    examples: list[Example], tokenizer: PreTrainedTokenizerFast
) -> None:
    encoder = RowEncoder(tokenizer)
    known = encoder.vocabulary
    for example in examples[:300]:
        row = encoder.encode(example_row(example, "row"))
        ids = row.ids.tolist()
        assert ids == tokenizer(example.prompt + example.output + "</s>").input_ids
        assert tokenizer.decode(ids) == f"<s>{example.prompt}{example.output}</s>"
        prompt = len(tokenizer(example.prompt).input_ids)
        whole = mask_labels(ids, prompt, known.paragraph_start, known.paragraph_end)
        if all(segment.learnt for segment in example.segments):
            assert row.labels.tolist() == whole
            continue
        learnt = tokenizer.decode([label for label in row.labels.tolist() if label != IGNORED])
        for segment in example.segments:
            assert (segment.sentence in learnt) == segment.learnt
        left_out = sum(
            len(tokenizer(segment.sentence, add_special_tokens=False).input_ids)
            for segment in example.segments
            if not segment.learnt
        )
        counted = [sum(label != IGNORED for label in labels) for labels in (whole, row.labels)]
        assert counted[0] - left_out == counted[1]
