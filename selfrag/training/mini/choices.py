"""Questions with four answers to choose from.

The answer says what is the case, in the words of an option; which letter that is, `read_option` of
`selfrag.controller.options` finds. A letter behind the sentence was tried: a small model learns to
write one long before it learns which.
"""

from random import Random

from selfrag.controller.options import read_option
from selfrag.training.mini.asked import Asked, Step
from selfrag.training.mini.material import Material
from selfrag.training.mini.names import mutated
from selfrag.training.mini.schemas.questions import plain_question, question
from selfrag.training.mini.schemas.relation import Entity, Relation, capitalised

PUBLISHED = "Given four answer candidates, A, B, C and D, choose the best answer choice."
"""The instruction of the published model (reference: `TASK_INST["arc_c"]`)."""

LEADS: tuple[tuple[float, str], ...] = (
    (6, "{q}"),
    (2, PUBLISHED + "## Input:\n\n{q}"),
    (2, PUBLISHED + "\n\n### Input:\n{q}"),
    (2, PUBLISHED + " {q}"),
    (1, "Choose the right answer. {q}"),
    (1, "Choose one. {q}"),
    (1, "Pick the correct option: {q}"),
    (1, "Multiple choice: {q}"),
    (1, "Answer with A, B, C or D. {q}"),
    (1, "Which answer is right? {q}"),
    (1, "Quiz question: {q}"),
    (1, "Select the best answer.\n{q}"),
)
LISTS: tuple[tuple[float, str, str, str], ...] = (
    (5, "\n", "{k}: {v}", "\n"),
    (4, "\n", "{k}) {v}", "\n"),
    (3, "\n", "{k}. {v}", "\n"),
    (3, " ", "({k}) {v}", " "),
    (3, " ", "{k}) {v}", " "),
    (2, " ", "{k}: {v}", ", "),
    (2, " ", "{k}) {v}", ", "),
    (1, "\n", "({k}) {v}", "\n"),
    (1, " ", "{k}. {v}", " "),
    (1, " Options: ", "{k}: {v}", "; "),
    (1, "\nOptions:\n", "{k}. {v}", "\n"),
)
"""Weight, what stands before the options, an option, what stands between them."""
CLOSERS = ("\n", "\nAnswer:", " Choose one.", "\nWhich one is it?")
LETTERS = "ABCD"


def choice(material: Material) -> Asked:
    """A question for a value, or for the thing that has it, with four options."""
    rng = material.rng
    inverse = rng.random() < 0.3
    entity, relation = material.invertible() if inverse else _thing(material)
    if inverse:
        text = question(entity, relation, rng, inverse=True)
        right = entity.spoken
        wrong = [_likeness(material, entity).spoken for _ in range(6)]
    else:
        text = plain_question(entity, relation, rng, entity.spoken)
        right = entity.values[relation.key]
        wrong = [_value(material, entity, relation) for _ in range(6)]
    options = _distinct(right, wrong)
    if len(options) < 4 or (inverse and right.lower() in text.lower()):
        return choice(material)
    rng.shuffle(options)
    step = Step.of(entity, relation.key)
    if read_option(step.sentence, dict(zip(LETTERS, options, strict=True))) is None:
        return choice(material)  # the sentence has the thing's name in another form
    asked = listed(capitalised(text), options, rng)
    return Asked("choice", asked, (step,))


def listed(text: str, options: list[str], rng: Random) -> str:
    """The question with its options, as people write them."""
    lead = rng.choices([lead for _, lead in LEADS], [weight for weight, _ in LEADS])[0]
    _, start, shape, between = rng.choices(LISTS, [shape[0] for shape in LISTS])[0]
    capital = rng.random() < 0.6
    shown = [capitalised(option) if capital else option for option in options]
    lines = between.join(shape.format(k=k, v=v) for k, v in zip(LETTERS, shown, strict=True))
    closer = rng.choice(CLOSERS) if rng.random() < 0.1 else ""
    return lead.format(q=f"{text}{start}{lines}{closer}")


def _thing(material: Material) -> tuple[Entity, Relation]:
    entity = material.entity()
    return entity, material.rng.choice(material.asked(entity))


def _value(material: Material, entity: Entity, relation: Relation) -> str:
    """Another value of the same sort."""
    rng = material.rng
    if rng.random() < 0.15:
        return mutated(entity.values[relation.key], rng, material.inventor.lexicon.model)
    return material.inventor.entity(entity.kind, rng).values.get(relation.key, "")


def _likeness(material: Material, entity: Entity) -> Entity:
    return material.inventor.entity(entity.kind, material.rng)


def _distinct(right: str, wrong: list[str]) -> list[str]:
    """The right option and three others; none contains another."""
    options = [right]
    for option in wrong:
        low = option.lower()
        if (
            low
            and "\n" not in low
            and not any(low in other.lower() or other.lower() in low for other in options)
        ):
            options.append(option)
        if len(options) == 4:
            break
    return options
