"""Parsing output text: made-up cases, any string at all, and recordings of the real 7B."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoding.grammar import ParsedSegment, check_outputs, parse_output, strict_violations
from decoding.vocabulary import CONTROL_STRINGS, GROUPS

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Busy machines are slow; nothing here depends on time."""

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT.parent / "shared" / "data" / "selfrag_recorded_outputs"
SCRIPT = ROOT / "scripts" / "check_recorded_outputs.py"


def only(text: str) -> ParsedSegment:
    segments = parse_output(text).segments
    assert len(segments) == 1
    return segments[0]


def anomalies(text: str) -> list[tuple[str, ...]]:
    return [segment.anomalies for segment in parse_output(text).segments]


def test_a_segment_with_everything() -> None:
    text = "[Retrieval]<paragraph>Ti\ntle</paragraph>[Relevant]A.[Fully supported][Utility:4]</s>"
    output = parse_output(text)
    assert output.segments == (
        ParsedSegment(
            decision="[Retrieval]",
            passage="Ti\ntle",
            is_rel="[Relevant]",
            text="A.",
            is_sup="[Fully supported]",
            utility=4,
            unanswered_retrieval=False,
            anomalies=(),
            start=0,
            end=len(text),
        ),
    )
    kinds = [(part.kind, part.string, part.offset) for part in output.parts]
    assert kinds == [
        ("control", "[Retrieval]", 0),
        ("paragraph", "<paragraph>", 11),
        ("text", "Ti\ntle", 22),
        ("paragraph", "</paragraph>", 28),
        ("control", "[Relevant]", 40),
        ("text", "A.", 50),
        ("control", "[Fully supported]", 52),
        ("control", "[Utility:4]", 69),
        ("control", "</s>", 80),
    ]
    assert output.text == "A."
    assert output.counts["[Utility:4]"] == 1 and output.counts["[Utility:5]"] == 0
    assert set(output.counts) == {*CONTROL_STRINGS, "</s>"}


def test_an_output_behind_a_passage_of_the_prompt() -> None:
    text = (
        "[Relevant]He is.[No support / Contradictory][Continue to Use Evidence]He was.[Utility:5]"
    )
    first, second = parse_output(text).segments
    assert (first.decision, first.passage, first.is_rel) == (None, None, "[Relevant]")
    assert (first.text, first.is_sup, first.utility) == (
        "He is.",
        "[No support / Contradictory]",
        None,
    )
    assert (second.decision, second.text) == ("[Continue to Use Evidence]", "He was.")
    assert (second.is_sup, second.utility, second.start) == (None, 5, first.end)
    assert parse_output(text).anomalies == ()
    assert parse_output(text).text == "He is. He was."


