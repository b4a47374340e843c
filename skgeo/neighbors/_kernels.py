"""Compiled loops of the search: keep the smallest of a block, compare pairs directly."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from skgeo.cluster._compiled import compiled, inner

Array = npt.NDArray[Any]

# Sums in any order, always the same on one machine: many products at a time.
_njit: Any = numba.njit
_loosely: Any = _njit(
    nogil=True, error_model="numpy", no_cpython_wrapper=True, fastmath={"reassoc", "contract"}
)


@inner
def _sink(values: Array, ids: Array, value: float, index: int) -> None:
    """Put a smaller entry in place of the largest of a heap."""
    size, i = len(values), 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] > values[child]:
            child += 1
        if values[child] <= value:
            break
        values[i] = values[child]
        ids[i] = ids[child]
        i = child
    values[i] = value
    ids[i] = index


@inner
def _any_below(row: Array, norms: Array, limit: float) -> bool:
    hits = False
    for j in range(len(row)):
        hits |= row[j] + norms[j] < limit
    return hits


@compiled
def push_block(block: Array, norms: Array, first: int, values: Array, ids: Array) -> None:
    """Offer ``block[i, j] + norms[j]``, of row ``first + j``, to the heap of query i.

    ``values`` and ``ids`` (n_queries, m) hold max-heaps, at first filled with inf. NaN is never
    taken.
    """
    n_rows, width = block.shape
    for i in range(n_rows):
        for start in range(0, width, 64):
            stop = min(start + 64, width)
            if not _any_below(block[i, start:stop], norms[start:stop], values[i, 0]):
                continue
            for j in range(start, stop):
                value = block[i, j] + norms[j]
                if value < values[i, 0]:
                    _sink(values[i], ids[i], value, first + j)


@_loosely
def _squared(a: Array, b: Array) -> float:
    total = 0.0
    for i in range(len(a)):
        gap = np.float64(a[i]) - np.float64(b[i])
        total += gap * gap
    return total


@compiled
def squared_distances(queries: Array, gallery: Array, candidates: Array, squared: Array) -> None:
    """Squared distances of query i and its candidates, from differences in float64."""
    for i in range(candidates.shape[0]):
        for j in range(candidates.shape[1]):
            squared[i, j] = _squared(queries[i], gallery[candidates[i, j]])
