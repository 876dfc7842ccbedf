"""Invented things with invented values: what the training examples are about.

An invented value is new, or true of something else: `Inventor` never pairs a name of the fact
tables with a value that is true of it. It knows nothing of questions, prompts and tokens.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from selfrag.training.mini.names import NameModel, mutated, syllables
from selfrag.training.mini.schemas.questions import RECORD
from selfrag.training.mini.schemas.relation import Entity, Kind, joined, with_indefinite
from selfrag.training.mini.schemas.tables import (
    KINDS,
    ORDINALS,
    invention_slots,
    person_slots,
    plural,
    work_slots,
)

CONTINENTS = ("Africa", "Asia", "Europe", "North America", "South America", "Oceania", "Antarctica")
COINS = (
    "franc",
    "dollar",
    "peso",
    "pound",
    "dinar",
    "rupee",
    "krona",
    "shilling",
    "real",
    "won",
    "dirham",
    "lira",
    "mark",
    "crown",
    "rial",
    "ruble",
    "koruna",
    "guilder",
    "yen",
    "lek",
)
WATERS = ("Sea", "Ocean", "Lake", "Gulf of", "Bay", "Strait", "River", "Bay of")
RANGES = ("Mountains", "Alps", "Range", "Hills", "Highlands", "Massif")
CATEGORIES = (
    "noble gas",
    "alkali metal",
    "halogen",
    "nonmetal",
    "metalloid",
    "transition metal",
    "lanthanide",
    "actinide",
    "alkaline earth metal",
    "post-transition metal",
)
ANIMAL_CLASSES = (
    "mammal",
    "bird",
    "reptile",
    "fish",
    "amphibian",
    "insect",
    "arachnid",
    "mollusc",
    "crustacean",
    "marsupial",
    "cephalopod",
    "invertebrate",
)
DIETS = ("carnivore", "herbivore", "omnivore", "insectivore", "filter feeder", "scavenger")
PROFESSIONS = (
    "physicist",
    "composer",
    "painter",
    "writer",
    "chemist",
    "mathematician",
    "explorer",
    "philosopher",
    "statesman",
    "inventor",
    "poet",
    "singer",
    "astronomer",
    "architect",
    "engineer",
    "biologist",
    "ruler",
    "general",
    "film director",
    "economist",
    "novelist",
    "nurse",
    "physician",
    "sculptor",
    "athlete",
    "actor",
    "politician",
    "footballer",
)
WORK_SORTS = (
    "novel",
    "painting",
    "symphony",
    "opera",
    "play",
    "poem",
    "sculpture",
    "ballet",
    "short story",
    "film",
    "concerto",
    "song",
    "epic poem",
    "fresco",
    "piano sonata",
)
FEATURES = (
    "river",
    "lake",
    "mountain",
    "volcano",
    "desert",
    "waterfall",
    "island",
    "glacier",
    "national park",
    "mountain range",
    "canyon",
    "forest",
    "peninsula",
)
EVENTS = (
    "Battle of",
    "Treaty of",
    "Siege of",
    "War of",
    "Congress of",
    "Revolution of",
    "Council of",
    "Fall of",
    "Coronation of",
    "Conquest of",
    "Discovery of",
    "Founding of",
)
AFTER_EVENTS = ("War", "Revolution", "Earthquake", "Uprising", "Expedition", "Reform", "Rebellion")
LANDMARK_SORTS = (
    "cathedral",
    "tower",
    "palace",
    "bridge",
    "temple",
    "castle",
    "museum",
    "mosque",
    "statue",
    "fortress",
    "monument",
    "opera house",
    "abbey",
    "stadium",
    "arch",
)
SUPERLATIVES = (
    "largest",
    "smallest",
    "highest",
    "deepest",
    "longest",
    "oldest",
    "hottest",
    "coldest",
    "fastest",
    "heaviest",
    "tallest",
    "driest",
    "brightest",
    "shortest",
    "lightest",
    "most abundant",
    "most populous",
    "second-largest",
    "second-longest",
    "hardest",
    "busiest",
    "northernmost",
    "first",
    "closest",
    "most common",
    "widest",
)
RECORD_NOUNS = (
    "lake",
    "mountain",
    "planet",
    "river",
    "desert",
    "island",
    "animal",
    "city",
    "bone",
    "country",
    "ocean",
    "volcano",
    "bird",
    "fish",
    "organ",
    "building",
    "bridge",
    "star",
    "metal",
    "gas",
    "moon",
    "continent",
    "waterfall",
    "forest",
    "language",
    "muscle",
)
NOUNS = (
    "stone",
    "river",
    "night",
    "garden",
    "winter",
    "light",
    "king",
    "house",
    "sea",
    "wind",
    "bridge",
    "clock",
    "engine",
    "lamp",
    "machine",
    "bird",
    "star",
    "dance",
    "mirror",
    "shadow",
    "tower",
    "wheel",
    "glass",
    "paper",
    "voice",
    "storm",
    "child",
    "forest",
    "dream",
    "horse",
    "telescope",
    "pump",
    "valve",
    "printer",
    "battery",
    "cell",
    "law",
    "theory",
    "lens",
    "ray",
)
ADJECTIVES = (
    "silent",
    "red",
    "great",
    "blue",
    "old",
    "electric",
    "golden",
    "lost",
    "white",
    "green",
    "magic",
    "broken",
    "long",
    "last",
    "secret",
    "young",
    "black",
    "mechanical",
    "burning",
    "giant",
    "spotted",
    "northern",
    "striped",
    "common",
    "wild",
    "digital",
    "small",
    "grey",
)
FIRST_NAMES = (
    "Anna",
    "Boris",
    "Clara",
    "David",
    "Elena",
    "Felix",
    "Grace",
    "Hugo",
    "Ines",
    "Jan",
    "Karl",
    "Lena",
    "Maria",
    "Niels",
    "Olga",
    "Paul",
    "Rosa",
    "Samuel",
    "Tomas",
    "Vera",
    "William",
    "John",
    "Mary",
    "Charles",
    "Marie",
    "Albert",
    "Isaac",
    "Pablo",
    "Ada",
)
PROPER = ("city", "country", "region", "place", "planet", "name", "creator")


def value_items(text: str) -> list[str]:
    """The single values in a list in words, lower-cased."""
    return [item.strip() for item in text.lower().replace(" and ", ", ").split(", ")]


class Inventor:
    """Draws things of every kind. `entities`: the true ones, for shapes and for what to avoid."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self.pool: defaultdict[str, list[str]] = defaultdict(list)
        self.names: defaultdict[str, list[str]] = defaultdict(list)
        self.truths: defaultdict[str, set[str]] = defaultdict(set)
        proper: list[str] = []
        firsts, lasts = set(FIRST_NAMES), set()
        words: set[str] = set()
        self.slots: defaultdict[str, list[str]] = defaultdict(list)
        for entity in entities:
            self.names[entity.kind.naming].append(entity.name)
            if entity.kind.naming in ("country", "city", "river", "mountain", "lake", "person"):
                proper.append(entity.name)
            if entity.kind.key == "person" and " " in entity.name:
                firsts.add(entity.name.split()[0])
                lasts.add(entity.name.split()[-1])
            for key, text in entity.values.items():
                sort = next((r.value for r in entity.kind.relations if r.key == key), "")
                self.pool[sort].append(text)
                self.truths[entity.name.lower()].update((text.lower(), *value_items(text)))
                for item in value_items(text):
                    self.truths[item].add(entity.name.lower())
                if sort in PROPER:
                    proper.append(text)
                words.update(
                    word
                    for word in text.split()
                    if word.islower() and word.isalpha() and len(word) > 3
                )
            if "noun" in entity.slots:
                self.slots[entity.kind.key].append(entity.slots["noun"])
        self.terms = [
            entity
            for entity in entities
            if entity.kind.key == "term"
            and entity.values["answer"] in entity.values.get("sentence", "")
        ]
        self.details = [entity.values["detail"] for entity in entities if "detail" in entity.values]
        self.first_names, self.last_names = sorted(firsts), sorted(lasts)
        self.words = sorted(words | set(NOUNS) | set(ADJECTIVES))
        self.model = NameModel(proper)

    def entity(self, kind: Kind, rng: Random, name: str = "") -> Entity:
        """An invented thing of this kind with a value for each of its relations."""
        if kind.key == "term" and not name and self.terms and rng.random() < 0.5:
            return self._retold(rng)
        article = ""
        slots: dict[str, str] = {}
        aliases: tuple[str, ...] = ()
        heading = ""
        name = name or self.name(kind, rng)
        if kind.key == "country":
            article = "the" if rng.random() < 0.08 or name.endswith(("Islands", "Republic")) else ""
            slots["feature_noun"] = rng.choice(FEATURES)
        elif kind.key == "river":
            bare = name.removesuffix(" River")
            article = "the"
            aliases = (f"the river {bare}", f"the {bare} River", f"the {bare}")
            heading = name if "River" in name else f"{name} River"
        elif kind.key == "mountain" and name.startswith("Mount "):
            aliases = (name.removeprefix("Mount "),)
        elif kind.key == "lake":
            article = "" if name.startswith("Lake") else "the"
        elif kind.key == "moon":
            heading = f"{name} (moon)"
        elif kind.key == "animal":
            article, slots["plural"] = "the", plural(name)
        elif kind.key == "planet":
            slots["noun"] = "dwarf planet" if rng.random() < 0.3 else "planet"
        elif kind.key == "invention":
            slots = invention_slots(rng.choice(("invention", "discovery")))
            article = "the" if rng.random() < 0.6 else ""
        elif kind.key in ("record", "term"):
            article = "the"
            slots = {"is_called": rng.choice(("is", "is called"))} if kind.key == "term" else {}
        elif kind.key == "person":
            slots = person_slots(rng.choice(("he", "she")), living=rng.random() < 0.3)
            last = name.split()[-1]
            aliases = (last,) if last != name and last.isalpha() and len(last) > 3 else ()
        elif kind.key == "work":
            true = self.truths.get(name.lower(), set())
            sort = self._sort([s for s in WORK_SORTS if s not in true], "work", rng)
            slots = work_slots("tapestry" if sort in true else sort)
        elif kind.key == "landmark":
            sort = self._sort(LANDMARK_SORTS, "landmark", rng)
            slots = {"noun": sort, "a_noun": with_indefinite(sort)}
            article = "the" if rng.random() < 0.5 and not name.lower().startswith("the") else ""
        elif kind.key == "event":
            article = "the" if rng.random() < 0.75 else ""
            slots = {"took_place": rng.choice(("took place", "began"))}
        entity = Entity(kind, name, article, {}, slots, aliases, heading)
        return replace(entity, values=self.values(entity, rng))

    def _retold(self, rng: Random) -> Entity:
        """A term of the tables with another answer in its sentence."""
        real = rng.choice(self.terms)
        true = real.values["answer"]
        sort = "small_number" if true.isdigit() else "thing"
        for _ in range(30):
            value = self.value(sort, real, rng)
            if value.lower() not in self.truths[real.name.lower()]:
                break
        sentence = real.values["sentence"].replace(true, value)
        return replace(real, values={"answer": value, "sentence": sentence})

    def values(self, entity: Entity, rng: Random) -> dict[str, str]:
        """A value for each relation, none of them true of a thing of the tables."""
        true = self.truths.get(entity.name.lower(), set())
        values: dict[str, str] = {}
        for relation in entity.kind.relations:
            if not relation.value or relation.value == "sentence":
                continue
            for _ in range(30):
                value = self.value(relation.value, entity, rng)
                if not true.intersection((value.lower(), *value_items(value))):
                    values[relation.key] = value
                    break
        if entity.kind.key == "record" and self.details and rng.random() < 0.5:
            values["detail"] = rng.choice(self.details)
        if "sort" in values and entity.kind.key == "work":
            values["sort"] = entity.slots["noun"]
        return values

    def _sort(self, choices: Sequence[str], kind: str, rng: Random) -> str:
        real = self.slots.get(kind)
        return rng.choice(real) if real and rng.random() < 0.5 else rng.choice(choices)

    def _phrase(self, rng: Random, least: int = 1, most: int = 4) -> str:
        return " ".join(rng.choice(self.words) for _ in range(rng.randint(least, most)))

    def name(self, kind: Kind, rng: Random) -> str:
        """A name for a thing of this kind: invented, spliced from real words, or a real one."""
        real = self.names.get(kind.naming)
        chance = rng.random()
        if real and chance < 0.15:
            return rng.choice(real)
        if real and chance < 0.30:
            return mutated(rng.choice(real), rng, self.model)
        return self._new_name(kind.naming, rng)

    def _new_name(self, naming: str, rng: Random) -> str:
        word, place = self.model.word, self.model.place
        if naming == "person":
            return self.person(rng)
        if naming == "river":
            return place(rng) + (" River" if rng.random() < 0.1 else "")
        if naming == "mountain":
            return f"Mount {word(rng)}" if rng.random() < 0.5 else place(rng)
        if naming == "lake":
            shape = rng.choice(("Lake {}", "Lake {}", "{} Sea", "{} Reservoir", "Lake {}"))
            return shape.format(place(rng))
        if naming == "element":
            return word(rng).lower() + rng.choice(("ium", "on", "ine", "um", "gen", "", "ic"))
        if naming in ("thing", "animal"):
            phrase = self._phrase(rng, 1, 3)
            chance = rng.random()
            if chance < 0.2:
                return f"{word(rng)} {rng.choice(NOUNS)}"
            if chance < 0.4:
                return f"{rng.choice(ADJECTIVES)} {syllables(rng)}"
            return phrase if chance < 0.7 else f"{rng.choice(ADJECTIVES)} {rng.choice(self.words)}"
        if naming == "work":
            return self._title(rng)
        if naming == "event":
            if rng.random() < 0.6:
                return f"{rng.choice(EVENTS)} {place(rng)}"
            return f"{word(rng)} {rng.choice(AFTER_EVENTS)}"
        if naming == "landmark":
            shape = rng.choice(("{} {}", "{} {}", "{1} of {0}"))
            return shape.format(place(rng), rng.choice(LANDMARK_SORTS).title())
        if naming == "record":
            where = rng.choice(
                (
                    "in {}",
                    "of {}",
                    "in the world",
                    "in the human body",
                    "on Earth",
                    "in the Solar System",
                    "by area in {}",
                    "in {}",
                    "",
                    "of the {}",
                )
            )
            noun = rng.choice(RECORD_NOUNS) if rng.random() < 0.7 else rng.choice(self.words)
            text = f"{rng.choice(SUPERLATIVES)} {noun} {where.format(place(rng))}"
            return text.strip()
        if naming == "term":
            shape = rng.choice(
                (
                    "{} of the {}",
                    "{} that {} the {}",
                    "{} for {}",
                    "study of {}",
                    "{} with the most {}",
                    "science of {}",
                    "number of {} in a {}",
                    "{} in a {}",
                    "fear of {}",
                    "{} used for {}",
                )
            )
            return shape.format(*(rng.choice(self.words) for _ in range(3)))
        return place(rng)

    def _title(self, rng: Random) -> str:
        noun, other = rng.choice(NOUNS).title(), rng.choice(self.words).title()
        adjective = rng.choice(ADJECTIVES).title()
        shape = rng.choice(
            (
                "The {n}",
                "{w}",
                "The {a} {n}",
                "{n} and {o}",
                "The {n} of {w}",
                "{a} {n}",
                "A {n} in {w}",
                "{w} and {x}",
                "The {o} of the {n}",
                "{x} {w}",
                "{n} No. {k}",
                "The {n}s",
                "In the {n} of {o}",
                "{w}'s {n}",
            )
        )
        return shape.format(
            n=noun,
            o=other,
            a=adjective,
            w=self.model.word(rng),
            x=self.model.word(rng),
            k=rng.randint(1, 12),
        )

    def person(self, rng: Random) -> str:
        """An invented person's name."""
        return self.model.person(rng, self.first_names, self.last_names)

    def value(self, sort: str, entity: Entity, rng: Random) -> str:
        """One value of this sort, as text."""
        real = self.pool.get(sort)
        text = self._new_value(sort, rng)
        share = 0.25 if text else 1.0
        if real and rng.random() < share:
            text = rng.choice(real)
            if share == 1.0 and rng.random() < 0.5:
                text = self._spliced(text, rng.choice(real), rng)
            return text
        return text or f"{with_indefinite(rng.choice(NOUNS))} for {self._phrase(rng, 2, 5)}"

    def _spliced(self, one: str, other: str, rng: Random) -> str:
        """The beginning of one text and the end of another, or a word replaced."""
        words, others = one.split(), other.split()
        if rng.random() < 0.5 and len(words) > 1 and len(others) > 1:
            return " ".join(words[: rng.randint(1, len(words))] + others[len(others) // 2 :])
        words[rng.randrange(len(words))] = rng.choice(self.words)
        return " ".join(words)

    def _new_value(self, sort: str, rng: Random) -> str:
        word, place = self.model.word, self.model.place
        several = rng.choices((1, 2, 3, 4, 5, 7), (10, 6, 4, 2, 1, 1))[0]
        if sort in ("city", "country", "name", "planet", "region", "place"):
            return place(rng)
        if sort == "currency":
            return f"{word(rng)} {rng.choice(COINS)}" if rng.random() < 0.75 else word(rng).lower()
        if sort == "languages":
            endings = ("ish", "ian", "ese", "i", "an", "", "ic")
            return joined([word(rng) + rng.choice(endings) for _ in range(min(several, 4))])
        if sort == "continent":
            return rng.choice(CONTINENTS) if rng.random() < 0.7 else place(rng)
        if sort in ("names", "countries"):
            return joined([place(rng) for _ in range(several)])
        if sort == "demonym":
            return word(rng) + rng.choice(("ian", "ese", "ish", "i", "an", "er"))
        if sort == "kilometres":
            return f"{rng.randint(10, 9999):,} kilometres"
        if sort == "metres":
            return f"{rng.randint(200, 9999):,} metres"
        if sort == "area":
            size = rng.choice((rng.randint(10, 999), rng.randint(1000, 99999)))
            return f"{size:,} square kilometres"
        if sort == "water":
            body = rng.choice(WATERS)
            return f"the {body} {word(rng)}" if body.endswith("of") else f"the {word(rng)} {body}"
        if sort == "range":
            return f"the {word(rng)} {rng.choice(RANGES)}"
        if sort == "symbol":
            return word(rng)[: rng.choice((1, 2, 2, 2))]
        if sort == "small_number":
            return str(rng.randint(1, 150))
        if sort == "ordinal":
            return rng.choice(ORDINALS[1:])
        if sort == "year":
            return (
                f"{rng.randint(1, 900)} BC" if rng.random() < 0.06 else str(rng.randint(900, 2024))
            )
        if sort in ("persons", "creator"):
            return joined([self.person(rng) for _ in range(2 if rng.random() < 0.12 else 1)])
        if sort == "duration":
            unit = rng.choice(("Earth days", "Earth years", "days", "years"))
            return f"{rng.choice((rng.randint(2, 999), round(rng.uniform(1, 300), 1)))} {unit}"
        if sort == "animal_word":
            return rng.choice(self.words) if rng.random() < 0.6 else syllables(rng)
        closed = {
            "category": CATEGORIES,
            "animal_class": ANIMAL_CLASSES,
            "diet": DIETS,
            "profession": PROFESSIONS,
            "work_sort": WORK_SORTS,
        }.get(sort)
        if closed:
            return rng.choice(closed) if rng.random() < 0.8 else self._phrase(rng, 1, 2)
        if sort == "thing":
            chance = rng.random()
            if chance < 0.4:
                return place(rng)
            if chance < 0.6:
                return f"the {self._phrase(rng, 1, 2)}"
            return self._phrase(rng, 1, 2) if chance < 0.9 else str(rng.randint(2, 999))
        if sort in self.pool:
            return ""
        starts = {
            "era": "antiquity",
            "use": f"in {self._phrase(rng, 1, 3)}",
            "lake_sort": "lake",
            "habitat": f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}s",
        }
        return starts.get(sort, "")


def other_record(name: str, rng: Random) -> str:
    """Another record that shares words with this one: another superlative, noun or place."""
    found = RECORD.fullmatch(name)
    if found is None:
        return name
    most, noun, where = found["most"], found["noun"], found["where"] or ""
    chance = rng.random()
    if chance < 0.4:
        most = rng.choice(SUPERLATIVES)
    elif chance < 0.8:
        noun = rng.choice(RECORD_NOUNS)
    else:
        where = rng.choice(
            (
                " in the world",
                " on Earth",
                " in the Solar System",
                "",
                f" in {rng.choice(CONTINENTS)}",
            )
        )
    return f"{most} {noun}{where}"


def kind_weights() -> list[float]:
    """How often each kind is drawn: about by its share of the corpus."""
    heavy = {"country": 3.0, "element": 2.0, "person": 3.0, "work": 2.0, "record": 1.5, "term": 1.0}
    return [heavy.get(kind.key, 1.0) for kind in KINDS]
