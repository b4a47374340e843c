"""Sums over discs in the plane: fast where no rounding can matter, scikit-learn's where it can.

`disc` adds whole numbers, so its sums are exact and their order is of no account, and it says
whether any point lies so near to the circle that scikit-learn's rounding could put it on the
other side. For those cases `tree_disc` walks scikit-learn's own tree with its own arithmetic.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KDTree

from ._compiled import inner
from ._tiles import FloatArray, LongArray, Tiles, find_tile, sort_into_tiles

EPS = float(np.finfo(np.float64).eps)

#: With fewer bits than this for the radius, rounding in fixed point would no longer be small.
MIN_BITS = 28

# A tile's cells: fewer make more points to test, more make more cells to look up.
_POINTS_PER_CELL = 12.0


class Plane(NamedTuple):
    """Distinct points in tiles, with prefix sums in fixed point.

    Column 0 of ``prefix`` counts points (with duplicates), columns 1 and 2 add coordinates in
    units of ``quantum`` from ``(low_x, low_y)``, column 3 adds a hash, which tells sets of
    points apart. All wrap around; differences over a disc do not.
    """

    x: FloatArray
    y: FloatArray
    prefix: LongArray
    tiles: Tiles
    radius: float
    width: float
    low_x: float
    low_y: float
    quantum: float
    largest: float


class Tree(NamedTuple):
    """scikit-learn's tree over the points: what its answers, to the last bit, depend on."""

    points: FloatArray
    bits: LongArray
    start: LongArray
    end: LongArray
    leaf: npt.NDArray[np.bool_]
    bounds: FloatArray
    two: float


def bits_for(n: int, extent: float, radius: float) -> int:
    """Binary digits of the radius in fixed point, so that neither a sum nor a place overflows."""
    places = math.frexp(extent / radius + 4.0)[1]
    return min(41, 61 - int(n).bit_length(), 61 - places)


def build_plane(
    distinct: FloatArray, weights: LongArray, radius: float
) -> tuple[Plane, LongArray] | None:
    """Sort distinct points into tiles.

    Returns None where 64 bits do not suffice, which takes a radius of a hundred-millionth of
    the extent; else the plane and the sorted order of the points.
    """
    low, high = distinct.min(axis=0), distinct.max(axis=0)
    extent = float((high - low).max())
    # Below half of float64's digits for the radius, sums and distances are mostly rounding.
    largest = max(float(np.abs(low).max()), float(np.abs(high).max()), radius)
    bits = bits_for(int(weights.sum()), extent, radius) if extent / radius < 2.0**30 else 0
    if bits < MIN_BITS or radius < 2.0**-28 * largest or not 1e-140 < radius < 1e140:
        return None
    quantum = radius * 2.0**-bits
    # A little wider than the radius: rounding must not put neighbours two tiles apart.
    width = radius * (1.0 + 2.0**-10)
    at = (distinct - low) / width
    tile = np.floor(at)
    at -= tile
    rows, columns = tile.astype(np.int64).T
    order, tiles = sort_into_tiles(
        rows, columns, at[:, 0], at[:, 1], points_per_cell=_POINTS_PER_CELL
    )
    x, y = distinct[order].T.copy()
    as_bits = (distinct + 0.0).view(np.int64)
    prefix = np.zeros((len(distinct) + 1, 4), dtype=np.int64)
    prefix[1:, 0] = weights
    prefix[1:, 1:3] = np.rint((distinct - low) / quantum)
    prefix[1:, 3] = _hash(as_bits[:, 0], as_bits[:, 1])
    prefix[1:, 1:] *= weights[:, None]
    prefix[1:] = prefix[1:][order]
    np.cumsum(prefix, axis=0, out=prefix)
    plane = Plane(
        x, y, prefix, tiles, radius, width, float(low[0]), float(low[1]), quantum, largest
    )
    return plane, order


