"""A hit: a passage that a retriever found, with its score and its rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexes.passage import Passage
from retrievers.errors import InvalidPassages

_FIELDS = frozenset({"passage", "score", "rank"})


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage in a ranking.

    Attributes:
        passage: what was found.
        score: higher is better; its scale is the retriever's own.
        rank: place in the ranking, from 1.
    """

    passage: Passage
    score: float
    rank: int

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON values; the document around it carries the schema version."""
        return {"passage": self.passage.to_dict(), "score": self.score, "rank": self.rank}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Hit:
        """The hit that `to_dict` wrote.

        Raises:
            InvalidPassages: a key is missing or unknown.
            InvalidPassage: the passage in it is not valid.
        """
        if set(values) != _FIELDS:
            raise InvalidPassages(
                f"A hit has the keys {sorted(values)}.", f"They must be {sorted(_FIELDS)}."
            )
        passage = Passage.from_dict(values["passage"])
        return cls(passage, float(values["score"]), int(values["rank"]))
