"""HotpotQA's supporting facts and SciFact's claims, by hand and from the real files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from critic_data_helpers import write_rows

from decoding.vocabulary import FULLY_SUPPORTED, NO_SUPPORT, RELEVANT
from indexes.passage import Passage
from selfrag.training.critic.data import make_critic_data, read_judgements
from selfrag.training.critic.gold import gold_critic
from selfrag.training.critic.hotpotqa import convert_hotpotqa, hotpotqa_row
from selfrag.training.critic.questions import CriticQuestion, Judgement
from selfrag.training.critic.scifact import INSTRUCTION, convert_scifact, scifact_judgements
from selfrag.training.errors import InvalidRow, StageFailed
from selfrag.training.sources import SourceRow, SourceSegment
from selfrag.training.stages import read_rows

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
ROW: dict[str, Any] = {
    "_id": "q1",
    "question": "Which sea does the river of Opole reach?",
    "answer": "Baltic Sea",
    "supporting_facts": [["Oder", 1], ["Opole", 0], ["Oder", 0]],
    "context": [
        ["Oder", ["The Oder is a river.", " It ends in the Baltic Sea."]],
        ["Viola", ["The viola is an instrument."]],
        ["Opole", ["Opole lies on the Oder.", " It is old."]],
    ],
}


def test_a_chain_of_facts_ends_with_the_answer_where_it_stands() -> None:
    row = hotpotqa_row(ROW, dataset="hotpotqa")
    assert row.segments == (
        SourceSegment("Opole lies on the Oder.", ("Opole",)),
        SourceSegment("The Oder is a river.", ("Oder",)),
        SourceSegment("It ends in the Baltic Sea.", ("Oder",), continues=True),
        SourceSegment("Baltic Sea", ("Oder",), continues=True),
    )
    assert [passage.id for passage in row.passages] == ["Oder", "Viola", "Opole"]
    assert row.passages[0].text == "The Oder is a river. It ends in the Baltic Sea."
    assert (row.id, row.needs_retrieval, row.utility) == ("q1", True, None)
    assert SourceRow.from_dict(json.loads(json.dumps(row.to_dict()))) == row


def test_rows_without_an_id_are_named_by_their_line(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{**ROW, "_id": None, "id": None}, ROW])
    convert_hotpotqa([path], tmp_path / "stage", "multi")
    assert [row["id"] for row in read_rows(tmp_path / "stage")] == ["multi-1", "q1"]


@pytest.mark.parametrize("answer", ["yes", "no", "Baltic"[::-1]])
def test_an_answer_that_stands_nowhere_needs_no_passage(answer: str) -> None:
    row = hotpotqa_row({**ROW, "answer": answer, "context": [*ROW["context"], ["X", ["no"]]]})
    assert row.segments[-1] == SourceSegment(answer, ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": " "}, "question"),
        ({"answer": None}, "answer"),
        ({"supporting_facts": []}, "supporting_facts"),
        ({"supporting_facts": [["Elbe", 0]]}, "names no paragraph"),
        ({"supporting_facts": [["Oder", 2]]}, "names no sentence"),
        ({"supporting_facts": [["Oder", -1]]}, "names no sentence"),
        ({"supporting_facts": [["Oder", True]]}, "names no paragraph"),
        ({"supporting_facts": ["Oder"]}, "names no paragraph"),
        ({"context": []}, "context"),
        ({"context": [["Oder", "text"]]}, "list of sentences"),
        ({"context": [["Oder"]]}, "title"),
        ({"context": [["Oder", ["a"]], ["Oder", ["b"]]]}, "called 'Oder'"),
    ],
)
def test_rows_that_do_not_fit_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRow, match=said) as caught:
        hotpotqa_row({**ROW, **change})
    assert "'q1'" in caught.value.message


def test_conversion_reads_gzip_and_lists_what_it_drops(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    lines = [json.dumps(ROW), "{", json.dumps({"_id": "q2", "id": "q2"})]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    manifest = convert_hotpotqa([path], tmp_path / "stage")
    assert (manifest.read, manifest.written) == (3, 1)
    assert manifest.dropped == {"not JSON": 1, "not a row with supporting facts": 1}
    drops = (tmp_path / "stage" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(drop)["id"] for drop in drops] == ["2", "q2"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StageFailed, match="Cannot read"):
        convert_hotpotqa([path], tmp_path / "other")


CORPUS = {name: Passage(name, "T", f"Abstract {name}.") for name in ("1", "2")}


def claim(label: str, **changes: Any) -> dict[str, Any]:
    cited = {"evidence_doc_id": None, "cited_doc_ids": ["1", "2"]}
    given = cited if label == "NOINFO" else {**cited, "evidence_doc_id": "1"}
    return {"id": "7", "claim": "Water is wet.", "label": label, **given, **changes}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("SUPPORT", [("IsSup", "1", FULLY_SUPPORTED), ("IsRel", "1", RELEVANT)]),
        ("CONTRADICT", [("IsSup", "1", NO_SUPPORT), ("IsRel", "1", RELEVANT)]),
        ("NOINFO", [("IsSup", "1", NO_SUPPORT), ("IsSup", "2", NO_SUPPORT)]),
    ],
)
def test_claims(label: str, expected: list[tuple[str, str, str]]) -> None:
    judgements = scifact_judgements(claim(label), CORPUS)
    found = [(one.question.group, one.question.passage, one.label) for one in judgements]
    assert found == [(group, CORPUS[name], label) for group, name, label in expected]
    assert {one.row for one in judgements} == {"scifact-7"}
    assert judgements[0].question.sentence == "Water is wet."
    assert judgements[0].question.instruction == f"{INSTRUCTION}\n\nWater is wet."


@pytest.mark.parametrize(
    "changes",
    [{"label": "MAYBE"}, {"claim": ""}, {"evidence_doc_id": "3"}, {"label": None}, {"id": ""}],
)
def test_claims_that_do_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRow, match="Claim"):
        scifact_judgements({**claim("SUPPORT"), **changes}, CORPUS)


def test_claims_as_a_stage(tmp_path: Path) -> None:
    corpus = write_rows(
        tmp_path / "corpus.jsonl", [{"_id": "1", "title": "T", "text": "Abstract."}]
    )
    claims = write_rows(
        tmp_path / "claims.jsonl", [claim("SUPPORT"), claim("NOINFO", id="8"), claim("CONTRADICT")]
    )
    manifest = convert_scifact(claims, corpus, tmp_path / "stage")
    assert (manifest.written, manifest.dropped) == (4, {"not an annotated claim": 1})
    rows = list(read_rows(tmp_path / "stage"))
    assert {row["dataset"] for row in rows} == {"scifact"}
    assert [Judgement.from_dict(row).label for row in rows] == [
        FULLY_SUPPORTED,
        RELEVANT,
        NO_SUPPORT,
        RELEVANT,
    ]
    broken = write_rows(tmp_path / "broken.jsonl", [{"title": "no id"}])
    with pytest.raises(StageFailed, match="line 1"):
        convert_scifact(claims, broken, tmp_path / "other")


def test_real_hotpotqa(tmp_path: Path) -> None:
    file = DATA / "hotpotqa" / "dev_sentence_sf.jsonl.gz"
    if not file.exists():
        pytest.skip(f"the folder of real data is not there: {file}")
    manifest = convert_hotpotqa([file], tmp_path / "rows")
    assert (manifest.read, manifest.written, manifest.dropped) == (149, 149, {})
    source = tmp_path / "rows" / "rows.jsonl"
    data = make_critic_data(tmp_path / "data", [source], gold_critic([source]))
    judgements = [*data.judgements("train"), *data.judgements("heldout")]
    # Against the file itself: what is relevant are its supporting facts' paragraphs, no other.
    with gzip.open(file, "rt", encoding="utf-8") as handle:
        given = {row["question"].strip(): row for row in map(json.loads, handle)}
    assert len({one.row for one in judgements}) == 149
    relevance = [one for one in judgements if one.question.group == "IsRel"]
    assert len(relevance) == 149 * 4
    for one in relevance:
        assert one.question.passage is not None
        gold = {title for title, _ in given[one.question.instruction]["supporting_facts"]}
        assert (one.label == RELEVANT) == (one.question.passage.id in gold)
    # All that gold evidence cannot tell is how useful an answer is, once for each question.
    dropped = {**data.train.dropped}
    for reason, count in data.heldout.dropped.items():
        dropped[reason] = dropped.get(reason, 0) + count
    assert dropped == {"IsUse not judged": 149}


def test_real_scifact(tmp_path: Path) -> None:
    folder = DATA / "beir_scifact"
    if not folder.exists():
        pytest.skip(f"the folder of real data is not there: {folder}")
    manifest = convert_scifact(
        folder / "claims_validation.jsonl", folder / "corpus.jsonl.gz", tmp_path / "rows"
    )
    assert (manifest.read, manifest.dropped) == (225, {})
    judgements = list(read_judgements(tmp_path / "rows"))
    support = [one for one in judgements if one.question.group == "IsSup"]
    assert sum(one.label == FULLY_SUPPORTED for one in support) == 107
    assert all(isinstance(one.question, CriticQuestion) for one in judgements)
