"""How far to shrink the scatter of pairs, from the data alone."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize_scalar

from ._scatter import pair_sum

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Places are left out in at most so many groups.
_N_FOLDS = 10


def likelihood_shrinkage(X: npt.NDArray[Any], graph: Any, groups: IntArray) -> float:
    """Shrinkage under which the pairs of places that are left out are most likely.

    The map needs the inverse of the scatter, so what counts is the error of the inverse: that is
    what the Gaussian likelihood measures (Stein's loss), where `frobenius_shrinkage` measures that
    of the scatter itself. Places are left out in 10 groups with about as many pairs each, one by
    one where there are fewer; with S the scatter of the others and G that of those left out,
    both scaled to trace d, and u_i, w_i the eigenpairs of S,

        sum over the groups of m_g sum_i (log r_i + u_i^T G u_i / r_i),  r_i = (1 - rho) w_i + rho

    is minimised over rho. One eigenproblem a group, whatever the number of candidates.

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
        In (0, 1].

    Raises
    ------
    ValueError
        If fewer than two places have pairs of different photos.

    References
    ----------
    J. P. Hoffbeck, D. A. Landgrebe, "Covariance matrix estimation and classification with limited
    training data", PAMI 18, 1996, for single observations in place of places.
    """
    a, groups, pairs_of = _pairs_by_place(graph, groups)
    fold_of_place = _balanced_folds(pairs_of, min(_N_FOLDS, int(np.count_nonzero(pairs_of))))
    fold_of = fold_of_place[groups]
    sums, weights = [], []
    for fold in range(fold_of_place.max() + 1):
        members = np.flatnonzero(fold_of == fold)
        sums.append(pair_sum(X[members], a[members][:, members]))
        weights.append(pairs_of[fold_of_place == fold].sum())
    total = np.sum(sums, axis=0)
    parts = []
    for left_out, weight in zip(sums, weights, strict=True):
        inside, outside = _unit_trace(total - left_out), _unit_trace(left_out)
        if inside is not None and outside is not None:
            values, vectors = np.linalg.eigh(inside)
            # d u_i^T G u_i, without the product of three matrices.
            spread = np.einsum("ij,ij->j", vectors, outside @ vectors)
            d = len(values)
            parts.append((weight, np.clip(values, 0.0, None) * d, spread * d))
    if not parts:
        raise ValueError(
            "An automatic shrinkage compares places with each other, but fewer than 2 of them have "
            "same-area pairs of photos that differ. Give a number."
        )

    def loss(logit: float) -> float:
        rho = 1.0 / (1.0 + np.exp(-logit))
        total = 0.0
        for weight, values, spread in parts:
            shrunk = (1.0 - rho) * values + rho
            total += weight * float(np.sum(np.log(shrunk) + spread / shrunk))
        return total

    # Coarse first: nothing says that there is one minimum only.
    grid = np.linspace(-9.0, 9.0, 37)
    best = grid[int(np.argmin([loss(logit) for logit in grid]))]
    found = minimize_scalar(loss, bounds=(best - 0.5, best + 0.5), method="bounded")
    return float(1.0 / (1.0 + np.exp(-found.x)))


def frobenius_shrinkage(X: npt.NDArray[Any], graph: Any, groups: IntArray) -> float:
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
    a, groups, pairs_of = _pairs_by_place(graph, groups)
    n_groups = int(np.count_nonzero(pairs_of))
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


def _pairs_by_place(graph: Any, groups: IntArray) -> tuple[Any, IntArray, FloatArray]:
    """The graph in CSR, places numbered from 0, and the (weighted) number of pairs of each."""
    a = sp.csr_array(graph)
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.intp)
    degrees = a.sum(axis=1, dtype=np.float64)
    pairs_of = np.bincount(numbers, weights=degrees).astype(np.float64)
    n_places = int(np.count_nonzero(pairs_of))
    if n_places < 2:
        raise ValueError(
            "An automatic shrinkage compares places with each other, but only "
            f"{n_places} of them has same-area pairs; expected at least 2. Give a number."
        )
    return a, numbers, pairs_of


def _balanced_folds(pairs_of: FloatArray, n_folds: int) -> IntArray:
    """Deal places into groups, those with most pairs first, each to the group with fewest."""
    fold_of = np.zeros(len(pairs_of), dtype=np.intp)
    heap = [(0.0, fold) for fold in range(n_folds)]
    for place in np.argsort(-pairs_of, kind="stable"):
        load, fold = heapq.heappop(heap)
        fold_of[place] = fold
        heapq.heappush(heap, (load + float(pairs_of[place]), fold))
    return fold_of


def _unit_trace(total: FloatArray) -> FloatArray | None:
    trace = float(np.trace(total))
    return total / trace if trace > 0.0 else None


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
