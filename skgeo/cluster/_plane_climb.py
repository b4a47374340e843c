"""Trajectories in the plane, with scikit-learn's result to the last bit."""

from __future__ import annotations

import math

import numpy as np

from ._chunks import in_threads
from ._compiled import compiled, inner
from ._flat_kernel import Climb, distinct_rows, join_climb
from ._nodes import (
    COUNT,
    EXACT,
    HASH,
    NEXT,
    PREVIOUS,
    STOP,
    follow,
    make_room,
    mean_node,
    rank_ends,
    seed_nodes,
    settle,
)
from ._plane import EPS, Plane, Tree, build_plane, build_tree, disc, error_bound, mean_of, tree_disc
from ._tiles import FloatArray, LongArray


def climb_plane(
    points: FloatArray,
    radius: float,
    *,
    tolerance: float,
    max_iter: int,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Climb | None:
    """Do what `skgeo.cluster._flat_kernel.climb` does in the plane, to the last bit, but faster.

    Returns None where the radius is too small a part of the extent for fixed point, or where
    the length of a shift equals the tolerance but for rounding: then that one must do it.
    """
    distinct, which = distinct_rows(points)
    built = build_plane(distinct, np.bincount(which), radius)
    if built is None:
        return None
    del distinct
    plane, order = built
    tree = build_tree(points)
    parts = in_threads(
        lambda a, b: _climb_chunk(plane, tree, a, b, tolerance, max_iter),
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
    counts, places = (np.concatenate([part[k] for part in parts]) for k in (2, 3))
    del parts
    end_of_distinct = np.empty(len(order), dtype=np.intp)
    end_of_distinct[order] = end_of_sorted
    return join_climb(places, counts, end_of_distinct[which], n_iter)


@compiled
def _climb_chunk(
    plane: Plane, tree: Tree, begin: int, stop: int, tolerance: float, max_iter: int
) -> tuple[int, LongArray, LongArray, FloatArray]:
    """Climb from the seeds begin to stop of the sorted order.

    Returns the steps of the longest trajectory (-1: a shift that cannot be told from the
    tolerance), for each seed its end, and for each end the number of points and where it is, with
    scikit-learn's bits.
    """
    n = stop - begin
    places, nodes, slots = seed_nodes(n, 2)
    for i in range(n):
        places[i, 0], places[i, 1] = plane.x[begin + i], plane.y[begin + i]
    used, longest = n, 0
    end_of_seed = np.empty(n, dtype=np.int64)
    for seed in range(n):
        node, taken, state = follow(nodes, seed, 0, max_iter)
        while state == 0:
            places, nodes, slots = make_room(places, nodes, slots, n, used)
            used = _step(plane, tree, places, nodes, used, slots, node, tolerance)
            if used < 0:
                return -1, end_of_seed, end_of_seed[:0].copy(), places[:0].copy()
            node, taken, state = follow(nodes, node, taken, max_iter)
        if state == 1:
            settle(nodes, seed, node, taken)
        end_of_seed[seed] = node
        longest = max(longest, taken - 1)
    ends = rank_ends(end_of_seed, used)
    counts, where = np.empty(len(ends), dtype=np.int64), np.empty((len(ends), 2))
    for i in range(len(ends)):
        end = ends[i]
        counts[i] = nodes[end, COUNT]
        if nodes[end, EXACT] == 0:
            _make_exact(plane, tree, places, nodes, end)
        where[i, 0], where[i, 1] = places[end, 0], places[end, 1]
    return longest, end_of_seed, counts, where


@inner
def _step(
    plane: Plane,
    tree: Tree,
    places: FloatArray,
    nodes: LongArray,
    used: int,
    slots: LongArray,
    node: int,
    tolerance: float,
) -> int:
    """Find the mean of the points around a node and whether the trajectory ends there.

    Returns how many nodes there are now, or -1 if it cannot be decided.
    """
    found, count, sum_x, sum_y, hashes = False, 0, 0, 0, 0
    for attempt in range(2):
        if attempt == 1:
            if nodes[node, EXACT] == 1:
                break
            _make_exact(plane, tree, places, nodes, node)
        error = _error(plane, places, nodes, node)
        found, count, sum_x, sum_y, hashes = disc(plane, places[node, 0], places[node, 1], error)
        if found:
            break
    x, y = 0.0, 0.0
    if not found:
        count, sum_x, sum_y, hashes, x, y = tree_disc(
            plane, tree, places[node, 0], places[node, 1], True
        )
    if count == 0:
        return -1
    if count == 1 and nodes[node, COUNT] == 0:  # a seed alone is its own mean
        nodes[node, COUNT], nodes[node, HASH], nodes[node, NEXT] = 1, hashes, node
        nodes[node, STOP] = 1
        return used
    mean = mean_node(nodes, slots, used, node, count, hashes)
    if mean == used:
        used += 1
        if found:
            x = mean_of(plane, count, sum_x, plane.low_x, places[node, 0])
            y = mean_of(plane, count, sum_y, plane.low_y, places[node, 1])
        else:
            nodes[mean, EXACT] = 1
        places[mean, 0], places[mean, 1] = x, y
    if mean == node:
        nodes[node, STOP] = 1
        return used
    dx, dy = places[mean, 0] - places[node, 0], places[mean, 1] - places[node, 1]
    shift = math.sqrt(dx * dx + dy * dy)
    doubt = _error(plane, places, nodes, node) + _error(plane, places, nodes, mean)
    if abs(shift - tolerance) <= doubt + 4.0 * EPS * shift:
        for either in (node, mean):
            if nodes[either, EXACT] == 0:
                _make_exact(plane, tree, places, nodes, either)
        dx, dy = places[mean, 0] - places[node, 0], places[mean, 1] - places[node, 1]
        shift = math.sqrt(dx * dx + dy * dy)
        if abs(shift - tolerance) <= 4.0 * EPS * tolerance and tolerance > 0.0:
            return -1
    nodes[node, STOP] = 1 if shift <= tolerance else 0
    return used


@inner
def _error(plane: Plane, places: FloatArray, nodes: LongArray, node: int) -> float:
    if nodes[node, EXACT] == 1:
        return 0.0
    return error_bound(plane, nodes[node, COUNT], places[node, 0], places[node, 1])


@inner
def _make_exact(plane: Plane, tree: Tree, places: FloatArray, nodes: LongArray, node: int) -> None:
    before = nodes[node, PREVIOUS]
    _, _, _, _, places[node, 0], places[node, 1] = tree_disc(
        plane, tree, places[before, 0], places[before, 1], False
    )
    nodes[node, EXACT] = 1
