"""A critic without a model: what gold evidence says, and nothing else.

It is made from source rows, and finds the rows of a question by its instruction, then the segment
by its sentence, or else by what precedes it; white space does not count. Rules:

- Retrieve, on an instruction alone: `needs_retrieval`, or else whether any segment has evidence.
- Retrieve, for a sentence: `[No Retrieval]` where its evidence is (), `[Continue to Use Evidence]`
  where the passage at hand is in its evidence (that of the segment before counts where it
  `continues`), else `[Retrieval]`; without a passage at hand `[Retrieval]` for any evidence.
- IsRel: whether the passage is in the evidence of the segment, or `relevant` to it; of any segment
  where the question names neither a sentence nor what precedes it.
- IsSup: in the evidence: the segment's `support`, or `[Fully supported]`; else no support.
- IsUse: the row's `utility`, for its whole output.

What the rows do not say, or say in two ways, is `Unjudged`. This module knows nothing of models
and of what a passage's text says: passages are compared by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
    UTILITY,
)
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.errors import InvalidRow
from selfrag.training.sources import SourceRow
from selfrag.training.stages import read_lines

_UNKNOWN = "the evidence of the segment is not known"


@dataclass(frozen=True, slots=True)
class _Place:
    """A segment of a row.

    preceding, text: without white space. evidence: ids of the passages that support it, those of
    the segment before among them where it continues. complete: whether no other passage does.
    relevant: ids of passages that help without supporting it.
    """

    preceding: str
    text: str
    evidence: tuple[str, ...]
    complete: bool
    support: str
    relevant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """A row without its passages; wholes: its output, without white space."""

    id: str
    needs_retrieval: bool | None
    utility: int | None
    wholes: tuple[str, ...]
    places: tuple[_Place, ...]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one row says of a question: a label, or why it says none."""

    label: str = ""
    reason: str = ""
    row: str = ""


def gold_critic(paths: Iterable[Path]) -> GoldCritic:
    """The critic of all source rows in JSON Lines files, plain or gzipped.

    Lines that are no source rows are passed over: the stage that reads the same files lists them.
    """
    return GoldCritic(_rows(paths))


class GoldCritic:
    """Judges from the evidence of source rows; safe to use from several threads.

    Args:
        rows: read once; their passages are not kept.
    """

    name = "gold"

    def __init__(self, rows: Iterable[SourceRow]) -> None:
        self._rows: dict[str, list[_Known]] = defaultdict(list)
        for row in rows:
            self._rows[_bare(row.prompt)].append(_known(row))

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        """One result for each question, in order."""
        return [self._judge(question) for question in questions]

    def _judge(self, question: CriticQuestion) -> Judgement | Unjudged:
        rows = self._rows.get(_bare(question.instruction), [])
        findings = [found for row in rows for found in _findings(question, row)]
        labels = sorted({found.label for found in findings if found.label})
        if len(labels) == 1:
            source = next(found.row for found in findings if found.label)
            return Judgement(question, labels[0], self.name, row=source)
        if labels:
            ids = sorted({found.row for found in findings if found.label})
            return Unjudged(question, f"gold rows disagree: {', '.join(ids[:4])}")
        reasons = [found.reason for found in findings]
        return Unjudged(question, reasons[0] if reasons else "no gold row has this instruction")


def _rows(paths: Iterable[Path]) -> Iterator[SourceRow]:
    for line in read_lines(paths):
        with suppress(InvalidRow):
            yield SourceRow.from_dict(line.row or {}, line.id)


def _known(row: SourceRow) -> _Known:
    places: list[_Place] = []
    before = ""
    evidence: tuple[str, ...] = ()
    for segment in row.segments:
        own = segment.evidence or ()
        evidence = (*own, *evidence) if segment.continues else own
        text = _bare(segment.text)
        complete = segment.evidence is not None
        places.append(_Place(before, text, evidence, complete, segment.support, segment.relevant))
        before += text
    wholes = tuple(whole for whole in (_bare(row.output), before) if whole)
    return _Known(row.id, row.needs_retrieval, row.utility, wholes, tuple(places))


def _bare(text: str) -> str:
    """The text without white space: how parts were joined does not matter."""
    return "".join(text.split())


def _findings(question: CriticQuestion, row: _Known) -> list[_Finding]:
    """What a row says of a question; more than one where a sentence stands in it twice."""
    if question.group == "IsUse":
        found = [_utility(question, row)]
    elif question.group == "Retrieve" and not question.sentence:
        found = [_need(question, row)]
    elif question.group == "IsRel" and not question.sentence and not question.preceding:
        found = [_relevance(question, row.places)]
    elif places := _places(question, row):
        found = [_of_segment(question, place) for place in places]
    else:
        found = [_Finding(reason="no gold segment has this sentence or beginning")]
    return [replace(one, row=row.id) for one in found]


def _places(question: CriticQuestion, row: _Known) -> list[_Place]:
    """The segments that a question may be about."""
    sentence, preceding = _bare(question.sentence), _bare(question.preceding)
    places = [place for place in row.places if not sentence or place.text == sentence]
    exact = [place for place in places if place.preceding == preceding]
    # A sentence may be asked about by itself; without one, the beginning alone says which it is.
    return exact if exact or not sentence else places


def _need(question: CriticQuestion, row: _Known) -> _Finding:
    if question.preceding or question.passage is not None:
        return _Finding(reason="a question after a beginning or a passage names no sentence")
    if row.needs_retrieval is not None:
        return _Finding(RETRIEVAL if row.needs_retrieval else NO_RETRIEVAL)
    if any(place.evidence for place in row.places):
        return _Finding(RETRIEVAL)
    if row.places and all(place.complete for place in row.places):
        return _Finding(NO_RETRIEVAL)
    return _Finding(reason="the row does not say whether it needs retrieval")


def _utility(question: CriticQuestion, row: _Known) -> _Finding:
    if _bare(question.sentence) not in row.wholes:
        return _Finding(reason="the output is not the gold row's")
    if row.utility is None:
        return _Finding(reason="the row has no utility")
    return _Finding(UTILITY[row.utility - 1])


def _of_segment(question: CriticQuestion, place: _Place) -> _Finding:
    if question.group == "Retrieve":
        return _sentence_need(question, place)
    return (
        _relevance(question, (place,)) if question.group == "IsRel" else _support(question, place)
    )


def _sentence_need(question: CriticQuestion, place: _Place) -> _Finding:
    if question.passage is not None and question.passage.id in place.evidence:
        return _Finding(CONTINUE_EVIDENCE)
    if place.complete and not place.evidence:
        return _Finding(NO_RETRIEVAL)
    if place.complete or (question.passage is None and place.evidence):
        return _Finding(RETRIEVAL)
    return _Finding(reason=_UNKNOWN)


def _relevance(question: CriticQuestion, places: Sequence[_Place]) -> _Finding:
    assert question.passage is not None
    if any(question.passage.id in (*place.evidence, *place.relevant) for place in places):
        return _Finding(RELEVANT)
    if not places or not all(place.complete for place in places):
        return _Finding(reason=_UNKNOWN)
    if not any(place.evidence for place in places):
        return _Finding(reason="no passage is needed")
    return _Finding(IRRELEVANT)


def _support(question: CriticQuestion, place: _Place) -> _Finding:
    assert question.passage is not None
    if question.passage.id in place.evidence:
        return _Finding(place.support or FULLY_SUPPORTED)
    if not place.complete:
        return _Finding(reason=_UNKNOWN)
    if not place.evidence:
        return _Finding(reason="the sentence needs no passage")
    return _Finding(NO_SUPPORT)
