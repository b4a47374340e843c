"""The paper's fast graph: photos are compared with the members of the nearest visual clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._cluster_client import thread_count
from .._geodesy import from_unit_vectors, to_unit_vectors
from ._bounded import exact_neighbors
from ._exact import area_numbers, other_areas, same_area_neighbors
from ._graph import NeighborRows, PairGraph, reorder_rows, stack_rows
from ._lists import Lists, bound_lists, nearest_in_lists, ranges, run
from ._points import FloatArray, IndexArray, Points, make_frame, working_bytes
from ._projection import Projection, Short, make_sketch
from ._tiles import Allowed, allowed_pairs
from ._visual_clusters import Anchors, find_anchors

#: Members of anchors are bounded in so many directions before they are compared.
_DIRECTIONS = 64


def anchor_pairs(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    k3: int = 50,
    bandwidth: float = 0.8,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    seed: int | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> PairGraph:
    """Find pairs with the anchor graph of the paper: Q approximately, P exactly.

    Inside each area, mean shift on the visual features gives visual clusters; their centroids
    are the anchors. For each photo the ``k3`` nearest anchors of other areas are found, then the
    ``k2`` nearest photos among the members of their clusters.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Visual features, float32 or float64; may be a memory map.
    labels : ndarray of shape (n,)
        The area of each photo.
    k1, k2 : int
        Number of same-area and of easy-confusing neighbours, at least 1.
    k3 : int, default=50
        Number of anchors.
    bandwidth : float, default=0.8
        Radius of the kernel of the mean shift on features, as a fraction of the root mean square
        distance between two photos of one area. (The paper's 0.01 refers to a scale of the
        features that it does not give.)
    coordinates : ndarray of shape (n, 2) or None
        Degrees; needed if ``min_distance_km`` is above 0.
    min_distance_km : float, default=0.0
        Easy-confusing pairs closer than this on Earth are not considered, nor are anchors of
        visual clusters whose mean place is.
    seed : int or None
        In areas of more than 1,024 photos the mean shift runs on as many drawn at random.
    working_memory : float or None, default=None
        MiB for temporary blocks; None: scikit-learn's configuration.
    n_jobs : int or None, default=None
        Threads; the result does not depend on it.

    Returns
    -------
    PairGraph
        As of `exact_pairs`. A row of ``easy_confusing`` is shorter than k2 where the clusters of
        the k3 anchors have fewer members.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, section 4.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.pairs import anchor_pairs, exact_pairs, pair_recall
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> labels = np.arange(200) // 10
    >>> fast = anchor_pairs(X, labels, k1=5, k2=5, k3=8)
    >>> true = exact_pairs(X, labels, k1=5, k2=5)
    >>> pair_recall(fast.same_area.to_csr(), true.same_area.to_csr())
    1.0
    >>> bool(pair_recall(fast.easy_confusing.to_csr(), true.easy_confusing.to_csr()) > 0.5)
    True
    """
    labels = area_numbers(labels)
    frame = make_frame(X, working_memory=working_memory)
    points = Points(X, frame, working_memory=working_memory)
    same = same_area_neighbors(points, labels, k1, working_memory=working_memory, n_jobs=n_jobs)
    anchors = find_anchors(X, labels, bandwidth, seed=seed, n_jobs=n_jobs)
    nearest_anchors = exact_neighbors(
        points,
        Points(anchors.centroids, frame, working_memory=working_memory),
        k3,
        _allowed_anchors(labels, anchors, coordinates, min_distance_km),
        working_memory=working_memory,
        n_jobs=n_jobs,
    )
    other = _among_members(
        points,
        anchors,
        nearest_anchors,
        k2,
        allowed=other_areas(labels, coordinates, min_distance_km),
        working_memory=working_memory,
        n_jobs=n_jobs,
    )
    return PairGraph(same, other)


def _allowed_anchors(
    labels: npt.NDArray[Any],
    anchors: Anchors,
    coordinates: FloatArray | None,
    min_distance_km: float,
) -> Allowed:
    """Allow anchors of other areas whose photos lie far enough on the average."""
    places = None
    if coordinates is not None and min_distance_km > 0.0:
        sums = np.zeros((len(anchors.area), 3))
        np.add.at(sums, anchors.cluster_of_photo, to_unit_vectors(coordinates))
        places = from_unit_vectors(sums)
    return allowed_pairs(labels, anchors.area, coordinates, places, min_distance_km)


def _among_members(
    points: Points,
    anchors: Anchors,
    nearest_anchors: NeighborRows,
    k: int,
    *,
    allowed: Allowed,
    working_memory: float | None,
    n_jobs: int | None,
) -> NeighborRows:
    """Find the k nearest photos among the members of the nearest anchors of each photo."""
    threads = thread_count(n_jobs)
    d = points.X.shape[1]
    short: Short | None = None
    if d > 2 * _DIRECTIONS:
        projection = Projection(points, _DIRECTIONS)
        short = make_sketch(points, projection, [_DIRECTIONS], threads=threads)[_DIRECTIONS]
    # Photos of one cluster one after the other: their candidates are in the cache.
    order = np.argsort(anchors.cluster_of_photo, kind="stable").astype(np.int64)
    sizes = np.bincount(anchors.cluster_of_photo, minlength=len(anchors.area))
    ends = np.cumsum(sizes)
    lengths = np.add.reduceat(
        np.append(sizes[nearest_anchors.indices], 0), nearest_anchors.indptr[:-1]
    ) * (np.diff(nearest_anchors.indptr) > 0)
    # A listed pair takes some 40 bytes while lists are made.
    most = max(1.0, working_bytes(working_memory) / threads / 40.0)
    part = np.cumsum(lengths[order]) // most
    groups = np.split(order, np.flatnonzero(np.diff(part)) + 1)

    def search(rows: IndexArray) -> NeighborRows:
        of_rows = ranges(nearest_anchors.indptr[rows], nearest_anchors.indptr[rows + 1])
        chosen = nearest_anchors.indices[of_rows]
        columns = order[ranges(ends[chosen] - sizes[chosen], ends[chosen])]
        owner = np.repeat(np.arange(len(rows)), lengths[rows])
        if allowed.least_chord > 0.0:
            far = allowed.pairs(rows[owner], columns)
            owner, columns = owner[far], columns[far]
        counts = np.bincount(owner, minlength=len(rows))
        lists = Lists(
            np.concatenate([[0], np.cumsum(counts)]),
            columns,
            np.zeros(len(columns), dtype=np.float32),
        )
        if short is not None:
            lists = bound_lists(lists, rows, short, short)
        return nearest_in_lists(lists, rows, points, points, k)

    return reorder_rows(stack_rows(run(search, groups, threads)), order)
