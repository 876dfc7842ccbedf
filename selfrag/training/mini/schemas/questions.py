"""The ways of asking: wrappers around the noun phrases, clauses and questions of a relation.

The variety is compositional: every noun phrase goes with every wrapper. `question` draws one;
`all_questions` lists them without the random courtesies around them.
"""

from collections.abc import Iterator
from random import Random
from string import Formatter

from selfrag.training.mini.schemas.record_shapes import record_question
from selfrag.training.mini.schemas.relation import Entity, Relation, capitalised, fill
from selfrag.training.mini.schemas.term_shapes import term_question
from selfrag.training.mini.schemas.wordings import wordings
from selfrag.training.mini.schemas.wrappers import (
    CLAUSE_WRAPPERS,
    CLOSERS,
    NOUN_WRAPPERS,
    OPENERS,
    PERSON_WRAPPERS,
)

EMBEDDABLE = ("Who ", "Whose ", "Which ", "What ")
"""How an inverse question begins that reads well after "Do you know"."""


def _noun_forms(noun: str) -> tuple[tuple[str, ...], str, str, str]:
    """Wrappers, bare phrase and the verbs that fit a noun template with its marker."""
    marker, bare = (noun[0], noun[1:]) if noun[0] in "+@" else ("", noun)
    wrappers = PERSON_WRAPPERS if marker == "@" else NOUN_WRAPPERS
    return wrappers, bare, "are" if marker == "+" else "is", "were" if marker == "+" else "was"


def _keywords(phrase: str) -> str:
    return phrase.removeprefix("the ")


def noun_question(wrapper: str, noun: str, entity: Entity, value: str, spoken: str) -> str:
    """A noun phrase inside a wrapper, filled for the thing."""
    _, bare, present, past = _noun_forms(noun)
    phrase = fill(bare, entity, value, spoken)
    text = wrapper.replace("{is}", present).replace("{was}", past)
    text = text.replace("{N}", capitalised(phrase))
    return text.replace("{n}", phrase).replace("{k}", _keywords(phrase))


def plain_question(entity: Entity, relation: Relation, rng: Random, spoken: str) -> str:
    """One question for the value, without courtesies."""
    value = entity.values.get(relation.key, "")
    if entity.kind.key == "record" and rng.random() < 0.4:
        asked = record_question(entity.name, rng)
        if asked is not None:
            return asked
    if entity.kind.key == "term" and rng.random() < 0.45:
        asked = term_question(entity.name, rng)
        if asked is not None:
            return asked
    more = wordings(entity.kind.key, relation.key)
    nouns = relation.nouns + more.nouns
    weights = (
        3.0 if nouns else 0.0,
        4.0 if relation.questions else 0.0,
        1.5 if relation.clauses else 0.0,
    )
    shape = rng.choices(("noun", "question", "clause"), weights)[0]
    if shape == "noun":
        noun = rng.choice(nouns)
        return noun_question(rng.choice(_noun_forms(noun)[0]), noun, entity, value, spoken)
    if shape == "question":
        return fill(rng.choice(relation.questions + more.questions), entity, value, spoken)
    clause = fill(rng.choice(relation.clauses + more.clauses), entity, value, spoken)
    return rng.choice(CLAUSE_WRAPPERS).replace("{c}", clause)


def inverses_of(entity: Entity, relation: Relation) -> list[str]:
    """The templates that ask for the thing by this value, some of them by others as well."""
    keys = {relation.key for relation in entity.kind.relations} - entity.slots.keys()
    missing = keys - entity.values.keys()
    inverses = relation.inverses + wordings(entity.kind.key, relation.key).inverses
    if not missing:
        return list(inverses)
    return [text for text in inverses if not missing.intersection(slots_of(text))]


def slots_of(template: str) -> set[str]:
    """The names of the slots, in lower case."""
    return {name.lower() for _, name, _, _ in Formatter().parse(template) if name}


def inverse_question(entity: Entity, relation: Relation, rng: Random) -> str:
    """One question that names the value and asks for the thing."""
    inverses = inverses_of(entity, relation)
    text = fill(rng.choice(inverses), entity, entity.values[relation.key])
    if rng.random() < 0.35 and text.endswith("?") and text.startswith(EMBEDDABLE):
        return rng.choice(CLAUSE_WRAPPERS).replace("{c}", text[:1].lower() + text[1:].rstrip("?"))
    return text


def question(entity: Entity, relation: Relation, rng: Random, inverse: bool = False) -> str:
    """One question about a relation of a thing, with its courtesies and its writer's habits."""
    spoken = entity.spoken
    if entity.aliases and rng.random() < 0.4:
        spoken = rng.choice(entity.aliases)
    elif entity.article and rng.random() < 0.15:
        spoken = entity.name
    if inverse:
        return with_habits(inverse_question(entity, relation, rng), rng)
    return with_habits(plain_question(entity, relation, rng, spoken), rng)


def with_habits(text: str, rng: Random) -> str:
    """The question as people type it: openers, closers, lower case, no question mark."""
    text = capitalised(text) if rng.random() < 0.8 else text
    if rng.random() < 0.08:
        opener = rng.choice(OPENERS)
        text = opener + text
    if rng.random() < 0.05 and text[-1:] in "?.":
        text = text + rng.choice(CLOSERS)
    elif rng.random() < 0.04 and text.endswith("?"):
        text = text[:-1] + ", please?"
    if rng.random() < 0.12:
        text = text.lower()
    if rng.random() < 0.12:
        text = text.rstrip("?.")
    return text


def all_questions(entity: Entity, relation: Relation) -> Iterator[str]:
    """Every phrasing of the question for the value, then of its inverses, each once."""
    value = entity.values.get(relation.key, "")
    seen: set[str] = set()
    more = wordings(entity.kind.key, relation.key)
    texts = [
        noun_question(wrapper, noun, entity, value, entity.spoken)
        for noun in relation.nouns + more.nouns
        for wrapper in _noun_forms(noun)[0]
    ]
    texts += [fill(text, entity, value) for text in relation.questions + more.questions]
    texts += [
        wrapper.replace("{c}", fill(clause, entity, value))
        for clause in relation.clauses + more.clauses
        for wrapper in CLAUSE_WRAPPERS
    ]
    texts += [fill(text, entity, value) for text in inverses_of(entity, relation)]
    for text in texts:
        text = capitalised(text)
        if text not in seen:
            seen.add(text)
            yield text
