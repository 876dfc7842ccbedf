"""Generator data from sources to rows: a world worked by hand, resumption, determinism, reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generator_data_helpers import (
    PLAIN,
    ScriptedCritic,
    ScriptedRetriever,
    always,
    dropped,
    gold_like,
    make,
    passage,
    write_sources,
)
from storage_helpers import CORPUS, HashEncoder

from decoding.vocabulary import CONTINUE_EVIDENCE, IRRELEVANT, NO_RETRIEVAL, RETRIEVAL
from indexes.build import build_index
from retrievers.opening import open_retriever
from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import InvalidRow, StageChanged, StageFailed
from selfrag.training.generator.data import STEPS, make_generator_data, read_training_rows
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.rows import TrainingRow
from selfrag.training.stages import read_manifest, read_rows

TOGO, CFA, LAKE, BENIN = (
    passage("togo", "Lomé is the capital of Togo."),
    passage("cfa", "Togo pays with the CFA franc."),
    passage("lake", "Lake Togo is a lagoon."),
    passage("benin", "Benin lies east of Togo."),
)
HOP = "Which currency is used in the country whose capital is Lomé?"
FIRST, SECOND, THIRD = (
    "Lomé is the capital of Togo.",
    "Togo uses the CFA franc.",
    "It is a franc.",
)
WORLD: list[dict[str, Any]] = [
    {
        "id": "hop",
        "instruction": HOP,
        "dataset": "hops",
        "utility": 5,
        "segments": [
            {"text": FIRST, "evidence": ["togo"]},
            {"text": SECOND, "evidence": ["cfa"]},
            {"text": THIRD, "evidence": ["cfa"], "continues": True},
        ],
        "asides": {"lake": "Lake Togo is a lagoon."},
    },
    {"id": "hello", "instruction": "Say hello.", "output": "Hello! Good day.", "dataset": "talk"},
]
FOUND = {HOP: [LAKE, TOGO], f"{HOP} {FIRST}": [BENIN, CFA], f"{HOP} {SECOND}": [CFA]}


def world_critic() -> ScriptedCritic:
    rules = gold_like({FIRST: ["togo"], SECOND: ["cfa"], THIRD: ["cfa"]})

    def script(question: CriticQuestion) -> str:
        if question.instruction == "Say hello." and question.group == "Retrieve":
            return NO_RETRIEVAL
        return rules(question)

    return ScriptedCritic(script)


def shown(row: TrainingRow) -> list[tuple[Any, ...]]:
    return [
        (
            one.parent,
            one.opening,
            one.passage.id if one.passage else "",
            one.relevance,
            one.sentence,
            one.support,
            one.utility,
        )
        for one in row.segments
    ]


def test_a_small_world_by_hand_as_trees(tmp_path: Path) -> None:
    work = make(tmp_path, WORLD, world_critic(), FOUND)
    hop, hello = read_training_rows(work)
    assert shown(hop) == [
        (-1, RETRIEVAL, "lake", "[Irrelevant]", "", "", None),
        (-1, RETRIEVAL, "togo", "[Relevant]", FIRST, "[Fully supported]", None),
        (1, RETRIEVAL, "benin", "[Irrelevant]", "", "", None),
        (1, RETRIEVAL, "cfa", "[Relevant]", SECOND, "[Fully supported]", None),
        (3, CONTINUE_EVIDENCE, "", "", THIRD, "", 5),
    ]
    assert (hop.id, hop.instruction, hop.dataset) == ("hop", HOP, "hops")
    assert shown(hello) == [(-1, NO_RETRIEVAL, "", "", "Hello! Good day.", "", 5)]
    manifest = read_manifest(work / "05-rows")
    assert manifest is not None
    tokens = {token: count for token, count in manifest.balance["tokens"].items() if count}
    assert tokens == {
        "[Retrieval]": 4,
        "[No Retrieval]": 1,
        "[Continue to Use Evidence]": 1,
        "[Irrelevant]": 2,
        "[Relevant]": 2,
        "[Fully supported]": 2,
        "[Utility:5]": 2,
    }
    assert manifest.balance["datasets"] == {"hops": 1, "talk": 1}
    assert manifest.balance["segments"] == {"1": 1, "3": 1}
    assert manifest.balance["forms"] == {"branches": 4, "chains": 1, "trees": 1, "whole paths": 2}


def test_the_same_world_as_chains(tmp_path: Path) -> None:
    work = make(tmp_path, WORLD, world_critic(), FOUND, options=replace(PLAIN, trees=False))
    hop, hello = read_training_rows(work / "05-rows")
    assert hop.is_chain and hello.is_chain
    assert shown(hop) == [
        (-1, RETRIEVAL, "togo", "[Relevant]", FIRST, "[Fully supported]", None),
        (0, RETRIEVAL, "cfa", "[Relevant]", SECOND, "[Fully supported]", None),
        (1, CONTINUE_EVIDENCE, "", "", THIRD, "", 5),
    ]


def test_a_passage_beside_the_question_goes_on_with_what_it_says(tmp_path: Path) -> None:
    options = replace(PLAIN, beside=1.0, told_refusals=1.0)
    hop, _ = read_training_rows(make(tmp_path, WORLD, world_critic(), FOUND, options=options))
    lake, _, benin, *_ = hop.segments
    assert (lake.sentence, lake.support, lake.utility) == (
        "Lake Togo is a lagoon.",
        "[Fully supported]",
        1,
    )
    assert lake.accepted and not lake.learnt
    assert (benin.sentence, benin.support, benin.utility) == ("I do not know.", "", 1)
    assert benin.learnt and not benin.accepted


def test_sentences_to_judge_stand_behind_the_chosen_passage(tmp_path: Path) -> None:
    """One branch each, not learnt; of a passage that is not gone on from there are none."""
    said = {
        "togo": [
            ("Lomé is Togo's capital.", "[Fully supported]", 5),
            (FIRST, "[No support / Contradictory]", 1),
        ],
        "cfa": [("Togo pays with cowries.", "[No support / Contradictory]", None)],
        "benin": [("Benin lies west.", "[No support / Contradictory]", 1)],
    }
    world = [{**WORLD[0], "judged": said}]
    (hop,) = read_training_rows(make(tmp_path, world, world_critic(), FOUND))
    judged = [one for one in hop.segments if not one.learnt]
    assert [
        (one.parent, one.passage and one.passage.id, one.sentence, one.support, one.utility)
        for one in judged
    ] == [
        (-1, "togo", "Lomé is Togo's capital.", "[Fully supported]", 5),
        (1, "cfa", "Togo pays with cowries.", "[No support / Contradictory]", None),
    ]
    assert all(one.relevance == "[Relevant]" for one in judged)
    (tmp_path / "chains").mkdir()
    plain = make(
        tmp_path / "chains", world, world_critic(), FOUND, options=replace(PLAIN, trees=False)
    )
    (chain,) = read_training_rows(plain)
    assert all(one.learnt for one in chain.segments)


def test_queries_hold_no_answer_unless_asked_for(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "sources.jsonl", WORLD)
    fair = ScriptedRetriever(FOUND)
    make_generator_data([sources], tmp_path / "fair", world_critic(), fair, PLAIN)
    assert fair.queries == [HOP, f"{HOP} {FIRST}", f"{HOP} {SECOND}"]
    leaking = ScriptedRetriever([TOGO, CFA])
    options = replace(PLAIN, gold_in_query=True)
    make_generator_data([sources], tmp_path / "gold", world_critic(), leaking, options)
    assert leaking.queries == [f"{HOP} {FIRST}", f"{HOP} {SECOND}", f"{HOP} {THIRD}"]


def test_evidence_that_is_not_found_is_put_in_and_reported(tmp_path: Path) -> None:
    found = {**FOUND, HOP: [LAKE, BENIN]}
    options = replace(PLAIN, passages=2)
    work = make(tmp_path, WORLD, world_critic(), found, options=options, passages={"togo": TOGO})
    hop, _ = read_training_rows(work)
    first = [one.passage.id for one in hop.segments if one.parent == -1 and one.passage]
    assert first == ["lake", "togo"]
    manifest = read_manifest(work / "03-retrieved")
    assert manifest is not None
    assert manifest.balance["evidence"] == {"ensured": 1, "found": 2}


def test_absent_evidence_ends_in_a_refusal(tmp_path: Path) -> None:
    found = {**FOUND, f"{HOP} {FIRST}": [BENIN, LAKE]}
    work = make(tmp_path, WORLD[:1], world_critic(), found)
    (hop,) = read_training_rows(work)
    (path,) = [path for path in hop.paths() if path[-1].utility is not None]
    assert [(one.relevance, one.sentence, one.utility) for one in path] == [
        ("[Relevant]", FIRST, None),
        ("[Irrelevant]", "I do not know.", 1),
    ]


@pytest.mark.parametrize("unfound", ["drop", "tell"])
def test_other_ends_of_absent_evidence(tmp_path: Path, unfound: Any) -> None:
    rows = [{"id": "a", "instruction": "Q?", "output": "An answer.", "utility": 4}]
    critic = ScriptedCritic(always(IsRel=IRRELEVANT))
    options = replace(PLAIN, unfound=unfound)
    work = make(tmp_path, rows, critic, [LAKE], options=options)
    if unfound == "drop":
        assert dropped(work, "04-critiqued") == [("a", "no passage helps")]
        assert list(read_training_rows(work)) == []
    else:
        (row,) = read_training_rows(work)
        assert shown(row) == [(-1, RETRIEVAL, "lake", "[Irrelevant]", "An answer.", "", 4)]
        assert not row.segments[0].learnt


def test_unsupported_sentences_are_judged_and_not_learnt(tmp_path: Path) -> None:
    rows = [{"id": "a", "instruction": "Q?", "output": "An answer."}]
    critic = ScriptedCritic(always(IsSup="[No support / Contradictory]"))
    for learn in (False, True):
        options = replace(PLAIN, no_support=1.0, learn_unsupported=learn)
        work = make(tmp_path, rows, critic, [LAKE], options=options, work=f"work-{learn}")
        (row,) = read_training_rows(work)
        assert row.segments[0].learnt is learn


def test_later_segments_are_decided_with_the_passage_at_hand(tmp_path: Path) -> None:
    output = "The capital of Togo is Lomé. The CFA franc is what Togo pays with. That is all of it."
    rows = [{"id": "a", "instruction": "Q?", "output": output}]

    def script(question: CriticQuestion) -> str:
        if question.group == "Retrieve" and question.sentence:
            return CONTINUE_EVIDENCE if "CFA" in question.sentence else NO_RETRIEVAL
        return always()(question)

    critic = ScriptedCritic(script)
    work = make(tmp_path, rows, critic, [TOGO], options=replace(PLAIN, shortest_sentence=10))
    (row,) = read_training_rows(work)
    assert [one.opening for one in row.segments] == [RETRIEVAL, CONTINUE_EVIDENCE, NO_RETRIEVAL]
    asked = [one for one in critic.asked if one.group == "Retrieve"]
    assert [one.passage and one.passage.id for one in asked] == [None, "togo", "togo"]
    assert asked[2].preceding == (
        "The capital of Togo is Lomé. The CFA franc is what Togo pays with."
    )


def test_the_next_segment_continues_with_the_passage_that_supports_both(tmp_path: Path) -> None:
    texts = ("Togo has a lagoon.", "It pays with the CFA franc.")
    rows = [
        {
            "id": name,
            "instruction": "Tell me of Togo.",
            "utility": 5,
            "segments": [
                {"text": texts[0], "evidence": ["lake", "togo"]},
                {"text": texts[1], "evidence": second, "continues": continues},
            ],
        }
        for name, second, continues in (("on", ["togo"], True), ("new", ["cfa"], False))
    ]
    critic = ScriptedCritic(gold_like({texts[0]: ["lake", "togo"], texts[1]: ["togo", "cfa"]}))
    options = replace(PLAIN, trees=False)
    work = make(tmp_path, rows, critic, [LAKE, TOGO, CFA], options=options)
    on, new = read_training_rows(work)
    assert [(one.opening, one.passage and one.passage.id) for one in on.segments] == [
        (RETRIEVAL, "togo"),
        (CONTINUE_EVIDENCE, None),
    ]
    assert [one.passage and one.passage.id for one in new.segments] == ["lake", "togo"]


def test_results_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    rows = many_rows()
    options = GeneratorDataOptions(keep_utility={5: 0.6}, partially=0.5, keep_no_retrieval=0.5)
    files = []
    for batch in (1, 3, 50):
        critic = ScriptedCritic(mixed)
        found = [TOGO, CFA, LAKE, BENIN]
        work = make(tmp_path, rows, critic, found, options=options, batch=batch, work=f"b{batch}")
        files.append(contents(work))
    assert files[0] == files[1] == files[2]
    assert len(list(read_training_rows(tmp_path / "b1"))) > 5


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_every_step_goes_on_after_an_exception(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that fails in its third batch gives, run again, the bytes of a run that did not."""
    rows = many_rows()
    found = [TOGO, CFA, LAKE, BENIN]
    whole = contents(make(tmp_path, rows, ScriptedCritic(mixed), found, batch=4, work="whole"))
    names = ("segmenting", "deciding", "retrieving", "critiquing", "making_rows")
    from selfrag.training.generator import data

    real = getattr(data, names[step])
    batches: list[int] = []

    def failing(*arguments: Any) -> Any:
        process = real(*arguments)

        def stops(lines: Any) -> Any:
            batches.append(lines[0].number)
            if len(batches) == 3:
                raise OSError("no space left")
            return process(lines)

        return stops

    monkeypatch.setattr(data, names[step], failing)
    with pytest.raises(StageFailed, match=STEPS[step]):
        make(tmp_path, rows, ScriptedCritic(mixed), found, batch=4)
    work = make(tmp_path, rows, ScriptedCritic(mixed), found, batch=4)
    assert batches[2] == batches[3] != batches[0]  # the failed batch again, not the first ones
    assert contents(work) == whole


