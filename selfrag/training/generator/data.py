"""Generator data by the paper's procedure (Self-RAG, Algorithm 3), from sources to training rows.

Five steps, each with a folder, a manifest and a list of what was dropped; each resumes where it
stopped:

    01-segmented   outputs cut into segments
    02-decided     does the instruction need passages?
    03-retrieved   candidates for each segment that may need some
    04-critiqued   openings of later segments, labels of candidates, choices, utility
    05-rows        trees or chains with their tokens, checked against the grammar

To repeat a step with other options, delete its folder and those behind it; those before it stay.
This module knows nothing of models, prompts and tokenizers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.training.critic.questions import Critic
from selfrag.training.errors import StageFailed
from selfrag.training.generator.balance import draft_balance, row_balance
from selfrag.training.generator.candidates import PassageLookup, retrieving
from selfrag.training.generator.critiquing import critiquing
from selfrag.training.generator.deciding import deciding
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.generator.segmenting import segmenting
from selfrag.training.generator.trees import making_rows
from selfrag.training.rows import TrainingRow
from selfrag.training.stages import (
    Process,
    Row,
    StageManifest,
    read_lines,
    read_manifest,
    read_rows,
    run_stage,
)

if TYPE_CHECKING:
    from retrievers.base import Retriever

STEPS = ("01-segmented", "02-decided", "03-retrieved", "04-critiqued", "05-rows")


@dataclass(frozen=True, slots=True)
class _Step:
    process: Process
    configuration: Mapping[str, Any]
    balance: Callable[[Iterable[Row]], Mapping[str, Any]] = draft_balance


def make_generator_data(
    sources: Sequence[Path],
    work: Path,
    critic: Critic,
    retriever: Retriever | None = None,
    options: GeneratorDataOptions | None = None,
    *,
    passages: PassageLookup | None = None,
    batch: int = 64,
    advance: Callable[[str, int], None] = lambda step, done: None,
) -> StageManifest:
    """Make training rows of source rows.

    Args:
        sources: JSON Lines of `SourceRow`, read in order as one.
        work: folder for the steps.
        critic: judges what the sources do not say.
        retriever: finds passages for rows that bring none; None where all do.
        options: by default those of `GeneratorDataOptions()`.
        passages: where known evidence is had that was not found; by default the store of the
            index that the retriever searches.
        batch: rows whose questions reach critic and retriever at once; the result does not depend
            on it.
        advance: told the step and how many further rows of it are done.

    Returns:
        The manifest of the last step; the rows are read by `read_training_rows(work)`.

    Raises:
        StageChanged: the folder was begun with other sources, critic, retriever or options; the
            message names the step.
        StageFailed: the disk is full, or a file cannot be read; what is done is kept.
    """
    options = options or GeneratorDataOptions()
    if passages is None:
        passages = _store_of(retriever)
    corpus = None if retriever is None else retriever.fingerprint
    segmented = work / STEPS[0]
    first_lines = _first_lines(sources) if read_manifest(segmented) is None else {}
    steps = (
        _Step(
            segmenting(options.shortest_sentence, first_lines),
            {"shortest_sentence": options.shortest_sentence},
        ),
        _Step(deciding(critic), {"critic": critic.name}),
        _Step(
            retrieving(retriever, passages, options),
            {"retriever": corpus, "lookup": passages is not None, **options.retrieving()},
        ),
        _Step(critiquing(critic, options), {"critic": critic.name, **options.choosing()}),
        _Step(making_rows(options), options.making(), row_balance),
    )
    inputs: Sequence[Path] = sources
    manifest: StageManifest | None = None
    for name, step in zip(STEPS, steps, strict=True):
        manifest = run_stage(
            name,
            work / name,
            inputs,
            step.process,
            step.configuration,
            balance=step.balance,
            batch=batch,
            advance=_told(advance, name),
        )
        inputs = [work / name / "rows.jsonl"]
    assert manifest is not None
    return manifest


def read_training_rows(folder: Path) -> Iterator[TrainingRow]:
    """The rows that were made, from the work folder or that of its last step.

    Raises:
        StageFailed: the last step is not complete.
        InvalidRow: the file was changed.
    """
    last = folder / STEPS[-1]
    if not last.is_dir() and folder.name != STEPS[-1] and not (folder / "rows.jsonl").exists():
        raise StageFailed(
            f"{folder} holds no generator data.", f"Make them first, up to the step {STEPS[-1]}."
        )
    for row in read_rows(last if last.is_dir() else folder):
        yield TrainingRow.from_dict(row)


def _first_lines(sources: Sequence[Path]) -> dict[str, int]:
    """Id -> the first line that has it."""
    first: dict[str, int] = {}
    for line in read_lines(sources):
        if line.row is not None:
            first.setdefault(line.id, line.number)
    return first


def _store_of(retriever: Any) -> PassageLookup | None:
    """The passages that a retriever searches; None where it has no index of its own."""
    while retriever is not None:
        store: PassageLookup | None = getattr(getattr(retriever, "index", None), "store", None)
        if store is not None:
            return store
        members = getattr(retriever, "retrievers", None) or [None]
        retriever = getattr(retriever, "retriever", members[0])
    return None


def _told(advance: Callable[[str, int], None], name: str) -> Callable[[int], None]:
    return lambda done: advance(name, done)