def test_a_retrieval_that_nobody_answered() -> None:
    first, second = parse_output(
        "SUPPORTS.[Retrieval]<paragraph>[Relevant]Yes.[Partially supported][Utility:5]"
    ).segments
    assert (first.text, first.decision, first.unanswered_retrieval) == ("SUPPORTS.", None, False)
    assert second.unanswered_retrieval and second.passage is None
    assert (second.is_rel, second.text, second.is_sup) == (
        "[Relevant]",
        "Yes.",
        "[Partially supported]",
    )
    assert second.anomalies == ("unanswered_retrieval",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a[Retrieval]", [(), ("missing_utility", "unanswered_retrieval", "no_text")]),
        (
            "a[Retrieval]<paragraph><paragraph>",
            [(), ("repeated_paragraph", "missing_utility", "unanswered_retrieval", "no_text")],
        ),
        (
            "[Retrieval]<paragraph>NOT SURE[Utility:5]",
            [("unclosed_paragraph", "unanswered_retrieval")],
        ),
        ("[Relevant]a[Utility:5]", [("missing_is_sup",)]),
        ("[Relevant]a[Fully supported][Partially supported][Utility:5]", [("repeated_token",)]),
        ("[Relevant]a[Fully supported]b[Utility:5]", [(), ()]),
        ("[Relevant]a[Fully supported]\n[Utility:5]\n", [()]),
        ("[Irrelevant]a[Fully supported][Utility:5]", [("unexpected_is_sup",)]),
        ("[Relevant][Fully supported][Utility:5]", [("is_sup_without_text", "no_text")]),
        ("[Retrieval]<paragraph>p</paragraph>a[Utility:5]", [("missing_is_rel",)]),
        ("a[Relevant]b[Fully supported][Utility:5]", [(), ("is_rel_without_passage",)]),
        ("[Relevant][Irrelevant]a[Utility:5]", [("repeated_token", "missing_is_sup")]),
        ("a</paragraph>b[Utility:5]", [("stray_paragraph_end",)]),
        (
            "<paragraph>p</paragraph>[Irrelevant]a[Utility:5]",
            [("paragraph_without_retrieval",)],
        ),
        ("a[Utility:5]b", [(), ("after_utility",)]),
        ("a[Utility:5][No Retrieval]b", [(), ("after_utility",)]),
        ("a[Utility:5][Utility:1]", [("repeated_token",)]),
        ("[Relevant]a[Utility:5][Fully supported]", [("after_utility",)]),
        ("[Utility:5]", [("no_text",)]),
        ("a", [("missing_utility",)]),
        ("[No Retrieval][No Retrieval]a[Utility:5]", [("no_text",), ()]),
    ],
)
def test_what_leaves_the_grammar_is_named(text: str, expected: list[tuple[str, ...]]) -> None:
    assert anomalies(text) == expected


def test_the_first_of_repeated_tokens_counts() -> None:
    segment = only("[Relevant]a[Fully supported][No support / Contradictory][Utility:5][Utility:1]")
    assert (segment.is_sup, segment.utility) == ("[Fully supported]", 5)


def test_passages_without_closing_markup() -> None:
    critiqued = only("[Retrieval]<paragraph>the passage[Irrelevant]a[Utility:1]")
    assert (critiqued.passage, critiqued.text) == ("the passage", "a")
    assert critiqued.unanswered_retrieval
    cut = only("[Retrieval]<paragraph>the pass")
    assert (cut.passage, cut.text) == ("the pass", "")
    answered = only("[Retrieval]<paragraph>the answer[Utility:5]")
    assert (answered.passage, answered.text) == (None, "the answer")
    empty = only("[Retrieval]<paragraph></paragraph>[Irrelevant]a[Utility:5]")
    assert (empty.passage, empty.unanswered_retrieval) == ("", False)


def test_the_end_of_text_is_a_token_only_at_the_end() -> None:
    inside = parse_output("a</s>b</s> </s>\n")
    assert [part.string for part in inside.parts] == ["a</s>b", "</s>", " ", "</s>", "\n"]
    assert inside.counts["</s>"] == 2
    assert inside.segments[0].text == "a</s>b \n"


def test_nothing_parses_to_nothing() -> None:
    assert parse_output("").parts == () == parse_output("").segments
    assert parse_output("").text == ""


def test_tokens_are_exact_strings() -> None:
    text = "[relevant] [Relevant ] [Utility:6] [Utility:0] < paragraph>"
    assert [part.kind for part in parse_output(text).parts] == ["text"]


strings = st.lists(
    st.one_of(
        st.sampled_from(
            [*CONTROL_STRINGS, "</s>", "<s>", "a", " ", "\n", "[", "Utility:5]", "A b."]
        ),
        st.text(max_size=5),
    ),
    max_size=14,
).map("".join)


@relaxed
@given(strings)
def test_any_string_parses_and_is_given_back(text: str) -> None:
    output = parse_output(text)
    assert "".join(part.string for part in output.parts) == text
    position = 0
    for part in output.parts:
        assert part.offset == position and part.string
        position += len(part.string)
    pairs = zip(output.parts, output.parts[1:], strict=False)
    assert not any(a.kind == b.kind == "text" for a, b in pairs)


