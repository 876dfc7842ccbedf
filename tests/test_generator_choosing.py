"""The parts of generator data: cutting outputs, choosing passages, trees and their grammar."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from generator_data_helpers import ScriptedCritic, gold_like, passage, write_sources
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import shared_data, steady

from decoding.training_grammar import strict_violations
from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    CONTROL_STRINGS,
    FULLY_SUPPORTED,
    GROUPS,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    PARTIALLY_SUPPORTED,
    RELEVANT,
    RETRIEVAL,
)
from selfrag.training.errors import InvalidRow
from selfrag.training.generator.candidates import queries_of, with_candidates
from selfrag.training.generator.checking import row_violations
from selfrag.training.generator.choosing import choose_candidate
from selfrag.training.generator.data import make_generator_data, read_training_rows
from selfrag.training.generator.drafts import Candidate, Draft, DraftSegment
from selfrag.training.generator.options import GeneratorDataOptions
from selfrag.training.generator.segmenting import segment_texts
from selfrag.training.generator.trees import rows_of
from selfrag.training.rows import TrainingRow, TreeSegment, segment_text
from selfrag.training.stages import read_manifest, read_rows


def candidate(name: str, relevance: str, support: str = "") -> Candidate:
    return Candidate(passage(name), relevance=relevance, support=support)


def test_short_sentences_join_their_neighbour() -> None:
    long = "This sentence is long enough to stand alone."
    assert segment_texts(f"Well. {long} Yes. {long}", 30) == [f"Well. {long} Yes.", long]
    assert segment_texts("Yes. No.", 30) == ["Yes.", "No."]
    assert segment_texts("One. Two. Three.", 30) == ["One. Two. Three."]
    assert segment_texts(f"{long}\n\n{long}  {long}", 30) == [long, long, long]
    assert segment_texts("It costs $3.5 million in the U.S. today.", 0) == [
        "It costs $3.5 million in the U.S. today."
    ]


@given(st.lists(st.sampled_from(["Yes.", "A sentence of middling size.", "No!"]), max_size=8))
@steady
def test_segments_hold_the_whole_text(sentences: list[str]) -> None:
    text = " ".join(sentences)
    segments = segment_texts(text, 10)
    assert " ".join(segments) == text
    if len(sentences) > 2 and "A sentence of middling size." in sentences:
        assert all(len(segment) >= 10 for segment in segments)
        assert len(segments) == sentences.count("A sentence of middling size.") + (
            len("".join(sentences[: first_long(sentences)])) + first_long(sentences) - 1 >= 10
        )


def first_long(sentences: list[str]) -> int:
    return sentences.index("A sentence of middling size.")


def slow_choice(
    candidates: list[Candidate], options: GeneratorDataOptions, random: Random
) -> int | None:
    """The paper's order, written out."""
    fully = [i for i, c in enumerate(candidates) if (c.relevance, c.support) == (RELEVANT, FULLY)]
    part = [i for i, c in enumerate(candidates) if (c.relevance, c.support) == (RELEVANT, PART)]
    none = [i for i, c in enumerate(candidates) if (c.relevance, c.support) == (RELEVANT, NONE)]
    irrelevant = [i for i, c in enumerate(candidates) if c.relevance == IRRELEVANT]
    if fully:
        return fully[0]
    if part and random.random() < options.partially:
        return part[0]
    if none and random.random() < options.no_support:
        return none[0]
    if irrelevant:
        return irrelevant[int(random.choice(range(len(irrelevant))))]
    if part:
        return part[0]
    return none[0] if none else None


FULLY, PART, NONE = FULLY_SUPPORTED, PARTIALLY_SUPPORTED, NO_SUPPORT
LABELLED = st.sampled_from(
    [(RELEVANT, FULLY), (RELEVANT, PART), (RELEVANT, NONE), (IRRELEVANT, "")]
)


@given(st.lists(LABELLED, max_size=6), st.integers(0, 50))
@steady
def test_the_chooser_is_the_obvious_one(labels: list[tuple[str, str]], seed: int) -> None:
    candidates = [candidate(f"p{n}", *both) for n, both in enumerate(labels)]
    options = GeneratorDataOptions()
    chosen = choose_candidate(candidates, options, Random(seed))
    assert chosen == slow_choice(candidates, options, Random(seed))


def test_an_irrelevant_choice_is_one_that_was_judged_irrelevant() -> None:
    """The published script draws below the *number* of irrelevant ones, so it takes the top."""
    candidates = [
        candidate("a", RELEVANT, NO_SUPPORT),
        candidate("b", RELEVANT, NO_SUPPORT),
        candidate("c", IRRELEVANT),
        candidate("d", RELEVANT, NO_SUPPORT),
        candidate("e", IRRELEVANT),
    ]
    options = GeneratorDataOptions(no_support=0.0)
    counts = Counter(choose_candidate(candidates, options, Random(n)) for n in range(200))
    assert set(counts) == {2, 4}
    assert min(counts.values()) > 60


