"""What the embedded encoder trains on: passages that state facts, questions with hops, claims."""

from __future__ import annotations

from random import Random

import pytest

from selfrag.training.mini.retrieval import SORTS, QueryMaker
from selfrag.training.mini.retrieval.chain_wordings import BACKWARD, FORWARD, FRAMES, THAT
from selfrag.training.mini.retrieval.chains import TARGETS
from selfrag.training.mini.retrieval.claim_wordings import CHOICES, CLAIMS
from selfrag.training.mini.schemas import KINDS, Entity, read_entities
from selfrag.training.mini.schemas.relation import fill


@pytest.fixture(scope="module")
def maker() -> QueryMaker:
    return QueryMaker(read_entities())


def thing(maker: QueryMaker, kind: str, name: str) -> Entity:
    return next(e for e, _ in maker.facts if e.kind.key == kind and e.name == name)


def test_all_passages_that_state_a_relation_are_evidence(maker: QueryMaker) -> None:
    mali = thing(maker, "country", "Burkina Faso")
    assert maker.evidence.of(mali, "capital") == ("country/burkina-faso/capital",)
    languages = maker.evidence.of(mali, "languages")
    assert languages == ("country/burkina-faso/money", "country/burkina-faso/people")


def test_passages_of_free_wording_that_name_both_are_evidence(maker: QueryMaker) -> None:
    polonium = thing(maker, "element", "polonium")
    found = maker.evidence.of(polonium, "discoverer")
    assert found[0] == "element/polonium/discovery"
    passages = [maker.evidence.passages[name] for name in found]
    assert all("polonium" in text.lower() for text in passages)


def test_evidence_of_an_inverse_question_agrees_with_all_that_it_names(maker: QueryMaker) -> None:
    curie = thing(maker, "person", "Marie Curie")
    everybody = maker.evidence.of_sharing(curie, "birthplace", "Who was born in Warsaw?")
    by_year = maker.evidence.of_sharing(curie, "birthplace", "Who was born in Warsaw in 1867?")
    assert len(everybody) > 1 and by_year == ("person/marie-curie/birthplace",)


def test_every_wording_fits_its_things(maker: QueryMaker) -> None:
    kinds = {kind.key: kind for kind in KINDS}
    samples: dict[tuple[str, str], Entity] = {}
    for entity, relation in maker.facts:
        samples.setdefault((entity.kind.key, relation.key), entity)
    for table, slot in ((FORWARD, "{s}"), (BACKWARD, "{v}")):
        for (kind, key), wordings in table.items():
            assert kinds[kind].relation(key) and len(wordings) >= 2
            entity = samples.get((kind, key)) or next(
                e for e, _ in maker.facts if e.kind.key == kind and key in e.values
            )
            for wording in wordings:
                assert slot in wording
                assert fill(wording, entity, entity.values[key])
    assert set(FORWARD) == set(TARGETS)
    assert sum(map(len, FORWARD.values())) + sum(map(len, BACKWARD.values())) > 100
    assert {kind for kinds in TARGETS.values() for kind in kinds} <= set(THAT)


def test_hops_look_for_the_facts_that_lead_on(maker: QueryMaker) -> None:
    rng = Random(5)
    lengths = set()
    for _ in range(300):
        hops = maker.chains.draw(rng)
        lengths.add(len(hops))
        question, last = hops[0].question, hops[-1]
        assert all(hop.question == question for hop in hops)
        assert hops[0].query == question
        assert last.thing.name.lower() not in question.lower() or last.thing.kind.key in (
            "country",
            "record",
        )
        for place, hop in enumerate(hops):
            assert len(hop.told) == place
            assert maker.evidence.of(hop.thing, hop.key)
            if place:
                assert hop.query == f"{question} {hop.told[-1]}"
        assert last.thing.name.lower() in last.told[-1].lower()
    assert lengths == {2, 3}


def test_the_last_wordings_are_kept_for_measuring(maker: QueryMaker) -> None:
    rng = Random(2)
    held = {CLAIMS[-1].split("{")[0], CHOICES[-1].split("{")[0], FRAMES[-1].split("{")[0]}
    entity, relation = thing(maker, "country", "Mali"), None
    relation = entity.kind.relation("capital")
    for sort in ("claim", "choice", "chain"):
        for _ in range(60):
            for query in maker.draw(sort, entity, relation, rng):
                assert not query.text.startswith(tuple(held))
    claims = [query.text for query in maker.draw("claim", entity, relation, rng, held=True)]
    assert claims[0].lower().startswith(CLAIMS[-1].split("{")[0].lower())


def test_a_claim_is_checked_against_what_is_said_of_the_same_thing(maker: QueryMaker) -> None:
    rng = Random(4)
    entity = thing(maker, "country", "Mali")
    claims = [
        query
        for _ in range(40)
        for query in maker.draw("claim", entity, entity.kind.relation("capital"), rng)
    ]
    assert {query.positives for query in claims} == {("country/mali/capital",)}
    true = sum("bamako" in query.text.lower() for query in claims)
    assert 10 < true < 30  # half of them, with chance


def test_measured_sorts_and_their_numbers(maker: QueryMaker) -> None:
    data = maker.fresh(5, seed=8)
    assert [query.sort for query in data.queries] == [sort for sort in SORTS for _ in range(5)]
    assert data.queries == maker.fresh(5, seed=8).queries
