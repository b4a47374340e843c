"""The exact neighbour graph: same-area and easy-confusing pairs of all photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._cluster_client import thread_count
from ._bounded import SMALL, exact_neighbors
from ._graph import NeighborRows, PairGraph, no_rows, reorder_rows, stack_rows
from ._lists import Lists, nearest_in_lists, ranges
from ._points import FloatArray, IndexArray, Points, make_frame
from ._search import Mask, masked_neighbors
from ._tiles import Allowed, allowed_pairs

#: Small areas are searched together, up to so many photos; tiny ones without products.
_PACK, _TINY = 256, 32


def exact_pairs(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    working_memory: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> PairGraph:
    """Find the k1 nearest photos inside and the k2 nearest outside the area of each photo.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Visual features, float32 or float64; may be a memory map.
    labels : ndarray of shape (n,)
        The area of each photo.
    k1, k2 : int
        Number of same-area and of easy-confusing neighbours, at least 1.
    coordinates : ndarray of shape (n, 2) or None
        Degrees; needed if ``min_distance_km`` is above 0.
    min_distance_km : float, default=0.0
        Easy-confusing pairs closer than this on Earth are not considered.
    working_memory : float or None, default=None
        MiB for temporary blocks, beside X and the result. None: the ``working_memory`` of
        scikit-learn's configuration, 1024.
    n_jobs : int or None, default=None
        Threads; the result does not depend on it. None or 1 leaves what is parallel in large
        products to BLAS.
    verbose : int, default=0
        Show progress bars if above 0.

    Returns
    -------
    PairGraph
        ``same_area`` and ``easy_confusing``. Rows are sorted by (distance, index) and shorter than
        k1 or k2 where there are not so many. Distances are those of the differences in double
        precision, equal to the bit for bit-identical photos.

    Raises
    ------
    ValueError
        If squared distances overflow.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.pairs import exact_pairs
    >>> X = np.array([[0.0], [1.0], [3.0], [0.5]])
    >>> graph = exact_pairs(X, np.array([0, 0, 0, 1]), k1=1, k2=1)
    >>> graph.same_area.indices
    array([1, 0, 1])
    >>> graph.easy_confusing.indices
    array([3, 3, 3, 0])
    """
    labels = area_numbers(labels)
    frame = make_frame(X, working_memory=working_memory)
    points = Points(X, frame, working_memory=working_memory)
    allowed = other_areas(labels, coordinates, min_distance_km)
    if float(X.size) * len(X) < SMALL:
        same, other = masked_neighbors(
            points,
            points,
            [(k1, same_area_mask(labels)), (k2, allowed.block)],
            working_memory=working_memory,
            n_jobs=n_jobs,
        )
        return PairGraph(same, other)
    same = same_area_neighbors(points, labels, k1, working_memory=working_memory, n_jobs=n_jobs)
    if not labels.any():  # one area: nothing is outside
        return PairGraph(same, no_rows(len(X)))
    other = exact_neighbors(
        points,
        points,
        k2,
        allowed,
        working_memory=working_memory,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    return PairGraph(same, other)


def same_area_neighbors(
    points: Points,
    labels: npt.NDArray[Any],
    k: int,
    *,
    rows: IndexArray | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> NeighborRows:
    """Find the k nearest photos inside the area of each photo, comparing within areas only.

    One row for each of ``rows``, ascending; all by default.
    """
    wanted = np.ones(len(labels), dtype=bool)
    if rows is not None:
        wanted[:] = False
        wanted[rows] = True
    order = np.argsort(labels, kind="stable").astype(np.int64)
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[:1]] - 1))
    sizes = np.diff(starts, append=len(order))
    tiny = np.repeat(sizes <= _TINY, sizes)
    members = [order[tiny & wanted[order]]]
    parts = [_within_tiny(points, order, starts, sizes, wanted, k, n_jobs)]
    mask = same_area_mask(labels)
    everyone = np.arange(len(labels), dtype=np.int32)
    order = order[~tiny]
    for group in _groups(order, np.flatnonzero(np.diff(labels[order], prepend=-1))):
        ids = np.sort(group)
        queries = ids if wanted[ids].all() else ids[wanted[ids]]
        if not len(queries):
            continue
        if len(ids) > _PACK and (labels[ids] == labels[ids[0]]).all():
            found = exact_neighbors(
                points,
                points,
                k,
                Allowed(everyone, everyone),
                rows=queries,
                columns=ids,
                working_memory=working_memory,
                n_jobs=n_jobs,
            )
        else:
            (found,) = masked_neighbors(
                points,
                points,
                [(k, mask)],
                rows=queries,
                columns=ids,
                working_memory=working_memory,
                n_jobs=1,
            )
        parts.append(found)
        members.append(queries)
    position = np.cumsum(wanted) - 1
    return reorder_rows(stack_rows(parts), position[np.concatenate(members)])


def _within_tiny(
    points: Points,
    order: IndexArray,
    starts: IndexArray,
    sizes: IndexArray,
    wanted: npt.NDArray[np.bool_],
    k: int,
    n_jobs: int | None,
) -> NeighborRows:
    """Compare all photos of areas of at most `_TINY` photos directly: products save nothing."""
    area = np.flatnonzero(sizes <= _TINY)
    rows = order[ranges(starts[area], starts[area] + sizes[area])]
    of_photo = np.repeat(area, sizes[area])[wanted[rows]]
    rows = rows[wanted[rows]]
    columns = order[ranges(starts[of_photo], starts[of_photo] + sizes[of_photo])]
    others = columns != np.repeat(rows, sizes[of_photo])
    lists = Lists(
        np.concatenate([[0], np.cumsum(sizes[of_photo] - 1)]),
        columns[others],
        np.zeros(others.sum(), dtype=np.float32),
    )
    if not len(rows):
        return no_rows(0)
    return nearest_in_lists(lists, rows, points, points, k, threads=thread_count(n_jobs))


def _groups(order: IndexArray, starts: IndexArray) -> list[IndexArray]:
    """Areas, the small ones packed together so that none costs a call of its own."""
    groups: list[IndexArray] = []
    if not len(order):
        return groups
    begin = 0
    ends = [*starts[1:], len(order)]
    for start, end in zip(starts, ends, strict=True):
        if end - begin > _PACK and start > begin:
            groups.append(order[begin:start])
            begin = start
    groups.append(order[begin:])
    return groups


def area_numbers(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Number the areas 0, 1, ... in four bytes: masks are compared at twice the speed."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)


def same_area_mask(labels: npt.NDArray[Any]) -> Mask:
    """Allow pairs inside one area, but no photo with itself."""

    def mask(rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        allowed: npt.NDArray[np.bool_] = labels[rows][:, None] == labels[columns]
        _, i, j = np.intersect1d(rows, columns, assume_unique=True, return_indices=True)
        allowed[i, j] = False
        return allowed

    return mask


def other_areas(
    labels: npt.NDArray[Any], coordinates: FloatArray | None, min_distance_km: float
) -> Allowed:
    """Allow pairs of two areas that are at least ``min_distance_km`` apart."""
    return allowed_pairs(labels, labels, coordinates, coordinates, min_distance_km)


def other_area_mask(
    labels: npt.NDArray[Any], coordinates: FloatArray | None, min_distance_km: float
) -> Mask:
    """Say the same of blocks."""
    return other_areas(labels, coordinates, min_distance_km).block
