"""Exact nearest neighbours under a mask, by matrix products in bounded memory.

The search runs over blocks of single precision ``|a|^2 + |b|^2 - 2 a.b``, which is fast but
cancels. Each entry therefore comes with a bound on its rounding error: an entry is dropped only if
its least possible distance exceeds the greatest possible distance of the k-th best. What
survives, hardly more than k a row, is computed again directly in double precision and sorted by
(distance, index). The result is exact, whatever the block size, the BLAS or its threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sklearn
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from ._graph import NeighborRows, no_rows, rows_from_triplets, stack_rows

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
#: (ids of queries, ids of candidates) -> which pairs are allowed, as a boolean block.
Mask = Callable[[IndexArray, IndexArray], npt.NDArray[np.bool_]]

_UNIT_ROUNDOFF = 2.0**-24  # of single precision
_MAX_SIDE = 4096


class Frame(NamedTuple):
    """Shift and scale under which single precision is safe and loses least.

    Distances are the same after the mean of the data is subtracted, but cancellation is less.
    The scale is a power of two, hence exact, and puts all norms into [0, 1].
    """

    mean: FloatArray
    scale: float

    def apply(self, block: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], FloatArray]:
        """Return rows in the frame in single precision, and their squared norms."""
        centred = block - self.mean
        centred *= self.scale
        norms = np.einsum("ij,ij->i", centred, centred)
        return centred.astype(np.float32), norms


def working_bytes(working_memory: float | None) -> float:
    """Bytes that the blocks may take; None asks scikit-learn's configuration."""
    if working_memory is None:
        working_memory = float(sklearn.get_config()["working_memory"])
    return working_memory * 2.0**20


def make_frame(X: npt.NDArray[Any], *, working_memory: float | None = None) -> Frame:
    """Find the frame of the rows of X, reading them in blocks.

    Raises
    ------
    ValueError
        If the values are so large that squared distances overflow.
    """
    blocks = list(_blocks(np.arange(len(X)), _rows_that_fit(X.shape[1], working_memory)))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.zeros(X.shape[1])
        for ids in blocks:
            mean += X[ids].sum(axis=0, dtype=np.float64) / len(X)
        largest = 0.0
        for ids in blocks:
            centred = X[ids] - mean
            largest = max(largest, float(np.einsum("ij,ij->i", centred, centred).max()))
    if not np.isfinite(4.0 * largest):
        raise ValueError(
            "X has values so large that squared distances overflow double precision; expected "
            "features of moderate size, for example scaled by BlockScaler."
        )
    # At the other end the scale itself must stay finite.
    exponent = 0 if largest == 0.0 else int(np.clip(np.frexp(np.sqrt(largest))[1], -1000, 1000))
    return Frame(mean, float(np.ldexp(1.0, -exponent)))


