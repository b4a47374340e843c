"""Compiled loops of the pair search: over tiles of products, and over lists of candidates.

A tile is a block of products ``-2 a.b`` between some rows and some columns. Each entry is looked
at once, many at a time; the few that pass the limit of their row (or of their column, where both
sides are photos) are dealt with one by one.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ..cluster._compiled import compiled, inner

Array = npt.NDArray[Any]

#: What fills a list in which there is room: infinitely far.
EMPTY = np.uint64(0x7F800000FFFFFFFF)

_CHUNK = 64
_BLOCK = 128  # of numpy's pairwise sum

#: Sums in any order: only for what carries a bound on its rounding error.
_njit: Any = numba.njit
_loosely: Any = _njit(
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    fastmath={"reassoc", "contract", "nsz"},
)


@_loosely
def _dot(a: Array, b: Array) -> float:
    total: Any = np.float32(0.0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


# The next two look at one row of a chunk. Whole slices, and one exit: so they become vector code.


@inner
def _any_push(
    row: Array, norms: Array, groups: Array, limits: Array, norm: float, group: int, limit: float
) -> int:
    hits: Any = np.int32(0)
    for j in range(len(row)):
        most = max(limits[j], limit)
        hits |= np.int32(row[j] + (norms[j] + norm) <= most) & np.int32(groups[j] != group)
    return hits


@inner
def _any_bound(
    row: Array, norms: Array, groups: Array, norm: float, group: int, limit: float
) -> int:
    hits: Any = np.int32(0)
    for j in range(len(row)):
        hits |= np.int32(row[j] + (norms[j] + norm) <= limit) & np.int32(groups[j] != group)
    return hits


@inner
def _far(a: Array, b: Array, least_chord: float) -> bool:
    """Whether two unit vectors are so far apart, added up as everywhere else in skgeo.pairs."""
    x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return bool((x * x + y * y) + z * z >= least_chord)


@inner
def _select(keys: Array, size: int) -> None:
    """Bring the ``size`` smallest of different keys to the front, the largest of them last."""
    low, high, target = 0, len(keys) - 1, size - 1
    while low < high:
        # The middle of three: what is half in order already costs no more.
        middle = (low + high) // 2
        a, b, c = keys[low], keys[middle], keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            break


@inner
def _offer(
    keys: Array, counts: Array, limits: Array, i: int, size: int, bits: int, column: int
) -> None:
    """Note (value, column) for row i; where the row is full, keep the ``size`` smallest."""
    keys[counts[i]] = (np.uint64(bits) << np.uint64(32)) | np.uint64(column)
    counts[i] += 1
    if counts[i] == len(keys):
        _select(keys, size)
        counts[i] = size
        # Half of a key is the bits of its value.
        limits[i] = np.uint32(keys[size - 1] >> np.uint64(32))


@compiled
def push_tile(
    tile: Array,
    bits: Array,
    a: tuple[Array, Array, Array, Array],
    b: tuple[Array, Array, Array, Array],
    of_rows: tuple[Array, Array, Array, Array],
    of_columns: tuple[Array, Array, Array, Array],
    size: int,
    least_chord: float,
) -> None:
    """Offer all allowed pairs of a tile to the lists of the rows, and of the columns if any.

    ``a`` and ``b`` are (ids, norms, groups, unit vectors), with norms less what rounding may add
    to an entry; ``bits`` is the tile seen as uint32.
    A list is (keys, counts, limits, limits as uint32); a key is (value, id), packed into uint64,
    and what exceeds the limit is not among the ``size`` smallest. Columns without lists have limits
    of -1.
    """
    a_keys, a_counts, a_limits, a_limit_bits = of_rows
    b_keys, b_counts, b_limits, b_limit_bits = of_columns
    a_ids, a_norms, a_groups, a_units = a
    b_ids, b_norms, b_groups, b_units = b
    m, n = tile.shape
    zero = np.float32(0.0)
    for i in range(m):
        norm, group = a_norms[i], a_groups[i]
        for start in range(0, n, _CHUNK):
            stop = min(start + _CHUNK, n)
            if not _any_push(
                tile[i, start:stop],
                b_norms[start:stop],
                b_groups[start:stop],
                b_limits[start:stop],
                norm,
                group,
                a_limits[i],
            ):
                continue
            for j in range(start, stop):
                value = max(tile[i, j] + (b_norms[j] + norm), zero) + zero  # no -0
                by_row, by_column = value <= a_limits[i], value <= b_limits[j]
                if not (by_row or by_column) or b_groups[j] == group:
                    continue
                if least_chord > 0.0 and not _far(a_units[i], b_units[j], least_chord):
                    continue
                tile[i, j] = value
                if by_row:
                    _offer(a_keys[i], a_counts, a_limit_bits, i, size, bits[i, j], b_ids[j])
                if by_column:
                    _offer(b_keys[j], b_counts, b_limit_bits, j, size, bits[i, j], a_ids[i])


@compiled
def collect_tile(
    tile: Array,
    first_row: int,
    a: tuple[Array, Array, Array, Array],
    b: tuple[Array, Array, Array, Array],
    a_more: tuple[Array, Array],
    b_more: tuple[Array, Array],
    limits: Array,
    least_chord: float,
    out: tuple[Array, Array, Array],
    count: int,
) -> tuple[int, int]:
    """Write down the allowed pairs whose lower bound does not exceed the limit of their row.

    An entry that passes the bound of the tile has to pass that of more columns, too. ``a``
    and ``b`` are as for `push_tile`; of more columns there are (columns, norms). Stops before a
    row for which ``out`` has not room enough for sure; returns that row and the count.
    """
    _, a_norms, a_groups, a_units = a
    b_ids, b_norms, b_groups, b_units = b
    out_rows, out_columns, out_bounds = out
    m, n = tile.shape
    for i in range(first_row, m):
        if count + n > len(out_rows):
            return i, count
        limit, norm, group = limits[i], a_norms[i], a_groups[i]
        for start in range(0, n, _CHUNK):
            stop = min(start + _CHUNK, n)
            if not _any_bound(
                tile[i, start:stop],
                b_norms[start:stop],
                b_groups[start:stop],
                norm,
                group,
                limit,
            ):
                continue
            for j in range(start, stop):
                if tile[i, j] + (b_norms[j] + norm) > limit or b_groups[j] == group:
                    continue
                product = _dot(a_more[0][i], b_more[0][j])
                bound = a_more[1][i] + b_more[1][j] - np.float32(2.0) * product
                if bound > limit:
                    continue
                if least_chord > 0.0 and not _far(a_units[i], b_units[j], least_chord):
                    continue
                out_rows[count] = i
                out_columns[count] = b_ids[j]
                out_bounds[count] = bound
                count += 1
    return m, count


@compiled
def bound_lists(
    indptr: Array,
    columns: Array,
    rows: Array,
    a: tuple[Array, Array],
    b: tuple[Array, Array],
    out: Array,
) -> None:
    """Bound the squared distances of listed pairs, from (columns, norms) of both sides."""
    for i in range(len(rows)):
        s = rows[i]
        for at in range(indptr[i], indptr[i + 1]):
            t = columns[at]
            out[at] = a[1][s] + b[1][t] - np.float32(2.0) * _dot(a[0][s], b[0][t])


@inner
def _sum_squares(a: Array, b: Array, start: int, n: int) -> float:
    """Sum of squared differences, at most _BLOCK of them, in the order of numpy's sum."""
    if n < 8:
        total = 0.0
        for i in range(start, start + n):
            difference = np.float64(a[i]) - np.float64(b[i])
            total += difference * difference
        return total
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = 0.0
    end = start + n - n % 8
    for i in range(start, end, 8):
        d0 = np.float64(a[i]) - np.float64(b[i])
        d1 = np.float64(a[i + 1]) - np.float64(b[i + 1])
        d2 = np.float64(a[i + 2]) - np.float64(b[i + 2])
        d3 = np.float64(a[i + 3]) - np.float64(b[i + 3])
        d4 = np.float64(a[i + 4]) - np.float64(b[i + 4])
        d5 = np.float64(a[i + 5]) - np.float64(b[i + 5])
        d6 = np.float64(a[i + 6]) - np.float64(b[i + 6])
        d7 = np.float64(a[i + 7]) - np.float64(b[i + 7])
        r0 += d0 * d0
        r1 += d1 * d1
        r2 += d2 * d2
        r3 += d3 * d3
        r4 += d4 * d4
        r5 += d5 * d5
        r6 += d6 * d6
        r7 += d7 * d7
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for i in range(end, start + n):
        difference = np.float64(a[i]) - np.float64(b[i])
        total += difference * difference
    return total


