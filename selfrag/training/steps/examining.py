"""The stage `evaluation`: the trained generator is asked what it never saw.

What counts, of each question:

- contained: the gold answer's last sentence stands in the answer, as whole words; where questions
  come from a file, one of their answers. equal: the answer says what the gold output says, no more.
  Both of rows whose answer is to be learnt, and whose evidence exists.
- decision: whether the first decision, to retrieve or not, is the row's.
- cited: a cited passage is in the evidence of some sentence; of rows with evidence that exists.
- refused: of rows whose evidence exists nowhere, and of questions without an answer: it says that
  it does not know. falsely refused: the same of those that have an answer.

Shares carry Wilson's 95 % interval. This module knows nothing of how the generator was trained.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfrag.training.sources import SourceRow
from selfrag.training.stages import Drop, InputLine, Row, fingerprint, read_lines, run_stage
from selfrag.training.steps.generators import model_folder
from selfrag.training.steps.record import Outcome, StageRecord
from selfrag.training.steps.run import Run

if TYPE_CHECKING:
    from selfrag.answer import Answer, Question
    from selfrag.rag import SelfRAG

MEASURES = ("contained", "equal", "decision", "cited", "refused", "falsely refused")
ALL = "all"


@dataclass(frozen=True, slots=True)
class Exam:
    """A question with what is known of its answer.

    Attributes:
        id, dataset: of the row. question: as it is asked.
        answers: of which one is to stand in the answer; () where none is known.
        output: the gold output in full; "" where it is not known.
        evidence: ids of passages; () where none is known to be needed.
        retrieval: whether passages are needed; None where it is not known.
        answerable: False where the evidence exists nowhere.
    """

    id: str
    dataset: str
    question: Question
    answers: tuple[str, ...]
    output: str
    evidence: tuple[str, ...]
    retrieval: bool | None
    answerable: bool

    def judge(self, answer: Answer, refusal: str) -> dict[str, bool]:
        """Measure -> whether it holds, for the measures that apply."""
        from selfrag.evaluation.matching import contains_answer, normalise

        refused = answer.answerable is False or answer.status == "not_found"
        refused = refused or normalise(answer.text) == normalise(refusal)
        found = {("falsely refused" if self.answerable else "refused"): refused}
        if self.retrieval is not None:
            retrieved = bool(answer.decisions) and answer.decisions[0].action == "retrieve"
            found["decision"] = retrieved == self.retrieval
        if self.answerable and self.answers:
            found["contained"] = contains_answer(answer.text, self.answers)
        if self.answerable and self.output:
            found["equal"] = normalise(answer.text) == normalise(self.output)
        if self.answerable and self.evidence:
            cited = {citation.passage_id for citation in answer.citations}
            found["cited"] = not cited.isdisjoint(self.evidence)
        return found


def exam_of(row: SourceRow, known: Callable[[str], bool]) -> Exam:
    """The exam of a source row. known: whether a passage exists, beside the row's own."""
    from selfrag.answer import Question

    own = {passage.id for passage in row.passages}
    evidence = tuple(
        dict.fromkeys(name for segment in row.segments for name in segment.evidence or ())
    )
    there = tuple(name for name in evidence if name in own or known(name))
    learnt = bool(row.segments) and row.segments[-1].learnt
    needs = row.needs_retrieval
    if needs is None and row.segments and row.segments[0].evidence is not None:
        needs = bool(row.segments[0].evidence)
    output = row.output or " ".join(segment.text for segment in row.segments)
    last = row.segments[-1].text if row.segments else row.output
    passages = row.passages or None
    question = (
        Question(row.input, passages, instruction=row.instruction)
        if row.input
        else Question(row.instruction, passages)
    )
    return Exam(
        id=row.id,
        dataset=row.dataset,
        question=question,
        answers=(last,) if learnt or not row.segments else (),
        output=output if learnt or not row.segments else "",
        evidence=there,
        retrieval=needs,
        answerable=bool(there) or not evidence,
    )


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


def _exams(run: Run) -> tuple[dict[str, Exam], Path]:
    """Id -> exam, at most `most` of them, and the file whose lines they are."""
    part = run.recipe.evaluation
    assert part is not None
    if part.questions:
        file = Path(part.questions)
        exams = _exams_of_file(file)
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


def _exams_of_file(file: Path) -> list[Exam]:
    from selfrag.answer import Question
    from selfrag.evaluation.questions import read_questions

    return [
        Exam(
            id=one.id,
            dataset=one.kind,
            question=Question(one.text),
            answers=tuple(one.answers),
            output="",
            evidence=(),
            retrieval=one.kind != "no_retrieval",
            answerable=one.kind != "unanswerable",
        )
        for one in read_questions(file)
    ]


def _asked(rag: SelfRAG, exams: Sequence[Exam], refusal: str) -> list[Sequence[Row] | Drop]:
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
                "gold": exam.output or list(exam.answers),
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


__all__ = ["MEASURES", "Exam", "evaluation_inputs", "exam_of", "run_evaluation"]
