"""More vectors like given ones: interpolation between near neighbours, with the residual of others.

Every real vector x is nearly a point between two of its near neighbours: with b and c among the
`neighbours` nearest of x and a share t in [0, 1],

    slerp(b, c, t)                  a point between them on the sphere
    x = cos(a) slerp(b, c, t) + sin(a) e

The angle a and the direction e, orthogonal to the point, are what interpolation cannot know of x:
its residual. A new vector begins between x and one of its near neighbours b, and takes `residual`
times the angle of x and the direction of the residual of another real vector z:

    p = slerp(x, b, t)
    y = cos(r a) p + sin(r a) e'    with e' = the direction of z less its part along p, normalised

Without a residual (r = 0) new vectors lie nearer to each other than real ones do, in fewer
dimensions, and indexes find them too easily; with a whole one (r = 1) they lie further from all
questions than real ones do, as its direction knows nothing of what x says, and indexes find them
too hard. Angles keep their local distribution and directions that of real residuals, in all
dimensions; r and the number of neighbours are fitted, and the match is then measured with other
questions (`recall_curves`, `auto_match`).

Nothing here knows texts, encoders or indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_BLOCK_ROWS = 10_000
_QUERY_ROWS = 1_024
_SMALLEST_ANGLE = 1e-4


@dataclass(frozen=True, slots=True)
class Interpolation:
    """How new vectors are made.

    Attributes:
        neighbours: among how many nearest the points of an interpolation are drawn.
        residual: r, the part of a real residual's angle that a new vector gets.
        seed: of all draws.
    """

    neighbours: int = 8
    residual: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.neighbours < 2:
            raise ValueError(f"neighbours is {self.neighbours}; two points need at least 2.")
        if not 0 <= self.residual <= 1:
            raise ValueError(f"residual is {self.residual}; it is a part, from 0 to 1.")


def nearest_neighbours(
    vectors: Floats, count: int, tick: Callable[[int], None] = lambda done: None
) -> npt.NDArray[np.int32]:
    """The rows of the `count` nearest other vectors of each, by exact inner products.

    Args:
        vectors: of length 1, shape [n, dimension], n above `count`.
        count: how many.
        tick: told how many rows are done.

    Returns:
        Shape [n, count], nearest first; never a row's own number.
    """
    if len(vectors) <= count:
        raise ValueError(f"{len(vectors)} vectors have no {count} neighbours each.")
    import faiss

    near = np.empty((len(vectors), count), dtype=np.int32)
    for begin in range(0, len(vectors), _QUERY_ROWS):
        part = vectors[begin : begin + _QUERY_ROWS]
        _, rows = faiss.knn(part, vectors, count + 1, metric=faiss.METRIC_INNER_PRODUCT)
        own = rows == np.arange(begin, begin + len(part))[:, None]
        # Among many equal vectors a row may be missing from its own list: then the last one goes.
        own[~own.any(axis=1), -1] = True
        near[begin : begin + len(part)] = rows[~own].reshape(len(part), count)
        tick(begin + len(part))
    return near


def slerp(first: Floats, second: Floats, shares: npt.NDArray[np.floating]) -> Floats:
    """Points on the shorter arcs from `first` to `second`, spherical linear interpolation.

    p = sin((1 - t) w) / sin(w) first + sin(t w) / sin(w) second, with w the angle between them
    (Shoemake, "Animating rotation with quaternion curves", 1985). Where w is almost 0 the chord
    stands for the arc.

    Args:
        first: of length 1, shape [n, dimension].
        second: likewise.
        shares: t, shape [n]; 0 gives `first`, 1 gives `second`.
    """
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", first, second), -1, 1))
    flat = angles < _SMALLEST_ANGLE
    sines = np.where(flat, 1, np.sin(angles))
    of_first = np.where(flat, 1 - shares, np.sin((1 - shares) * angles) / sines)
    of_second = np.where(flat, shares, np.sin(shares * angles) / sines)
    return _normalised(of_first[:, None] * first + of_second[:, None] * second)


def extended(
    vectors: Floats,
    near: npt.NDArray[np.int32],
    rows: int,
    settings: Interpolation,
) -> Iterator[Floats]:
    """New vectors in blocks, each of length 1, float32; `rows` in all.

    Every real vector is the model of as many new ones as every other, or of one more.

    Args:
        vectors: real ones of length 1, shape [n, dimension].
        near: their `nearest_neighbours`, at least `settings.neighbours` columns.
        rows: how many to make.
        settings: how. The same settings give the same vectors.
    """
    order = np.random.default_rng(settings.seed).permutation(len(vectors))
    for number, begin in enumerate(range(0, rows, _BLOCK_ROWS)):
        generator = np.random.default_rng([settings.seed, number])
        places = np.arange(begin, min(begin + _BLOCK_ROWS, rows))
        models = order[places % len(vectors)]
        others = near[models, generator.integers(0, settings.neighbours, len(models))]
        points = slerp(vectors[models], vectors[others], generator.random(len(models)))
        angles, _ = _residuals(vectors, near, models, settings.neighbours, generator)
        givers = generator.integers(0, len(vectors), len(models))
        _, directions = _residuals(vectors, near, givers, settings.neighbours, generator)
        along = np.einsum("ij,ij->i", directions, points)
        directions = _normalised(directions - along[:, None] * points)
        turned = settings.residual * angles[:, None]
        yield _normalised(np.cos(turned) * points + np.sin(turned) * directions)


def _residuals(
    vectors: Floats,
    near: npt.NDArray[np.int32],
    models: npt.NDArray[np.int64],
    neighbours: int,
    generator: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], Floats]:
    """Of each model: the angle to a point between two neighbours, and the direction from it."""
    first = generator.integers(0, neighbours, len(models))
    second = (first + generator.integers(1, neighbours, len(models))) % neighbours
    shares = generator.random(len(models))
    points = slerp(vectors[near[models, first]], vectors[near[models, second]], shares)
    cosines = np.clip(np.einsum("ij,ij->i", vectors[models], points), -1, 1).astype(np.float64)
    return np.arccos(cosines), _normalised(vectors[models] - cosines[:, None] * points)


def _normalised(vectors: npt.NDArray[np.floating]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
