"""Scatter matrices of pair graphs: sums over pairs without ever forming a pair difference.

For a directed graph with adjacency A, the sum over its pairs of (x_s - x_t)(x_s - x_t)^T is
X^T L X with the Laplacian L = D_out + D_in - A - A^T: one sparse and one dense product a block
of rows, whatever the number of pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

FloatArray = npt.NDArray[np.float64]

#: Rows of a block are chosen so that it takes about this many bytes.
_BLOCK_BYTES = 64 * 2**20


def pair_laplacian(graph: Any) -> sp.csr_array:
    """Laplacian D_out + D_in - A - A^T of a directed graph of pairs, CSR float64.

    Both ends of a pair count alike: P and Q of the paper are not symmetric, yet moving either
    photo changes the distance.
    """
    a = sp.csr_array(graph, dtype=np.float64)
    degree = np.asarray(a.sum(axis=1)).ravel() + np.asarray(a.sum(axis=0)).ravel()
    return sp.csr_array(sp.diags_array(degree, format="csr") - a - a.T)


def pair_scatter(X: npt.ArrayLike, graph: Any) -> FloatArray:
    """Mean over the pairs (s, t) of a graph of (x_s - x_t)(x_s - x_t)^T.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Vectors; centre them first, or float64 cancels for vectors far from the origin.
    graph : sparse array of shape (n_samples, n_samples)
        Entry (s, t) is the weight of the pair.

    Returns
    -------
    ndarray of shape (n_features, n_features)
        Symmetric, positive semi-definite, float64. Zero if the graph has no pair.
    """
    X = np.asarray(X)
    n_features = X.shape[1]
    scatter = np.zeros((n_features, n_features))
    total = float(graph.sum())
    if total == 0.0:
        return scatter
    laplacian = pair_laplacian(graph)
    X = np.asarray(X, dtype=np.float64)
    rows = max(1, _BLOCK_BYTES // max(1, 8 * n_features))
    for start in range(0, len(X), rows):
        block = slice(start, start + rows)
        scatter += X[block].T @ (laplacian[block] @ X)
    scatter /= total
    return (scatter + scatter.T) / 2.0
