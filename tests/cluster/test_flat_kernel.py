"""The steps of mean shift, each against its plain form."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, km_to_chord, to_unit_vectors
from skgeo.cluster import _flat_kernel
from skgeo.cluster._flat_kernel import (
    Climb,
    climb,
    distinct_rows,
    nearest_center,
    nearest_strongest,
    strongest_first,
    suppress,
)


def test_every_seed_ends_at_the_mean_of_the_points_around_it(rng):
    points = rng.normal(size=(120, 2))
    climbed = climb(points, 0.6, tolerance=6e-4, max_iter=300)
    assert climbed.terminal_of_seed.shape == (120,)
    for terminal, count in zip(climbed.terminals, climbed.counts, strict=True):
        # Not more than the tolerance away from the mean of what is around: a fixed point.
        around = points[np.linalg.norm(points - terminal, axis=1) <= 0.6]
        assert np.linalg.norm(around.mean(axis=0) - terminal) < 0.02
        assert 1 <= count <= 120
    for t, first in enumerate(climbed.first_seed):
        assert first == np.flatnonzero(climbed.terminal_of_seed == t)[0]


def test_neither_threads_nor_blocks_change_a_bit(rng, monkeypatch):
    points = np.round(rng.normal(size=(300, 2)), 1)
    expected = climb(points, 0.5, tolerance=5e-4, max_iter=300)
    for held in (1, 20_000):
        monkeypatch.setattr(_flat_kernel, "_MAX_NEIGHBORS_HELD", held)
        for n_jobs in (1, 2):
            again = climb(points, 0.5, tolerance=5e-4, max_iter=300, n_jobs=n_jobs)
            for a, b in zip(expected, again, strict=True):
                np.testing.assert_array_equal(a, b)


def test_blocks_hold_no_more_neighbors_than_they_may(rng, monkeypatch):
    points = np.concatenate([rng.normal(size=(200, 2)), 100 + 0.01 * rng.normal(size=(200, 2))])
    monkeypatch.setattr(_flat_kernel, "_MAX_NEIGHBORS_HELD", 500)
    sizes = []
    block = _flat_kernel._Means._of_block

    def spy(self, states):
        means, counts = block(self, states)
        sizes.append((int(counts.sum()), int(counts.max())))
        return means, counts

    monkeypatch.setattr(_flat_kernel._Means, "_of_block", spy)
    climb(points, 0.5, tolerance=5e-4, max_iter=300)
    assert len(sizes) > 10
    assert all(total <= 500 + most for total, most in sizes)


def test_max_iter_bounds_the_shifts():
    points = np.linspace(0.0, 10.0, 60)[:, None] ** 1.2
    assert climb(points, 2.0, tolerance=0.0, max_iter=300).n_iter == 10
    for max_iter in range(5):
        assert climb(points, 2.0, tolerance=0.0, max_iter=max_iter).n_iter == max_iter
    once = climb(points, 2.0, tolerance=0.0, max_iter=0)
    for seed, terminal in zip(points, once.terminals[once.terminal_of_seed], strict=True):
        np.testing.assert_allclose(terminal, points[np.abs(points - seed) <= 2.0].mean())


def test_equal_strength_in_the_plane_goes_by_coordinates():
    # Three pairs, the largest coordinates in the middle of the input.
    points = np.array([[0.0, 1.0], [0.1, 1.0], [9.0, 0.0], [9.0, 0.1], [5.0, 5.0], [5.0, 5.1]])
    climbed = climb(points, 1.0, tolerance=1e-3, max_iter=300)
    assert climbed.counts.tolist() == [2, 2, 2]
    by_coordinates = climbed.terminals[strongest_first(climbed)]
    np.testing.assert_allclose(by_coordinates, [[9.0, 0.05], [5.0, 5.05], [0.05, 1.0]])


def test_equal_strength_on_the_sphere_goes_by_spread_then_by_the_first_seed():
    # Around the equator, in degrees of longitude; the kernel reaches 1 degree.
    pairs = [[10.0, 10.4], [20.0, 20.2], [30.0, 30.4]]
    three = [40.0, 40.3, 40.9]
    longitudes = np.array([*np.ravel(pairs), *three])
    points = to_unit_vectors(np.stack([np.zeros_like(longitudes), longitudes], axis=1))
    radius = km_to_chord(1.0 * np.pi / 180.0 * EARTH_RADIUS_KM)
    climbed = climb(points, radius, tolerance=1e-3 * radius, max_iter=300, on_sphere=True)
    ordered = climbed.terminals[strongest_first(climbed)]
    middles = from_unit_vectors(ordered)[:, 1]
    strength = climbed.counts[strongest_first(climbed)]
    assert strength.tolist() == [3, 2, 2, 2]
    np.testing.assert_allclose(middles, [40.4, 20.1, 10.2, 30.2], atol=1e-9)


def test_of_two_crowds_alike_the_one_that_more_seeds_lead_to_is_stronger():
    climbed = Climb(
        terminals=np.eye(3)[:2],
        counts=np.array([5, 5]),
        terminal_of_seed=np.array([0, 1, 1]),
        first_seed=np.array([0, 1]),
        n_iter=1,
        spread_around=lambda places: np.zeros(len(places)),
    )
    assert strongest_first(climbed).tolist() == [1, 0]


@pytest.mark.parametrize("n", [1, 2, 50, 700])
@pytest.mark.parametrize("radius", [0.3, 1.0, 100.0])
def test_suppress_equals_the_plain_loop(rng, n, radius):
    centers = np.round(rng.normal(size=(n, 2)) * 3, 1)
    keep = np.ones(n, dtype=bool)
    for i in range(n):
        for j in range(i):
            if keep[j] and np.sqrt(((centers[i] - centers[j]) ** 2).sum()) <= radius:
                keep[i] = False
    np.testing.assert_array_equal(suppress(centers, radius), keep)


def test_a_suppressed_center_suppresses_none():
    np.testing.assert_array_equal(
        suppress(np.array([[0.0], [1.0], [2.0]]), 1.0), [True, False, True]
    )


def test_nearest_center_equals_the_plain_loop(rng):
    centers, points = rng.normal(size=(40, 3)), rng.normal(size=(100, 3))
    expected = [int(np.argmin([((p - c) ** 2).sum() for c in centers])) for p in points]
    np.testing.assert_array_equal(nearest_center(centers, points), expected)
    np.testing.assert_array_equal(nearest_center(centers, points, n_jobs=2), expected)


def test_minus_zero_is_zero():
    rows, which = distinct_rows(np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, -1.0]]))
    np.testing.assert_array_equal(rows, [[0.0, -1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(which, [1, 1, 0])


def test_of_centers_equally_near_the_strongest_is_taken(rng):
    centers = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [-0.5, 0.0]])
    assert nearest_strongest(centers, points).tolist() == [0, 1, 0, 3]
    assert nearest_strongest(centers[:1], points).tolist() == [0, 0, 0, 0]
    lattice = rng.integers(0, 4, size=(60, 2)).astype(float)
    points = rng.integers(0, 8, size=(200, 2)) / 2
    expected = [int(np.argmin(((lattice - p) ** 2).sum(axis=1))) for p in points]
    np.testing.assert_array_equal(nearest_strongest(lattice, points), expected)


def test_a_shift_as_long_as_the_tolerance_is_judged_as_a_single_vector_is(rng):
    shifts = rng.normal(size=(3000, 2))
    for shift in shifts[:200]:
        tolerance = np.linalg.norm(shift)  # scikit-learn's, of one vector at a time
        assert _flat_kernel._within(shift[None], tolerance)[0]
        assert not _flat_kernel._within(shift[None], np.nextafter(tolerance, 0.0))[0]
    expected = [np.linalg.norm(shift) <= 1.0 for shift in shifts]
    np.testing.assert_array_equal(_flat_kernel._within(shifts, 1.0), expected)
