"""The batched vote against scikit-learn's MeanShift, and against a plain one, query by query."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import MeanShift

from skgeo._geodesy import (
    EARTH_RADIUS_KM,
    from_unit_vectors,
    great_circle_km,
    spherical_mean,
    to_unit_vectors,
)
from skgeo.neighbors import _vote
from skgeo.neighbors._vote import earth_positions_km, mean_shift_clusters, vote


def reference_mean_shift(points, bandwidth):
    """One seed after the other, one distance after the other; scikit-learn's rules."""

    def reached(mean):
        # Products and sums in the order in which the batched form takes them.
        return [p for p in points if sum((p[i] - mean[i]) ** 2 for i in range(3)) <= bandwidth**2]

    modes = {}
    for seed in points:
        mean = seed
        for _ in range(301):
            inside = reached(mean)
            old, mean = mean, np.sum(inside, axis=0) / len(inside)
            if np.linalg.norm(mean - old) <= 1e-3 * bandwidth:
                break
        modes[tuple(mean)] = len(inside)
    centers = []
    for mode, _ in sorted(modes.items(), key=lambda item: (item[1], item[0]), reverse=True):
        if all(np.sum((np.subtract(mode, c)) ** 2) > bandwidth**2 for c in centers):
            centers.append(mode)
    labels = [int(np.argmin([np.sum((p - np.array(c)) ** 2) for c in centers])) for p in points]
    return np.array(labels), np.array(centers)


def reference_vote(coordinates, bandwidth, min_size, n_places):
    """The vote in words: count, drop the small, sort by size and best rank, take the centroids."""
    points = earth_positions_km(coordinates, len(coordinates))
    labels, _ = reference_mean_shift(points, bandwidth)
    members = {c: np.flatnonzero(labels == c) for c in set(labels.tolist())}
    ranked = sorted(
        (rows for rows in members.values() if len(rows) >= min_size),
        key=lambda rows: (-len(rows), rows[0]),
    )
    return [spherical_mean(coordinates[rows]) for rows in ranked[:n_places]], [
        len(rows) for rows in ranked[:n_places]
    ]


def wrap(coordinates):
    out = np.array(coordinates, dtype=float)
    out[..., 0] = np.clip(out[..., 0], -90, 90)
    out[..., 1] = (out[..., 1] + 180) % 360 - 180
    return out


def make(kind, rng, n_queries=12, k=40):
    shape = (n_queries, k)
    if kind == "uniform":
        return from_unit_vectors(rng.normal(size=(*shape, 3)))
    if kind == "cities":
        centers = from_unit_vectors(rng.normal(size=(8, 3)))
        return wrap(centers[rng.integers(8, size=shape)] + rng.normal(0, 0.1, (*shape, 2)))
    if kind == "regions":
        centers = from_unit_vectors(rng.normal(size=(5, 3)))
        return wrap(centers[rng.integers(5, size=shape)] + rng.normal(0, 4, (*shape, 2)))
    if kind == "antimeridian":
        return wrap(np.array([-17.0, 180.0]) + rng.normal(0, 6, (*shape, 2)))
    if kind == "pole":
        return np.stack([rng.uniform(80, 90, shape), rng.uniform(-180, 180, shape)], axis=-1)
    if kind == "duplicates":
        places = from_unit_vectors(rng.normal(size=(6, 3)))
        return places[rng.integers(6, size=shape)]
    if kind == "lattice":  # equal distances everywhere
        return rng.integers(-4, 5, size=(*shape, 2)) * np.array([2.0, 2.0])
    if kind == "one place":
        return np.broadcast_to(np.array([48.86, 2.35]), (*shape, 2)).copy()
    if kind == "antipodes":
        places = np.array([[90.0, 0.0], [-90.0, 0.0], [0.0, 180.0], [0.0, 0.0]])
        return places[rng.integers(4, size=shape)]
    raise AssertionError(kind)


KINDS = [
    "uniform",
    "cities",
    "regions",
    "antimeridian",
    "pole",
    "duplicates",
    "lattice",
    "one place",
    "antipodes",
]