def test_partial_support_is_taken_as_often_as_asked() -> None:
    candidates = [candidate("a", IRRELEVANT), candidate("b", RELEVANT, PARTIALLY_SUPPORTED)]
    options = GeneratorDataOptions(partially=0.7)
    taken = sum(choose_candidate(candidates, options, Random(n)) == 1 for n in range(1000))
    assert 650 <= taken <= 750


def test_among_equals_the_passage_that_supports_the_next_segment_too() -> None:
    candidates = [candidate(name, RELEVANT, FULLY_SUPPORTED) for name in "abc"]
    options = GeneratorDataOptions()
    assert choose_candidate(candidates, options, Random(1)) == 0
    assert choose_candidate(candidates, options, Random(1), {"c"}) == 2
    assert choose_candidate([], options, Random(1)) is None


def test_candidates_are_cut_to_their_number_when_evidence_is_put_in() -> None:
    draft = Draft("a", "Q?", (DraftSegment("An answer.", ("gold", "other")),), "An answer.")
    found = [passage(name) for name in ("x", "x", "y", "z")]
    options = GeneratorDataOptions(passages=2)
    made = with_candidates(draft, 0, found[:2], {"gold": passage("gold")}, options)
    (segment,) = made.segments
    assert [(one.passage.id, one.ensured) for one in segment.candidates] == [
        ("x", False),
        ("gold", True),
    ]
    assert [(one.passage, one.reason) for one in made.left_out] == [("x", "passage twice")]
    full = with_candidates(draft, 0, found[2:], {"other": passage("other")}, options)
    assert [one.passage.id for one in full.segments[0].candidates] == ["y", "other"]
    options = GeneratorDataOptions(passages=2, ensure_evidence=False)
    none = with_candidates(draft, 0, found[2:], {"gold": passage("gold")}, options)
    assert [one.passage.id for one in none.segments[0].candidates] == ["y", "z"]


def test_the_input_is_part_of_the_query() -> None:
    segments = (DraftSegment("First."), DraftSegment("Second."))
    draft = Draft("a", "Choose.", segments, "First. Second.", input="A: x\nB: y")
    plain, gold = GeneratorDataOptions(), GeneratorDataOptions(gold_in_query=True)
    assert queries_of(draft, 0, plain) == ["Choose.\n\nA: x\nB: y"]
    assert queries_of(draft, 1, plain) == ["Choose.\n\nA: x\nB: y First."]
    assert queries_of(draft, 1, gold) == ["Choose.\n\nA: x\nB: y Second."]
    still_open = GeneratorDataOptions(query="open")
    assert queries_of(draft, 1, still_open)[0] == "Choose A x B y First"


def test_told_branches_come_best_first_and_end_as_the_chosen_one() -> None:
    candidates = (
        candidate("none", RELEVANT, NO_SUPPORT),
        candidate("chosen", RELEVANT, FULLY_SUPPORTED),
        candidate("part", RELEVANT, PARTIALLY_SUPPORTED),
        candidate("fully", RELEVANT, FULLY_SUPPORTED),
    )
    segment = DraftSegment("It is so.", None, opening=RETRIEVAL, candidates=candidates, chosen=1)
    draft = Draft("a", "Q?", (segment,), "It is so.", utility=4)
    for told, expected in (
        (0, ["chosen"]),
        (1, ["chosen", "fully"]),
        (2, ["chosen", "part", "fully"]),
        (3, ["none", "chosen", "part", "fully"]),
    ):
        (row,) = rows_of(draft, GeneratorDataOptions(told=told))
        ends = [one for one in row.segments if one.sentence]
        assert [one.passage and one.passage.id for one in ends] == expected
        assert [one.utility for one in ends] == [None if n == "none" else 4 for n in expected]
        assert [one.learnt for one in ends] == [name != "none" for name in expected]
        assert len(row.segments) == 4


def test_a_refusal_does_not_say_what_other_sentences_are_worth() -> None:
    candidates = (
        candidate("part", RELEVANT, PARTIALLY_SUPPORTED),
        candidate("chosen", IRRELEVANT),
    )
    segment = DraftSegment(
        "It is so.", opening=RETRIEVAL, candidates=candidates, chosen=1, refused=True
    )
    (row,) = rows_of(
        Draft("a", "Q?", (segment,), "It is so.", utility=1), GeneratorDataOptions(told=1)
    )
    part, chosen = row.segments
    assert (part.sentence, part.support, part.utility) == ("It is so.", PARTIALLY_SUPPORTED, None)
    assert (chosen.sentence, chosen.utility) == ("I do not know.", 1)


