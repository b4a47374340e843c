"""Rows and columns of P and Q for new photos, while the rest of the graph stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from .._cluster_client import thread_count
from ._exact import area_numbers, other_area_mask, same_area_mask
from ._graph import (
    NeighborRows,
    PairGraph,
    entry_limits,
    merge_rows,
    no_rows,
    row_numbers,
    rows_from_triplets,
    stack_rows,
    take_rows,
)
from ._points import FloatArray, IndexArray, Points, make_frame, working_bytes
from ._search import Mask, direct_distances, masked_neighbors

#: Of single precision, and more than what may get lost below its range.
_UNIT_ROUNDOFF, _UNDERFLOW = 2.0**-24, 1e-29


class _Block(NamedTuple):
    """Photos that are stored together, and the number of the first of them."""

    points: Points
    first: int


def extend_pairs(
    graph: PairGraph,
    photos: Sequence[npt.NDArray[Any]],
    new: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> PairGraph:
    """Take new photos into a graph: their rows, and their places in the rows of others.

    The new rows are exact. An old row keeps its nearest ``k`` of what it had and the new photos:
    so it is exact if it was, and misses no more of its true neighbours than before if it
    was not. The cost is that of comparing the new photos with all, twice.

    Parameters
    ----------
    graph : PairGraph
        The graph over the old photos.
    photos : sequence of ndarray of shape (n_i, d)
        The old photos, in their order; memory maps too.
    new : ndarray of shape (m, d)
        The new photos, numbered after the old ones.
    labels : ndarray of shape (n + m,)
        The areas of all photos.
    k1, k2 : int
        Length of the rows of the graph.
    coordinates : ndarray of shape (n + m, 2) or None
        Degrees, of all photos; needed if ``min_distance_km`` is above 0.
    min_distance_km : float
        As the graph was made with.
    working_memory : float or None
        MiB for temporary blocks; None: scikit-learn's configuration.
    n_jobs : int or None
        Threads; the result does not depend on it.

    Returns
    -------
    PairGraph
        The graph over all photos.

    Raises
    ------
    ValueError
        If squared distances overflow.
    """
    labels = area_numbers(labels)
    frame = make_frame(*photos, new, working_memory=working_memory)
    masks = same_area_mask(labels), other_area_mask(labels, coordinates, min_distance_km)
    search = _Search(masks, (k1, k2), working_memory, n_jobs)
    joining = _Block(Points(new, frame, working_memory=working_memory), len(labels) - len(new))
    rows, begin = [no_rows(len(new))] * 2, 0
    entering: list[list[NeighborRows]] = [[], []]
    # Blocks come in the order of their photos, so that among equals the first stay first.
    for X in photos:
        block = _Block(Points(X, frame, working_memory=working_memory), begin)
        rows = search.nearest(joining, block, rows)
        ids = np.arange(begin, begin + len(X))
        for got, had, which in zip(entering, graph, (0, 1), strict=True):
            got.append(search.entering(block, joining, take_rows(had, ids), which))
        begin += len(X)
    rows = search.nearest(joining, joining, rows)
    same, other = (
        stack_rows([merge_rows(had, stack_rows(got), k), own])
        for had, got, own, k in zip(graph, entering, rows, (k1, k2), strict=True)
    )
    return PairGraph(same, other)


class _Search(NamedTuple):
    """What all blocks share: for P and for Q which pairs are allowed, and how many a row has."""

    masks: tuple[Mask, Mask]
    ks: tuple[int, int]
    working_memory: float | None
    n_jobs: int | None

    def nearest(
        self, queries: _Block, candidates: _Block, rows: list[NeighborRows]
    ) -> list[NeighborRows]:
        """Take the candidates into the rows of the queries, which hold photos before them."""
        found = masked_neighbors(
            queries.points,
            candidates.points,
            [
                (k, _between(queries, candidates, mask))
                for k, mask in zip(self.ks, self.masks, strict=True)
            ],
            working_memory=self.working_memory,
            n_jobs=self.n_jobs,
        )
        return [
            merge_rows(had, got._replace(indices=got.indices + candidates.first), k)
            for had, got, k in zip(rows, found, self.ks, strict=True)
        ]

    def entering(
        self, block: _Block, joining: _Block, had: NeighborRows, which: int
    ) -> NeighborRows:
        """Find the joining photos that enter rows of old ones: nearer than their last.

        Rows of Q with room take whatever comes, and are searched; those of P with room are in
        areas of few photos, and few can come.
        """
        k, mask = self.ks[which], _between(block, joining, self.masks[which])
        limits = entry_limits(had, k)
        room = np.flatnonzero(np.isinf(limits)) if which else np.empty(0, np.int64)
        parts = []
        if len(room):
            (found,) = masked_neighbors(
                block.points,
                joining.points,
                [(k, mask)],
                rows=room,
                working_memory=self.working_memory,
                n_jobs=self.n_jobs,
            )
            parts.append((room[row_numbers(found)], found.indices, found.distances))
        threads = thread_count(self.n_jobs)
        height, width = self._block_shape(block.points.X.shape[1], threads)
        rest = np.setdiff1d(np.arange(len(limits)), room, assume_unique=True)
        tiles = [
            (rest[i : i + height], np.arange(j, min(j + width, len(joining.points.X))))
            for i in range(0, len(rest), height)
            for j in range(0, len(joining.points.X), width)
        ]
        with threadpool_limits(limits=1 if threads > 1 else None, user_api="blas"):
            parts += Parallel(n_jobs=threads, require="sharedmem")(
                delayed(_nearer)(block.points, joining.points, ids, columns, limits[ids], mask)
                for ids, columns in tiles
            )
        if not parts:
            return no_rows(len(limits))
        row, column, distance = (np.concatenate(part) for part in zip(*parts, strict=True))
        return rows_from_triplets(len(limits), row, column + joining.first, distance, k)

    def _block_shape(self, d: int, threads: int) -> tuple[int, int]:
        """Rows and columns of a block: 24 bytes an entry, 16 a value of the vectors."""
        side = 2048
        while side > 16 and 24.0 * side * side + 32.0 * side * d > (
            working_bytes(self.working_memory) / threads
        ):
            side //= 2
        return side, side


def _nearer(
    old: Points,
    new: Points,
    ids: IndexArray,
    columns: IndexArray,
    limits: FloatArray,
    mask: Mask,
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Find the pairs of old and new photos that are nearer than the limit of the old one.

    Entries are single precision, with the bound on their error that `masked_neighbors` uses: a
    pair is ruled out only if it cannot be nearer; what is left is compared directly.
    """
    error = 1.01 * (old.X.shape[1] + 24) * _UNIT_ROUNDOFF
    least = np.matmul(np.float32(-2.0) * old.take(ids), new.take(columns).T)
    least += ((1.0 - error) * new.norms[columns] - _UNDERFLOW).astype(np.float32)
    squared = (limits * old.frame.scale) ** 2
    bound = squared * (1.0 + 1e-9) - (1.0 - error) * old.norms[ids] + _UNDERFLOW
    hits = least <= np.nextafter(bound.astype(np.float32), np.float32(np.inf))[:, None]
    if hits.any():
        hits &= mask(ids, columns)
    row, j = np.nonzero(hits)
    distances = direct_distances(old.X, new.X, ids[row], columns[j])
    nearer = distances < limits[row]
    return ids[row[nearer]], columns[j[nearer]], distances[nearer]


def _between(queries: _Block, candidates: _Block, mask: Mask) -> Mask:
    """Give a mask over all photos the numbers within blocks."""

    def shifted(rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        return mask(rows + queries.first, columns + candidates.first)

    return shifted


def keep_photos(
    photos: list[npt.NDArray[Any]], new: npt.NDArray[Any], *, copy: bool
) -> list[npt.NDArray[Any]]:
    """Put new photos behind old ones, in few arrays: memory maps stay, the rest grow together.

    Arrays are joined when the last is as large as the one before it, so that all joining copies
    each photo a few times at most, however small the batches.
    """
    photos = [*photos, new.copy() if copy and not _is_mapped(new) else new]
    while len(photos) > 1:
        before, last = photos[-2:]
        unlike = before.dtype != last.dtype or _is_mapped(before) or _is_mapped(last)
        if unlike or len(last) < len(before):
            break
        photos[-2:] = [np.concatenate([before, last])]
    return photos


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
