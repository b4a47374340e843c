"""The estimator: P and Q as users get them, and what it says about bad input."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgeo.cluster import POIMeanShift
from skgeo.pairs import InconsistencyPairs, _compute, anchor_pairs, approximate_pairs, exact_pairs


@parametrize_with_checks(
    [
        InconsistencyPairs(),
        InconsistencyPairs(3, 2, method="anchor", k3=2),
        InconsistencyPairs(3, 2, method="approximate"),
    ]
)
def test_scikit_learn_conformance(estimator, check):
    check(estimator)


def _assert_is(pairs, graph):
    for name, rows in zip(("same_area_", "easy_confusing_"), graph, strict=True):
        matrix = getattr(pairs, name)
        np.testing.assert_array_equal(matrix.indptr, rows.indptr)
        np.testing.assert_array_equal(matrix.indices, rows.indices)
        np.testing.assert_array_equal(matrix.data, 1.0)
        assert not matrix.has_sorted_indices
        np.testing.assert_array_equal(getattr(pairs, name + "distances_"), rows.distances)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["exact", "approximate", "anchor", "auto"])
def test_is_a_thin_shell(photos, dtype, method):
    X, _, coordinates = photos
    X = X.astype(dtype)
    pairs = InconsistencyPairs(6, 4, method=method, k3=5, n_jobs=2).fit(X, coordinates)
    labels = POIMeanShift().fit(coordinates).labels_
    np.testing.assert_array_equal(pairs.labels_, labels)
    assert isinstance(pairs.poi_, POIMeanShift)
    assert pairs.classes_ is None
    if method == "anchor":
        _assert_is(pairs, anchor_pairs(X, labels, 6, 4, k3=5))
    elif method == "approximate":
        _assert_is(pairs, approximate_pairs(X, labels, 6, 4))
    else:
        _assert_is(pairs, exact_pairs(X, labels, 6, 4))
    assert pairs.method_ == ("exact" if method == "auto" else method)
    assert pairs.n_features_in_ == 6


def test_auto_chooses_by_what_it_costs(photos, monkeypatch, capsys):
    X, labels, _ = photos
    assert _compute.resolve_method("auto", 50_000, 2971) == "exact"
    assert _compute.resolve_method("auto", 51_000, 2971) == "approximate"
    assert _compute.resolve_method("auto", 51_000, 100) == "exact"
    monkeypatch.setattr(_compute, "AUTO_EXACT_MAX", X.size * len(X) - 1)
    pairs = InconsistencyPairs(6, 4, n_candidates=15).fit(X, labels)
    assert pairs.method_ == "approximate"
    _assert_is(pairs, approximate_pairs(X, labels, 6, 4, n_candidates=15))
    assert InconsistencyPairs(method="exact").fit(X, labels).method_ == "exact"
    assert capsys.readouterr().out == ""
    InconsistencyPairs(verbose=1).fit(X, labels)
    told = capsys.readouterr().out
    assert "method='approximate' for 120 photos x 6 features" in told


def test_known_areas(photos):
    X, labels, _ = photos
    names = np.array([f"area {label}" for label in labels])
    pairs = InconsistencyPairs(6, 4).fit(X, names)
    assert pairs.poi_ is None
    np.testing.assert_array_equal(pairs.classes_[pairs.labels_], names)
    _assert_is(pairs, exact_pairs(X, labels, 6, 4))
    _assert_is(InconsistencyPairs(6, 4).fit(X, labels.tolist()), exact_pairs(X, labels, 6, 4))


def test_min_distance(photos):
    X, _, coordinates = photos
    labels = POIMeanShift(0.0001).fit(coordinates).labels_
    options = {"coordinates": coordinates, "min_distance_km": 25.0}
    pairs = InconsistencyPairs(3, 4, poi=POIMeanShift(0.0001), min_distance_km=25)
    _assert_is(pairs.fit(X, coordinates), exact_pairs(X, labels, 3, 4, **options))
    pairs.set_params(method="anchor", k3=9)
    _assert_is(pairs.fit(X, coordinates), anchor_pairs(X, labels, 3, 4, k3=9, **options))


def test_poi_is_cloned_and_searchable(photos):
    X, _, coordinates = photos
    poi = POIMeanShift(50.0, metric="haversine")
    pairs = InconsistencyPairs(poi=poi).set_params(poi__bandwidth=2000.0).fit(X, coordinates)
    assert poi.bandwidth == 2000.0
    assert not hasattr(poi, "labels_")
    np.testing.assert_array_equal(pairs.labels_, clone(poi).fit(coordinates).labels_)
    assert pairs.poi_.metric == "haversine"


def test_noise_is_an_area_of_its_own_photo_by_photo(photos):
    X, _, coordinates = photos
    coordinates = np.concatenate([coordinates, [[80.0, 0.0], [-80.0, 0.0]]])
    X = np.concatenate([X, X[:2]])
    poi = DBSCAN(eps=0.01, min_samples=3)
    pairs = InconsistencyPairs(poi=poi).fit(X, coordinates)
    found = clone(poi).fit_predict(coordinates)
    assert (found[-2:] == -1).all()
    np.testing.assert_array_equal(pairs.labels_[found >= 0], found[found >= 0])
    alone = pairs.labels_[found < 0]
    assert len(set(alone)) == len(alone)
    assert alone.min() > found.max()
    assert pairs.same_area_[[-1]].nnz == 0


def test_seed_of_the_anchors(photos, monkeypatch):
    from skgeo.pairs import _visual_clusters

    monkeypatch.setattr(_visual_clusters, "MAX_SEEDS", 20)
    X, _, _ = photos
    labels = np.repeat([0, 1], 60)

    def fit(random_state, n_jobs=None):
        pairs = InconsistencyPairs(
            2, 5, method="anchor", k3=2, random_state=random_state, n_jobs=n_jobs
        )
        return pairs.fit(X, labels).easy_confusing_.indices

    np.testing.assert_array_equal(fit(0), fit(0, n_jobs=2))
    np.testing.assert_array_equal(fit(0), fit(np.random.RandomState(0)))
    assert any(not np.array_equal(fit(0), fit(seed)) for seed in range(1, 6))


def test_tables_pickles_and_joblib(tmp_path, photos):
    X, _, coordinates = photos
    table = pd.DataFrame(X, columns=list("abcdef"))
    places = pd.DataFrame(coordinates, columns=["lat", "lon"])
    pairs = InconsistencyPairs(4, 3).fit(table, places)
    assert pairs.feature_names_in_.tolist() == list("abcdef")
    joblib.dump(pairs, tmp_path / "pairs.joblib")
    for again in (pickle.loads(pickle.dumps(pairs)), joblib.load(tmp_path / "pairs.joblib")):
        assert not again.same_area_.has_sorted_indices
        np.testing.assert_array_equal(again.same_area_.indices, pairs.same_area_.indices)


def test_one_photo():
    for method in ("exact", "anchor"):
        pairs = InconsistencyPairs(method=method).fit([[1.0, 2.0]], [[48.858, 2.294]])
        assert pairs.same_area_.shape == pairs.easy_confusing_.shape == (1, 1)
        assert pairs.same_area_.nnz == pairs.easy_confusing_.nnz == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k1": 0}, "k1"),
        ({"k2": 0}, "k2"),
        ({"k1": 2.5}, "k1"),
        ({"k3": 0}, "k3"),
        ({"method": "fast"}, "method"),
        ({"n_candidates": 0}, "n_candidates"),
        ({"verbose": "loud"}, "verbose"),
        ({"min_distance_km": -1}, "min_distance_km"),
        ({"poi": "grid"}, "poi"),
        ({"memory": 3}, "memory"),
        ({"anchor_bandwidth": 0.0}, "anchor_bandwidth"),
        ({"random_state": "lucky"}, "random_state"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=f"'{message}' parameter"):
        InconsistencyPairs(**parameters).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[0.0], [1.0]], None, "requires y to be passed"),
        ([[0.0], [np.nan]], [0, 1], "NaN"),
        ([[0.0], [1.0]], [[91.0, 0.0], [0.0, 0.0]], "latitude outside"),
        ([[0.0], [1.0]], [[0.0, 0.0, 0.0]] * 2, r"shape \(2, 3\)"),
        ([[0.0], [1.0]], [[0.0], [1.0]], r"shape \(2, 1\)"),
        ([[0.0], [1.0]], [0], "1 labels but X has 2"),
        ([[0.0], [1.0]], [[0.0, np.nan], [0.0, 0.0]], "row 0"),
        ([[1e200], [-1e200]], [0, 1], "overflow"),
    ],
)
def test_bad_data_is_named(X, y, message):
    with pytest.raises(ValueError, match=message):
        InconsistencyPairs().fit(X, y)


def test_min_distance_needs_places():
    with pytest.raises(ValueError, match=r"min_distance_km=5.* y holds area labels"):
        InconsistencyPairs(min_distance_km=5).fit([[0.0], [1.0]], [0, 1])


class _NoLabels(BaseEstimator):
    def fit(self, X, y=None):
        return self


class _TooFewLabels(_NoLabels):
    def fit(self, X, y=None):
        self.labels_ = np.zeros(1)
        return self


def test_poi_without_labels_is_named():
    places = [[0.0, 0.0], [1.0, 1.0]]
    with pytest.raises(TypeError, match="no labels_ after fit"):
        InconsistencyPairs(poi=_NoLabels()).fit([[0.0], [1.0]], places)
    with pytest.raises(ValueError, match=r"labels_ of shape \(1,\)"):
        InconsistencyPairs(poi=_TooFewLabels()).fit([[0.0], [1.0]], places)
