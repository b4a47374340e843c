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
# Differences that are held at once when distances are computed directly: 512 kB of float64, which
# stay in the cache.
_DIRECT_SIZE = 2**16
# Columns whose float32 products are summed in float32: the fewer, the sharper the proof.
_STRIP = 128
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
    squares = _squared_norms(gallery) if tree is None and n_candidates < n_samples else None
    precisions = [np.float64] if gallery.dtype == np.float64 else [np.float32, np.float64]

    def search(rows: slice) -> tuple[FloatArray, IndexArray]:
        block = queries[rows]
        if n_candidates == n_samples:
            everyone = np.broadcast_to(np.arange(n_samples), (len(block), n_samples))
            squared, indices = _rank(block, gallery, everyone, n_neighbors)
            return np.sqrt(squared), indices
        squared = np.empty((len(block), n_neighbors))
        indices = np.empty((len(block), n_neighbors), dtype=np.intp)
        open_rows = np.arange(len(block))
        if squares is None:
            distances, candidates = tree.query(block, k=n_candidates)
            squared[:], indices[:] = _rank(block, gallery, candidates, n_neighbors)
            proven = _prove(block, squared[:, -1], distances[:, -1] ** 2, np.finfo(np.float64))
            open_rows = open_rows[~proven]
        else:
            for precision in precisions:
                part = block[open_rows]
                border, candidates = _propose(part, gallery, squares, n_candidates, precision)
                found, who = _rank(part, gallery, candidates, n_neighbors)
                squared[open_rows], indices[open_rows] = found, who
                proven = _prove(part, found[:, -1], border, np.finfo(precision))
                open_rows = open_rows[~proven]
                if not len(open_rows):
                    break
        for row in open_rows:
            squared[row], indices[row] = _scan(block[row], gallery, n_neighbors)
        return np.sqrt(squared), indices

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
    precision: Any,
) -> tuple[FloatArray, IndexArray]:
    """Pick the smallest rounded squared distances; also say below which nobody was left out."""
    best = np.empty((len(queries), 0))
    who = np.empty((len(queries), 0), dtype=np.intp)
    # What overflows becomes inf or NaN, and the proof fails.
    with np.errstate(over="ignore", invalid="ignore"):
        left = (-2.0 * queries).astype(precision)
        for start in range(0, len(gallery), _GALLERY_BLOCK):
            rows = gallery[start : start + _GALLERY_BLOCK].astype(precision, copy=False)
            rounded = _products(left, rows)
            rounded += squares[start : start + _GALLERY_BLOCK]
            if best.shape[1] < n_candidates:
                indices = np.broadcast_to(np.arange(start, start + len(rows)), rounded.shape)
            else:
                # Few can still enter: they are gathered into narrow tables, padded with inf.
                row, column = np.nonzero(rounded < best.max(axis=1)[:, None])
                hits = np.bincount(row, minlength=len(queries))
                slot = np.arange(len(row)) - (np.cumsum(hits) - hits)[row]
                narrow = np.full((len(queries), int(hits.max(initial=0))), np.inf)
                indices = np.zeros(narrow.shape, dtype=np.intp)
                narrow[row, slot] = rounded[row, column]
                indices[row, slot] = start + column
                rounded = narrow
            best = np.concatenate([best, rounded], axis=1)
            who = np.concatenate([who, indices], axis=1)
            if best.shape[1] > n_candidates:
                chosen = np.argpartition(best, n_candidates - 1, axis=1)[:, :n_candidates]
                best = np.take_along_axis(best, chosen, axis=1)
                who = np.take_along_axis(who, chosen, axis=1)
        return best.max(axis=1) + _squared_norms(queries), who


def _products(left: npt.NDArray[Any], rows: npt.NDArray[Any]) -> FloatArray:
    """Inner products in float64; those of float32 are summed in float64 strip by strip."""
    if left.dtype == np.float64:
        product: FloatArray = left @ rows.T
        return product
    product = np.zeros((len(left), len(rows)))
    for start in range(0, left.shape[1], _STRIP):
        strip = slice(start, start + _STRIP)
        product += left[:, strip] @ rows[:, strip].T
    return product


def _prove(
    queries: npt.NDArray[Any], last: FloatArray, border: FloatArray, precision: Any
) -> npt.NDArray[np.bool_]:
    """For which queries nobody beyond the border can be as near as the last neighbour.

    Whoever is as near has norm <= |q| + d. If nothing of that size overflows, the rounded squared
    distance of such a row is wrong by no more than the error below, and lies within the border.
    """
    n_features = queries.shape[1]
    squares = _squared_norms(queries)
    with np.errstate(over="ignore", invalid="ignore"):
        largest = (np.sqrt(squares) + np.sqrt(last)) ** 2
        unit = 2.0 * (n_features + 8) * np.finfo(np.float64).eps
        if precision.dtype == np.float32:
            unit += 2.0 * (min(_STRIP, n_features) + 8) * float(precision.eps)
        proven: npt.NDArray[np.bool_] = border > last + unit * (squares + largest)
        return proven & (largest < float(precision.max) / 8.0)


def _rank(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    candidates: IndexArray,
    n_neighbors: int,
) -> tuple[FloatArray, IndexArray]:
    """Sort the candidates by (squared distance, index); distances from differences, in float64."""
    candidates = np.sort(candidates, axis=1)
    width = candidates.shape[1]
    exact = queries.astype(np.float64, copy=False)
    rows = candidates.ravel()
    squared = np.empty(len(rows))
    step = max(1, _DIRECT_SIZE // max(1, gallery.shape[1]))
    for start in range(0, len(rows), step):
        part = np.arange(start, min(start + step, len(rows)))
        difference = gallery[rows[part]] - exact[part // width]
        squared[part] = np.einsum("ij,ij->i", difference, difference)
    table = squared.reshape(candidates.shape)
    # Stable, over candidates in ascending order: equal distances keep the order of the index.
    order = np.argsort(table, axis=1, kind="stable")[:, :n_neighbors]
    return np.take_along_axis(table, order, axis=1), np.take_along_axis(candidates, order, axis=1)


def _scan(
    query: npt.NDArray[Any], gallery: npt.NDArray[Any], n_neighbors: int
) -> tuple[FloatArray, IndexArray]:
    """Compare one query with every row of the gallery, in float64."""
    query = query.astype(np.float64)
    step = max(1, _DIRECT_SIZE // max(1, gallery.shape[1]))
    squared = np.empty(len(gallery))
    for start in range(0, len(gallery), step):
        difference = gallery[start : start + step] - query
        squared[start : start + step] = np.einsum("ij,ij->i", difference, difference)
    last = np.partition(squared, n_neighbors - 1)[n_neighbors - 1]
    inside = np.flatnonzero(squared <= last)
    chosen = inside[np.argsort(squared[inside], kind="stable")[:n_neighbors]]
    return squared[chosen], chosen
