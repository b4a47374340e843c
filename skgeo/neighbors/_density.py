"""The kernel density vote: each neighbour is a blurred point on the sphere, the peak wins.

The density of a query is ``f(p) = sum_i w_i exp(-|p - p_i|^2 / (2 h^2))`` over its neighbours, at
points p of the unit sphere: a mixture of von Mises-Fisher densities, a Gaussian of great-circle
distance wherever h is small beside the Earth, and smooth at the antimeridian, the poles and the
antipodes. Its peaks are climbed from every neighbour's place by ``p <- normalised sum_i w_i
exp(...) p_i``, each step of which raises the density. One query after the other, so that an answer
does not depend on its batch; compiled, and without the interpreter's lock.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, great_circle_km, to_unit_vectors
from skgeo.cluster._compiled import compiled, inner

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

#: A climb rests when a step is shorter than this part of the bandwidth.
_REST = 1e-6
#: A climb that comes so near to a peak (part of the bandwidth) is of that peak.
_SAME = 1e-3
_MAX_STEPS = 10_000


def distance_weights(distances: FloatArray, power: float) -> FloatArray:
    """Weights ``(d_1 / d_i) ** power``; where photos are identical to the query they alone count.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, k)
        Distances in feature space, ascending.
    power : float
        0 gives equal weights.

    Returns
    -------
    ndarray of shape (n_queries, k)
        Between 0 and 1, the first is 1.
    """
    if power == 0.0:
        return np.ones_like(distances)
    nearest = distances[:, :1]
    same = (nearest == 0.0) & (distances == 0.0)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        ratio = np.where(same, 1.0, nearest / np.where(same, 1.0, distances))
        weights: FloatArray = ratio**power
    return weights


def density_peaks(
    coordinates: FloatArray, weights: FloatArray, bandwidth_km: float, n_places: int
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Highest peaks of the density of each query's neighbours.

    Parameters
    ----------
    coordinates : ndarray of shape (n_queries, k, 2)
        Places of the neighbours in degrees, nearest neighbour first.
    weights : ndarray of shape (n_queries, k)
        Weights of the neighbours, at least 0, the first above 0.
    bandwidth_km : float
        Standard deviation of the kernel in km, straight through the Earth.
    n_places : int
        How many peaks to return.

    Returns
    -------
    places : ndarray of shape (n_queries, n_places, 2)
        Peaks in degrees, the highest one first, of equally high ones that which the best-ranked
        neighbour climbs to; no two within a bandwidth of each other. NaN where there are fewer.
    peaks : ndarray of shape (n_queries, k)
        Which of the places each neighbour climbs to; -1 for one that is not returned.
    shares : ndarray of shape (n_queries, k)
        Share of each neighbour in the density at the first place.
    """
    n_queries, k, _ = coordinates.shape
    points = np.ascontiguousarray(to_unit_vectors(coordinates))
    found = np.full((n_queries, n_places, 3), np.nan)
    peaks = np.full((n_queries, k), -1, dtype=np.intp)
    shares = np.empty((n_queries, k))
    _climb_all(points, weights, bandwidth_km / EARTH_RADIUS_KM, found, peaks, shares)
    return from_unit_vectors(found), peaks, shares


def snap(places: FloatArray, coordinates: FloatArray, snap_km: float) -> FloatArray:
    """Move each place to that of its query's best-ranked neighbour within ``snap_km``, if any.

    Parameters
    ----------
    places : ndarray of shape (n_queries, n_places, 2)
        Places in degrees, or NaN.
    coordinates : ndarray of shape (n_queries, k, 2)
        Places of the neighbours, nearest neighbour first.
    snap_km : float
        Great-circle radius, inclusive.
    """
    snapped = places.copy()
    for position in range(places.shape[1]):
        near = great_circle_km(places[:, position, None], coordinates) <= snap_km
        first = near.argmax(axis=1)
        rows = np.flatnonzero(near.any(axis=1))
        snapped[rows, position] = coordinates[rows, first[rows]]
    return snapped


@inner
def _step(
    point: FloatArray, points: FloatArray, weights: FloatArray, half: float, total: FloatArray
) -> float:
    """Density at the point; ``total`` receives the weighted sum of the neighbours."""
    density = 0.0
    total[:] = 0.0
    for i in range(len(points)):
        d0, d1, d2 = points[i, 0] - point[0], points[i, 1] - point[1], points[i, 2] - point[2]
        w = weights[i] * math.exp(-half * (d0 * d0 + d1 * d1 + d2 * d2))
        density += w
        total[0] += w * points[i, 0]
        total[1] += w * points[i, 1]
        total[2] += w * points[i, 2]
    return density


@inner
def _apart(a: FloatArray, b: FloatArray) -> float:
    d0, d1, d2 = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)


@compiled
def _climb_all(
    points: FloatArray,
    weights: FloatArray,
    bandwidth: float,
    found: FloatArray,
    peaks: IndexArray,
    shares: FloatArray,
) -> None:
    n_queries, k, _ = points.shape
    half = 0.5 / (bandwidth * bandwidth)
    modes = np.empty((k, 3))
    heights = np.empty(k)
    end = np.empty(k, dtype=np.intp)
    point = np.empty(3)
    after = np.empty(3)
    total = np.empty(3)
    kept = np.empty(k, dtype=np.intp)
    rank = np.empty(k, dtype=np.intp)
    for q in range(n_queries):
        n_modes = 0
        for seed in range(k):
            end[seed] = -1
            if weights[q, seed] <= 0.0:
                continue
            for earlier in range(seed):
                if end[earlier] >= 0 and _apart(points[q, earlier], points[q, seed]) == 0.0:
                    end[seed] = end[earlier]
                    break
            if end[seed] >= 0:
                continue
            point[:] = points[q, seed]
            density = 0.0
            for _ in range(_MAX_STEPS):
                density = _step(point, points[q], weights[q], half, total)
                length = math.sqrt(total[0] ** 2 + total[1] ** 2 + total[2] ** 2)
                if length < 1e-12 * density:  # the neighbours balance: no way is up
                    break
                after[:] = total / length
                moved = _apart(after, point)
                point[:] = after
                for mode in range(n_modes):
                    if _apart(modes[mode], point) <= _SAME * bandwidth:
                        end[seed] = mode
                        break
                if end[seed] >= 0 or moved <= _REST * bandwidth:
                    break
            if end[seed] < 0:
                modes[n_modes] = point
                heights[n_modes] = density
                end[seed] = n_modes
                n_modes += 1
        # Highest first; modes are in the order of the best-ranked neighbour that climbs to them.
        # Heights that differ by rounding only are equal.
        highest = heights[:n_modes].max()
        order = np.argsort(-np.rint(heights[:n_modes] * (1e9 / highest)), kind="mergesort")
        n_kept = 0
        rank[:n_modes] = -1
        for mode in order:
            if n_kept == found.shape[1]:
                break
            near = False
            for i in range(n_kept):
                if _apart(modes[kept[i]], modes[mode]) <= bandwidth:
                    near = True
                    break
            if not near:
                kept[n_kept] = mode
                rank[mode] = n_kept
                found[q, n_kept] = modes[mode]
                n_kept += 1
        density = _step(found[q, 0], points[q], weights[q], half, total)
        for i in range(k):
            if end[i] >= 0:
                peaks[q, i] = rank[end[i]]
            apart = _apart(found[q, 0], points[q, i])
            shares[q, i] = weights[q, i] * math.exp(-half * apart * apart) / density
