"""Lists of candidates, a list a query: bounded in short columns, then compared directly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from . import _kernels as kernels
from ._graph import NeighborRows, stack_rows
from ._points import IndexArray, Points
from ._projection import Short

T = TypeVar("T")
R = TypeVar("R")

#: Rows of one task.
_STEP = 512


class Lists(NamedTuple):
    """Candidates of queries: those of query ``i`` are ``columns[indptr[i]:indptr[i + 1]]``.

    ``bounds`` say in which order to look at them, and when to stop: no squared distance, in the
    frame, is below its bound.
    """

    indptr: IndexArray
    columns: npt.NDArray[Any]
    bounds: npt.NDArray[np.float32]


def lists_from_pairs(
    n_rows: int,
    rows: npt.NDArray[Any],
    columns: npt.NDArray[Any],
    bounds: npt.NDArray[np.float32],
) -> Lists:
    """Sort pairs into lists."""
    counts = np.bincount(rows, minlength=n_rows)
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Lists(indptr, columns[order], bounds[order])


def bound_lists(lists: Lists, rows: IndexArray, queries: Short, candidates: Short) -> Lists:
    """Bound the same lists in other columns."""
    bounds = np.empty(len(lists.columns), dtype=np.float32)
    kernels.bound_lists(
        lists.indptr,
        lists.columns,
        rows,
        (queries.columns, queries.norms),
        (candidates.columns, candidates.norms),
        bounds,
    )
    return lists._replace(bounds=bounds)


def nearest_in_lists(
    lists: Lists,
    rows: IndexArray,
    queries: Points,
    candidates: Points,
    k: int,
    *,
    most: int | None = None,
    threads: int = 1,
) -> NeighborRows:
    """Find the k nearest candidates of each list by direct distances, ties by index.

    Parameters
    ----------
    lists : Lists
        Of the queries ``rows``.
    rows : ndarray of int64
        Which queries.
    queries, candidates : Points
        All vectors.
    k : int
        Neighbours of a row.
    most : int or None
        Compare at most so many of each list, those with the least bounds. None: go on until the
        bounds rule out the rest.
    threads : int
        Over the rows.

    Returns
    -------
    NeighborRows
        Distances have the bits of `direct_distances`.
    """
    plan = kernels.pairwise_plan(queries.X.shape[1])

    def search(start: int) -> NeighborRows:
        ids = rows[start : start + _STEP]
        longest = int(np.diff(lists.indptr[start : start + len(ids) + 1]).max(initial=0))
        shape = len(ids), max(1, min(k, longest))
        columns, distances = np.empty(shape, np.int64), np.empty(shape)
        counts = np.empty(len(ids), np.int64)
        kernels.nearest_listed(
            lists.indptr[start : start + len(ids) + 1],
            lists.columns,
            lists.bounds,
            ids,
            queries.X,
            candidates.X,
            queries.frame.scale,
            np.iinfo(np.int64).max if most is None else most,
            plan,
            columns,
            distances,
            counts,
        )
        found = np.arange(shape[1]) < counts[:, None]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        return NeighborRows(indptr, columns[found], distances[found])

    return stack_rows(run(search, range(0, len(rows), _STEP), threads))


def run(work: Callable[[T], R], tasks: Iterable[T], threads: int) -> list[R]:
    """Do the tasks, in threads, with one BLAS thread each; results in their order."""
    with threadpool_limits(limits=1, user_api="blas"):
        if threads == 1:
            return [work(task) for task in tasks]
        with ThreadPoolExecutor(threads) as pool:
            # In portions: the bar of `tasks` goes on as the work does.
            return list(pool.map(work, tasks))


def ranges(starts: IndexArray, stops: IndexArray) -> IndexArray:
    """Concatenate the ranges from starts to stops."""
    lengths = stops - starts
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
