"""The steps of flat-kernel mean shift: climbing, removing duplicates, nearest centre.

Plain functions on arrays of points in any number of dimensions, and the same on the unit sphere.
The arithmetic (the order of the points in a sum, the order of the centres, the ties) follows
scikit-learn's `MeanShift` to the bit wherever that one searches with its tree; what differs
is that all seeds climb together and that seeds which meet climb on as one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs
from scipy.sparse import csr_array
from sklearn.neighbors import KDTree, NearestNeighbors

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Indices of neighbours that one thread holds at a time: bounds the memory, not the result.
_MAX_NEIGHBORS_HELD = 4_000_000


class Climb(NamedTuple):
    """Where the trajectories ended.

    ``terminals`` (t, d) are the different end points, ``counts`` (t,) the number of points under
    the kernel that had each as its mean, ``terminal_of_seed`` (n,) the end of each seed's own
    trajectory, ``first_seed`` (t,) the first seed that ended there, ``n_iter`` the steps that
    the longest trajectory took.
    """

    terminals: FloatArray
    counts: IntArray
    terminal_of_seed: IntArray
    first_seed: IntArray
    n_iter: int


def climb(
    points: FloatArray,
    radius: float,
    *,
    tolerance: float,
    max_iter: int,
    on_sphere: bool = False,
    n_jobs: int | None = None,
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

    Returns
    -------
    Climb
        The ends of the trajectories.
    """
    tree = KDTree(points, leaf_size=30)  # scikit-learn's own size: it decides the order of sums
    states, state_of_seed = _distinct(points)
    climbing = np.arange(len(points))  # seeds still on their way; state_of_seed is theirs
    ends: list[FloatArray] = []
    end_counts: list[IntArray] = []
    n_ends = 0
    end_of_seed = np.empty(len(points), dtype=np.intp)
    step = 0
    while True:
        means, counts = _kernel_means(tree, points, states, radius, on_sphere, n_jobs)
        done = np.linalg.norm(means - states, axis=1) <= tolerance
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
        moved, merged = _distinct(means[~done])
        state_of_seed = merged[(np.cumsum(~done) - 1)[state_of_seed[~seed_done]]]
        states = moved
        step += 1
    terminals, merged = _distinct(np.concatenate(ends))
    terminal_of_seed = merged[end_of_seed]
    # Two kernels with different counts may share their mean; scikit-learn keeps the count of
    # the seed that comes last.
    counts = np.zeros(len(terminals), dtype=np.intp)
    counts[terminal_of_seed] = np.concatenate(end_counts)[end_of_seed]
    first_seed = np.full(len(terminals), len(points), dtype=np.intp)
    np.minimum.at(first_seed, terminal_of_seed, np.arange(len(points)))
    return Climb(terminals, counts, terminal_of_seed, first_seed, step)


def strongest_first(climbed: Climb, *, ties: str) -> IntArray:
    """Order of the terminals: most points under the kernel first.

    Parameters
    ----------
    climbed : Climb
        The ends of the trajectories.
    ties : {"coordinates", "first-seed"}
        Among equal counts, the largest coordinates first, as scikit-learn does, or the terminal
        of the first seed, which does not change when everything is rotated.
    """
    if ties == "coordinates":
        keys = [climbed.terminals[:, j] for j in reversed(range(climbed.terminals.shape[1]))]
        return np.lexsort([*keys, climbed.counts])[::-1]
    return np.lexsort([climbed.first_seed, -climbed.counts])


def suppress(centers: FloatArray, radius: float) -> npt.NDArray[np.bool_]:
    """Non-maximum suppression: which centres, taken in order, have no earlier one within radius.

    A centre that has been removed removes none.
    """
    tree = KDTree(centers, leaf_size=30)
    keep = np.ones(len(centers), dtype=bool)
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
    index: IntArray = search.kneighbors(points, return_distance=False)[:, 0]
    return index.astype(np.intp, copy=False)


def _distinct(points: FloatArray) -> tuple[FloatArray, IntArray]:
    """Find the different rows, and for each row which of them it is."""
    points = points + 0.0  # -0.0 becomes 0.0: equal numbers must have equal order
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    first = np.ones(len(points), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    inverse = np.empty(len(points), dtype=np.intp)
    inverse[order] = np.cumsum(first) - 1
    return ordered[first], inverse


def _kernel_means(
    tree: KDTree,
    points: FloatArray,
    states: FloatArray,
    radius: float,
    on_sphere: bool,
    n_jobs: int | None,
) -> tuple[FloatArray, IntArray]:
    """Mean and number of the points within radius of each state."""
    threads = effective_n_jobs(n_jobs)
    if len(states) * len(points) <= _MAX_NEIGHBORS_HELD:
        bounds = np.linspace(0, len(states), min(threads, len(states)) + 1).astype(np.intp)
    else:
        # The neighbours are counted first, so that no block can hold more than it may.
        counts = np.concatenate(
            Parallel(n_jobs=threads, prefer="threads")(
                delayed(tree.query_radius)(part, radius, count_only=True)
                for part in np.array_split(states, threads)
                if len(part)
            )
        )
        held = np.cumsum(counts)
        share = max(_MAX_NEIGHBORS_HELD, int(counts.max()))
        share = max(min(share, -(-int(held[-1]) // (4 * threads))), 1)
        block = held // share
        bounds = np.concatenate([[0], 1 + np.flatnonzero(np.diff(block)), [len(states)]])
    parts = Parallel(n_jobs=threads, prefer="threads")(
        delayed(_means_of_block)(tree, points, states[a:b], radius, on_sphere)
        for a, b in pairwise(bounds)
        if b > a
    )
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _means_of_block(
    tree: KDTree, points: FloatArray, states: FloatArray, radius: float, on_sphere: bool
) -> tuple[FloatArray, IntArray]:
    neighbors = tree.query_radius(states, radius)
    counts = np.fromiter((len(found) for found in neighbors), dtype=np.intp, count=len(states))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate(neighbors)
    # A product with a matrix of ones adds the rows one after the other, in the order found, as
    # np.mean over rows does: the sums equal those of scikit-learn to the bit.
    members = csr_array((np.ones(len(indices)), indices, indptr), shape=(len(states), len(points)))
    sums = members @ points
    empty = counts == 0
    means: FloatArray = sums / np.maximum(counts, 1)[:, None]
    if on_sphere:
        length = np.linalg.norm(means, axis=1)
        # Points all around the Earth balance each other: there is nowhere to go from here.
        empty_or_balanced = empty | (length < 1e-12)
        means /= np.where(empty_or_balanced, 1.0, length)[:, None]
        means[empty_or_balanced] = states[empty_or_balanced]
    else:
        means[empty] = states[empty]
    return means, counts
