"""A `SelfRAG` over a scripted model, and retrievers that do as they are told."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from tiny_models import ScriptedBackend, tiny_llama, tiny_prompts

from decoding.config import DecodingConfig
from decoding.engine import BatchedEngine
from decoding.prompt import PromptBuilder
from decoding.reference import ReferenceEngine
from indexes.passage import Passage
from retrievers.hit import Hit
from selfrag import rag as rag_module
from selfrag.answer import Answer

Script = dict[str, dict[str, float]]

NO_SUPPORT = "[No support / Contradictory]"
CONTINUE = "[Continue to Use Evidence]"


@lru_cache
def prompts() -> PromptBuilder:
    return tiny_prompts()


def passages(*texts: str) -> tuple[Passage, ...]:
    """Passages p1, p2, … without titles."""
    return tuple(Passage(f"p{i}", "", text) for i, text in enumerate(texts, start=1))


class ListRetriever:
    """Gives its passages for every query, or others for chosen queries; keeps the queries."""

    fingerprint = "a list"

    def __init__(
        self,
        found: Sequence[Passage],
        by_query: Mapping[str, Sequence[Passage]] | None = None,
    ) -> None:
        self._found, self._by_query = found, dict(by_query or {})
        self.queries: list[str] = []

    def search(self, query: str, k: int) -> list[Hit]:
        self.queries.append(query)
        found = self._by_query.get(query, self._found)[:k]
        return [Hit(passage, 1.0 / rank, rank) for rank, passage in enumerate(found, start=1)]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        return [self.search(query, k) for query in queries]


class FailingRetriever(ListRetriever):
    """Raises for the first `times` searches."""

    def __init__(self, found: Sequence[Passage] = (), times: int = 10**9) -> None:
        super().__init__(found)
        self._left = times

    def search(self, query: str, k: int) -> list[Hit]:
        if self._left > 0:
            self._left -= 1
            self.queries.append(query)
            raise RuntimeError("the disk is on fire")
        return super().search(query, k)


class HangingRetriever(ListRetriever):
    """Hangs until `release` is set."""

    def __init__(self, found: Sequence[Passage] = ()) -> None:
        super().__init__(found)
        self.asked, self.release = threading.Event(), threading.Event()

    def search(self, query: str, k: int) -> list[Hit]:
        self.asked.set()
        self.release.wait(20)
        return super().search(query, k)


def scripted(
    script: Script,
    retriever: Any = None,
    *,
    context: int = 512,
    store: Any = None,
    calibration: Any = None,
    **config: Any,
) -> tuple[rag_module.SelfRAG, ScriptedBackend]:
    """A SelfRAG over a script, and its backend, which keeps the generations."""
    backend = ScriptedBackend(prompts(), script, context)
    rag = rag_module.SelfRAG(
        backend,
        prompts(),
        retriever,
        # Scripts are short, and say the same word in every segment.
        config=DecodingConfig(**{"allow_repeats": True, **config}),
        store=store,
        calibration=calibration,
    )
    return rag, backend


def tiny_rag(
    seed: int, retriever: Any = None, *, engine: str = "batched", store: Any = None, **config: Any
) -> rag_module.SelfRAG:
    """A SelfRAG over a random Llama that likes control tokens."""
    options = {"passages": 3, "max_segments": 3, "max_segment_tokens": 10, "min_mass": 0.0}
    return rag_module.SelfRAG(
        tiny_backend(seed, engine),
        prompts(),
        retriever or ListRetriever(passages("One cat.", "Two dogs!", "Six birds?")),
        config=DecodingConfig(**{**options, **config}),
        store=store,
    )


def tiny_backend(seed: int, engine: str = "batched", **options: Any) -> Any:
    """An engine over a random Llama."""
    if engine == "reference":
        return ReferenceEngine(reflective_llama(seed), fingerprint=f"tiny-{seed}")
    return BatchedEngine(reflective_llama(seed), fingerprint=f"tiny-{seed}", **options)


@lru_cache
def reflective_llama(seed: int) -> Any:
    """A random Llama whose control tokens are often its most probable ones."""
    model = tiny_llama(424, seed=seed, context=256)
    with torch.no_grad():
        model.lm_head.weight[list(prompts().vocabulary.read_ids)] *= 1.6
    return model


def literal(ids: Sequence[int]) -> str:
    """Ids as text with control tokens shown."""
    return prompts().codec.literal(ids)


def nodes(answer: Answer) -> list[Any]:
    """The nodes of an answer's tree, by id."""
    found: list[Any] = answer.tree["nodes"]
    return found


def comparable(answer: Answer) -> dict[str, Any]:
    """What must not depend on how a question was asked.

    Left out are times, and how many tokens were generated or served from a store: a branch is
    given up sooner or later depending on what else runs.
    """
    data = answer.to_dict()
    usage = data["usage"]
    data["usage"] = {key: usage[key] for key in ("expansions", "retrievals", "passages")}
    work = ("prune", "order")
    data["configuration"] = {k: v for k, v in data["configuration"].items() if k not in work}
    return data


def assert_same_answer(found: Answer, expected: Answer, tolerance: float = 0.0) -> None:
    """Equal but for times; numbers to `tolerance`."""
    assert_close(comparable(found), comparable(expected), tolerance)


def assert_same_but_unread(pruned: Answer, whole: Answer, tolerance: float = 0.0) -> None:
    """The same, but that passages which could not win were not read."""
    usage = pruned.usage
    assert usage.expansions <= whole.usage.expansions
    assert usage.prompt_tokens <= whole.usage.prompt_tokens
    as_read = replace(whole.usage, expansions=usage.expansions, prompt_tokens=usage.prompt_tokens)
    assert_same_answer(pruned, replace(whole, usage=as_read), tolerance)


def assert_close(found: Any, expected: Any, tolerance: float, where: str = "answer") -> None:
    """Nested data, equal but for `tolerance` in its floats."""
    if isinstance(expected, float) and isinstance(found, float):
        assert abs(found - expected) <= tolerance, (where, found, expected)
    elif isinstance(expected, Mapping):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            assert_close(found[key], value, tolerance, f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_close(found[index], value, tolerance, f"{where}[{index}]")
    else:
        assert found == expected, where
