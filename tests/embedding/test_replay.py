"""New photos: which POI they join, and what is remembered of the old ones."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.cluster import POIMeanShift
from skgeo.embedding._replay import Memory, assign_labels, assign_places, join, remember


def memory(values, n_seen=None):
    X = np.asarray(values, dtype=np.float32)[:, None]
    labels = np.asarray(values, dtype=int)
    return Memory(X, labels, np.zeros((len(X), 2)), n_seen or len(X))


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
def test_photos_join_the_poi_they_are_in_and_open_new_ones_elsewhere(metric):
    bandwidth = 0.01 if metric == "euclidean" else 1.0
    places = np.array([[10.0, 179.9999]] * 3 + [[50.0, 5.0]] * 2)
    poi = POIMeanShift(bandwidth, metric=metric).fit(places)
    new = np.array([[50.001, 5.001], [-20.0, 30.0], [-20.001, 30.001], [70.0, 0.0]])
    labels, centres = assign_places(new, poi.cluster_centers_, poi)
    assert labels[0] == poi.labels_[3]
    assert labels[1] == labels[2] >= 2
    assert labels[3] >= 2
    assert labels[3] != labels[1]
    assert len(centres) == 4
    # A photo that comes later finds the POI that was opened meanwhile.
    later, same = assign_places(np.array([[-20.0, 30.0]]), centres, poi)
    assert later[0] == labels[1]
    assert len(same) == 4


def test_on_the_sphere_a_poi_reaches_across_the_antimeridian():
    poi = POIMeanShift(1.0, metric="haversine").fit(np.array([[10.0, 179.999]] * 3))
    labels, centres = assign_places(np.array([[10.0, -179.999]]), poi.cluster_centers_, poi)
    assert labels.tolist() == [0]
    assert len(centres) == 1


def test_labels_keep_their_numbers_and_new_ones_are_appended():
    labels, known = assign_labels(
        np.array([0, 1, 1, 2]), np.array(["a", "rome", "z"]), np.array(["rome", "z"])
    )
    assert known.tolist() == ["rome", "z", "a"]
    assert labels.tolist() == [2, 0, 0, 1]


def test_memory_is_a_uniform_sample_of_everything_seen():
    rng = np.random.default_rng(0)
    counts = np.zeros(60)
    for _ in range(2000):
        kept = remember(None, memory(range(30)), 10, rng)
        assert len(kept.X) == 10
        kept = remember(kept, memory(range(30, 60)), 10, rng)
        assert len(kept.X) == 10
        assert kept.n_seen == 60
        counts[kept.labels] += 1
    # Each of 60 is kept with probability 1/6.
    assert abs(counts / 2000 - 1 / 6).max() < 5 * np.sqrt(1 / 6 * 5 / 6 / 2000)


@pytest.mark.parametrize(("size", "expected"), [(None, 8), (0, 0), (100, 8)])
def test_memory_sizes(rng, size, expected):
    kept = remember(None, memory(range(5)), size, rng)
    kept = remember(kept, memory(range(5, 8)), size, rng)
    assert len(kept.X) == expected
    assert kept.n_seen == 8


def test_join_puts_the_old_first():
    both = join(memory([1, 2]), memory([3]))
    assert both.labels.tolist() == [1, 2, 3]
    assert both.n_seen == 3
