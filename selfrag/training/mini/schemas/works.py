"""Works of art: who made them, when, and of what sort they are."""

from typing import NamedTuple

from selfrag.training.mini.schemas.cells import Row, listed, values, year
from selfrag.training.mini.schemas.relation import Entity, Kind, with_indefinite
from selfrag.training.mini.schemas.work_creators import CREATOR
from selfrag.training.mini.schemas.work_dates import NOTE, SORT, YEAR


class MakerWords(NamedTuple):
    """How one speaks of the making of a work.

    agent: who makes it. did, crafted, authored: three verbs in the past tense. made, crafted_by:
    the participles of the first two; the third verb is its own. pen: the tool. out: how the work
    came before the public. enjoying: what its public is doing.
    """

    agent: str
    did: str
    made: str
    crafted: str
    crafted_by: str
    authored: str
    pen: str
    out: str
    enjoying: str


AUTHOR = MakerWords(
    "author", "wrote", "written", "penned", "penned", "authored", "pen", "published", "reading"
)
COMPOSER = MakerWords(
    "composer",
    "composed",
    "composed",
    "wrote",
    "written",
    "penned",
    "pen",
    "first heard",
    "listening to",
)
PAINTER = MakerWords(
    "painter",
    "painted",
    "painted",
    "created",
    "created",
    "produced",
    "brush",
    "completed",
    "looking at",
)
SCULPTOR = MakerWords(
    "sculptor",
    "made",
    "made",
    "sculpted",
    "sculpted",
    "fashioned",
    "chisel",
    "completed",
    "looking at",
)
DIRECTOR = MakerWords(
    "director", "directed", "directed", "made", "made", "shot", "camera", "released", "watching"
)
ARTIST = MakerWords(
    "artist", "made", "made", "created", "created", "designed", "hand", "completed", "looking at"
)
WORK_WORDS = {
    "painting": PAINTER,
    "fresco": PAINTER,
    "sculpture": SCULPTOR,
    "film": DIRECTOR,
    "woodblock print": ARTIST,
    "print": ARTIST,
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
    relations=(CREATOR, YEAR, SORT, NOTE),
    plans={"creator": ("creator",), "year": ("year", "sort"), "note": ("note",)},
    described=("sort", "creator", "year"),
)


def work_slots(kind: str) -> dict[str, str]:
    """The words for the maker and the making of a work of this kind."""
    words = WORK_WORDS.get(kind, AUTHOR)
    if kind not in WORK_WORDS:
        if any(word in kind.lower() for word in MUSIC):
            words = COMPOSER
        elif "painting" in kind or "fresco" in kind or "portrait" in kind:
            words = PAINTER
        elif "sculpture" in kind or "statue" in kind:
            words = SCULPTOR
    return {"noun": kind, "a_noun": with_indefinite(kind), **words._asdict()}


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
