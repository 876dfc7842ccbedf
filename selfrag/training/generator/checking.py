"""Checks rows against the paper's grammar, path by path.

A path that claims to be whole (it ends with a utility) is written out as text and read by the
strict parser (`decoding.training_grammar`). Text inside it that looks like a control token is text,
so its brackets are replaced for the check. A sentence behind a passage that is `accepted` stands
where the model reads `[Relevant]`, and is checked so. Paths without an end are judgements of a
passage, for which the grammar has no form; `TreeSegment` checks those itself.
"""

from __future__ import annotations

from dataclasses import replace

from decoding.training_grammar import strict_violations
from decoding.vocabulary import RELEVANT
from indexes.passage import Passage
from selfrag.training.rows import TrainingRow, TreeSegment, segment_text

_HARMLESS = str.maketrans("[]<>", "()()")
"""Every control string begins with one of these and ends with another."""


def row_violations(row: TrainingRow) -> list[str]:
    """Where the row's paths leave the grammar, in words; empty where they do not. A row must have
    at least one whole path."""
    violations: list[str] = []
    whole = 0
    for number, path in enumerate(row.paths()):
        if path[-1].utility is None:
            continue
        whole += 1
        text = "".join(segment_text(_plain(segment)) for segment in path)
        violations += [f"path {number}, {found}" for found in strict_violations(text)]
    return violations if whole else ["no path ends with a utility"]


def _plain(segment: TreeSegment) -> TreeSegment:
    """The segment as the model reads it, its texts without look-alikes of control tokens."""
    passage = segment.passage
    if passage is not None:
        title, text = (part.translate(_HARMLESS) for part in (passage.title, passage.text))
        passage = Passage(passage.id, title, text)
    return replace(
        segment,
        sentence=segment.sentence.translate(_HARMLESS),
        passage=passage,
        relevance=RELEVANT if segment.accepted else segment.relevance,
        accepted=False,
    )
