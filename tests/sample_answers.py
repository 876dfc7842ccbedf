"""Answers and trees made by hand, for tests of what shows and stores them."""

from __future__ import annotations

from typing import Any

from selfrag.answer import Answer, Citation, Decision, Segment, Usage


def make_tree() -> dict[str, Any]:
    """A root with two branches, one of them selected."""

    def node(identity: int, parent: int | None, **values: Any) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "id": identity,
            "parent": parent,
            "depth": 0 if parent is None else 1,
            "action": "root" if parent is None else "retrieve",
            "passage_id": None,
            "passage_title": None,
            "prompt_ids": [1, 2],
            "token_ids": [],
            "text": "",
            "literal": "",
            "scores": {},
            "distributions": {},
            "status": "root",
            "finish": None,
        }
        return {**defaults, **values}

    return {
        "schema_version": 1,
        "question": "What is the capital of Burkina Faso?",
        "nodes": [
            node(0, None),
            node(
                1,
                0,
                passage_id="bf",
                passage_title="Burkina Faso",
                token_ids=[5, 6],
                text="The capital of Burkina Faso is Ouagadougou.",
                literal="[Relevant]The capital of Burkina Faso is Ouagadougou.[Fully supported]",
                scores={
                    "seq": 0.9,
                    "rel": 0.99,
                    "sup": 0.98,
                    "use": None,
                    "F": 2.87,
                    "final": None,
                },
                distributions={"relevance": {"relevant": 0.99, "irrelevant": 0.01}},
                status="finished",
                finish="stop",
            ),
            node(
                2,
                0,
                passage_id="x",
                passage_title='A "title" <b>[1]</b>; end',
                text="\x1b[31mNo.\x00 %% `x` #quot; -->",
                status="dropped",
                finish="limit",
            ),
        ],
        "selected": [0, 1],
    }


def make_answer(**changes: Any) -> Answer:
    """An answer of one cited segment, with changes."""
    values: dict[str, Any] = {
        "question": "What is the capital of Burkina Faso?",
        "text": "The capital of Burkina Faso is Ouagadougou.",
        "segments": (
            Segment(
                text="The capital of Burkina Faso is Ouagadougou.",
                passage_id="bf",
                citation=1,
                action="retrieve",
                p_retrieve=0.987,
                p_relevant=0.991,
                p_supported={"fully": 0.98, "partially": 0.015, "no": 0.005},
                utility=0.875,
                sequence=0.93,
                score=2.9,
            ),
        ),
        "citations": (
            Citation(1, "bf", "Burkina Faso", "Ouagadougou is the capital of Burkina Faso.", (0,)),
        ),
        "decisions": (Decision(0, "retrieve", 0.987, 0.0, 0.99, 0.2, "threshold", 0),),
        "usage": Usage(100, 12, 5, 1, 5, 0, 0, 0.25),
        "answerable": True,
        "score": 3.3,
        "tree": make_tree(),
    }
    return Answer(**{**values, **changes})


def spoken(
    text: str,
    *passages: str | None,
    cited: dict[str, str] | None = None,
    refused: bool = False,
    retrieve: bool = True,
    draft: str | None = None,
) -> Answer:
    """An answer of as many segments as passages are named, citing the given texts by id."""
    segments = tuple(
        Segment(f"part {number}.", passage, None, "retrieve", 0.9, 0.9, None, None, 0.9, 2.0)
        for number, passage in enumerate(passages)
    )
    citations = tuple(
        Citation(number, key, "", body, ())
        for number, (key, body) in enumerate((cited or {}).items())
    )
    action = "retrieve" if retrieve else "no_retrieval"
    decisions = (Decision(0, action, 0.9 if retrieve else 0.1, None, 1.0, 0.2, "threshold", 0),)
    return Answer(
        "q",
        text,
        segments,
        citations,
        decisions,
        Usage(retrievals=int(retrieve)),
        answerable=not refused,
        draft=draft,
        status="not_found" if refused else "complete",
    )
