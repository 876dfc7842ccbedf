"""Works of art: who made them, when, and of what sort they are."""

from selfrag.training.mini.schemas.cells import Row, listed, values, year
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation, with_indefinite

WORK_WORDS = {
    "painting": ("painter", "painted", "painted"),
    "fresco": ("painter", "painted", "painted"),
    "sculpture": ("sculptor", "made", "made"),
    "film": ("director", "directed", "directed"),
    "woodblock print": ("artist", "made", "made"),
    "print": ("artist", "made", "made"),
}
MUSIC = (
    "symphony",
    "opera",
    "ballet",
    "concerto",
    "sonata",
    "suite",
    "song",
    "oratorio",
    "music",
    "requiem",
    "overture",
    "waltz",
    "rhapsody",
    "cantata",
    "musical",
    "quartet",
    "march",
    "piece",
    "mass",
    "tone poem",
    "cycle",
    "composition",
    "étude",
    "nocturne",
    "prelude",
    "operetta",
    "anthem",
    "bagatelle",
    "serenade",
    "quintet",
    "chorale",
    "motet",
    "album",
    "orchestr",
)
WORK = Kind(
    key="work",
    noun="work",
    naming="work",
    relations=(
        Relation(
            "creator",
            "creator",
            "{S} was {made} by {v}.",
            (
                "{S} was {made} by {v}.",
                "{S} is {a_noun} by {v}.",
                "The {agent}{s_v} of {s} {is_v} {v}.",
                "{v} {did} {s}.",
                "The {noun} {s} is by {v}.",
            ),
            ("It was {made} by {v}.", "The {agent}{s_v} {is_v} {v}."),
            (
                "@the {agent} of {s}",
                "@{s}'s {agent}",
                "@the creator of {s}",
                "@the person who {did} {s}",
                "@the {agent} of the {noun} {s}",
                "@the artist behind {s}",
            ),
            (
                "Who {did} {s}?",
                "Who {did} the {noun} {s}?",
                "By whom was {s} {made}?",
                "By whom is {s}?",
                "Who is {s} by?",
                "Who created {s}?",
                "Whose work is {s}?",
                "{S} was {made} by whom?",
                "Which {agent} {did} {s}?",
                "Who made {s}?",
                "Who was it that {did} {s}?",
                "{S} is a work by whom?",
                "Who {did} the famous {noun} {s}?",
                "From whom is the {noun} {s}?",
                "Which {agent} is behind {s}?",
                "Which {agent} gave us {s}?",
            ),
            (
                "who {did} {s}",
                "who {did} the {noun} {s}",
                "by whom {s} was {made}",
                "who the {agent} of {s} is",
                "which {agent} {did} {s}",
                "who created {s}",
            ),
            (
                "Which {noun} was {made} by {v}?",
                "Which {noun} did {v} create?",
                "Which {noun} is by {v}?",
                "What {noun} was {made} by {v}?",
            ),
        ),
        Relation(
            "year",
            "year",
            "{S} dates from {v}.",
            (
                "{S} dates from {v}.",
                "The year of {s} is {v}.",
                "{S} was finished in {v}.",
                "The {noun} {s} dates from {v}.",
                "{S} first appeared in {v}.",
            ),
            ("It dates from {v}.", "It first appeared in {v}."),
            (
                "the year of {s}",
                "the date of {s}",
                "the year in which {s} was {made}",
                "the year of the {noun} {s}",
                "the year {s} appeared",
                "the publication year of {s}",
                "the year when {s} was finished",
            ),
            (
                "When was {s} {made}?",
                "In which year was {s} {made}?",
                "From what year is {s}?",
                "When was the {noun} {s} {made}?",
                "What year is {s} from?",
                "When did {s} appear?",
                "When was {s} published?",
                "When did {s} first appear?",
                "In what year did {s} come out?",
                "{S} dates from which year?",
                "From when does {s} date?",
                "When was {s} finished?",
                "When did {s} come out?",
                "How old is {s}?",
                "In what year was {s} {made}?",
            ),
            (
                "when {s} was {made}",
                "in which year {s} was {made}",
                "from when {s} dates",
                "when {s} appeared",
                "when {s} first came out",
            ),
        ),
        Relation(
            "sort",
            "work_sort",
            "{S} is {a_v}.",
            ("{S} is {a_v}.", "{S} is known as {a_v}."),
            ("It is {a_v}.",),
            ("the type of work that {s} is", "the genre of {s}", "the kind of work of {s}"),
            (
                "What kind of work is {s}?",
                "What type of work is {s}?",
                "What sort of work is {s}?",
                "What is {s}?",
                "Which kind of work is {s}?",
                "What art form is {s}?",
            ),
            ("what kind of work {s} is", "what {s} is", "what type of work {s} is"),
        ),
        Relation("note", "sentence", "{v}", ("{v}",), asked=False),
    ),
    plans={"creator": ("creator",), "year": ("year", "sort")},
    described=("sort", "creator", "year"),
)


def work_slots(kind: str) -> dict[str, str]:
    """The words for the maker and the making of a work of this kind."""
    agent, did, made = WORK_WORDS.get(kind, ("author", "wrote", "written"))
    if kind not in WORK_WORDS:
        if any(word in kind.lower() for word in MUSIC):
            agent, did, made = "composer", "composed", "composed"
        elif "painting" in kind or "fresco" in kind or "portrait" in kind:
            agent, did, made = "painter", "painted", "painted"
        elif "sculpture" in kind or "statue" in kind:
            agent, did, made = "sculptor", "made", "made"
    return {"noun": kind, "a_noun": with_indefinite(kind), "agent": agent, "did": did, "made": made}


def read_work(row: Row) -> Entity:
    """One row of the table as a work."""
    return Entity(
        WORK,
        row["title"],
        "",
        values(
            creator=listed(row["creator"]),
            year=year(row["year"]),
            sort=row["kind"],
            note=row["note"],
        ),
        work_slots(row["kind"]),
    )
