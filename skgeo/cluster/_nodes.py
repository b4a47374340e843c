"""What trajectories pass, kept so that no step is taken twice.

A node is a seed or the mean of a set of points. Where a trajectory goes from a node depends on
the node alone, so trajectories that meet go on as one, also if they come at different steps.
Nodes are rows of a table of places and of a table of whole numbers with these columns.
"""

from __future__ import annotations

import numpy as np

from ._compiled import inner
from ._tiles import FloatArray, LongArray

COUNT = 0  # how many points it is the mean of
HASH = 1  # of which points: the same number for the same set
EXACT = 2  # whether the place is scikit-learn's to the last bit
PREVIOUS = 3  # a node that leads here
NEXT = 4  # the mean of the points around; -1 where that is not yet known
STOP = 5  # whether a trajectory that goes on to the next node ends there
END = 6  # where a trajectory from here ends; -1 where that is not yet known
STEPS = 7  # how many steps that takes


@inner
def seed_nodes(n: int, dimensions: int) -> tuple[FloatArray, LongArray, LongArray]:
    """Tables with room for means, of which the first n rows are seeds; and their hash table."""
    size = 4 * n + 64
    places = np.empty((size, dimensions))
    nodes = np.empty((size, 8), dtype=np.int64)
    for i in range(n):
        _clear(nodes, i)
        nodes[i, EXACT] = 1
    return places, nodes, _index(nodes, n, n)


@inner
def make_room(
    places: FloatArray, nodes: LongArray, slots: LongArray, n_seeds: int, used: int
) -> tuple[FloatArray, LongArray, LongArray]:
    """Tables with room for one more node at least."""
    if used < len(nodes):
        return places, nodes, slots
    more_places = np.empty((2 * used, places.shape[1]))
    more_nodes = np.empty((2 * used, 8), dtype=np.int64)
    for i in range(used):
        for k in range(places.shape[1]):
            more_places[i, k] = places[i, k]
        for k in range(8):
            more_nodes[i, k] = nodes[i, k]
    return more_places, more_nodes, _index(more_nodes, n_seeds, used)


@inner
def mean_node(
    nodes: LongArray, slots: LongArray, used: int, node: int, count: int, hashes: int
) -> int:
    """Node of a set of points, made next of ``node``; ``used`` if it is a new one."""
    mask = len(slots) - 1
    slot = hashes & mask
    while slots[slot] >= 0 and nodes[slots[slot], HASH] != hashes:
        slot = (slot + 1) & mask
    mean = slots[slot]
    if mean < 0:
        mean = used
        slots[slot] = mean
        _clear(nodes, mean)
        nodes[mean, COUNT] = count
        nodes[mean, HASH] = hashes
        nodes[mean, PREVIOUS] = node
    nodes[node, NEXT] = mean
    return mean


@inner
def follow(nodes: LongArray, node: int, taken: int, max_iter: int) -> tuple[int, int, int]:
    """Go on from a node as far as is known.

    Returns the node reached, how many steps have been taken, and what is the matter there: 0 if
    the next step is not known, 1 if the trajectory ends there, 2 if it may not go further.
    """
    while True:
        if nodes[node, END] >= 0 and taken + nodes[node, STEPS] <= max_iter + 1:
            return nodes[node, END], taken + nodes[node, STEPS], 1
        if nodes[node, NEXT] < 0:
            return node, taken, 0
        taken += 1
        stop = nodes[node, STOP]
        node = nodes[node, NEXT]
        if stop == 1:
            return node, taken, 1
        if taken == max_iter + 1:
            return node, taken, 2


@inner
def settle(nodes: LongArray, seed: int, end: int, taken: int) -> None:
    """Note at all nodes of a trajectory where it ended."""
    node = seed
    while nodes[node, END] < 0:
        nodes[node, END] = end
        nodes[node, STEPS] = taken
        taken -= 1
        if nodes[node, STOP] == 1:
            break
        node = nodes[node, NEXT]


@inner
def rank_ends(end_of_seed: LongArray, used: int) -> LongArray:
    """Number the ends in the order in which seeds lead to them, in place; return their nodes."""
    rank = np.full(used, -1, dtype=np.int64)
    ends = np.empty(len(end_of_seed), dtype=np.int64)
    n_ends = 0
    for seed in range(len(end_of_seed)):
        end = end_of_seed[seed]
        if rank[end] < 0:
            rank[end] = n_ends
            ends[n_ends] = end
            n_ends += 1
        end_of_seed[seed] = rank[end]
    return ends[:n_ends]


@inner
def _clear(nodes: LongArray, node: int) -> None:
    for k in range(8):
        nodes[node, k] = 0
    nodes[node, NEXT] = -1
    nodes[node, END] = -1


@inner
def _index(nodes: LongArray, begin: int, stop: int) -> LongArray:
    """Hash table of the means from begin to stop, with room for as many as there may be nodes."""
    size = 16
    while size < 2 * len(nodes):
        size *= 2
    slots = np.full(size, -1, dtype=np.int64)
    for node in range(begin, stop):
        slot = nodes[node, HASH] & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = node
    return slots
