"""Splits hold for every pair of samples what they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgeo._geodesy import EARTH_RADIUS_KM, great_circle_km
from skgeo.metrics import great_circle_threshold_scorer
from skgeo.model_selection import PhotographerSplit, SpatialBlockSplit, spherical_blocks
from skgeo.model_selection._folds import deal_groups


def everywhere(rng, n):
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return np.column_stack([lat, rng.uniform(-180, 180, n)])


def awkward(rng):
    """Cities, the poles, the antimeridian, and the same place several times."""
    cities = np.repeat(everywhere(rng, 12), 10, axis=0) + rng.normal(0, 0.05, (120, 2))
    fiji = np.column_stack([rng.normal(-17, 0.2, 40), 180 - rng.uniform(0, 0.4, 40)])
    fiji[::2, 1] = -180 + rng.uniform(0, 0.4, 20)
    poles = np.column_stack([np.repeat([90.0, -90.0, 89.5], 6), rng.uniform(-180, 180, 18)])
    edges = np.array([[-17, 180], [-17, -180], [0, 0], [0, 0], [0, 0]], dtype=float)
    return np.clip(np.vstack([cities, fiji, poles, edges]), [-90, -180], [90, 180])


@pytest.mark.parametrize("block_km", [50.0, 500.0, 3000.0])
def test_blocks_have_nearly_equal_area(rng, block_km):
    y = everywhere(rng, 200_000)
    labels = spherical_blocks(y, block_km)
    expected = 4 * np.pi * EARTH_RADIUS_KM**2 / block_km**2
    assert labels.max() < expected * 1.1 + 2
    if block_km == 500.0:  # enough samples in each to measure its area by counting
        counts = np.bincount(labels)
        assert len(counts) == pytest.approx(expected, rel=0.02)
        assert counts.min() > 0.6 * counts.mean()
        assert counts.max() < 1.4 * counts.mean()


def test_blocks_are_compact(rng):
    y = everywhere(rng, 5_000)
    labels = spherical_blocks(y, 800.0)
    for label in np.unique(labels):
        inside = y[labels == label]
        # The longest way in the wedges at the poles, the diagonal elsewhere.
        assert great_circle_km(inside[:, None], inside[None]).max() < 1.75 * 800


def test_blocks_by_scalar_reference(rng):
    def slowly(lat, lon, block_km):
        bands = max(1, round(np.pi * EARTH_RADIUS_KM / block_km))
        start = 0
        for band in range(bands):
            low, high = -90 + 180 * band / bands, -90 + 180 * (band + 1) / bands
            share = (np.sin(np.radians(high)) - np.sin(np.radians(low))) / 2
            cells = max(1, round(share * 4 * np.pi * EARTH_RADIUS_KM**2 / block_km**2))
            if lat < high or band == bands - 1:
                east = 0.0 if lon == 180 else (lon + 180) / 360
                return start + (0 if abs(lat) == 90 else int(east * cells))
            start += cells
        raise AssertionError

    y = np.vstack([everywhere(rng, 400), awkward(rng)])
    for block_km in (30.0, 700.0, 9_000.0, 50_000.0):
        expected = [slowly(lat, lon, block_km) for lat, lon in y.tolist()]
        assert spherical_blocks(y, block_km).tolist() == expected


def test_one_place_is_one_block():
    labels = spherical_blocks([[-17, 180], [-17, -180], [90, -170], [90, 10], [-90, 5], [-90, 99]])
    assert labels[0] == labels[1]
    assert labels[2] == labels[3]
    assert labels[4] == labels[5]
    with pytest.raises(ValueError, match="block_km"):
        spherical_blocks([[0, 0]], 0)
    with pytest.raises(ValueError, match="latitude outside"):
        spherical_blocks([[91, 0]])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_folds", [2, 3, 7])
def test_deal_is_balanced(seed, n_folds):
    rng = np.random.default_rng(seed)
    labels = rng.zipf(1.6, 400) % 40
    folds, n_groups = deal_groups(labels, n_folds, np.random.RandomState(seed))
    assert n_groups == len(np.unique(labels))
    for label in np.unique(labels):
        assert len(np.unique(folds[labels == label])) == 1
    sizes = np.bincount(folds, minlength=n_folds)
    best_possible = max(len(labels) / n_folds, np.unique(labels, return_counts=True)[1].max())
    assert sizes.max() <= 4 / 3 * best_possible + 1


def test_deal_is_the_best_of_all_small_deals():
    labels = np.repeat(np.arange(6), [5, 4, 3, 3, 2, 1])
    folds, _ = deal_groups(labels, 2, None)
    best = min(
        max(sum(s for s, f in zip([5, 4, 3, 3, 2, 1], deal, strict=True) if f == k) for k in (0, 1))
        for deal in itertools.product([0, 1], repeat=6)
    )
    assert np.bincount(folds).max() == best == 9


SPLITS = [
    SpatialBlockSplit(3),
    SpatialBlockSplit(4, block_km=100.0, buffer_km=150.0),
    SpatialBlockSplit(5, block_km=200.0, shuffle=True, random_state=3),
    SpatialBlockSplit(2, block_km=1500.0, buffer_km=700.0, shuffle=True, random_state=0),
]


@pytest.mark.parametrize("split", SPLITS, ids=repr)
def test_spatial_promises_by_brute_force(rng, split):
    y = awkward(rng)
    n = len(y)
    distance = great_circle_km(y[:, None], y[None])
    times_tested = np.zeros(n, dtype=int)
    for train, test in split.split(np.zeros((n, 3)), y):
        times_tested[test] += 1
        assert set(train).isdisjoint(test)
        assert np.all(np.diff(train) > 0)
        nearest = distance[:, test].min(axis=1)
        assert np.all(nearest[train] > split.buffer_km - 1e-9)
        if split.buffer_km:
            # What was left out was left out for being near, and for nothing else.
            rest = np.setdiff1d(np.arange(n), np.concatenate([train, test]))
            assert np.all(nearest[rest] <= split.buffer_km + 1e-9)
        else:
            assert len(train) + len(test) == n
            # The same place, however it is written, is on one side.
            assert np.all(nearest[train] > 0)
        if not split.shuffle:
            blocks = spherical_blocks(y, split.block_km)
            assert set(blocks[train]).isdisjoint(blocks[test])
    assert np.all(times_tested == 1)


def test_spatial_is_deterministic_and_turns_with_the_seed(rng):
    y = everywhere(rng, 300)

    def folds(**keywords):
        split = SpatialBlockSplit(4, **keywords)
        return [test.tolist() for _, test in split.split(y, y)]

    assert folds() == folds()
    assert folds(shuffle=True, random_state=1) == folds(shuffle=True, random_state=1)
    assert folds(shuffle=True, random_state=1) != folds(shuffle=True, random_state=2)
    assert folds(shuffle=True, random_state=1) != folds()
    split = SpatialBlockSplit(4, shuffle=True, random_state=1)
    assert [t.tolist() for _, t in split.split(y, y)] == [t.tolist() for _, t in split.split(y, y)]


def test_spatial_folds_are_of_like_size(rng):
    y = everywhere(rng, 1000)
    for split in (SpatialBlockSplit(5), SpatialBlockSplit(5, shuffle=True, random_state=0)):
        sizes = [len(test) for _, test in split.split(y, y)]
        assert max(sizes) - min(sizes) <= 10


def test_spatial_takes_coordinates_from_groups_first(rng):
    y = everywhere(rng, 60)
    labels = np.arange(60) % 4
    split = SpatialBlockSplit(3, block_km=2000)
    from_y = [test.tolist() for _, test in split.split(np.zeros(60), y)]
    assert [test.tolist() for _, test in split.split(list("ab" * 30), labels, y)] == from_y
    assert [test.tolist() for _, test in split.split(None, pd.DataFrame(y))] == from_y


@pytest.mark.parametrize(
    ("split", "y", "groups", "message"),
    [
        (SpatialBlockSplit(2), None, None, "needs coordinates"),
        (SpatialBlockSplit(2), [[0, 0], [0, 95]], [0, 1], r"groups has shape \(2,\)"),
        (SpatialBlockSplit(2), [0, 1], None, r"y has shape \(2,\)"),
        (SpatialBlockSplit(2), [[0, 0], [95, 0]], None, "latitude outside"),
        (SpatialBlockSplit(2), [[0, 0]], None, "1 rows but X has 2"),
        (SpatialBlockSplit(2), [[0.5, 0.5], [0.5, 0.6]], None, r"lie in 1 block\(s\) of 500 km"),
        (SpatialBlockSplit(2, buffer_km=20_100), [[0, 0], [0, 90]], None, "nothing to train on"),
    ],
)
def test_spatial_bad_input(split, y, groups, message):
    with pytest.raises(ValueError, match=message):
        list(split.split([0, 0], y, groups))


@pytest.mark.parametrize(
    ("cls", "keywords", "message"),
    [
        (SpatialBlockSplit, {"n_splits": 1}, "n_splits"),
        (SpatialBlockSplit, {"block_km": 0}, "block_km"),
        (SpatialBlockSplit, {"buffer_km": -1}, "buffer_km"),
        (SpatialBlockSplit, {"random_state": 0}, "no effect"),
        (PhotographerSplit, {"n_splits": 1}, "k-fold cross-validation requires"),
        (PhotographerSplit, {"random_state": 0}, "no effect"),
        (PhotographerSplit, {"unknown": "drop"}, "unknown"),
    ],
)
def test_bad_parameters(cls, keywords, message):
    with pytest.raises(ValueError, match=message):
        cls(**keywords)


@pytest.mark.parametrize("shuffle", [False, True])
def test_photographer_promises(rng, shuffle):
    authors = np.array([f"user{i}" for i in rng.zipf(1.7, 300) % 50], dtype=object)
    split = PhotographerSplit(4, shuffle=shuffle, random_state=0 if shuffle else None)
    times_tested = np.zeros(300, dtype=int)
    for train, test in split.split(np.zeros(300), groups=authors):
        times_tested[test] += 1
        assert set(authors[train]).isdisjoint(authors[test])
        assert len(train) + len(test) == 300
    assert np.all(times_tested == 1)
    sizes = [len(test) for _, test in split.split(np.zeros(300), groups=authors)]
    largest = np.unique(authors.astype(str), return_counts=True)[1].max()
    assert max(sizes) <= max(largest, 76)


def test_photographers_tie_by_chance_only_when_shuffled():
    authors = np.repeat(np.arange(30), 2)

    def folds(**keywords):
        return [
            t.tolist() for _, t in PhotographerSplit(3, **keywords).split(authors, None, authors)
        ]

    assert folds() == folds()
    assert folds(shuffle=True, random_state=0) == folds(shuffle=True, random_state=0)
    assert folds(shuffle=True, random_state=0) != folds(shuffle=True, random_state=1)


def test_photographer_sizes_equal_group_k_fold(rng):
    authors = rng.integers(0, 25, 200)
    ours = sorted(len(t) for _, t in PhotographerSplit(5).split(authors, None, authors))
    theirs = sorted(len(t) for _, t in GroupKFold(5).split(authors, None, authors))
    assert ours == theirs


@pytest.mark.parametrize("missing", [None, np.nan, "", "  ", pd.NA])
def test_unknown_photographers(missing):
    authors = ["ann", missing, "bob", missing, "ann"]
    with pytest.raises(ValueError, match=r"groups\[1\] names no photographer"):
        next(PhotographerSplit(2).split(range(5), groups=authors))
    folds = list(PhotographerSplit(4, unknown="separate").split(range(5), groups=authors))
    assert sorted(test.tolist() for _, test in folds) == [[0, 4], [1], [2], [3]]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "pass them as groups"),
        (["a", "b"], "2 entries but X has 3"),
        ([["a"], ["b"], ["c"]], r"shape \(3, 1\)"),
        (["a", "a", "a"], r"1 photographer\(s\) are too few for n_splits=2"),
    ],
)
def test_photographer_bad_input(groups, message):
    with pytest.raises(ValueError, match=message):
        list(PhotographerSplit(2).split(range(3), groups=groups))


def test_both_serve_as_cv(rng):
    y = everywhere(rng, 80)
    X = np.hstack([y, rng.normal(size=(80, 2))])
    authors = np.array([f"u{i}" for i in rng.integers(0, 12, 80)])
    pipe = make_pipeline(StandardScaler(), KNeighborsRegressor(n_neighbors=1))
    scoring = great_circle_threshold_scorer(2500)
    for cv, groups in ((SpatialBlockSplit(3), None), (PhotographerSplit(3), authors)):
        scores = cross_val_score(pipe, X, y, groups=groups, cv=cv, scoring=scoring)
        assert scores.shape == (3,)
        search = GridSearchCV(
            pipe, {"kneighborsregressor__n_neighbors": [1, 5]}, cv=cv, scoring=scoring
        )
        search = clone(search).fit(X, y, groups=groups)
        assert search.n_splits_ == 3
    paths = np.array([f"photo{i}.jpg" for i in range(80)], dtype=object)
    scores = cross_val_score(DummyRegressor(), paths, y, cv=SpatialBlockSplit(3), scoring=scoring)
    assert scores.shape == (3,)


def test_repr_and_n_splits():
    assert " ".join(repr(SpatialBlockSplit(3, block_km=50)).split()) == (
        "SpatialBlockSplit(block_km=50, buffer_km=0.0, n_splits=3, random_state=None, "
        "shuffle=False)"
    )
    text = "PhotographerSplit(n_splits=2, random_state=None, shuffle=False, unknown='raise')"
    assert " ".join(repr(PhotographerSplit(2)).split()) == text
    assert SpatialBlockSplit(7).get_n_splits() == 7
    assert PhotographerSplit(4).get_n_splits(None, None, None) == 4


def test_real_authors(shared_data):
    table = pd.read_csv(shared_data / "gps" / "yfcc25600_places365.csv")
    y, authors = table[["LAT", "LON"]].to_numpy(), table["AUTHOR"]
    sizes = []
    for train, test in PhotographerSplit(5).split(y, groups=authors):
        assert set(authors.iloc[train]).isdisjoint(authors.iloc[test])
        sizes.append(len(test))
    assert max(sizes) - min(sizes) <= 2
    for train, test in SpatialBlockSplit(5, buffer_km=25).split(y, y):
        assert len(train) > 15_000
        some = test[::200]
        assert great_circle_km(y[train][:, None], y[some][None]).min() > 25
