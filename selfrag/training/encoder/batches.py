"""Batches in which no passage answers the query of another row.

Every query of a batch sees the passages of all rows, its own positive apart, as negatives. So a row
is put off to a later batch when one of its passages is a positive of a query that is in the batch
already, or the other way round. sentence-transformers' own `NO_DUPLICATES` compares texts, and
cannot know a query's other positives. This module knows nothing of texts and models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

_LOOKED_AT = 8
"""For a batch of n rows at most so many times n rows are looked at; what is found makes the batch.
So data in which everything answers everything end in small batches, not in a search without end."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One row: ids of its passages, of which the first answers, and all that answer its query."""

    passages: tuple[str, ...]
    positives: frozenset[str]


def distinct_batches(rows: Sequence[BatchRow], size: int, seed: int) -> Iterator[list[int]]:
    """Places of rows, in batches of at most `size`, each row once, in an order drawn by `seed`."""
    order = list(range(len(rows)))
    Random(seed).shuffle(order)
    order.reverse()  # taken from the end
    while order:
        batch: list[int] = []
        put_off: list[int] = []
        shown: set[str] = set()
        answering: set[str] = set()
        for _ in range(min(len(order), _LOOKED_AT * size)):
            place = order.pop()
            row = rows[place]
            if answering.isdisjoint(row.passages) and shown.isdisjoint(row.positives):
                batch.append(place)
                shown.update(row.passages)
                answering.update(row.positives)
                if len(batch) == size:
                    break
            else:
                put_off.append(place)
        order.extend(reversed(put_off))
        yield batch
