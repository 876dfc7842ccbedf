"""Lines of questions and of judgements: every kind, and what is refused by line number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfrag.evaluation.judgements import read_judgements
from selfrag.evaluation.questions import (
    EvaluationQuestion,
    UnusableFile,
    read_question_files,
    read_questions,
)

OPTIONS = {"A": "Lomé", "B": "Bamako"}


def read(tmp_path: Path, *rows: Any) -> list[EvaluationQuestion]:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return read_questions(path)


def test_every_kind(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "single_hop", "answer": "a", "evidence": ["p1", "p2"]},
        {"kind": "answerable", "answer": "a", "evidence": []},
        {"kind": "two_hop", "answers": ["a"], "evidence": [["p1"], ["p2", "p3"]]},
        {"kind": "three_hop", "answers": ["a"]},
        {"kind": "long_form", "parts": [["a", "b"], ["c"]]},
        {"kind": "long_form", "answers": ["a", "b"]},
        {"kind": "fact_check", "answer": "SUPPORTED"},
        {"kind": "fact_check", "answer": False},
        {"kind": "multiple_choice", "answer": "b", "options": OPTIONS},
        {"kind": "no_retrieval"},
        {"kind": "unanswerable"},
    ]
    found = read(tmp_path, *({"question": "Q?", **row} for row in rows))
    assert [question.section for question in found[:3]] == ["single_hop", "single_hop", "two_hop"]
    assert [question.answerable for question in found] == [True] * 9 + [False] * 2
    assert found[0].evidence == (("p1", "p2"),) and found[1].evidence == ()
    assert found[2].evidence == (("p1",), ("p2", "p3"))
    assert found[4].wanted == (("a", "b"), ("c",)) and found[5].wanted == (("a", "b"),)
    assert (found[6].verdict, found[7].verdict) == (True, False)
    assert found[8].right_choices == {"B"}
    assert found[9].wanted == ()


def test_options_are_asked_once(tmp_path: Path) -> None:
    listed = "Capital of Mali?\nA: Lomé\nB: Bamako"
    inline = "Capital of Mali? (A) Lomé, (B) Bamako"
    given, own, beside = read(
        tmp_path,
        {"kind": "multiple_choice", "question": "Capital of Mali?", "answer": "Bamako"}
        | {"options": OPTIONS},
        {"kind": "multiple_choice", "question": listed, "answer": "B"},
        {"kind": "multiple_choice", "question": inline, "answer": "B", "options": OPTIONS},
    )
    assert given.asked == listed and given.right_choices == {"B"}
    assert own.asked == listed and own.choices == OPTIONS
    assert beside.asked == inline
    assert EvaluationQuestion("1", "Who? A. B. Yehoshua").asked == "Who? A. B. Yehoshua"


def test_ids_of_several_files_stay_apart(tmp_path: Path) -> None:
    """Both files number their lines: intervals would take two questions for one."""
    paths = [tmp_path / "facts.jsonl", tmp_path / "tasks.jsonl", tmp_path / "more" / "tasks.jsonl"]
    paths[2].parent.mkdir()
    for path, name in zip(paths, ("x", "y", "z"), strict=True):
        path.write_text(json.dumps({"question": name, "answer": "a"}), encoding="utf-8")
    found = read_question_files(paths)
    assert [(one.id, one.text) for one in found] == [
        ("1", "x"),
        ("tasks:1", "y"),
        ("tasks:tasks:1", "z"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "two_hop"}, "a two_hop question needs an acceptable answer"),
        ({"kind": "long_form"}, "long_form question needs .* or `parts`"),
        ({"kind": "long_form", "parts": ["a"]}, "`parts` must be a list of lists"),
        ({"kind": "long_form", "parts": [[]]}, "`parts` must be a list of lists"),
        ({"kind": "long_form", "parts": [["a"], [1]]}, "a part must be a text"),
        ({"kind": "long_form", "parts": [["a"]], "answer": "a"}, "both `parts` and `answers`"),
        ({"answer": "a", "parts": [["a"]]}, "`parts` is given for the kind 'answerable'"),
        ({"kind": "fact_check", "answer": "maybe"}, "answer is 'maybe'"),
        ({"kind": "fact_check", "answers": ["true", "no"]}, "answer is 'true', 'no'"),
        ({"kind": "fact_check", "answer": 1}, "an answer must be a text"),
        ({"answer": True}, "an answer must be a text"),
        ({"kind": "multiple_choice", "answer": "B"}, "lists no options"),
        ({"kind": "multiple_choice", "answer": "C", "options": OPTIONS}, "'C' is no option"),
        ({"kind": "multiple_choice", "answer": "A", "options": {"A": "a"}}, "at least two"),
        ({"kind": "multiple_choice", "answer": "A", "options": ["a", "b"]}, "at least two"),
        ({"kind": "multiple_choice", "answer": "A", "options": {"A": "a", "B": 2}}, "an option"),
        ({"answer": "a", "options": OPTIONS}, "`options` is given for the kind 'answerable'"),
        ({"answer": "a", "evidence": "p1"}, "must be a list of passage ids"),
        ({"answer": "a", "evidence": [["p1"], []]}, "must be a list of passage ids"),
        ({"answer": "a", "evidence": [7]}, "an id of `evidence` must be a text"),
        ({"kind": "two_hop", "answer": "a", "evidence": ["p1", "p2"]}, "must be 2 lists"),
        ({"kind": "two_hop", "answer": "a", "evidence": [["p1"]]}, "must be 2 lists"),
        ({"kind": "three_hop", "answer": "a", "evidence": [["1"], [], ["2"]]}, "must be 3 lists"),
    ],
)
def test_bad_lines(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableFile, match=f"line 2: .*{message}"):
        read(tmp_path, {"question": "fine", "answer": "a"}, {"question": "Q?", **row})


JUDGEMENT: dict[str, Any] = {
    "question": "Q?",
    "passage": {"title": "T", "text": "Text."},
    "sentence": "S.",
    "label": "partially",
}


def judgements(tmp_path: Path, *rows: Any) -> Any:
    path = tmp_path / "judgements.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return read_judgements(path)


def test_judgements(tmp_path: Path) -> None:
    bare = {**JUDGEMENT, "passage": {"text": "Text."}, "id": "x"}
    first, second = judgements(tmp_path, JUDGEMENT, bare)
    assert (first.id, first.title, first.passage, first.label) == ("1", "T", "Text.", "partially")
    assert (second.id, second.title) == ("x", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "full"}, "`label` is 'full'"),
        ({"label": None}, "`label` is None"),
        ({"passage": "Text."}, "`passage` must be an object"),
        ({"passage": {"title": "T"}}, "`text` must be a text"),
        ({"passage": {"title": 1, "text": "t"}}, "`title` must be a text"),
        ({"sentence": " "}, "`sentence` must be a text"),
        ({"question": None}, "`question` must be a text"),
        ({"id": "1"}, "the id '1' is taken by line 1"),
    ],
)
def test_bad_judgements(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableFile, match=f"line 2: .*{message}"):
        judgements(tmp_path, JUDGEMENT, {**JUDGEMENT, **change})
    with pytest.raises(UnusableFile, match="holds no judgement"):
        judgements(tmp_path)
