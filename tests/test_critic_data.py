"""Which questions a row gives, and the stage that makes data of them, also after a kill."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from critic_data_helpers import CHAIN, NEISSE, ODER, VIOLA, Scripted, fake_chat, label, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    FULLY_SUPPORTED,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from selfrag.training.critic.asking import AskingPlan, NotAsked, questions_of
from selfrag.training.critic.balance import balance_of, balance_text, cap_name, caps_of, rank_of
from selfrag.training.critic.chat import ChatCritic
from selfrag.training.critic.data import CriticData, make_critic_data, part_of
from selfrag.training.critic.gold import GoldCritic, gold_critic
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.errors import InvalidRow, StageChanged, StageFailed
from selfrag.training.sources import SourceRow, SourceSegment

FIRST, SECOND, THIRD, LAST = (segment.text for segment in CHAIN.segments)


def rows(number: int) -> list[dict[str, Any]]:
    """Chains with instructions and ids of their own."""
    return [
        {**CHAIN.to_dict(), "id": f"row-{at}", "input": f"Rivers number {at}"}
        for at in range(number)
    ]


def all_judgements(data: CriticData) -> list[Judgement]:
    return [*data.judgements("train"), *data.judgements("heldout")]


# Questions.


def test_questions_of_a_chain() -> None:
    plan = AskingPlan(others=5, unsupporting=1)
    questions = [one for one in questions_of(CHAIN, plan) if isinstance(one, CriticQuestion)]
    found = [
        (one.group, one.preceding, one.passage and one.passage.id, one.sentence)
        for one in questions
    ]
    two, three = f"{FIRST} {SECOND}", f"{FIRST} {SECOND} {THIRD}"
    assert found == [
        ("Retrieve", "", None, ""),
        ("IsRel", "", "oder", ""),
        ("IsRel", "", "neisse", ""),
        ("IsRel", "", "viola", ""),
        ("IsSup", "", "oder", FIRST),
        ("IsSup", "", "viola", FIRST),
        ("Retrieve", FIRST, "oder", SECOND),
        ("IsSup", FIRST, "oder", SECOND),
        ("IsSup", FIRST, "viola", SECOND),
        ("Retrieve", two, "oder", THIRD),
        ("IsSup", two, "neisse", THIRD),
        ("IsSup", two, "oder", THIRD),
        ("Retrieve", three, "neisse", LAST),
        ("IsUse", "", None, f"{three} {LAST}"),
    ]
    assert {one.instruction for one in questions} == {"Compare the rivers.\n\nOder and Neisse"}


def test_only_the_groups_of_the_plan_are_asked_about() -> None:
    groups = {one.group for one in questions_of(CHAIN, AskingPlan(("IsUse",)))}  # type: ignore[union-attr]
    assert groups == {"IsUse"}
    for plan in ({"groups": ()}, {"groups": ("IsNice",)}, {"others": -1}):
        with pytest.raises(InvalidRow):
            AskingPlan(**plan)  # type: ignore[arg-type]


def test_an_output_without_segments_is_asked_about_by_sentence() -> None:
    row = SourceRow("r", "Ask.", (), output="One thing. Another.", passages=(ODER, NEISSE, VIOLA))
    questions = [one for one in questions_of(row, AskingPlan()) if isinstance(one, CriticQuestion)]
    support = [(one.sentence, one.passage) for one in questions if one.group == "IsSup"]
    assert support == [
        ("One thing.", ODER),
        ("One thing.", NEISSE),
        ("Another.", ODER),
        ("Another.", NEISSE),
    ]
    assert [one.sentence for one in questions if one.group == "Retrieve"] == ["", "Another."]
    assert questions[-1].sentence == "One thing. Another."


def test_evidence_is_looked_up_and_missing_evidence_is_named() -> None:
    row = SourceRow("r", "Ask.", (SourceSegment("One.", ("oder", "lost")),))
    corpus = {"oder": ODER}
    questions = list(questions_of(row, AskingPlan(), corpus.get))
    assert questions[0] == NotAsked("lost")
    shown = [one.passage for one in questions[1:] if isinstance(one, CriticQuestion)]
    assert shown == [None, ODER, ODER, None]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["oder", "neisse", "viola"]), unique=True), st.integers(0, 3))
def test_gold_judges_all_that_is_asked_but_utility(evidence: list[str], others: int) -> None:
    row = SourceRow(
        "r",
        "Ask.",
        (SourceSegment("One.", tuple(evidence)), SourceSegment("Two.", ())),
        passages=(ODER, NEISSE, VIOLA),
    )
    questions = [one for one in questions_of(row, AskingPlan(others=others))]
    assert not any(isinstance(one, NotAsked) for one in questions)
    results = GoldCritic([row]).judge(questions)  # type: ignore[arg-type]
    open_groups = {one.question.group for one in results if isinstance(one, Unjudged)}
    assert open_groups <= ({"IsUse"} if evidence else {"IsUse", "IsRel"})
    relevant = {
        one.question.passage.id
        for one in results
        if isinstance(one, Judgement) and one.label == RELEVANT and one.question.passage
    }
    assert relevant == set(evidence)


# The stage.


def test_gold_data_of_a_chain(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [CHAIN.to_dict()])
    data = make_critic_data(tmp_path / "data", [source], gold_critic([source]), heldout=0)
    found = [(one.question.group, one.label) for one in data.judgements("train")]
    assert found == [
        ("Retrieve", RETRIEVAL),
        ("IsRel", RELEVANT),
        ("IsRel", RELEVANT),
        ("IsRel", IRRELEVANT),
        ("IsSup", FULLY_SUPPORTED),
        ("IsSup", NO_SUPPORT),
        ("Retrieve", CONTINUE_EVIDENCE),
        ("IsSup", FULLY_SUPPORTED),
        ("IsSup", NO_SUPPORT),
        ("Retrieve", RETRIEVAL),
        ("IsSup", FULLY_SUPPORTED),
        ("IsSup", NO_SUPPORT),
        ("Retrieve", NO_RETRIEVAL),
        ("IsUse", "[Utility:4]"),
    ]
    assert list(data.judgements("heldout")) == []
    assert {one.row for one in data.judgements("train")} == {"chain"}
    assert data.train.balance["Retrieve, three labels"] == {
        "rivers": {NO_RETRIEVAL: 1, RETRIEVAL: 1, CONTINUE_EVIDENCE: 1}
    }
    assert data.train.balance["IsSup"]["rivers"] == {
        FULLY_SUPPORTED: 3,
        "[Partially supported]": 0,
        NO_SUPPORT: 3,
    }
    assert "[Continue to Use Evidence]          1   33.3%" in data.report
    assert data.report.endswith("dropped\n  nothing\n")


def test_what_is_not_judged_is_listed_by_question(tmp_path: Path) -> None:
    silent = {"id": "silent", "instruction": "Ask.", "output": "Said so.", "needs_retrieval": True}
    source = write_rows(tmp_path / "rows.jsonl", [silent, {"id": "empty"}])
    data = make_critic_data(tmp_path / "data", [source], gold_critic([source]), heldout=0)
    assert [one.label for one in all_judgements(data)] == [RETRIEVAL]
    assert data.judged.dropped == {"not a source row": 1}
    assert data.train.dropped == {"IsUse not judged": 1}
    (drop,) = (tmp_path / "data" / "train" / "dropped.jsonl").read_text().splitlines()
    listed = json.loads(drop)
    key = CriticQuestion("IsUse", "Ask.", sentence="Said so.").key
    assert listed["id"] == "silent" and listed["reason"] == "IsUse not judged"
    assert listed["detail"] == f"row silent; key {key}; the row has no utility"
    assert "  IsUse not judged: 1\n  not a source row: 1\n" in data.report


def test_a_row_is_in_one_part_only(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", rows(60))
    data = make_critic_data(tmp_path / "data", [source], gold_critic([source]), heldout=0.3)
    train = {one.row for one in data.judgements("train")}
    heldout = {one.row for one in data.judgements("heldout")}
    assert len(train) + len(heldout) == 60 and not train & heldout
    assert heldout == {f"row-{at}" for at in range(60) if part_of(f"row-{at}", 0.3) == "heldout"}
    assert len(heldout) in range(8, 29)  # 18 expected, standard deviation 3.5
    assert part_of("x", 0) == "train" and part_of("x", 1) == "heldout"


def test_judgements_that_exist_pass(tmp_path: Path) -> None:
    question = CriticQuestion("IsSup", "Ask.", passage=ODER, sentence="One.")
    judgement = Judgement(question, NO_SUPPORT, "gold", row="r1")
    lines = [
        {**judgement.to_dict(), "dataset": "mine"},
        Judgement(question, NO_SUPPORT, "gold").to_dict(),
        {**judgement.to_dict(), "label": RELEVANT},
    ]
    source = write_rows(tmp_path / "rows.jsonl", lines)
    data = make_critic_data(tmp_path / "data", [source], GoldCritic([]), heldout=0)
    assert list(data.judgements("train")) == [judgement]
    assert list(data.train.balance["IsSup"]) == ["mine"]
    assert data.judged.dropped == {"a judgement without a row": 1, "not a source row": 1}


class Breaking:
    """Gold, until it breaks at the given call."""

    name = "gold"

    def __init__(self, source: Path, breaks_at: int) -> None:
        self.gold, self.left = gold_critic([source]), breaks_at
        self.calls = 0

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        self.calls += 1
        if self.calls == self.left:
            raise RuntimeError("killed")
        return self.gold.judge(questions)


def test_after_a_kill_the_same_data_are_made(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*rows(7), {"id": "bad"}, *rows(12)[7:]])
    whole = make_critic_data(tmp_path / "whole", [source], gold_critic([source]), batch=2)
    broken = Breaking(source, 4)
    with pytest.raises(RuntimeError, match="killed"):
        make_critic_data(tmp_path / "data", [source], broken, batch=2)
    # The kill may also come in the middle of writing.
    with (tmp_path / "data" / "judged" / "rows.jsonl").open("a") as handle:
        handle.write('{"half a li')
    again = Breaking(source, 0)
    data = make_critic_data(tmp_path / "data", [source], again, batch=2)
    assert (broken.calls, again.calls) == (4, 4)
    assert all_judgements(data) == all_judgements(whole)
    assert data.report == whole.report
    third = Breaking(source, 1)
    assert make_critic_data(tmp_path / "data", [source], third, batch=2).report == whole.report
    with pytest.raises(StageChanged):
        make_critic_data(tmp_path / "data", [source], third, plan=AskingPlan(others=0))


def test_one_critic_for_each_group(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", rows(3))
    one, other = Breaking(source, 0), Breaking(source, 0)
    critics = {"IsRel": one, "IsSup": other, "IsUse": one}
    data = make_critic_data(tmp_path / "data", [source], critics)  # type: ignore[arg-type]
    groups = Counter(judgement.question.group for judgement in all_judgements(data))
    assert groups == {"IsRel": 9, "IsSup": 18, "IsUse": 3}
    assert (one.calls, other.calls) == (1, 1)


def test_a_chat_critic_that_stops_names_rows_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = write_rows(tmp_path / "rows.jsonl", rows(6))
    down = True

    def script(body: dict[str, Any], number: int) -> Scripted:
        shown = body["messages"][-1]["content"]
        at = int(re.findall(r"Rivers number (\d+)", shown)[0])
        return Scripted("", 503) if down and at == 4 else label("retrieval")

    def run(url: str) -> CriticData:
        answers = tmp_path / "answers.sqlite"
        with ChatCritic(url, "tiny", answers=answers, workers=1, attempts=1) as critic:
            plan = AskingPlan(("Retrieve",))
            return make_critic_data(tmp_path / "data", [source], critic, plan=plan, batch=3)

    with fake_chat(script) as chat:
        with pytest.raises(StageFailed, match=r"HTTP 503.*Rows: row-4\."):
            run(chat.url)
        asked = chat.asked
        down = False
        data = run(chat.url)
        # Four questions a row; the one that failed is the only one that was asked twice.
        assert (asked, chat.asked) == (4 * 4 + 1, 4 * 6 + 1)
    assert {one.row for one in all_judgements(data)} == {f"row-{at}" for at in range(6)}
    assert len(all_judgements(data)) == 24


@pytest.mark.parametrize("values", [{"heldout": -0.1}, {"heldout": 1.5}, {"cap": 0}])
def test_settings_are_checked(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidRow):
        make_critic_data(tmp_path, [], GoldCritic([]), **values)


# Balance.


def judged(at: int, name: str) -> dict[str, Any]:
    passage = Passage("p", "", "Text.")
    question = CriticQuestion("IsRel", f"Ask {at}.", passage=passage)
    return {**Judgement(question, name, "gold", row=f"r{at}").to_dict(), "dataset": "d"}


@settings(max_examples=40)
@given(st.lists(st.sampled_from([RELEVANT, IRRELEVANT]), max_size=30), st.integers(1, 9))
def test_a_cap_keeps_the_lowest_ranks(names: list[str], cap: int) -> None:
    given_rows = [judged(at, name) for at, name in enumerate(names)]
    highest = caps_of(given_rows, cap)
    kept = [row for row in given_rows if rank_of(row) <= highest.get(cap_name(row), 2**64)]
    for name in (RELEVANT, IRRELEVANT):
        ranks = sorted(rank_of(row) for row in given_rows if row["label"] == name)
        assert sorted(rank_of(row) for row in kept if row["label"] == name) == ranks[:cap]
    assert highest == caps_of(given_rows[::-1], cap)


def test_a_cap_lists_what_it_leaves_out(tmp_path: Path) -> None:
    lines = [judged(at, RELEVANT if at < 9 else IRRELEVANT) for at in range(12)]
    source = write_rows(tmp_path / "rows.jsonl", lines)
    data = make_critic_data(tmp_path / "data", [source], GoldCritic([]), heldout=0, cap=4)
    assert data.train.balance == {"IsRel": {"d": {IRRELEVANT: 3, RELEVANT: 4}}}
    assert data.train.dropped == {"over the cap, IsRel: [Relevant]": 5}
    listed = (tmp_path / "data" / "train" / "dropped.jsonl").read_text().splitlines()
    kept = {one.row for one in data.judgements("train")}
    left_out = {json.loads(line)["detail"].removeprefix("row ") for line in listed}
    assert kept | left_out == {f"r{at}" for at in range(12)} and not kept & left_out


def test_the_report_is_text_without_control_characters() -> None:
    balance = balance_of([{**judged(1, RELEVANT), "dataset": "\x1b[2Jd"}, judged(2, IRRELEVANT)])
    text = balance_text(balance, "all")
    assert text == (
        "all\nIsRel\n"
        "  ?[2Jd: 1\n"
        "    [Irrelevant]                        0    0.0%\n"
        "    [Relevant]                          1  100.0%\n"
        "  d: 1\n"
        "    [Irrelevant]                        1  100.0%\n"
        "    [Relevant]                          0    0.0%\n"
    )
