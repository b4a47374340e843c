"""Indexes that propose: what they find is ranked exactly, and is nearly everything."""

from __future__ import annotations

import sys
import types

import joblib
import numpy as np
import pytest

from skgeo.neighbors import KNNGeoRegressor
from skgeo.neighbors._approximate import approximate_neighbors
from skgeo.neighbors._search import nearest_neighbors

ALGORITHMS = ["projection", "pynndescent", "faiss"]


class NNDescent:
    """As much of pynndescent as is used; the package compiles for minutes when it is loaded.

    benchmarks/search.py runs the package itself.
    """

    def __init__(self, data, *, n_neighbors, random_state, n_jobs):
        assert (n_neighbors, random_state, n_jobs) == (30, 0, 1)
        assert data.dtype == np.float32
        self.data = data

    def prepare(self):
        self.ready = True

    def query(self, queries, *, k, epsilon):
        assert self.ready
        assert epsilon == 0.2
        distances, indices = nearest_neighbors(queries, self.data, k)
        return indices[:, ::-1].astype(np.int32), distances[:, ::-1].astype(np.float32)


@pytest.fixture
def package(request, monkeypatch):
    """The package of the algorithm, or a stand-in, or the test is skipped."""
    if request.param == "pynndescent":
        monkeypatch.setitem(sys.modules, "pynndescent", types.SimpleNamespace(NNDescent=NNDescent))
    elif request.param == "faiss":
        pytest.importorskip("faiss", reason="the optional package faiss is absent")
    return request.param


@pytest.fixture(scope="module")
def photos():
    """Vectors whose spectrum falls as that of image features does."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, 201) ** -0.8
    X = (rng.normal(size=(2100, 200)) * scales) @ np.linalg.qr(rng.normal(size=(200, 200)))[0]
    y = np.column_stack([rng.uniform(-60, 60, 2000), rng.uniform(-180, 180, 2000)])
    return X[:2000].astype(np.float32), y, X[2000:].astype(np.float32)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of faiss, when it is loaded
@pytest.mark.parametrize("package", ALGORITHMS, indirect=True)
def test_finds_nearly_all_and_ranks_them_exactly(package, photos, tmp_path):
    algorithm = package
    X, y, Q = photos
    knn = KNNGeoRegressor(algorithm=algorithm, n_neighbors=30).fit(X, y)
    assert knn.algorithm_ == algorithm
    distances, indices = knn.kneighbors(Q)
    _, true = KNNGeoRegressor(algorithm="brute", n_neighbors=30).fit(X, y).kneighbors(Q)
    recall = np.mean([len(np.intersect1d(a, b)) / 30 for a, b in zip(indices, true, strict=True)])
    assert recall >= 0.99
    direct = np.linalg.norm(Q[:, None].astype(float) - X[indices].astype(float), axis=2)
    np.testing.assert_allclose(distances, direct, rtol=1e-12)
    assert (np.diff(distances, axis=1) >= 0).all()
    joblib.dump(knn, tmp_path / "knn.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "knn.joblib").kneighbors(Q)[1], indices)
    again = KNNGeoRegressor(algorithm=algorithm, n_neighbors=30, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(again.kneighbors(Q)[1], indices)


def test_projection_is_exact_where_all_directions_or_all_photos_take_part(photos, rng):
    X, y, Q = photos
    _, true = nearest_neighbors(Q, X, 50)
    for params in ({"n_components": 200}, {"n_components": 1, "n_candidates": 40}):
        knn = KNNGeoRegressor(algorithm="projection", algorithm_params=params).fit(X, y)
        np.testing.assert_array_equal(knn.kneighbors(Q, 50)[1], true)
    ties = np.repeat(rng.normal(size=(4, 3)), 25, axis=0)
    knn = KNNGeoRegressor(algorithm="projection").fit(ties, np.zeros((100, 2)))
    np.testing.assert_array_equal(knn.kneighbors(ties, 60)[1], nearest_neighbors(ties, ties, 60)[1])


def test_an_index_that_finds_too_few_is_helped_out(photos):
    X, _, Q = photos

    class Lame:
        def propose(self, queries, n_candidates):
            who = np.full((len(queries), n_candidates), -1)
            who[:, :40] = nearest_neighbors(queries, X, 40)[1]
            who[0, 7:] = -1
            return who

    _, true = nearest_neighbors(Q, X, 40)
    for k in (5, 40):
        _, found = approximate_neighbors(Q, X, k, Lame(), candidates_per_neighbor=2)
        np.testing.assert_array_equal(found, true[:, :k])


def test_half_precision_and_memory_maps_are_searched_where_they_are(photos, tmp_path):
    X, y, Q = photos
    np.save(tmp_path / "gallery.npy", X.astype(np.float16))
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    for algorithm in ("brute", "projection"):
        knn = KNNGeoRegressor(algorithm=algorithm, n_neighbors=30).fit(mapped, y)
        assert knn._gallery.dtype == np.float16
        assert np.shares_memory(knn._gallery, mapped)
        wide = KNNGeoRegressor(n_neighbors=30).fit(mapped.astype(float), y)
        same = knn.kneighbors(Q)[1] == wide.kneighbors(Q)[1]
        assert same.all() if algorithm == "brute" else same.mean() > 0.98


@pytest.mark.parametrize(
    ("algorithm", "params", "message"),
    [
        ("brute", {"n_components": 3}, "'n_components' for 'brute'; it has no parameters"),
        ("projection", {"leaves": 3}, "expected n_components, n_candidates"),
        ("projection", {"n_components": 0}, "expected it above 0"),
        ("projection", {"n_components": 2.5}, "expected an integer"),
        ("projection", {"n_components": "few"}, "expected a value such as 128"),
        ("projection", {"n_candidates": 0.5}, "at least 1 candidate for each neighbour"),
        ("projection", {"n_candidates": True}, "expected a value such as"),
    ],
)
def test_parameters_that_are_refused(algorithm, params, message, photos):
    X, y, _ = photos
    with pytest.raises(ValueError, match=message):
        KNNGeoRegressor(algorithm=algorithm, algorithm_params=params).fit(X, y)


@pytest.mark.parametrize("algorithm", ["pynndescent", "faiss"])
def test_a_missing_package_is_named(algorithm, photos, monkeypatch):
    X, y, _ = photos
    monkeypatch.setitem(sys.modules, algorithm, None)
    with pytest.raises(ImportError, match=f"needs the package {algorithm}"):
        KNNGeoRegressor(algorithm=algorithm).fit(X, y)


def test_partial_fit_builds_the_index_anew(photos):
    X, y, Q = photos
    whole = KNNGeoRegressor(algorithm="projection").fit(X, y)
    parts = KNNGeoRegressor(algorithm="projection").fit(X[:500], y[:500])
    parts.partial_fit(X[500:], y[500:])
    np.testing.assert_array_equal(parts.predict(Q), whole.predict(Q))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of faiss, when it is loaded
@pytest.mark.parametrize("package", ALGORITHMS, indirect=True)
def test_remove_builds_the_index_anew(package, photos):
    X, y, Q = photos
    knn = KNNGeoRegressor("mean-shift", algorithm=package).fit(X, y).remove([0, 7, -1])
    keep = np.delete(np.arange(len(X)), [0, 7, len(X) - 1])
    expected = KNNGeoRegressor("mean-shift", algorithm=package).fit(X[keep], y[keep])
    np.testing.assert_array_equal(knn.predict(Q), expected.predict(Q))
    for ours, theirs in zip(knn.kneighbors(Q, 50), expected.kneighbors(Q, 50), strict=True):
        np.testing.assert_array_equal(ours, theirs)
