"""Shared prefixes: attention in parts is attention, and what is shared is computed once."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from engine_cases import POSITION, VARIANTS, VOCABULARY, assert_same, batched, model, run
from hypothesis import given, settings
from hypothesis import strategies as st

import decoding.engine.memory as memory_module
from decoding.engine.attention import (
    Part,
    attend_all,
    attend_own,
    attend_plainly,
    merge_into,
)
from decoding.engine.fresh import Fresh, Prompts, PromptsPass, alike, joined
from decoding.engine.keyvalues import Stretch
from decoding.engine.rows import Shared
from decoding.generation import Draft, Generation
from decoding.reference import ReferenceEngine

SHAPES: Any = {
    "seed": st.integers(0, 999),
    "shared": st.integers(1, 3),
    "group": st.integers(1, 3),
    "lengths": st.lists(st.integers(1, 9), min_size=1, max_size=6),
    "prefix": st.integers(1, 20),
}


def softmax_attention(query: Any, keys: Any, values: Any, visible: Any) -> Any:
    """`[queries, heads, size]` in float64, one query and head at a time."""
    group = query.shape[1] // keys.shape[0]
    output = torch.zeros(query.shape, dtype=torch.float64)
    for index in range(query.shape[0]):
        for head in range(query.shape[1]):
            seen = visible[index]
            own = keys[head // group].double()[seen]
            weights = (own @ query[index, head].double() * 0.3).softmax(0)
            output[index, head] = weights @ values[head // group].double()[seen]
    return output


@settings(max_examples=25, deadline=None)
@given(**SHAPES)
def test_attention_in_parts_is_attention(
    seed: int, shared: int, group: int, lengths: list[int], prefix: int
) -> None:
    torch.manual_seed(seed)
    rows, span, size = len(lengths), max(lengths), 8
    query = torch.randn(rows, shared * group, size)
    own = torch.randn(2, rows, shared, span + 3, size)[:, :, :, :span]
    common = torch.randn(2, shared, prefix, size)
    beyond = torch.arange(span) >= torch.tensor(lengths)[:, None]
    hidden = torch.zeros(rows, span).masked_fill(beyond, float("-inf"))
    whole = attend_own(query, own[0], own[1], hidden, 0.3)
    readers = torch.arange(0, rows, 2)
    merge_into(whole, readers, attend_all(query[readers], common[0], common[1], 0.3))
    for row in range(rows):
        keys, values = own[0][row], own[1][row]
        seen = ~beyond[row : row + 1]
        if row % 2 == 0:
            keys = torch.cat([common[0], keys], dim=1)
            values = torch.cat([common[1], values], dim=1)
            seen = torch.cat([torch.ones(1, prefix, dtype=torch.bool), seen], dim=1)
        expected = softmax_attention(query[row : row + 1], keys, values, seen)
        assert torch.allclose(whole.output[row].double(), expected[0], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(**SHAPES)
def test_new_tokens_see_their_own_text_and_what_it_shares(
    seed: int, shared: int, group: int, lengths: list[int], prefix: int
) -> None:
    """Some texts share a prefix, which lies in two places; every third has a past of its own."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    count, size = sum(lengths), 8
    query = torch.randn(count, shared * group, size)
    key, value = torch.randn(2, count, shared, size)
    common = Stretch(*torch.randn(2, 1, shared, prefix, size))
    readers = [place for place in range(len(lengths)) if draw.random() < 0.5]
    texts = []
    for place, length in enumerate(lengths):
        past = Stretch(*torch.randn(2, 1, shared, 5, size)) if place % 3 == 0 else None
        home = Stretch(*torch.zeros(2, 1, shared, length, size))
        texts.append(Fresh(range(length), 0, home, past))
    cut = draw.randint(0, prefix)
    pieces = [
        Stretch(*(one[:, :, part] for one in common)) for part in (slice(cut), slice(cut, None))
    ]
    pieces = [piece for piece in pieces if piece.length]
    seen = [Shared(pieces, torch.tensor(readers))] if readers else []
    prompts = PromptsPass(Prompts(texts, seen), query.device)
    prompts.write(0, key, value)
    found = prompts.attend(0, query, key, value, 0.3)
    start = 0
    for place, text in enumerate(texts):
        stop = start + len(text.ids)
        assert torch.equal(text.home.keys[0], key[start:stop].transpose(0, 1))
        assert torch.equal(text.home.values[0], value[start:stop].transpose(0, 1))
        before = [common] if place in readers else []
        if text.past is not None:
            before.append(text.past)
        keys = torch.cat([*(one.keys[0] for one in before), text.home.keys[0]], dim=1)
        values = torch.cat([*(one.values[0] for one in before), text.home.values[0]], dim=1)
        length = len(text.ids)
        visible = torch.ones(length, keys.shape[1], dtype=torch.bool).tril(keys.shape[1] - length)
        expected = softmax_attention(query[start:stop], keys, values, visible)
        assert torch.allclose(found[start:stop].double(), expected, atol=1e-5)
        start = stop


