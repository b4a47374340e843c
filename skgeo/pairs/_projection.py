"""Short columns that bound distances from below: a projection and the norm of what it leaves.

With z the coordinates of x on orthonormal directions and r the norm of the rest,

    |x - y|^2 >= |z_x - z_y|^2 + (r_x - r_y)^2,

a squared Euclidean distance in a few columns. Any orthonormal directions will do; those of the
greatest variance make the bound close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from ._points import FloatArray, IndexArray, Points, row_slices

_SAMPLE = 2048
_OVERSAMPLING = 16
_POWER_ITERATIONS = 2

#: Roundings of a bound beyond those of its sum of products: of the columns to single
#: precision, and of norms of the rest near 0, whose squares cancel in double precision.
_EXTRA = 64


class Projection:
    """Orthonormal directions of great variance, and the mean around which they are taken.

    Parameters
    ----------
    points : Points
        Vectors of which a sample, always the same, decides the directions.
    n_components : int
        How many directions at most.
    """

    def __init__(self, points: Points, n_components: int) -> None:
        n, d = points.X.shape
        rng = np.random.default_rng(0)
        ids = np.arange(n) if n <= _SAMPLE else np.sort(rng.choice(n, _SAMPLE, replace=False))
        sample = points.take(ids)
        self.mean = sample.mean(axis=0, dtype=np.float64)
        centred = sample - self.mean.astype(np.float32)
        width = min(d, n_components + _OVERSAMPLING)
        directions = rng.normal(size=(d, width)).astype(np.float32)
        for _ in range(_POWER_ITERATIONS):
            directions = np.linalg.qr(centred.T @ (centred @ directions))[0]
        image = (centred @ directions).astype(np.float64)
        _, rotation = np.linalg.eigh(image.T @ image)
        best = directions.astype(np.float64) @ rotation[:, ::-1][:, :n_components]
        # Orthonormal in double precision, whatever came before; the order of columns stays.
        self.basis: FloatArray = np.linalg.qr(best)[0]


class Short(NamedTuple):
    """Vectors of a few columns, such that ``|a|^2 + |b|^2 - 2 a.b`` is a lower bound.

    Attributes
    ----------
    columns : ndarray of shape (n, p), float32
        The vectors.
    norms : ndarray of shape (n,), float32
        Their squared norms, less what rounding may add to the sum.
    """

    columns: npt.NDArray[np.float32]
    norms: npt.NDArray[np.float32]


def make_sketch(
    points: Points,
    projection: Projection,
    levels: Sequence[int],
    *,
    ids: IndexArray | None = None,
    threads: int = 1,
    rough: bool = False,
) -> dict[int, Short]:
    """Write points in short columns, for several numbers of directions.

    Parameters
    ----------
    points : Points
        The vectors.
    projection : Projection
        Of these vectors, or of vectors around them.
    levels : sequence of int
        Numbers of directions, at most those of the projection.
    ids : ndarray of int64 or None
        Which points; all by default.
    threads : int
        Over blocks of rows; they change nothing.
    rough : bool
        Project in single precision, at half of the cost: bounds may then be a little too large.

    Returns
    -------
    dict of int to Short
        For each level its coordinates, and the norm of the rest as one more column.
    """
    n = len(points.X) if ids is None else len(ids)
    most = max(levels)
    columns = {p: np.empty((n, p + 1), dtype=np.float32) for p in levels}
    norms = np.empty(n)
    basis = projection.basis[:, :most].astype(np.float32 if rough else np.float64)

    def fill(part: slice) -> None:
        block = points.convert(points.X[part if ids is None else ids[part]])
        block -= projection.mean
        z = block.astype(basis.dtype) @ basis
        norms[part] = np.einsum("ij,ij->i", block, block)
        for p in levels:
            head = z[:, :p].astype(np.float64)
            rest = norms[part] - np.einsum("ij,ij->i", head, head)
            columns[p][part, :p] = head
            columns[p][part, p] = np.sqrt(np.maximum(rest, 0.0))

    parts = [slice(s.start, min(s.stop, n)) for s in row_slices(points.X, None) if s.start < n]
    with threadpool_limits(limits=1, user_api="blas"):
        Parallel(n_jobs=threads, require="sharedmem")(delayed(fill)(part) for part in parts)
    return {p: Short(columns[p], least_norms(norms, p + 1 + _EXTRA)) for p in levels}


def least_norms(norms: FloatArray, n_columns: int) -> npt.NDArray[np.float32]:
    """Take from squared norms what rounding may add to ``|a|^2 + |b|^2 - 2 a.b``.

    In single precision and any order of the terms, a dot product of d terms errs by at most
    d u |a| |b|, and twice that enters; rounding vectors, norms and sums is within the rest.
    """
    error = 1.01 * (n_columns + 24) * 2.0**-24
    return ((1.0 - error) * norms - 1e-29).astype(np.float32)
