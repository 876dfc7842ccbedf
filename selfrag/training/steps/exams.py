"""A question to a trained generator, and what an answer to it counts as.

- contained: the gold answer's last sentence stands in the answer, as whole words.
- equal: the answer says what the gold output says, no more. Both of rows whose answer is to be
  learnt, and whose evidence exists.
- decision: whether the first decision, to retrieve or not, is the row's.
- cited: a cited passage is in the evidence of some sentence; of rows with evidence that exists.
- refused: of rows whose evidence exists nowhere, and of questions without an answer: it says that
  it does not know. falsely refused: the same of those that have an answer.

Questions of a file are judged by `selfrag.evaluation.outcomes`; contained is its `right`. This
module knows nothing of models and of files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfrag.training.sources import SourceRow

if TYPE_CHECKING:
    from selfrag.answer import Answer, Question
    from selfrag.evaluation.questions import EvaluationQuestion

MEASURES = ("contained", "equal", "decision", "cited", "refused", "falsely refused")


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

    @property
    def gold(self) -> Any:
        """What an answer is compared with."""
        return self.output

    def judge(self, answer: Answer, refusal: str) -> dict[str, bool]:
        """Measure -> whether it holds, for the measures that apply."""
        from selfrag.evaluation.matching import contains_answer, normalise

        refused = answer.answerable is False or answer.status == "not_found"
        refused = refused or _says(answer, refusal)
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


@dataclass(frozen=True, slots=True)
class FileExam:
    """A question of a file, judged as `selfrag.evaluation.outcomes` does."""

    asked: EvaluationQuestion

    @property
    def id(self) -> str:
        """Of the question."""
        return self.asked.id

    @property
    def dataset(self) -> str:
        """The kind of the question."""
        return self.asked.section

    @property
    def question(self) -> Question:
        """As it is asked."""
        from selfrag.answer import Question

        return Question(self.asked.asked)

    @property
    def gold(self) -> Any:
        """Acceptable answers, part by part."""
        return [list(part) for part in self.asked.wanted]

    def judge(self, answer: Answer, refusal: str) -> dict[str, bool]:
        """Measure -> whether it holds, for the measures that apply."""
        from selfrag.evaluation.outcomes import judge

        outcome = judge(self.asked, answer)
        refused = outcome.refused or _says(answer, refusal)
        found = {"decision": outcome.decided}
        if self.asked.section == "unanswerable":
            return {**found, "refused": refused}
        found["falsely refused"] = refused
        if self.asked.wanted:
            found["contained"] = outcome.right
        if self.asked.answerable:
            found["cited"] = outcome.cited
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


def _says(answer: Answer, refusal: str) -> bool:
    from selfrag.evaluation.matching import normalise

    return normalise(answer.text) == normalise(refusal)
