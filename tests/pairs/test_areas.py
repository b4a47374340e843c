"""New photos: which areas they join, and which they open."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, KMeans, MeanShift

from skgeo.cluster import POIMeanShift
from skgeo.pairs._areas import area_labels, assign_labels, assign_places, known_areas


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_photos_join_the_poi_they_are_in_and_open_new_ones_elsewhere(metric):
    bandwidth = 0.01 if metric == "euclidean" else 1.0
    places = np.array([[10.0, 179.9999]] * 3 + [[50.0, 5.0]] * 2)
    poi = POIMeanShift(bandwidth, metric=metric).fit(places)
    new = np.array([[50.001, 5.001], [-20.0, 30.0], [-20.001, 30.001], [70.0, 0.0]])
    labels, known = assign_places(new, known_areas(poi, poi.labels_), poi)
    assert labels[0] == poi.labels_[3]
    assert labels[1] == labels[2] >= 2
    assert labels[3] >= 2
    assert labels[3] != labels[1]
    assert known.n_areas == len(known.centers) == 4
    # A photo that comes later finds the POI that was opened meanwhile.
    later, same = assign_places(np.array([[-20.0, 30.0]]), known, poi)
    assert later[0] == labels[1]
    assert same.n_areas == 4


def test_on_the_sphere_a_poi_reaches_across_the_antimeridian():
    poi = POIMeanShift(1.0, metric="haversine").fit(np.array([[10.0, 179.999]] * 3))
    labels, known = assign_places(np.array([[10.0, -179.999]]), known_areas(poi, poi.labels_), poi)
    assert labels.tolist() == [0]
    assert known.n_areas == 1


def test_photos_of_the_fit_keep_their_nearest_poi(rng):
    places = rng.uniform([40, 2], [40.2, 2.2], (400, 2))
    poi = POIMeanShift(0.01, assign="nearest").fit(places)
    labels, known = assign_places(places, known_areas(poi, poi.labels_), poi)
    inside = labels < len(poi.cluster_centers_)
    np.testing.assert_array_equal(labels[inside], poi.predict(places)[inside])
    away = np.linalg.norm(places - poi.cluster_centers_[poi.predict(places)], axis=1)
    np.testing.assert_array_equal(inside, away <= 0.01)
    assert 0 < (~inside).sum() < len(places)
    assert known.n_areas > len(poi.cluster_centers_)


def test_without_a_bandwidth_predict_says_where_a_photo_belongs():
    places = np.array([[0.0, 0.0], [0.0, 1.0], [50.0, 50.0]])
    poi = KMeans(2, random_state=0).fit(places)
    labels, known = assign_places(np.array([[80.0, 80.0]]), known_areas(poi, poi.labels_), poi)
    assert labels[0] == poi.labels_[2]
    assert known.n_areas == 2


def test_a_clusterer_that_cannot_assign_is_named():
    places = np.zeros((3, 2))
    poi = DBSCAN(min_samples=1).fit(places)
    with pytest.raises(ValueError, match="DBSCAN has none"):
        assign_places(places, known_areas(poi, poi.labels_), poi)


def test_noise_never_shares_a_number_with_a_centre():
    places = np.array([[0.0, 0.0]] * 3 + [[0.0, 0.5], [0.0, 5.0]])
    poi = MeanShift(bandwidth=1.0, cluster_all=False, seeds=[[0.0, 0.0], [0.0, 0.1]]).fit(places)
    labels = area_labels(poi, len(places))
    assert poi.labels_.tolist() == [0, 0, 0, 0, -1]
    assert labels[-1] == 1
    new = np.array([[0.0, 0.1], [0.0, 9.0], [0.0, 9.1]])
    clone_of_it = POIMeanShift(1.0)
    clone_of_it.cluster_centers_ = poi.cluster_centers_
    assigned, known = assign_places(new, known_areas(poi, labels), clone_of_it)
    assert assigned.tolist() == [0, 2, 2]
    assert known.n_areas == 3
    assert assign_places(new[1:2], known, clone_of_it)[0].tolist() == [2]


def test_labels_keep_their_numbers_and_new_ones_are_appended():
    labels, known = assign_labels(
        np.array([0, 1, 1, 2]), np.array(["a", "rome", "zanzibar"]), np.array(["rome", "z"])
    )
    assert known.tolist() == ["rome", "z", "a", "zanzibar"]
    assert labels.tolist() == [2, 0, 0, 3]
    labels, known = assign_labels(np.array([0, 0]), np.array([7]), np.array([3, 7]))
    assert labels.tolist() == [1, 1]
    assert known.tolist() == [3, 7]


@pytest.mark.parametrize("text", [np.array(["1"]), np.array(["1"], dtype=object)])
def test_numbers_and_text_do_not_mix(text):
    with pytest.raises(ValueError, match="labels of one type"):
        assign_labels(np.array([0]), text, np.array([1, 2]))
    with pytest.raises(ValueError, match="labels of one type"):
        assign_labels(np.array([0]), np.array([1, 2]), text)
