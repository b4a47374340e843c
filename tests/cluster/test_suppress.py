"""Suppression by hashing, against the general one."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.cluster import _suppress
from skgeo.cluster._flat_kernel import nearest_center, nearest_strongest, suppress
from skgeo.cluster._suppress import nearest_near, suppress_near


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("radius", [0.01, 0.3, 2.0, 100.0])
def test_equals_the_general_suppression(rng, dimensions, radius):
    centers = rng.normal(size=(800, dimensions)) - 50.0
    keep, nearest = suppress_near(centers, radius, exact_ties=False)
    expected = suppress(centers, radius)
    np.testing.assert_array_equal(keep, expected)
    np.testing.assert_array_equal(nearest, nearest_strongest(centers[expected], centers))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_strongest_of_those_equally_near_is_taken(rng, dimensions):
    # On a lattice with half its spacing as radius nothing is a tie of the radius, much of nearness.
    lattice = rng.integers(0, 12, size=(2000, dimensions)).astype(float)
    keep, nearest = suppress_near(lattice, 1.2, exact_ties=False)
    np.testing.assert_array_equal(keep, suppress(lattice, 1.2))
    np.testing.assert_array_equal(nearest, nearest_strongest(lattice[keep], lattice))


def test_decides_nothing_where_rounding_would():
    row = np.stack([np.arange(20) / 10, np.zeros(20)], axis=1)
    assert suppress_near(row, 0.1, exact_ties=False) is None
    keep, nearest = suppress_near(row * 10, 1.0, exact_ties=True)
    assert keep.tolist() == [True, False] * 10
    # An end that two centres are equally near to belongs to the stronger.
    assert nearest.tolist() == np.repeat(np.arange(10), 2).tolist()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [1, 3, 4, 500])
@pytest.mark.parametrize("radius", [0.01, 0.2, 1.0])
def test_nearest_equals_scikit_learn(rng, dimensions, n, radius):
    candidates = rng.normal(size=(n, dimensions)) + 7.0
    centers = candidates[suppress(candidates, radius)]
    # Near and far, and with centres equally near: those are scikit-learn's to choose from.
    points = np.concatenate([candidates, 7.0 + 4.0 * rng.normal(size=(400, dimensions))])
    found = nearest_near(centers, points, radius, n_jobs=2)
    np.testing.assert_array_equal(found, nearest_center(centers, points))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_nearest_breaks_ties_as_scikit_learn(rng, dimensions, monkeypatch):
    centers = np.unique(rng.integers(0, 10, size=(300, dimensions)), axis=0).astype(float)
    points = rng.integers(0, 21, size=(1000, dimensions)) / 2
    asked = []
    monkeypatch.setattr(
        _suppress,
        "nearest_center",
        lambda c, p, n_jobs: asked.append(len(p)) or nearest_center(c, p, n_jobs=n_jobs),
    )
    found = nearest_near(centers, points, 0.9)
    np.testing.assert_array_equal(found, nearest_center(centers, points))
    assert 100 < asked[0] < 1000  # the ties, and not all the rest
