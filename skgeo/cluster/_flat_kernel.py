"""The steps of flat-kernel mean shift: climbing, removing duplicates, nearest centre.

Plain functions on arrays of points in any number of dimensions, and the same on the unit sphere.
The arithmetic (the order of the points in a sum, the order of the centres, the ties) follows
scikit-learn's `MeanShift` to the bit; what differs is that all seeds climb together and that
seeds which meet climb on as one. For many points in the plane or on the sphere there are
compiled functions that find the same: `skgeo.cluster._plane_climb`, `._sphere_climb`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy.sparse import csr_array
from sklearn.neighbors import KDTree, NearestNeighbors

from .._cluster_client import in_this_process, thread_count
from .._progress import progress
from ._fixed_point import mean_directions, sphere_quantum

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Indices of neighbours that one thread holds at a time: bounds the memory, not the result.
_MAX_NEIGHBORS_HELD = 4_000_000


class Climb(NamedTuple):
    """Where the trajectories ended.

    ``terminals`` (t, d) are the different end points, sorted by coordinates, ``counts`` (t,) the
    number of points under the kernel that had each as its mean, ``terminal_of_seed`` (n,) the end
    of each seed's own trajectory, ``first_seed`` (t,) the first seed that ended there, ``n_iter``
    the steps that the longest trajectory took. ``spread_around``, on the sphere, tells of each of
    given places the mean square of the distances to the points within the radius, as a part of the
    radius.
    """

    terminals: FloatArray
    counts: IntArray
    terminal_of_seed: IntArray
    first_seed: IntArray
    n_iter: int
    spread_around: Callable[[FloatArray], FloatArray] | None = None


def climb(
    points: FloatArray,
    radius: float,
    *,
    tolerance: float,
    max_iter: int,
    on_sphere: bool = False,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Climb:
    """Move every point to the mean of the points within ``radius``, again and again.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        The points, and the seeds.
    radius : float
        Radius of the kernel; points at exactly this distance count.
    tolerance : float
        A trajectory ends when its shift is at most this long.
    max_iter : int
        A trajectory ends after ``max_iter + 1`` shifts at the latest (scikit-learn's meaning).
    on_sphere : bool
        Whether the points are unit vectors and so are their means, after renormalisation.
        ``radius`` and ``tolerance`` are lengths of chords then.
    n_jobs : int or None
        Threads; the result does not depend on it.
    verbose : int
        Whether to show a bar that counts the steps.

    Returns
    -------
    Climb
        The ends of the trajectories.
    """
    means_around = _Means(points, radius, on_sphere, n_jobs)
    states, state_of_seed = distinct_rows(points)
    climbing = np.arange(len(points))  # seeds still on their way; state_of_seed is theirs
    ends: list[FloatArray] = []
    end_counts: list[IntArray] = []
    n_ends = 0
    end_of_seed = np.empty(len(points), dtype=np.intp)
    step = 0
    for step in progress(range(max_iter + 1), verbose=verbose, desc="Climbing", unit="step"):
        means, counts = means_around(states)
        done = _within(means - states, tolerance)
        done |= counts == 0  # rounding may leave nothing within the radius of a mean
        if step == max_iter:
            done[:] = True
        ends.append(means[done])
        end_counts.append(counts[done])
        end_of_state = n_ends + np.cumsum(done) - 1
        n_ends += int(done.sum())
        seed_done = done[state_of_seed]
        end_of_seed[climbing[seed_done]] = end_of_state[state_of_seed[seed_done]]
        if done.all():
            break
        climbing = climbing[~seed_done]
        moved, merged = distinct_rows(means[~done])
        state_of_seed = merged[(np.cumsum(~done) - 1)[state_of_seed[~seed_done]]]
        states = moved
    climbed = join_climb(np.concatenate(ends), np.concatenate(end_counts), end_of_seed, step)
    return climbed._replace(spread_around=means_around.spread) if on_sphere else climbed


def join_climb(ends: FloatArray, counts: IntArray, end_of_seed: IntArray, n_iter: int) -> Climb:
    """Make one terminal of all ends in the same place."""
    terminals, merged = distinct_rows(ends)
    terminal_of_seed = merged[end_of_seed]
    # Two kernels with different counts may share their mean; scikit-learn keeps the count of
    # the seed that comes last.
    kept = np.zeros(len(terminals), dtype=np.intp)
    kept[terminal_of_seed] = counts[end_of_seed]
    n_seeds = len(end_of_seed)
    first_seed = np.full(len(terminals), n_seeds, dtype=np.intp)
    first_seed[terminal_of_seed[::-1]] = np.arange(n_seeds - 1, -1, -1)
    return Climb(terminals, kept, terminal_of_seed, first_seed, n_iter)


def strongest_first(climbed: Climb) -> IntArray:
    """Order of the terminals: most points under the kernel first.

    In the plane, among equal counts the largest coordinates come first, as in scikit-learn. On
    the sphere that would depend on where it all lies: there the terminal that more seeds lead to
    comes first, then the one with its points closer around it, then that of the first seed.
    """
    if climbed.spread_around is None:
        # The terminals are sorted by coordinates, which a stable sort keeps among equal counts;
        # for short numbers it is a radix sort.
        few = climbed.counts.max(initial=0) < 2**16
        counts = climbed.counts.astype(np.uint16) if few else climbed.counts
        return np.argsort(counts, kind="stable")[::-1]
    n = len(climbed.terminals)
    seeds = np.bincount(climbed.terminal_of_seed, minlength=n)
    order = np.lexsort([seeds, climbed.counts])
    same = (np.diff(seeds[order]) == 0) & (np.diff(climbed.counts[order]) == 0)
    tied = order[np.append(same, False) | np.append(False, same)]
    tied = tied[climbed.counts[tied] > 1]  # one point has no spread
    spread = np.zeros(n)
    if len(tied):
        # Digits beyond these may change when everything is rotated.
        spread[tied] = climbed.spread_around(climbed.terminals[tied]).round(6)
    return np.lexsort([climbed.first_seed, spread, -seeds, -climbed.counts])


def suppress(
    centers: FloatArray, radius: float, *, on_sphere: bool = False
) -> npt.NDArray[np.bool_]:
    """Non-maximum suppression: which centres, taken in order, have no earlier one within radius.

    A centre that has been removed removes none.
    """
    keep = np.ones(len(centers), dtype=bool)
    if not on_sphere and _is_brute_force(centers):
        search = NearestNeighbors(radius=radius).fit(centers)
        for i in range(len(centers)):
            if keep[i]:
                keep[search.radius_neighbors(centers[i : i + 1], return_distance=False)[0]] = False
                keep[i] = True
        return keep
    tree = KDTree(centers, leaf_size=30)
    # Blocks amortise the call; they are small because neighbours of removed centres are wasted.
    for start in range(0, len(centers), 256):
        rows = start + np.flatnonzero(keep[start : start + 256])
        if not len(rows):
            continue
        for row, near in zip(rows, tree.query_radius(centers[rows], radius), strict=True):
            if keep[row]:
                keep[near] = False
                keep[row] = True
    return keep


def nearest_center(
    centers: FloatArray, points: FloatArray, *, n_jobs: int | None = None
) -> IntArray:
    """Index of the centre nearest to each point, ties as scikit-learn's `MeanShift` breaks them."""
    search = NearestNeighbors(n_neighbors=1, n_jobs=n_jobs).fit(centers)
    with in_this_process():
        index: IntArray = search.kneighbors(points, return_distance=False)[:, 0]
    return index.astype(np.intp, copy=False)


def nearest_strongest(centers: FloatArray, points: FloatArray) -> IntArray:
    """Index of the centre nearest to each point, the first one of those equally near."""
    tree = KDTree(centers, leaf_size=30)
    found = np.empty(len(points), dtype=np.intp)
    left = np.arange(len(points))
    k = 1
    while len(left):
        # All the centres at the least distance, once a farther one is among those found.
        k = min(2 * k, len(centers))
        distances, indices = tree.query(points[left], k=k)
        nearest = distances == distances[:, :1]
        found[left] = np.where(nearest, indices, len(centers)).min(axis=1)
        left = left[nearest.all(axis=1)] if k < len(centers) else left[:0]
    return found


def distinct_rows(points: FloatArray) -> tuple[FloatArray, IntArray]:
    """Find the different rows, sorted, and for each row which of them it is."""
    points = points + 0.0  # -0.0 becomes 0.0: equal numbers must have equal order
    order = _sorted_rows(points)
    ordered = points[order]
    first = np.ones(len(points), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    inverse = np.empty(len(points), dtype=np.intp)
    inverse[order] = np.cumsum(first) - 1
    return ordered[first], inverse


def _sorted_rows(points: FloatArray) -> IntArray:
    """Order of the rows by the first column, then the second and so on; of equal ones, any."""
    order = np.argsort(points[:, 0])
    column = points[order, 0]
    same = column[1:] == column[:-1]
    if points.shape[1] > 1 and same.any():
        # Sorting by many columns is slow: only rows that the first one leaves tied are.
        tied = np.append(same, False) | np.append(False, same)
        rows, run = order[tied], np.cumsum(np.append(True, ~same))[tied]
        order[tied] = rows[np.lexsort([*points[rows, 1:].T[::-1], run])]
    return order


def _is_brute_force(points: FloatArray) -> bool:
    """Whether scikit-learn's `NearestNeighbors` would not search these with a tree.

    It then takes distances from scalar products, whose rounding differs, and decides ties by it.
    """
    return len(points) < 12 or points.shape[1] > 15


def _within(shifts: FloatArray, tolerance: float) -> npt.NDArray[np.bool_]:
    """Whether shifts are at most as long as the tolerance, rounded as scikit-learn rounds."""
    length = np.linalg.norm(shifts, axis=1)
    within: npt.NDArray[np.bool_] = length <= tolerance
    # A single vector's length comes from a scalar product, which may round otherwise.
    for row in np.flatnonzero(np.abs(length - tolerance) <= 1e-14 * tolerance).tolist():
        within[row] = np.linalg.norm(shifts[row]) <= tolerance
    return within


class _Means:
    """Mean and number of the points within the radius of each of many places."""

    def __init__(
        self, points: FloatArray, radius: float, on_sphere: bool, n_jobs: int | None
    ) -> None:
        self.points = points
        self.radius = radius
        self.n_jobs = n_jobs
        self.search = None
        self.fixed = None
        if on_sphere:
            self.quantum = sphere_quantum(len(points), radius)
            self.fixed = np.rint(points / self.quantum).astype(np.int64)
        elif _is_brute_force(points):
            self.search = NearestNeighbors(radius=radius).fit(points)
        self.tree = KDTree(
            points, leaf_size=30
        )  # scikit-learn's size: it decides the order of sums

    def __call__(self, states: FloatArray) -> tuple[FloatArray, IntArray]:
        threads = thread_count(self.n_jobs)
        if self.search is not None:
            # One at a time: the rounding of the products depends on how many there are.
            bounds = np.arange(len(states) + 1)
        elif len(states) * len(self.points) <= _MAX_NEIGHBORS_HELD:
            bounds = np.linspace(0, len(states), min(threads, len(states)) + 1).astype(np.intp)
        else:
            # The neighbours are counted first, so that no block can hold more than it may.
            counts = np.concatenate(
                Parallel(n_jobs=threads, require="sharedmem")(
                    delayed(self.tree.query_radius)(part, self.radius, count_only=True)
                    for part in np.array_split(states, threads)
                    if len(part)
                )
            )
            held = np.cumsum(counts)
            share = max(_MAX_NEIGHBORS_HELD, int(counts.max()))
            share = max(min(share, -(-int(held[-1]) // (4 * threads))), 1)
            block = held // share
            bounds = np.concatenate([[0], 1 + np.flatnonzero(np.diff(block)), [len(states)]])
        parts = Parallel(n_jobs=threads, require="sharedmem")(
            delayed(self._of_block)(states[a:b]) for a, b in pairwise(bounds) if b > a
        )
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def spread(self, places: FloatArray) -> FloatArray:
        """Mean square of the distances to the points within the radius, over its square."""
        spreads = np.empty(len(places))
        for start in range(0, len(places), 256):
            part = places[start : start + 256]
            for i, near in enumerate(self.tree.query_radius(part, self.radius)):
                square = ((self.points[near] - part[i]) ** 2).sum()
                spreads[start + i] = square / (max(len(near), 1) * self.radius**2)
        return spreads

    def _of_block(self, states: FloatArray) -> tuple[FloatArray, IntArray]:
        if self.search is not None:
            neighbors = self.search.radius_neighbors(states, return_distance=False)
        else:
            neighbors = self.tree.query_radius(states, self.radius)
        counts = np.fromiter((len(found) for found in neighbors), dtype=np.intp, count=len(states))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        indices = np.concatenate(neighbors)
        shape = (len(states), len(self.points))
        if self.fixed is not None:
            members = csr_array((np.ones(len(indices), np.int64), indices, indptr), shape=shape)
            means, lost = mean_directions(counts, members @ self.fixed, states, self.quantum)
        else:
            # A product with a matrix of ones adds the rows one after the other, in the order
            # found, as np.mean over rows does: the sums equal those of scikit-learn to the bit.
            members = csr_array((np.ones(len(indices)), indices, indptr), shape=shape)
            means = (members @ self.points) / np.maximum(counts, 1)[:, None]
            lost = counts == 0
        # With nowhere to go the trajectory stays where it is.
        means[lost] = states[lost]
        return means, counts
