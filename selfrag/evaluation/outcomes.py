"""What one answer counts as: right, cited, decided rightly, refused. No model, no statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfrag.answer import Answer
from selfrag.evaluation.matching import contains_answer, is_right
from selfrag.evaluation.questions import EvaluationQuestion


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question, its answer and the judgements; see `judge`."""

    question: EvaluationQuestion
    answer: Answer
    right: bool
    cited: bool
    retrieved_first: bool
    decided: bool
    refused: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a file of details; without the search tree."""
        question, answer = self.question, self.answer
        return {
            "id": question.id,
            "kind": question.kind,
            "relation": question.relation,
            "entity": question.entity,
            "phrasing": question.phrasing,
            "question": question.text,
            "answers": list(question.answers),
            "text": answer.text,
            "right": self.right,
            "cited": self.cited,
            "retrieved_first": self.retrieved_first,
            "decided": self.decided,
            "refused": self.refused,
            "answerable": answer.answerable,
            "status": answer.status,
            "score": answer.score,
            "draft": answer.draft,
            "p_retrieve": answer.decisions[0].p_retrieve if answer.decisions else None,
            "citations": [
                {"passage_id": cited.passage_id, "title": cited.title, "text": cited.text}
                for cited in answer.citations
            ],
            "usage": {
                "generated_tokens": answer.usage.generated_tokens,
                "retrievals": answer.usage.retrievals,
                "passages": answer.usage.passages,
            },
            "warnings": list(answer.warnings),
        }


def judge(question: EvaluationQuestion, answer: Answer) -> Outcome:
    """Judge one answer.

    right: an acceptable answer occurs as whole words in a text of at most 25 words.
    cited: a cited passage contains an acceptable answer, in its title or in its text.
    retrieved_first: the first decision was to retrieve.
    decided: that decision is the one wanted: to retrieve unless the kind is "no_retrieval".
    refused: the answer says that nothing supported was found.
    """
    retrieved = bool(answer.decisions) and answer.decisions[0].action == "retrieve"
    return Outcome(
        question=question,
        answer=answer,
        right=is_right(answer.text, question.answers),
        cited=any(
            contains_answer(part, question.answers)
            for citation in answer.citations
            for part in (citation.title, citation.text)
        ),
        retrieved_first=retrieved,
        decided=retrieved == (question.kind != "no_retrieval"),
        refused=answer.answerable is False or answer.status == "not_found",
    )
