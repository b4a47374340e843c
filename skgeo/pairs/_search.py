"""Exact nearest neighbours under a mask, by matrix products in bounded memory.

The search runs over blocks of single precision ``|a|^2 + |b|^2 - 2 a.b``, which is fast but
cancels. Each entry therefore comes with a bound on its rounding error: an entry is dropped only if
its least possible distance exceeds the greatest possible distance of the k-th best. What
survives, hardly more than k a row, is computed again directly in double precision and sorted by
(distance, index). The result is exact, whatever the block size, the BLAS or its threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from .._cluster_client import thread_count
from ._graph import NeighborRows, no_rows, rows_from_triplets, stack_rows
from ._points import FloatArray, IndexArray, Points, working_bytes

#: (ids of queries, ids of candidates) -> which pairs are allowed, as a boolean block.
Mask = Callable[[IndexArray, IndexArray], npt.NDArray[np.bool_]]

_UNIT_ROUNDOFF = 2.0**-24  # of single precision
_UNDERFLOW = 1e-29  # more than what may get lost below the range of single precision
_MAX_SIDE = 2048  # larger blocks leave the cache and gain nothing


def masked_neighbors(
    queries: Points,
    candidates: Points,
    lists: Sequence[tuple[int, Mask]],
    *,
    rows: IndexArray | None = None,
    columns: IndexArray | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> list[NeighborRows]:
    """Find the k nearest allowed candidates of each query, exactly, for several masks at once.

    Parameters
    ----------
    queries, candidates : Points
        Vectors in one frame. May be the same object.
    lists : sequence of (k, mask)
        For each list the number of neighbours and the mask ``mask(row_ids, column_ids)``. All
        lists share one pass over the products.
    rows, columns : ndarray of int64 or None
        Which queries and candidates take part, ascending; all by default.
    working_memory : float or None
        MiB that the blocks of all threads may take together; None: scikit-learn's
        ``working_memory``.
    n_jobs : int or None
        Threads over blocks of queries; the result does not depend on it.

    Returns
    -------
    list of NeighborRows
        One a list, with one row for each of ``rows``; indices are row numbers of ``candidates``.
    """
    rows = np.arange(len(queries.X)) if rows is None else rows
    columns = np.arange(len(candidates.X)) if columns is None else columns
    if not len(rows):
        return [no_rows(0) for _ in lists]
    threads = min(thread_count(n_jobs), len(rows))
    side = block_side(queries.X.shape[1], working_bytes(working_memory) / threads)
    search = _Search(queries, candidates, lists, columns, side)
    height = min(side, -(-len(rows) // threads))
    blocks = [rows[start : start + height] for start in range(0, len(rows), height)]
    if threads == 1:
        found = [search.block(ids) for ids in blocks]
    else:
        with threadpool_limits(limits=1, user_api="blas"):
            found = Parallel(n_jobs=threads, require="sharedmem")(
                delayed(search.block)(ids) for ids in blocks
            )
    return [stack_rows([part[i] for part in found]) for i in range(len(lists))]


def direct_distances(
    queries: npt.NDArray[Any], candidates: npt.NDArray[Any], rows: IndexArray, columns: IndexArray
) -> FloatArray:
    """Distances of the pairs (rows[i], columns[i]) from differences, in double precision."""
    distances = np.empty(len(rows))
    # Chunks that stay in the cache; each row is summed alone, so that chunks do not matter.
    step = max(1, 65_536 // max(queries.shape[1], 1))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = np.subtract(queries[rows[part]], candidates[columns[part]], dtype=np.float64)
        np.multiply(difference, difference, out=difference)
        distances[part] = np.sqrt(difference.sum(axis=1))
    return distances


class _Search:
    """What all blocks of one search share."""

    def __init__(
        self,
        queries: Points,
        candidates: Points,
        lists: Sequence[tuple[int, Mask]],
        columns: IndexArray,
        side: int,
    ) -> None:
        self.queries = queries
        self.candidates = candidates
        self.lists = lists
        self.columns = columns
        self.side = side
        # Bound on the error of an entry, relative to |a|^2 + |b|^2: a dot product of d terms in
        # any order errs by at most d u |a| |b|, twice that enters; rounding the centred vectors,
        # the norms, the limit and the addition is within the rest.
        self.error = 1.01 * (queries.X.shape[1] + 24) * _UNIT_ROUNDOFF
        self._representative: IndexArray | None = None

    def block(self, ids: IndexArray) -> list[NeighborRows]:
        """Search for the queries ``ids``."""
        a = np.float32(-2.0) * self.queries.take(ids)
        pools = [_Pool(self, ids, k) for k, _ in self.lists]
        store = np.empty(len(ids) * min(self.side, len(self.columns)), dtype=np.float32)
        for start in range(0, len(self.columns), self.side):
            columns = self.columns[start : start + self.side]
            # Least possible squared distances, see `error`, less what the row has in common.
            least = store[: len(ids) * len(columns)].reshape(len(ids), len(columns))
            np.matmul(a, self.candidates.take(columns).T, out=least)
            least_b = (1.0 - self.error) * self.candidates.norms[columns] - _UNDERFLOW
            least += least_b.astype(np.float32)
            for pool, (_, mask) in zip(pools, self.lists, strict=True):
                pool.add(least, mask(ids, columns), columns)
        return [pool.finish() for pool in pools]

    def representative(self) -> IndexArray:
        """For each candidate the first one that is bit-identical to it."""
        if self._representative is None:
            first: dict[bytes, int] = {}
            same = np.arange(len(self.candidates.X))
            for i in self.columns:
                row = np.ascontiguousarray(self.candidates.X[i])
                key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
                same[i] = first.setdefault(key, int(i))
            self._representative = same
        return self._representative


class _Pool:
    """Candidates of a block of queries that may still be among the k nearest.

    Of each candidate it knows the least and the greatest possible squared distance in the
    frame, less ``common``, which all candidates of a query share.
    """

    def __init__(self, search: _Search, ids: IndexArray, k: int) -> None:
        self.search = search
        self.ids = ids
        self.k = k
        self.norms = search.queries.norms[ids]
        self.common = (1.0 - search.error) * self.norms
        # Upper bound on the k-th best.
        self.limit = np.full(len(ids), np.inf)
        self.row = np.empty(0, dtype=np.int64)
        self.column = np.empty(0, dtype=np.int64)
        self.least = np.empty(0)
        self.most = np.empty(0)
        self.capacity = len(ids) * (4 * k + 64)

    def add(
        self, least: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], columns: IndexArray
    ) -> None:
        """Take in the candidates ``columns``."""
        if not allowed.any():
            return
        b_norms = self.search.candidates.norms[columns]
        self._first_limits(least, allowed, b_norms)
        limit = np.nextafter(self.limit.astype(np.float32), np.float32(np.inf))
        hits = least <= limit[:, None]
        hits &= allowed
        row, j = np.divmod(np.flatnonzero(hits), len(columns))
        if not len(row):
            return
        low = least[row, j].astype(np.float64)
        self.row = np.concatenate([self.row, row])
        self.column = np.concatenate([self.column, columns[j]])
        self.least = np.concatenate([self.least, low])
        self.most = np.concatenate([self.most, low + self._slack(self.norms[row], b_norms[j])])
        self._tighten()
        if len(self.row) > self.capacity:
            self._resolve()

    def _slack(self, a_norms: FloatArray, b_norms: Any) -> FloatArray:
        """From the least to the greatest possible."""
        return 2.0 * self.search.error * (a_norms + b_norms) + 2.0 * _UNDERFLOW

    def _first_limits(
        self,
        least: npt.NDArray[np.float32],
        allowed: npt.NDArray[np.bool_],
        b_norms: FloatArray,
    ) -> None:
        """Bound rows that have no limit yet, by the first columns, lest they take in too many."""
        open_rows = np.flatnonzero(np.isinf(self.limit))
        if not len(open_rows):
            return
        width = max(512, 16 * self.k)
        enough = np.count_nonzero(allowed[open_rows, :width], axis=1) > 2 * self.k
        open_rows = open_rows[enough]
        if not len(open_rows):
            return
        entries = np.where(allowed[open_rows, :width], least[open_rows, :width], np.float32(np.inf))
        entries.partition(self.k - 1, axis=1)
        kth = entries[:, self.k - 1].astype(np.float64)
        self.limit[open_rows] = kth + self._slack(self.norms[open_rows], b_norms[:width].max())

    def _tighten(self) -> None:
        """Lower the limits to the k-th best upper bound and drop what is beyond."""
        order = np.lexsort((self.most, self.row))
        counts = np.bincount(self.row, minlength=len(self.ids))
        starts = np.cumsum(counts) - counts
        full = np.flatnonzero(counts >= self.k)
        kth = self.most[order[starts[full] + self.k - 1]]
        self.limit[full] = np.minimum(self.limit[full], kth)
        self._keep(self.least <= self.limit[self.row])

    def _keep(self, keep: npt.NDArray[Any]) -> None:
        self.row, self.column = self.row[keep], self.column[keep]
        self.least, self.most = self.least[keep], self.most[keep]

    def _resolve(self) -> None:
        """Settle many near ties now, by direct distances, so that they do not fill the memory.

        Bit-identical candidates, the usual reason, are computed once.
        """
        same = self.search.representative()[self.column]
        n = len(self.search.candidates.X)
        pairs, inverse = np.unique(self.row * n + same, return_inverse=True)
        distances = self._direct(pairs // n, pairs % n)[inverse]
        order = np.lexsort((self.column, distances, self.row))
        counts = np.bincount(self.row, minlength=len(self.ids))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        best = order[rank < self.k]
        squared = (distances[best] * self.search.candidates.frame.scale) ** 2
        self._keep(best)
        # What is known now to the last digits is still stated as an interval.
        doubt = 1e-9 * (squared + self.norms[self.row]) + _UNDERFLOW
        self.least = squared - self.common[self.row] - doubt
        self.most = squared - self.common[self.row] + doubt
        self._tighten()

    def _direct(self, row: IndexArray, column: IndexArray) -> FloatArray:
        return direct_distances(
            self.search.queries.X, self.search.candidates.X, self.ids[row], column
        )

    def finish(self) -> NeighborRows:
        """Sort what is left by its direct distances."""
        distances = self._direct(self.row, self.column)
        return rows_from_triplets(len(self.ids), self.row, self.column, distances, self.k)


def block_side(d: int, budget: float) -> int:
    """Side s of a square block: 24 s^2 bytes of entries and masks, 16 s d of vectors."""
    root = np.sqrt((16.0 * d) ** 2 + 96.0 * budget)
    return int(np.clip((root - 16.0 * d) / 48.0, 16, _MAX_SIDE))
