"""The engine's memory: one limit for rows and prefixes, exact accounts, no growth."""

from __future__ import annotations

import mmap
import random
from typing import Any

import pytest
import torch
from engine_cases import POSITION, VOCABULARY, batched, model, random_requests, run
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_llama

import decoding.engine.keyvalues as keyvalues_module
import decoding.engine.memory as memory_module
from decoding.engine import BatchedEngine
from decoding.engine.batch import Row, compact
from decoding.engine.keyvalues import KeyValueShape, RowCache
from decoding.engine.prefixes import PrefixTree
from decoding.engine.reserve import Reserve
from decoding.errors import CacheTooSmall
from decoding.generation import Generation
from decoding.reference import ReferenceEngine
from decoding.sequence import RunningSequence


def held_bytes(engine: BatchedEngine) -> int:
    """What the tensors take, counted by walking to each of them."""
    memory = engine._memory
    blocks = {node.block for node in memory.tree.nodes()}
    tensors = [memory.rows.keys, memory.rows.values]
    tensors += [tensor for block in blocks if block for tensor in (block.keys, block.values)]
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    positions=st.integers(96, 400),
    prefill_tokens=st.sampled_from([3, 8_192]),
)
def test_the_limit_holds_and_the_accounts_are_right(
    seed: int, positions: int, prefill_tokens: int
) -> None:
    limit = positions * POSITION
    engine = batched(cache_bytes=limit, prefill_tokens=prefill_tokens)
    draw = random.Random(seed)
    tickets = []
    for request in random_requests(seed, 9):
        tickets.append(engine.submit(request))
        if draw.random() < 0.3:
            engine.cancel(draw.choice(tickets))
        if draw.random() < 0.7:
            engine.step()
        assert engine.cached_bytes == held_bytes(engine) <= limit
    while engine.step():
        assert engine.cached_bytes == held_bytes(engine) <= limit
    assert {ticket for ticket, _ in engine.poll()} == set(tickets)
    assert all(node.references == 0 for node in engine._memory.tree.nodes())


def test_a_request_that_can_never_fit_is_refused_when_submitted() -> None:
    engine = batched(cache_bytes=64 * POSITION)
    (draft,) = run(engine, [Generation(tuple(range(60)), max_tokens=4)])
    assert len(draft.token_ids) == 4
    with pytest.raises(CacheTooSmall, match="65 positions") as caught:
        engine.submit(Generation(tuple(range(60)), max_tokens=5))
    assert f"{64 * POSITION:,}" in str(caught.value) and "cache_bytes" in caught.value.hint
    assert not engine.step() and not engine.poll()


def test_rows_wait_while_there_is_no_room() -> None:
    requests = [Generation(tuple(range(i, i + 50)), max_tokens=6) for i in (0, 60, 120)]
    engine = batched(cache_bytes=130 * POSITION)
    for request in requests:
        engine.submit(request)
    engine.step()
    assert len(engine._rows) == 2
    while engine.step():
        pass
    drafts = [draft for _, draft in sorted(engine.poll(), key=lambda pair: pair[0])]
    expected = run(ReferenceEngine(model(), fingerprint="tiny"), requests)
    assert [draft.token_ids for draft in drafts] == [draft.token_ids for draft in expected]


def test_a_shared_path_is_held_once() -> None:
    """Twelve rows of 96 positions would be 1,152; rows may take 3/4 of the 560 there are."""
    path = tuple(range(70))
    engine = batched(cache_bytes=560 * POSITION)
    for i in range(12):
        engine.submit(Generation((*path, 100 + i, 9), max_tokens=8))
    engine.step()
    assert len(engine._rows) == 12


