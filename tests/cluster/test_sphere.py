"""Sums over discs on the sphere, against counting, wherever they lie."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from skgeo._geodesy import from_unit_vectors, great_circle_km, km_to_chord, to_unit_vectors
from skgeo.cluster import _mean_shift, _sphere, mean_shift
from skgeo.cluster._fixed_point import mean_directions, sphere_quantum
from skgeo.cluster._flat_kernel import climb, distinct_rows
from skgeo.cluster._sphere import MAX_RADIUS, build_sphere, spreads
from skgeo.cluster._sphere_climb import climb_sphere

_disc = _sphere.disc

PLACES = {
    "San Francisco": [37.77, -122.41],
    "antimeridian": [-17.0, 180.0],
    "north pole": [90.0, 0.0],
    "south pole": [-90.0, 77.0],
    "near the north pole": [89.99, -30.0],
    "null island": [0.0, 0.0],
    "sixty north": [60.0, 10.0],
}


@numba.njit
def disc(sphere, x, y, z):
    return _disc(sphere, x, y, z)


def build(vectors, radius):
    distinct, which = distinct_rows(vectors)
    sphere, order = build_sphere(distinct, np.bincount(which), radius)
    assert sorted(order.tolist()) == list(range(len(distinct)))
    return sphere


def crowds(rng, place, km, n=3000):
    """Hot spots of several widths around a place; and scatter."""
    up = to_unit_vectors(place)
    middle = up + rng.normal(size=(10, 3)) * 3 * km / 6371
    spread = 10.0 ** rng.uniform(-2, 0.3, size=10) * km / 6371
    which = rng.integers(0, 10, size=n)
    vectors = middle[which] + spread[which, None] * rng.normal(size=(n, 3))
    vectors[: n // 10] = up + rng.normal(size=(n // 10, 3)) * 10 * km / 6371
    vectors[n // 2 : n // 2 + n // 20] = vectors[-1]
    # As they come out of degrees.
    return to_unit_vectors(from_unit_vectors(vectors))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("km", [0.01, 1.0, 100.0, 3000.0])
@pytest.mark.parametrize("points_per_cell", [30.0, 0.3])
def test_disc_counts_the_points_within(rng, monkeypatch, place, km, points_per_cell):
    monkeypatch.setattr(_sphere, "_POINTS_PER_CELL", points_per_cell)
    vectors = crowds(rng, PLACES[place], km)
    radius = km_to_chord(km)
    sphere = build(vectors, radius)
    if points_per_cell < 1.0:
        assert sphere.tiles.side.max() > 20
    extra = crowds(rng, PLACES[place], km, 200)
    for where in np.concatenate([vectors[::60], extra, [to_unit_vectors(PLACES[place])]]):
        dx, dy, dz = (vectors - where).T
        within = dx * dx + dy * dy + dz * dz <= radius * radius
        count, *sums = disc(sphere, *where)
        assert count == within.sum()
        if count:
            mean, lost = mean_directions(
                np.array([count]), np.array([sums]), where[None], sphere.quantum
            )
            assert not lost
            expected = vectors[within].sum(axis=0)
            expected /= np.linalg.norm(expected)
            np.testing.assert_allclose(mean[0], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("km", [200.0, 1500.0, 4900.0])
def test_points_all_over_the_earth(rng, km):
    vectors = rng.normal(size=(3000, 3))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    vectors = np.concatenate([vectors, np.eye(3), -np.eye(3)])
    radius = km_to_chord(km)
    sphere = build(vectors, radius)
    for where in np.concatenate([vectors[::30], vectors[-6:]]):
        dx, dy, dz = (vectors - where).T
        within = dx * dx + dy * dy + dz * dz <= radius * radius
        assert disc(sphere, *where)[0] == within.sum()


def test_spread_is_the_mean_square_distance_to_the_points_around(rng):
    vectors = crowds(rng, [89.99, 0.0], 2.0, 500)
    radius = km_to_chord(2.0)
    squares = ((vectors[:, None] - vectors[None, :40]) ** 2).sum(axis=2)
    expected = [s[s <= radius**2].mean() / radius**2 for s in squares.T]
    np.testing.assert_allclose(spreads(build(vectors, radius), vectors[:40]), expected, rtol=1e-7)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("km", "max_iter"), [(0.01, 300), (0.5, 300), (500.0, 300), (0.5, 1)])
def test_climbs_as_the_general_engine_to_the_bit(rng, place, km, max_iter):
    vectors = crowds(rng, PLACES[place], km, 1200)
    radius = km_to_chord(km)
    parameters = {"tolerance": km_to_chord(1e-3 * km), "max_iter": max_iter}
    expected = climb(vectors, radius, on_sphere=True, **parameters)
    ours = climb_sphere(vectors, radius, **parameters)
    for field, a, b in zip(expected._fields, ours, expected, strict=True):
        if field != "spread_around":
            np.testing.assert_array_equal(a, b, err_msg=field)
    some = expected.terminals[:50]
    np.testing.assert_allclose(
        ours.spread_around(some), expected.spread_around(some), rtol=1e-6, atol=1e-12
    )


def test_not_one_bit_depends_on_threads_or_on_the_order_of_the_points(rng):
    # The sums are of whole numbers.
    vectors = crowds(rng, [48.86, 2.35], 0.5, 3000)
    radius = km_to_chord(0.5)
    parameters = {"tolerance": 1e-3 * radius, "max_iter": 300}
    expected = climb_sphere(vectors, radius, **parameters)
    order = rng.permutation(len(vectors))
    for n_jobs in (1, 2):
        shuffled = climb_sphere(vectors[order], radius, n_jobs=n_jobs, **parameters)
        np.testing.assert_array_equal(shuffled.terminals, expected.terminals)
        np.testing.assert_array_equal(shuffled.counts, expected.counts)
        np.testing.assert_array_equal(shuffled.terminal_of_seed, expected.terminal_of_seed[order])


@pytest.mark.parametrize("compiled_from", [0, 10**9])
@pytest.mark.parametrize("km", [0.05, 0.5])
def test_places_are_the_same_in_any_order_of_the_photographs(rng, monkeypatch, compiled_from, km):
    monkeypatch.setattr(_mean_shift, "COMPILED_FROM", compiled_from)
    # Scattered photographs: most kernels hold two or three, so nearly all counts are ties.
    places = from_unit_vectors(to_unit_vectors([64.1, -21.9]) + rng.normal(size=(600, 3)) * 5e-4)
    expected = mean_shift(places, km, metric="haversine")
    assert len(expected.centers) > 50
    for _ in range(3):
        order = rng.permutation(len(places))
        shuffled = mean_shift(places[order], km, metric="haversine")
        # The same sets of photographs, whatever their numbers.
        _, number = np.unique(expected.labels[order], return_inverse=True)
        pairs = np.unique(np.stack([number, shuffled.labels]), axis=1)
        assert pairs.shape[1] == len(expected.centers) == len(shuffled.centers)
        for center in expected.centers:
            assert great_circle_km(center, shuffled.centers).min() < 1e-9


@pytest.mark.parametrize("km", [0.02, 2.0, 400.0])
def test_a_cluster_moved_anywhere_on_earth_keeps_its_labels(rng, monkeypatch, km):
    monkeypatch.setattr(_mean_shift, "COMPILED_FROM", 0)
    places = from_unit_vectors(crowds(rng, [40.74, -73.98], km, 1500))
    expected = mean_shift(places, km, metric="haversine")
    assert len(expected.centers) > 5
    onto_poles = [Rotation.from_euler("y", angle, degrees=True) for angle in (49.26, -40.74, 90.0)]
    for rotation in [*onto_poles, *Rotation.random(4, rng=np.random.default_rng(0))]:
        turned = from_unit_vectors(rotation.apply(to_unit_vectors(places)))
        result = mean_shift(turned, km, metric="haversine")
        np.testing.assert_array_equal(result.labels, expected.labels)


@pytest.mark.parametrize("radius", [1e-10, np.nextafter(MAX_RADIUS, 1.0), 2.0])
def test_leaves_alone_what_tiles_cannot_hold(rng, radius):
    vectors = crowds(rng, [0.0, 0.0], 10.0, 100)
    assert climb_sphere(vectors, radius, tolerance=1e-3 * radius, max_iter=2) is None


@pytest.mark.parametrize("km", [0.000001, 6000.0, 25000.0])
def test_extreme_bandwidths_are_the_business_of_the_general_engine(rng, monkeypatch, km):
    monkeypatch.setattr(_mean_shift, "COMPILED_FROM", 0)
    places = from_unit_vectors(crowds(rng, [10.0, 20.0], 1.0, 60))
    result = mean_shift(places, km, metric="haversine")
    assert len(result.centers) == (1 if km > 1 else len(np.unique(places, axis=0)))


@pytest.mark.parametrize("n", [1, 1000, 2**24])
@pytest.mark.parametrize("radius", [1e-6, 1e-3, 0.7])
def test_quantum_leaves_room_for_any_sum_over_a_disc(n, radius):
    quantum = sphere_quantum(n, radius)
    assert 1.0 / quantum < 2**62
    assert n * radius / quantum < 2**62
    assert quantum < 1e-10 * radius


def test_directions_that_balance_each_other_have_no_mean():
    quantum = sphere_quantum(2, 2.0)
    states = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    sums = np.array([[0, 0, 0], [0, round(2 / quantum), 0]])
    means, lost = mean_directions(np.array([2, 2]), sums, states, quantum)
    assert lost.tolist() == [True, False]
    assert means[1].tolist() == [0.0, 1.0, 0.0]
