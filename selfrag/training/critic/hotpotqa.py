"""Questions with supporting facts, as HotpotQA and 2WikiMultihopQA publish them, as source rows.

A row has `question`, `answer`, `supporting_facts` [[title, sentence number]], `context` [[title,
[sentences]]] and `_id` or `id` (some published rows have null: they are named by their line). It
becomes a chain: every supporting sentence is a segment whose evidence is its own paragraph, further
ones of the same paragraph continue, and the answer ends the chain. The answer's evidence are the
gold paragraphs whose supporting sentences hold it, word for word; the last of them stands last, so
that the answer continues with it. An answer that stands in none, such as "yes", follows from what
precedes and needs no passage.

What these data do not say: whether a gold paragraph also supports a sentence of the other one.
This module knows nothing of critics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from indexes.passage import Passage
from selfrag.training.errors import InvalidRow
from selfrag.training.sources import SourceRow, SourceSegment
from selfrag.training.stages import Drop, InputLine, Row, StageManifest, run_stage


def hotpotqa_row(values: Mapping[str, Any], default_id: str = "", dataset: str = "") -> SourceRow:
    """One row as a source row; passages are named by their titles.

    Raises:
        InvalidRow: a key is missing or has a wrong form, or a supporting fact names a paragraph
            or a sentence that is not there.
    """
    ids = (values.get("_id"), values.get("id"), default_id)
    row_id = next(str(one) for one in ids if one is not None)
    question, answer = (_text(values, key, row_id) for key in ("question", "answer"))
    context = _context(values.get("context"), row_id)
    facts = _facts(values.get("supporting_facts"), context, row_id)
    holding = [title for title, numbers in facts.items() if _holds(context[title], numbers, answer)]
    order = [title for title in facts if title not in holding] + holding
    segments: list[SourceSegment] = []
    for title in order:
        for place, number in enumerate(facts[title]):
            text = context[title][number].strip()
            segments.append(SourceSegment(text, (title,), continues=place > 0))
    segments.append(SourceSegment(answer.strip(), tuple(holding), continues=bool(holding)))
    return SourceRow(
        id=row_id,
        instruction=question.strip(),
        segments=tuple(segments),
        dataset=dataset,
        needs_retrieval=True,
        passages=tuple(
            Passage(title, title, " ".join(text.strip() for text in sentences).strip())
            for title, sentences in context.items()
        ),
    )


def convert_hotpotqa(
    inputs: Sequence[Path], folder: Path, dataset: str = "hotpotqa"
) -> StageManifest:
    """A stage: files of such rows, plain or gzipped JSON Lines, into source rows.

    Args:
        inputs: the files. folder: of the stage; `rows.jsonl` in it holds the source rows.
        dataset: the name that the rows carry.

    Raises:
        StageChanged, StageFailed: see `run_stage`. Rows that do not fit are drops.
    """

    def process(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        made: list[Sequence[Row] | Drop] = []
        for line in lines:
            assert line.row is not None
            try:
                made.append([hotpotqa_row(line.row, f"{dataset}-{line.number}", dataset).to_dict()])
            except InvalidRow as error:
                made.append(Drop("not a row with supporting facts", error.message))
        return made

    return run_stage("convert-hotpotqa", folder, inputs, process, {"dataset": dataset})


def _text(values: Mapping[str, Any], key: str, row_id: str) -> str:
    text = values.get(key)
    if not isinstance(text, str) or not text.strip():
        raise InvalidRow(f"Row {row_id!r}: `{key}` is {text!r}.", "Give a text.")
    return text


def _context(given: Any, row_id: str) -> dict[str, list[str]]:
    """Title -> sentences. A paragraph that is there twice is kept once."""
    context: dict[str, list[str]] = {}
    if not isinstance(given, list) or not given:
        raise InvalidRow(f"Row {row_id!r} has no `context`.", "Give [[title, [sentences]]].")
    for one in given:
        if not (isinstance(one, list) and len(one) == 2 and isinstance(one[0], str)):
            raise InvalidRow(f"Row {row_id!r}: a paragraph is no [title, [sentences]].", "Mend it.")
        title, sentences = one
        if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
            raise InvalidRow(f"Row {row_id!r}: {title!r} has no list of sentences.", "Mend it.")
        if not title or context.setdefault(title, sentences) != sentences:
            raise InvalidRow(
                f"Row {row_id!r}: two paragraphs, or none, are called {title!r}.",
                "Supporting facts name paragraphs by title; give each one of its own.",
            )
    return context


def _facts(given: Any, context: Mapping[str, list[str]], row_id: str) -> dict[str, list[int]]:
    """Title -> numbers of its supporting sentences in rising order; titles in the given order."""
    facts: dict[str, set[int]] = {}
    if not isinstance(given, list) or not given:
        raise InvalidRow(f"Row {row_id!r} has no `supporting_facts`.", "Give [[title, number]].")
    for one in given:
        title, number = one if isinstance(one, list) and len(one) == 2 else (None, None)
        if not isinstance(title, str) or type(number) is not int or title not in context:
            raise InvalidRow(f"Row {row_id!r}: {one!r} names no paragraph.", "Mend the fact.")
        if not 0 <= number < len(context[title]) or not context[title][number].strip():
            raise InvalidRow(f"Row {row_id!r}: {one!r} names no sentence.", "Mend the fact.")
        facts.setdefault(title, set()).add(number)
    return {title: sorted(numbers) for title, numbers in facts.items()}


def _holds(sentences: Sequence[str], numbers: Sequence[int], answer: str) -> bool:
    if answer.strip().lower() in ("yes", "no"):
        return False
    wanted = re.compile(rf"(?<!\w){re.escape(answer.strip())}(?!\w)", re.IGNORECASE)
    return any(wanted.search(sentences[number]) for number in numbers)