def test_short_stretches_are_copied_into_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 40 positions for five rows saves too little; where little is enough, it is shared."""
    requests = [Generation((*range(40), 100 + i, 9), max_tokens=3) for i in range(5)]
    for limit, shared in ((memory_module.SHARING_BYTES, 0), (1, 40)):
        monkeypatch.setattr(memory_module, "SHARING_BYTES", limit)
        engine = batched()
        for request in requests:
            engine.submit(request)
        engine.step()
        assert [row.shared for row in engine._rows] == [shared] * 5
        assert [row.own for row in engine._rows] == [42 - shared] * 5
        engine.step()
        assert engine._shared is not None and len(engine._shared) == (shared > 0)


def test_rows_are_made_as_long_as_the_longest_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    original = RowCache.resize

    def spy(cache: RowCache, rows: int, capacity: int, used: int, kept: int) -> None:
        made.append((rows, capacity))
        original(cache, rows, capacity, used, kept)

    monkeypatch.setattr(RowCache, "resize", spy)
    run(batched(), [Generation(tuple(range(i, 20 * (i + 1))), max_tokens=4) for i in range(4)])
    assert made == [(4, 96)]


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.booleans(), st.booleans())


@pytest.mark.parametrize("in_place", [True, False])
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(SIZES, min_size=1, max_size=8), dtype=st.sampled_from(["float32", "bfloat16"])
)
def test_resized_rows_keep_what_they_hold(
    in_place: bool, sizes: list[tuple[int, int, bool, bool]], dtype: str
) -> None:
    """Rows and positions change in any order; each time, some of what was held is kept."""
    shape = KeyValueShape(3, 2, 4, getattr(torch, dtype), torch.device("cpu"))
    most = shape.bytes_per_position * 6 * 9
    with pytest.MonkeyPatch.context() as patch:
        if not in_place:
            patch.setattr(keyvalues_module, "Reserve", refused)
        cache = RowCache(shape, most)
    assert bool(cache._reserves) == in_place and cache.bytes == 0
    for number, (rows, capacity, drained, given_back) in enumerate(sizes):
        used = 0 if drained else min(rows, cache.rows)
        kept = min(capacity, cache.capacity) if used else 0
        before = [part[:, :used, :, :kept].clone() for part in (cache.keys, cache.values)]
        highest = cache.bytes_while_resized(rows, capacity, used)
        cache.resize(rows, capacity, used, kept)
        assert cache.bytes <= highest and (cache.rows, cache.capacity) == (rows, capacity)
        if given_back:
            cache.give_back()
            assert cache.spare == 0 and cache.bytes == cache.bytes_of(rows, capacity)
        for held, part in zip(before, (cache.keys, cache.values), strict=True):
            assert torch.equal(part[:, :used, :, :kept], held)
            assert part.isfinite().all()
            part.copy_(torch.randn(part.shape) + number)
        assert not torch.equal(cache.keys, cache.values)


def refused(size: int) -> Reserve:
    """A system that gives no address space."""
    raise OSError(f"no {size} bytes")


def test_pages_that_are_given_back_are_zeros() -> None:
    reserve = Reserve(3 * mmap.PAGESIZE)
    numbers = reserve.view((3 * mmap.PAGESIZE // 4,), torch.float32)
    assert not numbers.any()
    numbers.fill_(1.0)
    reserve.give_back(mmap.PAGESIZE + 4)
    assert float(numbers.sum()) == 2 * mmap.PAGESIZE // 4
    reserve.give_back(3 * mmap.PAGESIZE)
    assert float(numbers.sum()) == 2 * mmap.PAGESIZE // 4


def test_nothing_is_allocated_between_admissions(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = batched()
    for i in range(4):
        engine.submit(Generation(tuple(range(i, i + 10)), max_tokens=12))
    engine.step()
    made: list[Any] = []
    for owner, name in ((KeyValueShape, "empty"), (RowCache, "resize")):
        original = getattr(owner, name)

        def spy(self: Any, *sizes: int, original: Any = original) -> Any:
            made.append(sizes)
            return original(self, *sizes)

        monkeypatch.setattr(owner, name, spy)
    place = engine._memory.rows.keys.data_ptr()
    for _ in range(10):
        engine.step()
    assert engine._memory.rows.keys.data_ptr() == place and not made


def test_ten_thousand_requests_do_not_grow_the_caches() -> None:
    made = tiny_llama(VOCABULARY, num_hidden_layers=1, hidden_size=16, intermediate_size=16)
    limit = 600 * KeyValueShape.of_model(made).bytes_per_position
    engine = BatchedEngine(made, fingerprint="x", cache_bytes=limit, max_rows=32)
    draw = random.Random(0)
    highest = []
    for _ in range(20):
        for _ in range(500):
            prompt = (*draw.choices(range(30), k=2), draw.randrange(VOCABULARY))
            engine.submit(Generation(prompt, max_tokens=0))
        while engine.step():
            pass
        assert len(engine.poll()) == 500
        highest.append(engine.cached_bytes)
        tree = engine._memory.tree
        assert len(tree._leaves) <= 1024 and not engine._rows and not engine._waiting
    assert max(highest) <= limit
    assert highest[-1] <= highest[3]


@given(
    reading=st.lists(st.booleans(), min_size=1, max_size=8),
    joining=st.lists(st.booleans(), max_size=3),
)
def test_rows_stay_without_gaps_and_keep_what_they_hold(
    reading: list[bool], joining: list[bool]
) -> None:
    """True is a row that leaves; what a row holds is its number."""
    shape = KeyValueShape(1, 1, 2, torch.float32, torch.device("cpu"))
    cache, root = RowCache(shape, 10_000), PrefixTree(shape).root
    leaves = [*reading, *joining]
    cache.resize(len(leaves), 4, 0, 0)
    rows = []
    for index in range(len(leaves)):
        sequence = RunningSequence(index, Generation((1,), max_tokens=1), None)
        rows.append(Row(sequence, root, 0, 0, 2, index, index < len(reading)))
        cache.keys[:, index] = cache.values[:, index] = index
    gone = {row for row, left in zip(rows, leaves, strict=True) if left}
    kept = compact(cache, rows, gone)
    assert [row.index for row in kept] == list(range(len(kept)))
    assert {row.sequence.ticket for row in kept} == {i for i, left in enumerate(leaves) if not left}
    assert [row.reading for row in kept] == sorted((row.reading for row in kept), reverse=True)
    order = [row.sequence.ticket for row in kept if not row.reading]
    assert order == sorted(order)
    for row in kept:
        assert (cache.keys[:, row.index, :, :2] == row.sequence.ticket).all()
