"""Points in tiles and cells: each is where it is said to be."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from skgeo.cluster import _tiles
from skgeo.cluster._tiles import MAX_SIDE, sort_into_tiles

_find = _tiles.find_tile


@numba.njit
def find(tiles, row, column):
    return _find(tiles, row, column)


@pytest.mark.parametrize("n", [1, 2, 5000])
def test_every_point_is_in_its_cell(rng, n):
    rows = rng.integers(0, 2**31, size=6)[rng.integers(0, 6, size=n)]
    columns = rng.integers(0, 3, size=n)
    u, v = rng.uniform(size=n) ** 3, rng.uniform(size=n)
    u[0], v[0] = 1.0, 1.0  # rounding may lead to the far edge
    order, tiles = sort_into_tiles(rows, columns, u, v, points_per_cell=4.0)
    assert sorted(order.tolist()) == list(range(n))
    assert tiles.cell_start[-1] == n
    seen = 0
    for row, column in {(int(r), int(c)) for r, c in zip(rows, columns, strict=True)}:
        tile = find(tiles, row, column)
        side, first = tiles.side[tile], tiles.first_cell[tile]
        assert 1 <= side <= MAX_SIDE
        for a in range(side):
            for b in range(side):
                cell = first + a * side + b
                points = order[tiles.cell_start[cell] : tiles.cell_start[cell + 1]]
                seen += len(points)
                assert (rows[points] == row).all()
                assert (columns[points] == column).all()
                assert (np.minimum(np.floor(u[points] * side), side - 1) == a).all()
                assert (np.minimum(np.floor(v[points] * side), side - 1) == b).all()
    assert seen == n


def test_no_tile_is_found_where_there_is_none(rng):
    rows, columns = rng.integers(0, 50, size=(2, 300))
    half = np.full(300, 0.5)
    _, tiles = sort_into_tiles(rows, columns, half, half, points_per_cell=4.0)
    there = set(zip(rows.tolist(), columns.tolist(), strict=True))
    for row in range(-2, 53):
        for column in range(-2, 53):
            assert (find(tiles, row, column) >= 0) == ((row, column) in there)


def test_cells_take_no_more_memory_than_points(rng):
    rows, columns = rng.integers(0, 2**31, size=(2, 20_000))  # every point alone in its tile
    _, tiles = sort_into_tiles(
        rows, columns, rng.uniform(size=20_000), rng.uniform(size=20_000), points_per_cell=1.0
    )
    assert len(tiles.cell_start) == 20_001
    assert len(tiles.slots) < 4 * 20_000


def test_neighbours_on_the_curve_are_neighbours_in_the_plane():
    rows, columns = np.divmod(np.arange(64 * 64), 64)
    half = np.full(64 * 64, 0.5)
    order, _ = sort_into_tiles(rows, columns, half, half, points_per_cell=4.0)
    # Any 256 in a row that begin at a multiple of 256 form a square.
    for block in order.reshape(-1, 256):
        assert np.ptp(rows[block]) == np.ptp(columns[block]) == 15
