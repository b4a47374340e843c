"""The estimator when photos come later, and what it tells about each."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import DBSCAN, KMeans

from skgeo.cluster import POIMeanShift
from skgeo.metrics import great_circle_distance
from skgeo.pairs import InconsistencyPairs
from skgeo.pairs._extend import keep_photos

ROWS = ("same_area_", "easy_confusing_")


def assert_same_rows(a, b):
    for name in ROWS:
        left, right = getattr(a, name), getattr(b, name)
        assert left.shape == right.shape
        np.testing.assert_array_equal(left.indptr, right.indptr)
        np.testing.assert_array_equal(left.indices, right.indices)
        np.testing.assert_array_equal(left.data, 1.0)
        assert not left.has_sorted_indices
        np.testing.assert_array_equal(
            getattr(a, name + "distances_"), getattr(b, name + "distances_")
        )


def in_batches(estimator, X, y, cuts):
    for part in np.split(np.arange(len(X)), cuts):
        estimator.partial_fit(X[part], y[part])
    return estimator


@pytest.mark.parametrize("cuts", [[], [60], [1], [10, 11, 70, 110]], ids=str)
def test_known_areas_grow_to_what_fit_finds(photos, cuts):
    X, labels, _ = photos
    grown = in_batches(InconsistencyPairs(6, 4), X, labels, cuts)
    whole = InconsistencyPairs(6, 4).fit(X, labels)
    assert_same_rows(grown, whole)
    np.testing.assert_array_equal(grown.classes_[grown.labels_], labels)
    assert grown.coordinates_ is None


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("cuts", [[60], [2], [30, 31, 60]], ids=str)
def test_locations_grow_to_a_rebuild_under_the_same_areas(photos, cuts, metric):
    X, _, coordinates = photos
    poi = POIMeanShift(0.001 if metric == "euclidean" else 0.1, metric=metric)
    options = {"min_distance_km": 30.0, "n_jobs": 2}
    grown = in_batches(InconsistencyPairs(3, 4, poi=poi, **options), X, coordinates, cuts)
    np.testing.assert_array_equal(grown.coordinates_, coordinates)
    assert len(grown.labels_) == len(X)
    first = clone(poi).fit(coordinates[: cuts[0]])
    np.testing.assert_array_equal(grown.labels_[: cuts[0]], first.labels_)

    # A clusterer that answers with these labels makes a rebuild under the same areas.
    class Known(KMeans):
        def fit(self, X, y=None):
            self.labels_ = grown.labels_
            return self

    whole = InconsistencyPairs(3, 4, poi=Known(), **options).fit(X, coordinates)
    assert_same_rows(grown, whole)


def test_a_photo_joins_the_area_it_is_in_and_opens_one_elsewhere():
    pairs = InconsistencyPairs(2, 1).fit([[0.0], [1.0]], [[10.0, 20.0], [50.0, 5.0]])
    here, there = pairs.labels_
    pairs.partial_fit([[0.5], [0.6]], [[10.001, 20.001], [-30.0, 0.0]])
    assert pairs.labels_.tolist() == [here, there, here, 2]
    pairs.partial_fit([[0.7]], [[-30.001, 0.0]])
    assert pairs.labels_[-1] == 2
    assert pairs.same_area_.toarray()[:, 4].tolist() == [0, 0, 0, 1, 0]
    assert pairs.easy_confusing_.toarray()[1].tolist() == [0, 0, 0, 0, 1]


def test_fit_starts_anew(photos):
    X, labels, _ = photos
    pairs = InconsistencyPairs(3, 3).fit(X[:50], labels[:50]).partial_fit(X[50:], labels[50:])
    assert_same_rows(pairs.fit(X[:50], labels[:50]), clone(pairs).fit(X[:50], labels[:50]))
    assert_same_rows(pairs.partial_fit(X[50:], labels[50:]), clone(pairs).fit(X, labels))


def test_new_names_of_areas_are_appended():
    pairs = InconsistencyPairs(1, 1).fit([[0.0], [1.0]], ["rome", "oslo"])
    pairs.partial_fit([[2.0], [3.0]], ["nuku'alofa", "rome"])
    assert pairs.classes_.tolist() == ["oslo", "rome", "nuku'alofa"]
    assert pairs.classes_[pairs.labels_].tolist() == ["rome", "oslo", "nuku'alofa", "rome"]
    with pytest.raises(ValueError, match="labels of one type"):
        pairs.partial_fit([[2.0]], [7])


def test_after_anchors_the_new_rows_are_exact(photos):
    X, labels, _ = photos
    pairs = InconsistencyPairs(5, 4, method="anchor", k3=2).fit(X[:90], labels[:90])
    pairs.partial_fit(X[90:], labels[90:])
    exact = InconsistencyPairs(5, 4, method="exact").fit(X, labels)
    assert (pairs.same_area_ != exact.same_area_).nnz == 0
    assert (pairs.easy_confusing_[90:] != exact.easy_confusing_[90:]).nnz == 0
    assert pairs.method_ == "anchor"


def test_a_batch_may_be_overwritten_afterwards(photos):
    X, labels, _ = photos
    pairs, buffer = InconsistencyPairs(3, 3), np.empty((40, X.shape[1]))
    for start in range(0, 120, 40):
        buffer[:] = X[start : start + 40]
        pairs.partial_fit(buffer, labels[start : start + 40])
    assert_same_rows(pairs, InconsistencyPairs(3, 3).fit(X, labels))


def test_photos_are_kept_in_few_arrays_and_memory_maps_stay(tmp_path):
    kept, mapped = [], np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=(50, 2))
    kept = keep_photos(kept, np.asarray(mapped), copy=True)
    assert np.shares_memory(kept[0], mapped)
    for i in range(100):
        kept = keep_photos(kept, np.full((1, 2), float(i)), copy=True)
    assert len(kept) < 10
    assert np.shares_memory(kept[0], mapped)
    np.testing.assert_array_equal(np.concatenate(kept)[50:, 0], np.arange(100))
    kept = keep_photos(kept, np.zeros((1000, 2), dtype=np.float32), copy=True)
    assert kept[-1].dtype == np.float32


def test_pickles_go_on_growing_and_are_small_where_nothing_is_kept(rng):
    X, labels = rng.normal(size=(200, 400)), np.arange(200) % 5
    pairs = InconsistencyPairs(2, 2).fit(X[:150], labels[:150])
    again = pickle.loads(pickle.dumps(pairs)).partial_fit(X[150:], labels[150:])
    assert_same_rows(again, InconsistencyPairs(2, 2).fit(X, labels))
    lean = InconsistencyPairs(2, 2, store_X=False).fit(X[:150], labels[:150])
    assert len(pickle.dumps(lean)) < 0.1 * len(pickle.dumps(pairs))
    with pytest.raises(ValueError, match="store_X=False"):
        lean.partial_fit(X[150:], labels[150:])
    # From the start it is plain what is wanted.
    grown = in_batches(InconsistencyPairs(2, 2, store_X=False), X, labels, [150])
    assert_same_rows(grown, again)


@pytest.mark.parametrize("change", [{"k1": 4}, {"k2": 1}, {"min_distance_km": 1.0}])
def test_rows_of_another_length_are_refused(photos, change):
    X, _, coordinates = photos
    pairs = InconsistencyPairs(3, 2).fit(X, coordinates).set_params(**change)
    with pytest.raises(ValueError, match=f"{next(iter(change))}.*call fit with all photos"):
        pairs.partial_fit(X, coordinates)


def test_what_cannot_be_added_is_named_and_changes_nothing(photos):
    X, labels, coordinates = photos
    pairs = InconsistencyPairs(3, 2).fit(X, coordinates)
    for new, y, message in (
        (X[:2], labels[:2], "y holds labels, but fit had locations"),
        (X[:2, 1:], coordinates[:2], "5 features"),
        ([[np.nan] * 6], coordinates[:1], "NaN"),
        (X[:2], coordinates[:3], "3"),
        (X[:1], [[91.0, 0.0]], "latitude"),
        (X[:1], None, "requires y"),
        ([[1e200] * 6], coordinates[:1], "overflow"),
    ):
        with pytest.raises(ValueError, match=message):
            pairs.partial_fit(new, y)
    assert_same_rows(pairs, InconsistencyPairs(3, 2).fit(X, coordinates))
    assert len(pairs.labels_) == len(pairs.coordinates_) == len(X)
    assert_same_rows(
        pairs.partial_fit(X[:5], coordinates[:5]),
        InconsistencyPairs(3, 2).fit(
            np.concatenate([X, X[:5]]), np.concatenate([coordinates, coordinates[:5]])
        ),
    )
    with pytest.raises(ValueError, match="y holds locations, but fit had labels"):
        InconsistencyPairs().fit(X, labels).partial_fit(X, coordinates)
    with pytest.raises(ValueError, match="DBSCAN has none"):
        InconsistencyPairs(poi=DBSCAN()).fit(X, coordinates).partial_fit(X, coordinates)


# --- explanations -----------------------------------------------------------------------------


def test_an_explanation_has_the_rows_of_both_matrices(photos):
    X, _, coordinates = photos
    pairs = InconsistencyPairs(4, 3).fit(X, coordinates)
    told = pairs.explain([7, -1, 7])
    for photo, table in pairs.explain([7, -1]).groupby("photo"):
        assert photo in (7, 119)
        for kind, part in table.groupby("kind"):
            matrix = getattr(pairs, kind + "_")
            row = slice(*matrix.indptr[photo : photo + 2])
            np.testing.assert_array_equal(part["index"], matrix.indices[row])
            np.testing.assert_array_equal(
                part["distance"], getattr(pairs, kind + "_distances_")[row]
            )
            np.testing.assert_array_equal(part["rank"], np.arange(len(part)))
            np.testing.assert_array_equal(
                part[["latitude", "longitude"]], coordinates[part["index"]]
            )
            np.testing.assert_allclose(
                part["km"],
                great_circle_distance(
                    np.broadcast_to(coordinates[photo], (len(part), 2)), coordinates[part["index"]]
                ),
            )
            np.testing.assert_array_equal(part["area"], pairs.labels_[part["index"]])
            same = part["area"] == pairs.labels_[photo]
            assert (same if kind == "same_area" else ~same).all()
    # In the order asked for, as often as asked for, same-area partners first.
    assert told["photo"].drop_duplicates().tolist() == [7, 119]
    assert len(told) == 2 * len(pairs.explain(7)) + len(pairs.explain(119))
    assert pairs.explain(7)["kind"].tolist() == sorted(pairs.explain(7)["kind"], reverse=True)
    pd.testing.assert_frame_equal(pairs.explain(-1), pairs.explain(119))


def test_labels_have_no_km():
    pairs = InconsistencyPairs(2, 2).fit([[0.0], [1.0], [3.0]], ["oslo", "rome", "oslo"])
    told = pairs.explain(0)
    assert told["area"].tolist() == ["oslo", "rome"]
    assert told["kind"].tolist() == ["same_area", "easy_confusing"]
    assert told[["km", "latitude", "longitude"]].isna().all(axis=None)


def test_grown_pairs_explain_new_photos(photos):
    X, _, coordinates = photos
    pairs = InconsistencyPairs(4, 3).fit(X[:100], coordinates[:100])
    pairs.partial_fit(X[100:], coordinates[100:])
    assert pairs.explain(119)["km"].notna().all()
    assert (pairs.explain(np.arange(100))["index"] >= 100).any()


def test_a_photo_without_partners_has_an_empty_table():
    told = InconsistencyPairs().fit([[1.0]], [[0.0, 0.0]]).explain(0)
    assert len(told) == 0
    assert "km" in told.columns


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, "index 3 is out of range; there are 3 photos"),
        ([0, -4], "index -4 is out of range"),
        (1.0, "number of a photo"),
        ("a", "number of a photo"),
        ([[0]], "number of a photo"),
        ([True], "number of a photo"),
    ],
)
def test_photos_that_are_not_there_are_named(index, message):
    pairs = InconsistencyPairs().fit([[0.0], [1.0], [2.0]], [0, 0, 1])
    with pytest.raises(ValueError, match=message):
        pairs.explain(index)