def test_a_later_step_is_repeated_alone(tmp_path: Path) -> None:
    make(tmp_path, WORLD, world_critic(), FOUND)
    critic = world_critic()
    with pytest.raises(StageChanged, match="05-rows"):
        make(tmp_path, WORLD, critic, FOUND, options=replace(PLAIN, trees=False))
    for file in (tmp_path / "work" / "05-rows").iterdir():
        file.unlink()
    work = make(tmp_path, WORLD, critic, FOUND, options=replace(PLAIN, trees=False))
    assert critic.asked == []
    assert all(row.is_chain for row in read_training_rows(work))


def test_negative_rows_beside_chains(tmp_path: Path) -> None:
    options = replace(PLAIN, trees=False, negatives=1.0)
    work = make(tmp_path, WORLD, world_critic(), FOUND, options=options)
    _, negative, _ = read_training_rows(work)
    assert negative.id == "hop#negative"
    assert shown(negative) == [(-1, RETRIEVAL, "lake", "[Irrelevant]", "I do not know.", "", 1)]


def test_reading_rows_needs_a_complete_step(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="no generator data"):
        list(read_training_rows(tmp_path))
    critic = world_critic()
    critic.stop_after = 3
    with pytest.raises(StageFailed):
        make(tmp_path, WORLD, critic, FOUND)
    with pytest.raises(StageFailed):
        list(read_training_rows(tmp_path / "work"))
    work = make(tmp_path, WORLD, world_critic(), FOUND)
    (work / "05-rows" / "rows.jsonl").write_text('{"id": "x"}\n', encoding="utf-8")
    with pytest.raises(InvalidRow, match="not complete"):
        list(read_training_rows(work))