@_loosely
def _about(a: Array, b: Array) -> float:
    """Squared distance in the precision of the data and any order: at most d rounding errors."""
    total = (a[0] - b[0]) * (a[0] - b[0])
    for i in range(1, len(a)):
        total += (a[i] - b[i]) * (a[i] - b[i])
    return float(total)


@inner
def _squared_distance(
    a: Array, b: Array, starts: Array, sizes: Array, values: Array, merges: Array
) -> float:
    """Sum of squared differences by the plan of `pairwise_plan`."""
    top = 0
    for leaf in range(len(starts)):
        values[top] = _sum_squares(a, b, starts[leaf], sizes[leaf])
        top += 1
        for _ in range(merges[leaf]):
            values[top - 2] = values[top - 2] + values[top - 1]
            top -= 1
    return float(values[0])


def pairwise_plan(d: int) -> tuple[Array, Array, Array]:
    """Blocks of numpy's pairwise sum of d terms, and how many partial sums to add after each.

    Sums in that order have the bits of `direct_distances`, which leaves them to numpy.
    """
    starts: list[int] = []
    sizes: list[int] = []
    merges: list[int] = []

    def split(start: int, n: int) -> None:
        if n <= _BLOCK:
            starts.append(start)
            sizes.append(n)
            merges.append(0)
            return
        half = n // 2
        half -= half % 8
        split(start, half)
        split(start + half, n - half)
        merges[-1] += 1

    split(0, d)
    return np.array(starts), np.array(sizes), np.array(merges)


