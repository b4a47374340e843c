"""Places between two clusterings: which of them new photos are in, and how far they have aged."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._geodesy import great_circle_km
from ._mean_shift import nearest_place

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


def places_within(
    centers: FloatArray,
    points: FloatArray,
    bandwidth: float,
    *,
    metric: str,
    n_jobs: int | None = None,
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Nearest centre of each point, and which points are farther than a bandwidth from it.

    Parameters
    ----------
    centers : ndarray of shape (n_centers, n_features)
        Degrees for "haversine".
    points : ndarray of shape (n, n_features)
        Likewise.
    bandwidth : float
        Inclusive; km for "haversine".
    metric : {"euclidean", "haversine"}
        How distances are taken.
    n_jobs : int or None
        Threads; the result does not depend on it.

    Returns
    -------
    nearest : ndarray of shape (n,)
        Index of the nearest centre.
    far : ndarray of shape (n,), bool
        True where even that one is out of reach.
    """
    nearest = nearest_place(centers, points, metric=metric, n_jobs=n_jobs)
    if metric == "haversine":
        distance = great_circle_km(points, centers[nearest])
    else:
        distance = np.linalg.norm(points - centers[nearest], axis=1)
    return nearest, distance > bandwidth


def regrouped_share(labels: npt.ArrayLike, other_labels: npt.ArrayLike) -> float:
    """Share of photos that two groupings put into different places.

    A place of the one grouping and a place of the other are the same place if each shares more
    photos with the other than with any third (of equally many, with the one of the smallest
    label). The photos that they share stay; all others are regrouped.

    Parameters
    ----------
    labels, other_labels : array-like of shape (n_samples,)
        Integer labels of the same photos; their numbering does not matter.

    Returns
    -------
    float
        Between 0 (the same places) and 1.

    Raises
    ------
    ValueError
        If the labels are no integers, there are none, or not equally many.

    See Also
    --------
    POIMeanShift.drift : Compares the places with those of a new fit.

    Examples
    --------
    The second place loses one of its three photos to a place of its own:

    >>> from skgeo.cluster import regrouped_share
    >>> regrouped_share([0, 0, 1, 1, 1], [5, 5, 2, 2, 9])
    0.2
    """
    one = _read_labels(labels, "labels")
    other = _read_labels(other_labels, "other_labels")
    if len(one) != len(other):
        raise ValueError(
            f"labels has {len(one)} rows and other_labels {len(other)}; expected labels of the "
            "same photos."
        )
    a, b = (np.unique(part, return_inverse=True)[1].astype(np.int64) for part in (one, other))
    width = int(b.max()) + 1
    cells, shared = np.unique(a * width + b, return_counts=True)
    row, column = np.divmod(cells, width)
    same = _is_largest(row, column, shared) & _is_largest(column, row, shared)
    return float(shared[~same].sum() / len(a))


def _is_largest(
    group: npt.NDArray[np.int64], label: npt.NDArray[np.int64], shared: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Mark the cell of each group that has the most photos, the smallest label among equals."""
    order = np.lexsort((label, -shared, group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[order][1:] != group[order][:-1]
    marked = np.zeros(len(order), dtype=bool)
    marked[order[first]] = True
    return marked


def _read_labels(labels: Any, name: str) -> npt.NDArray[Any]:
    read = np.asarray(labels)
    if read.ndim != 1 or read.dtype.kind not in "iu" or not len(read):
        raise ValueError(
            f"{name} has shape {read.shape} and type {read.dtype}; expected integers of shape "
            "(n_samples,), at least one."
        )
    return read
