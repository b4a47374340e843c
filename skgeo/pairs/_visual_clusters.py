"""Visual clusters inside each area: mean shift on features of any dimension, from distances.

A flat-kernel mean is the mean of the photos under the kernel, so that its squared distance to
any photo follows from the squared distances between photos,

    |mean(S) - x_t|^2 = mean_s d_st^2 - (1/2) mean_ss' d_ss'^2,

and a trajectory is a sequence of sets of photos. One product gives the distances of an area;
after that the number of columns plays no role.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from .._cluster_client import thread_count

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

#: Larger areas find their modes on so many photos drawn at random: the cost is cubic.
MAX_SEEDS = 1024
_MAX_STEPS = 300


class Anchors(NamedTuple):
    """Centroids (a, d) of all visual clusters, the area of each, and the cluster of each photo."""

    centroids: npt.NDArray[Any]
    area: npt.NDArray[np.int32]
    cluster_of_photo: IndexArray


def find_anchors(
    X: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    bandwidth: float,
    *,
    seed: int | None = None,
    n_jobs: int | None = None,
) -> Anchors:
    """Cluster the photos of each area by mean shift on their features.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Visual features.
    labels : ndarray of shape (n,)
        Areas, all the numbers from 0 on.
    bandwidth : float
        Radius of the kernel as a fraction of `rms_distance_within`.
    seed : int or None
        Decides which photos of an area with more than `MAX_SEEDS` are the seeds.
    n_jobs : int or None
        Threads over the areas; the result does not depend on it.

    Returns
    -------
    Anchors
        Numbered by area.
    """
    areas = _members(labels)
    radius = bandwidth * rms_distance_within(X, areas)
    entropy = np.random.SeedSequence(seed).entropy
    threads = thread_count(n_jobs)
    # One BLAS thread always: two may round otherwise than one, and n_jobs must not matter.
    with threadpool_limits(limits=1, user_api="blas"):
        found = Parallel(n_jobs=threads, require="sharedmem", batch_size=64 if threads > 1 else 1)(
            delayed(_cluster_area)(X, ids, radius, (entropy, i)) for i, ids in enumerate(areas)
        )
    counts = np.array([len(centroids) for centroids, _ in found])
    offsets = np.cumsum(counts) - counts
    cluster = np.empty(len(X), dtype=np.int64)
    for ids, offset, (_, own) in zip(areas, offsets, found, strict=True):
        cluster[ids] = offset + own
    area = np.repeat(np.arange(len(areas), dtype=np.int32), counts)
    return Anchors(np.concatenate([centroids for centroids, _ in found]), area, cluster)


def rms_distance_within(X: npt.NDArray[Any], areas: list[IndexArray]) -> float:
    """Root mean square of the distance from a photo to another photo of its area.

    Every photo with company counts once; 0 if there is none.
    """
    total, photos = 0.0, 0
    for ids in areas:
        m = len(ids)
        if m > 1:
            # Twice m times the scatter is the sum over all ordered pairs.
            total += 2.0 * m * _scatter(X, ids) / (m - 1)
            photos += m
    return float(np.sqrt(total / photos)) if photos else 0.0


def modes_from_distances(
    squared: FloatArray, radius: float
) -> tuple[npt.NDArray[np.bool_], IndexArray]:
    """Flat-kernel mean shift over points of which only the squared distances are known.

    Every point is a seed, the radius is inclusive, a trajectory ends when the set of points
    under the kernel no longer changes, and ends within one radius of an end with more points
    (or as many, but earlier ones) are dropped.

    Parameters
    ----------
    squared : ndarray of shape (m, m)
        Squared distances.
    radius : float
        Radius of the kernel.

    Returns
    -------
    members : ndarray of shape (k, m), bool
        The points whose mean each mode is.
    nearest : ndarray of shape (m,)
        The mode nearest to each point.
    """
    reach = radius * radius
    sets = _distinct_sets(squared <= reach)
    ended: list[npt.NDArray[np.bool_]] = []
    for step in range(_MAX_STEPS):
        to_points, _, _ = _means(sets, squared)
        moved = to_points <= reach
        # Rounding may leave a mean without a point within the radius: it stays.
        stay = (moved == sets).all(axis=1) | ~moved.any(axis=1)
        if step == _MAX_STEPS - 1:
            stay[:] = True
        ended.append(sets[stay])
        if stay.all():
            break
        sets = _distinct_sets(moved[~stay])
    sets = _distinct_sets(np.concatenate(ended))
    sets = sets[np.argsort(-sets.sum(axis=1), kind="stable")]
    to_points, to_means, weights = _means(sets, squared)
    between = to_means @ weights.T
    own = 0.5 * np.diagonal(between)
    between -= own[:, None] + own
    keep = np.ones(len(sets), dtype=bool)
    for i in range(len(sets)):
        if keep[i]:
            keep[i + 1 :] &= between[i, i + 1 :] > reach
    nearest: IndexArray = to_points[keep].argmin(axis=0)
    return sets[keep], nearest


def _means(
    sets: npt.NDArray[np.bool_], squared: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Squared distances of the means of sets to all points, and what they are made of."""
    weights = sets / sets.sum(axis=1, keepdims=True)
    products: FloatArray = weights @ squared
    own = 0.5 * np.einsum("ij,ij->i", products, weights)
    return products - own[:, None], products, weights