def build_tree(points: FloatArray) -> Tree:
    """Index points with scikit-learn's tree, as its `MeanShift` does, and lay the tree open."""
    data, order, nodes, bounds = KDTree(points, leaf_size=30).get_arrays()
    nodes = np.asarray(nodes)
    in_order = np.asarray(data)[np.asarray(order)] + 0.0  # no -0.0, whose bits differ from 0.0
    return Tree(
        in_order,
        in_order.view(np.int64),
        nodes["idx_start"].astype(np.int64),
        nodes["idx_end"].astype(np.int64),
        nodes["is_leaf"] != 0,
        np.ascontiguousarray(bounds),
        2.0,
    )


def _hash(bits_x: Any, bits_y: Any) -> Any:
    """Any whole number (or an array of them) that depends on every bit of a point."""
    # 0 must not become 0: a set with the point (0, 0) differs from the one without.
    key = (bits_x + 2545723491857463213) * -7046029254386353131
    key ^= key >> 31
    key = (key ^ bits_y) * -4417276706812531889
    key = (key ^ (key >> 29)) * -7046029254386353131
    key = (key ^ (key >> 32)) * -4417276706812531889
    return key ^ (key >> 30)


_hash_one = inner(_hash)


@inner
def error_bound(plane: Plane, count: int, x: float, y: float) -> float:
    """How far apart the mean of ``count`` points near a place may be, here and in scikit-learn.

    There the points are added one after the other: each addition may round the sum. The bound
    is proven up to 2 ** 17 points; beyond, it takes it that not all roundings go the same way.
    """
    reach = abs(x) + abs(y) + 4.0 * plane.radius
    additions = min(count, 1 << 17)
    return reach * EPS * (0.5 * additions + 4.0) + 8.0 * EPS * plane.largest + 2.0 * plane.quantum


@inner
def disc(plane: Plane, x: float, y: float, error: float) -> tuple[bool, int, int, int, int]:
    """Sum over the points within the radius of (x, y), a place known to within ``error``.

    Returns whether the set of points is certain, and if so their number, the sums of their
    coordinates in fixed point, and the sum of their hashes.
    """
    radius, width, tiles = plane.radius, plane.width, plane.tiles
    slack = error + 8.0 * EPS * radius
    inside, outside = (radius - slack) ** 2, (radius + slack) ** 2
    # Cells have edges that are rounded, too.
    slack += 16.0 * EPS * plane.largest
    surely, maybe = (radius - slack) ** 2, (radius + slack) ** 2
    count, sum_x, sum_y, hashes = 0, 0, 0, 0
    row = int(np.floor((x - plane.low_x) / width))
    column = int(np.floor((y - plane.low_y) / width))
    for r in range(row - 1, row + 2):
        left = plane.low_x + r * width - x
        near_x = max(left, -(left + width), 0.0)
        if near_x * near_x > maybe:
            continue
        for c in range(column - 1, column + 2):
            low = plane.low_y + c * width - y
            near_y = max(low, -(low + width), 0.0)
            if near_x * near_x + near_y * near_y > maybe:
                continue
            tile = find_tile(tiles, r, c)
            if tile < 0:
                continue
            side = tiles.side[tile]
            step = width / side
            per_step = side / width
            base = tiles.first_cell[tile]
            for f in range(side):
                near = left + f * step
                far = near + step
                if near < 0.0 < far:
                    least, most = 0.0, max(-near, far)
                elif near >= 0.0:
                    least, most = near, far
                else:
                    least, most = -far, -near
                least *= least
                most *= most
                if least > maybe:
                    continue
                half = math.sqrt(maybe - least)
                first = max(int(np.floor((-half - low) * per_step)), 0)
                last = min(int(np.floor((half - low) * per_step)) + 1, side)
                if first >= last:
                    continue
                begin, stop = last, last
                if most < surely:
                    half = math.sqrt(surely - most)
                    begin = max(int(np.ceil((-half - low) * per_step)), 0)
                    stop = min(int(np.floor((half - low) * per_step)), side)
                    if begin < stop:
                        a = tiles.cell_start[base + f * side + begin]
                        b = tiles.cell_start[base + f * side + stop]
                        count += plane.prefix[b, 0] - plane.prefix[a, 0]
                        sum_x += plane.prefix[b, 1] - plane.prefix[a, 1]
                        sum_y += plane.prefix[b, 2] - plane.prefix[a, 2]
                        hashes += plane.prefix[b, 3] - plane.prefix[a, 3]
                    else:
                        begin, stop = last, last
                for part in range(2):
                    if part == 0:
                        a = tiles.cell_start[base + f * side + first]
                        b = tiles.cell_start[base + f * side + begin]
                    else:
                        a = tiles.cell_start[base + f * side + stop]
                        b = tiles.cell_start[base + f * side + last]
                    for i in range(a, b):
                        dx = plane.x[i] - x
                        dy = plane.y[i] - y
                        d2 = dx * dx + dy * dy
                        if d2 <= inside:
                            count += plane.prefix[i + 1, 0] - plane.prefix[i, 0]
                            sum_x += plane.prefix[i + 1, 1] - plane.prefix[i, 1]
                            sum_y += plane.prefix[i + 1, 2] - plane.prefix[i, 2]
                            hashes += plane.prefix[i + 1, 3] - plane.prefix[i, 3]
                        elif d2 <= outside:
                            return False, 0, 0, 0, 0
    return True, count, sum_x, sum_y, hashes


