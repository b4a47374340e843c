"""Exact nearest neighbours in Euclidean distance, equal distances in order of the gallery's index.

Fast searches rank by rounded distances: ``|x|^2 + |y|^2 - 2 x.y`` cancels for near-duplicates, and
equal distances come out in any order. Here a fast search only proposes candidates, a few more than
asked for. Their distances are computed again from the differences, in float64, and a bound on the
rounding error proves that nobody else can belong to the answer. Queries for which the proof fails
(many equal distances at the border) get more candidates, then products in float64, and are in the
end compared with every row of the gallery. So the answer is one and the same whatever the
algorithm, the batch, the BLAS library or the number of threads.

The products are of single precision, around the mean of the gallery where that is far from the
origin: the smaller the norms, the sharper the proof.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._blocks import map_blocks
from ._kernels import push_block, squared_distances

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

# Blocks of queries by rows of the gallery: 4 MB of float32 for each thread, and the rows.
_QUERY_BLOCK = 512
_GALLERY_BLOCK = 2048
# Differences that are held at once when distances are computed directly: 512 kB of float64, which
# stay in the cache.
_DIRECT_SIZE = 2**16
# Above this number of columns a tree visits nearly every leaf and loses to the matrix product.
_TREE_MAX_FEATURES = 15
_TREE_MIN_SAMPLES = 1000


class Gallery(NamedTuple):
    """Rows that are searched, and what is known of them.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Float16, float32 or float64; memory maps too.
    mean : ndarray of shape (n_features,) or None
        What is subtracted before products are made; None where the origin is near enough.
    squares : ndarray of shape (n_samples,)
        Squared norms after that, float64.
    """

    rows: npt.NDArray[Any]
    mean: FloatArray | None
    squares: FloatArray

    def take(self, start: int, stop: int, precision: Any) -> npt.NDArray[Any]:
        """Rows around the mean, rounded once."""
        block = self.rows[start:stop]
        if self.mean is None:
            return block.astype(precision, copy=False)
        wide = block.astype(np.float64)
        wide -= self.mean
        return wide.astype(precision, copy=False)


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


def make_gallery(rows: npt.NDArray[Any]) -> Gallery:
    """Read the rows once, in blocks, for their mean and norms."""
    step = max(1, _DIRECT_SIZE // max(1, rows.shape[1]))
    total, squares = np.zeros(rows.shape[1]), np.empty(len(rows))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), step):
            block = rows[start : start + step].astype(np.float64, copy=False)
            total += block.sum(axis=0)
            squares[start : start + step] = np.einsum("ij,ij->i", block, block)
        mean = total / len(rows)
        # Mean squared norm = |mean|^2 + mean squared norm around the mean.
        if not mean @ mean > 0.5 * squares.mean() or not np.isfinite(squares).all():
            return Gallery(rows, None, squares)
        for start in range(0, len(rows), step):
            block = rows[start : start + step].astype(np.float64) - mean
            squares[start : start + step] = np.einsum("ij,ij->i", block, block)
    return Gallery(rows, mean, squares)


def nearest_neighbors(
    queries: npt.NDArray[Any],
    gallery: Gallery | npt.NDArray[Any],
    n_neighbors: int,
    *,
    tree: Any = None,
    n_jobs: int | None = None,
) -> tuple[FloatArray, IndexArray]:
    """Distances and indices of the nearest rows of the gallery, sorted by (distance, index).

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
        Float16, float32 or float64, C-contiguous.
    gallery : Gallery or ndarray of shape (n_samples, n_features)
        What is searched; C-contiguous.
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
    rows = gallery.rows if isinstance(gallery, Gallery) else gallery
    n_samples = len(rows)
    # The spare candidates let rounding be told from rank without a second look at the gallery.
    few = n_neighbors + max(16, n_neighbors // 8)
    stages = [(few, np.float32), (4 * few, np.float32), (few, np.float64)]
    known = gallery if isinstance(gallery, Gallery) else None
    if known is None and tree is None and few < n_samples:
        known = make_gallery(rows)

    def search(part: slice) -> tuple[FloatArray, IndexArray]:
        block = queries[part]
        if few >= n_samples:
            everyone = np.broadcast_to(np.arange(n_samples), (len(block), n_samples))
            squared, indices = rank(block, rows, everyone, n_neighbors)
            return np.sqrt(squared), indices
        squared = np.empty((len(block), n_neighbors))
        indices = np.empty((len(block), n_neighbors), dtype=np.intp)
        open_rows = np.arange(len(block))
        if tree is not None:
            distances, candidates = tree.query(block, k=few)
            squared[:], indices[:] = rank(block, rows, candidates, n_neighbors)
            with np.errstate(over="ignore", invalid="ignore"):
                norms = squared_norms(block)
                border = distances[:, -1] ** 2
                proven = _prove(norms, squared[:, -1], border, rows.shape[1], np.float64)
            open_rows = open_rows[~proven]
        else:
            assert known is not None
            for n_candidates, precision in stages:
                if n_candidates >= n_samples:
                    continue
                left = block[open_rows]
                candidates, border, norms = _propose(left, known, n_candidates, precision)
                found, who = rank(left, rows, candidates, n_neighbors)
                squared[open_rows], indices[open_rows] = found, who
                proven = _prove(norms, found[:, -1], border, rows.shape[1], precision)
                open_rows = open_rows[~proven]
                if not len(open_rows):
                    break
        for row in open_rows:
            squared[row], indices[row] = _scan(block[row], rows, n_neighbors)
        return np.sqrt(squared), indices

    results = map_blocks(search, len(queries), _QUERY_BLOCK, n_jobs)
    return (
        np.concatenate([distances for distances, _ in results]),
        np.concatenate([indices for _, indices in results]),
    )


def squared_norms(rows: npt.NDArray[Any]) -> FloatArray:
    """Squared norms in float64, without a float64 copy of all rows."""
    step = max(1, _DIRECT_SIZE // max(1, rows.shape[1]))
    norms = np.empty(len(rows))
    for start in range(0, len(rows), step):
        block = rows[start : start + step].astype(np.float64, copy=False)
        norms[start : start + step] = np.einsum("ij,ij->i", block, block)
    return norms


def _propose(
    queries: npt.NDArray[Any], gallery: Gallery, n_candidates: int, precision: Any
) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Pick the smallest rounded squared distances.

    Returns the candidates, the rounded squared distance below which nobody was left out, and the
    queries' squared norms.
    """
    # What overflows becomes inf or NaN, and the proof fails.
    with np.errstate(over="ignore", invalid="ignore"):
        centred = queries.astype(np.float64)
        if gallery.mean is not None:
            centred -= gallery.mean
        norms = squared_norms(centred)
        left = (-2.0 * centred).astype(precision)
        rounded = gallery.squares.astype(precision)
        values, who = smallest(
            lambda start, stop: left @ gallery.take(start, stop, precision).T,
            rounded,
            len(queries),
            n_candidates,
        )
        return who, values.max(axis=1) + norms, norms


def smallest(
    products: Any, norms: npt.NDArray[Any], n_queries: int, n_candidates: int
) -> tuple[FloatArray, IndexArray]:
    """Find for each query the columns with the smallest ``products + norms``, in any order.

    Parameters
    ----------
    products : callable
        ``products(start, stop)`` gives a block (n_queries, stop - start) of the type of the norms.
    norms : ndarray of shape (n_samples,)
        Added to each column.
    n_queries, n_candidates : int
        How many rows there are, and how many columns are wanted of each, at most all.

    Returns
    -------
    values, indices : ndarray of shape (n_queries, n_candidates)
        Where less than that are finite the values are inf and the indices fill up from 0.
    """
    values = np.full((n_queries, n_candidates), np.inf, dtype=norms.dtype)
    who = np.tile(np.arange(n_candidates), (n_queries, 1))
    for start in range(0, len(norms), _GALLERY_BLOCK):
        stop = min(start + _GALLERY_BLOCK, len(norms))
        push_block(products(start, stop), norms[start:stop], start, values, who)
    return values.astype(np.float64), who


def _prove(
    norms: FloatArray, last: FloatArray, border: FloatArray, n_features: int, precision: Any
) -> npt.NDArray[np.bool_]:
    """For which queries nobody beyond the border can be as near as the last neighbour.

    Whoever is as near has norm <= |q| + d. A dot product of n terms, in any order, errs by at most
    n u |a| |b|, and twice that enters; rounding vectors, norms and sums is within the rest. If
    nothing of that size overflows, such a row lies within the border.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        largest = (np.sqrt(norms) + np.sqrt(last)) ** 2
        info = np.finfo(precision)
        unit = 1.01 * (n_features + 24) * float(info.eps) / 2.0
        error = unit * (norms + largest) + 64.0 * n_features * float(info.tiny)
        # The distance of the last neighbour itself is rounded in double precision.
        proven: npt.NDArray[np.bool_] = border > last * (1.0 + (n_features + 8) * 2.3e-16) + error
        # Columns that overflowed are no candidates; with fewer than asked for the border is inf.
        return proven & np.isfinite(border) & (largest < float(info.max) / 8.0)


def rank(
    queries: npt.NDArray[Any],
    gallery: npt.NDArray[Any],
    candidates: IndexArray,
    n_neighbors: int,
) -> tuple[FloatArray, IndexArray]:
    """Sort the candidates by (squared distance, index); distances from differences, in float64."""
    candidates = np.sort(candidates, axis=1)
    table = np.empty(candidates.shape)
    if gallery.dtype == np.float16:
        wide = queries.astype(np.float64)
        for row, who in enumerate(candidates):  # machine code knows no half precision
            at = np.arange(len(who))[None]
            rows = gallery[who].astype(np.float32)
            squared_distances(wide[row : row + 1], rows, at, table[row : row + 1])
    else:
        if queries.dtype == np.float16:
            queries = queries.astype(np.float32)
        squared_distances(queries, np.asarray(gallery), candidates, table)
    # Stable, over candidates in ascending order: equal distances keep the order of the index.
    order = np.argsort(table, axis=1, kind="stable")[:, :n_neighbors]
    return np.take_along_axis(table, order, axis=1), np.take_along_axis(candidates, order, axis=1)


def _scan(
    query: npt.NDArray[Any], gallery: npt.NDArray[Any], n_neighbors: int
) -> tuple[FloatArray, IndexArray]:
    """Compare one query with every row of the gallery, in float64."""
    everyone = np.arange(len(gallery))[None]
    squared = np.empty((1, len(gallery)))
    step = max(1, _DIRECT_SIZE // max(1, gallery.shape[1]))
    one = query.astype(np.float64)[None]
    for start in range(0, len(gallery), step):
        rows = gallery[start : start + step].astype(np.float64, copy=False)
        at = everyone[:, : len(rows)]
        squared_distances(one, rows, at, squared[:, start : start + step])
    last = np.partition(squared[0], n_neighbors - 1)[n_neighbors - 1]
    inside = np.flatnonzero(squared[0] <= last)
    chosen = inside[np.argsort(squared[0, inside], kind="stable")[:n_neighbors]]
    return squared[0, chosen], chosen
