"""Exact nearest neighbours in Euclidean distance, equal distances in order of the gallery's index.

Fast searches rank by rounded distances: ``|x|^2 + |y|^2 - 2 x.y`` cancels for near-duplicates, and
equal distances come out in any order. Here a fast search only proposes candidates, a few more than
asked for. Their distances are computed again from the differences, in float64, and a bound on the
rounding error proves that nobody else can belong to the answer. Queries for which the proof fails
(many equal distances at the border) are compared with every row of the gallery. So the answer is
one and the same whatever the algorithm, the batch, the BLAS library or the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._blocks import map_blocks

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

# Blocks of queries by rows of the gallery: 8 MB of float64 for each thread.
_QUERY_BLOCK = 256
_GALLERY_BLOCK = 4096
# Differences that are held at once when distances are computed directly: 16 MB of float64.
_DIRECT_SIZE = 2**21
# Above this number of columns a tree visits nearly every leaf and loses to the matrix product.
_TREE_MAX_FEATURES = 15
_TREE_MIN_SAMPLES = 1000


def choose_algorithm(algorithm: str, n_samples: int, n_features: int) -> str:
    """Name the search that "auto" stands for: a k-d tree in few dimensions, else brute force."""
    if algorithm != "auto":
        return algorithm
    few = n_features <= _TREE_MAX_FEATURES and n_samples >= _TREE_MIN_SAMPLES
    return "kd_tree" if few else "brute"


def build_tree(algorithm: str, gallery: npt.NDArray[Any]) -> Any:
    """Build the tree over the gallery, or None for brute force."""
    if algorithm == "brute":
        return None
    from sklearn.neighbors import BallTree, KDTree

    return (KDTree if algorithm == "kd_tree" else BallTree)(gallery)


def nearest_neighbors(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    n_neighbors: int,
    *,
    tree: Any = None,
    n_jobs: int | None = None,
) -> tuple[FloatArray, IndexArray]:
    """Distances and indices of the nearest rows of the gallery, sorted by (distance, index).

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
        Float32 or float64, C-contiguous.
    gallery : ndarray of shape (n_samples, n_features)
        Float32 or float64, C-contiguous.
    n_neighbors : int
        At most ``n_samples``.
    tree : KDTree, BallTree or None
        A tree built on the gallery to propose candidates; None for blocked matrix products.
    n_jobs : int or None
        Number of threads over blocks of queries.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_neighbors)
        Float64.
    indices : ndarray of shape (n_queries, n_neighbors)
        Rows of the gallery.
    """
    n_samples = len(gallery)
    # The spare candidates let rounding be told from rank without a second look at the gallery.
    n_candidates = min(n_samples, n_neighbors + max(16, n_neighbors // 8))
    squares = None
    if tree is None and n_candidates < n_samples:
        squares = _squared_norms(gallery)

    def search(rows: slice) -> tuple[FloatArray, IndexArray]:
        block = queries[rows]
        precision = np.finfo(np.float64)
        if n_candidates == n_samples:
            candidates = np.broadcast_to(np.arange(n_samples), (len(block), n_samples))
            border = np.full(len(block), np.inf)
        elif squares is None:
            distances, candidates = tree.query(block, k=n_candidates)
            border = distances[:, -1] ** 2
        else:
            border, candidates = _propose(block, gallery, squares, n_candidates)
            precision = np.finfo(gallery.dtype)
        return _settle(block, gallery, candidates, border, precision, n_neighbors)

    results = map_blocks(search, len(queries), _QUERY_BLOCK, n_jobs)
    return (
        np.concatenate([distances for distances, _ in results]),
        np.concatenate([indices for _, indices in results]),
    )


def _squared_norms(rows: npt.NDArray[Any]) -> FloatArray:
    """Squared norms in float64, without a float64 copy of the whole gallery."""
    step = max(1, _DIRECT_SIZE // max(1, rows.shape[1]))
    norms = np.empty(len(rows))
    for start in range(0, len(rows), step):
        block = rows[start : start + step].astype(np.float64, copy=False)
        norms[start : start + step] = np.einsum("ij,ij->i", block, block)
    return norms


def _propose(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    squares: FloatArray,
    n_candidates: int,
) -> tuple[FloatArray, IndexArray]:
    """Pick the smallest rounded squared distances; also say below which nobody was left out."""
    dtype = gallery.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        # Values too large for float32 become inf or NaN here and fail the proof later on.
        left = queries.astype(dtype, copy=False)
        own = _squared_norms(queries).astype(dtype)[:, None]
        right = squares.astype(dtype)
        best = np.empty((len(queries), 0), dtype=dtype)
        who = np.empty((len(queries), 0), dtype=np.intp)
        for start in range(0, len(gallery), _GALLERY_BLOCK):
            stop = min(start + _GALLERY_BLOCK, len(gallery))
            rounded = left @ gallery[start:stop].T
            rounded *= -2
            rounded += own
            rounded += right[start:stop]
            indices = np.broadcast_to(np.arange(start, stop), rounded.shape)
            if stop - start > n_candidates:
                rounded, indices = _smallest(rounded, indices, n_candidates)
            best = np.concatenate([best, rounded], axis=1)
            who = np.concatenate([who, indices], axis=1)
            if best.shape[1] > n_candidates:
                best, who = _smallest(best, who, n_candidates)
    return best.max(axis=1).astype(np.float64), who


def _smallest(
    values: npt.NDArray[Any], indices: npt.NDArray[np.intp], n: int
) -> tuple[npt.NDArray[Any], IndexArray]:
    chosen = np.argpartition(values, n - 1, axis=1)[:, :n]
    return np.take_along_axis(values, chosen, axis=1), np.take_along_axis(indices, chosen, axis=1)


def _settle(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    candidates: IndexArray,
    border: FloatArray,
    precision: Any,
    n_neighbors: int,
) -> tuple[FloatArray, IndexArray]:
    """Rank the candidates by their true distances, and prove that they are the right ones."""
    exact = queries.astype(np.float64, copy=False)
    candidates = np.sort(candidates, axis=1)
    squared = _direct(exact, gallery, candidates)
    # Stable, over candidates in ascending order: equal distances keep the order of the index.
    order = np.argsort(squared, axis=1, kind="stable")[:, :n_neighbors]
    indices = np.take_along_axis(candidates, order, axis=1)
    squared = np.take_along_axis(squared, order, axis=1)

    # Whoever is as near as the last neighbour has norm <= |q| + d. If nothing of that size
    # overflows, the rounded squared distance of such a row is wrong by no more than this error, so
    # that it cannot lie beyond the border.
    last = squared[:, -1]
    norm = np.sqrt(_squared_norms(queries))
    with np.errstate(over="ignore", invalid="ignore"):
        largest = (norm + np.sqrt(last)) ** 2
        unit = float(precision.eps) * 2.0 * (queries.shape[1] + 8)
        proven = border > last + unit * (norm**2 + largest)
        proven &= largest < float(precision.max) / 8.0
    if candidates.shape[1] < len(gallery):
        for row in np.flatnonzero(~proven):
            squared[row], indices[row] = _scan(exact[row], gallery, n_neighbors)
    return np.sqrt(squared), indices


def _direct(queries: FloatArray, gallery: npt.NDArray[Any], indices: IndexArray) -> FloatArray:
    """Squared distances (n_queries, m) from the differences, in float64."""
    n_features = gallery.shape[1]
    width = indices.shape[1]
    step = max(1, _DIRECT_SIZE // max(1, width * n_features))
    squared = np.empty(indices.shape)
    for start in range(0, len(queries), step):
        rows = indices[start : start + step]
        difference = gallery[rows.ravel()].astype(np.float64, copy=False)
        difference -= np.repeat(queries[start : start + step], width, axis=0)
        squared[start : start + step] = np.einsum("ij,ij->i", difference, difference).reshape(
            rows.shape
        )
    return squared


def _scan(
    query: FloatArray, gallery: npt.NDArray[Any], n_neighbors: int
) -> tuple[FloatArray, IndexArray]:
    """Compare one query with every row of the gallery, in float64."""
    step = max(1, _DIRECT_SIZE // max(1, gallery.shape[1]))
    squared = np.empty(len(gallery))
    for start in range(0, len(gallery), step):
        difference = gallery[start : start + step] - query
        squared[start : start + step] = np.einsum("ij,ij->i", difference, difference)
    last = np.partition(squared, n_neighbors - 1)[n_neighbors - 1]
    inside = np.flatnonzero(squared <= last)
    chosen = inside[np.argsort(squared[inside], kind="stable")[:n_neighbors]]
    return squared[chosen], chosen
