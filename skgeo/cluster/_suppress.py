"""Non-maximum suppression by hashing: each centre against those kept nearby."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._compiled import compiled, inner
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
            best, best_square = -1, np.inf
            for neighbor in range(9 * depth):
                a = cells[i, 0] + neighbor % 3 - 1
                b = cells[i, 1] + (neighbor // 3) % 3 - 1
                c = cells[i, 2] + (neighbor // 9 - 1 if depth == 3 else 0)
                k = head[_slot(a, b, c, size)]
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
                slot = _slot(cells[i, 0], cells[i, 1], cells[i, 2], size)
                after[i] = head[slot]
                head[slot] = i
    return keep, nearest, True


@inner
def _slot(a: int, b: int, c: int, size: int) -> int:
    key = (a * -7046029254386353131) ^ (b * -4417276706812531889) ^ (c * 1609587929392839161)
    key = (key ^ (key >> 29)) * -7046029254386353131
    return (key ^ (key >> 32)) & (size - 1)
