"""A `SelfRAG` as a tool for agent loops: schemas for chat APIs and one callable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfrag.answer import Answer, Budget

if TYPE_CHECKING:
    from selfrag.rag import SelfRAG

_DESCRIPTION = (
    "Answer a factual question from the indexed passages. Returns the answer, the passages it "
    "cites, and how well each part is supported; `answerable` is false when the passages do not "
    "hold the answer."
)
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "One self-contained question."},
        "options": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Choices, for a multiple-choice question.",
        },
        "max_seconds": {"type": "number", "description": "Time limit; the best so far returns."},
    },
    "required": ["question"],
    "additionalProperties": False,
}


class Tool:
    """Schemas in both common styles; calling it takes the schema's arguments."""

    def __init__(self, rag: SelfRAG, name: str = "ask_with_evidence") -> None:
        self._rag = rag
        self.name = name

    @property
    def openai_schema(self) -> dict[str, Any]:
        """For `tools=[…]` of an OpenAI-style chat API."""
        function = {"name": self.name, "description": _DESCRIPTION, "parameters": _PARAMETERS}
        return {"type": "function", "function": function}

    @property
    def anthropic_schema(self) -> dict[str, Any]:
        """For `tools=[…]` of an Anthropic-style messages API."""
        return {"name": self.name, "description": _DESCRIPTION, "input_schema": _PARAMETERS}

    def __call__(
        self,
        question: str,
        options: list[str] | None = None,
        max_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Small, JSON-able result: text, citations, segments with support, warnings."""
        answer = self._rag.ask(question, options=options, budget=Budget(max_seconds=max_seconds))
        return compact(answer)


def compact(answer: Answer) -> dict[str, Any]:
    """The part of an answer that a calling model needs."""
    return {
        "text": answer.text,
        "answerable": answer.answerable,
        "status": answer.status,
        "choice": answer.choice,
        "citations": [
            {
                "number": citation.number,
                "passage_id": citation.passage_id,
                "title": citation.title,
                "text": citation.text,
            }
            for citation in answer.citations
        ],
        "segments": [
            {
                "text": segment.text,
                "citation": segment.citation,
                "p_relevant": segment.p_relevant,
                "p_supported": None if segment.p_supported is None else dict(segment.p_supported),
            }
            for segment in answer.segments
        ],
        "warnings": list(answer.warnings),
    }
