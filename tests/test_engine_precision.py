"""bfloat16 only where the processor has it, or with a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine_cases import VOCABULARY, run
from tiny_models import tiny_llama

from decoding.engine import BatchedEngine, precision
from decoding.engine.precision import SlowPrecision, computes_bfloat16
from decoding.generation import Generation

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("processor: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags : fpu avx2 avx512f\nflags : avx512_bf16\n", False),
        ("nothing of the kind\n", False),
    ],
)
def test_the_processor_says_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    flags = precision._processor_flags(path)
    monkeypatch.setattr(precision, "_processor_flags", lambda _: flags)
    assert computes_bfloat16(CPU) is expected


def test_no_list_of_flags_is_no(tmp_path: Path) -> None:
    assert precision._processor_flags(tmp_path / "absent") == set()


def test_bfloat16_runs_anyway_and_says_that_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny_llama(VOCABULARY).to(torch.bfloat16)
    monkeypatch.setattr(precision, "_processor_flags", lambda _: set())
    with pytest.warns(SlowPrecision, match="float32"):
        engine = BatchedEngine(made, fingerprint="x")
    trunk = tuple(range(20))
    requests = [Generation((*trunk, 50 + i), max_tokens=3, read_ids=(1, 2)) for i in range(4)]
    drafts = run(engine, requests)
    assert [len(draft.token_ids) for draft in drafts] == [3] * 4
    monkeypatch.setattr(precision, "_processor_flags", lambda _: {"avx512_bf16"})
    logits = (
        made(torch.tensor([requests[0].prompt_ids])).logits[0, -1].detach().float().log_softmax(-1)
    )
    found = run(BatchedEngine(made, fingerprint="x"), requests[:1])[0].readings[0]
    assert found == pytest.approx((float(logits[1]), float(logits[2])), abs=0.2)