def masked_neighbors(
    queries: npt.NDArray[Any],
    candidates: npt.NDArray[Any],
    lists: Sequence[tuple[int, Mask]],
    *,
    frame: Frame,
    rows: IndexArray | None = None,
    columns: IndexArray | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> list[NeighborRows]:
    """Find the k nearest allowed candidates of each query, exactly, for several masks at once.

    Parameters
    ----------
    queries, candidates : ndarray of shape (n, d) and (m, d)
        Vectors, float32 or float64, memory maps too. May be the same array.
    lists : sequence of (k, mask)
        For each list the number of neighbours and the mask ``mask(row_ids, column_ids)``. All
        lists share one pass over the products.
    frame : Frame
        From `make_frame` of the candidates.
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
    rows = np.arange(len(queries)) if rows is None else rows
    columns = np.arange(len(candidates)) if columns is None else columns
    threads = min(effective_n_jobs(n_jobs), max(len(rows), 1))
    budget = working_bytes(working_memory) / threads
    d = max(candidates.shape[1], 1)
    side = _block_side(d, budget)
    # All candidates are kept converted where that leaves most of the memory to the blocks.
    prepared = None
    if len(columns) <= side or len(columns) * d * 12.0 < 0.25 * budget:
        prepared = frame.apply(candidates[columns])
    search = _Search(queries, candidates, lists, frame, columns, prepared, side)
    height = max(1, min(side, -(-len(rows) // threads)))
    blocks = list(_blocks(rows, height))
    if threads == 1:
        found = [search.block(ids) for ids in blocks]
    else:
        with threadpool_limits(limits=1, user_api="blas"):
            found = Parallel(n_jobs=threads, prefer="threads")(
                delayed(search.block)(ids) for ids in blocks
            )
    if not found:
        return [no_rows(0) for _ in lists]
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
        queries: npt.NDArray[Any],
        candidates: npt.NDArray[Any],
        lists: Sequence[tuple[int, Mask]],
        frame: Frame,
        columns: IndexArray,
        prepared: tuple[npt.NDArray[np.float32], FloatArray] | None,
        side: int,
    ) -> None:
        self.queries = queries
        self.candidates = candidates
        self.lists = lists
        self.frame = frame
        self.columns = columns
        self.prepared = prepared
        self.side = side
        d = queries.shape[1]
        # Bound on the error of an entry, relative to |a|^2 + |b|^2: a dot product of d terms in
        # any order errs by at most d u |a| |b|, twice that enters; rounding the centred vectors,
        # the norms and the two additions is within the rest.
        self.error = 1.01 * (d + 24) * _UNIT_ROUNDOFF
        self._representative: IndexArray | None = None

    def block(self, ids: IndexArray) -> list[NeighborRows]:
        """Search for the queries ``ids``."""
        a, a_norms = self.frame.apply(self.queries[ids])
        pools = [_Pool(self, ids, a_norms, k) for k, _ in self.lists]
        for start in range(0, len(self.columns), self.side):
            part = slice(start, start + self.side)
            ids_b = self.columns[part]
            if self.prepared is None:
                b, b_norms = self.frame.apply(self.candidates[ids_b])
            else:
                b, b_norms = self.prepared[0][part], self.prepared[1][part]
            # Least possible squared distances, see `error`.
            least = a @ b.T
            least *= np.float32(-2.0)
            least += ((1.0 - self.error) * a_norms).astype(np.float32)[:, None]
            least += ((1.0 - self.error) * b_norms - 1e-30).astype(np.float32)
            for pool, (_, mask) in zip(pools, self.lists, strict=True):
                pool.add(least, mask(ids, ids_b), ids_b, b_norms)
        return [pool.finish() for pool in pools]

    def representative(self) -> IndexArray:
        """For each candidate the first one that is bit-identical to it."""
        if self._representative is None:
            first: dict[bytes, int] = {}
            same = np.arange(len(self.candidates))
            for i in self.columns:
                row = np.ascontiguousarray(self.candidates[i])
                key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
                same[i] = first.setdefault(key, int(i))
            self._representative = same
        return self._representative


class _Pool:
    """Candidates of a block of queries that may still be among the k nearest."""

    def __init__(self, search: _Search, ids: IndexArray, a_norms: FloatArray, k: int) -> None:
        self.search = search
        self.ids = ids
        self.a_norms = a_norms
        self.k = k
        # Upper bound on the squared distance of the k-th best, in the frame.
        self.limit = np.full(len(ids), np.inf)
        self.row = np.empty(0, dtype=np.int64)
        self.column = np.empty(0, dtype=np.int64)
        self.least = np.empty(0)
        self.most = np.empty(0)
        self.capacity = len(ids) * (4 * k + 64)

    def add(
        self,
        least: npt.NDArray[np.float32],
        allowed: npt.NDArray[np.bool_],
        columns: IndexArray,
        b_norms: FloatArray,
    ) -> None:
        """Take in the candidates ``columns``."""
        if not allowed.any():
            return
        slack = 2.0 * self.search.error
        self._first_limits(least, allowed, slack * (self.a_norms + b_norms.max()))
        limit = np.nextafter(self.limit.astype(np.float32), np.float32(np.inf))
        row, j = np.nonzero(allowed & (least <= limit[:, None]))
        if not len(row):
            return
        low = least[row, j].astype(np.float64)
        high = low + slack * (self.a_norms[row] + b_norms[j]) + 1e-29
        self.row = np.concatenate([self.row, row])
        self.column = np.concatenate([self.column, columns[j]])
        self.least = np.concatenate([self.least, low])
        self.most = np.concatenate([self.most, high])
        self._tighten()
        if len(self.row) > self.capacity:
            self._resolve()

    def _first_limits(
        self, least: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], slack: FloatArray
    ) -> None:
        """Bound rows that have none yet and would take in many candidates."""
        open_rows = np.flatnonzero(np.isinf(self.limit))
        if not len(open_rows):
            return
        open_rows = open_rows[np.count_nonzero(allowed[open_rows], axis=1) > 2 * self.k]
        if not len(open_rows):
            return
        entries = np.where(allowed[open_rows], least[open_rows], np.float32(np.inf))
        kth = np.partition(entries, self.k - 1, axis=1)[:, self.k - 1].astype(np.float64)
        self.limit[open_rows] = kth + slack[open_rows] + 1e-29

    def _tighten(self) -> None:
        """Lower the limits to the k-th best upper bound and drop what is beyond."""
        order = np.lexsort((self.most, self.row))
        row = self.row[order]
        counts = np.bincount(row, minlength=len(self.ids))
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
        n = len(self.search.candidates)
        pairs, inverse = np.unique(self.row * n + same, return_inverse=True)
        distances = self._direct(pairs // n, pairs % n)[inverse]
        order = np.lexsort((self.column, distances, self.row))
        counts = np.bincount(self.row, minlength=len(self.ids))
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        best = order[rank < self.k]
        squared = (distances[best] * self.search.frame.scale) ** 2
        self._keep(best)
        self.least = np.maximum(squared * (1.0 - 1e-9) - 1e-29, 0.0)
        self.most = squared * (1.0 + 1e-9) + 1e-29
        self._tighten()

    def _direct(self, row: IndexArray, column: IndexArray) -> FloatArray:
        search = self.search
        return direct_distances(search.queries, search.candidates, self.ids[row], column)

    def finish(self) -> NeighborRows:
        """Sort what is left by its direct distances."""
        distances = self._direct(self.row, self.column)
        return rows_from_triplets(len(self.ids), self.row, self.column, distances, self.k)


def _blocks(ids: IndexArray, size: int) -> Iterator[IndexArray]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _rows_that_fit(d: int, working_memory: float | None) -> int:
    return int(np.clip(working_bytes(working_memory) / (32.0 * max(d, 1)), 1, 16_384))


def _block_side(d: int, budget: float) -> int:
    """Side s of a square block: 24 s^2 bytes of entries and masks, 32 s d of vectors."""
    root = np.sqrt((32.0 * d) ** 2 + 96.0 * budget)
    return int(np.clip((root - 32.0 * d) / 48.0, 16, _MAX_SIDE))
