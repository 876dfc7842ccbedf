"""Relations that no table has: noun phrases that a question may ask for all the same."""

from selfrag.training.mini.material import Material
from selfrag.training.mini.schemas.questions import noun_question, with_habits
from selfrag.training.mini.schemas.relation import Entity
from selfrag.training.mini.schemas.wrappers import NOUN_WRAPPERS

FOREIGN_NOUNS = (
    "population",
    "president",
    "area",
    "national anthem",
    "calling code",
    "highest point",
    "flag",
    "king",
    "prime minister",
    "climate",
    "time zone",
    "national animal",
    "independence day",
    "gross domestic product",
    "life expectancy",
    "main religion",
    "national dish",
    "motto",
    "wife",
    "husband",
    "mother",
    "father",
    "first job",
    "favourite colour",
    "religion",
    "net worth",
    "cause of death",
    "number of children",
    "school",
    "melting point",
    "boiling point",
    "density",
    "price",
    "colour",
    "atomic mass",
    "hardness",
    "weight",
    "average speed",
    "lifespan",
    "top speed",
    "temperature",
    "main character",
    "number of pages",
    "publisher",
    "owner",
    "opening hours",
    "ticket price",
    "number of visitors",
    "mayor",
    "football club",
    "airport",
    "university",
    "postal code",
    "depth",
    "width",
    "source",
    "main tributary",
    "discharge",
    "first climber",
    "volume",
    "number of deaths",
    "winner",
    "loser",
    "commander",
    "gravity",
    "mass",
    "surface",
    "taste",
    "smell",
    "patent number",
    "first customer",
    "brand",
    "first sentence",
    "language",
    "length in minutes",
    "soundtrack",
    "museum",
    "value at auction",
    "national flower",
    "nickname",
)


def foreign_phrase(material: Material) -> str:
    """What is asked for: a common noun phrase or one or two words at random."""
    rng = material.rng
    if rng.random() < 0.7:
        return rng.choice(FOREIGN_NOUNS)
    return " ".join(rng.choice(material.inventor.lexicon.words) for _ in range(rng.randint(1, 2)))


def foreign_question(material: Material, entity: Entity, phrase: str) -> str:
    """A question for what the phrase says of the thing."""
    rng = material.rng
    noun = rng.choice((f"the {phrase} of {{s}}", f"{{s}}'s {phrase}", f"the {phrase} of {{s}}"))
    wrapper = rng.choice(NOUN_WRAPPERS)
    return with_habits(noun_question(wrapper, noun, entity, "", entity.spoken), rng)
