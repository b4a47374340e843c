"""The synthetic world keeps what it promises: geography, looks, circumstances, determinism."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import Bunch

from skgeo.datasets import make_geo_world
from skgeo.metrics import great_circle_distance, great_circle_threshold_score


@pytest.fixture(scope="module")
def world() -> Bunch:
    return make_geo_world(random_state=0)


def test_shapes_and_types(world):
    n = 16 * 4 * 40
    assert world.data.shape == (n, 120)
    assert world.data.dtype == np.float32
    assert world.coordinates.shape == (n, 2)
    assert world.coordinates.dtype == np.float64
    for labels in (world.groups, world.poi, world.area, world.aspect):
        assert labels.shape == (n,)
    assert "2560 photographs of 64 places" in world.DESCR
    np.testing.assert_array_equal(world.area, world.poi // 4)
    np.testing.assert_array_equal(np.bincount(world.poi), np.full(64, 40))


def test_same_seed_same_bits_and_other_seed_other_world(world):
    again = make_geo_world(random_state=0)
    for key, value in world.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, again[key])
    other = make_geo_world(random_state=1)
    assert not np.array_equal(other.poi_coordinates, world.poi_coordinates)
    X, y = make_geo_world(random_state=0, return_X_y=True)
    np.testing.assert_array_equal(X, world.data)
    np.testing.assert_array_equal(y, world.coordinates)


@pytest.mark.parametrize("max_abs_latitude", [65.0, 90.0, 1.0])
def test_geography(max_abs_latitude):
    world = make_geo_world(
        12,
        5,
        8,
        area_radius_km=80,
        poi_radius_km=0.3,
        max_abs_latitude=max_abs_latitude,
        random_state=3,
    )
    poi, area = world.poi_coordinates, world.area_coordinates
    assert np.abs(area[:, 0]).max() <= max_abs_latitude
    assert great_circle_distance(poi[world.poi], world.coordinates).max() <= 0.3 + 1e-9
    assert great_circle_distance(np.repeat(area, 5, axis=0), poi).max() <= 80 + 1e-9
    for i, j in itertools.combinations(range(60), 2):
        apart = great_circle_distance(poi[[i]], poi[[j]])[0]
        assert apart >= (0.6 * 80 / np.sqrt(5) - 1e-9 if i // 5 == j // 5 else 160)


def test_photos_fill_the_disc_around_their_poi():
    world = make_geo_world(1, 1, 4000, poi_radius_km=2.0, random_state=0)
    distance = great_circle_distance(world.poi_coordinates[world.poi], world.coordinates)
    # Uniform in a disc: the square of the distance is uniform.
    assert np.mean(distance**2) == pytest.approx(2.0, rel=0.05)
    exact = make_geo_world(2, 2, 5, poi_radius_km=0, random_state=0)
    np.testing.assert_allclose(exact.coordinates, exact.poi_coordinates[exact.poi], atol=1e-9)


def test_aspects_differ_in_a_poi_and_are_shared_by_distant_areas(world):
    for poi in range(64):
        assert len(np.unique(world.aspect[world.poi == poi])) == 3
    for aspect in range(12):
        areas = np.unique(world.area[world.aspect == aspect])
        assert len(areas) >= 8  # 64 POIs x 3 aspects / 12 = 16 POIs, of 4 in an area
    own = make_geo_world(
        3,
        2,
        60,
        n_shared_aspects_per_poi=1,
        n_own_aspects_per_poi=2,
        n_shared_aspects=2,
        random_state=0,
    )
    for aspect in range(2, 2 + 12):
        assert np.unique(own.poi[own.aspect == aspect]).tolist() == [(aspect - 2) // 2]


def test_photographers_share_a_poi_evenly():
    world = make_geo_world(4, 3, 24, n_photographers=30, n_visitors_per_poi=6, random_state=0)
    for poi in range(12):
        _, counts = np.unique(world.groups[world.poi == poi], return_counts=True)
        assert counts.tolist() == [4] * 6


def correlation_within(labels, data):
    """Part of the variance that lies between the groups."""
    means = np.stack([data[labels == v].mean(axis=0) for v in np.unique(labels)])
    counts = np.array([(labels == v).sum() for v in np.unique(labels)])
    total = ((data - data.mean(axis=0)) ** 2).sum()
    return float((counts[:, None] * (means - data.mean(axis=0)) ** 2).sum() / total)


def test_look_explains_more_variance_than_place(world):
    assert correlation_within(world.aspect, world.data) > 0.2
    assert correlation_within(world.poi, world.data) < 0.2


@pytest.mark.parametrize(
    ("silent", "keyword"),
    [("aspect", "aspect_scale"), ("groups", "nuisance_scale"), ("poi", "place_scale")],
)
def test_a_scale_of_zero_silences_its_factor(silent, keyword):
    keywords = {"aspect_scale": 1.0, "nuisance_scale": 1.0, "place_scale": 1.0, "style_share": 1.0}
    loud = make_geo_world(8, 2, 60, random_state=0, **keywords)
    quiet = make_geo_world(8, 2, 60, random_state=0, **{**keywords, keyword: 0.0})
    # 16 POIs, 12 aspects and some 100 photographers: groups of noise explain n_groups / n.
    by_chance = len(np.unique(quiet[silent])) / len(quiet.data)
    assert correlation_within(loud[silent], loud.data) > correlation_within(
        quiet[silent], quiet.data
    )
    if silent != "groups":  # photographers do not visit every POI, so they keep some place
        assert correlation_within(quiet[silent], quiet.data) < 2 * by_chance + 0.05


def test_linear_without_nonlinearity_and_noise():
    keywords = {"noise": 0.0, "random_state": 0, "n_features": 60}
    linear = make_geo_world(6, 3, 20, nonlinearity=0.0, **keywords).data
    bent = make_geo_world(6, 3, 20, nonlinearity=0.5, **keywords).data
    assert np.linalg.matrix_rank(linear, tol=1e-3 * np.linalg.norm(linear, 2)) == 36
    assert np.linalg.matrix_rank(bent, tol=1e-3 * np.linalg.norm(bent, 2)) > 50
    noisy = make_geo_world(6, 3, 20, nonlinearity=0.0, **{**keywords, "noise": 2.0}).data
    assert (noisy - linear).std() == pytest.approx(2.0, rel=0.05)


def test_place_hides_from_distance_and_shows_to_supervision():
    for seed in range(3):
        world = make_geo_world(random_state=seed)
        test = np.isin(world.groups, np.arange(50))
        X, y, poi = world.data, world.coordinates, world.poi

        def within_25_km(train, queries, y=y, test=test):
            nearest = NearestNeighbors(n_neighbors=1).fit(train)
            found = nearest.kneighbors(queries, return_distance=False).ravel()
            return great_circle_threshold_score(y[test], y[~test][found], threshold_km=25)

        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(X[~test], poi[~test])
        assert 0.1 < within_25_km(X[~test], X[test]) < 0.35
        assert within_25_km(lda.transform(X[~test]), lda.transform(X[test])) > 0.55


def test_smallest_world():
    world = make_geo_world(
        1,
        1,
        1,
        n_features=3,
        n_place_factors=1,
        n_aspect_factors=1,
        n_nuisance_factors=1,
        n_visitors_per_poi=1,
        n_photographers=1,
        random_state=0,
    )
    assert world.data.shape == (1, 3)
    assert np.isfinite(world.data).all()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_features": 20}, "less than the 36 factors"),
        ({"n_shared_aspects": 2}, "pool of n_shared_aspects=2"),
        ({"n_shared_aspects_per_poi": 0}, "at least one aspect"),
        ({"n_photographers": 5}, "more than n_photographers=5"),
        ({"n_areas": 0}, "n_areas"),
        ({"nonlinearity": 1.5}, "nonlinearity"),
        ({"noise": -1.0}, "noise"),
        ({"max_abs_latitude": 91}, "max_abs_latitude"),
    ],
)
def test_bad_parameters(keywords, message):
    with pytest.raises(ValueError, match=message):
        make_geo_world(**keywords)
