"""Cuts outputs into segments: the unit that is supported by one passage.

A row that has segments keeps them. An output is cut at sentences (`indexes.sentences`); where it
has more than two, a sentence shorter than the limit joins the one before it, the first the one
behind it. The published script leaves such sentences without any token; joined they are learnt
with the passage that supports their neighbour. Text is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from decoding.vocabulary import GROUPS
from indexes.sentences import sentences_of
from selfrag.training.errors import InvalidRow
from selfrag.training.generator.drafts import Draft, DraftSegment
from selfrag.training.sources import SourceRow
from selfrag.training.stages import Drop, InputLine, Process, Row

_FEW = 2
"""Outputs of so many sentences keep even short ones, as published."""


def segment_texts(output: str, shortest: int) -> list[str]:
    """The segments of an output, stripped, in order; every character but the white space between
    them is in one. shortest: characters of a sentence that stands alone where there are more than
    two."""
    spans = list(sentences_of(output))
    if len(spans) <= _FEW:
        return [output[start:end] for start, end in spans]
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        first_is_short = len(joined) == 1 and joined[0][1] - joined[0][0] < shortest
        if joined and (end - start < shortest or first_is_short):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [output[start:end] for start, end in joined]


def segmenting(shortest: int, first_lines: Mapping[str, int]) -> Process:
    """The first step. first_lines: id -> the first line that has it; later ones are dropped."""

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return [_segmented(line, shortest, first_lines) for line in lines]

    return process


def _segmented(
    line: InputLine, shortest: int, first_lines: Mapping[str, int]
) -> Sequence[Row] | Drop:
    assert line.row is not None
    if (first := first_lines[line.id]) != line.number:
        return Drop("id is used before", f"line {first} has it too")
    try:
        return [draft_of(SourceRow.from_dict(line.row, str(line.number)), shortest).to_dict()]
    except InvalidRow as error:
        return Drop("invalid row", str(error))


def draft_of(row: SourceRow, shortest: int) -> Draft:
    """The draft of a row.

    Raises:
        InvalidRow: a text is no valid Unicode, a value is not allowed, or the first segment
            continues.
    """
    if row.input is not None and not isinstance(row.input, str):
        raise InvalidRow(f"Row {row.id!r}: `input` is {row.input!r}.", "Give a text.")
    if row.needs_retrieval not in (None, True, False):
        raise InvalidRow(
            f"Row {row.id!r}: `needs_retrieval` is {row.needs_retrieval!r}.", "Allowed: true, false"
        )
    if row.segments:
        segments = tuple(
            DraftSegment(one.text.strip(), one.evidence, one.continues, one.learnt, one.support)
            for one in row.segments
        )
    else:
        segments = tuple(map(DraftSegment, segment_texts(row.output, shortest)))
    if segments[0].continues:
        raise InvalidRow(f"Row {row.id!r}: its first segment continues.", "There is none before.")
    for segment in segments:
        if segment.support not in ("", *GROUPS["IsSup"]):
            raise InvalidRow(
                f"Row {row.id!r}: a segment's `support` is {segment.support!r}.",
                f"Allowed: {', '.join(GROUPS['IsSup'])}.",
            )
    draft = Draft(
        id=row.id,
        instruction=row.instruction,
        segments=segments,
        output=row.output.strip() or " ".join(segment.text for segment in segments),
        input=row.input,
        dataset=row.dataset,
        utility=row.utility,
        needs_retrieval=row.needs_retrieval,
        asides=row.asides,
        judged=row.judged,
        pool=row.passages,
    )
    _require_unicode(draft)
    return draft


def _require_unicode(draft: Draft) -> None:
    """Retrievers, tokenizers and servers take no lone surrogates."""
    texts = [draft.id, draft.question, draft.output, *(one.text for one in draft.segments)]
    texts += [text for one in draft.pool for text in (one.id, one.title, one.text)]
    texts += draft.asides.values()
    texts += [text for said in draft.judged.values() for text, _, _ in said]
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRow(
                f"Row {draft.id!r} has text that is not valid Unicode ({error.reason}).",
                "Mend its surrogates.",
            ) from None
