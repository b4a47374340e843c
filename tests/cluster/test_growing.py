"""POIs that grow: what new photos join or open, and how far the POIs have drifted."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from skgeo.cluster import POIMeanShift, mean_shift, regrouped_share
from skgeo.metrics import great_circle_distance
from skgeo.pairs import InconsistencyPairs


def distance(a, b, metric):
    if metric == "haversine":
        return float(great_circle_distance([a], [b])[0])
    return float(np.sqrt(((np.asarray(a) - np.asarray(b)) ** 2).sum()))


def grown_slowly(old, batches, bandwidth, metric, assign):
    """Labels and centres, photo by photo and centre by centre."""
    first = mean_shift(old, bandwidth, metric=metric, assign=assign)
    labels, centers = list(first.labels), list(first.centers)
    for batch in batches:
        far, where = [], []
        for photo in batch:
            apart = [distance(photo, center, metric) for center in centers]
            nearest = int(np.argmin(apart))
            labels.append(nearest)
            if apart[nearest] > bandwidth:
                far.append(photo)
                where.append(len(labels) - 1)
        if far:
            opened = mean_shift(np.array(far), bandwidth, metric=metric, assign=assign)
            for place, label in zip(where, opened.labels, strict=True):
                labels[place] = len(centers) + int(label)
            centers += list(opened.centers)
    return labels, np.array(centers)


def photos(kind, rng):
    if kind == "random":
        return rng.uniform([-60, -180], [60, 180], (60, 2))
    if kind == "crowds":
        spots = rng.uniform([-60, -180], [60, 180], (8, 2))
        return spots[rng.integers(8, size=80)] + 0.4 * rng.normal(size=(80, 2))
    if kind == "duplicated":
        return np.round(rng.uniform(0, 3, (60, 2)))  # ties: at exactly one degree from each other
    if kind == "pole":
        return np.column_stack([90 - rng.uniform(0, 2, 40), rng.uniform(-180, 180, 40)])
    if kind == "antimeridian":
        return (
            np.column_stack([rng.uniform(-1, 1, 40), 179.5 + rng.uniform(0, 0.5, 40)])
            * [
                1,
                1,
            ]
            * np.where(rng.random((40, 1)) < 0.5, [1, 1], [1, -1])
        )
    return np.array([[10.0, 20.0], [10.0, 20.0], [-10.0, 20.0]])  # one photo, and then two


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("assign", ["mode", "nearest"])
@pytest.mark.parametrize(
    "kind", ["random", "crowds", "duplicated", "pole", "antimeridian", "single"]
)
def test_equals_the_slow_reference(kind, assign, metric, rng):
    X = photos(kind, rng)
    bandwidth = 1.0 if metric == "euclidean" else 111.0
    cuts = [1, 2] if kind == "single" else [len(X) // 2, len(X) // 2 + 1, 3 * len(X) // 4]
    old, *batches = np.split(X, cuts)
    poi = POIMeanShift(bandwidth, metric=metric, assign=assign).fit(old)
    for batch in batches:
        assert poi.partial_fit(batch) is poi
    labels, centers = grown_slowly(old, batches, bandwidth, metric, assign)
    np.testing.assert_array_equal(poi.labels_, labels)
    np.testing.assert_array_equal(poi.cluster_centers_, centers)
    assert poi.cluster_sizes_.tolist() == np.bincount(labels, minlength=len(centers)).tolist()
    founded = np.mean(np.array(labels) >= poi.n_clusters_fit_)
    assert poi.new_place_share_ == pytest.approx(founded)


def test_nothing_changes_for_old_photos_and_the_first_call_is_fit(rng):
    X = photos("crowds", rng)
    poi = POIMeanShift(50.0, metric="haversine").partial_fit(X[:40])
    whole = POIMeanShift(50.0, metric="haversine").fit(X[:40])
    np.testing.assert_array_equal(poi.labels_, whole.labels_)
    assert poi.new_place_share_ == 0.0
    poi.partial_fit(X[40:])
    np.testing.assert_array_equal(poi.labels_[:40], whole.labels_)
    np.testing.assert_array_equal(
        poi.cluster_centers_[: poi.n_clusters_fit_], whole.cluster_centers_
    )
    assert len(poi.cluster_centers_) > poi.n_clusters_fit_ == len(whole.cluster_centers_)


def test_photos_of_old_places_join_them_in_any_batches(rng):
    spots = np.array([[0.0, 0.0], [5.0, 5.0], [-3.0, 9.0]])
    X = spots[rng.integers(3, size=90)] + 0.01 * rng.normal(size=(90, 2))
    at_once = POIMeanShift(0.5).fit(X[:30]).partial_fit(X[30:])
    daily = POIMeanShift(0.5).fit(X[:30])
    for row in range(30, 90):
        daily.partial_fit(X[row : row + 1])
    np.testing.assert_array_equal(daily.labels_, at_once.labels_)
    np.testing.assert_array_equal(daily.labels_, at_once.predict(X))
    again = pickle.loads(pickle.dumps(daily)).partial_fit(X[:5])
    np.testing.assert_array_equal(again.labels_[90:], daily.labels_[:5])
    assert len(daily.labels_) == 90


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_pairs_assign_as_the_pois_do(metric, rng):
    y = photos("crowds", rng)
    X = rng.normal(size=(len(y), 3))
    poi = POIMeanShift(1.0 if metric == "euclidean" else 60.0, metric=metric)
    pairs = InconsistencyPairs(2, 2, poi=poi).fit(X[:40], y[:40])
    poi.fit(y[:40])
    for part in (slice(40, 55), slice(55, 80)):
        pairs.partial_fit(X[part], y[part])
        poi.partial_fit(y[part])
    np.testing.assert_array_equal(pairs.labels_, poi.labels_)
    assert poi.new_place_share_ > 0


def test_drift_is_what_a_new_fit_would_change(rng):
    spots = rng.uniform(-30, 30, (6, 2))
    X = spots[rng.integers(6, size=200)] + 0.6 * rng.normal(size=(200, 2))
    for assign in ("mode", "nearest"):
        poi = POIMeanShift(1.0, assign=assign).fit(X[:60])
        assert poi.drift(X[:60]) == 0.0
        poi.partial_fit(X[60:130]).partial_fit(X[130:])
        before = poi.labels_.copy()
        again = POIMeanShift(1.0, assign=assign).fit(X)
        assert poi.drift(X) == regrouped_slowly(poi.labels_, again.labels_) > 0.0
        np.testing.assert_array_equal(poi.labels_, before)
        assert again.drift(X) == 0.0
    with pytest.raises(ValueError, match="X has 199 rows, but there are labels of 200 photos"):
        poi.drift(X[1:])


def regrouped_slowly(one, other):
    def partner(label, a, b):
        shares = [(-int(((a == label) & (b == m)).sum()), int(m)) for m in np.unique(b)]
        return min(shares)[1]

    stay = 0
    for a in np.unique(one):
        b = partner(a, one, other)
        if partner(b, other, one) == a:
            stay += int(((one == a) & (other == b)).sum())
    return (len(one) - stay) / len(one)


@pytest.mark.parametrize("n_labels", [1, 2, 5, 40])
def test_regrouped_share_equals_the_slow_reference(n_labels, rng):
    for n in (1, 2, 30, 60):
        one, other = rng.integers(-3, n_labels, (2, n))
        assert regrouped_share(one, other) == regrouped_slowly(one, other)
        assert regrouped_share(one, one) == 0.0
        names = rng.permutation(np.arange(100, 100 + n_labels + 3))
        assert regrouped_share(one, names[one + 3]) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ([0, 1], [0, 1, 2], "labels has 2 rows and other_labels 3"),
        ([0.5, 1.0], [0, 1], "labels has shape .2,. and type float64; expected integers"),
        ([0, 1], [[0, 1]], "other_labels has shape .1, 2."),
        ([], [], "expected integers"),
    ],
)
def test_regrouped_share_refuses_what_are_no_labels(one, other, match):
    with pytest.raises(ValueError, match=match):
        regrouped_share(one, other)


def test_bad_photos_and_another_kernel_leave_the_places(rng):
    X = photos("crowds", rng)
    poi = POIMeanShift(60.0, metric="haversine").fit(X)
    before = pickle.dumps(poi)
    with pytest.raises(ValueError, match="latitude"):
        poi.partial_fit([[0.0, 0.0], [91.0, 0.0]])
    with pytest.raises(ValueError, match="3 features"):
        poi.partial_fit([[0.0, 0.0, 0.0]])
    assert pickle.dumps(poi) == before
    poi.set_params(bandwidth=61.0)
    with pytest.raises(ValueError, match=r"are \(61.0, 'haversine'\), but .* \(60.0, 'haversine'"):
        poi.partial_fit(X)
    with pytest.raises(ValueError, match="set them back, or call fit"):
        poi.drift(X)
