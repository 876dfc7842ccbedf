"""A passage: the unit of text that is stored, ranked and shown to a model as evidence.

It knows nothing of where it is stored, of row numbers or of scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexes.errors import InvalidPassage

_FIELDS = frozenset({"id", "title", "text", "metadata"})


@dataclass(frozen=True, slots=True)
class Passage:
    """A titled piece of text.

    Attributes:
        id: unique inside its corpus; never empty.
        title: may be empty.
        text: the words of the passage, as they stand in the corpus.
        metadata: what else the corpus says about it; JSON values under string keys.

    Raises:
        InvalidPassage: a value has a wrong type, or the id is empty.
    """

    id: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        texts = isinstance(self.id, str), isinstance(self.title, str), isinstance(self.text, str)
        if not all(texts):
            name = ("id", "title", "text")[texts.index(False)]
            value = getattr(self, name)
            raise InvalidPassage(
                f"A passage's {name} is {value!r} ({type(value).__name__}).",
                "It must be a string.",
            )
        if not self.id:
            raise InvalidPassage("A passage's id is empty.", "Give every passage an id of its own.")
        if type(self.metadata) is not dict and not isinstance(self.metadata, Mapping):
            raise InvalidPassage(
                f"The metadata of passage {self.id!r} is {type(self.metadata).__name__}.",
                "It must be a mapping of names to JSON values.",
            )

    def to_dict(self) -> dict[str, Any]:
        """The passage as JSON values; the document around it carries the schema version."""
        return {
            "id": self.id,
            "title": self.title,
            "text": self.text,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Passage:
        """The passage that `to_dict` wrote; title and metadata may be missing.

        Raises:
            InvalidPassage: a key is missing or unknown, or a value has a wrong type.
        """
        if unknown := sorted(set(values) - _FIELDS):
            raise InvalidPassage(
                f"A passage has unknown keys {unknown}.", f"Allowed are {sorted(_FIELDS)}."
            )
        if missing := sorted({"id", "text"} - set(values)):
            raise InvalidPassage(f"A passage lacks {missing}.", "Both id and text are needed.")
        return cls(
            id=values["id"],
            title=values.get("title", ""),
            text=values["text"],
            metadata=values.get("metadata", {}),
        )


def text_for_search(passage: Passage) -> str:
    """The text that vectors and words are made of: the title, a space, the text."""
    return f"{passage.title} {passage.text}" if passage.title else passage.text
