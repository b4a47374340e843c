"""Figures against their definitions in extended precision and by the obvious loop."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pandas as pd
import pytest
from geographiclib.geodesic import Geodesic
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor

from skgeo import metrics
from skgeo.metrics import (
    THRESHOLDS_KM,
    best_of_top_k_score,
    error_curve_area,
    error_percentile_curve,
    geo_score,
    geo_score_scorer,
    geolocation_report,
    great_circle_distance,
    great_circle_threshold_score,
    great_circle_threshold_scorer,
    mean_great_circle_error,
    mean_great_circle_error_scorer,
    median_great_circle_error,
    median_great_circle_error_scorer,
    threshold_auc_score,
)

SPHERE = Geodesic(6371004.0, 0.0)


def places(rng, n):
    return np.column_stack(
        [np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)]
    )


def equation_11(true, pred):
    """The paper's Eq. (11), literally, in 60 digits, where its arccos does no harm."""
    with mpmath.workdps(60):
        lat_g, lon_g, lat_e, lon_e = (mpmath.radians(mpmath.mpf(float(v))) for v in (*true, *pred))
        cosine = mpmath.sin(lat_g) * mpmath.sin(lat_e) + mpmath.cos(lat_g) * mpmath.cos(
            lat_e
        ) * mpmath.cos(lon_g - lon_e)
        cosine = max(mpmath.mpf(-1), min(mpmath.mpf(1), cosine))
        return float(mpmath.mpf("6371.004") * mpmath.acos(cosine))


def awkward_pairs(rng):
    a = places(rng, 40)
    offsets = 10.0 ** rng.uniform(-9, 1, (40, 2)) * rng.choice([-1, 1], (40, 2))
    b = np.clip(a + offsets, [-90, -180], [90, 180])
    special = np.array(
        [
            [0, 0, 0, 0],
            [90, 0, 90, 170],
            [-90, 12, 90, -50],
            [-17, 179.999, -17, -179.999],
            [0, 180, 0, -180],
            [0, 0, 0, 180],
            [45, 10, -45, -170],
            [89.9999999, 0, 89.9999999, 180],
            [37.7749, -122.4194, 37.77490898, -122.4194],
            [10, 20, 10, 20.00000001],
        ]
    )
    a = np.vstack([a, places(rng, 40), special[:, :2]])
    b = np.vstack([b, places(rng, 40), special[:, 2:]])
    return a, b


def test_distance_is_equation_11_at_every_range(rng):
    a, b = awkward_pairs(rng)
    expected = np.array([equation_11(p, q) for p, q in zip(a, b, strict=True)])
    # 1e-9 km is a micrometre: coordinates in degrees as float64 resolve no finer than this.
    np.testing.assert_allclose(great_circle_distance(a, b), expected, rtol=1e-12, atol=1e-9)


def test_distance_is_a_geodesic_of_the_sphere(rng):
    a, b = awkward_pairs(rng)
    expected = [
        SPHERE.Inverse(*p, *q)["s12"] / 1000.0 for p, q in zip(a.tolist(), b.tolist(), strict=True)
    ]
    np.testing.assert_allclose(great_circle_distance(a, b), expected, rtol=1e-10, atol=1e-9)


