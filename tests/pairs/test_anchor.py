"""The fast graph of the paper against its plain form, and against the exact one."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo._geodesy import great_circle_km, spherical_mean
from skgeo.pairs import _anchor, anchor_pairs, exact_pairs, pair_recall
from skgeo.pairs._visual_clusters import find_anchors


def _slow_anchor_rows(X, labels, k2, k3, bandwidth, coordinates=None, min_distance_km=0.0):
    """Section 4.2.1 of the paper, one photo at a time, given the visual clusters."""
    anchors = find_anchors(X, labels, bandwidth)
    n_anchors = len(anchors.area)
    members = [np.flatnonzero(anchors.cluster_of_photo == c) for c in range(n_anchors)]

    def apart(s, place):
        return great_circle_km(coordinates[s], place) if min_distance_km else np.inf

    def distance(a, b):
        return float(np.sqrt(((a.astype(float) - b.astype(float)) ** 2).sum()))

    rows = []
    for s in range(len(X)):
        allowed = [
            c
            for c in range(n_anchors)
            if anchors.area[c] != labels[s]
            and (
                not min_distance_km
                or apart(s, spherical_mean(coordinates[members[c]])) >= min_distance_km
            )
        ]
        nearest = sorted(allowed, key=lambda c: (distance(X[s], anchors.centroids[c]), c))[:k3]
        candidates = [
            int(t)
            for c in nearest
            for t in members[c]
            if not min_distance_km or apart(s, coordinates[t]) >= min_distance_km
        ]
        best = sorted(candidates, key=lambda t: (distance(X[s], X[t]), t))[:k2]
        rows.append((best, [distance(X[s], X[t]) for t in best]))
    return rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k3", [1, 3, 10])
def test_equals_the_plain_form(photos, dtype, k3, slow_pairs, assert_rows_equal):
    X, labels, _ = photos
    X = X.astype(dtype)
    graph = anchor_pairs(X, labels, 4, 5, k3=k3, bandwidth=0.7)
    same, other = slow_pairs(X, labels, 4, 5)
    assert_rows_equal(graph.same_area, same)  # P is exact
    approximate = _slow_anchor_rows(X, labels, 5, k3, 0.7)
    assert_rows_equal(graph.easy_confusing, approximate)
    if k3 == 1:
        assert approximate != other  # else nothing would be tested here


@pytest.mark.parametrize("min_distance_km", [0.05, 4000.0])
def test_photos_too_near_on_earth_are_skipped(photos, min_distance_km, assert_rows_equal):
    X, _, coordinates = photos
    labels = np.arange(len(X)) % 20
    options = {"coordinates": coordinates, "min_distance_km": min_distance_km}
    graph = anchor_pairs(X, labels, 4, 5, k3=8, bandwidth=0.7, **options)
    assert_rows_equal(graph.easy_confusing, _slow_anchor_rows(X, labels, 5, 8, 0.7, **options))
    without = anchor_pairs(X, labels, 4, 5, k3=8, bandwidth=0.7)
    assert not np.array_equal(without.easy_confusing.indices, graph.easy_confusing.indices)


@pytest.mark.parametrize("working_memory", [None, 0.05, 0.0001])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_neither_groups_nor_threads_nor_memory_change_a_bit(photos, working_memory, n_jobs):
    X, labels, _ = photos
    expected = anchor_pairs(X, labels, 4, 5, k3=6)
    found = anchor_pairs(X, labels, 4, 5, k3=6, n_jobs=n_jobs, working_memory=working_memory)
    for a, b in zip(expected, found, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_bounds_in_few_directions_rule_nothing_out_that_counts(rng, monkeypatch):
    """With many columns the members are bounded first, to compare few of them."""
    X = rng.normal(size=(150, 10)) @ rng.normal(size=(10, 60)) + 0.1 * rng.normal(size=(150, 60))
    X[100:] = X[:50]
    labels = np.arange(150) // 8
    expected = anchor_pairs(X, labels, 4, 5, k3=6)
    monkeypatch.setattr(_anchor, "_DIRECTIONS", 8)
    sketched = []
    make_sketch = _anchor.make_sketch
    monkeypatch.setattr(
        _anchor, "make_sketch", lambda *a, **o: sketched.append(a) or make_sketch(*a, **o)
    )
    found = anchor_pairs(X, labels, 4, 5, k3=6)
    assert sketched
    for left, right in zip(expected.easy_confusing, found.easy_confusing, strict=True):
        np.testing.assert_array_equal(left, right)


def test_enough_anchors_find_everything(photos):
    X, labels, _ = photos
    exact = exact_pairs(X, labels, 4, 5).easy_confusing.to_csr()
    recalls = [
        pair_recall(anchor_pairs(X, labels, 4, 5, k3=k3).easy_confusing.to_csr(), exact)
        for k3 in (1, 3, 10, 120)
    ]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.7
    assert recalls[-1] == 1.0


def test_one_area_one_photo_photos_alone(rng):
    X = rng.normal(size=(6, 2))
    graph = anchor_pairs(X, np.zeros(6, int), 9, 2)
    assert np.diff(graph.same_area.indptr).tolist() == [5] * 6
    assert graph.easy_confusing.indptr.tolist() == [0] * 7
    graph = anchor_pairs(X, np.arange(6), 2, 9)
    assert graph.same_area.indptr.tolist() == [0] * 7
    assert np.diff(graph.easy_confusing.indptr).tolist() == [5] * 6
    graph = anchor_pairs(X[:1], np.zeros(1, int), 2, 2)
    assert graph.same_area.indptr.tolist() == graph.easy_confusing.indptr.tolist() == [0, 0]


def test_one_graph_serves_every_smaller_k(photos):
    X, labels, _ = photos
    large = anchor_pairs(X, labels, 30, 40, k3=5)
    for a, b in zip(large.head(3, 7), anchor_pairs(X, labels, 3, 7, k3=5), strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
