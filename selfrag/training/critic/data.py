"""Critic data: source rows in, judgements out, in parts for training and for measuring.

Two kinds of input lines may be mixed: source rows, which questions are made of and critics judge,
and judgements that exist already, which pass. A folder of critic data holds three stages:

- `judged`: every result, also what no critic could judge;
- `train` and `heldout`: the judgements of either part; `dropped.jsonl` lists what was not judged,
  each question with its row's id, and what a cap on labels left out.

The part is decided by a hash of the row's id, so that a row is never in both. Every stage goes on
where it stopped. This module knows nothing of how critics judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from decoding.vocabulary import GroupName
from selfrag.training.critic.asking import AskingPlan, FindPassage, NotAsked, questions_of
from selfrag.training.critic.balance import balance_of, balance_text, cap_name, caps_of, rank_of
from selfrag.training.critic.chat import CriticStopped
from selfrag.training.critic.questions import Critic, CriticQuestion, Judgement, Unjudged
from selfrag.training.errors import InvalidRow, StageFailed
from selfrag.training.sources import SourceRow
from selfrag.training.stages import (
    Drop,
    InputLine,
    Row,
    StageManifest,
    read_rows,
    run_stage,
)

Part = Literal["train", "heldout"]
Critics = Critic | Mapping[GroupName, Critic]


@dataclass(frozen=True, slots=True)
class CriticData:
    """What was made: the manifests of the three stages, and where the rows are."""

    folder: Path
    judged: StageManifest
    train: StageManifest
    heldout: StageManifest

    def judgements(self, part: Part) -> Iterator[Judgement]:
        """The judgements of a part, in the order of the input."""
        return read_judgements(self.folder / part)

    @property
    def report(self) -> str:
        """Labels by group and data set, and what was dropped, as text."""
        parts = []
        for name, manifest in (("train", self.train), ("heldout", self.heldout)):
            parts.append(balance_text(manifest.balance, f"{name}: {manifest.written} judgements"))
        dropped: dict[str, int] = {}
        for manifest in (self.judged, self.train, self.heldout):
            for reason, count in manifest.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
        lines = [f"  {reason}: {count}\n" for reason, count in sorted(dropped.items())]
        return "".join([*parts, "dropped\n", *(lines or ["  nothing\n"])])


def make_critic_data(
    folder: Path,
    inputs: Sequence[Path],
    critics: Critics,
    *,
    plan: AskingPlan | None = None,
    find: FindPassage = lambda passage_id: None,
    heldout: float = 0.1,
    cap: int | None = None,
    batch: int = 64,
) -> CriticData:
    """Make critic data, from where an earlier call stopped.

    Args:
        folder: of the data; made where it is absent.
        inputs: JSON Lines files, plain or gzipped, of source rows and judgements.
        critics: one for all groups, or one for each; groups without one are not asked about.
        plan: how much is asked of a row.
        find: looks up evidence that is none of a row's own passages, as an index does.
        heldout: share of the rows that is kept for measuring, 0 to 1.
        cap: most judgements that one label of one group may have in either part.
        batch: source rows whose questions a critic is given at once.

    Raises:
        StageFailed: a critic stopped, a disk is full or a file cannot be read; the message names
            the rows at which a critic stopped. The same call goes on from there.
        StageChanged: the folder was begun with other input or another configuration.
        InvalidRow: `heldout` or `cap` is not allowed.
    """
    if not 0 <= heldout <= 1 or (cap is not None and cap < 1):
        raise InvalidRow(f"heldout is {heldout}, cap is {cap}.", "Allowed: 0 to 1; 1 or more.")
    plan = plan or AskingPlan()
    by_group = critics if isinstance(critics, Mapping) else dict.fromkeys(plan.groups, critics)
    groups = tuple(group for group in plan.groups if group in by_group)
    plan = AskingPlan(groups, plan.others, plan.unsupporting)
    names = {group: by_group[group].name for group in groups}

    def judge(lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return _judged(lines, by_group, plan, find)

    judged = run_stage(
        "critic-judged",
        folder / "judged",
        inputs,
        judge,
        {"critics": names, "plan": asdict(plan)},
        batch=batch,
    )
    parts: dict[Part, StageManifest] = {}
    for part in ("train", "heldout"):
        rows = _rows_of_part(folder / "judged", part, heldout)
        highest = {} if cap is None else caps_of((row for row in rows if "label" in row), cap)
        parts[part] = run_stage(
            f"critic-{part}",
            folder / part,
            [folder / "judged" / "rows.jsonl"],
            _Selection(part, heldout, highest),
            {"part": part, "heldout": heldout, "cap": cap},
            balance=balance_of,
            batch=1024,
        )
    return CriticData(folder, judged, parts["train"], parts["heldout"])


def read_judgements(folder: Path) -> Iterator[Judgement]:
    """The judgements in a complete stage's folder. StageFailed when it is not complete."""
    return (Judgement.from_dict(row) for row in read_rows(folder))


