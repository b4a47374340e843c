"""The paper's fast graph: photos are compared with the members of the nearest visual clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from .._geodesy import from_unit_vectors, to_unit_vectors
from ._exact import area_numbers, far_mask, other_area_mask, same_area_neighbors
from ._graph import NeighborRows, PairGraph, no_rows, reorder_rows, stack_rows
from ._points import FloatArray, IndexArray, Points, make_frame, working_bytes
from ._search import Mask, masked_neighbors
from ._visual_clusters import Anchors, find_anchors

#: Bounds on photos that are searched together: how many, and how many times the anchors of one.
_MOST_TOGETHER, _MOST_UNION = 64, 4


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
    (nearest_anchors,) = masked_neighbors(
        points,
        Points(anchors.centroids, frame, working_memory=working_memory),
        [(k3, _anchor_mask(labels, anchors, coordinates, min_distance_km))],
        working_memory=working_memory,
        n_jobs=n_jobs,
    )
    other = _among_members(
        points,
        anchors,
        nearest_anchors,
        k2,
        allowed=other_area_mask(labels, coordinates, min_distance_km),
        working_memory=working_memory,
        n_jobs=n_jobs,
    )
    return PairGraph(same, other)


def _anchor_mask(
    labels: npt.NDArray[Any],
    anchors: Anchors,
    coordinates: FloatArray | None,
    min_distance_km: float,
) -> Mask:
    """Allow anchors of other areas whose photos lie far enough on the average."""
    far = None
    if coordinates is not None and min_distance_km > 0.0:
        sums = np.zeros((len(anchors.area), 3))
        np.add.at(sums, anchors.cluster_of_photo, to_unit_vectors(coordinates))
        far = far_mask(coordinates, from_unit_vectors(sums), min_distance_km)

    def mask(rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        allowed: npt.NDArray[np.bool_] = labels[rows][:, None] != anchors.area[columns]
        if far is not None:
            allowed &= far(rows, columns)
        return allowed

    return mask


def _among_members(
    points: Points,
    anchors: Anchors,
    nearest_anchors: NeighborRows,
    k: int,
    *,
    allowed: Mask,
    working_memory: float | None,
    n_jobs: int | None,
) -> NeighborRows:
    """Find the k nearest photos among the members of the nearest anchors of each photo."""
    order = np.argsort(anchors.cluster_of_photo, kind="stable").astype(np.int64)
    sizes = np.bincount(anchors.cluster_of_photo, minlength=len(anchors.area))
    members = np.split(order, np.cumsum(sizes)[:-1])
    threads = effective_n_jobs(n_jobs)
    chosen = np.split(nearest_anchors.indices, nearest_anchors.indptr[1:-1])

    def search(ids: IndexArray) -> NeighborRows:
        lengths = [len(chosen[s]) for s in ids]
        union, position = np.unique(np.concatenate([chosen[s] for s in ids]), return_inverse=True)
        if not len(union):
            return no_rows(len(ids))
        of_photo = np.zeros((len(ids), len(union)), dtype=bool)
        of_photo[np.repeat(np.arange(len(ids)), lengths), position] = True
        columns = np.sort(np.concatenate([members[c] for c in union]))

        def mask(rows: IndexArray, cols: IndexArray) -> npt.NDArray[np.bool_]:
            cluster = np.searchsorted(union, anchors.cluster_of_photo[cols])
            block = of_photo[np.searchsorted(ids, rows)][:, cluster]
            block &= allowed(rows, cols)
            return block

        (found,) = masked_neighbors(
            points,
            points,
            [(k, mask)],
            rows=ids,
            columns=columns,
            working_memory=working_bytes(working_memory) / 2.0**20 / threads,
            n_jobs=1,
        )
        return found

    groups = _alike(order, chosen)
    # The products are too small for the threads of BLAS.
    with threadpool_limits(limits=1, user_api="blas"):
        parts = Parallel(n_jobs=threads, prefer="threads")(delayed(search)(ids) for ids in groups)
    return reorder_rows(stack_rows(parts), np.concatenate(groups))


def _alike(order: IndexArray, chosen: list[IndexArray]) -> list[IndexArray]:
    """Cut ``order``, photo after photo, into groups that chose few different anchors together.

    The members of these anchors are read once for all of the group, but compared with all of
    it, too.
    """
    groups: list[IndexArray] = []
    begin, union = 0, set[int]()
    for end, s in enumerate(order):
        own = chosen[s].tolist()
        larger = union.union(own)
        if end > begin and (
            end - begin >= _MOST_TOGETHER or len(larger) > max(_MOST_UNION * len(own), 1)
        ):
            groups.append(np.sort(order[begin:end]))
            begin, larger = end, set(own)
        union = larger
    groups.append(np.sort(order[begin:]))
    return groups
