"""Photos that are taken out of a gallery."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor

GONE = [3, 0, 149, 77, -2]


@pytest.fixture
def gallery(rng):
    X = rng.normal(size=(150, 6))
    X[100:110] = X[:10]  # ties
    y = np.column_stack([rng.uniform(-90, 90, 150), rng.uniform(-180, 180, 150)])
    return X, y, np.concatenate([rng.normal(size=(30, 6)), X[:12]])


def left(n, gone=GONE):
    """The rows that stay, counted out."""
    removed = {index % n for index in gone}
    return [row for row in range(n) if row not in removed]


@pytest.mark.parametrize("algorithm", ["auto", "brute", "kd_tree", "ball_tree", "projection"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_equals_a_fit_without_them(algorithm, dtype, gallery):
    X, y, Q = gallery
    X = X.astype(dtype)
    keep = left(150)
    for mode in ("1-nn", "mean-shift", "kde") if algorithm == "brute" else ("mean-shift",):
        knn = KNNGeoRegressor(mode, n_neighbors=20, algorithm=algorithm)
        expected = clone(knn).fit(X[keep], y[keep])
        assert knn.fit(X, y).remove(GONE) is knn
        assert knn.n_samples_fit_ == 145
        assert knn._gallery.dtype == expected._gallery.dtype
        np.testing.assert_array_equal(knn.coordinates_, y[keep])
        np.testing.assert_array_equal(knn.predict(Q), expected.predict(Q))
        for ours, theirs in zip(knn.kneighbors(Q, 145), expected.kneighbors(Q, 145), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_read_only_memory_map_is_left_alone(dtype, gallery, tmp_path):
    X, y, Q = gallery
    np.save(tmp_path / "gallery.npy", X.astype(dtype))
    content = (tmp_path / "gallery.npy").read_bytes()
    knn = KNNGeoRegressor().fit(np.load(tmp_path / "gallery.npy", mmap_mode="r"), y)
    knn.remove(GONE)
    keep = left(150)
    expected = KNNGeoRegressor().fit(X[keep].astype(dtype), y[keep])
    np.testing.assert_array_equal(knn.predict(Q), expected.predict(Q))
    assert knn._gallery.dtype == dtype
    assert not isinstance(knn._gallery, np.memmap)
    assert (tmp_path / "gallery.npy").read_bytes() == content


def test_growing_and_removing_in_turn(gallery):
    X, y, Q = gallery
    rows = list(range(50))
    knn = KNNGeoRegressor("mean-shift", n_neighbors=9).fit(X[:50], y[:50])
    for start in range(50, 150, 20):
        added = list(range(start, start + 20))
        knn.partial_fit(X[added], y[added]).remove([0, 5, -1])
        rows += added
        rows = [rows[i] for i in left(len(rows), [0, 5, -1])]
        expected = KNNGeoRegressor("mean-shift", n_neighbors=9).fit(X[rows], y[rows])
        np.testing.assert_array_equal(knn.predict(Q), expected.predict(Q))
    again = pickle.loads(pickle.dumps(knn)).remove(7)
    assert (again.n_samples_fit_, knn.n_samples_fit_) == (134, 135)
    assert knn.remove([]).n_samples_fit_ == 135


def test_neighbours_and_explanations_tell_the_index(gallery):
    X, y, _ = gallery
    knn = KNNGeoRegressor(n_neighbors=3).fit(X, y)
    where = knn.kneighbors(X[[60]], 1, return_distance=False)[:, 0]
    assert where.tolist() == [60]
    knn.remove(where)
    table = knn.explain(X[[60, 61]])
    assert table["index"][table["query"] == 1].iloc[0] == 60  # moved up
    np.testing.assert_array_equal(
        table[["latitude", "longitude"]].to_numpy(), knn.coordinates_[table["index"]]
    )
    assert not (table[["latitude", "longitude"]].to_numpy() == y[60]).any()


def test_down_to_one_photo_and_to_fewer_than_vote(gallery):
    X, y, Q = gallery
    knn = KNNGeoRegressor("mean-shift", n_neighbors=120).fit(X, y).remove(range(1, 150))
    np.testing.assert_array_equal(knn.predict(Q), np.tile(y[0], (len(Q), 1)))


def test_a_calibration_is_forgotten(gallery):
    X, y, Q = gallery
    knn = KNNGeoRegressor(n_neighbors=5).fit(X[:100], y[:100]).calibrate(X[100:], y[100:])
    knn.remove([])  # nothing has changed
    knn.predict_with_uncertainty(Q, confidence=0.5)
    knn.remove([0])
    with pytest.raises(NotFittedError, match="not calibrated"):
        knn.predict_with_uncertainty(Q, confidence=0.5)
    expected = KNNGeoRegressor(n_neighbors=5).fit(X[1:100], y[1:100]).calibrate(X[100:], y[100:])
    found = knn.calibrate(X[100:], y[100:]).predict_with_uncertainty(Q, confidence=0.5)
    np.testing.assert_array_equal(
        found.radius_km, expected.predict_with_uncertainty(Q, confidence=0.5).radius_km
    )


def test_the_lazy_learner_forgets_them_too(gallery):
    X, y, Q = gallery
    keep = left(150)
    lazy = LazyGeoRegressor(n_neighbors=20, blocks=[2, 4])
    expected = clone(lazy).fit(X[keep], y[keep])
    np.testing.assert_array_equal(
        lazy.fit(X, y).remove(GONE).predict(Q[:5]), expected.predict(Q[:5])
    )


@pytest.mark.parametrize(
    ("indices", "match"),
    [
        ([150], "indices 150 is out of range; there are 150 photos, expected -150 to 149"),
        ([2, -151], "indices -151 is out of range"),
        ([4, 7, 4], "indices holds photo 4 2 times; expected each photo once"),
        ([149, -1], "indices holds photo 149 2 times"),
        (range(150), "indices holds all 150 photos of the gallery; expected at least one left"),
        ([0.0], "expected the number of a photo"),
        ([[0, 1]], "expected the number of a photo"),
        ([True] * 150, "expected the number of a photo"),
        (["a.jpg"], "expected the number of a photo"),
        (None, "expected the number of a photo"),
    ],
)
def test_what_is_no_photo_is_refused_and_the_gallery_stays(indices, match, gallery):
    X, y, Q = gallery
    knn = KNNGeoRegressor().fit(X, y)
    before = knn.predict(Q)
    with pytest.raises(ValueError, match=match):
        knn.remove(indices)
    assert knn.n_samples_fit_ == 150
    np.testing.assert_array_equal(knn.predict(Q), before)


def test_an_unfitted_gallery_has_nothing_to_remove():
    with pytest.raises(NotFittedError):
        KNNGeoRegressor().remove([0])