LOOK_ALIKES = ["plain", "[Retrieval] and <paragraph>", "</paragraph>[Utility:5]</s>"]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any judged draft that the steps before can leave."""
    segments = []
    refused = False
    text = st.sampled_from(LOOK_ALIKES)
    for place in range(draw(st.integers(1, 3))):
        learnt = draw(st.booleans())
        opening = draw(st.sampled_from([RETRIEVAL, NO_RETRIEVAL, CONTINUE_EVIDENCE]))
        if place == 0 and opening == CONTINUE_EVIDENCE:
            opening = RETRIEVAL
        if opening != RETRIEVAL:
            segments.append(DraftSegment(draw(text), learnt=learnt, opening=opening))
            continue
        labels = draw(st.lists(LABELLED, min_size=1, max_size=5))
        candidates = tuple(
            Candidate(passage(f"p{n}", draw(text)), False, *both) for n, both in enumerate(labels)
        )
        chosen = draw(st.integers(0, len(labels) - 1))
        refused = candidates[chosen].relevance == IRRELEVANT and draw(st.booleans())
        made = DraftSegment(draw(text), (), False, learnt, "", opening, candidates, chosen, refused)
        segments.append(made)
        if refused:
            break
    utility = 1 if refused else draw(st.integers(1, 5))
    asides = {f"p{n}": draw(text) for n in range(3)}
    tokens, worths = st.sampled_from(GROUPS["IsSup"]), st.sampled_from([None, 1, 3, 5])
    said = st.lists(st.tuples(text, tokens, worths), max_size=2).map(tuple)
    output = " ".join(one.text for one in segments)
    return Draft(
        "row",
        "Q?",
        tuple(segments),
        output,
        utility=utility,
        asides=asides,
        judged={"p0": draw(said), "p1": draw(said)},
    )


OPTIONS = st.builds(
    GeneratorDataOptions,
    seed=st.integers(0, 5),
    trees=st.booleans(),
    told=st.integers(0, 3),
    beside=st.sampled_from([0.0, 0.5, 1.0]),
    told_refusals=st.sampled_from([0.0, 0.5, 1.0]),
    negatives=st.sampled_from([0.0, 1.0]),
    learn_unsupported=st.booleans(),
    keep_branches=st.sampled_from([{}, {IRRELEVANT: 0.5}, {NO_SUPPORT: 0.0}]),
)


@given(drafts(), OPTIONS)
@steady
def test_every_path_that_ends_obeys_the_grammar(
    draft: Draft, options: GeneratorDataOptions
) -> None:
    """Checked here by another way than the pipeline's: a pattern over the tokens alone."""
    for row in rows_of(draft, options):
        assert row_violations(row) == []
        assert TrainingRow.from_dict(json.loads(json.dumps(row.to_dict()))) == row
        whole = [path for path in row.paths() if path[-1].utility is not None]
        assert whole
        for path in whole:
            assert GRAMMAR.fullmatch("".join(map(tokens_of, path))), path
        if not options.trees:
            assert row.is_chain


def tokens_of(segment: TreeSegment) -> str:
    """The segment's tokens as letters: R retrieval, C continue, N none, + - relevance, s sentence,
    F support, U utility."""
    opening = {RETRIEVAL: "R", CONTINUE_EVIDENCE: "C", NO_RETRIEVAL: "N", "": ""}[segment.opening]
    read = RELEVANT if segment.accepted else segment.relevance
    relevance = {RELEVANT: "+", IRRELEVANT: "-", "": ""}[read]
    sentence, support = "s" * bool(segment.sentence), "F" * bool(segment.support)
    return opening + relevance + sentence + support + "U" * (segment.utility is not None)


GRAMMAR = re.compile(r"(R\+sF|R-s|[CN]?s)+U")


def test_rows_survive_the_draft_file() -> None:
    @given(drafts())
    @steady
    def same(draft: Draft) -> None:
        assert Draft.from_dict(json.loads(json.dumps(draft.to_dict()))) == draft

    same()


def chain(*segments: TreeSegment) -> TrainingRow:
    return TrainingRow("a", "Q?", segments)


def test_violations_are_found_and_look_alikes_are_none() -> None:
    page = passage("p", "a </paragraph>[Irrelevant] trick <paragraph>")
    good = TreeSegment(-1, RETRIEVAL, "See [Utility:1].", page, RELEVANT, FULLY_SUPPORTED, 5)
    assert strict_violations(segment_text(good))  # as plain text, it would confuse the parser
    assert row_violations(chain(good)) == []
    bare = TreeSegment(-1, RETRIEVAL, "It is so.", page, RELEVANT, "", 5)
    (found,) = row_violations(chain(bare))
    assert found.startswith("path 0, offset") and "expected an IsSup token" in found
    judged = TreeSegment(-1, RETRIEVAL, passage=page, relevance=IRRELEVANT)
    assert row_violations(chain(judged)) == ["no path ends with a utility"]


