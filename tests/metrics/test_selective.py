"""Risk and coverage by simulation of all orders, on ties and extremes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from skgeo.metrics import (
    accuracy_at_coverage_score,
    area_under_risk_coverage,
    coverage_at_accuracy_score,
    geolocation_report,
    great_circle_distance,
    great_circle_threshold_score,
    mean_great_circle_error,
    radius_coverage_score,
    risk_coverage_curve,
)


def at_distances(km):
    lon = np.degrees(np.asarray(km, dtype=float) / 6371.004)
    return np.zeros((len(lon), 2)), np.column_stack([np.zeros(len(lon)), lon])


def slow_curve(loss, unsure):
    """Average the risks over every order that sorts the uncertainties."""
    orders = [
        order
        for order in itertools.permutations(range(len(loss)))
        if all(unsure[a] <= unsure[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean(
        [
            [np.mean([loss[i] for i in order[: m + 1]]) for m in range(len(loss))]
            for order in orders
        ],
        axis=0,
    )


@pytest.mark.parametrize("threshold_km", [None, 200.0])
@pytest.mark.parametrize(
    "unsure",
    [
        [1, 2, 3, 4, 5, 6],
        [0, 0, 0, 0, 0, 0],
        [2, 2, 1, 1, 1, 3],
        [np.inf, 1, np.inf, 2, -np.inf, 2],
    ],
)
def test_curve_is_the_average_over_tied_orders(rng, threshold_km, unsure):
    y, pred = at_distances(10.0 ** rng.uniform(0, 4, 6))
    error = great_circle_distance(y, pred)
    loss = error if threshold_km is None else (error > threshold_km).astype(float)
    expected = slow_curve(loss, unsure)
    coverage, risk, limit = risk_coverage_curve(y, pred, unsure, threshold_km=threshold_km)
    np.testing.assert_allclose(coverage, np.arange(1, 7) / 6)
    np.testing.assert_allclose(risk, expected, rtol=1e-12)
    assert limit.tolist() == sorted(unsure)
    area = area_under_risk_coverage(y, pred, unsure, threshold_km=threshold_km)
    assert area == pytest.approx(expected.mean())


def test_ends_of_the_curve_are_the_plain_figures(rng):
    y, pred = at_distances(10.0 ** rng.uniform(0, 4, 50))
    unsure, weight = rng.integers(0, 9, 50), rng.uniform(size=50)
    weight[:5] = 0
    coverage, risk, _ = risk_coverage_curve(y, pred, unsure, sample_weight=weight)
    assert coverage[-1] == 1.0
    assert len(coverage) == 45
    assert risk[-1] == pytest.approx(mean_great_circle_error(y, pred, sample_weight=weight))
    plain = great_circle_threshold_score(y, pred, sample_weight=weight)
    score = accuracy_at_coverage_score(y, pred, unsure, coverage=1.0, sample_weight=weight)
    assert score == pytest.approx(plain)


def test_silent_uncertainty_scores_the_risk_of_all_and_the_best_is_below(rng):
    y, pred = at_distances(10.0 ** rng.uniform(0, 4, 80))
    error = great_circle_distance(y, pred)
    assert area_under_risk_coverage(y, pred, np.zeros(80)) == pytest.approx(error.mean())
    best = area_under_risk_coverage(y, pred, error)
    worst = area_under_risk_coverage(y, pred, -error)
    some = area_under_risk_coverage(y, pred, rng.normal(size=80))
    assert best < some < worst
    assert best == pytest.approx(np.mean(np.cumsum(np.sort(error)) / np.arange(1, 81)))


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.8, 1.0])
def test_accuracy_at_coverage_by_hand(rng, coverage):
    y, pred = at_distances(10.0 ** rng.uniform(0, 4, 40))
    unsure = rng.permutation(40)
    kept = np.argsort(unsure)[: round(coverage * 40)]
    expected = np.mean(great_circle_distance(y, pred)[kept] <= 200)
    score = accuracy_at_coverage_score(y, pred, unsure, coverage=coverage)
    assert score == pytest.approx(expected)
    # Repetitions are weights.
    twice = accuracy_at_coverage_score(y, pred, unsure, coverage=coverage, sample_weight=[2] * 40)
    assert twice == pytest.approx(expected)


def test_coverage_at_accuracy_by_trying_every_limit(rng):
    for _ in range(30):
        y, pred = at_distances(10.0 ** rng.uniform(0, 4, 25))
        unsure = rng.integers(0, 12, 25)
        hit = great_circle_distance(y, pred) <= 200
        for accuracy in (0.3, 0.6, 0.9, 1.0):
            shares = [
                np.mean(unsure <= limit)
                for limit in np.unique(unsure)
                if np.mean(hit[unsure <= limit]) >= accuracy
            ]
            score = coverage_at_accuracy_score(y, pred, unsure, accuracy=accuracy)
            assert score == pytest.approx(max(shares, default=0.0))


def test_radius_coverage():
    y, pred = at_distances([10, 20, 30, 40])
    error = great_circle_distance(y, pred)
    assert radius_coverage_score(y, pred, error) == 1.0
    assert radius_coverage_score(y, pred, np.nextafter(error, 0)) == 0.0
    assert radius_coverage_score(y, pred, 25) == 0.5
    assert radius_coverage_score(y, pred, [0, np.inf, 0, 0]) == 0.25
    assert radius_coverage_score(y, pred, [0, np.inf, 0, 0], sample_weight=[0, 3, 1, 0]) == 0.75


def test_one_place():
    assert area_under_risk_coverage([[0, 0]], [[0, 0]], [1.0]) == 0.0
    assert accuracy_at_coverage_score([[0, 0]], [[0, 0]], [np.inf], coverage=0.1) == 1.0
    assert coverage_at_accuracy_score([[0, 0]], [[0, 90]], [0.0]) == 0.0


@pytest.mark.parametrize(
    "function",
    [
        risk_coverage_curve,
        area_under_risk_coverage,
        accuracy_at_coverage_score,
        coverage_at_accuracy_score,
        radius_coverage_score,
    ],
)
@pytest.mark.parametrize(
    ("y_true", "unsure", "message"),
    [
        ([[0, 0], [95, 0]], [1, 2], "latitude outside.*row 1"),
        ([[0, 0], [0, 0]], [1], r"shape \(1,\); expected \(2,\)"),
        ([[0, 0], [0, 0]], [1, np.nan], r"\[1\] is NaN"),
    ],
)
def test_bad_input(function, y_true, unsure, message):
    with pytest.raises(ValueError, match=message):
        function(y_true, [[0, 0], [0, 0]], unsure)


@pytest.mark.parametrize(
    ("function", "keyword"),
    [(accuracy_at_coverage_score, "coverage"), (coverage_at_accuracy_score, "accuracy")],
)
@pytest.mark.parametrize("value", [0, 1.1, -1, "all"])
def test_bad_share(function, keyword, value):
    with pytest.raises(ValueError, match=keyword):
        function([[0, 0]], [[0, 0]], [1], **{keyword: value})
    with pytest.raises(ValueError, match="negative"):
        radius_coverage_score([[0, 0]], [[0, 0]], -1)


def test_report_has_selective_columns(rng):
    y, pred = at_distances(10.0 ** rng.uniform(0, 4, 60))
    radius = 10.0 ** rng.uniform(0, 4, 60)
    report = geolocation_report(
        y,
        {"a": pred, "b": -pred},
        thresholds={"region": 200},
        uncertainty={"a": np.arange(60)},
        predicted_radius_km={"a": radius, "b": radius},
        coverage=0.5,
    )
    assert list(report.columns)[4:] == ["in_radius", "aurc_km", "region@50%", "n"]
    for name, unsure in (("a", np.arange(60)), ("b", radius)):
        row, guess = report.loc[name], {"a": pred, "b": -pred}[name]
        assert row["in_radius"] == pytest.approx(100 * radius_coverage_score(y, guess, radius))
        assert row["aurc_km"] == pytest.approx(area_under_risk_coverage(y, guess, unsure))
        expected = accuracy_at_coverage_score(y, guess, unsure, coverage=0.5, threshold_km=200)
        assert row["region@50%"] == pytest.approx(100 * expected)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"uncertainty": {"c": [1]}}, "uncertainty names the model 'c'"),
        ({"uncertainty": [1]}, "one array but y_pred holds 2 models"),
        ({"uncertainty": {"a": [1, 2]}}, r"Model 'a': uncertainty has shape \(2,\)"),
        ({"y_neighbors": {"a": [[0, 0]]}}, "Model 'a': y_neighbors has shape"),
        ({"recall_at": [0], "y_neighbors": {"a": [[[0, 0]]]}}, "recall_at holds 0"),
        ({"groups": [1]}, "confidence_level"),
        ({"thresholds": {"aurc_km": 3}}, "called 'aurc_km'"),
    ],
)
def test_report_bad_arguments(keywords, message):
    with pytest.raises(ValueError, match=message):
        geolocation_report([[0, 0]], {"a": [[0, 0]], "b": [[0, 0]]}, **keywords)
