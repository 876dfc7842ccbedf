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
    """One generation of an `Expand`; `node` tags its events, `watch` may give it up."""

    generation: Generation
    node: int
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class Expand:
    """Decode these branches; `completed` is called for each as soon as it is done."""

    branches: tuple[Branch, ...]
    completed: Callable[[int, Draft], None] | None = None


@dataclass(frozen=True, slots=True)
class Expanded:
    """Drafts in the order of the branches; `interrupted` when time ran out on the way."""

    drafts: tuple[Draft, ...]
    cached: int = 0
    interrupted: bool = False


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


T = TypeVar("T")

Request = Expand | Retrieve
Result = Expanded | Retrieved
Steps = Generator[Request, Any, T]
