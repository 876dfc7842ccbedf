"""The command line as a whole: help, errors, exit codes, interruption, quick start."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import fake_selfrag
import pytest
from typer.testing import CliRunner

from decoding.errors import ConfigurationError, MissingControlTokens, PromptTooLong
from indexes.errors import CorpusFormatError, NotAnIndex
from retrievers.errors import EncoderNotFound
from selfrag import __version__
from selfrag.cli.application import application
from selfrag.errors import ModelNotFound, QuestionRefused

ERRORS = [
    (ConfigurationError("bad key", "Use another."), 2),
    (PromptTooLong("too long", "Shorten it."), 2),
    (QuestionRefused("enormous", "Shorten it."), 2),
    (CorpusFormatError("f.jsonl", 3, "no JSON", "Correct it."), 2),
    (NotAnIndex("no index", "Build one."), 3),
    (MissingControlTokens("lacks [Relevant]", "Use another model."), 4),
    (ModelNotFound("no model", "Give a folder."), 4),
    (EncoderNotFound("no encoder", "Give a folder."), 5),
]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[fake_selfrag.FakeSelfRAG]:
    return fake_selfrag.install(monkeypatch)


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_have_a_name_a_hint_and_a_code(
    fake: type[fake_selfrag.FakeSelfRAG], error: Exception, code: int
) -> None:
    fake.failure = error
    result = CliRunner().invoke(application, ["ask", "Who?"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(f"{type(error).__name__}: ")
    assert "\nHint: " in result.stderr
    assert "Traceback" not in result.stderr


def test_internal_errors_say_how_to_see_more(fake: type[fake_selfrag.FakeSelfRAG]) -> None:
    fake.failure = RuntimeError("broken")
    result = CliRunner().invoke(application, ["ask", "Who?"])
    assert result.exit_code == 1
    assert result.stderr == (
        "RuntimeError: broken\nHint: `selfrag --debug ...` shows where it happened.\n"
    )
    result = CliRunner().invoke(application, ["--debug", "ask", "Who?"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_a_missing_package_is_explained(fake: type[fake_selfrag.FakeSelfRAG]) -> None:
    fake.failure = ModuleNotFoundError("No module named 'faiss'")
    result = CliRunner().invoke(application, ["ask", "Who?"])
    assert result.exit_code == 1
    assert "selfrag doctor" in result.stderr


def test_interruption_ends_cleanly(fake: type[fake_selfrag.FakeSelfRAG]) -> None:
    result = CliRunner().invoke(application, ["ask", "interrupt"])
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")
    assert fake.closed


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["ask", "Who?", "--mode", "sometimes"],
        ["ask", "Who?", "--engine", "steam"],
        ["ask", "Who?", "--passages", "0"],
        ["ask", "Who?", "--beam-width", "x"],
        ["ask", "Who?", "--max-seconds", "-1"],
        ["ask", "Who?", "--unknown"],
        ["search"],
        ["search", "x", "--kind", "psychic"],
        ["index", "build", "only-one"],
    ],
)
def test_wrong_usage_ends_with_2(
    fake: type[fake_selfrag.FakeSelfRAG], arguments: list[str]
) -> None:
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_version() -> None:
    result = CliRunner().invoke(application, ["version"])
    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["ask"], ["search"], ["doctor"]])
def test_help_lists_the_exit_codes(arguments: list[str]) -> None:
    result = CliRunner().invoke(application, [*arguments, "--help"])
    assert result.exit_code == 0
    assert "130 interrupted" in " ".join(result.stdout.split())


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from selfrag.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'faiss', 'pyarrow', 'numpy', 'sentence_transformers',"
        " 'bm25s', 'scipy', 'networkx', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    started = time.process_time()
    began = os.times()
    subprocess.run([sys.executable, "-c", code, "--help"], check=True, stdout=subprocess.DEVNULL)
    ended = os.times()
    used = ended.children_user + ended.children_system - began.children_user
    assert used - began.children_system < 0.5, "processor seconds of --help"
    assert time.process_time() - started < 0.5


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selfrag", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{__version__}\n"
