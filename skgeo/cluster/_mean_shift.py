"""Flat-kernel mean shift as one function: points in, centres and labels out."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .._geodesy import from_unit_vectors, km_to_chord, to_unit_vectors
from ._flat_kernel import (
    Climb,
    FloatArray,
    IntArray,
    climb,
    nearest_center,
    strongest_first,
    suppress,
)

#: A trajectory ends when it shifts by at most this fraction of the bandwidth.
STOP_FRACTION = 1e-3


class MeanShiftResult(NamedTuple):
    """What `mean_shift` found.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features)
        The centres, those with most points under the kernel first.
    labels : ndarray of shape (n_samples,)
        The centre that each point belongs to.
    n_iter : int
        Steps of the longest trajectory.
    """

    centers: FloatArray
    labels: IntArray
    n_iter: int


def mean_shift(
    points: FloatArray,
    bandwidth: float,
    *,
    metric: Literal["euclidean", "haversine"] = "euclidean",
    assign: Literal["mode", "nearest"] = "mode",
    max_iter: int = 300,
    n_jobs: int | None = None,
) -> MeanShiftResult:
    """Cluster points by mean shift with a flat kernel, every point a seed.

    The function under `POIMeanShift`, which documents the parameters; it trusts its input.

    Parameters
    ----------
    points : ndarray of shape (n, d), float64
        Points of any dimension, or, for "haversine", latitude and longitude in degrees.
    bandwidth : float
        Radius of the kernel: in the unit of the points, or km for "haversine".
    metric : {"euclidean", "haversine"}
        The plane, or the sphere.
    assign : {"mode", "nearest"}
        Whether a point belongs to the centre that its own trajectory leads to, or to the nearest.
    max_iter : int
        Bound on the steps of a trajectory.
    n_jobs : int or None
        Threads; the result does not depend on it.

    Returns
    -------
    MeanShiftResult
        Centres (in degrees for "haversine"), labels and number of steps.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.cluster import mean_shift
    >>> mean_shift(np.array([[0.0], [1.0], [10.0]]), 2.0).centers
    array([[ 0.5], [10. ]])
    """
    if metric == "euclidean":
        climbed = climb(
            points,
            bandwidth,
            tolerance=STOP_FRACTION * bandwidth,
            max_iter=max_iter,
            n_jobs=n_jobs,
        )
        centers, labels = _clusters(
            points, climbed, bandwidth, assign=assign, ties="coordinates", n_jobs=n_jobs
        )
        return MeanShiftResult(centers, labels, climbed.n_iter)
    vectors = to_unit_vectors(points)
    radius = float(km_to_chord(bandwidth))
    climbed = climb(
        vectors,
        radius,
        tolerance=float(km_to_chord(STOP_FRACTION * bandwidth)),
        max_iter=max_iter,
        on_sphere=True,
        n_jobs=n_jobs,
    )
    centers, labels = _clusters(
        vectors, climbed, radius, assign=assign, ties="first-seed", n_jobs=n_jobs
    )
    return MeanShiftResult(from_unit_vectors(centers), labels, climbed.n_iter)


def _clusters(
    points: FloatArray,
    climbed: Climb,
    radius: float,
    *,
    assign: str,
    ties: str,
    n_jobs: int | None,
) -> tuple[FloatArray, IntArray]:
    """Keep the terminals that no stronger one suppresses, and give each point to one of them."""
    order = strongest_first(climbed, ties=ties)
    order = order[climbed.counts[order] > 0]
    candidates = climbed.terminals[order]
    centers = candidates[suppress(candidates, radius)]
    if assign == "nearest":
        return centers, nearest_center(centers, points, n_jobs=n_jobs)
    # A suppressed terminal has at least one centre within the radius, the one that suppressed
    # it. Where there are several, the nearest is the hill that the trajectory was on.
    center_of_terminal = nearest_center(centers, climbed.terminals, n_jobs=n_jobs)
    return centers, center_of_terminal[climbed.terminal_of_seed]


def nearest_place(
    centers: FloatArray, points: FloatArray, *, metric: str, n_jobs: int | None = None
) -> IntArray:
    """Index of the centre nearest to each point in the metric given."""
    if metric == "haversine":
        centers, points = to_unit_vectors(centers), to_unit_vectors(points)
    return nearest_center(np.ascontiguousarray(centers), points, n_jobs=n_jobs)
