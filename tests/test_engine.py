"""The batched engine gives what one full forward pass per position gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from engine_cases import (
    CONTEXT,
    POSITION,
    VARIANTS,
    VOCABULARY,
    assert_same,
    batched,
    model,
    random_requests,
    run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding.engine import BatchedEngine
from decoding.errors import PromptTooLong, UnsupportedModel
from decoding.generation import Draft, Generation
from decoding.reference import ReferenceEngine


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_reference(variant: str) -> None:
    requests = random_requests(11, 12)
    expected = run(ReferenceEngine(model(variant), fingerprint="tiny"), requests)
    for found, draft in zip(run(batched(variant), requests), expected, strict=True):
        assert_same(found, draft)
    assert len({draft.finish for draft in expected}) == 3


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 9),
    max_rows=st.sampled_from([1, 2, 3, 64]),
    cache_bytes=st.sampled_from([96 * POSITION, 300 * POSITION, None]),
    prefill_tokens=st.sampled_from([1, 50, 8_192]),
    wait=st.integers(0, 3),
)
def test_equals_the_reference_however_requests_come(
    seed: int, count: int, max_rows: int, cache_bytes: int, prefill_tokens: int, wait: int
) -> None:
    requests = random_requests(seed, count)
    engine = batched(max_rows=max_rows, cache_bytes=cache_bytes, prefill_tokens=prefill_tokens)
    expected = run(ReferenceEngine(model(), fingerprint="tiny"), requests)
    for found, draft in zip(run(engine, requests, wait=wait), expected, strict=True):
        assert_same(found, draft)


def test_the_batch_does_not_matter() -> None:
    requests = random_requests(5, 10)
    together = run(batched(), requests)
    apart = [run(batched(), [request])[0] for request in requests]
    for found, draft in zip(together, apart, strict=True):
        assert_same(found, draft)


def test_a_known_prefix_is_not_computed_again() -> None:
    request = Generation(tuple(range(50)), max_tokens=4, read_ids=(1, 2))
    longer = Generation((*range(50), 60, 61), max_tokens=4, read_ids=(1, 2))
    engine, fresh = batched(speculation=0), batched(speculation=0)
    first, again, extended = (run(engine, [item])[0] for item in (request, request, longer))
    assert_same(again, first)
    assert_same(extended, run(fresh, [longer])[0])
    assert engine.forwarded_tokens == (50 + 4) + (1 + 4) + (2 + 4)
    assert fresh.forwarded_tokens == 52 + 4


def test_prefixes_are_forgotten_beyond_the_limit() -> None:
    engine = batched(cache_bytes=(64 + 60) * POSITION)
    one = Generation(tuple(range(50)), max_tokens=0)
    other = Generation(tuple(range(100, 150)), max_tokens=0)
    for request in (one, other, other, one):
        run(engine, [request])
    assert engine.forwarded_tokens == 50 + 50 + 1 + 50


def test_no_tokens_only_a_reading() -> None:
    (draft,) = run(batched(), [Generation((1, 2, 3), max_tokens=0, read_ids=(7, 8))])
    logits = model()(torch.tensor([[1, 2, 3]])).logits[0, -1].detach().double().log_softmax(-1)
    assert draft.finish == "limit" and draft.token_ids == ()
    assert draft.next_id == int(logits.argmax())
    assert draft.last_reading == pytest.approx((float(logits[7]), float(logits[8])), abs=1e-5)


def test_a_stop_on_the_limit_is_a_stop() -> None:
    prompt = (3, 1, 4, 1, 5)
    (free,) = run(batched(), [Generation(prompt, max_tokens=6)])
    for stop in range(len(free.token_ids)):
        token = free.token_ids[stop]
        length = free.token_ids.index(token)
        request = Generation(prompt, max_tokens=length, stop_ids=frozenset({token}))
        (draft,) = run(batched(), [request])
        assert draft.finish == "stop" and draft.next_id == token
        assert draft.token_ids == free.token_ids[:length]


def test_a_closing_token_is_written_and_the_next_position_read() -> None:
    prompt = (3, 1, 4, 1, 5)
    (free,) = run(batched(), [Generation(prompt, max_tokens=6, read_ids=(9,))])
    token = free.token_ids[0]
    for limit in (1, 6):
        request = Generation(
            prompt, max_tokens=limit, closing_ids=frozenset({token}), read_ids=(9,)
        )
        (draft,) = run(batched(), [request])
        assert draft.finish == "closed"
        assert draft.token_ids == (token,) and draft.next_id == free.token_ids[1]
        assert set(draft.readings) == {0, 1} and draft.last_reading is not None


def test_first_ids_overrule_and_say_so() -> None:
    prompt = (3, 1, 4)
    (free,) = run(batched(), [Generation(prompt, max_tokens=1)])
    best = free.token_ids[0]
    others = tuple(token for token in (5, 6) if token != best)
    forced, kept = run(
        batched(),
        [
            Generation(prompt, max_tokens=1, first_ids=others),
            Generation(prompt, max_tokens=1, first_ids=(*others, best)),
        ],
    )
    assert forced.token_ids[0] in others and not forced.first_was_argmax
    assert kept.token_ids == (best,) and kept.first_was_argmax


def test_forced_ids_are_scored_as_they_stand() -> None:
    prompt, forced = (3, 1, 4), (10, 20, 30)
    (draft,) = run(batched(), [Generation(prompt, max_tokens=3, forced_ids=forced)])
    logits = model()(torch.tensor([[*prompt, *forced]])).logits[0].detach().double()
    logits = logits.log_softmax(-1)
    expected = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(forced)]
    assert draft.token_ids == forced and draft.finish == "limit"
    assert draft.log_probabilities == pytest.approx(expected, abs=1e-5)


def test_what_waits_is_taken_by_its_turn() -> None:
    turns = [2, 1, 3, 1, 2]
    requests = [Generation((i, 7), max_tokens=2, turn=turn) for i, turn in enumerate(turns)]
    engine = batched(max_rows=1)
    tickets = [engine.submit(request) for request in requests]
    order = []
    while engine.step():
        order += [tickets.index(ticket) for ticket, _ in engine.poll()]
    order += [tickets.index(ticket) for ticket, _ in engine.poll()]
    assert order == [1, 3, 0, 4, 2]


def test_an_engine_that_forgets_computes_everything_anew() -> None:
    requests = random_requests(7, 6)
    engine = batched()
    expected, computed = run(engine, requests), engine.forwarded_tokens
    run(engine, requests)
    assert engine.forwarded_tokens < 2 * computed
    engine.forget()
    assert not list(engine._memory.tree.nodes())
    before = engine.forwarded_tokens
    for found, draft in zip(run(engine, requests), expected, strict=True):
        assert_same(found, draft)
    assert engine.forwarded_tokens == before + computed
    engine.submit(requests[0])
    with pytest.raises(RuntimeError, match="running"):
        engine.forget()


def test_cancelled_requests_leave_the_others_alone() -> None:
    requests = [Generation((i, i + 1, i + 2), max_tokens=8, read_ids=(4,)) for i in range(6)]
    expected = run(batched(), requests)
    engine = batched(max_rows=4)
    tickets = [engine.submit(request) for request in requests]
    engine.step()
    engine.step()
    engine.cancel(tickets[1])
    engine.cancel(tickets[5])
    assert engine.progress(tickets[0]) == expected[0].token_ids[:2]
    assert engine.progress(tickets[1]) == () == engine.progress(999)
    while engine.step():
        pass
    drafts = dict(engine.poll())
    for index in (0, 2, 3, 4):
        assert_same(drafts[tickets[index]], expected[index])
    assert drafts[tickets[1]].finish == "cancelled"
    assert drafts[tickets[1]].token_ids == expected[1].token_ids[:2]
    assert drafts[tickets[5]] == Draft((), (), {}, None, "cancelled")
    assert not engine.step() and not engine.poll()


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_a_watch_gives_a_branch_up(engine: str) -> None:
    made = batched() if engine == "batched" else ReferenceEngine(model(), fingerprint="tiny")
    request = Generation((1, 2, 3), max_tokens=8, read_ids=(5,))
    lengths: list[int] = []

    def watch(partial: Any) -> bool:
        lengths.append(len(partial.token_ids))
        return len(partial.token_ids) == 3

    cut, free = run(made, [request, request], [watch, None])
    assert lengths == [1, 2, 3]
    assert cut.finish == "cut" and cut.next_id is None and cut.last_reading is None
    assert cut.token_ids == free.token_ids[:3] and len(free.token_ids) == 8


def test_the_vocabulary_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []
    for name in ("cpu", "tolist", "numpy", "item", "__array__", "__iter__", "to"):
        original = getattr(torch.Tensor, name)

        def spy(tensor: Any, *args: Any, _original: Any = original, **options: Any) -> Any:
            moved.append(tensor.shape[-1] if tensor.dim() else 1)
            return _original(tensor, *args, **options)

        monkeypatch.setattr(torch.Tensor, name, spy)
    run(batched(), random_requests(3, 6))
    assert moved and max(moved) < VOCABULARY


def test_a_prompt_beyond_the_context_is_refused() -> None:
    for engine in (batched(), ReferenceEngine(model(), fingerprint="tiny")):
        full = Generation(tuple(range(CONTEXT - 4)), max_tokens=4)
        (draft,) = run(engine, [full])
        assert len(draft.token_ids) == 4
        with pytest.raises(PromptTooLong, match=f"context of {CONTEXT}"):
            engine.submit(Generation(full.prompt_ids, max_tokens=5))


def test_requests_that_cannot_be_run_are_refused() -> None:
    with pytest.raises(ValueError, match="prompt"):
        Generation((), max_tokens=1)
    with pytest.raises(ValueError, match="forced"):
        Generation((1,), max_tokens=1, forced_ids=(1, 2))


SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}


@pytest.mark.parametrize("kind", ["Mistral", "Qwen2"])
def test_models_laid_out_like_llama_run(kind: str) -> None:
    options = {**SMALL, "sliding_window": None, "initializer_range": 0.3}
    torch.manual_seed(2)
    config = getattr(transformers, f"{kind}Config")(**options)
    made = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    requests = [Generation((5, 6, 7, 8), max_tokens=5, read_ids=(1, 2))]
    (found,) = run(BatchedEngine(made, fingerprint="x"), requests)
    assert_same(found, run(ReferenceEngine(made, fingerprint="x"), requests)[0])


@pytest.mark.parametrize(
    "kind, options",
    [
        ("GPT2", {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 64}),
        ("Qwen3", SMALL),
        ("Gemma", {**SMALL, "head_dim": 8}),
        ("Granite", {**SMALL, "embedding_multiplier": 3.0, "logits_scaling": 2.0}),
        ("Mistral", {**SMALL, "sliding_window": 16}),
        (
            "Llama",
            {
                **SMALL,
                "rope_parameters": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "rope_theta": 10000.0,
                    "original_max_position_embeddings": 16,
                },
            },
        ),
    ],
)
def test_other_architectures_are_refused(kind: str, options: dict[str, Any]) -> None:
    name = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    made = getattr(transformers, name)(getattr(transformers, f"{kind}Config")(**options))
    with pytest.raises(UnsupportedModel, match="engine='reference'"):
        BatchedEngine(made, fingerprint="x")


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="embed_tokens is missing"):
        BatchedEngine(
            SimpleNamespace(config=SimpleNamespace(max_position_embeddings=8)), fingerprint="x"
        )
