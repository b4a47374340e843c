"""Mean shift as a whole, against its plain form and against scikit-learn."""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.cluster import MeanShift
from sklearn.datasets import make_blobs

from skgeo._geodesy import (
    EARTH_RADIUS_KM,
    from_unit_vectors,
    great_circle_km,
    km_to_chord,
    to_unit_vectors,
)
from skgeo.cluster import _mean_shift, mean_shift


@pytest.fixture(params=["general", "compiled"], autouse=True)
def engine(request, monkeypatch):
    """All that holds must hold for both: the compiled functions are for many points by default."""
    many = 0 if request.param == "compiled" else 10**9
    monkeypatch.setattr(_mean_shift, "COMPILED_FROM", many)
    return request.param


def plane_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a - b) ** 2).sum()))


def plane_mean(points: np.ndarray) -> np.ndarray:
    return points.sum(axis=0) / len(points)


def sphere_mean(vectors: np.ndarray) -> np.ndarray:
    total = vectors.sum(axis=0)
    return total / np.sqrt((total**2).sum())


def slow_mean_shift(
    points: np.ndarray,
    radius: float,
    *,
    max_iter: int = 300,
    tolerance: float | None = None,
    mean: Callable[[np.ndarray], np.ndarray] = plane_mean,
    on_sphere: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Mean shift as on a blackboard: centres, labels by mode, labels by nearest centre, steps."""
    tolerance = 1e-3 * radius if tolerance is None else tolerance
    terminals, counts, longest = [], [], 0
    for seed in points:
        state = seed
        for step in range(max_iter + 1):  # noqa: B007
            within = [p for p in points if plane_distance(p, state) <= radius]
            new = mean(np.array(within))
            shift, state = plane_distance(new, state), new
            if shift <= tolerance:
                break
        longest = max(longest, step)
        terminals.append(state)
        counts.append(len(within))
    if on_sphere:
        seeds = [sum(np.array_equal(t, other) for other in terminals) for t in terminals]
        squares = [((points - t) ** 2).sum(axis=1) for t in terminals]
        spread = [s[s <= radius**2].mean() / radius**2 for s in squares]
        order = sorted(
            range(len(points)), key=lambda i: (-counts[i], -seeds[i], round(spread[i], 6), i)
        )
    else:
        order = sorted(range(len(points)), key=lambda i: (counts[i], *terminals[i]), reverse=True)
    centers: list[np.ndarray] = []
    for i in order:
        if all(plane_distance(terminals[i], c) > radius for c in centers):
            centers.append(terminals[i])
    mode = [
        min(range(len(centers)), key=lambda j: plane_distance(centers[j], t)) for t in terminals
    ]
    near = [min(range(len(centers)), key=lambda j: plane_distance(centers[j], p)) for p in points]
    return np.array(centers), np.array(mode), np.array(near), longest


def _cases() -> dict[str, tuple[np.ndarray, float]]:
    rng = np.random.default_rng(7)
    lattice = np.stack(np.meshgrid(np.arange(6.0), np.arange(5.0)), -1).reshape(-1, 2)
    return {
        "random": (rng.normal(size=(150, 2)), 0.4),
        "one dimension": (rng.normal(size=(100, 1)), 0.1),
        "three dimensions": (rng.normal(size=(100, 3)), 0.8),
        "ten dimensions": (rng.normal(size=(60, 10)), 3.5),
        "duplicates": (rng.normal(size=(20, 2))[rng.integers(0, 20, 120)], 0.5),
        "lattice, neighbours at the radius": (lattice, 1.0),
        "lattice, diagonals at the radius": (lattice, float(np.sqrt(2.0))),
        "lattice of tenths": (lattice / 10, 0.1),
        "collinear": (np.repeat(np.arange(40.0), 2).reshape(-1, 2), np.sqrt(2.0) * 2),
        "shuffled lattice": (rng.permutation(lattice), 2.0),
        "small bandwidth": (rng.normal(size=(60, 2)), 1e-6),
        "large bandwidth": (rng.normal(size=(60, 2)), 1e6),
        "places": (np.array([37.77, -122.41]) + 0.01 * rng.normal(size=(150, 2)), 0.005),
        "one place": (np.full((30, 2), 48.858), 0.005),
        "one point": (np.array([[1.0, 2.0]]), 0.005),
        "two points": (np.array([[1.0, 2.0], [3.0, 4.0]]), 5.0),
    }


@pytest.mark.parametrize("name", _cases())
def test_equals_scikit_learn(name):
    points, bandwidth = _cases()[name]
    theirs = MeanShift(bandwidth=bandwidth, bin_seeding=False, cluster_all=True).fit(points)
    ours = mean_shift(points, bandwidth, assign="nearest")
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    assert ours.n_iter == theirs.n_iter_


@pytest.mark.parametrize("max_iter", [0, 1, 2, 5])
def test_equals_scikit_learn_when_stopped_early(rng, max_iter):
    points = rng.normal(size=(120, 2))
    theirs = MeanShift(bandwidth=0.7, max_iter=max_iter).fit(points)
    ours = mean_shift(points, 0.7, assign="nearest", max_iter=max_iter)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


@pytest.mark.parametrize("bandwidth", [0.0001, 0.005, 0.05, 2.0])
def test_equals_scikit_learn_on_real_places(shared_data, bandwidth):
    with open(shared_data / "gps" / "geoclip_coordinates_100K.csv", newline="") as file:
        rows = [row for row, _ in zip(csv.reader(file), range(601), strict=False)][1:]
    points = np.array(rows, dtype=np.float64)
    theirs = MeanShift(bandwidth=bandwidth).fit(points)
    ours = mean_shift(points, bandwidth, assign="nearest")
    np.testing.assert_array_equal(ours.centers, theirs.cluster_centers_)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


def test_finds_blobs():
    centers = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) + 10
    points, truth = make_blobs(300, centers=centers, cluster_std=0.4, random_state=11)
    result = mean_shift(points, 1.2)
    assert len(result.centers) == 3
    agreement = [
        np.bincount(result.labels[truth == i]).max() / (truth == i).sum() for i in range(3)
    ]
    assert min(agreement) > 0.95


@pytest.mark.parametrize("name", ["random", "duplicates", "places", "three dimensions"])
def test_equals_the_plain_loops(name):
    points, bandwidth = _cases()[name]
    centers, mode, near, n_iter = slow_mean_shift(points, bandwidth)
    ours = mean_shift(points, bandwidth, assign="mode")
    np.testing.assert_allclose(ours.centers, centers, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ours.labels, mode)
    assert ours.n_iter == n_iter
    ours = mean_shift(points, bandwidth, assign="nearest")
    np.testing.assert_array_equal(ours.labels, near)
    if name == "places":
        assert (mode != near).any()  # else the two would not be told apart here


def test_mode_goes_where_the_trajectory_leads_not_to_what_is_near():
    points = np.array([0.0, 0.1, 0.2, 0.5, 0.8, 0.9, 1.5, 1.9, 2.5])[:, None]
    mode, nearest = (mean_shift(points, 1.0, assign=assign) for assign in ("mode", "nearest"))
    np.testing.assert_allclose(mode.centers.ravel(), [4.0 / 7.0, 5.9 / 3.0])
    # The photo at 1.5 is nearer to the second centre, but the crowd pulls it to the first.
    assert mode.labels.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert nearest.labels.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_order_of_the_input_does_not_matter(rng):
    points = np.array([40.7, -74.0]) + 0.01 * rng.normal(size=(300, 2))
    expected = mean_shift(points, 0.005)
    order = rng.permutation(300)
    shuffled = mean_shift(points[order], 0.005)
    np.testing.assert_allclose(shuffled.centers, expected.centers, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(shuffled.labels, expected.labels[order])


# The sphere ------------------------------------------------------------------------------------


def _photos_around(rng, place, n, spread_km):
    """Photos scattered around a place anywhere, poles included."""
    up = to_unit_vectors(place)
    vectors = up + rng.normal(size=(n, 3)) * spread_km / EARTH_RADIUS_KM
    return from_unit_vectors(vectors)


PLACES = {
    "San Francisco": [37.77, -122.41],
    "antimeridian": [-17.0, 180.0],
    "north pole": [90.0, 0.0],
    "south pole": [-90.0, 77.0],
    "null island": [0.0, 0.0],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bandwidth", [0.01, 0.5, 1000.0])
def test_sphere_equals_the_plain_loops(rng, place, bandwidth):
    photos = _photos_around(rng, PLACES[place], 100, 2 * bandwidth)
    centers, mode, near, n_iter = slow_mean_shift(
        to_unit_vectors(photos),
        km_to_chord(bandwidth),
        tolerance=km_to_chord(1e-3 * bandwidth),
        mean=sphere_mean,
        on_sphere=True,
    )
    ours = mean_shift(photos, bandwidth, metric="haversine")
    np.testing.assert_array_equal(ours.labels, mode)
    assert great_circle_km(ours.centers, from_unit_vectors(centers)).max() < 1e-6
    assert ours.n_iter == n_iter
    assert len(centers) > 1
    ours = mean_shift(photos, bandwidth, metric="haversine", assign="nearest")
    np.testing.assert_array_equal(ours.labels, near)


def test_rotation_of_the_earth_changes_no_label(rng):
    photos = np.concatenate(
        [
            _photos_around(rng, [37.77, -122.41], 150, 1.0),
            _photos_around(rng, [37.80, -122.41], 20, 0.1),
            # Ties, which must not be broken by where on Earth they are.
            np.repeat([[38.0, -122.0], [39.0, -122.0], [38.0, -123.0]], 2, axis=0),
        ]
    )
    expected = mean_shift(photos, 0.5, metric="haversine")
    assert len(expected.centers) > 5
    for seed in range(5):
        rotation = Rotation.random(rng=np.random.default_rng(seed))
        turned = from_unit_vectors(rotation.apply(to_unit_vectors(photos)))
        result = mean_shift(turned, 0.5, metric="haversine")
        np.testing.assert_array_equal(result.labels, expected.labels)
        back = rotation.apply(to_unit_vectors(result.centers), inverse=True)
        assert great_circle_km(from_unit_vectors(back), expected.centers).max() < 1e-5


def test_one_place_on_either_side_of_the_antimeridian_is_one_place():
    photos = np.array([[-17.0, 179.999], [-17.0, -179.999], [-17.0, 180.0], [-17.0, -180.0]])
    assert mean_shift(photos, 0.5, metric="haversine").labels.tolist() == [0, 0, 0, 0]
    assert len(mean_shift(photos, 0.005).centers) == 2


def test_all_longitudes_meet_at_the_pole():
    photos = np.stack([np.full(12, 89.9999), np.arange(-180.0, 180.0, 30.0)], axis=1)
    result = mean_shift(photos, 0.5, metric="haversine")
    assert result.labels.tolist() == [0] * 12
    assert great_circle_km(result.centers[0], [90.0, 0.0]) < 1e-6


def test_radius_is_inclusive_in_km():
    photos = np.array([[0.0, 0.0], [0.0, 1.0]])
    apart = great_circle_km(photos[0], photos[1])
    assert len(mean_shift(photos, apart * (1 + 1e-9), metric="haversine").centers) == 1
    assert len(mean_shift(photos, apart * (1 - 1e-9), metric="haversine").centers) == 2


def test_bandwidth_of_the_whole_earth():
    photos = np.array([[10.0, 20.0], [-30.0, 100.0], [50.0, -80.0]])
    result = mean_shift(photos, 30_000.0, metric="haversine")
    assert result.labels.tolist() == [0, 0, 0]


def test_photos_that_balance_each_other_stay_put():
    photos = np.array([[0.0, 0.0], [0.0, 180.0], [90.0, 0.0], [-90.0, 0.0]])
    result = mean_shift(photos, 30_000.0, metric="haversine")
    assert np.isfinite(result.centers).all()
    assert result.labels.tolist() == [0, 0, 0, 0]
    assert great_circle_km(result.centers[0], photos[0]) < 1e-6
