"""Questions with gold passages, for measuring retrieval.

One JSON object a line, plain or gzipped. A question has `question` and, if it has one, `id` (or
`_id`). Its gold passages are `gold_ids`, in the question or in a file of qrels (`id` and
`gold_ids`), else `gold_titles`; other keys are ignored. A gold title is found when any passage
with that title is found. Questions whose gold is not all in the corpus are left out and counted.
This module knows nothing of retrievers.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexes.passage import Passage
from selfrag.evaluation.questions import UnusableFile

_KEYS = "Give `gold_ids` in the questions or in a file of qrels (--qrels), or `gold_titles`."


@dataclass(frozen=True, slots=True)
class GoldQuestion:
    """A question and what should be found for it.

    Attributes:
        text: the question.
        gold: for every piece of evidence, the rows of the corpus of which any one will do.
    """

    text: str
    gold: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class GoldQuestions:
    """The questions of a file that can be measured on a corpus.

    Attributes:
        questions: in the order of the file.
        left_out: how many have gold passages that are not in the corpus.
    """

    questions: tuple[GoldQuestion, ...]
    left_out: int


def read_gold_questions(
    questions: Path, qrels: Path | None, corpus: Sequence[Passage]
) -> GoldQuestions:
    """Read questions and find their gold passages in the corpus.

    Raises:
        UnusableFile: a file cannot be read, a line is no such object, a question has no gold
            passages, or no question can be measured.
    """
    rows_of_id = {passage.id: row for row, passage in enumerate(corpus)}
    rows_of_title: dict[str, list[int]] = {}
    for row, passage in enumerate(corpus):
        rows_of_title.setdefault(passage.title, []).append(row)
    judged = {} if qrels is None else _read_qrels(qrels)
    found: list[GoldQuestion] = []
    left_out = 0
    for place, line in _objects(questions):
        text = line.get("question")
        if not isinstance(text, str) or not text.strip():
            raise UnusableFile(f"{place}: `question` is {text!r}.", "It must be a text.")
        ids, titles = _gold_of(line, judged, place)
        groups = [{rows_of_id[name]} if name in rows_of_id else set[int]() for name in ids]
        groups += [set(rows_of_title.get(title, ())) for title in titles]
        if all(groups):
            gold = tuple(dict.fromkeys(frozenset(group) for group in groups))
            found.append(GoldQuestion(text, gold))
        else:
            left_out += 1
    if not found:
        raise UnusableFile(
            f"No question in {questions} has all of its gold passages in the corpus "
            f"({left_out} were read).",
            "Check that questions and corpus belong together.",
        )
    return GoldQuestions(tuple(found), left_out)


def _read_qrels(path: Path) -> dict[str, list[str]]:
    judged = {}
    for place, line in _objects(path):
        name = line.get("id", line.get("_id"))
        if name is None or not isinstance(line.get("gold_ids"), list):
            raise UnusableFile(f"{place}: `id` or `gold_ids` is missing.", "A line needs both.")
        judged[str(name)] = [str(gold) for gold in line["gold_ids"]]
    return judged


def _gold_of(
    line: Mapping[str, Any], judged: Mapping[str, list[str]], place: str
) -> tuple[list[str], list[str]]:
    """The gold ids of a question, or else its gold titles."""
    name = line.get("id", line.get("_id"))
    ids = judged.get(str(name)) if name is not None else None
    if ids is None:
        ids = line.get("gold_ids")
    titles = line.get("gold_titles") if ids is None else []
    for value in (ids or [], titles or []):
        if not isinstance(value, list):
            raise UnusableFile(f"{place}: gold passages are {value!r}.", "Give a list.")
    if not ids and not titles:
        raise UnusableFile(f"{place}: the question has no gold passages.", _KEYS)
    return [str(gold) for gold in ids or []], [str(title) for title in titles or []]


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with its place for messages."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for number, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                place = f"{path}, line {number}"
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise UnusableFile(f"{place}: not JSON ({error}).", "") from error
                if not isinstance(line, dict):
                    raise UnusableFile(f"{place}: not a JSON object.", "Write one a line.")
                yield place, line
    except UnicodeDecodeError as error:
        raise UnusableFile(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except (OSError, EOFError) as error:
        raise UnusableFile(f"Cannot read {path}: {error}.", "Check the path.") from error
