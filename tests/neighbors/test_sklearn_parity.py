"""What scikit-learn's own tests ask of KNeighborsRegressor, where the parameter exists here.

After sklearn/neighbors/tests/test_neighbors.py: the same galleries and queries, the same questions,
and `KNeighborsRegressor` beside it. A mean of places on one meridian, near each other, is where a
mean of degrees and a mean on the sphere agree, so that targets can be compared, too.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgeo._geodesy import great_circle_km
from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor

ALGORITHMS = ["brute", "kd_tree", "ball_tree", "auto"]


def targets(X):
    """A place that is a function of the vector, as the tests of scikit-learn make it."""
    return np.column_stack([20 * np.sin(X[:, 0]), 30 * np.cos(X[:, -1])])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_queries", "k"),
    [(100, 1, 10, 5), (100, 10, 7, 30), (1000, 5, 20, 1), (1000, 30, 20, 60)],
)
def test_same_neighbours(n_samples, n_features, n_queries, k, dtype, algorithm, rng):
    """`test_unsupervised_kneighbors` and `test_neigh_predictions_algorithm_agnosticity`."""
    X = rng.random((n_samples, n_features)).astype(dtype)
    Q = rng.random((n_queries, n_features)).astype(dtype)
    y = targets(X)
    peer = KNeighborsRegressor(k, algorithm=algorithm).fit(X, y)
    mine = KNNGeoRegressor(n_neighbors=k, algorithm=algorithm).fit(X, y)
    distances, indices = mine.kneighbors(Q)
    theirs, who = peer.kneighbors(Q)
    np.testing.assert_allclose(distances, theirs, rtol=1e-4 if dtype == np.float32 else 1e-7)
    np.testing.assert_array_equal(indices, who)
    np.testing.assert_array_equal(
        mine.kneighbors(Q, return_distance=False), peer.kneighbors(Q, return_distance=False)
    )
    one = KNeighborsRegressor(1, algorithm=algorithm).fit(X, y).predict(Q)
    np.testing.assert_allclose(mine.predict(Q), one)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mean_of_all_neighbours_where_all_are_of_one_cluster(algorithm, rng):
    """`test_kneighbors_regressor`: uniform weights, on a small patch of one meridian."""
    X = 2 * rng.random((40, 3)) - 1
    y = np.column_stack([1e-3 * np.sqrt((X**2).sum(1)), np.zeros(40)])
    peer = KNeighborsRegressor(5, algorithm=algorithm).fit(X, y)
    mine = KNNGeoRegressor("mean-shift", n_neighbors=5, algorithm=algorithm).fit(X, y)
    Q = X + 1e-5 * (2 * rng.random((40, 3)) - 1)
    assert great_circle_km(mine.predict(Q), peer.predict(Q)).max() < 1e-6
    assert (great_circle_km(mine.predict(Q), y) < 0.3 * 111.2e-3 * 10).all()


def test_regressor_on_targets_of_two_columns(rng):
    """`test_kneighbors_regressor_multioutput`: the shape, and the gallery answers for itself."""
    X = 2 * rng.random((40, 5)) - 1
    y = targets(X)
    for algorithm in ALGORITHMS:
        knn = KNNGeoRegressor(algorithm=algorithm).fit(X, y)
        assert knn.predict(X[:10]).shape == (10, 2)
        np.testing.assert_array_equal(knn.predict(X), y)


def test_iris():
    """`test_neighbors_iris`: leave nothing out, and 1-NN knows every photo."""
    X, label = load_iris(return_X_y=True)
    y = np.column_stack([10.0 * label, 20.0 * label])
    for algorithm in ALGORITHMS:
        knn = KNNGeoRegressor(algorithm=algorithm).fit(X, y)
        np.testing.assert_array_equal(knn.predict(X), y)
        vote = KNNGeoRegressor("mean-shift", n_neighbors=9, algorithm=algorithm).fit(X, y)
        assert np.mean(great_circle_km(vote.predict(X), y) < 1.0) > 0.95


def test_duplicates_and_precomputed_order():
    """`test_kneighbors_brute_backend` on a gallery of copies: ties by index, as documented."""
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0)
    knn = KNNGeoRegressor(n_neighbors=60).fit(X, np.zeros((100, 2)))
    assert knn.kneighbors([[0.1, 0.1]])[1][0].tolist() == list(range(60))


@pytest.mark.parametrize("bad", [0, -3])
def test_n_neighbors_out_of_range(bad):
    """`test_n_neighbors_datatype` and `test_kneighbors_...`: refused in fit and in the call."""
    X, y = np.ones((10, 2)), np.zeros((10, 2))
    with pytest.raises(ValueError, match="n_neighbors"):
        KNNGeoRegressor(n_neighbors=bad).fit(X, y)
    with pytest.raises(ValueError, match="n_neighbors"):
        KNNGeoRegressor().fit(X, y).kneighbors(X, bad)
    with pytest.raises(ValueError, match="n_neighbors"):
        KNNGeoRegressor().fit(X, y).kneighbors(X, 11)
    with pytest.raises(TypeError, match=r"n_neighbors is 3\.0"):
        KNNGeoRegressor().fit(X, y).kneighbors(X, 3.0)


@pytest.mark.parametrize("n_jobs", [1, 2, None])
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
def test_same_with_any_n_jobs(n_jobs, algorithm):
    """`test_same_knn_parallel`."""
    X, _ = make_blobs(n_samples=200, n_features=6, random_state=0)
    knn = KNNGeoRegressor(n_neighbors=3, algorithm=algorithm).fit(X[:150], targets(X[:150]))
    many = clone(knn).set_params(n_jobs=n_jobs).fit(X[:150], targets(X[:150]))
    np.testing.assert_array_equal(many.predict(X[150:]), knn.predict(X[150:]))
    for a, b in zip(many.kneighbors(X[150:]), knn.kneighbors(X[150:]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("Estimator", [KNNGeoRegressor, LazyGeoRegressor])
def test_pipelines_grids_and_scores(Estimator, rng):
    """`test_neighbors_pipeline` and `test_pipeline_with_nearest_neighbors_transformer`."""
    X = rng.random((60, 4))
    y = targets(X)
    pipeline = make_pipeline(StandardScaler(), Estimator(n_neighbors=10))
    assert cross_val_score(pipeline, X, y, cv=3).shape == (3,)
    name = pipeline.steps[-1][0]
    search = GridSearchCV(pipeline, {f"{name}__n_neighbors": [5, 10]}, cv=2).fit(X, y)
    assert search.best_params_[f"{name}__n_neighbors"] in (5, 10)
    assert search.predict(X).shape == (60, 2)
