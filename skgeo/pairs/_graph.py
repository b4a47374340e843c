"""The neighbour graph that all methods return: rows of neighbours, nearest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse


class NeighborRows(NamedTuple):
    """Neighbours of each photo, sorted by (distance, index), in rows of any length.

    Attributes
    ----------
    indptr : ndarray of shape (n_samples + 1,), int64
        The neighbours of photo ``s`` are ``indices[indptr[s]:indptr[s + 1]]``.
    indices : ndarray of shape (n_pairs,), int64
        The neighbours of all photos, one photo after the other, nearest first.
    distances : ndarray of shape (n_pairs,), float64
        How far each of them is, in feature space.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.pairs import NeighborRows
    >>> rows = NeighborRows(np.array([0, 2, 3]), np.array([1, 0, 0]), np.array([0.1, 0.5, 0.1]))
    >>> rows.head(1).indices
    array([1, 0])
    >>> rows.to_csr().toarray()
    array([[1., 1.],
           [1., 0.]], dtype=float32)
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]

    def head(self, k: int) -> NeighborRows:
        """Return the first ``k`` neighbours of each row.

        One graph with long rows so serves every smaller k.

        Parameters
        ----------
        k : int
            How many neighbours a row keeps at most.

        Returns
        -------
        NeighborRows
            The shorter rows.
        """
        lengths = np.diff(self.indptr)
        if not len(self.indices) or lengths.max() <= k:
            return self
        rank = np.arange(len(self.indices)) - np.repeat(self.indptr[:-1], lengths)
        keep = rank < k
        indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, k))])
        return NeighborRows(indptr, self.indices[keep], self.distances[keep])

    def to_csr(self) -> csr_array:
        """Return the matrix with ones at the neighbours.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_samples, n_samples), float32
            Indices within rows stay in the order of the neighbours, hence unsorted.
        """
        n, nnz = len(self.indptr) - 1, len(self.indices)
        kind = np.int32 if max(n, nnz) <= np.iinfo(np.int32).max else np.int64
        ones = np.ones(nnz, dtype=np.float32)
        matrix = csr_array(
            (ones, self.indices.astype(kind), self.indptr.astype(kind)), shape=(n, n)
        )
        # Sorted by distance is not what SciPy calls sorted; it must not be led to believe so.
        matrix.has_sorted_indices = False
        matrix.has_canonical_format = False
        return matrix


class PairGraph(NamedTuple):
    """The same-area neighbours (P) and the easy-confusing neighbours (Q) of each photo.

    Attributes
    ----------
    same_area : NeighborRows
        P: the nearest photos inside the area of each photo.
    easy_confusing : NeighborRows
        Q: the nearest photos outside.
    """

    same_area: NeighborRows
    easy_confusing: NeighborRows

    def head(self, k1: int, k2: int) -> PairGraph:
        """Return the graph with shorter rows.

        Parameters
        ----------
        k1, k2 : int
            How many neighbours a row of ``same_area`` and of ``easy_confusing`` keeps at most.

        Returns
        -------
        PairGraph
            The shorter rows.
        """
        return PairGraph(self.same_area.head(k1), self.easy_confusing.head(k2))


def no_rows(n_rows: int) -> NeighborRows:
    """Return ``n_rows`` rows without a neighbour."""
    return NeighborRows(np.zeros(n_rows + 1, np.int64), np.empty(0, np.int64), np.empty(0))


def rows_from_triplets(
    n_rows: int,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    distances: npt.NDArray[np.float64],
    k: int,
) -> NeighborRows:
    """Sort pairs (row, column, distance) by (distance, column) within rows, keep k of each row."""
    order = np.lexsort((columns, distances, rows))
    counts = np.bincount(rows, minlength=n_rows)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return NeighborRows(indptr, columns[order], distances[order]).head(k)


