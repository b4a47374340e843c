"""Scatter matrices of pair graphs: sums over pairs without ever forming a pair difference.

For a directed graph with adjacency A, the sum over its pairs of (x_s - x_t)(x_s - x_t)^T is
X^T L X with the Laplacian L = D_out + D_in - A - A^T. L is never formed, and neither is L X as a
whole: it is taken some columns at a time, in float64 whatever X is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils import gen_batches

FloatArray = npt.NDArray[np.float64]

#: A temporary block, of some rows or of some columns, takes about this many bytes.
BLOCK_BYTES = 64 * 2**20


def lines_per_block(length: int) -> int:
    """How many rows (or columns) of so many float64 values make a block."""
    return max(1, BLOCK_BYTES // max(1, 8 * length))


def pair_sum(X: npt.NDArray[Any], graph: Any) -> FloatArray:
    """Sum over the pairs (s, t) of a graph of weight * (x_s - x_t)(x_s - x_t)^T.

    Both ends of a pair count alike: P and Q of the paper are not symmetric, yet moving either
    photo changes the distance. Weights may be negative, so that what a graph gains and loses
    is one graph: the sum is additive over graphs.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Vectors, float32 or float64. Centre them first, or the sum cancels for vectors far from
        the origin.
    graph : sparse array of shape (n_samples, n_samples)
        Entry (s, t) is the weight of the pair.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        Symmetric, float64. Zero if the graph has no pair.
    """
    n_samples, n_features = X.shape
    total = np.zeros((n_features, n_features))
    a = sp.csr_array(graph)
    if a.nnz == 0:
        return total
    degree = a.sum(axis=1, dtype=np.float64) + a.sum(axis=0, dtype=np.float64)
    for columns in gen_batches(n_features, lines_per_block(n_samples)):
        x = np.ascontiguousarray(X[:, columns], dtype=np.float64)
        moved = degree[:, None] * x
        moved -= a @ x
        moved -= a.T @ x
        # The other rows of the sum follow from symmetry.
        for rows in gen_batches(n_samples, lines_per_block(n_features)):
            left = X[rows, : columns.stop].astype(np.float64, copy=False)
            total[: columns.stop, columns] += left.T @ moved[rows]
    # What was taken is the upper triangle, and a little of the lower one.
    upper = np.triu(total)
    return upper + np.triu(total, 1).T


def change_of_sum(X: npt.NDArray[Any], old: Any, new: Any) -> FloatArray:
    """What a `pair_sum` gains as a graph over the first rows of X becomes one over all.

    Only photos whose pairs came or went are read.
    """
    before = sp.csr_array(old, copy=True)
    before.resize(new.shape)
    change = sp.coo_array(sp.csr_array(new) - before)
    change.eliminate_zeros()
    rows, columns = change.coords
    return sum_of_pairs(X, rows, columns, change.data)


def sum_of_pairs(
    X: npt.NDArray[Any], s: npt.NDArray[Any], t: npt.NDArray[Any], weights: npt.NDArray[Any]
) -> FloatArray:
    """The `pair_sum` of a list of pairs; rows that are in none of them are not read."""
    touched, ends = np.unique(np.concatenate([s, t]), return_inverse=True)
    shape = (len(touched), len(touched))
    graph = sp.csr_array((weights, tuple(np.split(ends, 2))), shape=shape)
    return pair_sum(X[touched], graph)


def rounding_of_sum(X: npt.NDArray[Any], graph: Any) -> float:
    """Bound on what rounding alone can make of the trace of a `pair_sum`."""
    degree = graph.sum(axis=1, dtype=np.float64) + graph.sum(axis=0, dtype=np.float64)
    squares = np.einsum("ij,ij->i", X, X).astype(np.float64)
    return float(16 * np.finfo(np.float64).eps * (degree @ squares))


def pair_scatter(X: npt.ArrayLike, graph: Any) -> FloatArray:
    """Mean over the pairs (s, t) of a graph of (x_s - x_t)(x_s - x_t)^T.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Vectors; centre them first, see `pair_sum`.
    graph : sparse array of shape (n_samples, n_samples)
        Entry (s, t) is the weight of the pair.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        Symmetric, positive semi-definite, float64. Zero if the graph has no pair.
    """
    weight = float(graph.sum(dtype=np.float64))
    return pair_sum(np.asarray(X), graph) / (weight if weight > 0.0 else 1.0)