def _distinct_sets(sets: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Drop repeated rows: trajectories that have met are one from there on.

    Sets come in the order of their first members, those that share it in that of the next.
    """
    packed = np.ascontiguousarray(np.packbits(~sets, axis=1))
    _, first = np.unique(packed.view(f"V{packed.shape[1]}")[:, 0], return_index=True)
    return sets[first]


def _cluster_area(
    X: npt.NDArray[Any], ids: IndexArray, radius: float, seed: tuple[Any, int]
) -> tuple[npt.NDArray[Any], IndexArray]:
    """Centroids of the visual clusters of one area, and the cluster of each of its photos."""
    if len(ids) == 1:
        return X[ids], np.zeros(1, dtype=np.int64)
    seeds = ids
    if len(ids) > MAX_SEEDS:
        chosen = np.random.default_rng(seed).choice(len(ids), MAX_SEEDS, replace=False)
        seeds = ids[np.sort(chosen)]
    block = X[seeds].astype(np.float64)
    origin = block.mean(axis=0)
    block -= origin
    norms = np.einsum("ij,ij->i", block, block)
    squared = norms[:, None] + norms - 2.0 * (block @ block.T)
    np.maximum(squared, 0.0, out=squared)
    np.fill_diagonal(squared, 0.0)
    members, nearest = modes_from_distances(squared, radius)
    if len(ids) > MAX_SEEDS:
        modes = (members / members.sum(axis=1, keepdims=True)) @ block
        nearest = _nearest_mode(X, ids, origin, modes)
    # Numbered without gaps: a mode that is nearest to no photo is no cluster.
    _, nearest = np.unique(nearest, return_inverse=True)
    return _centroids(X, ids, nearest), nearest.astype(np.int64)


def _chunks(ids: IndexArray) -> list[slice]:
    return [slice(start, start + MAX_SEEDS) for start in range(0, len(ids), MAX_SEEDS)]


def _scatter(X: npt.NDArray[Any], ids: IndexArray) -> float:
    mean = sum(X[ids[part]].sum(axis=0, dtype=np.float64) for part in _chunks(ids)) / len(ids)
    total = 0.0
    for part in _chunks(ids):
        centred = X[ids[part]] - mean
        total += float(np.einsum("ij,ij->", centred, centred))
    return total


def _nearest_mode(
    X: npt.NDArray[Any], ids: IndexArray, origin: FloatArray, modes: FloatArray
) -> IndexArray:
    half_norms = 0.5 * np.einsum("ij,ij->i", modes, modes)
    nearest = [
        (half_norms - (X[ids[part]] - origin) @ modes.T).argmin(axis=1) for part in _chunks(ids)
    ]
    return np.concatenate(nearest)


def _centroids(X: npt.NDArray[Any], ids: IndexArray, cluster: IndexArray) -> npt.NDArray[Any]:
    counts = np.bincount(cluster)
    sums = np.zeros((len(counts), X.shape[1]))
    for part in _chunks(ids):
        order = np.argsort(cluster[part], kind="stable")
        present, starts = np.unique(cluster[part][order], return_index=True)
        block = X[ids[part][order]].astype(np.float64)
        sums[present] += np.add.reduceat(block, starts, axis=0)
    return (sums / counts[:, None]).astype(X.dtype)


def _members(labels: npt.NDArray[Any]) -> list[IndexArray]:
    """The photos of each area, ascending."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
