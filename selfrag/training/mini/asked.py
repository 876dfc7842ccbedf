"""What is asked of invented things: the words of a request and the facts that answer it, in order.

A request knows neither passages nor critique tokens: examples, judged questions and the pipeline's
source rows are made of the same requests.
"""

from dataclasses import dataclass

from selfrag.training.mini.schemas.relation import Entity, answer_sentence


@dataclass(frozen=True)
class Step:
    """One fact of an answer: a relation of a thing, and the sentence that says it."""

    entity: Entity
    key: str
    sentence: str

    @classmethod
    def of(cls, entity: Entity, key: str) -> "Step":
        """The fact in the words of its schema."""
        return cls(entity, key, answer_sentence(entity, key))


@dataclass(frozen=True)
class Asked:
    """A request. kind: its sort, for shares and reports. steps: one for each segment."""

    kind: str
    text: str
    steps: tuple[Step, ...]
