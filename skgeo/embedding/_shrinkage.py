"""How far to shrink the scatter of pairs, from the data alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._scatter import pair_sum


def analytic_shrinkage(X: npt.NDArray[Any], graph: Any, groups: npt.NDArray[np.intp]) -> float:
    """Shrinkage that brings a scatter of pairs nearest to the one of all places (Ledoit-Wolf).

    S is the mean of (x_s - x_t)(x_s - x_t)^T over the pairs. The shrinkage rho that minimises the
    expected squared (Frobenius) distance of ``(1 - rho) S + rho mu I``, with mu = tr(S) / d, from
    the expectation of S is the variance of S, divided by its squared distance from mu I
    [1]_. The pairs of a place share photos, and the photos of a place share what the place looks
    like, so pairs are not independent; places are. With G_g the sum over the m_g pairs of place
    g, m = sum m_g, and S = sum G_g / m a ratio of sums over the K places that have pairs, the
    variance is

        K / (K - 1) * sum_g |G_g - m_g S|^2 / m^2,

    the cluster-robust (linearised) variance of a ratio [2]_.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred vectors.
    graph : sparse array of shape (n_samples, n_samples)
        Pairs, each inside one place.
    groups : ndarray of shape (n_samples,)
        Number of the place of each photo.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If fewer than two places have pairs: there is no variance between places to measure.

    References
    ----------
    .. [1] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", Journal of Multivariate Analysis 88, 2004.
    .. [2] W. G. Cochran, "Sampling Techniques", 3rd edition, 1977, chapter 9.
    """
    a = sp.csr_array(graph)
    _, groups = np.unique(groups, return_inverse=True)
    degree = a.sum(axis=1, dtype=np.float64)
    pairs_of = np.bincount(groups, weights=degree)
    n_groups = int(np.count_nonzero(pairs_of))
    if n_groups < 2:
        raise ValueError(
            "shrinkage='auto' compares places with each other, but only "
            f"{n_groups} of them has same-area pairs; expected at least 2. Give a number."
        )
    n_pairs = pairs_of.sum()
    scatter = pair_sum(X, a) / n_pairs
    squares = 0.0
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(len(pairs_of) + 1))
    # Place after place: each is a square block on the diagonal.
    by_place = sp.csr_array(a[order][:, order])
    by_place.sum_duplicates()
    for g in np.flatnonzero(pairs_of):
        squares += _squared_norm(X[order[starts[g] : starts[g + 1]]], by_place, starts[g])
    # sum_g m_g <G_g, S>: weighting each pair by the m_g of its place sums all places at once.
    weighted = sp.csr_array(sp.diags_array(pairs_of[groups]) @ a)
    crossed = float(np.vdot(pair_sum(X, weighted), scatter))
    size = float(np.vdot(scatter, scatter))
    variance = (squares - 2.0 * crossed + np.square(pairs_of).sum() * size) / n_pairs**2
    variance *= n_groups / (n_groups - 1)
    distance = size - np.trace(scatter) ** 2 / len(scatter)
    if distance <= variance:
        return 1.0
    return float(max(variance, 0.0) / distance)


def _squared_norm(X: npt.NDArray[Any], graph: Any, first: int) -> float:
    """Squared Frobenius norm of the sum of one place, the rows of the graph from ``first`` on."""
    size = len(X)
    if size > X.shape[1]:
        members = slice(first, first + size)
        total = pair_sum(X, graph[members, members])
        return float(np.vdot(total, total))
    # |X^T L X|^2 = tr(L K L K) with the inner products K, which are the smaller matrix here.
    bounds = graph.indptr[first : first + size + 1]
    entries = slice(bounds[0], bounds[-1])
    laplacian = np.zeros((size, size))
    rows = np.repeat(np.arange(size), np.diff(bounds))
    laplacian[rows, graph.indices[entries] - first] = -graph.data[entries].astype(np.float64)
    laplacian += laplacian.T
    laplacian[np.diag_indices(size)] -= laplacian.sum(axis=1)
    x = X.astype(np.float64)
    product = laplacian @ (x @ x.T)
    return float(np.vdot(product, product.T))