def stack_rows(parts: Sequence[NeighborRows]) -> NeighborRows:
    """Put the rows of several graphs below each other."""
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return NeighborRows(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


def take_rows(graph: NeighborRows, ids: npt.NDArray[np.int64]) -> NeighborRows:
    """Return the rows ``ids``, in this order."""
    lengths = np.diff(graph.indptr)[ids]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    take = np.arange(indptr[-1]) + np.repeat(graph.indptr[ids] - indptr[:-1], lengths)
    return NeighborRows(indptr, graph.indices[take], graph.distances[take])


def reorder_rows(graph: NeighborRows, position: npt.NDArray[np.int64]) -> NeighborRows:
    """Return the graph whose row ``position[i]`` is row ``i`` of this one."""
    source = np.empty(len(position), dtype=np.int64)
    source[position] = np.arange(len(position))
    return take_rows(graph, source)


def row_numbers(graph: NeighborRows) -> npt.NDArray[np.int64]:
    """Return the row of each pair."""
    return np.repeat(np.arange(len(graph.indptr) - 1), np.diff(graph.indptr))


def entry_limits(graph: NeighborRows, k: int) -> npt.NDArray[np.float64]:
    """Return the distance below which a later photo enters a row of k; inf where there is room."""
    full = np.diff(graph.indptr) >= k
    limits = np.full(len(full), np.inf)
    limits[full] = graph.distances[graph.indptr[:-1][full] + k - 1]
    return limits


def merge_rows(first: NeighborRows, later: NeighborRows, k: int) -> NeighborRows:
    """Return the k nearest of both, row by row.

    Every index of ``later`` is larger than all of ``first``: at the same distance it comes after.
    Rows of ``later`` may be in any order.
    """
    row = row_numbers(later)
    enters = later.distances < entry_limits(first, k)[row]
    touched = np.unique(row[enters])
    if not len(touched):
        return first
    had = take_rows(first, touched)
    merged = rows_from_triplets(
        len(touched),
        np.concatenate([row_numbers(had), np.searchsorted(touched, row[enters])]),
        np.concatenate([had.indices, later.indices[enters]]),
        np.concatenate([had.distances, later.distances[enters]]),
        k,
    )
    rest = np.setdiff1d(np.arange(len(first.indptr) - 1), touched, assume_unique=True)
    return reorder_rows(
        stack_rows([take_rows(first, rest), merged]), np.concatenate([rest, touched])
    )


def pair_recall(found: Any, exact: Any) -> float:
    """Compute the fraction of the exact pairs that an approximate graph found.

    Parameters
    ----------
    found : sparse array or matrix of shape (n, n)
        The pairs to be judged, for example ``easy_confusing_`` of
        ``InconsistencyPairs(method="anchor")``. Only where it has entries matters.
    exact : sparse array or matrix of shape (n, n)
        The true pairs, with the same k.

    Returns
    -------
    float
        Between 0 and 1; 1.0 if there is no exact pair, since nothing was missed. A photo that
        is as far as the one it replaces, but not the same, counts as missed.

    Raises
    ------
    ValueError
        If the two are not sparse or their shapes differ.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, section 4.2.1: 90 percent for 50 anchors.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skgeo.pairs import pair_recall
    >>> pair_recall(csr_array([[0, 1], [0, 0]]), csr_array([[0, 1], [1, 0]]))
    0.5
    """
    for name, graph in (("found", found), ("exact", exact)):
        if not issparse(graph):
            raise ValueError(f"{name} is a {type(graph).__name__}; expected a sparse n x n graph.")
    if found.shape != exact.shape:
        raise ValueError(
            f"found has shape {found.shape} but exact has shape {exact.shape}; expected two "
            "graphs over the same photos."
        )
    found, exact = _pattern(found), _pattern(exact)
    if exact.nnz == 0:
        return 1.0
    return float((found * exact).nnz / exact.nnz)


def _pattern(graph: Any) -> csr_array:
    pattern = csr_array(graph, copy=True)
    pattern.eliminate_zeros()
    pattern.sum_duplicates()
    pattern.data = np.ones(pattern.nnz, dtype=np.int8)
    return pattern
