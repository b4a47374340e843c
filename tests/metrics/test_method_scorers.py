"""Scorers of ranked places, neighbours and uncertainty: behind pipelines, searches, pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgeo import KNNGeoRegressor
from skgeo.metrics import (
    accuracy_at_coverage_score,
    accuracy_at_coverage_scorer,
    area_under_risk_coverage,
    area_under_risk_coverage_scorer,
    best_of_top_k_score,
    best_of_top_k_scorer,
    error_curve_area,
    error_curve_area_scorer,
    geolocation_scorers,
    radius_coverage_score,
    radius_coverage_scorer,
    recall_at_n_score,
    recall_at_n_scorer,
    threshold_auc_score,
    threshold_auc_scorer,
)


class Doubtful(KNNGeoRegressor):
    """A model that says how unsure it is."""

    def predict_with_uncertainty(self, X):
        return self.predict(X), 1000.0 * self.kneighbors(X, 1)[0][:, 0], "and more"


def by_distance(estimator, X):
    return estimator.predict(X), np.arange(len(X), dtype=float)


@pytest.fixture
def data(rng):
    centres = np.column_stack([rng.uniform(-60, 60, 8), rng.uniform(-170, 170, 8)])
    label = np.arange(120) % 8
    y = centres[label] + rng.normal(0, 0.5, (120, 2))
    return np.eye(8)[label] + rng.normal(0, 0.4, (120, 8)), y


SCORERS = {
    "best": best_of_top_k_scorer(3, 200),
    "recall": recall_at_n_scorer(4, 20.0),
    "aurc": area_under_risk_coverage_scorer(),
    "aurc_hits": area_under_risk_coverage_scorer(200),
    "sure": accuracy_at_coverage_scorer(0.5, 200),
    "radius": radius_coverage_scorer(),
}


def expected_scores(model, X, y, weight=None):
    places, radius, _ = model.predict_with_uncertainty(X)
    near = model.coordinates_[model.kneighbors(X, 4, return_distance=False)]
    w = {"sample_weight": weight}
    return {
        "best": best_of_top_k_score(y, model.predict_top_k(X, 3), threshold_km=200, **w),
        "recall": recall_at_n_score(y, near, n=4, threshold_km=20.0, **w),
        "aurc": -area_under_risk_coverage(y, places, radius, **w),
        "aurc_hits": -area_under_risk_coverage(y, places, radius, threshold_km=200, **w),
        "sure": accuracy_at_coverage_score(y, places, radius, coverage=0.5, threshold_km=200, **w),
        "radius": radius_coverage_score(y, places, radius, **w),
    }


def test_they_are_the_functions(data, rng):
    X, y = data
    model = Doubtful().fit(X[:60], y[:60])
    weight = rng.uniform(size=60)
    for w in (None, weight):
        expected = expected_scores(model, X[60:], y[60:], w)
        for name, scorer in SCORERS.items():
            again = pickle.loads(pickle.dumps(scorer))
            assert again(model, X[60:], y[60:], sample_weight=w) == expected[name], name
            assert repr(again) == repr(scorer)


def test_behind_pipelines_and_searches(data):
    X, y = data
    scaler = StandardScaler().fit(X[:60])
    expected = expected_scores(
        Doubtful().fit(scaler.transform(X[:60]), y[:60]), scaler.transform(X[60:]), y[60:]
    )
    pipe = make_pipeline(StandardScaler(), Doubtful())
    grid = {"doubtful__n_neighbors": [5]}
    search = GridSearchCV(make_pipeline(Doubtful()), {"doubtful__n_neighbors": [5]}, cv=2)
    models = {
        "pipeline": pipe.fit(X[:60], y[:60]),
        "search": GridSearchCV(pipe, grid, scoring=SCORERS["best"], cv=2).fit(X[:60], y[:60]),
    }
    for how, model in models.items():
        for name, scorer in SCORERS.items():
            assert scorer(model, X[60:], y[60:]) == pytest.approx(expected[name]), (how, name)
    scores = cross_validate(search.estimator, X, y, cv=3, scoring=SCORERS)
    assert scores["test_best"].shape == (3,)
    many = GridSearchCV(
        pipe, {"doubtful__n_neighbors": [1, 9]}, scoring=SCORERS, refit="recall", cv=2, n_jobs=2
    ).fit(X, y)
    assert "mean_test_aurc" in many.cv_results_


def test_calibrated_radii_of_our_own_models(data):
    X, y = data
    model = KNNGeoRegressor().fit(X[:60], y[:60]).calibrate(X[60:90], y[60:90])
    places, radius, _ = model.predict_with_uncertainty(X[90:])
    assert radius_coverage_scorer()(model, X[90:], y[90:]) == radius_coverage_score(
        y[90:], places, radius
    )


def test_a_function_may_say_the_uncertainty(data):
    X, y = data
    model = DummyRegressor().fit(X, y)
    scorer = pickle.loads(pickle.dumps(area_under_risk_coverage_scorer(method=by_distance)))
    expected = -area_under_risk_coverage(y, model.predict(X), np.arange(len(X)))
    assert scorer(model, X, y) == expected


@pytest.mark.parametrize("name", ["best", "recall", "aurc"])
def test_models_without_the_method(data, name):
    X, y = data
    for model in (DummyRegressor(), make_pipeline(StandardScaler(), DummyRegressor())):
        with pytest.raises(TypeError, match="DummyRegressor has no method"):
            SCORERS[name](model.fit(X, y), X, y)


def test_plain_scorers_and_their_dictionary(data):
    X, y = data
    model = KNNGeoRegressor().fit(X[:60], y[:60])
    guess = model.predict(X[60:])
    assert error_curve_area_scorer(500)(model, X[60:], y[60:]) == -error_curve_area(
        y[60:], guess, max_km=500
    )
    assert threshold_auc_scorer(2, 90)(model, X[60:], y[60:]) == threshold_auc_score(
        y[60:], guess, min_km=2, max_km=90
    )
    scorers = geolocation_scorers([25, 0.5])
    assert list(scorers) == ["25 km", "500 m", "median_km", "mean_km", "geo_score", "threshold_auc"]
    results = cross_validate(model, X, y, cv=2, scoring=scorers)
    assert (results["test_median_km"] <= 0).all()
    with pytest.raises(ValueError, match="called 'geo_score'"):
        geolocation_scorers({"geo_score": 3})


@pytest.mark.parametrize(
    ("maker", "arguments"),
    [
        (best_of_top_k_scorer, (0,)),
        (recall_at_n_scorer, (1, -1)),
        (area_under_risk_coverage_scorer, (-1,)),
        (accuracy_at_coverage_scorer, (0,)),
        (error_curve_area_scorer, (0,)),
        (threshold_auc_scorer, (0,)),
    ],
)
def test_bad_parameters(maker, arguments):
    with pytest.raises(ValueError, match="must be"):
        maker(*arguments)
