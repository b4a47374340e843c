"""P and Q for other areas from what does not depend on the areas: the nearest of all photos.

The list of the ``length`` nearest other photos of each photo, whatever their areas, is searched
once. Under any areas, what a row of P or Q needs are the first of the list that are allowed in it:
all others are farther than the whole list. A row for which the list holds too few of them is
searched again, alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._cluster_client import cluster_client
from ._bounded import exact_neighbors
from ._exact import area_numbers, exact_pairs, other_areas, same_area_neighbors
from ._graph import NeighborRows, PairGraph, reorder_rows, row_numbers, stack_rows, take_rows
from ._on_cluster import pairs_on_cluster
from ._points import FloatArray, IndexArray, Points, make_frame
from ._tiles import Allowed

#: Lists of so many photos are cut at once, lest the copies take more memory than they do.
_ROWS = 65_536


def nearest_of_all(X: npt.NDArray[Any], length: int, *, n_jobs: int | None = None) -> NeighborRows:
    """Find the nearest other photos of each photo, exactly, whatever their areas."""
    # Where each photo is an area of its own, all others are of another.
    alone = np.arange(len(X))
    client = cluster_client()
    if client is not None:
        return pairs_on_cluster(client, X, alone, 1, length).easy_confusing
    return exact_pairs(X, alone, 1, length, n_jobs=n_jobs).easy_confusing


def regroup(
    X: npt.NDArray[Any],
    near: NeighborRows,
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    n_jobs: int | None = None,
) -> PairGraph:
    """Make the exact graph under any areas.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Visual features.
    near : NeighborRows
        Their `nearest_of_all`.
    labels, k1, k2, coordinates, min_distance_km, n_jobs
        As for `exact_pairs`.

    Returns
    -------
    PairGraph
        That of `exact_pairs`, to the bit.
    """
    labels = area_numbers(labels)
    allowed = other_areas(labels, coordinates, min_distance_km)
    parts = [
        _cut(near, np.arange(start, min(start + _ROWS, len(labels))), labels, allowed, k1, k2)
        for start in range(0, len(labels), _ROWS)
    ]
    p, q = (stack_rows([part[i] for part in parts]) for i in range(2))
    # A row is proven if it is full, or if the list had all that could come.
    everything = np.diff(near.indptr) == len(labels) - 1
    others_of_area = np.bincount(labels)[labels] - 1
    p_open = np.flatnonzero(~everything & (np.diff(p.indptr) < np.minimum(k1, others_of_area)))
    q_open = np.flatnonzero(~everything & (np.diff(q.indptr) < k2))
    if not len(p_open) and not len(q_open):
        return PairGraph(p, q)
    points = Points(X, make_frame(X))
    if len(p_open):
        found = same_area_neighbors(points, labels, k1, rows=p_open, n_jobs=n_jobs)
        p = _replace(p, p_open, found)
    if len(q_open):
        found = exact_neighbors(points, points, k2, allowed, rows=q_open, n_jobs=n_jobs)
        q = _replace(q, q_open, found)
    return PairGraph(p, q)


def _cut(
    near: NeighborRows,
    ids: IndexArray,
    labels: npt.NDArray[Any],
    allowed: Allowed,
    k1: int,
    k2: int,
) -> tuple[NeighborRows, NeighborRows]:
    """Rows of P and Q as far as the lists of the photos ``ids`` go."""
    lists = take_rows(near, ids)
    row = row_numbers(lists)
    same = labels[ids[row]] == labels[lists.indices]
    other = allowed.pairs(ids[row], lists.indices)
    return _filter(lists, row, same).head(k1), _filter(lists, row, other).head(k2)


def _filter(lists: NeighborRows, row: IndexArray, keep: npt.NDArray[np.bool_]) -> NeighborRows:
    counts = np.bincount(row[keep], minlength=len(lists.indptr) - 1)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return NeighborRows(indptr, lists.indices[keep], lists.distances[keep])


def _replace(graph: NeighborRows, ids: IndexArray, by: NeighborRows) -> NeighborRows:
    """Put other rows into the places ``ids``."""
    rest = np.setdiff1d(np.arange(len(graph.indptr) - 1), ids, assume_unique=True)
    return reorder_rows(stack_rows([take_rows(graph, rest), by]), np.concatenate([rest, ids]))
