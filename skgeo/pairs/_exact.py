"""The exact neighbour graph: same-area and easy-confusing pairs of all photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._geodesy import EARTH_RADIUS_KM, km_to_chord, to_unit_vectors
from ._graph import NeighborRows, PairGraph, reorder_rows, stack_rows
from ._points import FloatArray, IndexArray, Points, make_frame
from ._search import Mask, masked_neighbors


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
        Threads. None or 1 leaves the parallel work to BLAS.

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
    same, other = masked_neighbors(
        points,
        points,
        [(k1, same_area_mask(labels)), (k2, other_area_mask(labels, coordinates, min_distance_km))],
        working_memory=working_memory,
        n_jobs=n_jobs,
    )
    return PairGraph(same, other)


def same_area_neighbors(
    points: Points,
    labels: npt.NDArray[Any],
    k: int,
    *,
    working_memory: float | None = None,
    n_jobs: int | None = None,
) -> NeighborRows:
    """Find the k nearest photos inside the area of each photo, comparing within areas only."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[:1]] - 1))
    mask = same_area_mask(labels)
    parts, members = [], []
    for group in _groups(order, starts):
        ids = np.sort(group)
        (found,) = masked_neighbors(
            points,
            points,
            [(k, mask)],
            rows=ids,
            columns=ids,
            working_memory=working_memory,
            # Threads pay off in the large areas only.
            n_jobs=n_jobs if len(ids) > 1024 else 1,
        )
        parts.append(found)
        members.append(ids)
    return reorder_rows(stack_rows(parts), np.concatenate(members))


def _groups(order: IndexArray, starts: IndexArray) -> list[IndexArray]:
    """Areas, the small ones packed together so that none costs a call of its own."""
    groups, begin = [], 0
    ends = [*starts[1:], len(order)]
    for start, end in zip(starts, ends, strict=True):
        if end - begin > 256 and start > begin:
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


def other_area_mask(
    labels: npt.NDArray[Any], coordinates: FloatArray | None, min_distance_km: float
) -> Mask:
    """Allow pairs of two areas that are at least ``min_distance_km`` apart."""
    far = far_mask(coordinates, coordinates, min_distance_km)

    def mask(rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        allowed: npt.NDArray[np.bool_] = labels[rows][:, None] != labels[columns]
        if far is not None:
            allowed &= far(rows, columns)
        return allowed

    return mask


def far_mask(
    of_rows: FloatArray | None, of_columns: FloatArray | None, min_distance_km: float
) -> Mask | None:
    """Allow pairs of places at least so many km apart; None if all are."""
    if min_distance_km <= 0.0 or of_rows is None or of_columns is None:
        return None
    a, b = to_unit_vectors(of_rows), to_unit_vectors(of_columns)
    reachable = min_distance_km <= np.pi * EARTH_RADIUS_KM
    least = float(km_to_chord(min_distance_km)) ** 2 if reachable else np.inf

    def mask(rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        # Squared chords from differences: dot products cannot tell 1 m from 0.
        chord = np.zeros((len(rows), len(columns)))
        for axis in range(3):
            difference = a[rows, axis][:, None] - b[columns, axis]
            difference *= difference
            chord += difference
        far: npt.NDArray[np.bool_] = chord >= least
        return far

    return mask