def test_texts_are_attended_to_with_those_of_similar_length() -> None:
    assert alike([3, 10, 8, 4, 2, 7]) == [[1, 2], [5], [3, 0], [4]]


def test_short_neighbours_are_attended_to_together() -> None:
    lengths = [6, 1, 34, 200, 3, 5, 128, 128, 127]
    runs = joined([Stretch(*torch.zeros(2, 1, 1, length, 1)) for length in lengths])
    found = [[stretch.length for stretch in run] for run in runs]
    assert found == [[6, 1, 34], [200], [3, 5], [128], [128], [127]]


def test_plain_products_give_what_the_kernel_gives() -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8), torch.randn(2, 3, 4, 8)
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    mask = torch.randn(2, 1, 4, 4)
    for causal, hidden in ((False, None), (True, None), (False, mask)):
        output, log_sum = attend_plainly(query, keys, values, hidden, causal, 0.4)
        expected = kernel(query, keys, values, 0.0, causal, attn_mask=hidden, scale=0.4)
        assert torch.allclose(output, expected[0], atol=1e-6)
        assert torch.allclose(log_sum, expected[1], atol=1e-6)


def test_merging_counts_each_part_by_its_weight() -> None:
    one = Part(torch.tensor([[[1.0]]]), torch.tensor([[3.0]]).log())
    other = Part(torch.tensor([[[5.0]]]), torch.tensor([[1.0]]).log())
    for queries in (slice(0, 1), torch.tensor([0])):
        merged = Part(one.output.clone(), one.log_sum.clone())
        merge_into(merged, queries, other)
        assert float(merged.output) == pytest.approx((3 * 1 + 1 * 5) / 4)
        assert float(merged.log_sum.exp()) == pytest.approx(4.0)


