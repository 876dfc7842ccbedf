"""What cannot be answered, asked as a user does: a named error and an exit code, or a refusal.

The parts have tests of their own: `test_checkpoint`, `test_served`, `test_engine_memory`,
`test_engine_precision`, `test_expansion_file`, and `test_cli_store` for `--store`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from fake_vllm import FakeServer
from scripted_rag import ListRetriever, passages, prompts, reflective_llama
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level
from typer.testing import CliRunner

import retrievers
from decoding.config import DecodingConfig
from decoding.engine import BatchedEngine, precision
from decoding.engine.keyvalues import KeyValueShape
from decoding.engine.precision import SlowPrecision
from decoding.errors import CacheTooSmall
from selfrag.cli.application import application
from selfrag.errors import EXIT_INPUT, EXIT_MODEL, exit_code_of
from selfrag.rag import SelfRAG


@lru_cache
def model() -> Any:
    return tiny_llama(len(byte_level(special=True)), context=256)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole checkpoint; and no index is loaded."""
    found = ListRetriever(passages("One cat.", "Two dogs!"))
    monkeypatch.setattr(retrievers, "open_retriever", lambda *_: found)
    model().save_pretrained(tmp_path)
    byte_level(special=True).save_pretrained(tmp_path)
    return tmp_path


def ask(folder: Path, *arguments: str, question: str = "What?") -> Any:
    limits = ("--max-segments", "1", "--max-generated-tokens", "8", "--device", "cpu")
    command = ["ask", question, "--json", "--model", str(folder), *limits, *arguments]
    return CliRunner().invoke(application, command)


def test_a_tokenizer_and_an_embedding_that_disagree(folder: Path) -> None:
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    tiny_llama(415).save_pretrained(folder)
    result = ask(folder)
    assert result.exit_code == EXIT_MODEL and result.stdout == ""
    assert result.stderr.startswith("CorruptCheckpoint: The tokenizer's control tokens reach id")
    assert "but the model has 415 embedding rows.\nHint: " in result.stderr


def test_a_prompt_beyond_the_context(folder: Path) -> None:
    result = ask(folder, question="word " * 200)
    assert result.exit_code == EXIT_INPUT
    answer = json.loads(result.stdout)
    assert (answer["status"], answer["text"], answer["score"]) == ("refused", "", None)
    (told,) = answer["warnings"]
    assert "tokens; the model's context is 256, of which 32 must be left to write" in told


def test_a_processor_without_bfloat16(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_processor_flags", lambda _: set())
    with pytest.warns(SlowPrecision, match="has no bfloat16 instructions"):
        result = ask(folder, "--dtype", "bfloat16", "--mode", "never")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["usage"]["model_calls"] == 1
    ask(folder, "--mode", "never")  # float32, without a warning


def test_a_cache_too_small_for_one_branch() -> None:
    made = reflective_llama(1)
    limit = 90 * KeyValueShape.of_model(made).bytes_per_position
    engine = BatchedEngine(made, fingerprint="x", cache_bytes=limit)
    config = DecodingConfig(max_segments=1, max_segment_tokens=4, passages=2)
    endless = ListRetriever(passages("One cat. " * 20))
    with SelfRAG(engine, prompts(), endless, config=config) as rag:
        with pytest.raises(CacheTooSmall) as caught:
            rag.ask("What?", config=config.replace(mode="always"))
        told = caught.value
        assert f"bytes of keys and values; the limit is {limit:,}." in told.message
        assert "cache_bytes" in told.hint and exit_code_of(told) == EXIT_MODEL
        answer = rag.ask("What?", config=config.replace(mode="never"))  # fits, afterwards too
    assert answer.status == "complete" and engine.cached_bytes <= limit


@pytest.mark.parametrize(
    ("fault", "name", "told"),
    [
        ("fewer ids", "WrongAnswer", "left out the log-probabilities of 1 of"),
        ("no log-probabilities", "WrongAnswer", "without their log-probabilities"),
        ("no address", "ServerUnreachable", "ConnectError"),
        ("no control tokens", "ModelMismatch", "other ids for"),
        ("inexact", "InexactEngine", "cannot give exact log-probabilities of chosen ids"),
    ],
)
def test_servers_that_cannot_be_used(folder: Path, fault: str, name: str, told: str) -> None:
    server = FakeServer(model(), byte_level(special=True))
    with server.running():
        if fault == "no control tokens":
            server.tokenizer = byte_level(special=True, add_prefix_space=True)
        server.exact = fault != "inexact"
        if name == "WrongAnswer":
            server.faults = ["", "", "", fault]  # opening takes three exact answers
        address = "http://127.0.0.1:9" if fault == "no address" else server.url
        result = ask(folder, "--engine", address)
    assert result.exit_code == EXIT_MODEL and result.stdout == ""
    assert result.stderr.startswith(f"{name}: ") and told in result.stderr
    assert "\nHint: " in result.stderr
