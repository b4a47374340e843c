"""Radii with a stated probability: the quantile by counting, the guarantee by drawing worlds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skgeo._geodesy import great_circle_km
from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor
from skgeo.neighbors._conformal import (
    FARTHEST_KM,
    learn_scores,
    least_places,
    radii_km,
    score_quantile,
    spread_km,
)


def counted(scores, groups, confidence):
    """The definition in exact fractions: the least score at which the shares suffice."""
    places = sorted(set(groups))
    for score in sorted(scores):
        share = sum(
            Fraction(sum(s <= score for s, g in zip(scores, groups, strict=True) if g == place),
                     groups.count(place))
            for place in places
        )  # fmt: skip
        if share >= confidence * (len(places) + 1):
            return score
    return np.inf


@pytest.mark.parametrize("n_places", [1, 3, 9, 10, 30])
@pytest.mark.parametrize("tied", [False, True])
def test_quantile_equals_counting(n_places, tied, rng):
    sizes = rng.integers(1, 8, size=n_places)
    groups = np.repeat(np.arange(n_places), sizes).tolist()
    scores = rng.integers(0, 5, len(groups)) / 4 if tied else rng.uniform(size=len(groups))
    order = rng.permutation(len(groups))
    scores, groups = scores[order], [groups[i] for i in order]
    found = learn_scores(scores, np.ones(len(scores)), np.array(groups), {})
    alone = learn_scores(scores, np.ones(len(scores)), None, {})
    assert (found.n_places, alone.n_places) == (n_places, len(scores))
    for confidence in (Fraction(1, 10), Fraction(1, 2), Fraction(8, 10), Fraction(9, 10)):
        c = float(confidence)
        assert score_quantile(found, c) == counted(scores.tolist(), groups, confidence)
        ranks = list(range(len(scores)))
        assert score_quantile(alone, c) == counted(scores.tolist(), ranks, confidence)


def test_least_number_of_places():
    assert [least_places(c) for c in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]
    for confidence in (0.5, 0.8, 0.9, 0.95, 0.99):
        n = least_places(confidence)
        enough = learn_scores(np.ones(n), np.ones(n), None, {})
        assert score_quantile(enough, confidence) == 1.0
        if n > 1:
            fewer = learn_scores(np.ones(n - 1), np.ones(n - 1), None, {})
            assert score_quantile(fewer, confidence) == np.inf
            assert radii_km(np.ones(3), fewer, confidence).tolist() == [FARTHEST_KM] * 3


def test_the_spread_of_the_neighbours_and_of_the_gallery():
    estimates = np.array([[0.0, 0.0], [0.0, 179.0]])
    neighbors = np.array([[[0.0, 0.0], [0.0, 2.0]], [[0.0, -179.0], [0.0, 179.0]]])
    gallery = np.array([[0.0, -1.0], [0.0, 1.0]])
    degree = great_circle_km([0, 0], [0, 1])
    found = spread_km(estimates, neighbors, gallery)
    np.testing.assert_allclose(found, [1.02 * degree] * 2)
    one = np.zeros((2, 2))
    assert spread_km(one, np.zeros((2, 3, 2)), one).tolist() == [1.0, 1.0]
    balanced = np.array([[0.0, 0.0], [0.0, 180.0]])
    assert np.isfinite(spread_km(one, np.zeros((2, 3, 2)), balanced)).all()


def draw_places(rng, n_places, per_place):
    """Places and photos of them, whose errors belong to the place: some are hard."""
    places = np.column_stack([rng.uniform(-60, 60, n_places), rng.uniform(-180, 180, n_places)])
    noise = rng.exponential(6.0, n_places)[:, None] * rng.normal(size=(n_places, 2))
    vectors = np.repeat(places + noise, per_place, axis=0)
    vectors += rng.normal(0, 0.3, vectors.shape)
    return vectors, np.repeat(places, per_place, axis=0), np.repeat(np.arange(n_places), per_place)


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_the_probability_holds_on_new_places_and_is_not_much_exceeded(confidence, rng):
    """Over many draws of calibration and queries, within the interval of the binomial."""
    X, y, _ = draw_places(rng, 400, 1)
    knn = KNNGeoRegressor(n_neighbors=8).fit(X, y)
    inside = []
    for _ in range(60):
        Xc, yc, groups = draw_places(rng, 39, 5)
        Q, true, _ = draw_places(rng, 30, 1)
        found = knn.calibrate(Xc, yc, groups).predict_with_uncertainty(Q, confidence=confidence)
        np.testing.assert_array_equal(found.places, knn.predict(Q))
        inside.append(np.mean(great_circle_km(true, found.places) <= found.radius_km))
    # Draws are independent; queries of one draw share a calibration.
    error = np.std(inside) / np.sqrt(len(inside))
    assert np.mean(inside) >= confidence - 3 * error
    assert np.mean(inside) <= confidence + 2 / 40 + 3 * error


def test_radii_are_small_where_neighbours_agree(rng):
    X, y, _ = draw_places(rng, 300, 1)
    knn = KNNGeoRegressor(n_neighbors=8).fit(X, y).calibrate(*draw_places(rng, 100, 1)[:2])
    Q, true, _ = draw_places(rng, 300, 1)
    places, radius, answered = knn.predict_with_uncertainty(Q, confidence=0.8)
    assert answered.all()
    errors = great_circle_km(true, places)
    sure = radius <= np.median(radius)
    assert np.median(errors[sure]) < np.median(errors[~sure])
    limited = knn.predict_with_uncertainty(
        Q, confidence=0.8, max_radius_km=float(np.median(radius))
    )
    np.testing.assert_array_equal(limited.answered, sure)
    np.testing.assert_array_equal(limited.places, places)
    wider = knn.predict_with_uncertainty(Q, confidence=0.9).radius_km
    assert (wider >= radius).all()
    alone = knn.predict_with_uncertainty(Q[:1], confidence=0.8)
    np.testing.assert_array_equal(alone.radius_km, radius[:1])


@pytest.mark.parametrize(
    "estimator",
    [KNNGeoRegressor("mean-shift", n_neighbors=10), KNNGeoRegressor("kde"), LazyGeoRegressor(20)],
    ids=repr,
)
def test_every_vote_can_be_calibrated(estimator, rng):
    X, y, _ = draw_places(rng, 150, 1)
    estimator.fit(X, y).calibrate(*draw_places(rng, 50, 2))
    found = estimator.predict_with_uncertainty(X[:5])
    np.testing.assert_array_equal(found.places, estimator.predict(X[:5]))
    assert ((found.radius_km > 0) & (found.radius_km <= FARTHEST_KM)).all()


def test_calibration_is_undone_by_another_gallery_and_noticed_with_other_parameters(rng):
    X, y, groups = draw_places(rng, 60, 1)
    knn = KNNGeoRegressor(n_neighbors=5).fit(X, y)
    with pytest.raises(NotFittedError, match="not calibrated: call calibrate"):
        knn.predict_with_uncertainty(X)
    knn.calibrate(X, y, groups).predict_with_uncertainty(X)
    knn.set_params(n_jobs=2).predict_with_uncertainty(X)
    with pytest.raises(ValueError, match=r"mode, n_neighbors changed since calibrate"):
        knn.set_params(mode="kde", n_neighbors=6).predict_with_uncertainty(X)
    knn.set_params(mode="1-nn", n_neighbors=5).predict_with_uncertainty(X)
    with pytest.raises(NotFittedError, match="not calibrated"):
        knn.partial_fit(X, y).predict_with_uncertainty(X)
    assert not hasattr(clone(knn), "calibration_")


def test_too_few_places_warn_and_say_anywhere(rng):
    X, y, _ = draw_places(rng, 60, 1)
    Xc, yc, groups = draw_places(rng, 8, 4)
    knn = KNNGeoRegressor(n_neighbors=5).fit(X, y).calibrate(Xc, yc, groups)
    with pytest.warns(UserWarning, match=r"holds 8 place\(s\); .* 0.9 needs 9"):
        found = knn.predict_with_uncertainty(X)
    assert (found.radius_km == FARTHEST_KM).all()
    assert (knn.predict_with_uncertainty(X, confidence=0.8).radius_km < FARTHEST_KM).any()


def test_what_is_refused(rng):
    X, y, _ = draw_places(rng, 30, 1)
    knn = KNNGeoRegressor(n_neighbors=5)
    with pytest.raises(NotFittedError):
        knn.calibrate(X, y)
    knn.fit(X, y)
    with pytest.raises(ValueError, match="y has 29 rows but X has 30"):
        knn.calibrate(X, y[1:])
    with pytest.raises(ValueError, match=r"groups has shape \(29,\); expected one label .* 30"):
        knn.calibrate(X, y, np.zeros(29))
    knn.calibrate(X, y)
    for wrong in (0.0, 1.0, 90, "0.9"):
        with pytest.raises(ValueError, match="expected a probability between 0 and 1"):
            knn.predict_with_uncertainty(X, confidence=wrong)
    for wrong in (0.0, -5, "far"):
        with pytest.raises(ValueError, match="expected km above 0"):
            knn.predict_with_uncertainty(X, max_radius_km=wrong)
