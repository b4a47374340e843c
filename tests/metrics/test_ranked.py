"""Recall at N by the obvious loop, and what a gallery can answer."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import great_circle_km
from skgeo.metrics import (
    best_of_top_k_score,
    geolocation_report,
    recall_at_n_curve,
    recall_at_n_score,
)
from skgeo.metrics._ranked import nearest_km


def city(rng, n, spread=0.001):
    """Places some 100 m apart, around one on the antimeridian and one at the pole."""
    centres = np.array([[37.8, -122.4], [-17.0, 180.0], [89.9995, 10.0]])
    places = centres[rng.integers(0, 3, n)] + rng.normal(0, spread, (n, 2))
    places[:, 1] = (places[:, 1] + 180.0) % 360.0 - 180.0
    return np.clip(places, [-90, -180], [90, 180])


@pytest.mark.parametrize("threshold_km", [0.0, 0.025, 0.1, 50.0])
@pytest.mark.parametrize("known", [False, True])
def test_recall_by_loop(rng, threshold_km, known):
    gallery, y = city(rng, 60), city(rng, 40)
    gallery[:10] = y[:10]
    neighbors = np.array([rng.permutation(60)[:7] for _ in y])
    neighbors[5:12, 2] = np.arange(5, 12)
    weight = rng.integers(0, 3, 40)
    curve = recall_at_n_curve(
        y,
        gallery[neighbors],
        threshold_km=threshold_km,
        y_gallery=gallery if known else None,
        sample_weight=weight,
    )
    for n in range(1, 8):
        hits = total = 0
        for row, place in enumerate(y):
            answerable = any(great_circle_km(place, g) <= threshold_km for g in gallery)
            if known and not answerable:
                continue
            found = any(
                great_circle_km(place, gallery[j]) <= threshold_km for j in neighbors[row][:n]
            )
            hits += weight[row] * found
            total += weight[row]
        assert curve[n - 1] == pytest.approx(hits / total)
        score = recall_at_n_score(
            y,
            gallery[neighbors],
            n=n,
            threshold_km=threshold_km,
            y_gallery=gallery if known else None,
            sample_weight=weight,
        )
        assert score == curve[n - 1]
    assert np.all(np.diff(curve) >= 0)


def test_recall_of_neighbours_is_best_of_estimates(rng):
    y, top = city(rng, 30), city(rng, 150).reshape(30, 5, 2)
    for n in (1, 3, 5):
        expected = best_of_top_k_score(y, top[:, :n], threshold_km=0.2)
        assert recall_at_n_score(y, top, n=n, threshold_km=0.2) == expected


def test_nearest_by_loop(rng):
    gallery, y = city(rng, 80), np.vstack([city(rng, 50), [[90, 0], [-90, 0], [0, 180], [0, -180]]])
    expected = great_circle_km(y[:, None], gallery[None]).min(axis=1)
    np.testing.assert_allclose(nearest_km(y, gallery), expected, rtol=1e-12, atol=1e-9)
    assert nearest_km(y, y).max() == 0.0


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (([[0, 0]], [[[0, 0]]]), {"n": 2}, "n=2, but y_neighbors holds 1"),
        (([[0, 0]], [[0, 0]]), {}, r"y_neighbors has shape \(1, 2\)"),
        (([[0, 0]], np.zeros((2, 3, 2))), {}, "1 rows and y_neighbors 2"),
        (([[0, 0]], [[[95, 0]]]), {}, "y_neighbors .* latitude outside"),
        (([[0, 0]], [[[0, 0]]]), {"y_gallery": [[1, 1]]}, "nothing to recall"),
        (([[0, 0]], [[[0, 0]]]), {"y_gallery": [[1, 100, 3]]}, "y_gallery has shape"),
        (([[0, 0]], [[[0, 0]]]), {"n": 0}, "n"),
        (([[0, 0]], [[[0, 0]]]), {"threshold_km": -1}, "threshold_km"),
    ],
)
def test_bad_input(arguments, keywords, message):
    with pytest.raises(ValueError, match=message):
        recall_at_n_score(*arguments, **keywords)


def test_report_has_recall_and_best_of_k(rng):
    gallery, y = city(rng, 60), city(rng, 40)
    near = gallery[
        np.argsort(great_circle_km(y[:, None], gallery[None]) + rng.normal(0, 0.05, (40, 60)))
    ]
    far = near[:, ::-1]
    report = geolocation_report(
        y,
        {"near": near[:, :5], "far": far[:, 0]},
        thresholds={"block": 0.1},
        y_neighbors={"near": near[:, :8], "far": far[:, :3]},
        recall_at=[1, 5, 10],
        recall_km=0.05,
        y_gallery=gallery,
    )
    assert list(report.columns) == [
        *("block", "median_km", "mean_km", "geo_score"),
        *("block best of 5", "recall@1", "recall@5", "n"),
    ]
    for name, ranked in (("near", near[:, :8]), ("far", far[:, :3])):
        for n in (1, 5):
            column = report.loc[name, f"recall@{n}"]
            if n > ranked.shape[1]:
                assert np.isnan(column)
                continue
            expected = recall_at_n_score(y, ranked, n=n, threshold_km=0.05, y_gallery=gallery)
            assert column == pytest.approx(100 * expected)
    best = best_of_top_k_score(y, near[:, :5], threshold_km=0.1)
    assert report.loc["near", "block best of 5"] == pytest.approx(100 * best)
    assert np.isnan(report.loc["far", "block best of 5"])
    first = geolocation_report(y, near[:, 0], thresholds={"block": 0.1}).loc["model"]
    assert report.loc["near", "block"] == first["block"]
