"""The estimator: what it promises to scikit-learn and what it says about bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgeo.cluster import POIMeanShift, mean_shift


# With the default of 0.005 every point of scikit-learn's blobs is a place of its own, which
# check_clustering cannot like; scikit-learn tests its MeanShift with 1.0, too.
@parametrize_with_checks([POIMeanShift(1.0), POIMeanShift(1.0, assign="nearest")])
def test_scikit_learn_conformance(estimator, check):
    check(estimator)


@pytest.fixture
def photos(rng):
    hot_spots = rng.uniform([-60, -180], [60, 180], size=(15, 2))
    return np.concatenate([p + 0.003 * rng.normal(size=(20, 2)) for p in hot_spots])


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("assign", ["mode", "nearest"])
def test_is_a_thin_shell(photos, metric, assign):
    bandwidth = 0.005 if metric == "euclidean" else 0.5
    poi = POIMeanShift(bandwidth, metric=metric, assign=assign, n_jobs=2).fit(photos)
    expected = mean_shift(photos, bandwidth, metric=metric, assign=assign)
    np.testing.assert_array_equal(poi.labels_, expected.labels)
    np.testing.assert_array_equal(poi.cluster_centers_, expected.centers)
    assert poi.n_iter_ == expected.n_iter
    assert poi.n_features_in_ == 2
    sizes = [int((poi.labels_ == i).sum()) for i in range(len(poi.cluster_centers_))]
    assert poi.cluster_sizes_.tolist() == sizes
    np.testing.assert_array_equal(clone(poi).fit_predict(photos), poi.labels_)


def test_mode_and_nearest_are_both_honoured(photos):
    mode = POIMeanShift(assign="mode").fit(photos)
    nearest = POIMeanShift(assign="nearest").fit(photos)
    np.testing.assert_array_equal(mode.cluster_centers_, nearest.cluster_centers_)
    assert (mode.labels_ != nearest.labels_).any()
    np.testing.assert_array_equal(nearest.predict(photos), nearest.labels_)
    np.testing.assert_array_equal(mode.predict(photos), nearest.labels_)


def test_predict_goes_to_the_nearest_center_around_the_earth():
    photos = [[-17.0, 179.9], [-17.0, 170.0], [89.0, 10.0]]
    poi = POIMeanShift(1.0, metric="haversine").fit(photos)
    assert poi.labels_.tolist() == [0, 1, 2]
    assert poi.predict([[-17.0, -179.0], [-17.0, 173.0], [88.0, -170.0]]).tolist() == [0, 1, 2]


def test_single_precision_is_computed_in_double(photos):
    single = photos.astype(np.float32)
    a, b = POIMeanShift().fit(single), POIMeanShift().fit(single.astype(np.float64))
    np.testing.assert_array_equal(a.labels_, b.labels_)
    assert a.cluster_centers_.dtype == np.float64


def test_tables_and_pickles(photos):
    table = pd.DataFrame(photos, columns=["latitude", "longitude"])
    poi = POIMeanShift(0.5, metric="haversine").fit(table)
    assert poi.feature_names_in_.tolist() == ["latitude", "longitude"]
    again = pickle.loads(pickle.dumps(poi))
    np.testing.assert_array_equal(again.predict(table), poi.predict(table))


def test_every_photo_alone_takes_one_step():
    poi = POIMeanShift().fit([[0.0, 0.0], [1.0, 1.0]])
    assert poi.n_iter_ == 1
    assert poi.cluster_sizes_.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bandwidth": 0}, "bandwidth"),
        ({"bandwidth": -1.0}, "bandwidth"),
        ({"bandwidth": "wide"}, "bandwidth"),
        ({"metric": "manhattan"}, "metric"),
        ({"assign": "best"}, "assign"),
        ({"max_iter": -1}, "max_iter"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        POIMeanShift(**parameters).fit([[0.0, 0.0]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[91.0, 0.0]], "latitude outside"),
        ([[0.0, 0.0], [0.0, 181.0]], r"longitude outside .* row 1"),
        ([[0.0, 0.0, 0.0]], r"shape \(1, 3\)"),
        ([[np.nan, 0.0]], "NaN"),
    ],
)
def test_places_off_the_earth_are_named(X, message):
    with pytest.raises(ValueError, match=message):
        POIMeanShift(1.0, metric="haversine").fit(X)


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_row_that_has_no_place_is_named(metric, value):
    X = np.zeros((7, 2))
    X[5, 1] = value
    with pytest.raises(ValueError, match="row 5"):
        POIMeanShift(metric=metric).fit(X)
    with pytest.raises(ValueError, match="row 5"):
        POIMeanShift(metric=metric).fit(X[:5]).predict(X)


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_no_photographs_are_an_error(metric):
    poi = POIMeanShift(metric=metric)
    with pytest.raises(ValueError, match="0 sample"):
        poi.fit(np.empty((0, 2)))
    with pytest.raises(ValueError, match="0 sample"):
        poi.fit([[0.0, 0.0]]).predict(np.empty((0, 2)))


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("assign", ["mode", "nearest"])
@pytest.mark.parametrize("n", [1, 2, 50, 4000])
def test_all_photographs_at_one_position(metric, assign, n):
    place = np.array([48.8584, 2.2945])
    poi = POIMeanShift(metric=metric, assign=assign).fit(np.tile(place, (n, 1)))
    np.testing.assert_allclose(poi.cluster_centers_, [place], rtol=0, atol=1e-10)
    assert poi.cluster_sizes_.tolist() == [n]
    assert (poi.labels_ == 0).all()


def test_predict_of_ties_and_of_what_is_far_away():
    poi = POIMeanShift(1.0).fit([[0.0, 0.0]] * 3 + [[0.0, 4.0]] * 2 + [[4.0, 0.0]])
    assert poi.labels_.tolist() == [0, 0, 0, 1, 1, 2]
    # Between two the stronger, however far the photograph is from all.
    assert poi.predict([[0.0, 2.0], [2.0, 0.0], [1e6, 0.0], [-80.0, -80.0]]).tolist() == [
        0,
        0,
        2,
        0,
    ]


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("assign", ["mode", "nearest"])
def test_neither_order_nor_threads_change_the_places(rng, metric, assign):
    photos = np.array([41.9, 12.49]) + 0.02 * rng.normal(size=(4000, 2))
    photos[1000:1400] = photos[:400]
    bandwidth = 0.003 if metric == "euclidean" else 0.3
    poi = POIMeanShift(bandwidth, metric=metric, assign=assign).fit(photos)
    threads = clone(poi).set_params(n_jobs=3).fit(photos)
    np.testing.assert_array_equal(threads.cluster_centers_, poi.cluster_centers_)
    np.testing.assert_array_equal(threads.labels_, poi.labels_)
    order = rng.permutation(len(photos))
    shuffled = clone(poi).fit(photos[order])
    # On the sphere, POIs alike in everything are numbered as the photographs come.
    there, back = (np.lexsort(p.cluster_centers_.round(9).T) for p in (poi, shuffled))
    if metric == "euclidean":
        np.testing.assert_array_equal(there, back)
    centers, again = poi.cluster_centers_[there], shuffled.cluster_centers_[back]
    np.testing.assert_allclose(again, centers, rtol=0, atol=1e-12)
    same = np.argsort(there)[poi.labels_[order]]
    np.testing.assert_array_equal(np.argsort(back)[shuffled.labels_], same)


def test_predict_checks_its_input_too():
    poi = POIMeanShift(1.0, metric="haversine").fit([[0.0, 0.0]])
    with pytest.raises(ValueError, match="latitude outside"):
        poi.predict([[95.0, 0.0]])
    with pytest.raises(ValueError, match="features"):
        POIMeanShift().fit([[0.0, 0.0]]).predict([[0.0]])
