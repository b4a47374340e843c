"""LazyGeoRegressor against the lazy learner in words, query by query."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import MeanShift
from sklearn.svm import SVC

from skgeo._geodesy import (
    EARTH_RADIUS_KM,
    from_unit_vectors,
    great_circle_km,
    spherical_mean,
    to_unit_vectors,
)
from skgeo.neighbors import LazyGeoRegressor
from skgeo.neighbors._lazy_vote import kernels


def reference(X, y, query, *, k, bandwidth, min_size, C=1.0, class_weight="balanced"):
    """Search, cluster and classify for one query: loops, scikit-learn and nothing shared."""
    distances = [float(np.sqrt(np.sum((row - query) ** 2))) for row in X]
    near = sorted(range(len(X)), key=lambda i: (distances[i], i))[:k]
    points, places = X[near], y[near]
    labels = MeanShift(bandwidth=bandwidth).fit(to_unit_vectors(places) * EARTH_RADIUS_KM).labels_
    members = [np.flatnonzero(labels == label) for label in set(labels.tolist())]
    classes = sorted(
        (rows for rows in members if len(rows) >= min_size), key=lambda r: (-len(r), r[0])
    )
    if not classes:
        return places[0]
    if len(classes) == 1:
        return spherical_mean(places[classes[0]])
    gaps = [float(np.sum((a - b) ** 2)) for i, a in enumerate(points) for b in points[i + 1 :]]
    machine = SVC(C=C, gamma=1.0 / np.mean(gaps), class_weight=class_weight)
    best, deepest = None, -np.inf
    for rows in classes:
        machine.fit(points, np.isin(np.arange(k), rows))
        depth = float(machine.decision_function(query[None])[0])
        if depth > deepest + 1e-9:
            best, deepest = rows, depth
    return spherical_mean(places[best])


def wrap(places):
    return np.column_stack([np.clip(places[:, 0], -90, 90), (places[:, 1] + 180) % 360 - 180])


def make(kind, rng, n=150):
    """Vectors that tell the area with noise, and places of some geography."""
    area = rng.integers(6, size=n)
    vectors = rng.normal(size=(6, 8))[area] + rng.normal(0, 1.0, (n, 8))
    if kind == "world":
        places = from_unit_vectors(rng.normal(size=(6, 3)))[area] + rng.normal(0, 0.5, (n, 2))
    elif kind == "antimeridian":
        places = np.array([-17.0, 180.0]) + 12.0 * (area[:, None] - 2.5) + rng.normal(0, 1, (n, 2))
    elif kind == "pole":
        places = np.column_stack([rng.uniform(88, 90, n), 60.0 * area + rng.uniform(-180, 180, n)])
    else:  # every photo of an area at one place, every other photo twice
        places = from_unit_vectors(rng.normal(size=(6, 3)))[area]
        vectors[1::2] = vectors[::2]
    return vectors, wrap(places)


@pytest.mark.parametrize("kind", ["world", "antimeridian", "pole", "duplicates"])
@pytest.mark.parametrize("class_weight", ["balanced", None])
def test_equals_the_lazy_learner_in_words(kind, class_weight, rng):
    X, y = make(kind, rng)
    lazy = LazyGeoRegressor(40, bandwidth_km=300.0, class_weight=class_weight, C=2.0)
    found = lazy.fit(X[:130], y[:130]).predict(X[142:])
    for place, query in zip(found, X[142:], strict=True):
        expected = reference(
            X[:130], y[:130], query, k=40, bandwidth=300.0, min_size=4, C=2.0,
            class_weight=class_weight,
        )  # fmt: skip
        assert great_circle_km(place, expected) < 1e-6


def test_beats_the_vote_where_the_larger_cluster_looks_different(rng):
    """Most neighbours are of one place, but the query sits among those of the other."""
    X = np.concatenate([rng.normal(0, 0.1, (10, 2)), rng.normal(1.0, 0.1, (30, 2))])
    y = np.repeat([[48.9, 2.3], [-12.0, -77.0]], [10, 30], axis=0)
    from skgeo.neighbors import KNNGeoRegressor

    query = [[0.1, 0.1]]
    assert KNNGeoRegressor("mean-shift").fit(X, y).predict(query)[0, 0] < 0
    assert LazyGeoRegressor().fit(X, y).predict(query)[0] == pytest.approx([48.9, 2.3])


def test_one_class_needs_no_classifier_and_none_falls_back(monkeypatch):
    from skgeo.neighbors import _lazy_vote

    def trained(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(_lazy_vote, "margins", trained)
    X, places = np.arange(9.0)[:, None], [[0, 0], [10, 50], [20, 90], [30, -90], [40, 150]]
    one = LazyGeoRegressor(min_cluster_size=4).fit(X, places + [[5.0, 5.0]] * 4)
    assert one.predict([[0.2]])[0] == pytest.approx([5.0, 5.0])
    none = one.set_params(min_cluster_size=5).predict([[0.2], [3.9]])
    assert none.tolist() == [[0, 0], [40, 150]]
    single = LazyGeoRegressor().fit([[1.0]], [[90.0, 12.0]])
    assert single.predict([[5.0]]).tolist() == [[90.0, 12.0]]


@pytest.fixture
def world(rng):
    X, y = make("world", rng, 260)
    return X[:200], y[:200], X[200:240], y[200:240]


def test_same_bits_for_any_n_jobs_and_batch(world):
    X, y, Q, _ = world
    expected = LazyGeoRegressor(50).fit(X, y).predict(Q)
    for n_jobs in (2, -1):
        found = LazyGeoRegressor(50, n_jobs=n_jobs).fit(X, y).predict(Q)
        np.testing.assert_array_equal(found, expected)
    alone = [LazyGeoRegressor(50).fit(X, y).predict(query[None])[0] for query in Q[:6]]
    np.testing.assert_array_equal(alone, expected[:6])


def test_blocks_are_put_on_an_equal_footing_and_search_may_use_some(world, rng):
    X, y, Q, true = world
    loud = np.hstack([X, 1e3 * rng.normal(size=(200, 3))]), np.hstack([Q, np.zeros((40, 3))])
    blocks = {"good": 8, "loud": 3}
    scaled = X / np.sqrt(np.mean(np.sum((X - X.mean(axis=0)) ** 2, axis=1)))
    lazy = LazyGeoRegressor(30, blocks=blocks, search_blocks=["good"]).fit(loud[0], y)
    assert lazy.block_slices_ == {"good": slice(0, 8), "loud": slice(8, 11)}
    distances, indices = lazy.kneighbors(loud[1], 5)
    mine, rows = (
        LazyGeoRegressor()
        .fit(scaled, y)
        .kneighbors(Q / np.sqrt(np.mean(np.sum((X - X.mean(axis=0)) ** 2, axis=1))), 5)
    )
    np.testing.assert_array_equal(indices, rows)
    np.testing.assert_allclose(distances, mine)
    twice = clone(lazy).set_params(search_blocks=["good", "good"]).fit(loud[0], y)
    np.testing.assert_array_equal(twice.kneighbors(loud[1], 5)[0], distances)
    noisy = LazyGeoRegressor(30).fit(loud[0], y)
    assert lazy.score(loud[1], true) > noisy.score(loud[1], true) + 0.2
    for wrong in (["bad"], []):
        with pytest.raises(ValueError, match="expected names among"):
            clone(lazy).set_params(search_blocks=wrong).fit(loud[0], y)
    with pytest.raises(ValueError, match="blocks do not cover"):
        LazyGeoRegressor(blocks=[8]).fit(loud[0], y)


def test_sparse_rows_are_those_of_dense_float32(world):
    X, y, Q, _ = (part.astype(np.float32) for part in world)
    dense = LazyGeoRegressor(30).fit(X, y).predict(Q)
    rows = LazyGeoRegressor(30).fit(sparse.csr_array(X), y).predict(sparse.csr_array(Q))
    np.testing.assert_array_equal(rows, dense)


def test_top_k_are_the_classes_by_margin_then_the_nearest(world):
    X, y, Q, _ = world
    lazy = LazyGeoRegressor(40).fit(X, y)
    top = lazy.predict_top_k(Q, 200)
    np.testing.assert_array_equal(top[:, 0], lazy.predict(Q))
    table = lazy.explain(Q)
    assert len(table) == len(Q) * 40
    for query, rows in table.groupby("query"):
        classes = [rows[rows["cluster"] == c] for c in range(rows["cluster"].max() + 1)]
        for position, members in enumerate(classes):
            centre = spherical_mean(members[["latitude", "longitude"]].to_numpy())
            assert great_circle_km(top[query, position], centre) < 1e-6
        np.testing.assert_array_equal(
            top[query, len(classes) :],
            y[lazy.kneighbors(Q[[query]], 200, return_distance=False)[0]][: 200 - len(classes)],
        )
        assert rows["vote"].sum() == pytest.approx(1.0)
        assert set(rows.loc[rows["vote"] > 0, "cluster"]) == {0}


def test_partial_fit_pickle_and_verbose(world, tmp_path, capsys):
    X, y, Q, _ = world
    whole = LazyGeoRegressor(30, blocks=[4, 4]).fit(X, y)
    parts = clone(whole).partial_fit(X[:90], y[:90]).partial_fit(X[90:], y[90:])
    np.testing.assert_array_equal(parts.predict(Q), whole.predict(Q))
    joblib.dump(whole, tmp_path / "lazy.joblib")
    again = joblib.load(tmp_path / "lazy.joblib").set_params(verbose=1, n_jobs=2)
    np.testing.assert_array_equal(again.predict(Q), whole.predict(Q))
    assert "lazy" in capsys.readouterr().err


def test_the_kernel_of_near_duplicates_does_not_cancel(rng):
    """Far from the origin, where |a|^2 + |b|^2 - 2 a.b keeps no digit."""
    query = np.full(5, 1e8)
    neighbors = query + rng.normal(size=(20, 5))
    kernel, of_query = kernels(query, neighbors, 0.5)
    for i in range(20):
        gap = neighbors[i] - query
        assert of_query[i] == pytest.approx(np.exp(-0.5 * np.sum(gap**2)), rel=1e-12)
        for j in range(20):
            gap = neighbors[i] - neighbors[j]
            assert kernel[i, j] == pytest.approx(np.exp(-0.5 * np.sum(gap**2)), rel=1e-12)
    kernel, of_query = kernels(query, np.tile(query, (3, 1)), "scale")
    assert kernel.tolist() == np.ones((3, 3)).tolist()
    assert of_query.tolist() == [1.0] * 3
