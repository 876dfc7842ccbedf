"""What a controller asks of its driver, and what it is sent back.

A controller yields one of the requests and is sent the result of the same name in the past tense.
Failures, timeouts and spent budgets are results too, so that a controller can return the best it
has instead of being torn down.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from decoding.generation import Draft, Generation, Watch
from retrievers.hit import Hit


@dataclass(frozen=True, slots=True)
class Branch:
    """One generation of an `Expand`; `node` tags its events, `watch` may give it up, and `start`
    is a draft of it that was cut and is to be gone on with."""

    generation: Generation
    node: int
    watch: Watch | None = None
    start: Draft | None = None


@dataclass(frozen=True, slots=True)
class Expand:
    """Decode these branches, submitted in their order; `completed` is called for each as soon as it
    is done."""

    branches: tuple[Branch, ...]
    completed: Callable[[int, Draft], None] | None = None


@dataclass(frozen=True, slots=True)
class Expanded:
    """Drafts in the order of the branches.

    Attributes:
        cached: drafts that a store had whole.
        cached_tokens: tokens that it had, also of drafts that were gone on with.
        model_calls: requests that went to the model.
        interrupted: time ran out on the way.
        warnings: what happened to the store on the way.
    """

    drafts: tuple[Draft, ...]
    cached: int = 0
    cached_tokens: int = 0
    model_calls: int = 0
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Find the `k` best passages for a query."""

    query: str
    k: int


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Hits, best first; `error` says why there are none when the retriever failed."""

    hits: tuple[Hit, ...]
    error: str | None = None
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


T = TypeVar("T")

Request = Expand | Retrieve
Result = Expanded | Retrieved
Steps = Generator[Request, Any, T]
