"""KNNGeoRegressor: what it answers, what it keeps, what it refuses."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgeo._geodesy import from_unit_vectors, great_circle_km, spherical_mean
from skgeo.neighbors import KNNGeoRegressor

MODES = ["1-nn", "mean-shift"]
ALGORITHMS = ["auto", "brute", "kd_tree", "ball_tree"]


@pytest.fixture
def world(rng):
    """Photos of 12 areas, whose vectors tell the area with some noise."""
    area = rng.integers(12, size=500)
    centers = from_unit_vectors(rng.normal(size=(12, 3)))
    places = centers[area] + rng.normal(0, 0.05, (500, 2))
    places = np.column_stack([np.clip(places[:, 0], -90, 90), (places[:, 1] + 180) % 360 - 180])
    vectors = rng.normal(size=(12, 20))[area] + rng.normal(0, 1.5, (500, 20))
    return vectors[:400], places[:400], vectors[400:], places[400:]


def test_nearest_neighbour_equals_scikit_learn(world):
    X, y, Q, _ = world
    expected = KNeighborsRegressor(n_neighbors=1, algorithm="brute").fit(X, y).predict(Q)
    for algorithm in ALGORITHMS:
        np.testing.assert_array_equal(
            KNNGeoRegressor(algorithm=algorithm).fit(X, y).predict(Q), expected
        )


def test_kneighbors_equal_scikit_learn(world):
    X, y, Q, _ = world
    oracle = KNeighborsRegressor(algorithm="kd_tree").fit(X, y)
    distances, indices = oracle.kneighbors(Q, 7)
    for algorithm in ALGORITHMS:
        knn = KNNGeoRegressor(algorithm=algorithm).fit(X, y)
        mine, who = knn.kneighbors(Q, 7)
        np.testing.assert_allclose(mine, distances, rtol=1e-12)
        np.testing.assert_array_equal(who, indices)
        np.testing.assert_array_equal(knn.kneighbors(Q, 7, return_distance=False), indices)
        np.testing.assert_array_equal(knn.kneighbors(Q)[1], oracle.kneighbors(Q, 120)[1])


def test_vote_equals_the_vote_in_words(world):
    """The winner, by scikit-learn's MeanShift on each query's neighbours."""
    from sklearn.cluster import MeanShift

    from skgeo._geodesy import EARTH_RADIUS_KM, to_unit_vectors

    X, y, Q, _ = world
    knn = KNNGeoRegressor("mean-shift", n_neighbors=30, min_cluster_size=3).fit(X, y)
    places, neighbors = knn.predict(Q[:25]), knn.kneighbors(Q[:25])[1]
    for place, rows in zip(places, neighbors, strict=True):
        labels = MeanShift(bandwidth=500).fit(to_unit_vectors(y[rows]) * EARTH_RADIUS_KM).labels_
        sizes = np.bincount(labels)
        best = next(c for c in labels if sizes[c] == sizes.max())
        assert sizes.max() >= 3
        assert great_circle_km(place, spherical_mean(y[rows][labels == best])) < 1e-6


def test_vote_is_better_than_chance_and_score_is_the_fraction_within_200_km(world):
    X, y, Q, true = world
    for mode in MODES:
        knn = KNNGeoRegressor(mode, n_neighbors=25).fit(X, y)
        score = knn.score(Q, true)
        assert score == np.mean(great_circle_km(true, knn.predict(Q)) <= 200.0)
        assert score > 0.5
        weights = np.arange(len(Q))
        hit = great_circle_km(true, knn.predict(Q)) <= 200.0
        assert knn.score(Q, true, weights) == pytest.approx(np.average(hit, weights=weights))


def test_score_is_inclusive_and_one_for_the_gallery():
    knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[0, 0], [10, 10]])
    assert knn.score([[0.0], [1.0]], [[0, 0], [10, 10]]) == 1.0
    assert knn.score([[0.0], [1.0]], [[0, 2], [10, 10]]) == 0.5
    with pytest.raises(ValueError, match="y has 1 rows but X has 2"):
        knn.score([[0.0], [1.0]], [[0, 0]])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ties_go_to_the_first_photo(algorithm):
    X = np.repeat([[1.0, 1.0], [0.0, 0.0]], 40, axis=0)
    y = np.column_stack([np.arange(80) / 2, np.arange(80)])
    knn = KNNGeoRegressor(algorithm=algorithm).fit(X, y)
    assert knn.predict([[0.0, 0.0], [0.9, 0.9]]).tolist() == [[20.0, 40.0], [0.0, 0.0]]
    assert knn.kneighbors([[0.5, 0.5]], 80)[1].tolist() == [list(range(80))]


def test_no_cluster_large_enough_falls_back_to_the_nearest(world):
    X, y, Q, _ = world
    nearest = KNNGeoRegressor().fit(X, y).predict(Q)
    vote = KNNGeoRegressor("mean-shift", n_neighbors=10, min_cluster_size=11).fit(X, y)
    np.testing.assert_array_equal(vote.predict(Q), nearest)


def test_a_gallery_smaller_than_n_neighbors_votes_as_a_whole():
    y = [[48.86, 2.35]] * 4 + [[35.68, 139.69]] * 6
    X = np.arange(10.0)[:, None]
    knn = KNNGeoRegressor("mean-shift").fit(X, y)
    assert knn.predict([[-1.0]])[0] == pytest.approx([35.68, 139.69])
    assert knn.kneighbors([[-1.0]])[1].shape == (1, 10)
    one = KNNGeoRegressor("mean-shift").fit([[0.0]], [[90.0, 12.0]])
    assert one.predict([[5.0]]).tolist() == [[90.0, 12.0]]


def test_top_k_of_the_nearest(world):
    X, y, Q, _ = world
    knn = KNNGeoRegressor().fit(X, y)
    top = knn.predict_top_k(Q, 5)
    assert top.shape == (100, 5, 2)
    np.testing.assert_array_equal(top, y[knn.kneighbors(Q, 5)[1]])
    np.testing.assert_array_equal(top[:, 0], knn.predict(Q))


def test_top_k_of_the_vote_is_clusters_then_the_nearest():
    paris, tokyo, lima = [48.86, 2.35], [35.68, 139.69], [-12.05, -77.04]
    X = np.arange(9.0)[:, None]
    y = np.array([lima, tokyo, tokyo, paris, paris, paris, tokyo, tokyo, paris])
    knn = KNNGeoRegressor("mean-shift", n_neighbors=8, min_cluster_size=3).fit(X, y)
    top = knn.predict_top_k([[-1.0]], 9)[0]
    expected = [tokyo, paris, lima, tokyo, tokyo, paris, paris, paris, tokyo]
    np.testing.assert_allclose(top, expected)
    np.testing.assert_array_equal(top[0], knn.predict([[-1.0]])[0])
    np.testing.assert_array_equal(knn.predict_top_k([[-1.0]], 2)[0], top[:2])
    none = knn.set_params(min_cluster_size=9).predict_top_k([[-1.0]], 3)[0]
    np.testing.assert_array_equal(none, y[:3])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_partial_fit_equals_fit(mode, algorithm, world):
    X, y, Q, _ = world
    whole = KNNGeoRegressor(mode, n_neighbors=20, algorithm=algorithm).fit(X, y)
    parts = clone(whole)
    for rows in (slice(0, 1), slice(1, 250), slice(250, 400)):
        assert parts.partial_fit(X[rows], y[rows]) is parts
    np.testing.assert_array_equal(parts.predict(Q), whole.predict(Q))
    np.testing.assert_array_equal(parts.coordinates_, y)
    assert parts.n_samples_fit_ == 400


def test_a_failed_partial_fit_leaves_the_gallery(world):
    X, y, Q, _ = world
    knn = KNNGeoRegressor().fit(X, y)
    before = knn.predict(Q)
    with pytest.raises(ValueError, match="latitude"):
        knn.partial_fit(X[:2], [[91.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="features"):
        knn.partial_fit(X[:2, :3], y[:2])
    np.testing.assert_array_equal(knn.predict(Q), before)


def test_auto_turns_to_a_tree_when_the_gallery_has_grown(rng):
    X, y = rng.normal(size=(1200, 3)), np.zeros((1200, 2))
    knn = KNNGeoRegressor().fit(X[:900], y[:900])
    assert knn.algorithm_ == "brute"
    assert knn.partial_fit(X[900:], y[900:]).algorithm_ == "kd_tree"


@pytest.mark.parametrize("mode", MODES)
def test_same_bits_for_any_n_jobs_batch_and_algorithm(mode, world):
    X, y, Q, _ = world
    Q = np.tile(Q, (10, 1))
    expected = KNNGeoRegressor(mode, algorithm="brute").fit(X, y).predict(Q)
    for algorithm in ALGORITHMS:
        for n_jobs in (1, 2, -1):
            knn = KNNGeoRegressor(mode, algorithm=algorithm, n_jobs=n_jobs).fit(X, y)
            np.testing.assert_array_equal(knn.predict(Q), expected)
    alone = np.concatenate([knn.predict(query[None]) for query in Q[:100]])
    np.testing.assert_array_equal(alone, expected[:100])


def test_float32_is_kept_and_ranks_like_its_float64(world):
    X, y, Q, _ = (part.astype(np.float32) for part in world)
    small = KNNGeoRegressor().fit(X, y)
    wide = KNNGeoRegressor().fit(X.astype(float), y)
    assert small._gallery.dtype == np.float32
    for mine, theirs in zip(small.kneighbors(Q), wide.kneighbors(Q.astype(float)), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_fit_does_not_follow_later_changes_of_y(world):
    X, y, Q, _ = world
    mine = y.copy()
    knn = KNNGeoRegressor().fit(X, mine)
    expected = knn.predict(Q)
    mine[:] = 0.0
    knn.predict(Q)[:] = 0.0
    np.testing.assert_array_equal(knn.predict(Q), expected)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
def test_joblib(algorithm, world, tmp_path):
    X, y, Q, _ = world
    knn = KNNGeoRegressor("mean-shift", algorithm=algorithm).fit(X, y)
    joblib.dump(knn, tmp_path / "knn.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "knn.joblib").predict(Q), knn.predict(Q))


def test_frames_pipelines_and_cross_validation(world):
    X, y, Q, _ = world
    frame = pd.DataFrame(X, columns=[f"gist_{i}" for i in range(20)])
    places = pd.DataFrame(y, columns=["lat", "lon"])
    knn = KNNGeoRegressor().fit(frame, places)
    assert knn.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        knn.predict(frame.iloc[:, ::-1])
    pipeline = make_pipeline(StandardScaler(), KNNGeoRegressor("mean-shift", n_neighbors=20))
    assert pipeline.fit(X, y).predict(Q).shape == (100, 2)
    assert (cross_val_score(pipeline, X, y, cv=3) > 0.4).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3), r"y has shape \(3,\); expected one row \[latitude, longitude\]"),
        (np.zeros((3, 1)), r"y has shape \(3, 1\)"),
        (np.zeros((3, 3)), r"y has shape \(3, 3\)"),
        (np.zeros((2, 2)), "y has 2 rows but X has 3 samples"),
        ([[0, 0], [91, 0], [0, 0]], r"latitude outside \[-90, 90\] in 1 row.*row 1: \[91.0, 0.0\]"),
        ([[0, 0], [0, 0], [0, 180.5]], "longitude outside .* row 2"),
        ([[0, 0], [0, np.nan], [0, 0]], "NaN or infinity in 1 row.*row 1"),
        ([[0, 0], [np.inf, 0], [0, 0]], "NaN or infinity"),
        ([["a", "b"]] * 3, "not a number"),
        (None, "requires y to be passed"),
    ],
)
def test_places_that_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        KNNGeoRegressor().fit(np.zeros((3, 4)), y)


def test_vectors_that_are_refused():
    knn = KNNGeoRegressor()
    with pytest.raises(NotFittedError):
        knn.predict(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="NaN"):
        knn.fit(np.full((3, 4), np.nan), np.zeros((3, 2)))
    knn.fit(np.zeros((3, 4)), np.zeros((3, 2)))
    for call in (knn.predict, knn.kneighbors, lambda X: knn.predict_top_k(X, 1)):
        with pytest.raises(ValueError, match=r"X has 5 features.* expecting 4"):
            call(np.zeros((1, 5)))
        with pytest.raises(ValueError, match="NaN"):
            call(np.full((1, 4), np.nan))


@pytest.mark.parametrize(
    "params",
    [
        {"mode": "2-nn"},
        {"n_neighbors": 0},
        {"n_neighbors": 2.5},
        {"bandwidth_km": 0.0},
        {"bandwidth_km": -5.0},
        {"min_cluster_size": 0},
        {"algorithm": "annoy"},
        {"n_jobs": "all"},
    ],
    ids=str,
)
def test_parameters_that_are_refused(params):
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        KNNGeoRegressor(**params).fit(np.zeros((3, 4)), np.zeros((3, 2)))
    fitted = KNNGeoRegressor().fit(np.zeros((3, 4)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        fitted.set_params(**params).predict(np.zeros((1, 4)))


def test_numbers_of_neighbours_that_are_refused():
    knn = KNNGeoRegressor().fit(np.zeros((3, 4)), np.zeros((3, 2)))
    query = np.zeros((1, 4))
    with pytest.raises(ValueError, match=r"n_neighbors is 4; expected at least 1, at most .* 3"):
        knn.kneighbors(query, 4)
    with pytest.raises(ValueError, match="k is 0"):
        knn.predict_top_k(query, 0)
    with pytest.raises(TypeError, match=r"k is 1\.5; expected an int"):
        knn.predict_top_k(query, 1.5)
    with pytest.raises(TypeError, match="k is True"):
        knn.predict_top_k(query, True)