@relaxed
@given(strings)
def test_segments_cover_the_text_and_keep_its_words(text: str) -> None:
    output = parse_output(text)
    assert "".join(text[s.start : s.end] for s in output.segments) == text
    words = "".join(part.string for part in output.parts if part.kind == "text")
    kept = "".join((s.passage or "") + s.text for s in output.segments)
    # Every text part is a passage or a segment's text, in order (blanks may stand elsewhere).
    assert "".join(kept.split()) == "".join(words.split())
    opened = sum(output.counts[string] for string in GROUPS["Retrieve"])
    assert sum(segment.decision is not None for segment in output.segments) == opened


@relaxed
@given(strings)
def test_counts_are_those_of_the_strings(text: str) -> None:
    counts = parse_output(text).counts
    assert {s: counts[s] for s in CONTROL_STRINGS} == {s: text.count(s) for s in CONTROL_STRINGS}
    ending = re.search(r"(</s>\s*)*\Z", text)
    assert ending is not None and counts["</s>"] == ending.group().count("</s>")


sentence = st.sampled_from(["A.", " b\n", "1.5 U.S.", "x[y"])
support = st.sampled_from(GROUPS["IsSup"])
given_passage = sentence.map(lambda text: f"[Retrieval]<paragraph>{text}</paragraph>")
grammatical = st.tuples(
    st.lists(
        st.one_of(
            st.builds("{}[Relevant]{}{}".format, given_passage, sentence, support),
            st.builds("{}[Irrelevant]{}".format, given_passage, sentence),
            sentence.map("[Continue to Use Evidence]{}".format),
            sentence.map("[No Retrieval]{}".format),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 5),
    st.sampled_from(["", "</s>"]),
)


@relaxed
@given(grammatical)
def test_training_grammar_has_no_violation_and_no_anomaly(
    parts: tuple[list[str], int, str],
) -> None:
    segments, utility, end = parts
    text = f"{''.join(segments)}[Utility:{utility}]{end}"
    output = parse_output(text)
    assert strict_violations(text) == []
    assert output.anomalies == ()
    assert len(output.segments) == len(segments)
    assert output.segments[-1].utility == utility
    joined = [text[s.start : s.end] for s in output.segments]
    assert joined[:-1] == segments[:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A[Utility:5]", []),
        ("", ["offset 0: expected text or a token of the Retrieve group, found nothing more"]),
        (
            "A",
            [
                "offset 1: expected text, a token of the Retrieve group or [Utility:k], "
                "found nothing more"
            ],
        ),
        ("[Retrieval]A[Utility:5]", ["offset 11: expected <paragraph>, found 'A'"]),
        (
            "A[Retrieval]<paragraph>[Relevant]B[Fully supported][Utility:5]",
            ["offset 23: expected a passage, found [Relevant]"],
        ),
        (
            "[Retrieval]<paragraph>p</paragraph>[Relevant]A[No Retrieval]B[Utility:5]",
            ["offset 46: expected an IsSup token, found [No Retrieval]"],
        ),
        ("[No Retrieval][Utility:5]", ["offset 14: expected a sentence, found [Utility:5]"]),
        ("A[Utility:5]B", ["offset 12: expected the end of the output, found 'B'"]),
        (
            "[No Retrieval]A[Fully supported][Utility:5]",
            [
                "offset 15: expected text, a token of the Retrieve group or [Utility:k], "
                "found [Fully supported]"
            ],
        ),
    ],
)
def test_strict_violations(text: str, expected: list[str]) -> None:
    violations = strict_violations(text)
    assert violations[: len(expected)] == expected
    assert bool(violations) == bool(expected)


def test_strict_violations_behind_a_passage_of_the_prompt() -> None:
    text = "[Relevant]A[Fully supported][Utility:5]"
    assert strict_violations(text, after_passage=True) == []
    assert strict_violations(text) != []


def recorded(name: str) -> list[dict[str, Any]]:
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the recorded outputs are not there: {path}")
    data = path.read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    return [json.loads(line) for line in data.decode("utf-8").splitlines() if line]