def test_distance_is_symmetric_and_zero_on_itself(rng):
    a, b = awkward_pairs(rng)
    np.testing.assert_allclose(
        great_circle_distance(a, b), great_circle_distance(b, a), rtol=1e-12, atol=1e-12
    )
    assert great_circle_distance(a, a).max() == 0.0


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([[91, 0]], [[0, 0]], r"y_true has a latitude outside \[-90, 90\].*row 0"),
        ([[0, 0], [0, 0]], [[0, 0], [0, np.nan]], "y_pred contains NaN.*row 1"),
        ([[0, 0]], [[0, 0], [0, 0]], "y_true has 1 rows and y_pred 2"),
        ([[0, 0, 0]], [[0, 0]], r"y_true has shape \(1, 3\)"),
        ([0, 0], [[0, 0]], r"y_true has shape \(2,\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least 1"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        great_circle_distance,
        great_circle_threshold_score,
        geo_score,
        mean_great_circle_error,
        median_great_circle_error,
        error_percentile_curve,
        error_curve_area,
        threshold_auc_score,
        geolocation_report,
    ],
)
def test_bad_places_are_named(function, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        function(y_true, y_pred)


def at_distances(km):
    """True places at the origin and estimates so many km east of it."""
    lon = np.degrees(np.asarray(km, dtype=float) / 6371.004)
    return np.zeros((len(lon), 2)), np.column_stack([np.zeros(len(lon)), lon])


def test_threshold_is_inclusive():
    y_true, y_pred = [[0.0, 0.0]], [[0.0, 1.0]]
    exactly = float(great_circle_distance(y_true, y_pred)[0])
    assert great_circle_threshold_score(y_true, y_pred, threshold_km=exactly) == 1.0
    below = np.nextafter(exactly, 0)
    assert great_circle_threshold_score(y_true, y_pred, threshold_km=below) == 0.0
    assert great_circle_threshold_score(y_true, y_true, threshold_km=0) == 1.0


def test_scores_by_hand():
    y_true, y_pred = at_distances([0.0, 10.0, 100.0, 1492.7])
    assert great_circle_threshold_score(y_true, y_pred) == 0.75
    assert great_circle_threshold_score(y_true, y_pred, threshold_km=25) == 0.5
    assert mean_great_circle_error(y_true, y_pred) == pytest.approx(1602.7 / 4)
    assert median_great_circle_error(y_true, y_pred) == pytest.approx(55.0)
    by_hand = [5000 * np.exp(-d / 1492.7) for d in (0.0, 10.0, 100.0, 1492.7)]
    assert geo_score(y_true, y_pred) == pytest.approx(np.mean(by_hand))
    assert geo_score(y_true[3:], y_pred[3:]) == pytest.approx(5000 / np.e)


@pytest.mark.parametrize(
    "function",
    [
        great_circle_threshold_score,
        geo_score,
        mean_great_circle_error,
        median_great_circle_error,
        error_curve_area,
        threshold_auc_score,
    ],
)
@pytest.mark.parametrize("scale", [1, 0.1, 3])
def test_weights_are_repetitions(rng, function, scale):
    y_true, y_pred = at_distances(10.0 ** rng.uniform(-1, 4.2, 25))
    weight = rng.integers(0, 4, 25)
    repeated = function(np.repeat(y_true, weight, axis=0), np.repeat(y_pred, weight, axis=0))
    weighted = function(y_true, y_pred, sample_weight=weight * scale)
    assert weighted == pytest.approx(repeated, rel=1e-12)
    assert function(y_true, y_pred, sample_weight=np.ones(25)) == function(y_true, y_pred)
    assert weighted != pytest.approx(function(y_true, y_pred), rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_median_is_numpys(rng, n):
    for _ in range(20):
        y_true, y_pred = at_distances(rng.choice([1.0, 2.0, 5.0, 7.0], n))
        expected = np.median(great_circle_distance(y_true, y_pred))
        assert median_great_circle_error(y_true, y_pred) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0], r"shape \(1,\); expected \(2,\)"),
        ([1.0, -1.0], r"sample_weight\[1\] is -1"),
        ([np.nan, 1.0], r"sample_weight\[0\] is nan"),
        ([0.0, 0.0], "0 for every place"),
    ],
)
def test_bad_weights(weight, message):
    y_true, y_pred = at_distances([1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        geo_score(y_true, y_pred, sample_weight=weight)


@pytest.mark.parametrize("threshold_km", [-1, "near", None])
def test_bad_threshold(threshold_km):
    with pytest.raises(ValueError, match="threshold_km"):
        great_circle_threshold_score([[0, 0]], [[0, 0]], threshold_km=threshold_km)
    with pytest.raises(ValueError, match="threshold_km"):
        great_circle_threshold_scorer(threshold_km)
    with pytest.raises(ValueError, match="threshold_km"):
        best_of_top_k_score([[0, 0]], [[[0, 0]]], threshold_km=threshold_km)


def test_best_of_top_k_by_loop(rng):
    y_true, top = places(rng, 60), places(rng, 300).reshape(60, 5, 2)
    for k in range(1, 6):
        for km in (500.0, 5000.0):
            hits = [
                any(great_circle_distance([t], [p])[0] <= km for p in row[:k])
                for t, row in zip(y_true, top, strict=True)
            ]
            score = best_of_top_k_score(y_true, top[:, :k], threshold_km=km)
            assert score == pytest.approx(np.mean(hits))
    first = great_circle_threshold_score(y_true, top[:, 0], threshold_km=5000.0)
    assert best_of_top_k_score(y_true, top[:, :1], threshold_km=5000.0) == first


@pytest.mark.parametrize(
    ("top", "message"),
    [
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.zeros((2, 0, 2)), "k >= 1"),
        (np.zeros((3, 1, 2)), "2 rows and y_top_k 3"),
        (np.full((2, 1, 2), 95.0), "latitude outside"),
    ],
)
def test_best_of_top_k_bad_input(top, message):
    with pytest.raises(ValueError, match=message):
        best_of_top_k_score([[0, 0], [1, 1]], top)


def test_curve_reads_as_accuracy(rng):
    y_true, y_pred = at_distances(rng.choice([1.0, 3.0, 30.0, 400.0, 9000.0], 41))
    percentiles, errors = error_percentile_curve(y_true, y_pred)
    assert np.all(np.diff(errors) >= 0)
    assert percentiles[-1] == pytest.approx(100.0)
    for km in np.unique(errors):
        last = np.flatnonzero(errors == km)[-1]
        accuracy = great_circle_threshold_score(y_true, y_pred, threshold_km=km)
        assert percentiles[last] == pytest.approx(100 * accuracy)


def test_area_is_the_mean_of_capped_errors(rng):
    y_true, y_pred = at_distances(10.0 ** rng.uniform(-1, 4, 30))
    errors = great_circle_distance(y_true, y_pred)
    assert error_curve_area(y_true, y_pred) == pytest.approx(errors.mean())
    capped = np.minimum(errors, 200).mean()
    assert error_curve_area(y_true, y_pred, max_km=200) == pytest.approx(capped)


def test_threshold_auc_is_the_average_over_thresholds(rng):
    y_true, y_pred = at_distances(10.0 ** rng.uniform(-2, 4, 40))
    grid = np.geomspace(2.0, 800.0, 20001)
    accuracy = [
        great_circle_threshold_score(y_true, y_pred, threshold_km=float(km)) for km in grid[::20]
    ]
    score = threshold_auc_score(y_true, y_pred, min_km=2.0, max_km=800.0)
    assert score == pytest.approx(np.mean(accuracy), abs=2e-3)
    with pytest.raises(ValueError, match="not below"):
        threshold_auc_score(y_true, y_pred, min_km=5, max_km=5)


def test_report_agrees_with_the_functions(rng):
    y_true = places(rng, 50)
    models = {"chance": places(rng, 50), "near": np.clip(y_true + 0.5, -89, 179), "far": -y_true}
    report = geolocation_report(y_true, models)
    assert list(report.index) == list(models)
    assert list(report.columns) == [*THRESHOLDS_KM, "median_km", "mean_km", "geo_score", "n"]
    for name, pred in models.items():
        for level, km in THRESHOLDS_KM.items():
            expected = 100 * great_circle_threshold_score(y_true, pred, threshold_km=km)
            assert report.loc[name, level] == pytest.approx(expected)
        assert report.loc[name, "median_km"] == median_great_circle_error(y_true, pred)
        assert report.loc[name, "mean_km"] == mean_great_circle_error(y_true, pred)
        assert report.loc[name, "geo_score"] == geo_score(y_true, pred)
        assert report.loc[name, "n"] == 50


def test_report_of_one_model_with_own_thresholds():
    y_true, y_pred = at_distances([0.04, 0.2, 0.9, 30.0])
    frame = pd.DataFrame(y_pred, columns=["lat", "lon"])
    report = geolocation_report(y_true, frame, thresholds=[0.05, 0.5, 1, 2500])
    assert list(report.index) == ["model"]
    assert report.iloc[0, :4].to_dict() == {"50 m": 25, "500 m": 50, "1 km": 75, "2,500 km": 100}
    assert report.attrs["thresholds_km"] == {
        "50 m": 0.05,
        "500 m": 0.5,
        "1 km": 1,
        "2,500 km": 2500,
    }
    named = geolocation_report(y_true, y_pred, thresholds={"block": 0.25})
    assert named.loc["model", "block"] == 50
    weighted = geolocation_report(y_true, y_pred, sample_weight=[0, 0, 0, 1])
    assert weighted.loc["model", "street"] == 0
    assert weighted.loc["model", "median_km"] == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({}, "empty"),
        ([], "empty"),
        ({"city": -1}, "'city' is -1"),
        ([np.inf], "finite"),
        ([1, 1.0], "Two thresholds"),
        (25, "mapping of names to radii"),
        ("city", "mapping of names to radii"),
        ({"n": 5}, "called 'n'"),
        ({"city": None}, "mapping of names to radii"),
    ],
)
def test_report_bad_thresholds(thresholds, message):
    with pytest.raises(ValueError, match=message):
        geolocation_report([[0, 0]], [[0, 0]], thresholds=thresholds)


