"""The embedded corpus: every fact table rendered to short passages.

The same facts always give the same passages: the wording is drawn by a generator seeded with the
passage's id, which is made of kind, thing and plan ("country/burkina-faso/capital").
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import sha256
from random import Random
from typing import TypedDict

from selfrag.training.mini.schemas import Entity, passage_text, stated_keys

AS_OF = "2025-12"


class CorpusRow(TypedDict):
    """One passage as a line of the corpus file."""

    id: str
    title: str
    text: str
    metadata: dict[str, str]


def slug(name: str) -> str:
    """A readable identifier: lower case, ASCII letters and digits, hyphens between words."""
    for letter, spelling in (("ø", "o"), ("æ", "ae"), ("ł", "l"), ("ß", "ss"), ("đ", "d")):
        name = name.lower().replace(letter, spelling)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return (
        re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
        or sha256(name.encode()).hexdigest()[:8]
    )


def corpus_rows(entities: Iterable[Entity]) -> Iterator[CorpusRow]:
    """All passages, in the order of `statements`."""
    for row_id, entity, stated in statements(entities):
        rng = Random(int.from_bytes(sha256(row_id.encode()).digest()[:8], "big"))
        yield CorpusRow(
            id=row_id,
            title=entity.title,
            text=passage_text(entity, stated, rng),
            metadata={"as_of": AS_OF, "kind": entity.kind.key},
        )


def statements(entities: Iterable[Entity]) -> Iterator[tuple[str, Entity, tuple[str, ...]]]:
    """Of each passage its id, the thing and the relations that it states, in the order of the
    entities and of their kinds' plans.

    Ids are unique: a second thing of the same kind and title is left out when it says nothing new,
    and numbered otherwise.
    """
    taken: set[str] = set()
    told: set[tuple[str, str, str]] = set()
    for entity in entities:
        facts = {(entity.kind.key, entity.title.lower(), key) for key in entity.values}
        if facts <= told:
            continue
        told |= facts
        base = f"{entity.kind.key}/{slug(entity.name)}"
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        seen: list[set[str]] = []
        for plan, keys in entity.kind.plans.items():
            stated = stated_keys(entity, keys)
            if not stated or any(said.issuperset(stated) for said in seen):
                continue
            seen.append(set(stated))
            yield f"{name}/{plan}", entity, tuple(stated)
