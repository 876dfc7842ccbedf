"""How a thing is described by what is known of it: wordings of our own for questions with hops.

`FORWARD` describes the value of a relation: `{s}` is the thing that has it ("the author of {s}").
`BACKWARD` describes the thing: `{v}` is the value of its relation ("the country whose capital is
{v}"). Both take the slots of `schemas.relation.fill`. The last wording of each list is never
trained on: it is measured with. `FRAMES` put a question into two parts: `{d}` is the description,
`{q}` a question about it by another name (`THAT`).
"""

from __future__ import annotations

Key = tuple[str, str]

_LAND = (
    "the country where {s} is located",
    "the country in which {s} lies",
    "the country {s} belongs to",
    "the country that is home to {s}",
    "the country of {s}",
    "the nation where {s} can be found",
    "the state in which one finds {s}",
)

FORWARD: dict[Key, tuple[str, ...]] = {
    ("country", "capital"): (
        "the capital of {s}",
        "{s}'s capital",
        "the capital city of {s}",
        "the city that is the capital of {s}",
        "the city from which {s} is governed",
        "the seat of government of {s}",
    ),
    ("country", "largest_city"): (
        "the largest city of {s}",
        "{s}'s biggest city",
        "the city with the most people in {s}",
        "the most populous city of {s}",
        "the biggest city in {s}",
    ),
    ("country", "feature"): (
        "the natural feature that {s} is known for",
        "the {feature_noun} for which {s} is known",
        "the famous {feature_noun} of {s}",
        "the well-known {feature_noun} in {s}",
    ),
    ("city", "country"): (
        *_LAND,
        "the country with the city of {s}",
        "the country that {s} is a city of",
    ),
    ("landmark", "city"): (
        "the city where {s} stands",
        "the city in which one can visit {s}",
        "the city of {s}",
        "the town that has {s}",
        "the place where {s} was built",
        "the city that is home to {s}",
    ),
    ("landmark", "country"): (
        *_LAND,
        "the country where {s} stands",
        "the country in which tourists visit {s}",
    ),
    ("landmark", "builder"): (
        "the architect of {s}",
        "the builder of {s}",
        "the person who designed {s}",
        "the person who built {s}",
        "whoever is behind the building of {s}",
    ),
    ("river", "countries"): (
        "the country through which {s} flows",
        "the country that {s} crosses",
        "the country where {s} flows",
        "the country with {s} in it",
    ),
    ("river", "mouth"): (
        "the water into which {s} flows",
        "the body of water that {s} empties into",
        "the water at the mouth of {s}",
        "the river or lake that {s} joins",
    ),
    ("lake", "countries"): (*_LAND, "the country on whose map {s} appears"),
    ("mountain", "countries"): (
        *_LAND,
        "the country where {s} rises",
        "the country a climber of {s} has to visit",
    ),
    ("person", "country"): (
        "the country that {s} came from",
        "the home country of {s}",
        "{s}'s home country",
        "the native country of {s}",
        "the country {s} is from",
        "the homeland of {s}",
    ),
    ("person", "birthplace"): (
        "the birthplace of {s}",
        "the city where {s} was born",
        "the place where {s} was born",
        "{s}'s birthplace",
        "the town in which {s} came into the world",
        "the city of {s}'s birth",
    ),
    ("work", "creator"): (
        "the {agent} of {s}",
        "the person who {did} {s}",
        "whoever {did} {s}",
        "the creator of {s}",
        "the {agent} who {did} the {noun} {s}",
        "the maker of the {noun} {s}",
        "the one by whom {s} was {made}",
    ),
    ("invention", "who"): (
        "the person who {verb} {s}",
        "the {agent} of {s}",
        "the one who {verb} {s}",
        "the man or woman behind {s}",
        "whoever {verb} {s}",
    ),
    ("element", "discoverer"): (
        "the discoverer of {s}",
        "the chemist who discovered {s}",
        "the person who discovered the element {s}",
        "whoever first found {s}",
    ),
    ("moon", "discoverer"): (
        "the discoverer of {s}",
        "the astronomer who discovered {s}",
        "the person who first saw the moon {s}",
        "whoever discovered the moon {s}",
    ),
    ("planet", "discoverer"): (
        "the discoverer of {s}",
        "the astronomer who discovered {s}",
        "the person who found {s}",
    ),
    ("moon", "planet"): (
        "the planet that {s} orbits",
        "the planet of the moon {s}",
        "the planet around which {s} goes",
        "the planet that has {s} as a moon",
    ),
    ("event", "place"): (
        "the place where {s} took place",
        "the place of {s}",
        "the scene of {s}",
        "the place in which {s} happened",
    ),
    ("record", "answer"): (
        "{s}",
        "{s}",
        "what is called {s}",
        "the one known as {s}",
        "the holder of the record of {s}",
    ),
}

