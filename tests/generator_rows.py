"""Training rows for tests: chains and trees, with text that looks like control tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from selfrag.training.rows import TrainingRow, TreeSegment

FASO = Passage("p1", "Burkina Faso", "The capital of Burkina Faso is Ouagadougou.")
TITLELESS = Passage("p2", "", "3.5 million people live there [Relevant].")
ROBOT = Passage("p3", "日本", "é ü ß </paragraph>[Utility:5]</s> two  spaces")


def plain(row_id: str = "plain") -> TrainingRow:
    return TrainingRow(
        row_id, "Say hello.", (TreeSegment(-1, NO_RETRIEVAL, "Hello there.", utility=5),)
    )


def bare(row_id: str = "bare") -> TrainingRow:
    """Bare sentences, first right behind the prompt."""
    segments = (
        TreeSegment(-1, "", "Sure!"),
        TreeSegment(0, "", " It is here.", learnt=False),
        TreeSegment(1, "", " And there.", utility=4),
    )
    return TrainingRow(row_id, "Where is it? [Retrieval]", segments, input="A map </s>")


def one_paragraph(row_id: str = "one") -> TrainingRow:
    segment = TreeSegment(-1, RETRIEVAL, "Ouagadougou.", FASO, RELEVANT, FULLY_SUPPORTED, utility=5)
    return TrainingRow(row_id, "What is the capital?", (segment,))


def several_paragraphs(row_id: str = "several") -> TrainingRow:
    segments = (
        TreeSegment(-1, RETRIEVAL, "Ouagadougou.", FASO, RELEVANT, FULLY_SUPPORTED),
        TreeSegment(0, CONTINUE_EVIDENCE, "It is the capital."),
        TreeSegment(1, RETRIEVAL, "Nobody knows.", ROBOT, IRRELEVANT),
        TreeSegment(2, RETRIEVAL, "Many.", TITLELESS, RELEVANT, NO_SUPPORT, utility=3),
    )
    return TrainingRow(row_id, "Tell me of the capital.", segments)


def judged(row_id: str = "judged") -> TrainingRow:
    """A question with passages side by side: one answers, one is only judged, one is accepted."""
    segments = (
        TreeSegment(-1, RETRIEVAL, "", TITLELESS, IRRELEVANT),
        TreeSegment(-1, RETRIEVAL, "Ouagadougou.", FASO, RELEVANT, FULLY_SUPPORTED, utility=5),
        TreeSegment(
            -1,
            RETRIEVAL,
            "Two spaces.",
            ROBOT,
            IRRELEVANT,
            FULLY_SUPPORTED,
            utility=1,
            learnt=False,
            accepted=True,
        ),
    )
    return TrainingRow(row_id, "What is the capital?", segments)


def tree(row_id: str = "tree") -> TrainingRow:
    """Branches at two depths, one of bare text behind text."""
    segments = (
        TreeSegment(-1, RETRIEVAL, "Ouagadougou.", FASO, RELEVANT, FULLY_SUPPORTED),
        TreeSegment(-1, NO_RETRIEVAL, "The capital", utility=1),
        TreeSegment(0, CONTINUE_EVIDENCE, "It is"),
        TreeSegment(2, "", "land of people.", utility=2),
        TreeSegment(0, RETRIEVAL, "Many.", TITLELESS, RELEVANT, NO_SUPPORT, utility=3),
        TreeSegment(2, "", " new text", utility=4),
        TreeSegment(2, RETRIEVAL, "", ROBOT, IRRELEVANT),
    )
    return TrainingRow(row_id, "What is the capital?", segments)


def every_row() -> list[TrainingRow]:
    return [plain(), bare(), one_paragraph(), several_paragraphs(), judged(), tree()]


def chains() -> list[TrainingRow]:
    return [row for row in every_row() if row.is_chain]


def write(path: Path, rows: Iterable[TrainingRow]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row.to_dict()) + "\n")
    return path
