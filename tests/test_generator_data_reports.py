"""Generator data: bad input, questions left open, balance and options."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generator_data_helpers import PLAIN, ScriptedCritic, always, dropped, make, passage

from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import InvalidOptions
from selfrag.training.generator.balance import report
from selfrag.training.generator.data import read_training_rows
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.stages import read_manifest

TOGO, LAKE = passage("togo"), passage("lake")


def test_bad_input_is_listed_by_row(tmp_path: Path) -> None:
    long = {"id": "long", "title": "Long", "text": "word " * 2000}
    empty = {"id": "empty", "title": "Empty", "text": " "}
    rows: list[Any] = [
        "{not json",
        {"id": "bare", "instruction": "  ", "output": "x"},
        {"id": "mute", "instruction": "Q?", "output": " "},
        {"id": "surrogate", "instruction": "Q?", "output": "\ud800"},
        {"id": "begins", "instruction": "Q?", "segments": [{"text": "A.", "continues": True}]},
        {"id": "string", "instruction": "Q?", "segments": [{"text": "A.", "evidence": "p"}]},
        {"id": "odd", "instruction": "Q?", "segments": [{"text": "A.", "support": "[Yes]"}]},
        {"id": "good", "instruction": "Q?", "output": "An answer.", "passages": [long, empty]},
        {
            "id": "cut",
            "instruction": "Q?",
            "output": "An answer.",
            "passages": [long, {"id": "p", "text": "A text."}],
        },
        {"id": "cut", "instruction": "Q?", "output": "Again."},
        {"id": "none", "instruction": "Q?", "output": "An answer."},
    ]
    work = make(tmp_path, rows, ScriptedCritic(always()), None)
    assert dropped(work, "01-segmented") == [
        ("1", "not JSON"),
        ("bare", "invalid row"),
        ("mute", "invalid row"),
        ("surrogate", "invalid row"),
        ("begins", "invalid row"),
        ("string", "invalid row"),
        ("odd", "invalid row"),
        ("cut", "id is used before"),
    ]
    assert dropped(work, "03-retrieved") == [
        ("good", "no passage found"),
        ("none", "nothing to search"),
    ]
    assert [row.id for row in read_training_rows(work)] == ["cut"]
    manifest = read_manifest(work / "03-retrieved")
    assert manifest is not None
    assert manifest.balance["left_out"] == {"passage too long": {"passages": 1, "rows": ["cut"]}}
    text = report(work)
    assert "01-segmented: 11 rows read, 3 written" in text
    assert "  dropped, invalid row: 6" in text
    assert "  left_out: passage too long 1 (rows cut)" in text
    assert "05-rows: 1 rows read, 1 written" in text


def test_questions_left_open_are_listed_and_never_guessed(tmp_path: Path) -> None:
    rows = [
        {"id": "decide", "instruction": "Unclear?", "output": "An answer."},
        {"id": "judge", "instruction": "Q?", "output": "An answer."},
        {"id": "rate", "instruction": "Q?", "output": "A strange answer."},
        {"id": "none", "instruction": "Open?", "output": "An answer."},
    ]

    def script(question: CriticQuestion) -> str | None:
        lake = question.passage is not None and question.passage.id == "lake"
        unclear = {
            "Retrieve": question.instruction == "Unclear?",
            "IsRel": lake or question.instruction == "Open?",
            "IsUse": "strange" in question.sentence,
        }
        return None if unclear.get(question.group) else always()(question)

    work = make(tmp_path, rows, ScriptedCritic(script), [LAKE, TOGO])
    assert dropped(work, "02-decided") == [("decide", "Retrieve not judged")]
    assert dropped(work, "04-critiqued") == [
        ("rate", "IsUse not judged"),
        ("none", "no passage judged"),
    ]
    (row,) = read_training_rows(work)
    assert [one.passage and one.passage.id for one in row.segments] == ["togo"]
    manifest = read_manifest(work / "04-critiqued")
    assert manifest is not None
    assert manifest.balance["left_out"] == {"IsRel not judged": {"passages": 1, "rows": ["judge"]}}


def test_outputs_that_nobody_rates_may_have_an_assumed_utility(tmp_path: Path) -> None:
    rows = [
        {"id": "rated", "instruction": "Q?", "output": "An answer.", "utility": 3},
        {"id": "open", "instruction": "Q?", "output": "An answer."},
    ]
    critic = ScriptedCritic(lambda one: None if one.group == "IsUse" else always()(one))
    work = make(tmp_path, rows, critic, [TOGO], options=replace(PLAIN, utility=4))
    assert [row.segments[0].utility for row in read_training_rows(work)] == [3, 4]
    manifest = read_manifest(work / "04-critiqued")
    assert manifest is not None
    assert manifest.balance["utilities"] == {"[Utility:3]": 1, "[Utility:4]": 1, "assumed": 1}


def test_balance_can_be_set(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "instruction": "Q?", "output": "An answer.", "utility": 5 if n % 2 else 3}
        for n in range(40)
    ]
    critic = ScriptedCritic(always())
    options = replace(PLAIN, keep_utility={5: 0.0}, keep_branches={"[Relevant]": 0.0})
    work = make(tmp_path, rows, critic, [TOGO, LAKE], options=options)
    kept = list(read_training_rows(work))
    assert [row.id for row in kept] == [str(n) for n in range(0, 40, 2)]
    assert all(len(row.segments) == 1 for row in kept)
    assert {reason for _, reason in dropped(work, "05-rows")} == {"balance: [Utility:5]"}
    rows = [{**row, "needs_retrieval": False} for row in rows]
    options = replace(PLAIN, keep_no_retrieval=0.0)
    work = make(tmp_path, rows, critic, None, options=options, work="talk")
    assert {reason for _, reason in dropped(work, "05-rows")} == {"balance: [No Retrieval]"}
    half = replace(PLAIN, keep_no_retrieval=0.5)
    work = make(tmp_path, rows, critic, None, options=half, work="half")
    assert 10 <= len(list(read_training_rows(work))) <= 30


@pytest.mark.parametrize(
    "changes",
    [
        {"partially": 1.5},
        {"passages": 0},
        {"unfound": "guess"},
        {"refusal": " "},
        {"keep_utility": {6: 0.5}},
        {"keep_branches": {"[Utility:5]": 0.5}},
        {"keep_utility": {5: 2}},
        {"told": -1},
        {"seed": "x"},
        {"colour": "red"},
    ],
)
def test_options_are_checked(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=next(iter(changes))):
        GeneratorDataOptions.from_dict(changes)


def test_options_as_json() -> None:
    options = GeneratorDataOptions.paper(keep_utility={5: 0.5})
    assert GeneratorDataOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    assert (options.trees, options.gold_in_query, options.keep_no_retrieval) == (False, True, 0.4)