def many_rows() -> list[dict[str, Any]]:
    """Twenty rows of one to three sentences."""
    sentences = ["Lomé is the capital of the country Togo.", "Togo pays with the CFA franc today."]
    return [
        {
            "id": f"row {n}",
            "instruction": f"Question {n}?",
            "output": " ".join((sentences * 2)[: n % 3 + 1]),
            "asides": {"lake": "Lake Togo is a lagoon."},
        }
        for n in range(20)
    ]


def mixed(question: CriticQuestion) -> str:
    """Any label, fixed by the question."""
    labels = question.labels
    return labels[int(question.key[:8], 16) % len(labels)]


def contents(work: Path) -> dict[str, bytes]:
    files = sorted(work.glob("*/*"))
    assert len(files) == 3 * len(STEPS)
    return {str(file.relative_to(work)): file.read_bytes() for file in files}


def test_rows_between_steps_are_readable(tmp_path: Path) -> None:
    work = make(tmp_path, WORLD, world_critic(), FOUND)
    for step, rows in zip(STEPS, (2, 2, 2, 2, 2), strict=True):
        assert len(list(read_rows(work / step))) == rows


def test_passages_come_from_an_index_of_the_project(tmp_path: Path) -> None:
    """Evidence that the words of the question do not find is read from the retriever's index."""
    build_index(CORPUS, tmp_path / "index", encoder=HashEncoder())
    question = "Paris is the capital of which country?"
    segment = {"text": "Zürich is the largest.", "evidence": ["p5"]}
    rows = [{"id": "a", "instruction": question, "utility": 5, "segments": [segment]}]
    sources = write_sources(tmp_path / "sources.jsonl", rows)
    critic = ScriptedCritic(gold_like({segment["text"]: ["p5"]}))
    for kind in ("bm25", "hybrid"):
        retriever = open_retriever(tmp_path / "index", kind=kind, encoder=HashEncoder())
        options = replace(PLAIN, passages=2)
        make_generator_data([sources], tmp_path / kind, critic, retriever, options)
        (row,) = read_training_rows(tmp_path / kind)
        (first, second) = (one.passage for one in row.segments)
        assert first is not None and first.id == retriever.search(question, 1)[0].passage.id
        assert second == CORPUS[4]
        assert row.segments[1].utility == 5
