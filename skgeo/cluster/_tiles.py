"""Points sorted into tiles, and crowded tiles into cells: how the points near a place are found.

A tile is as wide as the kernel's radius, so that a disc touches few of them; only tiles that
hold points exist, found by hashing. A crowded tile is divided into cells, the more the more
points it has; over the points in this order prefix sums are taken, so that the sum over a row
of cells is one difference. Memory is linear in the number of points however far apart they lie.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._compiled import compiled, inner

FloatArray = npt.NDArray[np.float64]
LongArray = npt.NDArray[np.int64]

#: Two odd constants with well spread bits; products wrap around.
_MIX_A = -7046029254386353131
_MIX_B = -4417276706812531889

#: Most cells along the side of a tile.
MAX_SIDE = 64


class Tiles(NamedTuple):
    """Where the points of a tile, and of its cells, begin in the sorted order.

    Tile t has ``side[t] ** 2`` cells, row after row, which begin at ``first_cell[t]``; the points
    of cell c are ``cell_start[c]`` to ``cell_start[c + 1]``. ``slots`` is a hash table of
    (row, column, tile), open addressing, -1 for no tile. ``there`` has a bit for each tile, by
    hash: most places that are looked up have no tile, and the bits stay near the processor.
    """

    slots: LongArray
    there: LongArray
    side: LongArray
    first_cell: LongArray
    cell_start: LongArray


def sort_into_tiles(
    rows: LongArray, columns: LongArray, u: FloatArray, v: FloatArray, *, points_per_cell: float
) -> tuple[LongArray, Tiles]:
    """Sort points by tile, along a curve that keeps near tiles together, and cell.

    Parameters
    ----------
    rows, columns : ndarray of shape (n,)
        The tile of each point; at least 0 and below 2 ** 31.
    u, v : ndarray of shape (n,)
        Where in the tile the point is, from 0 to 1, across the rows and along them.
    points_per_cell : float
        Average that a crowded tile is divided down to.

    Returns
    -------
    order : ndarray of shape (n,)
        The points, sorted.
    tiles : Tiles
        Where they are.
    """
    curve = _interleave(rows, columns)
    order = np.argsort(curve, kind="stable")
    curve = curve[order]
    first = np.flatnonzero(np.concatenate([[True], curve[1:] != curve[:-1]]))
    count = np.diff(np.append(first, len(curve)))
    del curve
    side = np.sqrt(count / points_per_cell).astype(np.int64).clip(1, MAX_SIDE)
    first_cell = np.concatenate([[0], np.cumsum(side**2)])
    tile = np.repeat(np.arange(len(first)), count)
    across, along = (
        np.minimum((w[order] * side[tile]).astype(np.int64), side[tile] - 1) for w in (u, v)
    )
    cell = first_cell[tile] + across * side[tile] + along
    del across, along, tile
    cell_start = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=first_cell[-1]))])
    slots, there = _hash_table(rows[order[first]], columns[order[first]])
    order = order[np.argsort(cell, kind="stable")]
    return order, Tiles(slots, there, side, first_cell[:-1], cell_start)


@inner
def find_tile(tiles: Tiles, row: int, column: int) -> int:
    """Tile in this row and column, or -1."""
    slots, there = tiles.slots, tiles.there
    key = _scatter(row, column)
    if there[(key >> 6) & (len(there) - 1)] >> (key & 63) & 1 == 0:
        return -1
    mask = slots.shape[0] - 1
    slot = key & mask
    while slots[slot, 2] >= 0:
        if slots[slot, 0] == row and slots[slot, 1] == column:
            return slots[slot, 2]
        slot = (slot + 1) & mask
    return -1


@inner
def _scatter(row: int, column: int) -> int:
    key = (row * _MIX_A) ^ (column * _MIX_B)
    key = (key ^ (key >> 29)) * _MIX_A
    return key ^ (key >> 32)


@compiled
def _hash_table(rows: LongArray, columns: LongArray) -> tuple[LongArray, LongArray]:
    size = 16
    while size < 2 * len(rows):
        size *= 2
    slots = np.full((size, 3), -1, dtype=np.int64)
    there = np.zeros(size // 16, dtype=np.int64)  # 8 to 16 bits a tile
    for tile in range(len(rows)):
        key = _scatter(rows[tile], columns[tile])
        there[(key >> 6) & (len(there) - 1)] |= 1 << (key & 63)
        slot = key & (size - 1)
        while slots[slot, 2] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot, 0] = rows[tile]
        slots[slot, 1] = columns[tile]
        slots[slot, 2] = tile
    return slots, there


def _interleave(rows: LongArray, columns: LongArray) -> LongArray:
    """Position along the Z-order curve: the bits of both numbers in turn."""
    return (_spread(rows) << 1) | _spread(columns)


def _spread(numbers: LongArray) -> LongArray:
    """Put a zero between any two bits of numbers of 31 bits."""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        numbers = (numbers | (numbers << shift)) & mask
    return numbers
