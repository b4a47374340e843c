"""The network on the linear layer: it starts as the layer, and can only add."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch

from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.embedding._batches import PairData, PairGraph, SampledBatches
from skgeo.embedding._network import LinearLayer, ResidualAutoEncoder
from skgeo.embedding._phases import standardize
from skgeo.embedding._photos import Photos
from skgeo.embedding._representation import apply_layer
from skgeo.embedding._start import trial_layer
from skgeo.features import BlockScaler
from skgeo.neighbors import KNNGeoRegressor
from skgeo.pairs import InconsistencyPairs

SMALL = {"hidden_layer_sizes": (16, 8), "max_epochs": 2, "random_state": 0}
#: A bar that no epoch can clear.
UNTRAINED = {**SMALL, "learning_rate": 1e-12}


@pytest.fixture(scope="module")
def part():
    world = make_geo_world(random_state=0)
    rows = np.flatnonzero(world.poi < 12)
    return world.data[rows], world.coordinates[rows]


@pytest.mark.parametrize("places", ["locations", "labels"])
@pytest.mark.parametrize("pairs", [None, InconsistencyPairs(k1=3, k2=7)])
def test_untrained_it_is_the_linear_layer(part, places, pairs):
    X, y = part
    if places == "labels":
        y = (y[:, 1] * 10).astype(int).astype(str)
    dgae = DGAETransformer(**UNTRAINED, pairs=pairs).fit(X, y)
    layer = MarginalFisherTransformer(pairs=pairs).fit(X, y)
    assert (dgae.init_, dgae.best_epoch_) == ("marginal-fisher", 0)
    Z, expected = dgae.transform(X), layer.transform(X.astype(np.float64))
    np.testing.assert_allclose(Z, expected, rtol=0, atol=1e-6)
    first, second = (KNNGeoRegressor().fit(z, part[1]) for z in (Z, expected.astype(np.float32)))
    # Exactly the same neighbours in the same order, but for ties in the last digit.
    _, ours = first.kneighbors(Z[:100], 20)
    distances, theirs = second.kneighbors(expected[:100].astype(np.float32), 20)
    clear = np.diff(distances, axis=1).min(axis=1) > 1e-5
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(ours[clear], theirs[clear])
    np.testing.assert_array_equal(
        dgae.pairs_.easy_confusing_.indices, layer.pairs_.easy_confusing_.indices
    )


def test_the_layer_may_be_given_and_searched(part):
    X, y = part
    dgae = DGAETransformer(**UNTRAINED, init=MarginalFisherTransformer(shrinkage=0.1))
    first = dgae.fit_transform(X, y)
    layer = MarginalFisherTransformer(shrinkage=0.1).fit(X, y)
    np.testing.assert_allclose(first, layer.transform(X), rtol=0, atol=1e-5)
    assert dgae.set_params(init__shrinkage=0.8).fit(X, y).linear_.shrinkage == 0.8
    with pytest.raises(ValueError, match="init has normalize='sqrt'"):
        dgae.set_params(init=MarginalFisherTransformer(normalize="sqrt")).fit(X, y)
    with pytest.raises(TypeError, match="MarginalFisherTransformer; got KNNGeoRegressor"):
        dgae.set_params(init=KNNGeoRegressor()).fit(X, y)


def test_where_no_linear_layer_is_to_be_had(part):
    X, y = part
    one_place = np.zeros((len(X), 2))
    with pytest.raises(ValueError, match="no easy_confusing pair"):
        DGAETransformer(**SMALL, init="marginal-fisher").fit(X, one_place)
    plain = DGAETransformer(**SMALL, init="marginal-fisher", alpha=0, beta=0)
    with pytest.raises(ValueError, match="needs pairs to start from"):
        plain.fit(X, y)
    with pytest.raises(ValueError, match="needs pairs to start from"):
        DGAETransformer(**SMALL, init="marginal-fisher").fit(X)
    with pytest.raises(ValueError, match="'paper' has no linear layer"):
        DGAETransformer(**SMALL, init="marginal-fisher", objective="paper").fit(X, y)
    with pytest.raises(ValueError, match="pair_loss='multi-similarity' belongs to"):
        DGAETransformer(**SMALL, pair_loss="multi-similarity", objective="paper").fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_auto_falls_back_on_layers_of_its_own(part):
    X, _ = part
    dgae = DGAETransformer(**SMALL, pretrain_epochs=1).fit(X, np.zeros((len(X), 2)))
    assert (dgae.init_, dgae.linear_) == ("pretrain", None)
    assert dgae.transform(X).shape == (len(X), X.shape[1] + 24)


@pytest.mark.parametrize("output", ["concat", "hidden", "code"])
def test_outputs(part, output):
    X, y = part
    dgae = DGAETransformer(**SMALL, early_stopping=False, output=output).fit(X, y)
    assert dgae.best_epoch_ == 2
    Z = dgae.transform(X)
    size = len(dgae.linear_.components_)
    widths = {"concat": [X.shape[1], 16, 8, size], "hidden": [16, 8, size], "code": [size]}[output]
    assert Z.shape == (len(X), sum(widths))
    assert len(dgae.get_feature_names_out()) == sum(widths)
    assert Z.dtype == np.float32
    edges = np.cumsum([0, *widths])
    for start, stop in itertools.pairwise(edges):
        norms = np.linalg.norm(Z[:, start:stop], axis=1)
        assert np.sqrt(np.mean(norms**2)) == pytest.approx(1.0, rel=1e-4)
    np.testing.assert_allclose(norms, 1.0, atol=1e-5)  # the code comes last


def test_scaling_a_block_by_a_thousand_changes_no_rank(part):
    X, y = part
    scaled = X.copy()
    scaled[:, :50] *= 1000
    Z = [
        DGAETransformer(**SMALL, early_stopping=False).fit_transform(
            BlockScaler(blocks=[50, 70], normalize="l2").fit_transform(x), y
        )
        for x in (X, scaled)
    ]
    near = [np.argsort(-z[:50] @ z.T, axis=1, kind="stable")[:, :5] for z in Z]
    np.testing.assert_allclose(Z[0], Z[1], atol=2e-3)
    assert (near[0] == near[1]).mean() > 0.99


def test_a_photo_has_one_code_alone_or_among_many(part):
    X, y = part
    dgae = DGAETransformer(**SMALL, early_stopping=False).fit(X, y)
    together = dgae.transform(X[:20])
    alone = np.concatenate([dgae.transform(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together, rtol=3e-7, atol=1e-12)


def test_it_is_kept_only_if_it_stands_out(part):
    """An epoch that ruins the codes is not kept; one that helps is, and is taken again."""
    X, y = part
    ruined = DGAETransformer(**{**SMALL, "learning_rate": 10.0}, gamma=1.0).fit(X, y)
    assert ruined.best_epoch_ == 0
    layer = MarginalFisherTransformer().fit(X, y)
    np.testing.assert_allclose(ruined.transform(X), layer.transform(X), atol=1e-5)
    world = make_geo_world(random_state=1)
    settings = {"hidden_layer_sizes": (256,), "random_state": 0, "max_epochs": 10}
    helped = DGAETransformer(**settings).fit(world.data, world.coordinates)
    assert helped.best_epoch_ > 0
    phases = [row["phase"] for row in helped.history_]
    assert phases.count("refit") == helped.best_epoch_
    assert phases.count("train") == helped.n_iter_ <= 10
    rates = {p: [r["learning_rate"] for r in helped.history_ if r["phase"] == p] for p in phases}
    n = min(len(rates["train"]), len(rates["refit"]))
    np.testing.assert_allclose(rates["train"][:n], rates["refit"][:n], rtol=0.1, atol=5e-5)


def test_held_out_places_do_not_judge_a_layer_that_has_seen_them(part):
    X, y = part
    layer = MarginalFisherTransformer().fit(X, y)
    labels = np.asarray(layer.pairs_.labels_)
    rows = np.flatnonzero(labels % 4 > 0)
    trial = trial_layer(layer, X, rows, y)
    same = trial.pairs_.same_area_.toarray()
    np.testing.assert_array_equal(same, layer.pairs_.same_area_.toarray()[np.ix_(rows, rows)])
    changed = X.copy()
    changed[labels % 4 == 0] += 100
    again = trial_layer(layer, changed, rows, y)
    np.testing.assert_array_equal(again.components_, trial.components_)
    # Without a pair there is nothing to fit a layer of its own to.
    assert trial_layer(layer, X, rows[:1], y) is layer


def test_training_on_z_is_training_on_the_rows(part):
    """z is computed once: the network gives the same, whether it or the rows go in."""
    X, y = part
    layer = MarginalFisherTransformer().fit(X, y)
    below = LinearLayer(layer.mean_, layer.components_)
    z = apply_layer(below, X)
    np.testing.assert_allclose(z, layer.transform(X.astype(float)), atol=1e-5)
    torch.manual_seed(0)
    network = ResidualAutoEncoder([z.shape[1], 6, 5], "tanh", "identity")
    torch.nn.init.normal_(network.correction.weight)
    assert standardize(network, z, scale_free=True) == pytest.approx(z.shape[1])
    with torch.no_grad():
        inside = network(torch.from_numpy(z), 3)
        network.below = below
        outside = network(torch.from_numpy(X), 3)
    for a, b in zip(inside, outside, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    code = inside[2].numpy()
    hidden = network.hidden(network.standardize(torch.from_numpy(X)))
    raw = z + network.correction(torch.cat(hidden, dim=1)).detach().numpy()
    np.testing.assert_allclose(code, raw / np.linalg.norm(raw, axis=1)[:, None], atol=1e-4)


def test_places_reach_the_batch_and_near_ones_are_marked(part):
    X, y = part
    pairs = InconsistencyPairs(k1=3, k2=3, min_distance_km=50.0).fit(X, y)
    graphs = [PairGraph(g, None) for g in (pairs.same_area_, pairs.easy_confusing_)]
    photos = Photos(X, None, np.asarray(pairs.labels_), y, 50.0)
    settings = type("S", (), {"pair_loss": "multi-similarity"})
    places = photos.data(X, settings).places
    assert places.min_chord == pytest.approx(2 * np.sin(25 / 6371.004))
    data = PairData(X, *graphs, places=places)
    _, batch = next(iter(SampledBatches(data, 16, 1, np.random.default_rng(0), "cpu")))
    mask = batch.crowd.same_place(0, 16, None).numpy()
    taken = batch.crowd.place.numpy()
    same = taken[:16, None] == taken[None]
    assert mask[same].all()
    assert (mask & ~same).any()  # another POI within 50 km
    assert not mask.all()
    without = Photos(X, None, np.asarray(pairs.labels_), y, 0.0).data(X, settings).places
    assert without.positions is None


def test_a_pickle_holds_no_vectors_of_the_photos(part):
    X, y = part
    wide = np.concatenate([X] * 10, axis=1)
    dgae = DGAETransformer(**SMALL, replay_size=0, pairs=InconsistencyPairs(3, 3)).fit(wide, y)
    parameters = sum(p.numel() for p in dgae.module_.parameters())
    maps = 2 * 8 * dgae.linear_.components_.size
    assert len(pickle.dumps(dgae)) < 0.5 * wide.nbytes + 4 * parameters + 2 * maps
