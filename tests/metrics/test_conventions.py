"""The published evaluations, written down from their code's formulas, against our options."""

from __future__ import annotations

import math

import numpy as np
import pytest
from geographiclib.geodesic import Geodesic

from skgeo.metrics import (
    best_of_top_k_score,
    geo_score,
    geolocation_report,
    great_circle_distance,
    great_circle_threshold_score,
    mean_great_circle_error,
    median_great_circle_error,
    recall_at_n_score,
)

RADII = (1.0, 25.0, 200.0, 750.0, 2500.0)


def haversine(a, b, radius):
    out = []
    for (lat1, lon1), (lat2, lon2) in zip(a.tolist(), b.tolist(), strict=True):
        lat1, lon1, lat2, lon2 = map(math.radians, (lat1, lon1, lat2, lon2))
        h = math.sin((lat2 - lat1) / 2) ** 2
        h += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
        out.append(2 * radius * math.asin(min(1.0, math.sqrt(h))))
    return np.array(out)


@pytest.fixture
def queries(rng):
    y = np.column_stack(
        [np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.uniform(-180, 180, 400)]
    )
    step = 10.0 ** rng.uniform(-3, 1.6, (400, 1)) * rng.normal(size=(400, 2))
    pred = np.clip(y + step, [-90, -180], [90, 180])
    pred[:10] = y[:10]
    return y, pred


@pytest.mark.parametrize(
    ("earth", "inclusive", "rounded"),
    [
        pytest.param(6371.0, True, False, id="Revisiting Im2GPS, base(M, f*)"),
        pytest.param(6371.0, False, False, id="OSV-5M"),
        pytest.param(6378.137, False, True, id="PIGEON"),
    ],
)
def test_published_evaluations(queries, earth, inclusive, rounded):
    y, pred = queries
    d = haversine(y, pred, earth)
    np.testing.assert_allclose(
        great_circle_distance(y, pred, earth_radius_km=earth), d, rtol=1e-9, atol=1e-6
    )
    for km in RADII:
        expected = np.mean(d <= km) if inclusive else np.mean(d < km)
        options = {"inclusive": inclusive, "earth_radius_km": earth}
        score = great_circle_threshold_score(y, pred, threshold_km=km, **options)
        assert score == expected
        assert best_of_top_k_score(y, pred[:, None], threshold_km=km, **options) == expected
    points = 5000 * np.exp(-d / 1492.7)
    expected = np.mean(np.round(points) if rounded else points)
    assert geo_score(y, pred, rounded=rounded, earth_radius_km=earth) == pytest.approx(
        expected, rel=1e-9
    )
    assert mean_great_circle_error(y, pred, earth_radius_km=earth) == pytest.approx(d.mean())
    assert median_great_circle_error(y, pred, earth_radius_km=earth) == pytest.approx(np.median(d))
    report = geolocation_report(y, pred, inclusive=inclusive, earth_radius_km=earth).loc["model"]
    assert report["city"] == pytest.approx(100 * np.mean(d <= 25), rel=1e-12)
    assert report["mean_km"] == pytest.approx(d.mean())


def test_a_hit_on_the_line_is_the_difference_between_the_conventions():
    y, pred = [[0.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]
    line = float(great_circle_distance(y, pred)[0])
    for inclusive, hits in ((True, 1.0), (False, 0.5)):
        assert great_circle_threshold_score(y, pred, threshold_km=line, inclusive=inclusive) == hits
        report = geolocation_report(y, pred, thresholds={"line": line}, inclusive=inclusive)
        assert report.loc["model", "line"] == 100 * hits
    # Photographs at the very place are never within 0 km, exclusively.
    assert great_circle_threshold_score(y, y, threshold_km=0, inclusive=False) == 0.0


def test_rounding_is_of_each_photograph():
    y = [[0.0, 0.0]] * 3
    pred = [[0.0, 0.0], [0.0, 0.002], [0.0, 170.0]]
    d = great_circle_distance(y, pred)
    each = [round(5000 * math.exp(-x / 1492.7)) for x in d]
    assert geo_score(y, pred, rounded=True) == np.mean(each)
    assert geo_score(y, pred, rounded=True) != pytest.approx(geo_score(y, pred), abs=1e-3)
    assert geo_score(y, pred, scale_km=100.0) == pytest.approx(np.mean(5000 * np.exp(-d / 100)))


def test_the_sphere_is_within_the_stated_bounds_of_the_ellipsoid(rng):
    n = 3000
    a = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)])
    b = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)])
    near = np.clip(a + 10.0 ** rng.uniform(-4, 1, (n, 1)) * rng.normal(size=(n, 2)), -90, 90)
    near[:, 1] = np.clip(a[:, 1] + near[:, 1] - near[:, 1].mean(), -180, 180)
    special = np.array(
        [[0, 0, 1e-3, 0], [90, 0, 89.999, 0], [0, 0, 0.5, 179.7], [0, 0, 0, 180], [-90, 0, 90, 0]],
        dtype=float,
    )
    a = np.vstack([a, a, special[:, :2]])
    b = np.vstack([b, near, special[:, 2:]])
    wgs84 = np.array(
        [
            Geodesic.WGS84.Inverse(*p, *q)["s12"] / 1000.0
            for p, q in zip(a.tolist(), b.tolist(), strict=True)
        ]
    )
    ratio = great_circle_distance(a, b) / wgs84 - 1.0
    # Ours is at most 0.5614 percent longer (north-south at the equator) and 0.4467 shorter (poles).
    assert ratio.max() <= 0.00562
    assert ratio.min() >= -0.00448
    assert ratio.max() > 0.0056
    assert ratio.min() < -0.0044


@pytest.mark.parametrize("radius", [0, -1, np.inf, np.nan, "earth", None])
def test_bad_radius_of_the_earth(radius):
    with pytest.raises(ValueError, match="earth_radius_km"):
        great_circle_distance([[0, 0]], [[0, 0]], earth_radius_km=radius)
    with pytest.raises(ValueError, match="earth_radius_km"):
        great_circle_threshold_score([[0, 0]], [[0, 0]], earth_radius_km=radius)
    with pytest.raises(ValueError, match="earth_radius_km"):
        recall_at_n_score([[0, 0]], [[[0, 0]]], earth_radius_km=radius)
