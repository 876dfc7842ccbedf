"""The stage `evaluation`: the trained generator is asked what it never saw.

What is measured says `selfrag.training.steps.exams`; shares carry Wilson's 95 % interval. This
module knows nothing of how the generator was trained.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.training.sources import SourceRow
from selfrag.training.stages import Drop, InputLine, Row, fingerprint, read_lines, run_stage
from selfrag.training.steps.exams import MEASURES, Exam, FileExam, exam_of
from selfrag.training.steps.generators import model_folder
from selfrag.training.steps.record import Outcome, StageRecord
from selfrag.training.steps.run import Run

if TYPE_CHECKING:
    from selfrag.rag import SelfRAG

ALL = "all"


def evaluation_inputs(run: Run) -> dict[str, str]:
    """The fingerprint of the file of questions."""
    part = run.recipe.evaluation
    assert part is not None
    return {"questions": fingerprint([Path(part.questions)])} if part.questions else {}


def run_evaluation(run: Run) -> Outcome:
    """Ask the questions once with each width of the search, and count.

    `beam-1/rows.jsonl` and so on hold every answer with its judgements.
    """
    from retrievers import GivenPassages
    from selfrag.rag import SelfRAG

    part = run.recipe.evaluation
    assert part is not None
    folder = run.folder("evaluation")
    exams, file = _exams(run)
    if not exams:
        return Outcome({"questions": 0}, notes=("Nothing was held out to ask.",))
    trained = StageRecord.load(run.folder("generator"))
    options = run.recipe.generator_data.options if run.recipe.generator_data else None
    refusal = options.refusal if options else "I do not know."
    figures: dict[str, Any] = {}
    dropped: dict[str, int] = {}
    for beam in part.beams:
        config = _configuration(run, beam)
        rag: SelfRAG | None = None

        def ask(lines: Sequence[InputLine], config: Any = config) -> list[Sequence[Row] | Drop]:
            nonlocal rag
            if rag is None:
                rag = SelfRAG.from_pretrained(
                    model_folder(run),
                    retriever=run.retriever or GivenPassages([]),
                    device=part.device,
                    dtype=part.dtype,
                    config=config,
                )
            chosen = [exams[line.id] for line in lines if line.id in exams]
            results = iter(_asked(rag, chosen, refusal))
            return [next(results) if line.id in exams else [] for line in lines]

        name = f"beam-{beam}"
        try:
            done = run_stage(
                name,
                folder / name,
                [file],
                ask,
                {
                    "model": trained.fingerprint if trained else "",
                    "index": "" if run.retriever is None else run.retriever.fingerprint,
                    "decoding": config.to_dict(),
                    "most": part.most,
                },
                balance=_figures,
                batch=part.batch,
                advance=run.counter("evaluation", name),
            )
        finally:
            if rag is not None:
                rag.close()
        figures[name] = done.balance
        for reason, count in done.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return Outcome({"questions": len(exams)}, dropped, figures=figures)


def _configuration(run: Run, beam: int) -> Any:
    from decoding.config import DecodingConfig

    part = run.recipe.evaluation
    assert part is not None
    return DecodingConfig.from_dict({**part.decoding, "beam_width": beam})


def _exams(run: Run) -> tuple[dict[str, Exam | FileExam], Path]:
    """Id -> exam, at most `most` of them, and the file whose lines they are."""
    part = run.recipe.evaluation
    assert part is not None
    if part.questions:
        file = Path(part.questions)
        exams: Sequence[Exam | FileExam] = _exams_of_file(file)
    else:
        file = run.rows("held-out")
        store = run.store
        exams = [
            exam_of(SourceRow.from_dict(line.row, line.id), lambda name: store and name in store)
            for line in read_lines([file])
            if line.row is not None
        ]
    ranked = sorted(exams, key=lambda exam: hashlib.sha256(exam.id.encode()).digest())
    return {exam.id: exam for exam in ranked[: part.most]}, file


def _exams_of_file(file: Path) -> list[FileExam]:
    from selfrag.evaluation.questions import read_questions

    return [FileExam(one) for one in read_questions(file)]


def _asked(
    rag: SelfRAG, exams: Sequence[Exam | FileExam], refusal: str
) -> list[Sequence[Row] | Drop]:
    """The answers with their judgements; what cannot be asked is a drop and harms no other."""
    from decoding.errors import DecodingError
    from selfrag.errors import SelfRAGError

    if not exams:
        return []
    try:
        answers = rag.ask_many([exam.question for exam in exams])
    except (SelfRAGError, DecodingError, ValueError) as error:
        if len(exams) == 1:
            return [Drop("could not be asked", str(error))]
        return [one for exam in exams for one in _asked(rag, [exam], refusal)]
    return [
        [
            {
                "id": exam.id,
                "dataset": exam.dataset,
                "question": exam.question.text,
                "gold": exam.gold,
                "text": answer.text,
                "draft": answer.draft,
                "status": answer.status,
                "citations": [citation.passage_id for citation in answer.citations],
                "warnings": list(answer.warnings),
                "measures": exam.judge(answer, refusal),
            }
        ]
        for exam, answer in zip(exams, answers, strict=True)
    ]


def _figures(rows: Iterable[Row]) -> Mapping[str, Any]:
    """Data set -> measure -> share with its interval; `all` first."""
    from selfrag.evaluation.intervals import Proportion

    trials: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for measure, holds in row["measures"].items():
            trials[ALL][measure].append(holds)
            trials[row["dataset"] or "(no name)"][measure].append(holds)
    return {
        dataset: {
            measure: _share(Proportion.of(trials[dataset][measure]))
            for measure in MEASURES
            if measure in trials[dataset]
        }
        for dataset in sorted(trials, key=lambda name: (name != ALL, name))
    }


def _share(share: Any) -> dict[str, Any]:
    interval = share.interval
    return {
        "value": share.value,
        "hits": share.hits,
        "n": share.n,
        "interval": None if interval is None else list(interval),
    }
