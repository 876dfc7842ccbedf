"""`selfrag ask`: every option, one question and many, JSON and human output."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fake_selfrag
import pytest
from fake_selfrag import FakeSelfRAG
from typer.testing import CliRunner

from decoding.config import DecodingConfig
from selfrag.answer import Answer, Budget
from selfrag.cli import questions
from selfrag.cli.application import application
from selfrag.trace import read_trace

KEYS = {
    "question",
    "text",
    "segments",
    "citations",
    "decisions",
    "usage",
    "warnings",
    "answerable",
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeSelfRAG]:
    return fake_selfrag.install(monkeypatch)


def ask(*arguments: str, stdin: str | bytes | None = None) -> Any:
    return CliRunner().invoke(application, ["ask", *arguments], input=stdin)


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_human_output(fake: type[FakeSelfRAG]) -> None:
    result = ask("What is the capital of Burkina Faso?")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "The capital of Burkina Faso is Ouagadougou. [1]\n\n[1] Burkina"
    )
    assert "retrieve (p(Retrieve) = 0.987" in result.stdout
    assert "IsRel" in result.stdout and "fully 0.980" in result.stdout
    assert result.stderr == ""
    assert fake.closed


def test_one_json_object_holds_the_answer(fake: type[FakeSelfRAG]) -> None:
    result = ask("What?", "--json")
    (value,) = objects(result.stdout)
    assert set(value) >= KEYS
    assert set(value["citations"][0]) >= {"passage_id", "title", "text"}
    assert Answer.from_dict(value).question == "What?"
    told = {"pruned", "pruned_tokens", "unwritten_tokens", "saved_at_most", "cached_tokens"}
    assert set(value["usage"]) >= told


def test_defaults_are_left_to_the_library(fake: type[FakeSelfRAG]) -> None:
    ask("What?")
    assert fake.made == {
        "model": None,
        "index": None,
        "device": "auto",
        "dtype": "auto",
        "engine": "batched",
    }
    assert fake.asked == [{"question": "What?", "options": None, "budget": None}]


def test_every_option_reaches_the_library(fake: type[FakeSelfRAG], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("beam_width: 4\nretrieve_threshold: 0.5\nprune: false\n")
    result = ask(
        *("What?", "--engine", "reference", "--precision", "int8", "--model", "m", "--index", "i"),
        *("--device", "cuda", "--dtype", "bfloat16", "--mode", "always", "--passages", "7"),
        *("--beam-width", "3", "--max-segments", "2", "--procedure", "released-short"),
        *("--config", str(file), "--max-generated-tokens", "9", "--max-retrievals", "0"),
        *("--max-seconds", "1.5", "--order", "leaders"),
        *("--store", "a.sqlite", "--store-limit", "1.5 MB"),
        *("--options", "A=Paris", "--options", "B=x=y"),
    )
    assert result.exit_code == 0, result.stderr
    assert fake.made == {
        "model": "m",
        "index": "i",
        "device": "cuda",
        "dtype": "bfloat16",
        "engine": "reference",
        "precision": "int8",
        "cache": Path("a.sqlite"),
        "cache_bytes": 1_500_000,
        "config": DecodingConfig(
            mode="always",
            order="leaders",
            passages=7,
            beam_width=3,
            max_segments=2,
            procedure="released-short",
            retrieve_threshold=0.5,
            prune=False,
        ),
    }
    (asked,) = fake.asked
    assert asked["budget"] == Budget(9, 0, 1.5)
    assert asked["options"] == {"A": "Paris", "B": "x=y"}


@pytest.mark.parametrize("name", ["record", "replay"])
def test_files_of_model_calls(fake: type[FakeSelfRAG], name: str) -> None:
    assert ask("What?", f"--{name}", "a.sqlite").exit_code == 0
    assert fake.made[name] == Path("a.sqlite")
    assert {"cache", "cache_bytes", "record", "replay"} & fake.made.keys() == {name}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--store", "a", "--record", "b"], "--store and --record exclude each other."),
        (["--record", "a", "--replay", "b"], "--record and --replay exclude each other."),
        (["--store-limit", "1GB"], "--store-limit needs --store FILE."),
        (
            ["--store", "a", "--store-limit", "much"],
            "--store-limit got 'much'. Hint: Write it as 4GB",
        ),
        (["--store", "a", "--store-limit", "0"], "--store-limit got '0'."),
        (["--order", "first"], "'first' is not one of 'auto', 'together', 'leaders'"),
    ],
)
def test_stores_and_orders_that_cannot_be(
    fake: type[FakeSelfRAG], arguments: list[str], told: str
) -> None:
    fake.made = {}
    result = ask("What?", *arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert not fake.made  # before any model is loaded


def test_unknown_options_in_a_file_are_refused(fake: type[FakeSelfRAG], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("beam_widht: 4\n")
    result = ask("What?", "--config", str(file))
    assert result.exit_code == 2
    assert "beam_width" in result.stderr
    assert ask("What?", "--config", str(tmp_path / "none.yaml")).exit_code == 2


@pytest.mark.parametrize(
    "texts",
    [["A"], ["=x"], ["A="], ["A=x", "A=y"], ["A=x"]],
    ids=["bare", "no key", "no text", "twice", "one"],
)
def test_bad_closed_set_options_are_refused(fake: type[FakeSelfRAG], texts: list[str]) -> None:
    result = ask("What?", *(part for text in texts for part in ("--options", text)))
    assert result.exit_code == 2
    assert "--options" in result.stderr


@pytest.mark.parametrize("extension", ["json", "graphml", "mmd"])
def test_trace(fake: type[FakeSelfRAG], tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"tree.{extension}"
    assert ask("What?", "--trace", str(path)).exit_code == 0
    assert path.stat().st_size > 100
    if extension == "json":
        assert read_trace(path)["nodes"][0]["prompt_ids"] == [1, 2]


def test_traces_that_cannot_be_are_refused_first(fake: type[FakeSelfRAG], tmp_path: Path) -> None:
    for arguments in (
        ["What?", "--trace", "t.txt"],
        ["--trace", "t.json"],
        ["What?", "--trace", "t.json", "--stream"],
    ):
        result = ask(*arguments, stdin="x\n")
        assert result.exit_code == 2
        assert "made" not in vars(fake)
    result = ask("What?", "--trace", str(tmp_path / "none" / "t.json"))
    assert result.exit_code == 2
    assert "Cannot write" in result.stderr


def test_status_of_one_question_is_the_exit_code(fake: type[FakeSelfRAG]) -> None:
    assert ask("refuse", "--json").exit_code == 2
    assert ask("fail", "--json").exit_code == 1
    assert ask("raise").exit_code == 1
    assert ask("\udcff").exit_code == 2


def test_lines_are_answered_in_order_and_bad_ones_do_not_end_the_run(
    fake: type[FakeSelfRAG],
) -> None:
    lines = [b"\xef\xbb\xbffirst", b"", b"raise", b"\xff\xfe", b"refuse", b"  ", b"last \xc3\xa4\r"]
    result = ask("--json", stdin=b"\n".join(lines))
    assert result.exit_code == 0
    answers = objects(result.stdout)
    assert [answer["question"] for answer in answers] == [
        "first",
        "",
        "raise",
        "\ufffd\ufffd",
        "refuse",
        "  ",
        "last ä",
    ]
    statuses = ["complete", "refused", "failed", "refused", "refused", "refused", "complete"]
    assert [answer["status"] for answer in answers] == statuses
    assert all(set(answer) >= KEYS for answer in answers)
    assert "the model broke" in answers[2]["warnings"][0]
    assert "empty" in answers[1]["warnings"][0]


def test_unusual_line_separators_do_not_split_questions(fake: type[FakeSelfRAG]) -> None:
    (answer,) = objects(ask("--json", stdin="a\u2028b\x0bc\x85d\n").stdout)
    assert answer["question"] == "a\u2028b\x0bc\x85d"


def test_many_lines_are_asked_in_batches(
    fake: type[FakeSelfRAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All lines have arrived before the first is taken.
    monkeypatch.setattr(questions.threading, "Thread", _Inline)
    stdin = "".join(f"question {number}\n" for number in range(40))
    result = ask(
        "--json", "--max-retrievals", "3", "--options", "A=x", "--options", "B=y", stdin=stdin
    )
    answers = objects(result.stdout)
    assert [answer["question"] for answer in answers] == stdin.splitlines()
    assert fake.batches == [16, 16, 8]
    assert {str(asked["budget"]) for asked in fake.asked} == {str(Budget(None, 3, None))}
    assert all(asked["options"] == {"A": "x", "B": "y"} for asked in fake.asked)


class _Inline:
    def __init__(self, target: Any, args: Any, daemon: bool) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)


def test_lines_for_eyes(fake: type[FakeSelfRAG]) -> None:
    result = ask(stdin="one\n\n")
    assert "> one\n" in result.stdout
    assert "Status: refused" in result.stdout


def test_no_lines_no_answers(fake: type[FakeSelfRAG]) -> None:
    result = ask("--json", stdin="")
    assert (result.exit_code, result.stdout) == (0, "")


def test_standard_output_holds_results_only(fake: type[FakeSelfRAG]) -> None:
    result = ask("chatter", "--json")
    assert len(objects(result.stdout)) == 1
    assert "a library talks" in result.stderr


def test_numbers_that_json_lacks_become_null(fake: type[FakeSelfRAG]) -> None:
    from selfrag.cli.output import _finite

    assert _finite({"a": [float("nan"), 1.5], "b": float("inf")}) == {"a": [None, 1.5], "b": None}


def test_streams(fake: type[FakeSelfRAG]) -> None:
    events = objects(ask("What?", "--json", "--stream").stdout)
    assert [event["type"] for event in events] == [
        "run.started",
        "segment.committed",
        "run.finished",
    ]
    assert set(events[-1]["answer"]) >= KEYS
    shown = ask("What?", "--stream").stdout
    assert shown.startswith("The capital of Burkina Faso is Ouagadougou.\n\n[1] Burkina Faso")
    assert shown.count("is Ouagadougou.\n") == 1


def test_streams_of_lines(fake: type[FakeSelfRAG]) -> None:
    events = objects(ask("--json", "--stream", stdin="one\n\nraise\ntwo\n").stdout)
    finished = [event["answer"] for event in events if event["type"] == "run.finished"]
    assert [answer["question"] for answer in finished] == ["one", "", "raise", "two"]
    assert [answer["status"] for answer in finished][1:3] == ["refused", "failed"]
    assert "Status: refused" in ask("--stream", stdin="one\n\n").stdout


def test_the_prompt_ends_with_the_input(
    fake: type[FakeSelfRAG], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("one\n\nraise\n"))
    with pytest.raises(SystemExit) as caught:
        application(["ask", "--json"])
    assert caught.value.code == 0
    shown = capsys.readouterr()
    assert [answer["question"] for answer in objects(shown.out)] == ["one", "raise"]
    assert shown.err.count("> ") == 4


PROGRAM = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import fake_selfrag, pytest
from selfrag.cli.application import application
fake_selfrag.install(pytest.MonkeyPatch())
application(["ask", "--json"])
"""


def test_each_answer_comes_before_the_next_question_is_needed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for question in ("one", "two"):
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["question"] == question
        process.stdin.close()
        assert process.wait(timeout=20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_real_interrupt_while_waiting_for_a_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == "Interrupted.\n"
