"""Comparisons: exact tests by enumeration, intervals by the loop, and how often they cry wolf."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, permutation_test

from skgeo.metrics import (
    compare_geolocation,
    geo_score,
    great_circle_distance,
    mean_great_circle_error,
    median_great_circle_error,
)


def at_distances(km):
    lon = np.degrees(np.asarray(km, dtype=float) / 6371.004)
    return np.zeros((len(lon), 2)), np.column_stack([np.zeros(len(lon)), lon])


def two_models(rng, n):
    y, a = at_distances(10.0 ** rng.uniform(0, 4, n))
    _, b = at_distances(10.0 ** rng.uniform(0, 4, n))
    both = rng.random(n) < 0.3
    b[both] = a[both]
    return y, a, b


def test_threshold_is_mcnemars_exact_test(rng):
    y, a, b = two_models(rng, 60)
    table = compare_geolocation(y, {"a": a, "b": b}, thresholds=[25, 750], n_resamples=50)
    for km in (25, 750):
        hit_a = great_circle_distance(y, a) <= km
        hit_b = great_circle_distance(y, b) <= km
        wins, losses = int((hit_b & ~hit_a).sum()), int((hit_a & ~hit_b).sum())
        row = table.loc[("b", f"{km} km")]
        assert (row["wins"], row["losses"]) == (wins, losses)
        assert row["p_value"] == pytest.approx(binomtest(wins, wins + losses).pvalue)
        assert row["difference"] == pytest.approx(100 * (hit_b.mean() - hit_a.mean()))


@pytest.mark.parametrize("grouped", [False, True])
def test_few_units_by_enumeration(rng, grouped):
    n = 27 if grouped else 9
    y, a, b = two_models(rng, n)
    groups = rng.permutation(np.arange(n) % 9) if grouped else np.arange(n)
    table = compare_geolocation(y, {"a": a, "b": b}, groups=groups, thresholds={"region": 200})
    functions = {
        "region": lambda e: 100 * np.mean(e <= 200),
        "median_km": np.median,
        "mean_km": np.mean,
        "geo_score": lambda e: np.mean(5000 * np.exp(-e / 1492.7)),
    }
    error_a, error_b = great_circle_distance(y, a), great_circle_distance(y, b)
    for name, function in functions.items():
        seen = function(error_b) - function(error_a)
        as_large = 0
        for signs in itertools.product([False, True], repeat=9):
            swap = np.array(signs)[groups]
            one, two = np.where(swap, error_b, error_a), np.where(swap, error_a, error_b)
            as_large += abs(function(two) - function(one)) >= abs(seen) * (1 - 1e-9)
        assert table.loc[("b", name), "p_value"] == pytest.approx(as_large / 2**9), name
        assert table.loc[("b", name), "difference"] == pytest.approx(seen)
    assert table.attrs == {"baseline": "a", "n": n, "n_groups": 9}


def test_random_exchanges_agree_with_scipy(rng):
    y, a, b = two_models(rng, 40)
    b = 0.8 * b
    table = compare_geolocation(y, {"a": a, "b": b}, n_resamples=5000)
    errors = great_circle_distance(y, b), great_circle_distance(y, a)
    for name, statistic in (("mean_km", np.mean), ("median_km", np.median)):
        expected = permutation_test(
            errors,
            lambda u, v, axis, f=statistic: f(u, axis=axis) - f(v, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=5000,
            rng=rng,
        ).pvalue
        assert table.loc[("b", name), "p_value"] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_by_loop(rng, grouped):
    y, a, b = two_models(rng, 50)
    groups = rng.integers(0, 14, 50) if grouped else None
    table = compare_geolocation(
        y, {"a": a, "b": b}, groups=groups, n_resamples=150, confidence_level=0.9, random_state=4
    )
    draw = np.random.RandomState(4)
    units = list(dict.fromkeys(groups)) if grouped else range(50)
    functions = {
        "median_km": median_great_circle_error,
        "mean_km": mean_great_circle_error,
        "geo_score": geo_score,
    }
    slow = {name: [] for name in functions}
    for _ in range(150):
        rows = []
        for unit in draw.randint(0, len(units), len(units)):
            rows += list(np.flatnonzero(groups == units[unit])) if grouped else [unit]
        for name, function in functions.items():
            slow[name].append(function(y[rows], b[rows]) - function(y[rows], a[rows]))
    for name in functions:
        expected = np.quantile(slow[name], [0.05, 0.95])
        np.testing.assert_allclose(
            table.loc[("b", name), ["low", "high"]].astype(float), expected, rtol=1e-8, atol=1e-8
        )


def test_paired_interval_is_narrower_than_the_models_own():
    rng = np.random.default_rng(1)
    y, a = at_distances(10.0 ** rng.uniform(0, 4, 400))
    b = 0.9 * a  # a little better everywhere
    table = compare_geolocation(y, {"a": a, "b": b})
    row = table.loc[("b", "mean_km")]
    assert row["high"] < 0
    assert row["p_value"] == pytest.approx(1 / 2001)
    assert (row["wins"], row["losses"]) == (400, 0)
    assert row["high"] - row["low"] < 0.2 * 1.96 * great_circle_distance(y, a).std() / 10


def test_no_difference_is_found_as_seldom_as_promised():
    rng = np.random.default_rng(2)
    false_alarms = {"grouped": 0, "ungrouped": 0}
    groups = np.repeat(np.arange(30), 6)
    for _ in range(150):
        level = rng.normal(size=(2, 30))  # each group suits one model or the other
        y, a = at_distances(np.exp(5 + np.repeat(level[0], 6)))
        _, b = at_distances(np.exp(5 + np.repeat(level[1], 6)))
        for name, given in (("grouped", groups), ("ungrouped", None)):
            table = compare_geolocation(
                y, {"a": a, "b": b}, groups=given, thresholds=[150], n_resamples=199
            )
            false_alarms[name] += table.loc[("b", "geo_score"), "p_value"] <= 0.05
    assert false_alarms["grouped"] / 150 <= 0.11
    assert false_alarms["ungrouped"] / 150 >= 0.25


def test_same_model_and_ties():
    y, a = at_distances([1.0, 30.0, 5000.0] * 5)
    table = compare_geolocation(y, {"a": a, "again": a})
    assert (table["difference"] == 0).all()
    assert (table["p_value"] == 1).all()
    assert (table[["wins", "losses"]] == 0).all(axis=None)


def test_several_models_baseline_and_holm(rng):
    y, a, b = two_models(rng, 80)
    models = {"a": a, "b": b, "c": 0.5 * b, "d": 0.2 * a}
    table = compare_geolocation(y, models, baseline="b", n_resamples=300)
    assert table.index.get_level_values("model").unique().tolist() == ["a", "c", "d"]
    for _, rows in table.groupby(level="figure"):
        p = rows["p_value"].to_numpy()
        slow = np.empty(3)
        running = 0.0
        for step, i in enumerate(np.argsort(p, kind="stable")):
            running = max(running, (3 - step) * p[i])
            slow[i] = min(1.0, running)
        np.testing.assert_allclose(rows["p_holm"], slow)
    pd.testing.assert_frame_equal(
        table, compare_geolocation(y, models, baseline="b", n_resamples=300)
    )
    alone = compare_geolocation(y, {"b": b, "c": 0.5 * b}, n_resamples=300)
    assert (alone["p_holm"] == alone["p_value"]).all()


def test_chunks_do_not_matter(rng, monkeypatch):
    y, a, b = two_models(rng, 45)
    whole = compare_geolocation(y, {"a": a, "b": b}, n_resamples=70)
    monkeypatch.setattr("skgeo.metrics._compare._CHUNK", 200)
    monkeypatch.setattr("skgeo.metrics._figures._CHUNK", 200)
    pd.testing.assert_frame_equal(compare_geolocation(y, {"a": a, "b": b}, n_resamples=70), whole)


@pytest.mark.parametrize(
    ("y_pred", "keywords", "message"),
    [
        ({"a": [[0, 0]] * 2}, {}, "one model"),
        ({}, {}, "empty mapping"),
        ([[0, 0]] * 2, {}, "y_pred"),
        ({"a": [[0, 0]] * 2, "b": [[0, 0]]}, {}, "Model 'b': y_true has 2 rows"),
        ({"a": [[0, 0]] * 2, "b": [[0, 95], [95, 0]]}, {}, "Model 'b': .* latitude"),
        ({"a": [[0, 0]] * 2, "b": [[0, 0]] * 2}, {"baseline": "c"}, "no model of y_pred"),
        ({"a": [[0, 0]] * 2, "b": [[0, 0]] * 2}, {"groups": [1, 1]}, "one group"),
        ({"a": [[0, 0]] * 2, "b": [[0, 0]] * 2}, {"thresholds": {"mean_km": 1}}, "'mean_km'"),
    ],
)
def test_bad_input(y_pred, keywords, message):
    with pytest.raises(ValueError, match=message):
        compare_geolocation([[0, 0]] * 2, y_pred, **keywords)