BACKWARD: dict[Key, tuple[str, ...]] = {
    ("country", "capital"): (
        "the country whose capital is {v}",
        "the country with {v} as its capital",
        "the country that has {v} as its capital",
        "the country of which {v} is the capital",
        "the country governed from {v}",
        "the nation whose capital city is {v}",
        "the country that {v} is the capital of",
        "the state with the capital {v}",
        "the land that has its government in {v}",
    ),
    ("country", "largest_city"): (
        "the country whose largest city is {v}",
        "the country with {v} as its biggest city",
        "the country that has {v} as its largest city",
        "the country in which no city is larger than {v}",
    ),
    ("country", "currency"): (
        "the country whose currency is the {v}",
        "the country that uses the {v}",
        "the country where people pay with the {v}",
        "the country with the {v} as its currency",
        "the country whose money is the {v}",
    ),
    ("country", "feature"): (
        "the country known for {v}",
        "the country that has {v}",
        "the country whose famous {feature_noun} is {v}",
        "the country one thinks of when hearing of {v}",
    ),
    ("country", "demonym"): (
        "the country whose people are called {v}",
        "the country of which the adjective is {v}",
        "the country where things are called {v}",
    ),
    ("river", "length"): (
        "the river that is {v} long",
        "the river with a length of {v}",
        "the river whose course measures {v}",
    ),
    ("mountain", "height"): (
        "the mountain that is {v} high",
        "the mountain with a height of {v}",
        "the peak that rises to {v}",
    ),
    ("lake", "area"): (
        "the lake that covers {v}",
        "the lake with an area of {v}",
        "the lake whose surface measures {v}",
    ),
    ("city", "known_for"): (
        "the city known for {v}",
        "the city famous for {v}",
        "the town that people visit because of {v}",
        "the city whose fame is {v}",
    ),
    ("element", "symbol"): (
        "the element with the symbol {v}",
        "the chemical element whose symbol is {v}",
        "the element written as {v}",
        "the element that chemists call {v}",
    ),
    ("element", "number"): (
        "the element with the atomic number {v}",
        "the chemical element number {v}",
        "the element that has {v} protons",
        "element number {v} of the periodic table",
    ),
    ("element", "named_after"): (
        "the element named after {v}",
        "the element whose name comes from {v}",
        "the chemical element that owes its name to {v}",
    ),
    ("planet", "order"): (
        "the {v} planet from the Sun",
        "the planet that is {v} from the Sun",
        "the planet in the {v} orbit around the Sun",
    ),
    ("planet", "year_length"): (
        "the planet whose year lasts {v}",
        "the planet that needs {v} to go around the Sun",
        "the planet with a year of {v}",
    ),
    ("moon", "diameter"): (
        "the moon with a diameter of {v}",
        "the moon that is {v} across",
        "the moon that measures {v}",
    ),
    ("animal", "young"): (
        "the animal whose young is called a {v}",
        "the animal that has a {v} as its young",
        "the animal whose baby is a {v}",
    ),
    ("animal", "group"): (
        "the animal that lives in a {v}",
        "the animal of which a group is called a {v}",
        "the animal whose groups are called {v}",
    ),
    ("person", "known_for"): (
        "the person known for {v}",
        "the {field} known for {v}",
        "the one who became famous for {v}",
        "the person who is remembered for {v}",
        "the person to whom we owe {v}",
    ),
    ("invention", "description"): (
        "the {noun} that is {v}",
        "the {noun} described as {v}",
        "{v}",
    ),
    ("work", "note"): (
        "the {noun} of which it is said: {v}",
        "the {noun} described like this: {v}",
    ),
    ("landmark", "builder"): (
        "the {noun} built by {v}",
        "the {noun} designed by {v}",
        "the {noun} that is the work of {v}",
    ),
    ("event", "description"): (
        "the event described like this: {v}",
        "the event in which this happened: {v}",
    ),
}

THAT: dict[str, tuple[str, ...]] = {
    "country": ("that country", "this country", "the country"),
    "city": ("that city", "this city", "that town"),
    "person": ("that person", "this person"),
    "river": ("that river", "this river"),
    "lake": ("that lake", "this lake"),
    "mountain": ("that mountain", "this peak"),
    "element": ("that element", "this element"),
    "planet": ("that planet", "this planet"),
    "moon": ("that moon", "this moon"),
    "animal": ("that animal", "this animal"),
    "work": ("that work", "this work"),
    "landmark": ("that landmark", "this landmark"),
    "invention": ("that", "this thing"),
    "event": ("that event", "this event"),
}

FRAMES: tuple[str, ...] = (
    "Take {d}. {q}",
    "Think of {d}. {q}",
    "I am thinking of {d}. {q}",
    "About {d}: {q}",
    "My question is about {d}. {q}",
    "{q} I mean {d}.",
    "{q} I am speaking of {d}.",
    "{q} It is about {d}.",
    "Find {d}, then tell me: {q}",
    "First find {d}. {q}",
    "Consider {d}. {q}",
    "I forgot the name of {d}. {q}",
    "We talked about {d}. {q}",
    "There is {d}. {q}",
    "Identify {d} and answer: {q}",
    "This is about {d}. {q}",
)
"""The last of them is never trained on."""
