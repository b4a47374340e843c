"""Scatters of soft pairs against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import great_circle_km
from skgeo.embedding import _extent, _linear_map, _soft_scatter
from skgeo.embedding._extent import extent_of_places
from skgeo.embedding._fisher_axes import marginal_fisher_axes
from skgeo.embedding._scatter import pair_scatter
from skgeo.embedding._soft_scatter import Places, first_map, soft_scatters


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow(X, z, same, apart, temperature, anchors=None):
    n, d = X.shape
    anchors = range(n) if anchors is None else anchors
    scatters = np.zeros((2, d, d))
    for scatter, allowed in zip(scatters, (same, apart), strict=True):
        for s in anchors:
            chosen = [t for t in range(n) if t != s and allowed[s, t]]
            squares = [np.square(z[s] - z[t]).sum() for t in chosen]
            weights = [np.exp((min(squares) - square) / temperature) for square in squares]
            for t, weight in zip(chosen, weights, strict=True):
                scatter += weight / sum(weights) * np.outer(X[s] - X[t], X[s] - X[t])
    return scatters


@pytest.fixture
def collection(rng):
    """Photos of places at the antimeridian, the poles and elsewhere; some are copies."""
    centres = np.array([[0, 179.9], [0, -179.9], [89.9, 0], [89.9, 180], [-90, 0], [40, 5]], float)
    labels = rng.integers(6, size=70)
    y = centres[labels] + 0.05 * rng.normal(size=(70, 2)) * [1, 2]
    y[:, 0] = np.clip(y[:, 0], -90, 90)
    X = rng.normal(size=(70, 5))
    X[60:] = X[:10]
    return X - X.mean(axis=0), unit(rng.normal(size=(70, 4))), labels, y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [1e-3, 0.2, 50.0])
@pytest.mark.parametrize(("located", "apart_km"), [(False, 0.0), (True, 0.0), (True, 40.0)])
def test_they_are_sums_over_all_pairs(
    collection, monkeypatch, located, apart_km, temperature, dtype
):
    X, z, labels, y = collection
    X, z = X.astype(dtype), z.astype(dtype)
    monkeypatch.setattr(_soft_scatter, "lines_per_block", lambda _: 16)
    same = labels[:, None] == labels
    apart = ~same
    if located:
        km = great_circle_km(y[:, None], y[None])
        extent = extent_of_places(y, labels, np.random.default_rng(0))
        same |= km < 2 * extent
        apart = ~same & (km >= apart_km)
        # POIs on either side of the antimeridian, and of the pole, are one place.
        assert (labels[:, None] != labels)[same].any()
    places = Places(labels, y if located else None, apart_km)
    expected = slow(X.astype(float), z.astype(float), same, apart, temperature)
    tolerance = (2e-3 if temperature < 0.1 else 1e-5) if dtype == np.float32 else 1e-9
    for scatter, other in zip(soft_scatters(X, z, places, temperature), expected, strict=True):
        np.testing.assert_allclose(scatter, other, atol=tolerance * np.abs(other).max())
        assert np.linalg.eigvalsh(scatter)[0] > -1e-6 * np.trace(scatter)


def test_without_partners_there_is_nothing(collection):
    X, z, _, _ = collection
    within, between = soft_scatters(X, z, Places(np.arange(70), None), 0.2)
    assert np.abs(within).max() < 1e-12
    assert np.trace(between) > 0
    within, between = soft_scatters(X, z, Places(np.zeros(70, dtype=int), None), 0.2)
    assert np.trace(within) > 0
    assert np.abs(between).max() < 1e-12


def test_some_photos_give_weights_to_all(collection):
    X, z, labels, _ = collection
    places = Places(labels, None)
    found = soft_scatters(X, z, places, 0.2, max_anchors=20)
    anchors = np.sort(np.random.default_rng(0).choice(70, 20, replace=False))
    same = labels[:, None] == labels
    expected = slow(X, z, same, ~same, 0.2, anchors)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(soft_scatters(X, z, places, 0.2, max_anchors=20), found)


def test_some_photos_take_part(collection, monkeypatch):
    X, _, labels, y = collection
    monkeypatch.setattr(_linear_map, "MAX_PARTNERS", 50)
    same = pair_scatter(X, np.eye(70, k=1) + np.eye(70, k=60))
    problem = _linear_map.LinearProblem(X, (None, None), (same, same), labels, y, 0.3, 0.2)
    values, axes = problem.axes("softmax")
    partners = np.sort(np.random.default_rng(0).choice(70, 50, replace=False))
    z = unit(X[partners] @ first_map(X, same, 0.3))
    scatters = soft_scatters(X[partners], z, Places(labels[partners], y[partners]), 0.2)
    for found, expected in zip((values, axes), marginal_fisher_axes(*scatters, 0.3), strict=True):
        np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-9)


def test_a_draw_tells_what_all_tell():
    """A quarter of the photos as anchors: the scatters of all, up to some percent."""
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(80), 25)
    X = rng.normal(size=(80, 6))[labels] + rng.normal(size=(2000, 6)) * np.arange(1, 7) / 3
    places = Places(labels, None)
    everything = soft_scatters(X, unit(X), places, 0.2)
    drawn = soft_scatters(X, unit(X), places, 0.2, max_anchors=500)
    for some, every in zip(drawn, everything, strict=True):
        some, every = some / np.trace(some), every / np.trace(every)
        assert 0 < np.abs(some - every).max() < 0.05 * np.abs(every).max()


def test_the_first_map_is_p_against_all_photos(rng):
    X = rng.normal(size=(60, 4)) + 5
    same = pair_scatter(rng.normal(size=(60, 4)), np.eye(60, k=1))
    mapped = first_map(X, same, 0.3)
    inner = 0.7 * same * 4 / np.trace(same) + 0.3 * np.eye(4)
    total = np.cov(X.T)
    values, axes = np.linalg.eig(np.linalg.solve(inner, total * 4 / np.trace(total)))
    axes = axes / np.sqrt(np.einsum("ij,ik,kj->j", axes, inner, axes))
    expected = axes * values**0.75
    np.testing.assert_allclose(mapped @ mapped.T, expected @ expected.T, rtol=1e-8)


def test_the_extent_is_a_median_of_pairs(rng):
    assert _extent.extent_of_places(np.zeros((5, 2)), np.arange(5), rng) == 0.0
    y = np.repeat([[10.0, 20.0], [50.0, 60.0]], 2, axis=0)
    y[1, 0] += 0.5
    y[3, 0] += 0.5
    found = _extent.extent_of_places(y, np.array([0, 0, 1, 1]), rng)
    assert found == pytest.approx(great_circle_km(y[0], y[1]))
