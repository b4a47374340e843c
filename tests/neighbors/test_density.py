"""The kernel density vote against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, great_circle_km, to_unit_vectors
from skgeo.neighbors import KNNGeoRegressor
from skgeo.neighbors._density import density_peaks, distance_weights, snap


def density(place, places, weights, bandwidth_km):
    """The definition, at one place."""
    total = 0.0
    for other, weight in zip(places, weights, strict=True):
        chord = np.linalg.norm(to_unit_vectors(place) - to_unit_vectors(other)) * EARTH_RADIUS_KM
        total += weight * np.exp(-(chord**2) / (2 * bandwidth_km**2))
    return total


def reference_peaks(places, weights, bandwidth_km):
    """Plain ascent from every neighbour, to the end; peaks by height, near ones dropped."""
    points, ends = to_unit_vectors(places), []
    half = 0.5 * (EARTH_RADIUS_KM / bandwidth_km) ** 2
    for seed in points:
        p = seed
        for _ in range(20_000):
            w = weights * np.exp(-half * np.sum((points - p) ** 2, axis=1))
            new = w @ points
            new = new / np.linalg.norm(new)
            moved, p = np.linalg.norm(new - p), new
            if moved < 1e-9 * bandwidth_km / EARTH_RADIUS_KM:
                break
        ends.append(from_unit_vectors(p))
    heights = [density(end, places, weights, bandwidth_km) for end in ends]
    peaks = []
    for i in sorted(range(len(ends)), key=lambda i: (-round(heights[i] / max(heights), 9), i)):
        chords = [
            np.linalg.norm(to_unit_vectors(ends[i]) - to_unit_vectors(p)) * EARTH_RADIUS_KM
            for p in peaks
        ]
        if all(chord > bandwidth_km for chord in chords):
            peaks.append(ends[i])
    return peaks


def make(kind, rng, k=25):
    if kind == "uniform":
        return from_unit_vectors(rng.normal(size=(k, 3)))
    if kind == "cities":
        places = from_unit_vectors(rng.normal(size=(5, 3)))[rng.integers(5, size=k)]
        places = places + rng.normal(0, 1.0, (k, 2))
    elif kind == "antimeridian":
        places = np.array([-17.0, 180.0]) + rng.normal(0, 5.0, (k, 2))
    elif kind == "pole":
        places = np.column_stack([rng.uniform(84, 90, k), rng.uniform(-180, 180, k)])
    elif kind == "duplicates":
        places = from_unit_vectors(rng.normal(size=(4, 3)))[rng.integers(4, size=k)]
    else:  # one place
        places = np.tile([48.86, 2.35], (k, 1))
    return np.column_stack([np.clip(places[:, 0], -90, 90), (places[:, 1] + 180) % 360 - 180])


KINDS = ["uniform", "cities", "antimeridian", "pole", "duplicates", "one place"]


@pytest.mark.parametrize("bandwidth", [60.0, 500.0, 2000.0])
@pytest.mark.parametrize("kind", KINDS)
def test_peaks_equal_the_reference(kind, bandwidth, rng):
    places = make(kind, rng)
    for weights in (np.ones(25), np.sort(rng.uniform(size=25))[::-1]):
        expected = reference_peaks(places, weights, bandwidth)
        found, peaks, shares = density_peaks(places[None], weights[None], bandwidth, 25)
        n = int(np.count_nonzero(~np.isnan(found[0, :, 0])))
        assert n == len(expected)
        apart = great_circle_km(found[0, :n], np.array(expected))
        assert (apart < 1e-2 * bandwidth).all()
        assert peaks[0].max() == n - 1
        assert peaks[0].min() >= -1
        height = density(found[0, 0], places, weights, bandwidth)
        each = zip(places, weights, strict=True)
        parts = [density(found[0, 0], [p], [w], bandwidth) for p, w in each]
        np.testing.assert_allclose(shares[0], np.array(parts) / height, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["cities", "antimeridian", "pole"])
def test_no_point_of_a_fine_grid_is_higher_than_the_first_peak(kind, rng):
    places, weights = make(kind, rng), rng.uniform(0.1, 1.0, 25)
    found, _, _ = density_peaks(places[None], weights[None], 500.0, 1)
    height = density(found[0, 0], places, weights, 500.0)
    lat, lon = np.meshgrid(np.linspace(-90, 90, 181), np.linspace(-180, 180, 361), indexing="ij")
    grid = to_unit_vectors(np.stack([lat, lon], axis=-1))
    chords = np.linalg.norm(grid[:, :, None] - to_unit_vectors(places), axis=-1) * EARTH_RADIUS_KM
    on_grid = (weights * np.exp(-(chords**2) / (2 * 500.0**2))).sum(axis=-1)
    assert on_grid.max() <= height * (1 + 1e-9)
    assert on_grid.max() >= 0.98 * height  # the grid has points near the peak


def test_equal_peaks_go_to_the_best_ranked_neighbour():
    a, b = [10.0, 20.0], [-40.0, 100.0]
    for first, second in ((a, b), (b, a)):
        places = np.array([[first, second, second, first]])
        found, peaks, _ = density_peaks(places, np.ones((1, 4)), 300.0, 2)
        np.testing.assert_allclose(found[0], [first, second])
        assert peaks.tolist() == [[0, 1, 1, 0]]


def test_antipodes_that_balance_stay_where_they_are():
    places = np.array([[[0.0, 0.0], [0.0, 180.0]]])
    found, _, _ = density_peaks(places, np.ones((1, 2)), 1e6, 1)
    assert found[0, 0] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_weights_are_ratios_and_identical_photos_count_alone():
    distances = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
    assert distance_weights(distances, 2.0).tolist() == [[1.0, 0.25, 0.0625], [1.0, 1.0, 0.0]]
    assert distance_weights(distances, 0.0).tolist() == [[1.0] * 3] * 2
    huge = distance_weights(np.array([[1e-300, 1e300]]), 20.0)
    assert huge.tolist() == [[1.0, 0.0]]


def test_snap_takes_the_best_ranked_neighbour_within_reach():
    neighbors = np.array([[[0.0, 5.0], [0.0, 0.6], [0.0, 0.1]]])
    peaks = np.array([[[0.0, 0.0], [50.0, 50.0], [np.nan, np.nan]]])
    np.testing.assert_array_equal(
        snap(peaks, neighbors, 100.0)[0], [[0.0, 0.6], [50.0, 50.0], [np.nan, np.nan]]
    )


def test_estimator_equals_its_parts_in_any_batch(rng):
    X, Q = rng.normal(size=(300, 6)), rng.normal(size=(40, 6))
    y = np.concatenate([make("cities", rng, 150), make("antimeridian", rng, 150)])
    knn = KNNGeoRegressor("kde", n_neighbors=20, weight_power=3.0).fit(X, y)
    found = knn.predict(Q)
    distances, indices = knn.kneighbors(Q)
    for i in range(len(Q)):
        expected = reference_peaks(y[indices[i]], (distances[i, 0] / distances[i]) ** 3, 500.0)[0]
        assert great_circle_km(found[i], expected) < 1.0
        np.testing.assert_array_equal(knn.predict(Q[[i]])[0], found[i])
    two = KNNGeoRegressor("kde", n_neighbors=20, weight_power=3.0, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(two.predict(np.tile(Q, (30, 1))), np.tile(found, (30, 1)))
    snapped = KNNGeoRegressor("kde", n_neighbors=20, weight_power=3.0, snap_km=1e5).fit(X, y)
    np.testing.assert_array_equal(snapped.predict(Q), y[indices[:, 0]])
    top = knn.predict_top_k(Q, 300)
    assert not np.isnan(top).any()
    np.testing.assert_array_equal(top[:, 0], found)