def test_every_recorded_output_parses() -> None:
    rows = recorded("selfrag7b_vllm_greedy.jsonl.gz")
    texts = [row["prediction"] for row in rows]
    report = check_outputs(texts)
    assert report["rows"] == report["parsed"] == report["roundtrip"] == len(rows) == 950
    whole = "\n".join(texts)
    assert report["tokens"] == {s: whole.count(s) for s in (*CONTROL_STRINGS, "</s>")}
    # One segment per Retrieve token (813); one before the first of them in each output, as none
    # starts with one (950); and in 5 outputs text goes on behind an IsSup token.
    assert not any(text.startswith(GROUPS["Retrieve"]) for text in texts)
    support = "|".join(re.escape(string) for string in GROUPS["IsSup"])
    resumed = len(re.findall(rf"(?:{support})(?!\[)", whole.replace("\n", " ")))
    assert report["segments"] == 813 + 950 + 5 == 1768
    assert resumed == 5


def test_recorded_outputs_leave_the_grammar_in_known_ways() -> None:
    outputs = [
        parse_output(row["prediction"]) for row in recorded("selfrag7b_vllm_greedy.jsonl.gz")
    ]
    found = Counter(name for output in outputs for name in set(output.anomalies))
    assert found == {
        "unanswered_retrieval": 206,
        "missing_utility": 36,
        "no_text": 29,
        "repeated_paragraph": 25,
        "unclosed_paragraph": 18,
        "repeated_token": 3,
        "unexpected_is_sup": 2,
        "missing_is_sup": 2,
        "missing_is_rel": 1,
    }
    # 376 hold a token of the Retrieve group; in 213 the model goes on without asking, so that
    # stopping there would lose text.
    internal = {"[No Retrieval]", "[Continue to Use Evidence]"}
    assert sum(any(s.decision for s in o.segments) for o in outputs) == 376
    assert sum(any(s.decision in internal for s in o.segments) for o in outputs) == 213
    assert all(segment.text or segment.anomalies for o in outputs for segment in o.segments)


def test_recorded_outputs_behind_a_passage_keep_the_grammar() -> None:
    rows = [r for r in recorded("selfrag7b_vllm_greedy.jsonl.gz") if r["has_paragraph"]]
    leaving = [r for r in rows if strict_violations(r["prediction"], after_passage=True)]
    assert (len(rows), len(leaving)) == (500, 12)


def test_training_rows_keep_the_training_grammar() -> None:
    rows = recorded("selfrag_train50.jsonl")
    assert len(rows) == 50
    for row in rows:
        assert strict_violations(row["output"]) == []
        assert parse_output(row["output"]).anomalies == ()


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_script_reports_on_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    rows = [{"prediction": "é[Utility:5]", "output": "x"}, {"output": "A[Retrieval]<paragraph>"}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    result = run_script(path, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [report[key] for key in ("rows", "parsed", "roundtrip", "segments")] == [2, 2, 2, 3]
    assert report["tokens"]["[Retrieval]"] == 1 and report["tokens"]["[Utility:5]"] == 1
    dumped = [json.loads(line) for line in run_script(path, "--dump").stdout.splitlines()]
    assert ["".join(p["string"] for p in row["parts"]) for row in dumped] == [
        "é[Utility:5]",
        "A[Retrieval]<paragraph>",
    ]
    assert dumped[1]["segments"][1]["unanswered_retrieval"] is True
    assert "[Retrieval]" in run_script(path).stdout
    other = run_script(path, "--json", "--field", "output")
    assert json.loads(other.stdout)["tokens"]["[Utility:5]"] == 0  # row 1 has "x" there


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"prediction": "a"}\n{"text": "b"}\n', "line 2: no field prediction or output"),
        (b'{"prediction": 5}\n', "line 1: the field prediction is int"),
        (b"[1]\n", "line 1: expected a JSON object, got list"),
        (b"{oops\n", "line 1: not JSON"),
        (b'{"prediction": "\xff"}\n', "not UTF-8"),
        (gzip.compress(b'{"prediction": "a"}\n' * 50)[:-12], "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_script_refuses_bad_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    result = run_script(path, "--json")
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == ""