@pytest.fixture(params=["always", "never"])
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ends of the rule by which a prefix is read by reference or copied."""
    monkeypatch.setattr(memory_module, "SHARING_BYTES", 0 if request.param == "always" else 2**60)
    return str(request.param)


def forks(depths: range, seed: int = 3) -> list[Generation]:
    """A trunk of 30 ids and a branch at each depth, ragged."""
    draw = random.Random(seed)
    trunk = draw.choices(range(VOCABULARY), k=30)
    requests = [Generation(tuple(trunk), max_tokens=2, read_ids=(3, 4))]
    for depth in depths:
        rest = draw.choices(range(VOCABULARY), k=draw.randint(1, 9))
        prompt = (*trunk[:depth], *rest)
        requests.append(Generation(prompt, max_tokens=draw.randint(0, 7), read_ids=(3, 4)))
    return requests


def expected_of(variant: str, requests: list[Generation]) -> list[Draft]:
    drafts: list[Draft] = run(ReferenceEngine(model(variant), fingerprint="tiny"), requests)
    return drafts


@pytest.mark.parametrize("variant", ["grouped", "one key head, tied", "every head its own keys"])
def test_forks_at_every_depth_of_a_known_path(variant: str, sharing: str) -> None:
    assert variant in VARIANTS
    requests = forks(range(1, 31, 2 if variant == "grouped" else 7))
    engine = batched(variant)
    run(engine, requests[:1])
    expected = expected_of(variant, requests[1:])
    for wait in (0, 2):
        for found, draft in zip(run(engine, requests[1:], wait=wait), expected, strict=True):
            assert_same(found, draft)


def test_forks_of_forks_that_nobody_has_computed(sharing: str) -> None:
    requests = [*forks(range(9, 30, 5)), *forks(range(10, 30, 6), seed=4), *forks(range(12, 28, 5))]
    expected = expected_of("grouped", requests)
    choices: list[dict[str, Any]] = [{}, {"prefill_tokens": 7}, {"max_rows": 3}]
    for options in choices:
        for found, draft in zip(run(batched(**options), requests), expected, strict=True):
            assert_same(found, draft)


def test_rows_that_leave_and_join_under_a_tight_limit(sharing: str) -> None:
    requests = forks(range(1, 30, 3))
    expected = expected_of("grouped", requests)
    engine = batched(cache_bytes=140 * POSITION)
    for found, draft in zip(run(engine, requests, wait=1), expected, strict=True):
        assert_same(found, draft)


def test_a_common_beginning_is_computed_once() -> None:
    trunk = tuple(range(40))
    requests = [Generation((*trunk, 100 + i, 7), max_tokens=0) for i in range(5)]
    engine = batched()
    run(engine, requests)
    assert engine.forwarded_tokens == 40 + 5 * 2


def test_common_beginnings_inside_common_beginnings() -> None:
    trunk = tuple(range(20))
    left, right = (*trunk, *range(50, 70)), (*trunk, *range(80, 100))
    prompts = [(*side, 100 + i, 7) for side in (left, right) for i in range(2)]
    engine = batched()
    run(engine, [Generation(prompt, max_tokens=0) for prompt in prompts])
    assert engine.forwarded_tokens == 20 + 20 + 20 + 4 * 2


def test_what_a_decision_has_read_serves_whatever_branch_follows() -> None:
    question = tuple(range(30))
    engine = batched()
    (decision,) = run(engine, [Generation(question, max_tokens=0, read_ids=(1, 2))])
    assert decision.last_reading is not None and engine.forwarded_tokens == 30
    branches = [Generation((*question, 100 + i, 101, 102), max_tokens=1) for i in range(4)]
    run(engine, branches)
    assert engine.forwarded_tokens == 30 + 4 * (3 + 1)
    run(engine, [Generation((*question, 150), max_tokens=0)])
    assert engine.forwarded_tokens == 30 + 4 * (3 + 1) + 1


@pytest.mark.parametrize("bound", [1, 6, 64])
def test_a_pass_reads_no_more_of_prompts_than_it_may(
    bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = batched(prefill_tokens=bound)
    read: list[int] = []
    forward = engine._runner.forward

    def spy(running: Any, prompts: Any) -> Any:
        read.append(prompts.tokens)
        return forward(running, prompts)

    monkeypatch.setattr(engine._runner, "forward", spy)
    requests = [Generation(tuple(range(i, i + 25)), max_tokens=3) for i in range(3)]
    run(engine, requests)
    assert max(read) <= bound and sum(read) == 75


def test_a_failed_pass_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = forks(range(5, 30, 4))
    engine = batched()
    tickets = [engine.submit(request) for request in requests]
    forward, calls = engine._runner.forward, []

    def fails_twice(running: Any, fresh: Any) -> Any:
        calls.append(0)
        result = forward(running, fresh)
        if len(calls) in (1, 4):
            raise RuntimeError("out of memory")
        return result

    monkeypatch.setattr(engine._runner, "forward", fails_twice)
    failures, more = 0, True
    while more:
        try:
            more = engine.step()
        except RuntimeError:
            failures += 1
    drafts = dict(engine.poll())
    assert failures == 2
    for ticket, draft in zip(tickets, expected_of("grouped", requests), strict=True):
        assert_same(drafts[ticket], draft)


def test_cancelled_while_prompts_are_read() -> None:
    requests = forks(range(10, 30, 3))
    engine = batched(prefill_tokens=8)
    tickets = [engine.submit(request) for request in requests]
    engine.step()
    for ticket in tickets[:4]:
        engine.cancel(ticket)
    while engine.step():
        pass
    drafts = dict(engine.poll())
    assert all(drafts[ticket].finish == "cancelled" for ticket in tickets[:4])
    for ticket, draft in zip(tickets[4:], expected_of("grouped", requests)[4:], strict=True):
        assert_same(drafts[ticket], draft)
    for ticket in [engine.submit(request) for request in requests]:
        engine.step()
        engine.cancel(ticket)
    assert not engine.step()
    again = run(engine, requests)
    for found, draft in zip(again, expected_of("grouped", requests), strict=True):
        assert_same(found, draft)
