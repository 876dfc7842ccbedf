"""vLLM itself, in this process and as a server, against the reference; run it where vLLM is.

VLLM_CPU_KVCACHE_SPACE=2 pytest tests/engines/test_vllm.py
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_parity import assert_same, random_requests, run_all

from decoding.backend import Backend
from decoding.generation import Generation
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.served import ServedEngine
from selfrag.backends.vllm import VLLMEngine

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vLLM is not installed; it needs an environment of its own (docs/engines.md)",
    ),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(600),
]
TOLERANCE = 1e-5
SETTINGS = ("--enforce-eager", "--max-num-seqs", "16", "--gpu-memory-utilization", "0.1")

Checkpoint = tuple[Path, Any, Any]


@pytest.fixture(scope="module", params=["in process", "served"])
def engine(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Iterator[Any]:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    folder, _, tokenizer = checkpoint
    if request.param == "in process":
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        made: Any = VLLMEngine.open(
            folder,
            fingerprint="tiny",
            dtype="float32",
            enforce_eager=True,
            max_num_seqs=16,
            gpu_memory_utilization=0.1,
        )
        yield made
        made.close()
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # What `vllm serve` runs; the command itself looks for a package named vllm, not vllm-cpu.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", *SETTINGS]
    log = folder.parent / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait(server, port, log)
        made = ServedEngine.open(
            f"http://127.0.0.1:{port}",
            tokenizer=tokenizer,
            vocabulary=ReflectionVocabulary.from_tokenizer(tokenizer),
        )
        yield made
        made.close()
    finally:
        server.terminate()
        server.wait(60)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(2400):
        assert server.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not start")


def test_equals_the_reference(engine: Any, checkpoint: Checkpoint) -> None:
    _, model, tokenizer = checkpoint
    assert isinstance(engine, Backend)
    read = ReflectionVocabulary.from_tokenizer(tokenizer).read_ids
    requests = random_requests(3, 24, len(tokenizer), read)
    expected = run_all(ReferenceEngine(model, fingerprint="tiny"), requests)
    found = run_all(engine, requests)
    differences = [0.0]
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs, TOLERANCE)
        differences += [
            abs(a - b)
            for at, values in theirs.readings.items()
            for a, b in zip(ours.readings[at], values, strict=True)
        ]
    print(f"largest difference of a log-probability: {max(differences):.2e}")
    assert len({draft.finish for draft in expected}) == 3


def test_a_watch_and_cancelling_leave_the_engine_usable(
    engine: Any, checkpoint: Checkpoint
) -> None:
    (cut,) = run_all(
        engine, [Generation((3, 1, 4), max_tokens=60)], [lambda p: len(p.token_ids) == 2]
    )
    assert cut.finish == "cut" and len(cut.token_ids) == 2
    ticket = engine.submit(Generation((3, 1, 4), max_tokens=60))
    while len(engine.progress(ticket)) < 3:
        engine.step()
    engine.cancel(ticket)
    assert [draft.finish for _, draft in engine.poll()] == ["cancelled"]
    whole = Generation((3, 1, 4), max_tokens=engine.context_limit - 3)
    (expected,) = run_all(ReferenceEngine(checkpoint[1], fingerprint="tiny"), [whole])
    (draft,) = run_all(engine, [whole])
    assert_same(draft, expected, TOLERANCE)
