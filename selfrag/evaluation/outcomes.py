"""What one answer counts as: right, cited, decided rightly, refused. No model, no statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selfrag.answer import Answer
from selfrag.controller.options import read_option
from selfrag.evaluation.matching import MAX_ANSWER_WORDS, contains_answer, is_right
from selfrag.evaluation.questions import EvaluationQuestion
from selfrag.evaluation.verdicts import read_verdict


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
    read: str | None = None
    parts_found: int = 0
    different_passages: int = 0
    evidence_cited: bool | None = None
    written_right: bool = False

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
            "parts": [list(part) for part in question.parts],
            "evidence": [list(ids) for ids in question.evidence],
            "options": dict(question.options),
            "text": answer.text,
            "right": self.right,
            "cited": self.cited,
            "read": self.read,
            "parts_found": self.parts_found,
            "different_passages": self.different_passages,
            "evidence_cited": self.evidence_cited,
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

    right: see `is_right_answer`; a refusal of a fact check or a multiple choice is wrong, whatever
        words it is made of.
    cited: cited passages contain an acceptable answer, in the title or in the text; of a long form
        every part; of a multiple choice the right option's text. For a fact check the evidence is
        cited, where it is given, else any passage.
    retrieved_first: the first decision was to retrieve.
    decided: that decision is the one wanted: to retrieve unless the kind is "no_retrieval".
    refused: the answer says that nothing supported was found.
    read: the verdict ("true", "false") or the option's key that the text was read as, or None.
    parts_found: how many of the wanted groups of strings the text contains.
    different_passages: how many passages the answer's segments that say something rest on.
    evidence_cited: of every hop's evidence a passage is cited; None where no evidence is given.
    written_right: the same as `right` for what the model wrote, where that was refused afterwards.
    """
    retrieved = bool(answer.decisions) and answer.decisions[0].action == "retrieve"
    refused = answer.answerable is False or answer.status == "not_found"
    spoken = [segment for segment in answer.segments if segment.text.strip()]
    segments = max(1, len(spoken))
    right = is_right_answer(question, answer.text, segments)
    if refused and question.section in ("fact_check", "multiple_choice"):
        right = False
    written = answer.draft or "" if refused else answer.text
    cited_ids = {citation.passage_id for citation in answer.citations}
    evidence_cited = None
    if question.evidence:
        evidence_cited = all(cited_ids & set(ids) for ids in question.evidence)
    return Outcome(
        question=question,
        answer=answer,
        right=right,
        cited=_cited(question, answer, evidence_cited),
        retrieved_first=retrieved,
        decided=retrieved == (question.kind != "no_retrieval"),
        refused=refused,
        read=None if refused else _read(question, answer.text),
        parts_found=sum(contains_answer(answer.text, part) for part in question.wanted),
        different_passages=len({s.passage_id for s in spoken if s.passage_id is not None}),
        evidence_cited=evidence_cited,
        written_right=is_right_answer(question, written, segments),
    )


def is_right_answer(question: EvaluationQuestion, text: str, segments: int = 1) -> bool:
    """Whether a text answers a question.

    - fact_check: `verdicts.read_verdict` reads the wanted verdict.
    - multiple_choice: `controller.options.read_option` reads a right option.
    - two_hop, three_hop, long_form: an acceptable answer (of a long form, one of every part) as
      whole words, in at most 25 words for each of the text's segments.
    - the other kinds: an acceptable answer as whole words in at most 25 words.
    """
    section = question.section
    if section == "fact_check":
        verdict = read_verdict(text)
        return verdict is not None and verdict == question.verdict
    if section == "multiple_choice":
        return read_option(text, question.choices) in question.right_choices
    if section in ("two_hop", "three_hop", "long_form"):
        short = len(text.split()) <= MAX_ANSWER_WORDS * segments
        return short and all(contains_answer(text, part) for part in question.wanted)
    return is_right(text, question.answers)


def _read(question: EvaluationQuestion, text: str) -> str | None:
    if question.section == "fact_check":
        verdict = read_verdict(text)
        return None if verdict is None else str(verdict).lower()
    if question.section == "multiple_choice":
        return read_option(text, question.choices)
    return None


def _cited(question: EvaluationQuestion, answer: Answer, evidence_cited: bool | None) -> bool:
    if question.section == "fact_check":
        return bool(answer.citations) if evidence_cited is None else evidence_cited
    wanted = question.wanted
    if question.section == "multiple_choice":
        wanted = (tuple(question.choices[key] for key in sorted(question.right_choices)),)
    texts = [part for citation in answer.citations for part in (citation.title, citation.text)]
    return bool(wanted) and all(
        any(contains_answer(text, part) for text in texts) for part in wanted
    )
