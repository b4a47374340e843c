"""Suppression of centres, and the nearest one to each point, by hashing what lies nearby."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._chunks import in_threads
from ._compiled import compiled, inner
from ._flat_kernel import nearest_center
from ._plane import EPS
from ._tiles import FloatArray, LongArray


def suppress_near(
    centers: FloatArray, radius: float, *, exact_ties: bool
) -> tuple[npt.NDArray[np.bool_], LongArray] | None:
    """Which centres have no earlier kept one within the radius, and which kept one is nearest.

    Parameters
    ----------
    centers : ndarray of shape (t, 2) or (t, 3)
        The strongest first; they span less than 2 ** 31 times the radius.
    radius : float
        Centres at exactly this distance are suppressed.
    exact_ties : bool
        Whether to decide about distances that equal the radius but for rounding. If not,
        nothing is decided where there is one: None is returned.

    Returns
    -------
    keep : ndarray of shape (t,)
        The mask of centres kept.
    nearest : ndarray of shape (t,)
        Index, among those kept, of the nearest one; the strongest of those equally near.
    """
    width = radius * (1.0 + 2.0**-10)
    cells = np.zeros((len(centers), 3), dtype=np.int64)
    cells[:, : centers.shape[1]] = np.floor((centers - centers.min(axis=0)) / width)
    keep, nearest, ok = _suppress(centers, cells, radius, 0.0 if exact_ties else 8.0 * EPS)
    return (keep, nearest) if ok else None


@compiled
def _suppress(
    centers: FloatArray, cells: LongArray, radius: float, doubt: float
) -> tuple[npt.NDArray[np.bool_], LongArray, bool]:
    n, dimensions = centers.shape
    size = 16
    while size < 2 * n:
        size *= 2
    head = np.full(size, -1, dtype=np.int64)  # of a list of the centres kept in a cell
    there = np.zeros(size // 16, dtype=np.int64)  # by hash, whether a centre is kept
    after = np.full(n, -1, dtype=np.int64)
    keep = np.zeros(n, dtype=np.bool_)
    rank = np.full(n, -1, dtype=np.int64)
    nearest = np.full(n, -1, dtype=np.int64)
    square = radius * radius
    within, without = square * (1.0 - doubt), square * (1.0 + doubt)
    depth = 3 if dimensions == 3 else 1
    n_kept = 0
    for step in range(2):
        for i in range(n):
            if step == 1 and keep[i]:
                nearest[i] = rank[i]
                continue
            best, best_square = -1, np.inf
            for neighbor in range(9 * depth):
                a = cells[i, 0] + neighbor % 3 - 1
                b = cells[i, 1] + (neighbor // 3) % 3 - 1
                c = cells[i, 2] + (neighbor // 9 - 1 if depth == 3 else 0)
                key = _scatter(a, b, c)
                if there[(key >> 6) & (len(there) - 1)] >> (key & 63) & 1 == 0:
                    continue
                k = head[key & (size - 1)]
                while k >= 0:
                    if cells[k, 0] == a and cells[k, 1] == b and cells[k, 2] == c:
                        d2 = 0.0
                        for axis in range(dimensions):
                            d = centers[k, axis] - centers[i, axis]
                            d2 += d * d
                        if d2 < best_square or (d2 == best_square and rank[k] < best):
                            best, best_square = rank[k], d2
                    k = after[k]
            if step == 1:
                nearest[i] = best
                continue
            if within < best_square <= without:
                return keep, nearest, False
            if best_square > square:
                keep[i] = True
                rank[i] = n_kept
                n_kept += 1
                key = _scatter(cells[i, 0], cells[i, 1], cells[i, 2])
                there[(key >> 6) & (len(there) - 1)] |= 1 << (key & 63)
                slot = key & (size - 1)
                after[i] = head[slot]
                head[slot] = i
    return keep, nearest, True


@inner
def _scatter(a: int, b: int, c: int) -> int:
    key = (a * -7046029254386353131) ^ (b * -4417276706812531889) ^ (c * 1609587929392839161)
    key = (key ^ (key >> 29)) * -7046029254386353131
    return key ^ (key >> 32)


def nearest_near(
    centers: FloatArray, points: FloatArray, radius: float, *, n_jobs: int | None = None
) -> npt.NDArray[np.intp]:
    """Index of the centre nearest to each point, ties as scikit-learn's `MeanShift` breaks them.

    Fast for centres that are more than the radius apart and points that are not much farther
    from one; the other points, and those with two centres equally near, are left to scikit-learn.
    """
    if len(centers) < 4:  # scikit-learn takes no tree, whose ties alone are certain
        return nearest_center(centers, points, n_jobs=n_jobs)
    width = radius * (1.0 + 2.0**-10)
    low = centers.min(axis=0)
    at = np.floor((centers - low) / width).astype(np.int64)
    cells = np.zeros((len(centers), 3), dtype=np.int64)
    cells[:, : centers.shape[1]] = at
    head, after = _lists(cells)
    rings = 4 if centers.shape[1] == 2 else 2
    parts = in_threads(
        lambda a, b: _nearest(centers, cells, head, after, points[a:b], low, width, rings),
        len(points),
        n_jobs=n_jobs,
    )
    nearest = np.concatenate(parts)
    left = np.flatnonzero(nearest < 0)
    if len(left):
        nearest[left] = nearest_center(centers, points[left], n_jobs=n_jobs)
    return nearest.astype(np.intp, copy=False)


@compiled
def _lists(cells: LongArray) -> tuple[LongArray, LongArray]:
    """Lists of the centres in each cell: their heads by hash, and what comes after each."""
    size = 16
    while size < 2 * len(cells):
        size *= 2
    head = np.full(size, -1, dtype=np.int64)
    after = np.empty(len(cells), dtype=np.int64)
    for i in range(len(cells)):
        slot = _scatter(cells[i, 0], cells[i, 1], cells[i, 2]) & (size - 1)
        after[i] = head[slot]
        head[slot] = i
    return head, after


@compiled
def _nearest(
    centers: FloatArray,
    cells: LongArray,
    head: LongArray,
    after: LongArray,
    points: FloatArray,
    low: FloatArray,
    width: float,
    rings: int,
) -> LongArray:
    """Index of the nearest centre, -1 where it is too far away or there are several."""
    dimensions = centers.shape[1]
    nearest = np.full(len(points), -1, dtype=np.int64)
    at = np.zeros(3, dtype=np.int64)
    for i in range(len(points)):
        for axis in range(dimensions):
            at[axis] = int(np.floor((points[i, axis] - low[axis]) / width))
        best, best_square, second_square = -1, np.inf, np.inf
        for ring in range(rings + 1):
            depth = ring if dimensions == 3 else 0
            for a in range(-ring, ring + 1):
                for b in range(-ring, ring + 1):
                    rim = abs(a) == ring or abs(b) == ring
                    for c in range(-depth, depth + 1):
                        if not (rim or (depth > 0 and abs(c) == ring)):
                            continue
                        x, y, z = at[0] + a, at[1] + b, at[2] + c
                        k = head[_scatter(x, y, z) & (len(head) - 1)]
                        while k >= 0:
                            if cells[k, 0] == x and cells[k, 1] == y and cells[k, 2] == z:
                                d2 = 0.0
                                for axis in range(dimensions):
                                    d = centers[k, axis] - points[i, axis]
                                    d2 += d * d
                                if d2 < best_square:
                                    best, best_square, second_square = k, d2, best_square
                                else:
                                    second_square = min(second_square, d2)
                            k = after[k]
            # What is nearer than this cannot be in a farther ring.
            reach = ring * width * (1.0 - 1e-6)
            if best_square < reach * reach:
                if second_square > best_square * (1.0 + 1e-12):
                    nearest[i] = best
                break
    return nearest
