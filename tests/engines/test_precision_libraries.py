"""bitsandbytes and torchao through the engine, where they are installed.

pip install bitsandbytes accelerate torchao
pytest tests/engines/test_precision_libraries.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_parity import assert_same, random_requests, run_all

from decoding.engine import BatchedEngine
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.checkpoint import load_checkpoint

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]
TOLERANCES = {"8bit": 5e-2, "4bit": 1e-3, "fp8": 3e-2}
"""Engine and reference run the same rounded layers. LLM.int8 keeps those columns of activations
whole that are large anywhere in its batch, and fp8 rounds activations, so both depend a little on
what is computed together; 4 bits round weights alone."""

needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None
    or importlib.util.find_spec("accelerate") is None,
    reason="bitsandbytes and accelerate are not installed (docs/engines.md)",
)
needs_fp8 = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None
    or not torch.cuda.is_available()
    or torch.cuda.get_device_capability() < (8, 9),
    reason="fp8 needs torchao and a CUDA GPU of compute capability 8.9 (docs/engines.md)",
)


@pytest.mark.parametrize(
    "precision",
    [
        pytest.param("8bit", marks=needs_bitsandbytes),
        pytest.param("4bit", marks=needs_bitsandbytes),
        pytest.param("fp8", marks=needs_fp8),
    ],
)
def test_the_engine_runs_what_the_library_rounds(
    precision: Any, checkpoint: tuple[Path, Any, Any]
) -> None:
    folder, exact, tokenizer = checkpoint
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_checkpoint(folder, device=device, precision=precision)
    assert loaded.fingerprint.endswith(f"-{precision}")
    read = ReflectionVocabulary.from_tokenizer(tokenizer).read_ids
    requests = random_requests(6, 8, len(tokenizer), read)
    expected = run_all(ReferenceEngine(loaded.model, fingerprint="x"), requests)
    found = run_all(BatchedEngine(loaded.model, fingerprint="x"), requests)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs, TOLERANCES[precision])
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.inference_mode():
        rounded = loaded.model(ids.to(device)).logits.float().cpu().softmax(-1)
        whole = exact(ids).logits.softmax(-1)
    assert 0 < float((rounded - whole).abs().max()) < 0.2
