"""The ways of asking: wrappers around the noun phrases, clauses and questions of a relation.

The variety is compositional: every noun phrase goes with every wrapper. `question` draws one;
`all_questions` lists them without the random courtesies around them.
"""

import re
from collections.abc import Iterator
from random import Random

from selfrag.training.mini.schemas.relation import Entity, Relation, capitalised, fill

NOUN_WRAPPERS = (
    "What {is} {n}?",
    "What {is} {n}?",
    "What {is} {n}?",
    "What {is} {n}?",
    "What {is} {n}?",
    "What's {n}?",
    "Tell me {n}.",
    "Please tell me {n}.",
    "Can you tell me {n}?",
    "Could you tell me {n}?",
    "Do you know {n}?",
    "I would like to know {n}.",
    "I want to know {n}.",
    "I'd like to know {n}.",
    "Name {n}.",
    "Please name {n}.",
    "Can you name {n}?",
    "Give me {n}.",
    "Could you give me {n}?",
    "{n}?",
    "{n}",
    "{k}?",
    "{k}",
    "{k}",
    "State {n}.",
    "I need to know {n}.",
    "I need {n}.",
    "Look up {n}.",
    "Find {n}.",
    "Could you look up {n} for me?",
    "Any idea what {n} {is}?",
    "I wonder what {n} {is}.",
    "Tell me what {n} {is}.",
    "Do you know what {n} {is}?",
    "Can you tell me what {n} {is}?",
    "I would like to know what {n} {is}.",
    "Remind me what {n} {is}.",
    "What {was} {n} again?",
    "Would you tell me what {n} {is}?",
    "Do you happen to know {n}?",
    "Could you find out {n}?",
    "I am looking for {n}.",
    "I'm trying to find {n}.",
    "What do you know about {n}?",
    "What {is} {n} called?",
    "Say what {n} {is}.",
    "What exactly {is} {n}?",
    "I have forgotten {n}.",
    "Let me know {n}.",
    "Help me find {n}.",
    "What might {n} be?",
    "Which {is} {n}?",
    "How about {n}?",
    "Somebody asked me what {n} {is}.",
    "Would you know {n}?",
    "May I ask what {n} {is}?",
    "I can't remember {n}.",
    "{n} please",
    "I keep forgetting {n}.",
    "Does anyone know {n}?",
    "{n}, please.",
    "Do you remember {n}?",
    "My daughter wants to know {n}.",
    "We need {n} for a quiz.",
    "Check {n}.",
    "Provide {n}.",
    "Show me {n}.",
    "Identify {n}.",
    "Search for {n}.",
    "Write down {n}.",
    "Say {n}.",
    "{k} please",
    "{k}, please?",
    "{N}: what {is} it?",
    "Are you able to tell me {n}?",
    "What about {n}?",
    "What do people say {n} {is}?",
    "Please look up {n}.",
    "In one sentence, what {is} {n}?",
    "I am interested in {n}.",
    "It would be good to know {n}.",
    "Tell us {n}.",
    "{n}, do you know?",
)
PERSON_WRAPPERS = (
    "Who {was} {n}?",
    "Who {is} {n}?",
    "Who {was} {n}?",
    "Who {is} {n}?",
    "Who's {n}?",
    "Tell me who {n} {was}.",
    "Do you know who {n} {is}?",
    "Can you tell me who {n} {was}?",
    "Name {n}.",
    "Please name {n}.",
    "Can you name {n}?",
    "{n}?",
    "{n}",
    "{k}?",
    "{k}",
    "I would like to know who {n} {was}.",
    "I wonder who {n} {is}.",
    "Give me the name of {n}.",
    "What is the name of {n}?",
    "What was the name of {n}?",
    "Tell me the name of {n}.",
    "Remind me who {n} {was}.",
    "Could you tell me who {n} {is}?",
    "Find out who {n} {is}.",
    "I need the name of {n}.",
    "Which person {is} {n}?",
    "Do you happen to know who {n} {was}?",
)
CLAUSE_WRAPPERS = (
    "Do you know {c}?",
    "Can you tell me {c}?",
    "Could you tell me {c}?",
    "Tell me {c}.",
    "Please tell me {c}.",
    "I would like to know {c}.",
    "I'd like to know {c}.",
    "I want to know {c}.",
    "I wonder {c}.",
    "Could you please tell me {c}?",
    "Say {c}.",
    "Do you happen to know {c}?",
    "Would you tell me {c}?",
    "Find out {c}.",
    "Remind me {c}.",
    "I need to know {c}.",
    "Let me know {c}.",
    "Can you find out {c}?",
    "I have forgotten {c}.",
    "Any idea {c}?",
    "I was wondering {c}.",
    "I am curious to know {c}.",
    "Look up {c}.",
    "My teacher asked {c}.",
    "Is it known {c}?",
    "My son asks {c}.",
    "Could you remind me {c}?",
    "We were wondering {c}.",
    "Tell us {c}.",
    "I can't remember {c}.",
    "Does anyone know {c}?",
    "Would you know {c}?",
    "Might you know {c}?",
    "May I ask {c}?",
    "Are you able to tell me {c}?",
    "It would help to know {c}.",
    "Please say {c}.",
    "I keep forgetting {c}.",
    "Do you remember {c}?",
    "Please look up {c}.",
    "I must find out {c}.",
    "Could you please let me know {c}?",
    "I forget {c}.",
    "Explain {c}.",
    "Write down {c}.",
)
OPENERS = (
    "Hello! ",
    "Hi, ",
    "Quick question: ",
    "Excuse me, ",
    "One more question: ",
    "Hey, ",
    "For a quiz: ",
    "Geography question: ",
    "A question: ",
    "OK, ",
    "So, ",
    "Now, ",
    "Trivia: ",
    "For my homework: ",
    "Question: ",
    "Just curious: ",
    "Well, ",
    "By the way, ",
    "I keep forgetting: ",
    "Help me with this: ",
    "Please tell me: ",
    "Tell me, ",
    "Hi there, ",
    "I have a question: ",
    "Good morning! ",
    "Thanks. ",
    "Please, ",
    "Hello, ",
    "Dear assistant, ",
    "Could you help? ",
    "Next question: ",
    "For my crossword: ",
    "Pub quiz: ",
    "My friend asks: ",
    "Tell me this: ",
    "And ",
    "Hello there. ",
    "Good evening. ",
    "Thank you! ",
    "Great. ",
    "No, ",
)
CLOSERS = (
    " Thanks!",
    " Thank you.",
    " Please be brief.",
    " Thanks in advance.",
    " Please.",
    " Answer in one sentence.",
    " A short answer is enough.",
    " I forgot.",
    " I need it for school.",
    " Do you know?",
    " Any idea?",
    " Thank you very much.",
    " Just the name, please.",
    " I am curious.",
)


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


