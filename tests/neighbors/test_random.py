"""Chance."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skgeo.neighbors import RandomGeoRegressor


def test_every_photo_of_the_gallery_is_as_probable():
    y = np.column_stack([np.arange(10.0), np.zeros(10)])
    chance = RandomGeoRegressor(random_state=0).fit(np.zeros((10, 3)), y)
    counts = np.bincount(chance.predict(np.zeros((20_000, 3)))[:, 0].astype(int), minlength=10)
    assert counts.sum() == 20_000
    assert (np.abs(counts - 2000) < 5 * np.sqrt(1800)).all()  # five standard deviations


def test_a_place_with_more_photos_is_more_probable():
    y = [[0.0, 0.0]] * 9 + [[10.0, 0.0]]
    chance = RandomGeoRegressor(random_state=0).fit(np.zeros((10, 3)), y)
    assert np.mean(chance.predict(np.zeros((5000, 3)))[:, 0] == 0) == pytest.approx(0.9, abs=0.03)


def test_random_state(rng, tmp_path):
    X, y = rng.normal(size=(50, 3)), rng.uniform(-90, 90, size=(50, 2))
    seeded = RandomGeoRegressor(random_state=7).fit(X, y)
    np.testing.assert_array_equal(seeded.predict(X), seeded.predict(X))
    joblib.dump(seeded, tmp_path / "chance.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "chance.joblib").predict(X), seeded.predict(X)
    )
    other = RandomGeoRegressor(random_state=8).fit(X, y)
    assert (other.predict(X) != seeded.predict(X)).any()
    for state in (None, np.random.RandomState(0)):
        free = RandomGeoRegressor(random_state=state).fit(X, y)
        assert (free.predict(X) != free.predict(X)).any()


def test_score_is_the_fraction_within_200_km():
    chance = RandomGeoRegressor(random_state=0).fit(np.zeros((2, 1)), [[0, 0], [0, 90]])
    assert chance.score(np.zeros((1000, 1)), np.zeros((1000, 2))) == pytest.approx(0.5, abs=0.08)


def test_refusals():
    chance = RandomGeoRegressor()
    with pytest.raises(NotFittedError):
        chance.predict(np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"y has shape \(3, 1\)"):
        chance.fit(np.zeros((3, 4)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="latitude"):
        chance.fit(np.zeros((1, 4)), [[91, 0]])
    with pytest.raises(ValueError, match="The 'random_state' parameter"):
        RandomGeoRegressor(random_state="x").fit(np.zeros((1, 4)), [[0, 0]])
    with pytest.raises(ValueError, match=r"X has 5 features.* expecting 4"):
        chance.fit(np.zeros((1, 4)), [[0, 0]]).predict(np.zeros((1, 5)))
