"""The prefix tree against a dictionary of all prefixes that it ought to hold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding.engine.keyvalues import KeyValueShape
from decoding.engine.prefixes import PrefixNode, PrefixTree, common_prefix

SHAPE = KeyValueShape(2, 3, 4, torch.float32, torch.device("cpu"))
Ids = tuple[int, ...]


def content(prefix: Ids) -> float:
    """What stands for the keys of a prefix's last position."""
    value = 0.0
    for token in prefix:
        value = (value * 31 + token + 1) % 1009
    return value


def insert(tree: PrefixTree, ids: Ids) -> PrefixNode:
    """Match and extend, as the engine does when a row has finished."""
    node, known = tree.match(ids, len(ids))
    if known == len(ids):
        return node
    child = tree.extend(node, ids[known:])
    assert child.block is not None
    for position in range(known, len(ids)):
        value = content(ids[: position + 1])
        child.block.keys[:, :, position - known] = value
        child.block.values[:, :, position - known] = -value
    child.block.ready = True
    return child


def held(tree: PrefixTree) -> dict[Ids, PrefixNode]:
    """Every prefix that the tree has, with the node of its last position."""
    found: dict[Ids, PrefixNode] = {}
    for node in tree.nodes():
        above = tuple(token for link in node.chain()[:-1] for token in link.ids)
        for length in range(1, len(node.ids) + 1):
            found[above + node.ids[:length]] = node
    return found


def tensor_bytes(tree: PrefixTree) -> int:
    blocks = {node.block for node in tree.nodes()}
    return sum(block.keys.nbytes + block.values.nbytes for block in blocks if block)


def check_contents(node: PrefixNode, prefix: Ids) -> None:
    """The chain's keys and values are those of the prefix, position by position."""
    keys = torch.cat([link.stretch().keys for link in node.chain()], dim=2)
    values = torch.cat([link.stretch().values for link in node.chain()], dim=2)
    expected = torch.tensor([content(prefix[: i + 1]) for i in range(len(prefix))])
    assert torch.equal(keys, expected[None, None, :, None].expand(keys.shape))
    assert torch.equal(values, -keys)


sequences = st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), sequences),
        st.tuples(st.just("match"), sequences),
        st.tuples(st.just("acquire"), sequences),
        st.tuples(st.just("release"), st.integers(0, 9)),
        st.tuples(st.just("evict"), st.integers(1, 12)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_equals_a_dictionary_of_all_prefixes(steps: list[tuple[str, Ids | int]]) -> None:
    tree = PrefixTree(SHAPE)
    used: dict[Ids, int] = {}
    references: list[tuple[PrefixNode, Ids]] = []
    for time, (action, argument) in enumerate(steps):
        if isinstance(argument, tuple):
            known = max((n for n in range(len(argument) + 1) if argument[:n] in used), default=0)
            if action == "insert":
                insert(tree, argument)
                known = len(argument)
            else:
                node, length = tree.match(argument, len(argument))
                assert length == known
                if known:
                    check_contents(node, argument[:known])
                if action == "acquire":
                    references.append((tree.acquire(node), argument[:known]))
            used.update({argument[:n]: time for n in range(1, known + 1)})
        elif action == "release" and argument < len(references):
            tree.release(references.pop(argument)[0])
        elif action == "evict":
            evict_one_by_one(tree, used, references, argument)
        assert set(held(tree)) == set(used)
        assert tree.bytes == tensor_bytes(tree)
        for node, prefix in references:
            if prefix:
                check_contents(node, prefix)


def evict_one_by_one(
    tree: PrefixTree, used: dict[Ids, int], references: list[tuple[PrefixNode, Ids]], count: int
) -> None:
    """Each eviction takes the least recently used leaf that nobody holds, or there is none."""
    for _ in range(count):
        longest = {p for p in used if not any(o != p and o[: len(p)] == p for o in used)}
        loose = longest - {prefix for _, prefix in references}
        before = set(used)
        freed = tree.bytes
        assert tree.evict(1) == bool(loose)
        gone = before - set(held(tree))
        assert bool(gone) == bool(loose)
        if loose:
            (leaf,) = gone & longest
            assert used[leaf] == min(used[prefix] for prefix in loose)
            assert all(leaf[: len(prefix)] == prefix for prefix in gone)
            assert freed - tree.bytes == len(gone) * SHAPE.bytes_per_position
        for prefix in gone:
            del used[prefix]


def test_nothing_is_copied_to_match_or_split() -> None:
    tree = PrefixTree(SHAPE)
    whole = insert(tree, (1, 2, 3, 4, 5))
    assert whole.block is not None
    place = whole.block.keys.data_ptr()
    head, length = tree.match((1, 2, 9), 3)
    assert length == 2 and head.ids == (1, 2) and whole.ids == (3, 4, 5)
    assert head.block is whole.block and whole.block.keys.data_ptr() == place
    assert whole.chain() == [head, whole]
    assert tree.match((1, 2, 3, 4, 5), 4)[1] == 4


def test_a_shared_block_gives_back_the_part_that_was_evicted() -> None:
    tree = PrefixTree(SHAPE)
    insert(tree, (1, 2, 3, 4, 5))
    head = tree.acquire(tree.match((1, 2), 2)[0])
    assert not tree.evict(4 * SHAPE.bytes_per_position)
    assert tree.bytes == 2 * SHAPE.bytes_per_position == tensor_bytes(tree)
    check_contents(head, (1, 2))


def test_a_node_that_is_not_computed_can_be_taken_out() -> None:
    tree = PrefixTree(SHAPE)
    insert(tree, (1, 2))
    node = tree.acquire(tree.extend(tree.match((1, 2), 2)[0], (3, 4, 5)))
    tree.match((1, 2, 3, 9), 4)
    tree.release(node)
    tree.remove_unready(node)
    assert set(held(tree)) == {(1,), (1, 2)}
    assert tree.bytes == 2 * SHAPE.bytes_per_position


def test_a_child_needs_ids_of_its_own() -> None:
    tree = PrefixTree(SHAPE)
    insert(tree, (1, 2))
    with pytest.raises(ValueError, match="its own"):
        tree.extend(tree.root, (1, 5))
    with pytest.raises(ValueError, match="its own"):
        tree.extend(tree.root, ())


@given(sequences, sequences)
def test_common_prefix(left: Ids, right: Ids) -> None:
    expected = 0
    while expected < min(len(left), len(right)) and left[expected] == right[expected]:
        expected += 1
    assert common_prefix(left, right) == expected
    assert common_prefix(left * 9, right * 9) >= expected
    assert common_prefix(left + right, left) == len(left)


def test_many_touches_do_not_grow_the_queue_of_leaves() -> None:
    tree = PrefixTree(SHAPE)
    for _ in range(3000):
        insert(tree, (1, 2, 3))
    assert len(tree._leaves) <= 1024
    assert tree.evict(1) and not tree.bytes