@pytest.mark.parametrize("bandwidth", [500.0, 1700.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_clusters_are_those_of_scikit_learn_bit_for_bit(kind, bandwidth, rng):
    positions = earth_positions_km(make(kind, rng, 4), 40)
    labels, centers, n_clusters = mean_shift_clusters(positions, bandwidth)
    for i, points in enumerate(positions):
        expected = MeanShift(bandwidth=bandwidth).fit(points)
        assert n_clusters[i] == len(expected.cluster_centers_)
        np.testing.assert_array_equal(centers[i, : n_clusters[i]], expected.cluster_centers_)
        assert np.isnan(centers[i, n_clusters[i] :]).all()
        if kind == "lattice":  # which of two equally near centres scikit-learn takes is open
            mine = centers[i, labels[i]]
            theirs = expected.cluster_centers_[expected.labels_]
            np.testing.assert_allclose(
                np.linalg.norm(points - mine, axis=1),
                np.linalg.norm(points - theirs, axis=1),
                rtol=1e-12,
            )
        else:
            np.testing.assert_array_equal(labels[i], expected.labels_)


def test_clusters_of_true_size_are_those_of_scikit_learn(rng):
    """120 neighbours and 500 km, the paper's parameters, on unrounded positions."""
    coordinates = np.concatenate(
        [make(kind, rng, 2, 120) for kind in ("uniform", "cities", "regions")]
    )
    labels, centers, n_clusters = mean_shift_clusters(earth_positions_km(coordinates, 120), 500.0)
    for i, places in enumerate(coordinates):
        expected = MeanShift(bandwidth=500.0).fit(to_unit_vectors(places) * EARTH_RADIUS_KM)
        np.testing.assert_array_equal(labels[i], expected.labels_)
        np.testing.assert_allclose(
            centers[i, : n_clusters[i]], expected.cluster_centers_, rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 5, 25])
def test_clusters_equal_the_plain_form(kind, k, rng):
    positions = earth_positions_km(make(kind, rng, 4, k), k)
    for bandwidth in (500.0, 3000.0):
        labels, centers, n_clusters = mean_shift_clusters(positions, bandwidth)
        for i, points in enumerate(positions):
            expected_labels, expected_centers = reference_mean_shift(points, bandwidth)
            np.testing.assert_array_equal(centers[i, : n_clusters[i]], expected_centers)
            np.testing.assert_array_equal(labels[i], expected_labels)


def test_the_bandwidth_is_inclusive():
    """Two points whose distance is the bandwidth to the last bit see each other."""
    positions = np.array([[[4000.0, 500.0, 1000.0], [1000.0, 4500.0, 1000.0]]])
    assert mean_shift_clusters(positions, 5000.0)[2] == [1]
    assert mean_shift_clusters(positions, np.nextafter(5000.0, 0.0))[2] == [2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("min_size", [1, 4, 15])
def test_vote_equals_the_plain_form(kind, min_size, rng):
    coordinates = make(kind, rng, 5, 30)
    places, sizes = vote(coordinates, 500.0, min_size, n_places=5)
    assert places.shape == (5, 5, 2)
    for i in range(len(coordinates)):
        expected, expected_sizes = reference_vote(coordinates[i], 500.0, min_size, 5)
        found = int(np.count_nonzero(sizes[i]))
        assert sizes[i, :found].tolist() == expected_sizes
        assert np.isnan(places[i, found:]).all()
        if found:
            assert (great_circle_km(places[i, :found], np.array(expected)) < 1e-6).all()


def test_same_bits_in_any_batch_order_or_block(rng, monkeypatch):
    coordinates = np.concatenate([make(kind, rng) for kind in KINDS])
    expected = vote(coordinates, 500.0, 4, 3)
    order = rng.permutation(len(coordinates))
    shuffled = vote(coordinates[order], 500.0, 4, 3)
    alone = [vote(one[None], 500.0, 4, 3) for one in coordinates]
    monkeypatch.setattr(_vote, "_SIZE", 2000)
    small = vote(coordinates, 500.0, 4, 3)
    for part in range(2):
        np.testing.assert_array_equal(shuffled[part], expected[part][order])
        np.testing.assert_array_equal(np.concatenate([a[part] for a in alone]), expected[part])
        np.testing.assert_array_equal(small[part], expected[part])


def test_equal_sizes_go_to_the_best_ranked_neighbour():
    paris, tokyo, lima = [48.86, 2.35], [35.68, 139.69], [-12.05, -77.04]
    coordinates = np.array([[lima, tokyo, paris, paris, tokyo, tokyo, paris]])
    places, sizes = vote(coordinates, 500.0, 3, 3)
    assert sizes.tolist() == [[3, 3, 0]]
    np.testing.assert_allclose(places[0, :2], [tokyo, paris])
    places, sizes = vote(coordinates[:, ::-1], 500.0, 1, 3)
    assert sizes.tolist() == [[3, 3, 1]]
    np.testing.assert_allclose(places[0], [paris, tokyo, lima])


def test_centroid_across_the_antimeridian_and_the_pole():
    places, _ = vote(np.array([[[-17.0, 179.0], [-17.0, -179.0]]]), 500.0, 2)
    assert places[0, 0] == pytest.approx([-17.0026, 180.0], abs=1e-3)
    places, _ = vote(np.array([[[89.0, 0.0], [89.0, 120.0], [89.0, -120.0]]]), 500.0, 3)
    assert places[0, 0, 0] == pytest.approx(90.0, abs=1e-6)


def test_clusters_that_balance_around_the_centre_of_the_earth_answer_with_their_best_neighbour():
    coordinates = np.array([[[0.0, 10.0], [0.0, -170.0]]])
    places, sizes = vote(coordinates, 20_000.0, 2)
    assert sizes.tolist() == [[2]]
    assert places.tolist() == [[[0.0, 10.0]]]


@pytest.mark.parametrize("n", [1, 2, 120, 127, 128, 5000])
def test_positions_are_close_and_their_sums_exact(n, rng):
    coordinates = from_unit_vectors(rng.normal(size=(n, 3)))
    positions = earth_positions_km(coordinates, n)
    error = np.abs(positions - to_unit_vectors(coordinates) * EARTH_RADIUS_KM).max()
    assert error < 1e-6  # a millimetre
    forward = np.cumsum(positions, axis=0)[-1]
    backward = np.cumsum(positions[::-1], axis=0)[-1]
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(forward, np.ones(n) @ positions)


def test_real_positions(shared_data, rng):
    """Photo positions of the world, 120 at a time, against scikit-learn."""
    import pandas as pd

    table = pd.read_csv(shared_data / "gps" / "geoclip_coordinates_100K.csv")
    gallery = table[["LAT", "LON"]].to_numpy()
    coordinates = gallery[rng.integers(len(gallery), size=(6, 120))]
    positions = earth_positions_km(coordinates, 120)
    labels, centers, n_clusters = mean_shift_clusters(positions, 500.0)
    for i, points in enumerate(positions):
        expected = MeanShift(bandwidth=500.0).fit(points)
        np.testing.assert_array_equal(labels[i], expected.labels_)
        np.testing.assert_array_equal(centers[i, : n_clusters[i]], expected.cluster_centers_)
