"""Mean shift from distances alone, against mean shift on vectors."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.pairs import _visual_clusters
from skgeo.pairs._visual_clusters import find_anchors, modes_from_distances, rms_distance_within


def _slow_modes(points: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Flat-kernel mean shift on the vectors, until the photos under the kernel do not change."""
    ends = []
    for point in points:
        inside = None
        while True:
            now = frozenset(np.flatnonzero(((points - point) ** 2).sum(axis=1) <= radius**2))
            if now == inside:
                break
            inside, point = now, points[sorted(now)].mean(axis=0)
        ends.append(inside)
    modes = []
    for members in sorted(set(ends), key=lambda e: (-len(e), sorted(e))):
        center = points[sorted(members)].mean(axis=0)
        if all(((center - mode) ** 2).sum() > radius**2 for mode in modes):
            modes.append(center)
    nearest = [int(np.argmin([((p - m) ** 2).sum() for m in modes])) for p in points]
    return np.array(modes), np.array(nearest)


@pytest.mark.parametrize("dimension", [1, 2, 30])
@pytest.mark.parametrize("radius", [0.2, 0.7, 1.0, 2.0])
def test_equals_mean_shift_on_vectors(rng, dimension, radius):
    points = rng.normal(size=(80, dimension))
    points[50:60] = points[40:50]
    radius = radius * np.sqrt(dimension)
    squared = ((points[:, None] - points) ** 2).sum(axis=2)
    members, nearest = modes_from_distances(squared, radius)
    modes, expected = _slow_modes(points, radius)
    np.testing.assert_allclose(
        (members / members.sum(axis=1, keepdims=True)) @ points, modes, atol=1e-9
    )
    np.testing.assert_array_equal(nearest, expected)


def test_rms_distance_is_that_of_pairs_within_areas(rng):
    X = rng.normal(size=(30, 4)) * np.arange(1, 5)
    areas = [np.arange(10), np.array([10]), np.arange(11, 30)]
    total = [
        np.mean([((X[s] - X[t]) ** 2).sum() for t in ids if t != s])
        for ids in areas
        if len(ids) > 1
        for s in ids
    ]
    assert rms_distance_within(X, areas) == pytest.approx(np.sqrt(np.mean(total)), rel=1e-12)
    assert rms_distance_within(X, [np.array([i]) for i in range(30)]) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_anchors_are_centroids_of_clusters_inside_areas(rng, dtype):
    labels = rng.integers(0, 6, 200)
    looks = rng.integers(0, 3, 200)
    # Three well separated looks in each area, and the same three in all of them.
    X = (20 * np.eye(3)[looks] + rng.normal(size=(200, 3))).astype(dtype)
    anchors = find_anchors(X, labels, 0.3)
    assert len(anchors.area) == 18
    assert anchors.centroids.dtype == dtype
    for c in range(18):
        members = np.flatnonzero(anchors.cluster_of_photo == c)
        assert set(labels[members]) == {anchors.area[c]}
        assert len(set(looks[members])) == 1
        np.testing.assert_allclose(anchors.centroids[c], X[members].mean(axis=0), rtol=1e-5)


def test_photos_alone_and_identical_photos():
    X = np.array([[1.0], [5.0], [5.0], [5.0], [9.0]])
    anchors = find_anchors(X, np.array([0, 1, 1, 1, 2]), 0.8)
    assert anchors.centroids.ravel().tolist() == [1.0, 5.0, 9.0]
    assert anchors.cluster_of_photo.tolist() == [0, 1, 1, 1, 2]


def test_large_areas_are_sampled_and_the_rest_follows(rng, monkeypatch):
    monkeypatch.setattr(_visual_clusters, "MAX_SEEDS", 50)
    looks = rng.integers(0, 4, 400)
    X = 30 * np.eye(4)[looks] + rng.normal(size=(400, 4))
    labels = np.zeros(400, dtype=int)
    anchors = find_anchors(X, labels, 0.3, seed=0)
    assert len(anchors.area) == 4
    for c in range(4):
        members = np.flatnonzero(anchors.cluster_of_photo == c)
        assert len(set(looks[members])) == 1
        np.testing.assert_allclose(anchors.centroids[c], X[members].mean(axis=0), rtol=1e-9)


def test_only_the_seed_decides(rng, monkeypatch):
    monkeypatch.setattr(_visual_clusters, "MAX_SEEDS", 40)
    X, labels = rng.normal(size=(400, 3)), np.arange(400) % 3
    expected = find_anchors(X, labels, 0.6, seed=1)
    for n_jobs in (1, 2):
        again = find_anchors(X, labels, 0.6, seed=1, n_jobs=n_jobs)
        for a, b in zip(expected, again, strict=True):
            np.testing.assert_array_equal(a, b)
    other = find_anchors(X, labels, 0.6, seed=2)
    assert not np.array_equal(expected.cluster_of_photo, other.cluster_of_photo)
