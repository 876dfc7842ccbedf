"""Which passages are evidence together: candidates are judged in pairs.

Each piece of evidence of a multi-hop question explains a part of it and leads to the next, so a
passage is judged by its best partner: both explain words of the question that the other lacks,
and names or proper words connect them. With r(p, t) the BM25 score of word t in passage p over
the highest among the candidates, w(t) the word's share of rarity in the question and b(p) the
score of a passage alone, a linear function of its features:

    covered(p, q)  = sum over t of w(t) max(r(p, t), r(q, t))
    balance(p, q)  = min(covered(p, q) - covered(p), covered(p, q) - covered(q))
    pair(p, q)     = a weighted sum of b(p), b(q), balance, proper words that both hold, and
                     covered times the ties between the two
    score(q)       = the highest pair score in which q takes part

p runs over the passages with the highest b, q over all candidates. A second round with the scores
in place of b lets a partner's partner count, as in questions of three hops. The weights are those
of a logistic model ("this pair, or any pair that is not all gold?") fitted on questions of three
data sets (docs/retrieval.md). This module knows numbers only: no texts, queries or indexes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float32]


ALONE = np.array([2.62, 13.5, -6.6, 2.04], dtype=np.float32)
"""The weights of `alone_features`."""
PAIRS = np.array([0.72, 0.72, 10.8, 0.48, 2.4, 4.7], dtype=np.float32)
"""The weights of `pair_features`."""

_TINY = 1e-9
_MOST_TIED = 1.5
_MOST_SHARED = 3.0
_LEAST_CLOSE = -3.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What is known of n candidates; the question has t words that occur in the corpus.

    Attributes:
        words: BM25 score of each word in each candidate, shape [n, t].
        rarity: of each word, not negative, shape [t].
        walk: probabilities, over the highest of all passages, shape [n].
        closeness: similarities of vectors, shape [n]; None where there are none.
    """

    words: Numbers
    rarity: Numbers
    walk: Numbers
    closeness: Numbers | None


@dataclass(frozen=True, slots=True, eq=False)
class Ties:
    """How k first passages are tied to n candidates, arrays of shape [k, n].

    Attributes:
        named: how rare the titles are by which one of the two mentions the other, 0 to 1.
        names: how rare the names are that both mention, 0 or more.
        shared: how rare the proper words are that both hold, 0 or more.
    """

    named: Numbers
    names: Numbers
    shared: Numbers


def alone_features(features: Features) -> Numbers:
    """What speaks for every candidate by itself, shape [n, 4].

    The columns: the share of the question's words that it holds, by rarity; the root of its
    probability in the walk; that probability; and how far its closeness lies below the highest,
    in distances from the highest to the median.
    """
    closeness = np.zeros(len(features.walk), dtype=np.float32)
    if features.closeness is not None and len(closeness):
        highest = float(features.closeness.max())
        spread = max(highest - float(np.median(features.closeness)), _TINY)
        closeness = np.maximum((features.closeness - highest) / spread, _LEAST_CLOSE)
    held = (features.words > 0) @ _shares(features.rarity)
    columns = (held, np.sqrt(features.walk), features.walk, closeness)
    return np.stack(columns, axis=1).astype(np.float32)


def pair_features(
    alone: Numbers, firsts: npt.NDArray[np.int64], features: Features, ties: Ties
) -> Numbers:
    """What speaks for every pair, shape [k, n, 6].

    The last axis: b(p); b(q); balance; how rare the proper words are that both hold; all
    ties times covered; and titles that one of the two mentions times covered.

    Args:
        alone: the candidates' scores by themselves, shape [n].
        firsts: which candidates are the first of a pair, shape [k].
        features: of the candidates.
        ties: between these firsts and all candidates.
    """
    share = _shares(features.rarity)
    parts = features.words / np.maximum(features.words.max(axis=0, initial=0.0), _TINY)
    own = parts @ share
    covered = np.maximum(parts[firsts][:, None, :], parts[None, :, :]) @ share
    tied = np.minimum(ties.named + ties.names + np.minimum(ties.shared, 1.0), _MOST_TIED)
    first, second = np.broadcast_arrays(alone[firsts][:, None], alone[None, :])
    parts_of_score = (
        first,
        second,
        np.minimum(covered - own[firsts][:, None], covered - own[None, :]),
        np.minimum(ties.shared, _MOST_SHARED),
        tied * covered,
        ties.named * covered,
    )
    return np.stack(parts_of_score, axis=2).astype(np.float32)


def best_partners(pairs: Numbers, firsts: npt.NDArray[np.int64]) -> Numbers:
    """The score of every candidate with its best partner.

    Args:
        pairs: scores, shape [k, n], k at least 1 and n at least 2.
        firsts: which candidates are the first of a pair, shape [k]; none is its own partner.

    Returns:
        The highest score in which each takes part, as first or as second, shape [n].
    """
    pairs = pairs.copy()
    pairs[np.arange(len(firsts)), firsts] = -np.inf
    best = pairs.max(axis=0)
    best[firsts] = np.maximum(best[firsts], pairs.max(axis=1))
    return np.asarray(best, dtype=np.float32)


def _shares(rarity: Numbers) -> Numbers:
    return np.asarray(rarity / max(float(rarity.sum()), _TINY), dtype=np.float32)
