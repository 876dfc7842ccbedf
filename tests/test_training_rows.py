"""Rows as trees of segments: what is allowed, what a path is, and that they survive a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexes.passage import Passage
from selfrag.training.critic.questions import CriticQuestion, Judgement
from selfrag.training.errors import InvalidRow
from selfrag.training.rows import PROMPT_END, TrainingRow, TreeSegment, segment_text
from selfrag.training.sources import SourceRow

P1, P2 = Passage("p1", "One", "First text."), Passage("p2", "Two", "Second text.")
GOOD = TreeSegment(
    PROMPT_END, "[Retrieval]", "A.", P1, "[Relevant]", "[Fully supported]"
)  # goes on
BAD = TreeSegment(PROMPT_END, "[Retrieval]", "", P2, "[Irrelevant]")
LAST = TreeSegment(0, "[Retrieval]", "B.", P2, "[Relevant]", "[Partially supported]", 4)
ROW = TrainingRow("r1", "Ask?", (GOOD, BAD, LAST), dataset="made")


def test_a_tree_has_a_path_for_each_end() -> None:
    assert not ROW.is_chain
    assert list(ROW.paths()) == [(BAD,), (GOOD, LAST)]
    chain = TrainingRow("r2", "Ask?", (GOOD, LAST))
    assert chain.is_chain and list(chain.paths()) == [(GOOD, LAST)]


def test_the_text_is_the_papers() -> None:
    assert "".join(map(segment_text, (GOOD, LAST))) == (
        "[Retrieval]<paragraph>One\nFirst text.</paragraph>[Relevant]A.[Fully supported]"
        "[Retrieval]<paragraph>Two\nSecond text.</paragraph>[Relevant]B.[Partially supported]"
        "[Utility:4]"
    )


def test_a_row_survives_a_file() -> None:
    assert TrainingRow.from_dict(json.loads(json.dumps(ROW.to_dict()))) == ROW


@pytest.mark.parametrize(
    "change, named",
    [
        ({"opening": "[Relevant]"}, "opening"),
        ({"opening": "[No Retrieval]"}, "passage"),
        ({"passage": None, "relevance": "", "support": ""}, "passage"),
        ({"relevance": ""}, "relevance"),
        ({"relevance": "[Irrelevant]"}, "support"),
        ({"support": "[Relevant]"}, "support"),
        ({"sentence": "  "}, "sentence"),
        ({"sentence": "", "support": "[Fully supported]"}, "support"),
        ({"utility": 6}, "utility"),
        ({"accepted": True}, "accepted"),
    ],
)
def test_what_the_grammar_does_not_have_is_refused(change: dict[str, Any], named: str) -> None:
    values = {
        "parent": PROMPT_END,
        "opening": "[Retrieval]",
        "sentence": "A.",
        "passage": P1,
        "relevance": "[Relevant]",
        "support": "[Fully supported]",
    }
    TreeSegment(**values)
    with pytest.raises(InvalidRow, match=named):
        TreeSegment(**{**values, **change})


@pytest.mark.parametrize(
    "segments, named",
    [
        ((), "no segment"),
        ((TreeSegment(0, "", "A."),), "parent"),
        ((TreeSegment(PROMPT_END, "", "A.", utility=5), TreeSegment(0, "", "B.")), "has ended"),
        ((BAD, TreeSegment(0, "", "B.")), "has ended"),
    ],
)
def test_what_is_no_tree_is_refused(segments: tuple[TreeSegment, ...], named: str) -> None:
    with pytest.raises(InvalidRow, match=named):
        TrainingRow("r", "Ask?", segments)


def test_an_accepted_passage_may_be_followed_by_its_worth() -> None:
    TreeSegment(
        PROMPT_END, "[Retrieval]", "A.", P1, "[Irrelevant]", "[Fully supported]", 1, accepted=True
    )


def test_source_rows_name_what_is_wrong() -> None:
    row = SourceRow.from_dict(
        {
            "instruction": "Ask?",
            "segments": [{"text": "A.", "evidence": ["p1"], "relevant": ["p2"]}, {"text": "B."}],
            "passages": [P1.to_dict()],
        },
        default_id="7",
    )
    assert row.id == "7" and row.passages == (P1,)
    assert row.segments[0].evidence == ("p1",) and row.segments[0].relevant == ("p2",)
    assert row.segments[1].evidence is None
    for values, named in (
        ({"instruction": " ", "output": "A."}, "instruction"),
        ({"instruction": "Ask?"}, "neither"),
        ({"instruction": "Ask?", "output": "A.", "utility": 0}, "utility"),
        ({"instruction": "Ask?", "segments": [{"text": ""}]}, "no `text`"),
        ({"instruction": "Ask?", "output": "A.", "passages": [{"id": ""}]}, "passages"),
    ):
        with pytest.raises(InvalidRow, match=named):
            SourceRow.from_dict(values, default_id="7")


def test_a_critics_question_knows_its_labels() -> None:
    assert CriticQuestion("Retrieve", "Ask?").labels == ("[No Retrieval]", "[Retrieval]")
    assert len(CriticQuestion("Retrieve", "Ask?", passage=P1, sentence="A.").labels) == 3
    question = CriticQuestion("IsSup", "Ask?", passage=P1, sentence="A.")
    assert question.key == CriticQuestion.from_dict(question.to_dict()).key
    assert question.key != CriticQuestion("IsSup", "Ask?", passage=P2, sentence="A.").key
    judged = Judgement(question, "[Fully supported]", "gold", row="r1")
    assert Judgement.from_dict(json.loads(json.dumps(judged.to_dict()))) == judged
    with pytest.raises(InvalidRow, match="no label"):
        Judgement(question, "[Relevant]", "gold")
    with pytest.raises(InvalidRow, match="no passage"):
        CriticQuestion("IsRel", "Ask?")
    with pytest.raises(InvalidRow, match="no sentence"):
        CriticQuestion("IsUse", "Ask?")
