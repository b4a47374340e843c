"""The exact graph against its plain form: random, tied, duplicated and extreme photos."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn

from skgeo.pairs import exact_pairs
from skgeo.pairs._exact import same_area_neighbors
from skgeo.pairs._points import Points, make_frame


def _cases() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    random = rng.normal(size=(110, 8))
    near = np.repeat(rng.normal(size=(28, 300)), 4, axis=0)[:110]
    return {
        "random": random,
        "single precision": random.astype(np.float32),
        "many columns": rng.normal(size=(90, 1500)).astype(np.float32),
        "one column": rng.normal(size=(110, 1)),
        "ties": rng.integers(0, 3, size=(110, 5)).astype(float),
        "duplicates": random[rng.integers(0, 5, 110)],
        "all the same": np.ones((60, 3), dtype=np.float32),
        "near duplicates": (near + 1e-9 * rng.normal(size=near.shape)),
        "far from the origin": (1000 + 1e-3 * random).astype(np.float32),
        "far from the origin, double": 1e8 + random,
        "huge": 1e150 * random,
        "tiny": 1e-150 * random,
        "one outlier": np.concatenate([random, [[1e15] * 8]]),
    }


@pytest.mark.parametrize("name", _cases())
@pytest.mark.parametrize("working_memory", [None, 0.01])
def test_equals_the_plain_form(name, working_memory, slow_pairs, assert_rows_equal):
    X = _cases()[name]
    labels = np.random.default_rng(0).integers(0, 7, len(X)) * 10 - 20
    graph = exact_pairs(X, labels, 5, 3, working_memory=working_memory)
    same, other = slow_pairs(X, labels, 5, 3)
    assert_rows_equal(graph.same_area, same)
    assert_rows_equal(graph.easy_confusing, other)


@pytest.mark.parametrize("min_distance_km", [0.0, 0.05, 3000.0, 19_000.0, 30_000.0])
def test_photos_too_near_on_earth_are_skipped(
    photos, min_distance_km, slow_pairs, assert_rows_equal
):
    X, labels, coordinates = photos
    labels = np.arange(len(X)) % 50  # neighbours on Earth in different areas
    options = {"coordinates": coordinates, "min_distance_km": min_distance_km}
    for working_memory in (None, 0.05):
        graph = exact_pairs(X, labels, 4, 6, working_memory=working_memory, **options)
        same, other = slow_pairs(X, labels, 4, 6, coordinates, min_distance_km)
        assert_rows_equal(graph.same_area, same)
        assert_rows_equal(graph.easy_confusing, other)
    if min_distance_km == 3000.0:
        # The search goes on behind those skipped: rows stay as long as they can.
        assert (np.diff(graph.easy_confusing.indptr) == 6).all()
    if min_distance_km == 30_000.0:
        assert graph.easy_confusing.indptr[-1] == 0


def test_nothing_is_farther_than_the_antipode():
    coordinates = np.array([[0.0, 0.0], [0.0, 180.0]])
    for min_distance_km, expected in ((20_000.0, 2), (20_020.0, 0)):
        graph = exact_pairs(
            np.eye(2),
            np.arange(2),
            1,
            1,
            coordinates=coordinates,
            min_distance_km=min_distance_km,
        )
        assert len(graph.easy_confusing.indices) == expected


def test_near_and_far_at_the_pole_and_the_antimeridian(slow_pairs, assert_rows_equal):
    coordinates = np.array([[90.0, 0.0], [90.0, 180.0], [0.0, 180.0], [0.0, -180.0], [0.0, -179.9]])
    X = np.arange(5.0)[:, None]
    options = {"coordinates": coordinates, "min_distance_km": 5.0}
    graph = exact_pairs(X, np.arange(5), 1, 4, **options)
    _, other = slow_pairs(X, np.arange(5), 1, 4, coordinates, 5.0)
    assert_rows_equal(graph.easy_confusing, other)
    assert other[0][0] == [2, 3, 4]
    assert other[2][0] == [1, 0, 4]


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_threads_change_nothing(photos, n_jobs):
    X, labels, _ = photos
    expected, found = exact_pairs(X, labels, 5, 5), exact_pairs(X, labels, 5, 5, n_jobs=n_jobs)
    for a, b in zip(expected, found, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_one_area_one_photo_photos_alone(rng):
    X = rng.normal(size=(6, 2))
    graph = exact_pairs(X, np.zeros(6, int), 9, 2)
    assert np.diff(graph.same_area.indptr).tolist() == [5] * 6
    assert graph.easy_confusing.indptr.tolist() == [0] * 7
    graph = exact_pairs(X, np.arange(6), 2, 9)
    assert graph.same_area.indptr.tolist() == [0] * 7
    assert np.diff(graph.easy_confusing.indptr).tolist() == [5] * 6
    graph = exact_pairs(X[:1], np.zeros(1, int), 2, 2)
    assert graph.same_area.indptr.tolist() == graph.easy_confusing.indptr.tolist() == [0, 0]


def test_a_large_area_hides_the_neighbors_outside(rng, slow_pairs, assert_rows_equal):
    """The nearest photo outside may have hundreds of nearer ones inside."""
    X = np.concatenate([0.01 * rng.normal(size=(300, 3)), 5 + rng.normal(size=(20, 3))])
    labels = np.repeat([0, 1], [300, 20])
    graph = exact_pairs(X, labels, 3, 4, working_memory=0.05)
    same, other = slow_pairs(X, labels, 3, 4)
    assert_rows_equal(graph.same_area, same)
    assert_rows_equal(graph.easy_confusing, other)


def test_one_graph_serves_every_smaller_k(photos):
    X, labels, _ = photos
    large = exact_pairs(X, labels, 30, 40)
    for k1, k2 in ((1, 1), (5, 2), (30, 7)):
        for a, b in zip(large.head(k1, k2), exact_pairs(X, labels, k1, k2), strict=True):
            for left, right in zip(a, b, strict=True):
                np.testing.assert_array_equal(left, right)


def test_a_memory_map_will_do(tmp_path, photos):
    X, labels, _ = photos
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    readonly = np.memmap(tmp_path / "x", dtype=np.float32, mode="r", shape=X.shape)
    expected = exact_pairs(X.astype(np.float32), labels, 5, 5)
    found = exact_pairs(readonly, labels, 5, 5, working_memory=0.1)
    for a, b in zip(expected, found, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_the_budget_is_that_of_scikit_learn_by_default(photos, monkeypatch):
    from skgeo.pairs import _search

    sides = []
    side = _search.block_side
    monkeypatch.setattr(_search, "block_side", lambda d, b: sides.append(b) or side(d, b))
    X, labels, _ = photos
    with sklearn.config_context(working_memory=3):
        exact_pairs(X, labels, 2, 2)
    exact_pairs(X, labels, 2, 2, working_memory=5)
    assert sides == [3 * 2**20, 5 * 2**20]


@pytest.mark.parametrize("n_areas", [1, 2, 40, 400])
def test_search_within_areas_equals_the_whole_graph(rng, n_areas):
    X = rng.normal(size=(700, 4))
    labels = rng.integers(0, n_areas, 700)
    points = Points(X, make_frame(X))
    found = same_area_neighbors(points, labels, 6)
    for left, right in zip(exact_pairs(X, labels, 6, 1).same_area, found, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("n_areas", [2, 25, 120])
def test_search_within_areas_for_some_rows(rng, n_areas):
    X = rng.normal(size=(700, 4))
    labels = rng.integers(0, n_areas, 700) ** 2 // n_areas  # areas of all sizes
    points = Points(X, make_frame(X))
    rows = np.flatnonzero(rng.random(700) < 0.3)
    everyone = same_area_neighbors(points, labels, 6)
    some = same_area_neighbors(points, labels, 6, rows=rows)
    for i, s in enumerate(rows):
        expected = everyone.indices[everyone.indptr[s] : everyone.indptr[s + 1]]
        np.testing.assert_array_equal(some.indices[some.indptr[i] : some.indptr[i + 1]], expected)
