"""The approximate graph: what it finds, where it must find all, and that it is one result."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.pairs import _approximate, _tiles, approximate_pairs, exact_pairs, pair_recall
from skgeo.pairs._approximate import approximate_neighbors
from skgeo.pairs._points import Points, make_frame
from skgeo.pairs._search import masked_neighbors
from skgeo.pairs._tiles import allowed_pairs


@pytest.fixture
def many_columns(rng, monkeypatch):
    """Falling spectrum, some of it duplicated, and a projection that leaves much out."""
    monkeypatch.setattr(_approximate, "DIRECTIONS", 6)
    monkeypatch.setattr(_approximate, "MORE_DIRECTIONS", 16)
    X = rng.normal(size=(500, 60)) / np.arange(1, 61) ** 0.7
    X[450:] = X[:50]
    return X, np.arange(500) // 7


def _recall(found, exact) -> float:
    return pair_recall(found.easy_confusing.to_csr(), exact.easy_confusing.to_csr())


def _same(expected, found) -> None:
    for a, b in zip(expected, found, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_finds_most_and_more_with_more_candidates(many_columns):
    X, labels = many_columns
    exact = exact_pairs(X, labels, 5, 4)
    recalls = []
    for n_candidates in (12, 30, 100, 1250):
        found = approximate_pairs(X, labels, 5, 4, n_candidates=n_candidates)
        _same([exact.same_area], [found.same_area])  # P is exact
        assert (np.diff(found.easy_confusing.indptr) == 4).all()
        recalls.append(_recall(found, exact))
    assert recalls == sorted(recalls)
    assert 0.5 < recalls[0] < 0.95
    assert recalls[2] > 0.97
    assert recalls[3] == 1.0


def test_distances_are_those_of_the_exact_graph(many_columns):
    X, labels = many_columns
    exact = exact_pairs(X, labels, 5, 4).easy_confusing
    found = approximate_pairs(X, labels, 5, 4).easy_confusing
    there = {
        (s, t): distance
        for s in range(len(X))
        for t, distance in zip(
            exact.indices[exact.indptr[s] : exact.indptr[s + 1]],
            exact.distances[exact.indptr[s] : exact.indptr[s + 1]],
            strict=True,
        )
    }
    common = 0
    for s in range(len(X)):
        row = slice(found.indptr[s], found.indptr[s + 1])
        assert (np.diff(found.distances[row]) >= 0).all()
        for t, distance in zip(found.indices[row], found.distances[row], strict=True):
            common += (s, t) in there
            assert there.get((s, t), distance) == distance
    assert common > 1900


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_memory_change_nothing(many_columns, dtype, monkeypatch):
    X, labels = many_columns
    X = X.astype(dtype)
    monkeypatch.setattr(_tiles, "SIDE", 64)
    expected = approximate_pairs(X, labels, 5, 4, n_candidates=20)
    for options in ({"n_jobs": 2}, {"n_jobs": 5}, {"working_memory": 0.01}):
        _same(expected, approximate_pairs(X, labels, 5, 4, n_candidates=20, **options))


def test_one_graph_serves_every_smaller_k(many_columns):
    X, labels = many_columns
    large = approximate_pairs(X, labels, 6, 30)
    _same(large.head(3, 7), approximate_pairs(X, labels, 3, 7))


@pytest.mark.usefixtures("many_columns")
def test_a_large_area_starves_nobody(rng):
    """The nearest photos outside come after more than a thousand inside."""
    X = np.concatenate([0.01 * rng.normal(size=(1500, 40)), 5 + rng.normal(size=(30, 40))])
    labels = np.repeat([0, 1], [1500, 30])
    found = approximate_pairs(X, labels, 2, 10, n_candidates=30)
    assert np.diff(found.easy_confusing.indptr).tolist() == [10] * 1530
    assert (found.easy_confusing.indices[:15_000] >= 1500).all()
    assert _recall(found, exact_pairs(X, labels, 2, 10)) > 0.6


@pytest.mark.parametrize("min_distance_km", [25.0, 9000.0, 30_000.0])
def test_photos_too_near_on_earth_are_skipped(rng, many_columns, min_distance_km):
    X, labels = many_columns
    coordinates = rng.uniform([-60, -180], [60, 180], size=(500, 2))
    options = {"coordinates": coordinates, "min_distance_km": min_distance_km}
    exact = exact_pairs(X, labels, 2, 5, **options)
    found = approximate_pairs(X, labels, 2, 5, **options)
    np.testing.assert_array_equal(found.easy_confusing.indptr, exact.easy_confusing.indptr)
    assert _recall(found, exact) > 0.97


def test_rows_are_short_only_where_there_are_not_more(rng):
    X = rng.normal(size=(6, 2))
    graph = approximate_pairs(X, np.zeros(6, int), 9, 2)
    assert np.diff(graph.same_area.indptr).tolist() == [5] * 6
    assert graph.easy_confusing.indptr.tolist() == [0] * 7
    graph = approximate_pairs(X, np.arange(6), 2, 9)
    assert graph.same_area.indptr.tolist() == [0] * 7
    assert np.diff(graph.easy_confusing.indptr).tolist() == [5] * 6
    graph = approximate_pairs(X[:1], np.zeros(1, int), 2, 2)
    assert graph.same_area.indptr.tolist() == graph.easy_confusing.indptr.tolist() == [0, 0]
    X = rng.normal(size=(400, 3))
    graph = approximate_pairs(X, np.arange(400) // 2, 3, 200, n_candidates=10)
    assert (np.diff(graph.easy_confusing.indptr) == 200).all()


@pytest.mark.parametrize("kind", ["all the same", "one column", "far away", "constant columns"])
def test_few_columns_and_ties_are_exact(rng, kind):
    X = {
        "all the same": np.ones((90, 4)),
        "one column": rng.integers(0, 9, size=(90, 1)).astype(float),
        "far away": 1e8 + rng.normal(size=(90, 5)),
        "constant columns": np.concatenate([np.ones((90, 300)), rng.normal(size=(90, 5))], axis=1),
    }[kind]
    labels = np.arange(90) // 4
    _same(exact_pairs(X, labels, 5, 6), approximate_pairs(X, labels, 5, 6))


def test_queries_of_their_own(rng):
    X, Y = rng.normal(size=(60, 9)), rng.normal(size=(200, 9))
    frame = make_frame(X, Y)
    queries, candidates = Points(X, frame), Points(Y, frame)
    everyone = allowed_pairs(np.full(60, -1), np.zeros(200))
    (expected,) = masked_neighbors(queries, candidates, [(6, everyone.block)])
    _same([expected], [approximate_neighbors(queries, candidates, 6, everyone)])