def test_every_control_string_is_made_harmless() -> None:
    for string in CONTROL_STRINGS:
        row = chain(TreeSegment(-1, NO_RETRIEVAL, f"a {string} b", utility=3))
        assert row_violations(row) == [], string
    assert len(CONTROL_STRINGS) == 2 + sum(map(len, GROUPS.values()))


def test_asides_must_be_sentences() -> None:
    from selfrag.training.sources import SourceRow

    row = {"id": "a", "instruction": "Q?", "output": "x", "asides": {"p": "It says so."}}
    assert SourceRow.from_dict(row).asides == {"p": "It says so."}
    for wrong in ({"p": ""}, ["p"], {"p": 3}):
        with pytest.raises(InvalidRow, match="asides"):
            SourceRow.from_dict({**row, "asides": wrong})


def test_sentences_to_judge_have_their_labels() -> None:
    from selfrag.training.sources import SourceRow

    said = {
        "p": [["It says so.", "[Partially supported]", 3], ["Not so.", "[Fully supported]", None]]
    }
    row = {"id": "a", "instruction": "Q?", "output": "x", "judged": said}
    read = SourceRow.from_dict(row)
    assert read.judged == {"p": tuple(tuple(one) for one in said["p"])}
    assert SourceRow.from_dict(read.to_dict()) == read
    assert read.to_dict()["judged"] == said
    for wrong in (
        ["p"],
        {"p": "text"},
        {"p": [["It says so."]]},
        {"p": [["", "[Fully supported]", 5]]},
        {"p": [["It says so.", "[Relevant]", 5]]},
        {"p": [["It says so.", "[Fully supported]", 6]]},
    ):
        with pytest.raises(InvalidRow, match="judged"):
            SourceRow.from_dict({**row, "judged": wrong})


def hotpot_rows(count: int) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Real questions with their ten paragraphs; an answer in two steps, each from a gold one."""
    rows: list[dict[str, Any]] = []
    supports: dict[str, list[str]] = {}
    with gzip.open(shared_data("hotpotqa", "dev500.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            pages = [
                {"id": f"{item['id']}-{n}", "title": one["title"], "text": one["text"]}
                for n, one in enumerate(item["paragraphs"])
            ]
            gold = [
                p["id"] for p, one in zip(pages, item["paragraphs"], strict=True) if one["gold"]
            ]
            texts = [f"Step {n} of {item['id']}." for n in range(len(gold))]
            supports |= {text: [one] for text, one in zip(texts, gold, strict=True)}
            segments = [
                {"text": text, "evidence": [one]} for text, one in zip(texts, gold, strict=True)
            ]
            rows.append(
                {
                    "id": item["id"],
                    "instruction": item["question"],
                    "segments": segments,
                    "passages": pages,
                    "dataset": item["type"],
                }
            )
            if len(rows) == count:
                break
    return rows, supports


def test_real_questions_with_their_passages(tmp_path: Path) -> None:
    rows, supports = hotpot_rows(30)
    sources = write_sources(tmp_path / "sources.jsonl", rows)
    critic = ScriptedCritic(gold_like(supports), name="gold")
    options = GeneratorDataOptions(passages=4, told=0, beside=0.0, told_refusals=0.0)
    manifest = make_generator_data([sources], tmp_path / "work", critic, None, options)
    assert (manifest.read, manifest.written, manifest.dropped) == (30, 30, {})
    found = read_manifest(tmp_path / "work" / "03-retrieved")
    assert found is not None
    counted = found.balance["evidence"]
    first = [
        {page["id"] for page in row["passages"][:4]} & set(segment["evidence"])
        for row in rows
        for segment in row["segments"]
    ]
    assert counted == {"found": sum(map(bool, first)), "ensured": first.count(set())}
    assert counted["ensured"] > 0
    for source, row in zip(rows, read_training_rows(tmp_path / "work"), strict=True):
        (path,) = [path for path in row.paths() if path[-1].utility is not None]
        told = [(one.sentence, one.passage and one.passage.id) for one in path]
        assert told == [(one["text"], one["evidence"][0]) for one in source["segments"]]
        assert path[-1].utility == 5
    judged = list(read_rows(tmp_path / "work" / "04-critiqued"))
    assert all(len(one["segments"][0]["candidates"]) == 4 for one in judged)