def test_report_names_the_bad_model():
    with pytest.raises(ValueError, match="Model 'b': y_pred has a latitude"):
        geolocation_report([[0, 0]], {"a": [[0, 0]], "b": [[100, 0]]})
    with pytest.raises(ValueError, match="empty mapping"):
        geolocation_report([[0, 0]], {})


SCORERS = {
    "threshold": (great_circle_threshold_scorer(25), great_circle_threshold_score, 1),
    "median": (median_great_circle_error_scorer(), median_great_circle_error, -1),
    "mean": (mean_great_circle_error_scorer(), mean_great_circle_error, -1),
    "geo": (geo_score_scorer(), geo_score, 1),
}


class Fixed(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.y_ = np.asarray(y)
        return self

    def predict(self, X):
        return np.asarray(X)[:, :2]


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_are_the_functions_with_their_sign(rng, name):
    scorer, function, sign = SCORERS[name]
    scorer = pickle.loads(pickle.dumps(scorer))
    X, y = places(rng, 30), places(rng, 30)
    keywords = {"threshold_km": 25} if name == "threshold" else {}
    model = Fixed().fit(X, y)
    assert scorer(model, X, y) == sign * function(y, X, **keywords)
    weight = rng.uniform(size=30)
    expected = sign * function(y, X, sample_weight=weight, **keywords)
    assert scorer(model, X, y, sample_weight=weight) == expected


def test_scorers_in_search_and_cross_validation(rng):
    centres = places(rng, 6)
    label = np.arange(60) % 6
    y = np.clip(centres[label] + rng.normal(0, 0.01, (60, 2)), [-90, -180], [90, 180])
    X = np.eye(6)[label] + rng.normal(0, 0.01, (60, 6))
    knn = KNeighborsRegressor(n_neighbors=1)
    assert cross_val_score(knn, X, y, scoring=great_circle_threshold_scorer(25)).min() == 1.0
    search = GridSearchCV(
        knn,
        {"n_neighbors": [1, 30]},
        scoring=great_circle_threshold_scorer(25),
        cv=3,
        n_jobs=2,
    ).fit(X, y)
    assert search.best_params_ == {"n_neighbors": 1}
    many = cross_validate(knn, X, y, scoring={name: s for name, (s, _, _) in SCORERS.items()})
    assert many["test_median"].max() <= 0.0
    assert many["test_geo"].min() > 4900


def test_thresholds_are_those_of_the_field_and_read_only():
    assert dict(THRESHOLDS_KM) == {
        "street": 1,
        "city": 25,
        "region": 200,
        "country": 750,
        "continent": 2500,
    }
    with pytest.raises(TypeError):
        THRESHOLDS_KM["city"] = 30


def test_public_names_are_there():
    assert set(dir(metrics)) >= set(metrics.__all__)
    for name in metrics.__all__:
        assert getattr(metrics, name) is not None
