"""The positions for load tests: the paper's numbers, and crowds as of photographs."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.datasets import make_photo_coordinates
from skgeo.datasets._photo_coordinates import AREAS, N_PHOTOS
from skgeo.metrics import great_circle_distance


def test_has_the_numbers_of_the_paper():
    assert N_PHOTOS == 664_720
    assert len(AREAS) == 35
    photos = make_photo_coordinates(random_state=0)
    assert photos.coordinates.shape == (664_720, 2)
    counts = dict(zip(photos.area_names, np.bincount(photos.area), strict=True))
    assert counts == {name: area[0] for name, area in AREAS.items()}
    assert counts["NewYorkCity"] == 27_369
    assert "664,720" in photos.DESCR


@pytest.mark.parametrize("n", [1, 34, 35, 1000, 20_001])
def test_other_numbers_keep_the_shares(n):
    photos = make_photo_coordinates(n, random_state=0)
    assert photos.coordinates.shape == (n, 2)
    counts = np.bincount(photos.area, minlength=35)
    exact = np.array([area[0] for area in AREAS.values()]) * n / N_PHOTOS
    assert np.abs(counts - exact).max() < 1.0


def test_places_lie_in_their_areas_on_the_earth():
    photos = make_photo_coordinates(20_000, random_state=0)
    middles = np.array([area[1:3] for area in AREAS.values()])
    reach = np.array([area[3] for area in AREAS.values()])
    away = great_circle_distance(middles[photos.area], photos.coordinates) / reach[photos.area]
    assert (away < 1.0).mean() > 0.75
    assert away.max() < 5.0
    assert np.abs(photos.coordinates[:, 0]).max() <= 90
    assert np.abs(photos.coordinates[:, 1]).max() <= 180


def test_crowds_are_few_and_large_and_positions_repeat():
    photos = make_photo_coordinates(50_000, random_state=0).coordinates
    distinct = np.unique(photos, axis=0)
    assert 0.8 < len(distinct) / len(photos) < 0.9
    # Cells of some hundred metres: the fullest hundredth hold a large part of the photographs.
    _, counts = np.unique(np.floor(photos / 0.003), axis=0, return_counts=True)
    counts.sort()
    assert counts[-len(counts) // 100 :].sum() > 0.15 * len(photos)
    assert (counts == 1).sum() > 0.1 * len(photos)
    none = make_photo_coordinates(5000, duplicated=0.0, scattered=1.0, random_state=0).coordinates
    assert len(np.unique(none, axis=0)) > 4990


def test_same_seed_same_places():
    first, again, other = (
        make_photo_coordinates(500, random_state=seed).coordinates for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "wrong", [{"n_photos": 0}, {"scattered": 1.5}, {"duplicated": -0.1}, {"random_state": "x"}]
)
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_photo_coordinates(**wrong)
