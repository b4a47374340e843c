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
    nearest_strongest,
    strongest_first,
    suppress,
)

#: A trajectory ends when it shifts by at most this fraction of the bandwidth.
STOP_FRACTION = 1e-3

#: From this many points on the compiled functions are worth their loading. The result is the same.
COMPILED_FROM = 3000


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
    verbose: int = 0,
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
    verbose : int
        Whether to show a bar while the trajectories climb.

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
    on_sphere = metric == "haversine"
    radius, tolerance = bandwidth, STOP_FRACTION * bandwidth
    if on_sphere:
        points = to_unit_vectors(points)
        radius, tolerance = float(km_to_chord(radius)), float(km_to_chord(tolerance))
    # Fewer than 12 points scikit-learn does not search with the tree that is followed there.
    compiled = len(points) >= max(COMPILED_FROM, 12) and points.shape[1] == 2 + on_sphere
    climbed = None
    if compiled:
        from ._plane_climb import climb_plane
        from ._sphere_climb import climb_sphere

        climbed = (climb_sphere if on_sphere else climb_plane)(
            points,
            radius,
            tolerance=tolerance,
            max_iter=max_iter,
            n_jobs=n_jobs,
            verbose=verbose,
        )
    if climbed is None:
        compiled = False
        climbed = climb(
            points,
            radius,
            tolerance=tolerance,
            max_iter=max_iter,
            on_sphere=on_sphere,
            n_jobs=n_jobs,
            verbose=verbose,
        )
    centers, center_of_terminal = _centers(climbed, radius, compiled=compiled)
    if assign == "mode":
        labels = center_of_terminal[climbed.terminal_of_seed]
    elif compiled:
        labels = _nearest_or_own(
            centers, points, center_of_terminal[climbed.terminal_of_seed], radius, n_jobs
        )
    else:
        labels = nearest_center(centers, points, n_jobs=n_jobs)
    return MeanShiftResult(
        from_unit_vectors(centers) if on_sphere else centers, labels, climbed.n_iter
    )


def _centers(climbed: Climb, radius: float, *, compiled: bool) -> tuple[FloatArray, IntArray]:
    """Keep the terminals that no stronger one suppresses, and give each terminal to one of them.

    A suppressed terminal has at least one centre within the radius, the one that suppressed
    it. Where there are several, the nearest is the hill that the trajectory was on.
    """
    on_sphere = climbed.spread_around is not None
    order = strongest_first(climbed)
    center_of_terminal = np.empty(len(order), dtype=np.intp)
    candidates = climbed.terminals[order]
    if compiled and len(order) >= 12:
        from ._suppress import suppress_near

        found = suppress_near(candidates, radius, exact_ties=on_sphere)
        if found is not None:
            keep, center_of_terminal[order] = found
            return candidates[keep], center_of_terminal
    alive = climbed.counts[order] > 0
    centers = candidates[alive][suppress(candidates[alive], radius, on_sphere=on_sphere)]
    center_of_terminal[order] = nearest_strongest(centers, candidates)
    return centers, center_of_terminal


def _nearest_or_own(
    centers: FloatArray, points: FloatArray, own: IntArray, radius: float, n_jobs: int | None
) -> IntArray:
    """Index of the nearest centre, given the one that a point's trajectory leads to.

    Centres are more than the radius apart: what is within half of it has no nearer one.
    """
    from ._suppress import nearest_near

    if len(centers) < 4:  # scikit-learn takes no tree, and scalar products far away are coarse
        return nearest_center(centers, points, n_jobs=n_jobs)
    square = np.zeros(len(points))
    for axis in range(points.shape[1]):
        square += (points[:, axis] - centers[own, axis]) ** 2
    left = np.flatnonzero(square > 0.25 * radius**2 * (1.0 - 1e-6))
    if len(left):
        own[left] = nearest_near(centers, points[left], radius, n_jobs=n_jobs)
    return own


def nearest_place(
    centers: FloatArray, points: FloatArray, *, metric: str, n_jobs: int | None = None
) -> IntArray:
    """Index of the centre nearest to each point in the metric given."""
    if metric == "haversine":
        centers, points = to_unit_vectors(centers), to_unit_vectors(points)
    return nearest_center(np.ascontiguousarray(centers), points, n_jobs=n_jobs)
