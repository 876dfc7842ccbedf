"""The store of expansions: exact, complete where it says so, and wary of files it did not write."""

from __future__ import annotations

import math
import random
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scripts import NAMES, random_script
from scripted_rag import (
    ListRetriever,
    assert_same_answer,
    nodes,
    passages,
    prompts,
    scripted,
)

from decoding.config import DecodingConfig
from decoding.errors import CutUnproven
from decoding.generation import Draft, Generation
from retrievers.hit import Hit
from selfrag.answer import Answer, Budget
from selfrag.errors import RecordingIncomplete
from selfrag.expansion_rows import StoredRow, draft_from_dict, draft_to_dict, generation_key
from selfrag.expansions import ExpansionStore
from selfrag.rag import SelfRAG
from selfrag.replay import ReplayBackend

REQUEST = Generation(
    (1, 2, 3),
    max_tokens=5,
    stop_ids=frozenset({7, 8}),
    closing_ids=frozenset({9}),
    first_ids=(4, 5),
    read_ids=(4, 5, 6),
)


def draft(length: int, finish: Any) -> Draft:
    ids = tuple(range(20, 20 + length))
    readings = {0: (-1.0, -math.inf, -0.1)}
    return Draft(ids, (-0.1,) * length, readings, None if finish == "cut" else 7, finish, False)


def hit(text: str = "w1") -> Hit:
    return Hit(passages(text)[0], 0.1 + 0.2, 1)


def test_round_trip_through_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = ExpansionStore(path, "record")
    store.add_draft("model", REQUEST, draft(3, "stop"))
    store.add_hits("index", "query é", 5, (hit(),))
    assert store.counts() == {"expansions": 1, "retrievals": 1}
    store.close()
    for mode in ("cache", "record", "replay"):
        again = ExpansionStore(path, mode)
        assert again.draft("model", REQUEST) == draft(3, "stop")
        assert again.hits("index", "query é", 5) == (hit(),)
        assert again.hits("index", "query é", 4) is None
        assert again.hits("other", "query é", 5) is None
        assert again.draft("other", REQUEST) is None
        again.close()


floats = st.floats(max_value=0.0, allow_nan=False)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), floats)), st.none() | st.integers(0, 99), floats)
def test_drafts_survive_exactly(
    tokens: list[tuple[int, float]], next_id: int | None, value: float
) -> None:
    import json

    ids, logs = tuple(t for t, _ in tokens), tuple(p for _, p in tokens)
    made = Draft(ids, logs, {0: (value, -math.inf), 12: ()}, next_id, "limit")
    assert draft_from_dict(json.loads(json.dumps(draft_to_dict(made)))) == made


def test_what_the_key_holds() -> None:
    key = generation_key("model", REQUEST)
    assert key == generation_key("model", replace(REQUEST, max_tokens=50))
    reordered = replace(REQUEST, stop_ids=frozenset({8, 7}))
    assert key == generation_key("model", reordered)
    changes: list[dict[str, Any]] = [
        {"prompt_ids": (1, 2)},
        {"stop_ids": frozenset({7})},
        {"closing_ids": frozenset()},
        {"first_ids": (5, 4)},
        {"first_offsets": (0.5, 0.0)},
        {"forced_ids": (1,)},
        {"read_ids": (4, 5)},
    ]
    keys = {generation_key("model", replace(REQUEST, **change)) for change in changes}
    keys |= {key, generation_key("model-bfloat16", REQUEST)}
    assert len(keys) == len(changes) + 2


@pytest.mark.parametrize(
    "length, finish, asked, served",
    [
        (3, "stop", 5, True),
        (3, "stop", 3, True),
        (3, "stop", 2, False),
        (3, "closed", 4, True),
        (5, "limit", 5, True),
        (5, "limit", 6, False),
        (5, "limit", 4, False),
        (3, "cut", 5, False),
        (3, "cancelled", 5, False),
    ],
)
def test_what_is_served(tmp_path: Path, length: int, finish: str, asked: int, served: bool) -> None:
    store = ExpansionStore(tmp_path / "store", "cache")
    store.add_draft("model", REQUEST, draft(length, finish))
    found = store.draft("model", replace(REQUEST, max_tokens=asked))
    assert found == (draft(length, finish) if served else None)
    store.close()
    replay = ExpansionStore(tmp_path / "store", "replay")
    found = replay.draft("model", replace(REQUEST, max_tokens=asked))
    assert (found is not None) == (served or finish == "cut")
    replay.close()