def part_of(row_id: str, heldout: float) -> Part:
    """The part of a row: `heldout` is the share of ids that are kept for measuring."""
    digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).digest()
    return "heldout" if int.from_bytes(digest[:8]) < heldout * 2.0**64 else "train"


@dataclass(frozen=True, slots=True)
class _Selection:
    """Keeps the rows of one part; what belongs to the other one is no drop."""

    part: Part
    heldout: float
    highest: Mapping[str, int]

    def __call__(self, lines: Sequence[InputLine]) -> list[Sequence[Row] | Drop]:
        return [self._one(line.row) for line in lines if line.row is not None]

    def _one(self, row: Row) -> Sequence[Row] | Drop:
        if part_of(row["row"], self.heldout) != self.part:
            return []
        if "label" not in row:
            return Drop(row["dropped"], row["detail"])
        if rank_of(row) > self.highest.get(cap_name(row), 2**64):
            return Drop(f"over the cap, {cap_name(row)}", f"row {row['row']}")
        return [row]


def _rows_of_part(folder: Path, part: Part, heldout: float) -> Iterator[Row]:
    return (row for row in read_rows(folder) if part_of(row["row"], heldout) == part)


def _judged(
    lines: Sequence[InputLine],
    critics: Mapping[GroupName, Critic],
    plan: AskingPlan,
    find: FindPassage,
) -> list[Sequence[Row] | Drop]:
    """The results of all questions of a batch of lines, given to each critic together."""
    prepared = [_prepared(line, plan, find) for line in lines]
    asked: list[tuple[str, CriticQuestion]] = [
        (row.id, item)
        for row, items in (one for one in prepared if isinstance(one, tuple))
        for item in items
        if isinstance(item, CriticQuestion)
    ]
    results = iter(_answers(asked, critics))
    made: list[Sequence[Row] | Drop] = []
    for one in prepared:
        if not isinstance(one, tuple):
            made.append(one)
            continue
        row, items = one
        made.append(
            [
                _missing(row, item) if isinstance(item, NotAsked) else _result(row, next(results))
                for item in items
            ]
        )
    return made


_Prepared = tuple[SourceRow, list[CriticQuestion | NotAsked]] | list[Row] | Drop


def _prepared(line: InputLine, plan: AskingPlan, find: FindPassage) -> _Prepared:
    """A row with its questions; or what is done with the line already."""
    assert line.row is not None
    try:
        if "question" in line.row and "label" in line.row:
            judgement = Judgement.from_dict(line.row)
            if judgement.question.group not in plan.groups:
                return Drop("a group that is not asked about", judgement.question.group)
            if not judgement.row:
                return Drop("a judgement without a row", "its part cannot be told")
            dataset = str(line.row.get("dataset", ""))
            return [{**judgement.to_dict(), "dataset": dataset}]
        row = SourceRow.from_dict(line.row, line.id)
    except InvalidRow as error:
        return Drop("not a source row", error.message)
    return row, list(questions_of(row, plan, find))


def _answers(
    asked: Sequence[tuple[str, CriticQuestion]], critics: Mapping[GroupName, Critic]
) -> list[Judgement | Unjudged]:
    """Every question's result, in order; each critic is called once."""
    results: dict[int, Judgement | Unjudged] = {}
    for critic in {id(one): one for one in critics.values()}.values():
        mine = [at for at, (_, one) in enumerate(asked) if critics[one.group] is critic]
        try:
            answers = critic.judge([asked[at][1] for at in mine]) if mine else []
        except CriticStopped as error:
            stopped = set(error.questions)
            rows = dict.fromkeys(row for row, question in asked if question in stopped)
            named = ", ".join(list(rows)[:8]) + (", ..." if len(rows) > 8 else "")
            raise StageFailed(f"{error.message} Rows: {named}.", error.hint) from error
        results.update(zip(mine, answers, strict=True))
    return [results[at] for at in range(len(asked))]


def _result(row: SourceRow, result: Judgement | Unjudged) -> Row:
    if isinstance(result, Judgement):
        return {**result.to_dict(), "row": row.id, "dataset": row.dataset}
    question = result.question
    about = [f"row {row.id}", f"key {question.key}", result.reason]
    if question.passage is not None:
        about.insert(1, f"passage {question.passage.id}")
    return _open_row(row, f"{question.group} not judged", "; ".join(about), question.to_dict())


def _missing(row: SourceRow, item: NotAsked) -> Row:
    return _open_row(row, "passage not found", f"row {row.id}; passage {item.passage_id}", None)


def _open_row(row: SourceRow, reason: str, detail: str, question: dict[str, Any] | None) -> Row:
    values = {
        "id": row.id,
        "row": row.id,
        "dropped": reason,
        "detail": detail,
        "dataset": row.dataset,
    }
    return values if question is None else {**values, "question": question}


__all__ = [
    "CriticData",
    "make_critic_data",
    "part_of",
    "read_judgements",
]
