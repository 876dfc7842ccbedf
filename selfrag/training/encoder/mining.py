"""Hard negatives: passages that the encoder of the moment finds close to a query, wrongly.

For each query the nearest passages are found by exact search (FAISS), and left out of them are its
positives, near-duplicates of its positives, passages that are nearer than the margin allows, and
those that are its negatives already; negatives are drawn from the first of what remains.

`sentence_transformers.util.mine_hard_negatives` does most of this, but knows no near-duplicates of
positives, leaves out queries for which it finds too few negatives, and caches vectors by the
model's name, which does not change while it is trained. This module knows nothing of training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from selfrag.training.encoder.data import EncoderData
from selfrag.training.encoder.errors import NotEnoughQueries
from selfrag.training.encoder.plan import EncoderPlan

_QUERIES_AT_A_TIME = 1024
_LOOKED_AT = 3
"""Passages that are looked at for each of the `depth` that negatives are drawn from."""

Vectors = npt.NDArray[np.float32]


@dataclass(slots=True)
class MiningCounts:
    """What became of the passages that were looked at.

    Attributes:
        queries: mined for. found: negatives found among the nearest passages.
        given: negatives that the data named. random: negatives drawn from all passages, because
            too few were found.
        positives, duplicates, near: nearest passages left out as positives of the query, as
            near-duplicates of them, and as nearer than the margin allows.
    """

    queries: int = 0
    found: int = 0
    given: int = 0
    random: int = 0
    positives: int = 0
    duplicates: int = 0
    near: int = 0

    def to_dict(self) -> dict[str, int]:
        """JSON values."""
        return asdict(self)


def encode(model: Any, texts: Sequence[str], batch: int, *, queries: bool) -> Vectors:
    """Vectors of length 1 with the model's own prompts for queries or passages, [texts, d].

    Args:
        batch: texts in one forward pass.
    """
    method = model.encode_query if queries else model.encode_document
    vectors = method(
        list(texts),
        batch_size=batch,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    return np.ascontiguousarray(vectors, dtype=np.float32)


def mine_negatives(
    model: Any,
    data: EncoderData,
    plan: EncoderPlan,
    *,
    seed: int,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[list[tuple[str, ...]], MiningCounts]:
    """`plan.negatives` passages for each query: those that the data names, then mined ones, then,
    where these are too few, random passages that are no positives.

    Args:
        model: a sentence-transformers model. data: passages and queries.
        seed: of the draws. advance: told how many further queries are done.

    Returns:
        Ids of passages for each query, and counts.

    Raises:
        NotEnoughQueries: the passages are too few for so many negatives.
    """
    import faiss

    names = list(data.passages)
    rows = {name: row for row, name in enumerate(names)}
    most = max((len(query.positives) for query in data.queries), default=0)
    if len(names) < most + plan.negatives:
        raise NotEnoughQueries(
            f"{len(names)} passages are too few: a query has {most} positives, and "
            f"{plan.negatives} negatives are wanted.",
            "Give more passages, or ask for fewer negatives.",
        )
    batch = plan.mini_batch if plan.base else _QUERIES_AT_A_TIME
    passages = encode(model, list(data.passages.values()), batch, queries=False)
    counts = MiningCounts(queries=len(data.queries))
    rng = Random(seed)
    made: list[tuple[str, ...]] = []
    for start in range(0, len(data.queries), _QUERIES_AT_A_TIME):
        group = data.queries[start : start + _QUERIES_AT_A_TIME]
        vectors = encode(model, [query.text for query in group], batch, queries=True)
        spare = max(len(query.positives) for query in group)
        nearest = min(len(names), _LOOKED_AT * plan.depth + spare)
        cosines, found = faiss.knn(vectors, passages, nearest, faiss.METRIC_INNER_PRODUCT)
        for place, query in enumerate(group):
            right = [rows[name] for name in query.positives]
            floor = float(np.min(passages[right] @ vectors[place]))
            taken = [rows[name] for name in query.negatives[: plan.negatives]]
            counts.given += len(taken)
            wanted = plan.negatives - len(taken)
            mined = _admissible(
                found[place], cosines[place], passages, right, taken, floor, plan, counts
            )
            chosen = rng.sample(mined, min(wanted, len(mined)))
            counts.found += len(chosen)
            taken += chosen
            taken += _at_random(rng, len(names), {*right, *taken}, wanted - len(chosen))
            counts.random += wanted - len(chosen)
            made.append(tuple(names[row] for row in taken))
        advance(len(group))
    return made, counts


def _admissible(
    found: npt.NDArray[np.int64],
    cosines: Vectors,
    passages: Vectors,
    right: Sequence[int],
    taken: Sequence[int],
    floor: float,
    plan: EncoderPlan,
    counts: MiningCounts,
) -> list[int]:
    """The first `plan.depth` of the found rows that may be negatives."""
    ceiling = math.inf if plan.margin is None else floor - abs(floor) * plan.margin
    alike = (passages[found] @ passages[right].T).max(axis=1) >= plan.duplicate
    answers, negatives = set(right), set(taken)
    free: list[int] = []
    for row, cosine, duplicate in zip(
        found.tolist(), cosines.tolist(), alike.tolist(), strict=True
    ):
        if row in answers:
            counts.positives += 1
        elif duplicate:
            counts.duplicates += 1
        elif cosine > ceiling:
            counts.near += 1
        elif row not in negatives:
            free.append(row)
            if len(free) == plan.depth:
                break
    return free


def _at_random(rng: Random, rows: int, taken: set[int], wanted: int) -> list[int]:
    """`wanted` rows that are not taken."""
    chosen: list[int] = []
    while len(chosen) < wanted:
        row = rng.randrange(rows)
        if row not in taken:
            taken.add(row)
            chosen.append(row)
    return chosen
