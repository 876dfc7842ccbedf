"""Reads a generator's training rows: trees of segments, or the paper's own form.

The paper's form is `{"instruction", "input", "output", "id", "dataset_name"}`, with control tokens
as text in `output`. Here they become tokens only where the training grammar puts them; a row whose
output leaves the grammar is refused. This module knows nothing of tokenizers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from decoding.grammar import ParsedSegment, parse_output
from decoding.training_grammar import strict_violations
from indexes.passage import Passage
from selfrag.training.errors import InvalidRow
from selfrag.training.rows import PROMPT_END, TrainingRow, TreeSegment
from selfrag.training.stages import Drop, InputLine, read_lines


def read_training_rows(paths: Iterable[Path]) -> Iterator[tuple[InputLine, TrainingRow | Drop]]:
    """Every line of the files with its row, or with the reason why it is none.

    Raises:
        StageFailed: a file cannot be read.
    """
    for line in read_lines(paths):
        yield line, _row(line)


def row_from_output(values: Mapping[str, Any], row_id: str) -> TrainingRow:
    """A chain of segments from a row of the paper's form.

    White space beside a control token is kept with the sentence of its segment; a passage's title
    is its first line, and absent where it has one line only.

    Raises:
        InvalidRow: the output does not follow the training grammar, or a field is missing.
    """
    missing = [name for name in ("instruction", "output") if not isinstance(values.get(name), str)]
    if missing:
        raise InvalidRow(
            f"Row {row_id!r} has no text under {' and '.join(missing)}.",
            'Needed are "segments", or "instruction" and "output".',
        )
    output = str(values["output"])
    violations = strict_violations(output)
    if violations:
        raise InvalidRow(
            f"Row {row_id!r} leaves the training grammar: {violations[0]}.",
            "See decoding.training_grammar for what an output may be.",
        )
    parsed = [one for one in parse_output(output).segments if one.text.strip()]
    return TrainingRow(
        id=row_id,
        instruction=str(values["instruction"]),
        segments=tuple(_segment(place, one, row_id) for place, one in enumerate(parsed)),
        input=str(values["input"]) if values.get("input") else None,
        dataset=str(values.get("dataset_name") or values.get("dataset") or ""),
    )


def _segment(place: int, parsed: ParsedSegment, row_id: str) -> TreeSegment:
    passage = None
    if parsed.passage is not None:
        title, newline, text = parsed.passage.partition("\n")
        title, text = (title, text) if newline else ("", title)
        passage = Passage(f"{row_id}-{place}", title, text)
    return TreeSegment(
        parent=place - 1 if place else PROMPT_END,
        opening=parsed.decision or "",
        sentence=parsed.text,
        passage=passage,
        relevance=parsed.is_rel or "",
        support=parsed.is_sup or "",
        utility=parsed.utility,
    )


def _row(line: InputLine) -> TrainingRow | Drop:
    if line.row is None:
        return Drop("not JSON", line.problem)
    try:
        if "segments" in line.row:
            return TrainingRow.from_dict({"id": line.id, **line.row})
        return row_from_output(line.row, line.id)
    except ValueError as error:
        return Drop("not a training row", str(error))