@compiled
def nearest_listed(
    indptr: Array,
    columns: Array,
    bounds: Array,
    rows: Array,
    a: Array,
    b: Array,
    scale: float,
    most: int,
    plan: tuple[Array, Array, Array],
    out_columns: Array,
    out_distances: Array,
    out_counts: Array,
) -> int:
    """Find the k nearest candidates of each list, nearest first, ties by index.

    Candidates are taken in the order of ``bounds`` (of squared distances in the frame), at most
    ``most`` of them, until none of the rest can be nearer than the k-th. Returns how many
    distances that took.
    """
    starts, sizes, merges = plan
    k = out_columns.shape[1]
    values = np.empty(64)
    margin = 1.0 + 2.0 * (len(a[0]) + 8) * np.finfo(a.dtype).eps
    computed = 0
    for i in range(len(rows)):
        begin, end = indptr[i], indptr[i + 1]
        order = np.argsort(bounds[begin:end], kind="mergesort")
        found = 0
        limit = raw_limit = np.inf
        for rank in range(min(most, end - begin)):
            at = begin + order[rank]
            if bounds[at] > limit:
                break
            column = columns[at]
            computed += 1
            if found == k:
                about = _about(a[rows[i]], b[column])
                if about > raw_limit and about < np.inf:
                    continue
            distance = np.sqrt(
                _squared_distance(a[rows[i]], b[column], starts, sizes, values, merges)
            )
            place = found
            while place > 0 and (
                distance < out_distances[i, place - 1]
                or (distance == out_distances[i, place - 1] and column < out_columns[i, place - 1])
            ):
                place -= 1
            if place >= k:
                continue
            for to in range(min(found, k - 1), place, -1):
                out_distances[i, to] = out_distances[i, to - 1]
                out_columns[i, to] = out_columns[i, to - 1]
            out_distances[i, place] = distance
            out_columns[i, place] = column
            found = min(found + 1, k)
            if found == k:
                raw_limit = margin * out_distances[i, k - 1] ** 2
                scaled = out_distances[i, k - 1] * scale
                limit = scaled * scaled * (1.0 + 1e-9) + 1e-29
        out_counts[i] = found
    return computed
