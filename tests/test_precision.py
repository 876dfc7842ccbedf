"""Fewer bits: the engine runs them, rows stay independent, and what cannot be is said."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_parity import assert_same, random_requests, run_all
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_llama, tiny_prompts
from tiny_tokenizers import byte_level
from torch import nn

from decoding.engine import BatchedEngine
from decoding.generation import Generation
from decoding.reference import ReferenceEngine
from selfrag.backends.checkpoint import load_checkpoint
from selfrag.backends.errors import EngineMissing, MachineCannot
from selfrag.backends.int8 import ACTIVATION_STEPS, WEIGHT_STEPS, Int8Linear, is_supported, to_int8
from selfrag.backends.precision import PRECISIONS, check_precision
from selfrag.backends.precision_effect import COUNTRIES, effect_prompts, measure_effect
from selfrag.rag import SelfRAG

needs_int8 = pytest.mark.skipif(
    not is_supported(), reason="this torch has no 8-bit kernels for this processor"
)


def slow_int8(linear: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    """The same rounding in integers, one output at a time."""
    scales = linear.weight.abs().amax(1) / WEIGHT_STEPS
    weight = (linear.weight / scales[:, None]).round().long()
    largest = states.abs().amax(-1, keepdim=True)
    steps = (states / largest * ACTIVATION_STEPS).round().clamp(-128, 127).long()
    sums = torch.stack([(steps * row).sum(-1) for row in weight], dim=-1)
    found = sums.double() * scales.double() * largest.double() / ACTIVATION_STEPS
    return (found if linear.bias is None else found + linear.bias).float()


@needs_int8
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 9),
    inputs=st.sampled_from([1, 7, 48, 130]),
    outputs=st.sampled_from([1, 5, 96]),
    bias=st.booleans(),
    spread=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_a_layer_is_the_rounded_product(
    seed: int, rows: int, inputs: int, outputs: int, bias: bool, spread: float
) -> None:
    torch.manual_seed(seed)
    linear = nn.Linear(inputs, outputs, bias=bias)
    states = spread * torch.randn(rows, inputs)
    with torch.inference_mode():
        expected = slow_int8(linear, states)
        found = Int8Linear(linear)(states)
        # One step of an activation may fall to either side where it lies on the border.
        step = float(linear.weight.abs().max() * states.abs().max() / ACTIVATION_STEPS)
        assert torch.allclose(found, expected, atol=1.01 * step + 1e-6)
        assert torch.equal(Int8Linear(linear)(states[:1]), found[:1])


@needs_int8
def test_the_largest_products_do_not_overflow() -> None:
    linear = nn.Linear(512, 4, bias=False)
    linear.weight = nn.Parameter(torch.ones(4, 512))
    with torch.inference_mode():
        found = Int8Linear(linear)(torch.ones(3, 512))
        assert torch.allclose(found, torch.full((3, 4), 512.0))
        assert torch.allclose(Int8Linear(linear)(-torch.ones(3, 512)), -found)
        assert torch.equal(Int8Linear(linear)(torch.zeros(1, 512)), torch.zeros(1, 4))


@needs_int8
def test_the_engine_runs_int8_as_the_reference_does() -> None:
    """Both run the same rounded layers; they differ by the float32 attention between them, which
    the rounding can carry over a step: hence the tolerance.
    """
    model = to_int8(tiny_llama(200, seed=3, context=96, initializer_range=0.25))
    assert sum(isinstance(module, Int8Linear) for module in model.modules()) == 2 * 7 + 1
    requests = random_requests(4, 12, 200, range(13))
    expected = run_all(ReferenceEngine(model, fingerprint="tiny"), requests)
    engine = BatchedEngine(model, fingerprint="tiny")
    for found, draft in zip(run_all(engine, requests), expected, strict=True):
        assert_same(found, draft, 2e-2)


@needs_int8
def test_int8_is_near_the_checkpoint_and_named(tmp_path: Path) -> None:
    tokenizer = byte_level(special=True)
    tiny_llama(len(tokenizer), initializer_range=0.1).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    exact = load_checkpoint(tmp_path, device="cpu")
    rounded = load_checkpoint(tmp_path, device="cpu", precision="int8")
    assert rounded.fingerprint == f"{exact.fingerprint}-int8" and rounded.precision == "int8"
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.inference_mode():
        ours = rounded.model(ids).logits.softmax(-1)
        theirs = exact.model(ids).logits.softmax(-1)
    assert 0 < float((ours - theirs).abs().max()) < 0.02
    bare = load_checkpoint(tmp_path, precision="int8", weights=False)
    assert bare.model is None and bare.fingerprint == rounded.fingerprint


def test_layers_that_share_weights_are_shared_on() -> None:
    linear = nn.Linear(4, 4)
    pair = to_int8(nn.Sequential(linear, nn.ReLU(), linear)) if is_supported() else None
    assert pair is None or pair[0] is pair[2]


@pytest.mark.parametrize(
    ("precision", "device", "dtype", "error", "message"),
    [
        ("int8", "cuda", "float32", MachineCannot, "runs on the CPU; the device is 'cuda'"),
        ("int8", "cpu", "bfloat16", MachineCannot, "goes with dtype 'float32'"),
        ("fp8", "cpu", "float32", MachineCannot, "compute capability 8.9"),
        ("int3", "cpu", "float32", ValueError, "allowed: int8, 8bit, 4bit, fp8"),
    ],
)
def test_what_cannot_be_is_said(
    precision: Any,
    device: str,
    dtype: str,
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(error, match=message):
        check_precision(precision, device, dtype)


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "int8"])
def test_a_missing_library_is_named(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="pip install") as caught:
        check_precision(precision, "cuda", "bfloat16")
    assert caught.value.exit_code == 4


def test_an_old_gpu_cannot_fp8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    with pytest.raises(MachineCannot, match=r"this GPU has 8\.0"):
        check_precision("fp8", "cuda", "bfloat16")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    check_precision("fp8", "cuda", "bfloat16")
    with pytest.raises(MachineCannot, match="goes with dtype 'bfloat16'"):
        check_precision("fp8", "cuda", "float16")


def test_the_effect_is_worked_out_at_the_same_positions() -> None:
    """Against a forward pass over each text, position by position."""
    prompts = tiny_prompts()
    vocabulary = prompts.vocabulary
    exact, other = (
        tiny_llama(len(byte_level(special=True)), seed=5, initializer_range=0.12) for _ in range(2)
    )
    with torch.no_grad():
        other.lm_head.weight.mul_(1.01)
    texts = effect_prompts(prompts)[:6]
    found = measure_effect(
        BatchedEngine(exact, fingerprint="a"),
        BatchedEngine(other, fingerprint="b"),
        vocabulary,
        texts,
        max_tokens=6,
    )
    expected: dict[str, list[float]] = {group.name: [] for group in vocabulary.groups}
    for ids in texts:
        (draft,) = run_all(
            ReferenceEngine(exact, fingerprint="a"),
            [Generation(ids, 6, vocabulary.eos_ids, read_ids=vocabulary.read_ids)],
        )
        for position in draft.readings:
            sequence = torch.tensor([[*ids, *draft.token_ids[:position]]])
            with torch.inference_mode():
                a, b = (m(sequence).logits[0, -1].double() for m in (exact, other))
            group = max(vocabulary.groups, key=lambda g: float(a[list(g.ids)].max()))
            pair = [x[list(group.ids)].softmax(-1) for x in (a, b)]
            expected[group.name].append(float((pair[0] - pair[1]).abs().max()))
    assert sum(map(len, expected.values())) >= 2 * len(texts)
    for name, values in expected.items():
        effect = found[name]  # type: ignore[index]
        assert effect.positions == len(values)
        if values:
            assert effect.largest == pytest.approx(max(values), abs=1e-5)
            assert effect.mean == pytest.approx(math.fsum(values) / len(values), abs=1e-5)
            assert effect.changed == 0.0


def test_no_effect_between_equals() -> None:
    prompts = tiny_prompts()
    model = tiny_llama(len(byte_level(special=True)))
    engines = [BatchedEngine(model, fingerprint="a") for _ in range(2)]
    texts = effect_prompts(prompts)
    assert len(texts) == 3 * len(COUNTRIES)
    effects = measure_effect(*engines, prompts.vocabulary, texts[:3], max_tokens=4)
    assert sum(effect.positions for effect in effects.values()) >= 3
    assert max(effect.largest or 0.0 for effect in effects.values()) < 1e-5


@needs_int8
def test_the_script_prints_the_effect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
    try:
        import measure_precision
    finally:
        sys.path.pop(0)
    tokenizer = byte_level(special=True)
    tiny_llama(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert measure_precision.main([str(tmp_path)]) == 0
    assert "int8 against float32, 24 prompts" in capsys.readouterr().out
    assert measure_precision.main([str(tmp_path), "--precision", "fp8"]) == 4
    assert "precision='fp8' needs" in capsys.readouterr().err


@needs_int8
def test_answers_come_in_int8() -> None:
    with SelfRAG.from_pretrained(device="cpu", precision="int8") as rag:
        assert rag.describe()["precision"] == "int8"
        answer = rag.ask("What is the capital of Burkina Faso?")
    assert "Ouagadougou" in answer.text
