"""The held-out part: places never in both parts, and a score that is the real 1-NN error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skgeo._geodesy import great_circle_km
from skgeo.embedding import _held_out_places, _scatter
from skgeo.embedding._extent import extent_of_places
from skgeo.embedding._held_out_places import HeldOutPlaces, clustered_standard_error
from skgeo.embedding._holdout import (
    GeographicScore,
    ReconstructionScore,
)
from skgeo.embedding._network import AutoEncoder
from skgeo.embedding._representation import BlockStatistics, represent
from skgeo.embedding._residual_fit import n_parts_of
from skgeo.embedding._split import parts_by_place, split_by_place, split_within_areas


@pytest.mark.parametrize(("n_places", "n_parts"), [(1, 3), (2, 3), (7, 2), (60, 4), (60, 50)])
def test_parts_share_no_row_and_divide_no_place(n_places, n_parts):
    labels = np.random.default_rng(n_places).integers(n_places, size=200)
    parts = parts_by_place(labels, n_parts, 0.1, np.random.default_rng(3))
    assert len(parts) <= n_parts
    for train, held_out in parts:
        np.testing.assert_array_equal(np.sort(np.r_[train, held_out]), range(200))
        assert not set(labels[train]) & set(labels[held_out])
        assert len(train) > 0
    rows = np.concatenate([held_out for _, held_out in parts] or [[]])
    assert len(rows) == len(set(rows))
    if n_places == 60:
        # All parts there can be: no photo is left that was to be held out.
        assert len(rows) == 200 if n_parts == 50 else len(parts) == n_parts
    if parts:
        one = split_by_place(labels, 200, 0.1, np.random.default_rng(3))
        for a, b in zip(one, parts[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_places", [2, 5, 60])
def test_a_place_is_never_in_both_parts(rng, n_places):
    labels = rng.integers(n_places, size=200)
    labels[:2] = [0, 1]
    train, held = split_by_place(labels, 200, 0.2, rng)
    assert set(labels[train]).isdisjoint(labels[held])
    assert sorted([*train, *held]) == list(range(200))
    assert len(train)
    assert len(held)


def test_a_single_place_is_kept_for_training(rng):
    train, held = split_by_place(np.zeros(20, dtype=int), 20, 0.2, rng)
    assert len(train) == 20
    assert len(held) == 0


def test_without_labels_rows_are_held_out_singly(rng):
    train, held = split_by_place(None, 100, 0.1, rng)
    assert len(held) == 10
    assert len(train) == 90


def test_within_areas_every_area_stays_in_training(rng):
    labels = np.repeat(np.arange(30), rng.integers(1, 12, size=30))
    train, held = split_within_areas(labels, 0.5, rng)
    assert set(labels[train]) == set(labels)
    assert sorted([*train, *held]) == list(range(len(labels)))
    assert 0.2 < len(held) / len(labels) < 0.5


@pytest.fixture
def network():
    torch.manual_seed(0)
    return AutoEncoder([6, 4, 3], "tanh", "identity")


@pytest.mark.parametrize("output", ["concat", "hidden", "code"])
def test_the_score_is_that_of_the_ranking_which_transform_gives(rng, network, output):
    X = rng.normal(size=(80, 6)).astype(np.float32)
    labels = rng.integers(5, size=80)
    # Places of some 20 km, 60 km apart: errors are within, around and beyond 8 times an extent.
    coordinates = np.stack([48 + 0.6 * labels, np.full(80, 2.0)], 1) + rng.normal(0, 0.1, (80, 2))
    train, held = np.arange(60), np.arange(60, 80)
    statistics = BlockStatistics(network, X)
    Z = represent(network, statistics, X, output).astype(float)
    kwargs = {"labels": labels, "output": output, "rng": rng}
    score = GeographicScore(X, train, held, coordinates=coordinates, **kwargs)
    # The gallery is everything but the query and what is of its very spot.
    km = great_circle_km(coordinates[held, None], coordinates[None])
    distances = np.square(Z[held, None] - Z[None]).sum(axis=2)
    assert (km < score.extent).sum() > 40
    distances[km < score.extent] = np.inf
    errors = great_circle_km(coordinates[held], coordinates[distances.argmin(axis=1)])
    expected = -np.log(np.clip(errors / score.extent, 1, 8))
    assert len(np.unique(expected)) > 5
    np.testing.assert_allclose(np.sort(score(network)), np.sort(expected))
    distances = np.square(Z[held, None] - Z[None]).sum(axis=2)
    distances[np.arange(20), held] = np.inf  # the photo itself
    score = GeographicScore(X, train, held, coordinates=None, **kwargs)
    nearest = distances.argmin(axis=1)
    assert score(network).mean() == pytest.approx(np.mean(labels[held] == labels[nearest]))


def test_blocks_and_bounds_of_the_comparison(rng, monkeypatch):
    labels = rng.integers(12, size=300)
    coordinates = np.stack([labels * 5.0, np.full(300, 179.9)], 1) + rng.normal(0, 0.2, (300, 2))
    kept, held_out = split_by_place(labels, 300, 0.3, rng)

    def judge():
        return HeldOutPlaces(
            kept,
            held_out,
            coordinates=coordinates,
            labels=labels,
            rng=np.random.default_rng(5),
        )

    whole = judge()
    assert sorted(whole.chosen) == list(range(300))
    assert set(whole.chosen[: whole.n_queries]) == set(held_out)
    assert whole.left_out.sum() > whole.n_queries + 100
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", 8 * 300 * 7)
    np.testing.assert_array_equal(judge().left_out, whole.left_out)
    monkeypatch.setattr(_held_out_places, "MAX_QUERIES", 20)
    monkeypatch.setattr(_held_out_places, "MAX_GALLERY", 100)
    some = judge()
    assert (some.n_queries, len(some.chosen)) == (20, 100)
    assert set(some.chosen[:20]) <= set(held_out)
    assert set(some.chosen[20:]) <= set(kept)


@pytest.mark.parametrize(
    ("size", "n_parts"),
    [
        (1, 1000),
        (64, 16),
        (334, 3),
        (999, 3),
        (1000, 3),
        (2499, 3),
        (2500, 2),
        (5000, 1),
        (10**5, 1),
    ],
)
def test_photos_enough_and_places_enough_are_held_out(size, n_parts):
    assert n_parts_of(size) == n_parts


def test_copies_do_not_decide_which_network_is_better(rng):
    torch.manual_seed(0)
    labels = np.repeat(np.arange(20), 6)
    coordinates = np.stack([np.full(120, 10.0), labels + 0.02 * rng.normal(size=120)], 1)
    X = rng.normal(size=(120, 6)).astype(np.float32)
    # Each photo has a copy, taken at the same spot; what shows the place is in the first column.
    X[1::2], coordinates[1::2] = X[::2] + 1e-3, coordinates[::2]
    X[:, 0] = labels
    good, copies = (AutoEncoder([6, 1], "identity", "identity") for _ in range(2))
    with torch.no_grad():
        good.encoder[0].weight.copy_(torch.eye(6)[:1])
        copies.encoder[0].weight.copy_(torch.eye(6)[1:2])
    train, held = np.arange(60), np.arange(60, 120)
    kwargs = {"coordinates": coordinates, "labels": labels, "output": "code", "rng": rng}
    score = GeographicScore(X, train, held, **kwargs)
    assert score(good).mean() > score(copies).mean() + 0.5
    # With the copies among the neighbours it would be the other way round.
    score.left_out[:] = np.eye(*score.left_out.shape, dtype=bool)
    assert score(copies).mean() > score(good).mean() + 0.1


def test_places_that_are_one_position_each(rng, network):
    # Photos that are known to be of a city: all have its position, and none is a copy.
    labels = np.repeat(np.arange(8), 5)
    coordinates = np.stack([np.zeros(8), np.arange(8) * 20.0], 1)[labels]
    X = (labels[:, None] + 0.1 * rng.normal(size=(40, 6))).astype(np.float32)
    assert extent_of_places(coordinates, labels, rng) == 0
    kwargs = {"coordinates": coordinates, "labels": labels, "output": "concat", "rng": rng}
    score = GeographicScore(X, np.arange(20), np.arange(20, 40), **kwargs)
    assert not score.left_out[:, 20:].any()
    assert set(np.round(score(network), 12)) <= {0.0, round(-np.log(8), 12)}
    assert score(network).mean() > -0.5


@pytest.mark.parametrize("n", [1, 2, 30])
def test_a_query_keeps_a_gallery_when_all_photos_are_of_one_spot(rng, network, n):
    coordinates = np.full((n + 2, 2), 5.0) + 1e-9 * rng.normal(size=(n + 2, 2))
    coordinates[-1] = [-5, 175]
    labels = np.zeros(n + 2, dtype=int)
    X = rng.normal(size=(n + 2, 6)).astype(np.float32)
    kwargs = {"coordinates": coordinates, "labels": labels, "output": "code", "rng": rng}
    score = GeographicScore(X, np.arange(n), np.arange(n, n + 2), **kwargs)
    assert np.isfinite(score(network)).all()
    assert not score.left_out.all(axis=1).any()


def test_the_extent_is_the_median_distance_within_places(rng):
    labels = rng.integers(3, size=3000)
    coordinates = np.stack([np.zeros(3000), 40.0 * labels + rng.uniform(0, 1, 3000)], 1)
    degrees = extent_of_places(coordinates, labels, rng) / great_circle_km([0, 0], [0, 1])
    # Of two uniform draws: 1 - 1 / sqrt(2).
    assert degrees == pytest.approx(0.293, abs=0.03)
    assert extent_of_places(coordinates[:5], np.arange(5), rng) == 0


def test_reconstruction_score(rng, network):
    X = rng.normal(size=(40, 6)).astype(np.float32)
    held = np.arange(30, 40)
    with torch.no_grad():
        x = torch.from_numpy(X[held])
        expected = (x - network.decode(network.hidden(x)[-1])).square().sum(1).numpy()
    scores = ReconstructionScore(X, held, rng=rng)(network)
    np.testing.assert_allclose(np.sort(scores), np.sort(-expected), rtol=1e-5)


def test_the_standard_error_is_that_of_means_of_places(rng):
    groups = rng.integers(40, size=300)
    groups[:40] = np.arange(40)
    shared = rng.normal(size=40)
    spread = [clustered_standard_error(shared[groups] + rng.normal(size=300), groups)]
    assert clustered_standard_error(np.ones(300), groups) == 0.0
    assert clustered_standard_error(shared, np.zeros(40, dtype=int)) == np.inf
    # With one photo a place it is the textbook's.
    values = rng.normal(size=300)
    textbook = values.std(ddof=1) / np.sqrt(300)
    assert clustered_standard_error(values, np.arange(300)) == pytest.approx(textbook)
    # Photos that share their place's luck count for less than as many independent ones.
    assert spread[0] > 1.5 * textbook


def test_representation_normalises_each_block(rng, network):
    X = rng.normal(size=(130, 6)).astype(np.float32) * 1000
    Z = represent(network, BlockStatistics(network, X), X, "concat")
    assert Z.shape == (130, 13)
    for block in (Z[:, :6], Z[:, 6:10], Z[:, 10:]):
        np.testing.assert_allclose(block.mean(axis=0), 0, atol=1e-4)
        assert np.sqrt(np.square(block).sum(axis=1).mean()) == pytest.approx(1.0, rel=1e-4)
    with torch.no_grad():
        h1 = torch.tanh(network.encoder[0](torch.from_numpy(X)))
    correlation = np.corrcoef(h1[:, 0].numpy(), Z[:, 6])[0, 1]
    assert correlation == pytest.approx(1.0)


def test_a_row_does_not_depend_on_the_others(rng, network):
    X = rng.normal(size=(130, 6)).astype(np.float32)
    statistics = BlockStatistics(network, X)
    together = represent(network, statistics, X, "concat")
    alone = [represent(network, statistics, X[i : i + 1], "concat") for i in range(130)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=2e-7, atol=1e-12)
