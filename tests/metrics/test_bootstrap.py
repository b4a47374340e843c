"""Intervals: what they are by the obvious loop, that they hold, and that groups widen them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from skgeo.metrics import (
    BootstrapInterval,
    accuracy_at_coverage_score,
    area_under_risk_coverage,
    best_of_top_k_score,
    bootstrap_interval,
    geo_score,
    geolocation_report,
    great_circle_distance,
    great_circle_threshold_score,
    mean_great_circle_error,
    median_great_circle_error,
    radius_coverage_score,
)
from skgeo.metrics._bootstrap import Resampler
from skgeo.metrics._figures import sorted_medians
from skgeo.metrics._scores import weighted_median


def at_distances(km):
    lon = np.degrees(np.asarray(km, dtype=float) / 6371.004)
    return np.zeros((len(lon), 2)), np.column_stack([np.zeros(len(lon)), lon])


def photos(rng, n):
    y, pred = at_distances(10.0 ** rng.uniform(-1, 4, n))
    return y, pred, rng.integers(0, 12, n)


@pytest.mark.parametrize("grouped", [False, True])
def test_interval_by_loop(rng, grouped):
    y, pred, authors = photos(rng, 60)
    names = np.array(list("abcdefghijkl"))[authors]
    interval = bootstrap_interval(
        median_great_circle_error,
        y,
        pred,
        groups=names if grouped else None,
        n_resamples=200,
        confidence_level=0.8,
        random_state=3,
    )
    assert isinstance(interval, BootstrapInterval)
    assert interval.estimate == median_great_circle_error(y, pred)
    draw = np.random.RandomState(3)
    units = list(dict.fromkeys(names)) if grouped else list(range(60))
    slow = []
    for _ in range(200):
        rows = []
        for unit in draw.randint(0, len(units), len(units)):
            rows += list(np.flatnonzero(names == units[unit])) if grouped else [unit]
        slow.append(median_great_circle_error(y[rows], pred[rows]))
    assert interval[1:] == pytest.approx(np.quantile(slow, [0.1, 0.9]))


def test_interval_is_scipys(rng):
    y, pred, _ = photos(rng, 150)
    ours = bootstrap_interval(mean_great_circle_error, y, pred, n_resamples=4000)
    theirs = bootstrap(
        (great_circle_distance(y, pred),), np.mean, method="percentile", n_resamples=4000, rng=rng
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_intervals_hold_as_often_as_they_say_only_with_the_right_groups():
    truth, rng = 0.5, np.random.default_rng(5)
    hits = {"photos": 0, "authors": 0}
    for _ in range(200):
        right = rng.random(50) < truth  # 50 authors, right or wrong about all of their 4 photos
        y, pred = at_distances(np.where(np.repeat(right, 4), 1.0, 5000.0))
        for name, groups in (("photos", None), ("authors", np.repeat(np.arange(50), 4))):
            report = geolocation_report(
                y, pred, thresholds=[25], confidence_level=0.95, groups=groups, n_resamples=300
            )["25 km"]
            low, high = report["model", "low"], report["model", "high"]
            hits[name] += low <= 100 * truth <= high
    # 0.95 and its binomial spread over 200 repetitions; the naive interval is half as wide.
    assert 0.89 <= hits["authors"] / 200 <= 0.985
    assert hits["photos"] / 200 < 0.8


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_report_is_the_interval_of_every_function(rng, grouped, weighted):
    n = 40
    y, pred, authors = photos(rng, n)
    top = np.stack([pred, np.roll(pred, 3, axis=0)], axis=1)
    radius, weight = 10.0 ** rng.uniform(0, 4, n), rng.uniform(0.5, 2, n)
    keywords = {"groups": authors if grouped else None, "n_resamples": 150, "random_state": 7}
    report = geolocation_report(
        y,
        {"one": top},
        predicted_radius_km=radius,
        thresholds={"region": 200},
        confidence_level=0.9,
        sample_weight=weight if weighted else None,
        **keywords,
    ).loc["one"]
    functions = {
        "region": (great_circle_threshold_score, pred, {}, 100),
        "median_km": (median_great_circle_error, pred, {}, 1),
        "mean_km": (mean_great_circle_error, pred, {}, 1),
        "geo_score": (geo_score, pred, {}, 1),
        "region best of 2": (best_of_top_k_score, top, {}, 100),
        "in_radius": (radius_coverage_score, pred, {"unsure": radius}, 100),
        "aurc_km": (area_under_risk_coverage, pred, {"unsure": radius}, 1),
        "region@80%": (accuracy_at_coverage_score, pred, {"unsure": radius}, 100),
    }
    assert list(report.columns) == [*functions, "n"]
    for name, (function, guess, unsure, scale) in functions.items():
        arrays = [guess, *unsure.values(), *([weight] if weighted else [])]

        def metric(truth, *given, function=function, scale=scale):
            if weighted:
                return scale * function(truth, *given[:-1], sample_weight=given[-1])
            return scale * function(truth, *given)

        interval = bootstrap_interval(metric, y, *arrays, confidence_level=0.9, **keywords)
        assert report[name].tolist() == pytest.approx(list(interval), rel=1e-9), name
    assert report["n"].tolist() == [n] * 3


def test_report_rows_and_determinism(rng):
    y, pred, _ = photos(rng, 30)
    models = {"a": pred, "b": np.roll(pred, 1, axis=0)}
    report = geolocation_report(y, models, confidence_level=0.95, n_resamples=100)
    assert report.index.tolist() == [
        (m, f) for m in ("a", "b") for f in ("estimate", "low", "high")
    ]
    pd.testing.assert_frame_equal(
        report, geolocation_report(y, models, confidence_level=0.95, n_resamples=100)
    )
    plain = geolocation_report(y, models)
    estimates = report.xs("estimate", level="figure")
    pd.testing.assert_frame_equal(estimates, plain, check_names=False)
    assert (report.xs("low", level="figure") <= estimates).all(axis=None)
    other = geolocation_report(y, models, confidence_level=0.95, n_resamples=100, random_state=1)
    assert not other.equals(report)
    # Places of weight 0 change nothing.
    weight = np.ones(30)
    weight[20:] = 0
    with_zeros = geolocation_report(y, pred, confidence_level=0.95, sample_weight=weight)
    without = geolocation_report(y[:20], pred[:20], confidence_level=0.95)
    pd.testing.assert_frame_equal(with_zeros.drop(columns="n"), without.drop(columns="n"))


def test_medians_of_many_weights(rng):
    values = np.sort(rng.choice([1.0, 2.0, 5.0, 7.0], 9))
    weights = rng.integers(0, 3, (200, 9)).astype(float)
    weights = weights[weights.any(axis=1)]
    expected = [weighted_median(values, weight) for weight in weights]
    assert sorted_medians(values, weights).tolist() == expected


def test_draws_do_not_depend_on_the_chunks(rng, monkeypatch):
    y, pred, authors = photos(rng, 50)
    arguments = {"confidence_level": 0.95, "groups": authors, "n_resamples": 64}
    whole = geolocation_report(y, pred, **arguments)
    monkeypatch.setattr("skgeo.metrics._figures._CHUNK", 150)
    pd.testing.assert_frame_equal(geolocation_report(y, pred, **arguments), whole)


def test_resampler_counts_are_its_rows(rng):
    groups = rng.integers(0, 7, 40)
    for resampler in (Resampler(40, None), Resampler(40, groups)):
        for units in resampler.units(20, 0):
            counts = np.bincount(resampler.expand(units), minlength=40)
            np.testing.assert_array_equal(counts, resampler.counts(units))


@pytest.mark.parametrize(
    ("y", "keywords", "message"),
    [
        ([[0, 0]], {}, "one place"),
        ([[0, 0]] * 3, {"groups": ["a"] * 3}, "one group"),
        ([[0, 0]] * 3, {"groups": ["a", "b"]}, r"groups has shape \(2,\)"),
        ([[0, 0]] * 3, {"groups": ["a", None, "b"]}, r"groups\[1\] is None"),
        ([[0, 0]] * 3, {"groups": [0.5, 1.0, np.nan]}, r"groups\[2\] is nan"),
        ([[0, 0]] * 3, {"confidence_level": 1.0}, "confidence_level"),
        ([[0, 0]] * 3, {"n_resamples": 0}, "n_resamples"),
    ],
)
def test_bad_input(y, keywords, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(geo_score, y, y, **keywords)
    with pytest.raises(ValueError, match=message):
        geolocation_report(y, y, **{"confidence_level": 0.9, **keywords})


def test_arrays_of_other_length():
    with pytest.raises(ValueError, match="Array 1 after the metric"):
        bootstrap_interval(geo_score, [[0, 0]] * 3, [[0, 0]] * 2)
