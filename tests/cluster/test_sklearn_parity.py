"""What scikit-learn asks of its MeanShift, asked of POIMeanShift; and the two side by side.

Left out are scikit-learn's tests of what POIMeanShift does not have: an estimated bandwidth,
seeds other than the points, bins, orphans.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import MeanShift
from sklearn.datasets import make_blobs

from skgeo.cluster import POIMeanShift, _mean_shift
from skgeo.datasets import make_photo_coordinates

CENTERS = np.array([[11.0, 11.0], [9.0, 9.0], [11.0, 9.0]])


@pytest.fixture(params=["general", "compiled"], autouse=True)
def engine(request, monkeypatch):
    many = 0 if request.param == "compiled" else 10**9
    monkeypatch.setattr(_mean_shift, "COMPILED_FROM", many)
    return request.param


@pytest.fixture(params=[np.float32, np.float64])
def blobs(request):
    X, _ = make_blobs(300, centers=CENTERS, cluster_std=0.4, random_state=11)
    return X.astype(request.param)


def assert_same_clusters(X, bandwidth, **parameters):
    """Equal labels, and centres equal to the bit."""
    theirs = MeanShift(bandwidth=bandwidth, **parameters).fit(X)
    ours = POIMeanShift(bandwidth, assign="nearest", **parameters).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_array_equal(ours.cluster_centers_, theirs.cluster_centers_)
    assert ours.n_iter_ == max(theirs.n_iter_, 1)


# What scikit-learn tests -----------------------------------------------------------------------


def test_finds_the_blobs_with_labels_from_0(blobs):
    poi = POIMeanShift(bandwidth=1.2).fit(blobs)
    assert np.unique(poi.labels_).tolist() == [0, 1, 2]
    assert poi.cluster_centers_.shape == (3, 2)
    for center in CENTERS:
        assert np.linalg.norm(poi.cluster_centers_ - center, axis=1).min() < 0.2


def test_threads_find_the_same(blobs):
    one, two = (POIMeanShift(bandwidth=0.4, n_jobs=n).fit(blobs) for n in (1, 2))
    np.testing.assert_array_equal(one.cluster_centers_, two.cluster_centers_)
    np.testing.assert_array_equal(one.labels_, two.labels_)


def test_predict_repeats_the_labels_of_fit(blobs):
    poi = POIMeanShift(bandwidth=1.2, assign="nearest")
    np.testing.assert_array_equal(poi.fit_predict(blobs), poi.predict(blobs))


def test_has_nothing_fitted_before_fit():
    poi = POIMeanShift()
    assert not [name for name in vars(poi) if name.endswith("_")]


@pytest.mark.parametrize("assign", ["mode", "nearest"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clusters_of_equal_strength_keep_their_order_however_the_points_are_ordered(dtype, assign):
    low, high = [[1, 1], [2, 1], [1, 0]], [[4, 7], [3, 5], [3, 6]]
    for points, expected in ((low + high, [1] * 3 + [0] * 3), (high + low, [0] * 3 + [1] * 3)):
        poi = POIMeanShift(bandwidth=2, assign=assign).fit(np.array(points, dtype=dtype))
        assert poi.labels_.tolist() == expected


@pytest.mark.parametrize("max_iter", [1, 100])
def test_max_iter_bounds_n_iter(blobs, max_iter):
    poi = POIMeanShift(bandwidth=0.5, max_iter=max_iter).fit(blobs)
    assert poi.n_iter_ <= max_iter
    assert_same_clusters(blobs.astype(np.float64), 0.5, max_iter=max_iter)


def test_equal_points_on_a_line_converge():
    poi = POIMeanShift(bandwidth=1.0).fit(np.ones((10, 1)))
    assert poi.n_iter_ < poi.max_iter
    assert poi.cluster_centers_.tolist() == [[1.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bandwidth_below_every_distance_leaves_the_different_points(dtype):
    # scikit-learn estimates a bandwidth of 0 for these.
    X = np.array([[1], [1], [1], [2], [2], [2], [3], [3]], dtype=dtype)
    poi = POIMeanShift(bandwidth=1e-6).fit(X)
    assert poi.labels_.tolist() == [1, 1, 1, 0, 0, 0, 2, 2]
    assert_same_clusters(X.astype(np.float64), 1e-6)


# Side by side ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_random_points(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 160))
    points = rng.normal(size=(n, 2)) * rng.choice([1.0, 100.0])
    assert_same_clusters(points, float(rng.choice([0.1, 0.5, 2.0])))


@pytest.mark.parametrize("seed", range(24))
def test_lattices_where_most_distances_are_ties(seed):
    # Tenths have no exact binary form: whether 0.3 and 0.8 are 0.5 apart is up to rounding.
    rng = np.random.default_rng(100 + seed)
    n = int(rng.integers(1, 200))
    points = rng.normal(size=(n, 2)).round(1)
    assert_same_clusters(points, float(rng.choice([0.1, 0.3, 0.5, 1.0])))


@pytest.mark.parametrize("seed", range(6))
def test_points_on_a_line(seed):
    rng = np.random.default_rng(200 + seed)
    along = rng.normal(size=150).round(2)
    slope = float(rng.choice([0.0, 1.0, 0.3]))
    assert_same_clusters(np.stack([along, slope * along], axis=1), 0.25)
    assert_same_clusters(np.stack([slope * along, along], axis=1), 0.25)


@pytest.mark.parametrize("n", range(1, 25))
def test_few_points_which_scikit_learn_does_not_put_into_a_tree(n):
    rng = np.random.default_rng(300 + n)
    assert_same_clusters(rng.normal(size=(n, 2)).round(1), 0.5)
    assert_same_clusters(60.0 + rng.normal(size=(n, 2)).round(1), 0.1)


def test_duplicates_in_great_number():
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(15, 2)), rng.integers(1, 60, size=15), axis=0)
    assert_same_clusters(rng.permutation(points), 0.7)


@pytest.mark.parametrize("at", [[0.0, 0.0], [-33.45, -70.66], [89.9, 179.9]])
def test_photographs_of_one_place_rounded_as_devices_round(at):
    rng = np.random.default_rng(0)
    points = np.array(at) + 0.004 * rng.normal(size=(120, 2))
    for digits in (3, 4, 6):
        assert_same_clusters(points.round(digits), 0.005)


@pytest.mark.parametrize("bandwidth", [0.0001, 0.005, 0.05])
def test_photographs_of_the_world(bandwidth):
    assert_same_clusters(make_photo_coordinates(600, random_state=3).coordinates, bandwidth)


@pytest.mark.parametrize("seed", [1, 3])
def test_two_centers_so_far_away_that_scalar_products_are_coarse(seed):
    # scikit-learn then takes the farther of the two for some points.
    i, j = np.random.default_rng(seed).integers(0, 8, (2, 150))
    points = np.stack([i + 0.5 * j + 1e9, np.sqrt(3) / 2 * j - 1e9], axis=1)
    assert_same_clusters(points, 5.1625)


def test_sixteen_dimensions_which_scikit_learn_does_not_put_into_a_tree():
    assert_same_clusters(np.random.default_rng(0).normal(size=(40, 16)), 5.0)


def test_shifts_exactly_as_long_as_the_tolerance():
    # 0, 1 and 2 copies of a thousandth: means move by exactly 1e-3 of the bandwidth.
    points = np.array([[0.0, 0.0]] * 9 + [[0.01, 0.0]] + [[5.0, 0.0]] * 7, dtype=float)
    assert_same_clusters(points, 1.0)
    rng = np.random.default_rng(1)
    assert_same_clusters(np.repeat(rng.integers(0, 9, (40, 2)) / 1000, 3, axis=0), 1.0)