RECORD = re.compile(
    r"(?P<most>(?:second-|third-)?(?:most \w+|least \w+|\w+est|first|only|last)) (?P<noun>.+?)"
    r"(?P<where> (?:in|of|on|by|from|with|at|to) .+)?"
)


def record_question(name: str, rng: Random) -> str | None:
    """A record asked for by its noun ("Which lake is the largest?"); None for other names."""
    found = RECORD.fullmatch(name)
    if found is None:
        return None
    most, noun, where = found["most"], found["noun"], found["where"] or ""
    return rng.choice(
        (
            "Which {n} is the {m}{w}?",
            "Which {n}{w} is the {m}?",
            "What {n} is the {m}{w}?",
            "Which {n} is {m}{w}?",
            "What {n}{w} is {m}?",
            "Of every {n}{w}, which is the {m}?",
            "Do you know which {n} is the {m}{w}?",
            "Tell me which {n}{w} is the {m}.",
            "Which is the {m} {n}{w}?",
            "{m} {n}{w}",
            "Which {n} counts as the {m}{w}?",
            "I would like to know which {n} is the {m}{w}.",
            "Name the {m} {n}{w}.",
        )
    ).format(n=noun, m=most, w=where)


def plain_question(entity: Entity, relation: Relation, rng: Random, spoken: str) -> str:
    """One question for the value, without courtesies."""
    value = entity.values.get(relation.key, "")
    if entity.kind.key == "record" and rng.random() < 0.4:
        asked = record_question(entity.name, rng)
        if asked is not None:
            return asked
    weights = (
        3.0 if relation.nouns else 0.0,
        3.0 if relation.questions else 0.0,
        1.5 if relation.clauses else 0.0,
    )
    shape = rng.choices(("noun", "question", "clause"), weights)[0]
    if shape == "noun":
        noun = rng.choice(relation.nouns)
        return noun_question(rng.choice(_noun_forms(noun)[0]), noun, entity, value, spoken)
    if shape == "question":
        return fill(rng.choice(relation.questions), entity, value, spoken)
    clause = fill(rng.choice(relation.clauses), entity, value, spoken)
    return rng.choice(CLAUSE_WRAPPERS).replace("{c}", clause)


def inverse_question(entity: Entity, relation: Relation, rng: Random) -> str:
    """One question that names the value and asks for the thing."""
    text = fill(rng.choice(relation.inverses), entity, entity.values[relation.key])
    if rng.random() < 0.35:
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
    texts = [
        noun_question(wrapper, noun, entity, value, entity.spoken)
        for noun in relation.nouns
        for wrapper in _noun_forms(noun)[0]
    ]
    texts += [fill(text, entity, value) for text in relation.questions]
    texts += [
        wrapper.replace("{c}", fill(clause, entity, value))
        for clause in relation.clauses
        for wrapper in CLAUSE_WRAPPERS
    ]
    texts += [fill(text, entity, value) for text in relation.inverses]
    for text in texts:
        text = capitalised(text)
        if text not in seen:
            seen.add(text)
            yield text