def test_the_longer_draft_is_kept(tmp_path: Path) -> None:
    """Before it is written, and after."""
    store = ExpansionStore(tmp_path / "store", "cache")
    other = ExpansionStore(tmp_path / "other", "cache")
    for finish, length, kept in [
        ("cut", 2, "cut"),
        ("limit", 1, "cut"),
        ("limit", 2, "limit"),
        ("cut", 2, "limit"),
        ("stop", 4, "stop"),
        ("cut", 4, "stop"),
        ("limit", 3, "stop"),
    ]:
        store.add_draft("model", REQUEST, draft(length, finish))
        other.add_draft("model", REQUEST, draft(length, finish))
        other.commit()
        for made in (store, other):
            row = made._read(generation_key("model", REQUEST), StoredRow.draft)
            assert row is not None and row.finish == kept
    store.close()
    other.close()


def test_a_replay_adds_nothing(tmp_path: Path) -> None:
    ExpansionStore(tmp_path / "store", "record").close()
    before = (tmp_path / "store").read_bytes()
    store = ExpansionStore(tmp_path / "store", "replay")
    store.add_draft("model", REQUEST, draft(3, "stop"))
    store.add_hits("index", "query", 5, (hit(),))
    assert store.counts() == {"expansions": 0, "retrievals": 0}
    store.close()
    assert (tmp_path / "store").read_bytes() == before


def run(seed: int, path: Path | None, mode: Any, **config: Any) -> Answer:
    """One question over a random script, with a store."""
    settings: dict[str, Any] = {
        "mode": "always",
        "max_segments": 3,
        "allow_repeats": True,
        **config,
    }
    retriever = ListRetriever(passages(*NAMES))
    store = None if path is None or mode is None else ExpansionStore(path, mode)
    script = random_script(random.Random(seed))
    rag, _ = scripted(script, retriever, store=store, **settings)
    if mode == "replay":
        backend = ReplayBackend("scripted", 512)
        config_of = DecodingConfig(**settings)
        rag = SelfRAG(backend, prompts(), retriever, config=config_of, store=store)
    with rag:
        answer = rag.ask("Q")
    assert mode != "replay" or retriever.queries == []
    return answer


@pytest.mark.parametrize("form", ["long", "short"])
def test_a_recording_is_complete_and_replays_under_other_weights(tmp_path: Path, form: str) -> None:
    same: dict[str, Any] = {"form": form, "beam_width": 4, "max_segments": 1}
    weights = {"w_seq": 0.3, "w_rel": 2.0, "w_sup": 0.1, "w_use": 1.5}
    changed = 0
    for seed in range(8):
        path = tmp_path / f"{seed}"
        recorded = run(seed, path, "record", **same)
        assert recorded.configuration["prune"] is False and recorded.usage.pruned == 0
        connection = sqlite3.connect(path)
        whole = {row[0] for row in connection.execute("SELECT whole FROM rows")}
        pinned = {row[0] for row in connection.execute("SELECT pinned FROM rows")}
        connection.close()
        assert whole == pinned == {1}
        assert_same_answer(run(seed, path, "replay", **same), recorded)
        live = run(seed, path, None, **same, **weights)
        again = run(seed, path, "replay", **same, **weights)
        assert_same_answer(again, live)
        assert again.usage.cached == again.usage.expansions
        changed += live.text != recorded.text
    assert changed


def test_an_incomplete_recording_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store"
    run(3, path, "record", passages=2)
    with pytest.raises(RecordingIncomplete, match="retrieval"):
        run(3, path, "replay", passages=3)
    rag, _ = scripted({}, None)
    backend = ReplayBackend("scripted", 512)
    rag = SelfRAG(backend, prompts(), None, store=ExpansionStore(path, "replay"))
    with rag, pytest.raises(RecordingIncomplete, match="expansion"):
        rag.ask("Another?", passages=passages("w1"))