@inner
def mean_of(plane: Plane, count: int, total: int, low: float, near: float) -> float:
    """Mean coordinate from a sum in fixed point; ``near`` is any place within the tiles around."""
    reference = int(np.rint((near - low) / plane.quantum))
    return low + (reference + (total - count * reference) / count) * plane.quantum


@inner
def tree_disc(
    plane: Plane, tree: Tree, x: float, y: float, identify: bool
) -> tuple[int, int, int, int, float, float]:
    """Sum over the points within the radius as scikit-learn does: its tree, its order, its bits.

    Returns the number of points, sums in fixed point and hashes as `disc` does (if ``identify``,
    else 0), and the mean in floating point.
    """
    radius = plane.radius
    square = radius * radius
    count, sum_x, sum_y, hashes = 0, 0, 0, 0
    total_x, total_y = 0.0, 0.0
    stack = np.empty(128, dtype=np.int64)
    stack[0] = 0
    height = 1
    while height:
        height -= 1
        node = stack[height]
        x_lo = tree.bounds[0, node, 0] - x
        x_hi = x - tree.bounds[1, node, 0]
        y_lo = tree.bounds[0, node, 1] - y
        y_hi = y - tree.bounds[1, node, 1]
        near_x, near_y = max(x_lo, x_hi, 0.0), max(y_lo, y_hi, 0.0)
        far_x, far_y = max(abs(x_lo), abs(x_hi)), max(abs(y_lo), abs(y_hi))
        least = near_x * near_x + near_y * near_y
        most = far_x * far_x + far_y * far_y
        if least > square * (1.0 + 1e-12):
            continue
        whole = most < square * (1.0 - 1e-12)
        if not whole and (least > square * (1.0 - 1e-12) or most < square * (1.0 + 1e-12)):
            # A tie: powers and roots as scikit-learn takes them, which may round otherwise.
            least = math.pow(near_x, tree.two) + math.pow(near_y, tree.two)
            most = math.pow(far_x, tree.two) + math.pow(far_y, tree.two)
            if math.pow(least, 1.0 / tree.two) > radius:
                continue
            whole = math.pow(most, 1.0 / tree.two) <= radius
        if not (whole or tree.leaf[node]):
            stack[height] = 2 * node + 2
            stack[height + 1] = 2 * node + 1
            height += 2
            continue
        for i in range(tree.start[node], tree.end[node]):
            px, py = tree.points[i, 0], tree.points[i, 1]
            if not whole:
                dx, dy = px - x, py - y
                if dx * dx + dy * dy > square:
                    continue
            count += 1
            total_x += px
            total_y += py
            if identify:
                sum_x += int(np.rint((px - plane.low_x) / plane.quantum))
                sum_y += int(np.rint((py - plane.low_y) / plane.quantum))
                hashes += _hash_one(tree.bits[i, 0], tree.bits[i, 1])
    if count:
        total_x /= count
        total_y /= count
    return count, sum_x, sum_y, hashes, total_x, total_y
