"""Trajectories on the sphere."""

from __future__ import annotations

import math

import numpy as np

from ._chunks import in_threads
from ._compiled import compiled, inner
from ._flat_kernel import Climb, distinct_rows, join_climb
from ._nodes import COUNT, STOP, follow, make_room, mean_node, rank_ends, seed_nodes, settle
from ._sphere import Sphere, build_sphere, disc, spreads
from ._tiles import FloatArray, LongArray


def climb_sphere(
    points: FloatArray,
    radius: float,
    *,
    tolerance: float,
    max_iter: int,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Climb | None:
    """Do what `skgeo.cluster._flat_kernel.climb` does on the sphere, but faster.

    Returns None where the radius is too large or too small for tiles, or a mean has no point
    within the radius, for rounding: then that one must do it.
    """
    distinct, which = distinct_rows(points)
    built = build_sphere(distinct, np.bincount(which), radius)
    if built is None:
        return None
    del distinct
    sphere, order = built
    parts = in_threads(
        lambda a, b: _climb_chunk(sphere, a, b, tolerance, max_iter),
        len(order),
        n_jobs=n_jobs,
        verbose=verbose,
    )
    if any(part[0] < 0 for part in parts):
        return None
    n_iter = max(part[0] for part in parts)
    offsets = np.cumsum([0, *(len(part[2]) for part in parts)])[:-1]
    end_of_sorted = np.concatenate(
        [part[1] + offset for part, offset in zip(parts, offsets, strict=True)]
    )
    ends, counts = (np.concatenate([part[k] for part in parts]) for k in (2, 3))
    del parts
    end_of_distinct = np.empty(len(order), dtype=np.intp)
    end_of_distinct[order] = end_of_sorted
    climbed = join_climb(ends, counts, end_of_distinct[which], n_iter)

    def spread_around(places: FloatArray) -> FloatArray:
        parts = in_threads(lambda a, b: spreads(sphere, places[a:b]), len(places), n_jobs=n_jobs)
        return np.concatenate(parts)

    return climbed._replace(spread_around=spread_around)


@compiled
def _climb_chunk(
    sphere: Sphere, begin: int, stop: int, tolerance: float, max_iter: int
) -> tuple[int, LongArray, FloatArray, LongArray]:
    """Climb from the seeds begin to stop of the sorted order.

    Returns the steps of the longest trajectory (-1: one met a place without points), for each
    seed its end, and the places of the ends and how many points each is the mean of.
    """
    n = stop - begin
    places, nodes, slots = seed_nodes(n, 3)
    for i in range(n):
        for k in range(3):
            places[i, k] = sphere.points[begin + i, k]
    used, longest = n, 0
    end_of_seed = np.empty(n, dtype=np.int64)
    for seed in range(n):
        node, taken, state = follow(nodes, seed, 0, max_iter)
        while state == 0:
            places, nodes, slots = make_room(places, nodes, slots, n, used)
            used = _step(sphere, places, nodes, used, slots, node, tolerance)
            if used < 0:
                return -1, end_of_seed, places[:0].copy(), end_of_seed[:0].copy()
            node, taken, state = follow(nodes, node, taken, max_iter)
        if state == 1:
            settle(nodes, seed, node, taken)
        end_of_seed[seed] = node
        longest = max(longest, taken - 1)
    ends = rank_ends(end_of_seed, used)
    reached, counts = np.empty((len(ends), 3)), np.empty(len(ends), dtype=np.int64)
    for i in range(len(ends)):
        counts[i] = nodes[ends[i], COUNT]
        for k in range(3):
            reached[i, k] = places[ends[i], k]
    return longest, end_of_seed, reached, counts


@inner
def _step(
    sphere: Sphere,
    places: FloatArray,
    nodes: LongArray,
    used: int,
    slots: LongArray,
    node: int,
    tolerance: float,
) -> int:
    """Find the mean of the points around a node and whether the trajectory ends there.

    Returns how many nodes there are now, or -1 if there are no points around.
    """
    x, y, z = places[node, 0], places[node, 1], places[node, 2]
    count, sum_x, sum_y, sum_z = disc(sphere, x, y, z)
    if count == 0:
        return -1
    mean_x = _mean_of(count, sum_x, x, sphere.quantum)
    mean_y = _mean_of(count, sum_y, y, sphere.quantum)
    mean_z = _mean_of(count, sum_z, z, sphere.quantum)
    mean = mean_node(nodes, slots, used, node, count, _hash(count, mean_x, mean_y, mean_z))
    if mean == used:
        used += 1
        new_x, new_y, new_z = (
            mean_x * sphere.quantum,
            mean_y * sphere.quantum,
            mean_z * sphere.quantum,
        )
        length = math.sqrt(new_x * new_x + new_y * new_y + new_z * new_z)
        places[mean, 0] = new_x / length
        places[mean, 1] = new_y / length
        places[mean, 2] = new_z / length
    dx, dy, dz = places[mean, 0] - x, places[mean, 1] - y, places[mean, 2] - z
    nodes[node, STOP] = 1 if math.sqrt(dx * dx + dy * dy + dz * dz) <= tolerance else 0
    return used


@inner
def _mean_of(count: int, total: int, near: float, quantum: float) -> int:
    """Mean in fixed point, rounded down; ``near`` tells which multiple of 2 ** 64 is meant."""
    middle = int(np.rint(near / quantum))
    return middle + (total - count * middle) // count


@inner
def _hash(count: int, x: int, y: int, z: int) -> int:
    """Any whole number that depends on all digits of four."""
    key = (count + 2545723491857463213) * -7046029254386353131
    key = (key ^ (key >> 31) ^ x) * -4417276706812531889
    key = (key ^ (key >> 29) ^ y) * -7046029254386353131
    key = (key ^ (key >> 32) ^ z) * -4417276706812531889
    key = (key ^ (key >> 30)) * -7046029254386353131
    return key ^ (key >> 31)
