"""Distinct places and explanations, of every vote."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import from_unit_vectors, great_circle_km, spherical_mean
from skgeo.neighbors import KNNGeoRegressor

MODES = ["1-nn", "mean-shift", "kde"]


@pytest.fixture
def world(rng):
    """Photos of 12 places, several of each at the very same point, one at the antimeridian."""
    area = rng.integers(12, size=300)
    places = from_unit_vectors(rng.normal(size=(12, 3)))
    places[0] = [-17.0, 180.0]
    y = places[area]
    y[area == 0, 1] *= np.where(np.arange((area == 0).sum()) % 2, 1, -1)
    X = rng.normal(size=(12, 5))[area] + rng.normal(0, 0.7, (300, 5))
    return X[:250], y[:250], X[250:]


def greedy(places, k, km):
    """Down the list; a place is taken if it is far from all that were."""
    chosen = []
    for place in places:
        if len(chosen) < k and all(great_circle_km(place, c) >= km for c in chosen):
            chosen.append(place)
    return chosen


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [1, 3, 12, 20])
def test_distinct_places_are_those_of_going_down_the_list(mode, k, world):
    X, y, Q = world
    knn = KNNGeoRegressor(mode, n_neighbors=40).fit(X, y)
    everything = knn.predict_top_k(Q, len(X))
    found = knn.predict_top_k(Q, k, min_distance_km=25.0)
    for row, ranked in zip(found, everything, strict=True):
        expected = greedy(ranked, k, 25.0)
        np.testing.assert_array_equal(row[: len(expected)], expected)
        assert np.isnan(row[len(expected) :]).all()
    np.testing.assert_array_equal(found[:, 0], knn.predict(Q))
    assert np.isnan(found).any() == (k == 20)  # there are 12 places, and centroids between them
    np.testing.assert_array_equal(knn.predict_top_k(Q, k, min_distance_km=0.0), everything[:, :k])


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf, "far"])
def test_distances_that_are_refused(wrong, world):
    X, y, Q = world
    with pytest.raises(ValueError, match=r"min_distance_km is .* at least 0"):
        KNNGeoRegressor().fit(X, y).predict_top_k(Q, 2, min_distance_km=wrong)


@pytest.mark.parametrize("mode", MODES)
def test_explanation_leads_to_the_answer(mode, world):
    X, y, Q = world
    knn = KNNGeoRegressor(mode, n_neighbors=30).fit(X, y)
    table = knn.explain(Q)
    distances, indices = knn.kneighbors(Q)
    answers = knn.predict(Q)
    assert table["query"].tolist() == np.repeat(np.arange(len(Q)), 30).tolist()
    assert table["rank"].tolist() == list(range(30)) * len(Q)
    np.testing.assert_array_equal(table["index"], indices.ravel())
    np.testing.assert_array_equal(table["distance"], distances.ravel())
    np.testing.assert_array_equal(table[["latitude", "longitude"]], y[indices.ravel()])
    np.testing.assert_array_equal(
        table[["estimate_latitude", "estimate_longitude"]], np.repeat(answers, 30, axis=0)
    )
    np.testing.assert_allclose(
        table["km"], great_circle_km(np.repeat(answers, 30, axis=0), y[indices.ravel()])
    )
    for query, rows in table.groupby("query"):
        assert rows["vote"].sum() == pytest.approx(1.0)
        voters = rows[rows["vote"] > 0]
        if mode == "1-nn":
            assert voters["rank"].tolist() == [0]
        elif mode == "mean-shift":
            assert (voters["cluster"] == 0).all()
            assert len(voters) == (rows["cluster"] == 0).sum()
            places = voters[["latitude", "longitude"]].to_numpy()
            assert great_circle_km(spherical_mean(places), answers[query]) < 1e-6
        else:
            assert rows.loc[rows["vote"].idxmax(), "km"] < 500.0


def test_explanation_of_a_fallback_names_the_nearest(world):
    X, y, Q = world
    knn = KNNGeoRegressor("mean-shift", n_neighbors=3).fit(X, y)
    table = knn.explain(Q)
    assert (table["cluster"] == -1).all()
    assert table["vote"].tolist() == [1.0, 0.0, 0.0] * len(Q)