def test_cut_branches_replay_only_where_the_cut_is_proven(tmp_path: Path) -> None:
    refused = replayed = 0
    for seed in range(30):
        path = tmp_path / str(seed)
        settings: dict[str, Any] = {"form": "short", "w_use": 0.0}
        first = run(seed, path, "cache", **settings)
        assert_same_answer(run(seed, path, "replay", **settings), first)
        assert_same_answer(run(seed, path, "cache", **settings), first)
        if not first.usage.pruned:
            continue
        other = {"form": "short", "w_use": 0.0, "w_rel": 0.9, "w_sup": seed % 2 * 0.9}
        live = run(seed, path, None, **other)
        try:
            again = run(seed, path, "replay", **other)
        except CutUnproven as error:
            assert "prun" in error.hint
            refused += 1
        else:
            assert_same_answer(again, live)
            replayed += 1
    assert refused and replayed


def test_a_full_cache_decodes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    script = random_script(random.Random(1))
    for turn in range(2):
        store = ExpansionStore(path, "cache")
        rag, backend = scripted(
            script, ListRetriever(passages(*NAMES)), store=store, mode="always", prune=False
        )
        with rag:
            answer = rag.ask("Q")
        assert (backend.generations == []) == (turn == 1)
        assert answer.usage.cached == (answer.usage.expansions if turn else 0)
        assert all(node["status"] != "cut" for node in nodes(answer))


@pytest.mark.parametrize("order", ["auto", "together", "leaders"])
def test_cut_branches_are_resumed_where_they_were_cut(tmp_path: Path, order: str) -> None:
    """A cache of a pruned run, asked without pruning, gives what a run without a cache gives; and
    the model writes nothing that was written before."""
    resumed = 0
    for seed in range(12):
        path = tmp_path / str(seed)
        settings: dict[str, Any] = {"form": "short", "w_ret": 2.0}
        first = run(seed, path, "cache", order=order, **settings)
        whole = run(seed, path, "cache", prune=False, **settings)
        live = run(seed, None, None, prune=False, **settings)
        assert_same_answer(whole, live)
        assert [n["token_ids"] for n in nodes(whole)] == [n["token_ids"] for n in nodes(live)]
        assert whole.usage.cached_tokens == first.usage.generated_tokens
        assert whole.usage.model_calls == first.usage.pruned
        resumed += first.usage.pruned
        again = run(seed, path, "cache", prune=False, **settings)
        assert again.usage.model_calls == 0
    assert resumed > 12


def test_a_pruned_question_costs_nothing_the_second_time(tmp_path: Path) -> None:
    """Not even for the branches that were cut: they are cut again, from what is known."""
    cut = 0
    for seed in range(8):
        path = tmp_path / str(seed)
        first = run(seed, path, "cache", form="short")
        again = run(seed, path, "cache", form="short")
        assert_same_answer(again, first)
        assert again.usage.model_calls == 0
        assert again.usage.cached_tokens == again.usage.generated_tokens
        cut += again.usage.pruned
    assert cut


def test_a_limit_is_gone_beyond(tmp_path: Path) -> None:
    for seed in range(6):
        path = tmp_path / str(seed)
        run(seed, path, "cache", form="short", max_segment_tokens=2, prune=False)
        longer = run(seed, path, "cache", form="short", prune=False)
        assert_same_answer(longer, run(seed, None, None, form="short", prune=False))
        assert longer.usage.cached_tokens > 0


def test_a_recording_follows_budgets(tmp_path: Path) -> None:
    store = ExpansionStore(tmp_path / "store", "cache")
    rag, _ = scripted(
        random_script(random.Random(1)),
        ListRetriever(passages(*NAMES)),
        store=store,
        mode="always",
        prune=False,
    )
    with rag:
        rag.ask("Q")
        for limit in range(12):
            answer = rag.ask("Q", budget=Budget(max_generated_tokens=limit))
            assert answer.usage.generated_tokens <= limit
