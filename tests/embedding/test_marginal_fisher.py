"""The linear geo-constrained layer as an estimator."""

from __future__ import annotations

from itertools import pairwise

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import make_pipeline

from skgeo._geodesy import great_circle_km
from skgeo.datasets import make_geo_world
from skgeo.embedding import MarginalFisherTransformer, _scatter
from skgeo.embedding._extent import extent_of_places
from skgeo.embedding._fisher_axes import marginal_fisher_axes
from skgeo.embedding._scatter import pair_scatter
from skgeo.embedding._shrinkage import likelihood_shrinkage
from skgeo.embedding._soft_scatter import Places, soft_scatters
from skgeo.features import BlockScaler
from skgeo.pairs import InconsistencyPairs


@pytest.fixture(scope="module")
def world():
    return make_geo_world(random_state=0)


CLOSED_FORM = {"weighting": "uniform", "exponent": 0.5}


def test_it_is_the_definition_step_by_step(world):
    """Centre, PCA, pairs, scatters by pair differences, eigenproblem, scale, unit length."""
    X, y = world.data[:400].astype(np.float64), world.coordinates[:400]
    layer = MarginalFisherTransformer(n_pca_components=10, **CLOSED_FORM).fit(X, y)
    centred = X - X.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:10].T
    reduced = centred @ axes
    pairs = InconsistencyPairs(k1=5, k2=50).fit(reduced, y)
    scatters = []
    for graph in (pairs.same_area_, pairs.easy_confusing_):
        s, t = graph.nonzero()
        d = reduced[s] - reduced[t]
        scatter = d.T @ d
        scatters.append(scatter * 10 / np.trace(scatter))
    inner = 0.7 * scatters[0] + 0.3 * np.eye(10)
    metric = np.linalg.solve(inner, np.linalg.solve(inner, scatters[1]).T)
    z = layer.set_params(normalize=None).transform(X[:20])
    expected = reduced[:20] @ metric @ reduced[:20].T
    np.testing.assert_allclose(z @ z.T, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def test_it_tells_places_apart_better_than_the_raw_vectors(world):
    X, y, poi = world.data, world.coordinates, world.poi
    train = np.arange(len(X)) % 4 > 0

    def accuracy(Z):
        similarity = Z[~train] @ Z[train].T - np.square(Z[train]).sum(axis=1) / 2
        return np.mean(poi[train][similarity.argmax(axis=1)] == poi[~train])

    layer = MarginalFisherTransformer().fit(X[train], y[train])
    assert accuracy(layer.transform(X)) > accuracy(X) + 0.2


def test_soft_weights_are_the_definition_step_by_step(world):
    """P against all photos, then every pair by its own weight, in loops over photos."""
    X, y = world.data[:90].astype(np.float64), world.coordinates[:90]
    layer = MarginalFisherTransformer(
        n_pca_components=6, weighting="softmax", temperature=0.3, exponent=0.75, normalize=None
    ).fit(X, y)
    reduced = (X - layer.mean_) @ layer._axes
    labels = layer.pairs_.labels_
    values, axes = marginal_fisher_axes(
        pair_scatter(reduced, layer.pairs_.same_area_), np.cov(reduced.T), 0.3
    )
    z = reduced @ (axes * values**0.75)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    reach = 2 * extent_of_places(y, labels, np.random.default_rng(0))
    scatters = np.zeros((2, 6, 6))
    for s in range(90):
        km = great_circle_km(y[s], y)
        same = (labels == labels[s]) | (km < reach)
        for scatter, partners in zip(scatters, (same, ~same), strict=True):
            partners = [t for t in np.flatnonzero(partners) if t != s]
            weights = [np.exp(-np.square(z[s] - z[t]).sum() / 0.3) for t in partners]
            for t, weight in zip(partners, weights, strict=True):
                d = reduced[s] - reduced[t]
                scatter += weight / sum(weights) * np.outer(d, d)
    values, axes = marginal_fisher_axes(*scatters, 0.3)
    np.testing.assert_allclose(layer.eigenvalues_, values, rtol=1e-8)
    expected = reduced @ (axes * values**0.75)
    ours = layer.transform(X)
    np.testing.assert_allclose(
        ours @ ours.T, expected @ expected.T, atol=1e-8 * np.abs(expected @ expected.T).max()
    )


@pytest.mark.parametrize(("weighting", "default"), [("softmax", 0.75), ("uniform", 0.5)])
def test_axes_count_by_a_power(world, weighting, default):
    X, y = world.data[:200], world.coordinates[:200]
    options = {"weighting": weighting, "normalize": None}
    flat = MarginalFisherTransformer(exponent=0.0, **options).fit(X, y)
    layer = MarginalFisherTransformer(exponent=1.5, **options).fit(X, y)
    ratio = np.linalg.norm(layer.components_, axis=1) / np.linalg.norm(flat.components_, axis=1)
    np.testing.assert_allclose(ratio, layer.eigenvalues_**1.5, rtol=1e-9)
    # Too few photos decide nothing.
    few = MarginalFisherTransformer(**options).fit(X[:49], y[:49])
    assert few.exponent_ == default
    assert np.isnan(few.candidates_[0].score)


def test_what_is_chosen_is_what_is_used(world):
    X, y = world.data[:300], world.coordinates[:300]
    layer = MarginalFisherTransformer().fit(X, y)
    first = layer.candidates_[0]
    assert (first.weighting, first.exponent, first.gain) == ("softmax", 0.75, 0.0)
    assert len({(c.weighting, c.exponent) for c in layer.candidates_}) == 6
    best = max(layer.candidates_, key=lambda c: c.gain)
    used = best if best.gain > best.standard_error else first
    assert (used.weighting, used.exponent) == (layer.weighting_, layer.exponent_)
    given = MarginalFisherTransformer(weighting=used.weighting, exponent=used.exponent).fit(X, y)
    np.testing.assert_array_equal(given.components_, layer.components_)
    assert len(given.candidates_) == 1
    # What is given is kept, and the rest is chosen.
    layer.set_params(weighting="uniform").fit(X, y)
    assert [c[:2] for c in layer.candidates_] == [("uniform", e) for e in (0.5, 0.75, 1.0)]
    layer.set_params(weighting="auto", exponent=0.6).fit(X, y)
    assert [c[:2] for c in layer.candidates_] == [("softmax", 0.6), ("uniform", 0.6)]


def test_a_choice_needs_the_place_of_each_photo(world):
    class Unlabelled(InconsistencyPairs):
        def fit(self, X, y=None):
            super().fit(X, y)
            del self.labels_
            return self

    X, y = world.data[:100], world.coordinates[:100]
    for more in ({}, {"weighting": "uniform"}, {"weighting": "softmax", "exponent": 0.5}):
        with pytest.raises(TypeError, match="Unlabelled has no labels_"):
            MarginalFisherTransformer(pairs=Unlabelled(), **more).fit(X, y)
    MarginalFisherTransformer(pairs=Unlabelled(), **CLOSED_FORM).fit(X, y)


def test_copies_that_have_all_the_weight(rng):
    X = np.repeat(rng.normal(size=(20, 5)), 3, axis=0)
    y = np.repeat(np.arange(10), 6)
    with pytest.raises(ValueError, match=r"temperature=1e-06.*copies"):
        MarginalFisherTransformer(weighting="softmax", temperature=1e-6).fit(X, y)
    MarginalFisherTransformer(weighting="softmax", temperature=0.2).fit(X, y)


def test_places_that_are_all_within_reach_of_each_other(rng):
    """POIs side by side, nothing beyond twice their extent: the POIs alone tell them apart."""
    labels = np.repeat([0, 1], 40)
    y = np.stack([0.2 * labels + rng.choice([0.0, 0.3], 80), np.zeros(80)], 1)
    assert np.ptp(y[:, 0]) == 0.5
    X = rng.normal(size=(80, 5)) + labels[:, None]
    pairs = InconsistencyPairs(poi=GivenAreas(labels))
    by_position, by_label = (
        MarginalFisherTransformer(pairs=pairs, weighting="softmax", exponent=0.5).fit(X, where)
        for where in (y, labels)
    )
    np.testing.assert_allclose(by_position.eigenvalues_, by_label.eigenvalues_)


@pytest.mark.parametrize(
    "wrong",
    [{"weighting": "hard"}, {"temperature": 0.0}, {"exponent": -1.0}, {"exponent": "best"}],
)
def test_unknown_weights(rng, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MarginalFisherTransformer(**wrong).fit(rng.normal(size=(6, 2)), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(("normalize", "norm"), [("l2", 1.0), ("sqrt", None), (None, None)])
def test_normalisation(world, normalize, norm):
    X, y = world.data[:300], world.coordinates[:300]
    layer = MarginalFisherTransformer(normalize=normalize).fit(X, y)
    z = layer.transform(X)
    raw = clone(layer).set_params(normalize=None).fit(X, y).transform(X)
    lengths = np.linalg.norm(z, axis=1)
    if norm is not None:
        np.testing.assert_allclose(lengths, norm, rtol=1e-5)
    elif normalize == "sqrt":
        np.testing.assert_allclose(lengths, np.sqrt(np.linalg.norm(raw, axis=1)), rtol=1e-5)
    assert z.dtype == np.float32
    # The training mean has no direction: it stays zero instead of becoming NaN.
    assert np.isfinite(layer.transform(layer.mean_[None].astype(np.float32))).all()


def test_fewer_components_are_a_prefix(world):
    X, y = world.data[:300], world.coordinates[:300]
    all_of_them = MarginalFisherTransformer(normalize=None).fit(X, y)
    some = MarginalFisherTransformer(normalize=None, n_components=3).fit(X, y)
    np.testing.assert_allclose(some.transform(X), all_of_them.transform(X)[:, :3], atol=1e-4)
    assert list(some.get_feature_names_out()) == [f"marginalfishertransformer{i}" for i in range(3)]


def test_labels_serve_as_places(world):
    X = world.data[:300]
    by_number = MarginalFisherTransformer().fit(X, world.poi[:300])
    by_name = MarginalFisherTransformer().fit(X, world.poi[:300].astype(str))
    np.testing.assert_array_equal(by_number.transform(X), by_name.transform(X))


def test_it_returns_from_joblib_the_same(world, tmp_path):
    X, y = world.data[:300], world.coordinates[:300]
    layer = MarginalFisherTransformer().fit(X, y)
    joblib.dump(layer, tmp_path / "layer.joblib")
    loaded = joblib.load(tmp_path / "layer.joblib")
    np.testing.assert_array_equal(loaded.transform(X), layer.transform(X))


class GivenAreas(BaseEstimator):
    """Answers with areas that are known already."""

    def __init__(self, labels=None):
        self.labels = labels

    def fit(self, X, y=None):
        self.labels_ = np.asarray(self.labels)
        return self


def fit_from_scratch(layer, X, coordinates):
    """The map by its definition, on the components and the POIs that a fitted layer has."""
    reduced = (X - layer.mean_) @ layer._axes
    pairs = clone(layer.pairs_).set_params(poi=GivenAreas(layer.pairs_.labels_))
    pairs.fit(reduced, coordinates)
    shrinkage = layer.shrinkage
    if shrinkage == "auto":
        shrinkage = likelihood_shrinkage(reduced, pairs.same_area_, pairs.labels_)
    same, other = (pair_scatter(reduced, g) for g in (pairs.same_area_, pairs.easy_confusing_))
    if layer.weighting_ == "softmax":
        values, axes = marginal_fisher_axes(same, np.cov(reduced.T), shrinkage)
        z = reduced @ (axes * values**0.75)
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        same, other = soft_scatters(reduced, z, Places(pairs.labels_, coordinates), 0.2)
    values, vectors = marginal_fisher_axes(same, other, shrinkage)
    scaled = vectors * values**layer.exponent_
    return pairs, layer._axes @ scaled @ scaled.T @ layer._axes.T


@pytest.mark.parametrize(
    ("shrinkage", "weighting"), [(0.3, "uniform"), ("auto", "uniform"), (0.3, "auto")]
)
@pytest.mark.parametrize("cuts", [[100], [60, 61, 62, 150], [199]])
def test_photos_that_join_change_the_map_as_if_there_from_the_start(
    world, cuts, shrinkage, weighting
):
    X, y = world.data[:200].astype(np.float64), world.coordinates[:200]
    X[150:160] = X[20:30]  # duplicates: ties across the cuts
    layer = MarginalFisherTransformer(
        shrinkage,
        pairs=InconsistencyPairs(k1=3, k2=7),
        weighting=weighting,
        n_pca_components=12,
    )
    starts = [0, *cuts, 200]
    for start, stop in pairwise(starts):
        layer.partial_fit(X[start:stop], y[start:stop])
    assert len(layer.pairs_.labels_) == 200
    pairs, metric = fit_from_scratch(layer, X, y)
    for got, expected in (
        (layer.pairs_.same_area_, pairs.same_area_),
        (layer.pairs_.easy_confusing_, pairs.easy_confusing_),
    ):
        np.testing.assert_array_equal(got.toarray(), expected.toarray())
    np.testing.assert_allclose(
        layer.components_.T @ layer.components_, metric, atol=1e-9 * np.abs(metric).max()
    )
    # New POIs were opened for places that the first photos had not been to.
    first = MarginalFisherTransformer(pairs=layer.pairs).fit(X[: cuts[0]], y[: cuts[0]])
    assert layer.pairs_.labels_.max() > first.pairs_.labels_.max() or cuts == [199]


def test_labelled_photos_join(world):
    X, poi = world.data[:200], world.poi[:200].astype(str)
    layer = MarginalFisherTransformer(n_pca_components=12).partial_fit(X[:120], poi[:120])
    joined = layer.partial_fit(X[120:], poi[120:])
    np.testing.assert_array_equal(joined.pairs_.classes_[joined.pairs_.labels_], poi)
    assert joined.transform(X).dtype == np.float32


def test_photos_that_cannot_join(world):
    X, y = world.data[:60], world.coordinates[:60]
    layer = MarginalFisherTransformer(pairs=InconsistencyPairs(store_X=False)).fit(X, y)
    before = layer.components_.copy()
    with pytest.raises(ValueError, match="store_X"):
        layer.partial_fit(X, y)
    with pytest.raises(ValueError, match="requires y"):
        layer.partial_fit(X, None)
    with pytest.raises(ValueError, match="features"):
        layer.partial_fit(X[:, 1:], y)
    np.testing.assert_array_equal(layer.components_, before)

    class FixedPairs(InconsistencyPairs):
        partial_fit = property()

    layer = MarginalFisherTransformer(pairs=FixedPairs()).fit(X, y)
    with pytest.raises(TypeError, match="FixedPairs has no partial_fit"):
        layer.partial_fit(X, y)


def test_blocks_and_memory_maps_do_not_matter(world, monkeypatch, tmp_path):
    X, y = world.data[:150], world.coordinates[:150]
    whole = MarginalFisherTransformer("auto").fit(X, y)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", 8 * 150 * 3)
    blocked = MarginalFisherTransformer("auto").fit(mapped, y)
    assert blocked.shrinkage_ == pytest.approx(whole.shrinkage_, rel=1e-9)
    np.testing.assert_allclose(blocked.transform(mapped), whole.transform(X), atol=1e-4)


def test_a_photo_has_one_image_alone_and_in_company(world):
    X, y = world.data, world.coordinates
    layer = MarginalFisherTransformer().fit(X[:200], y[:200])
    alone = np.vstack([layer.transform(X[[i]]) for i in range(100)])
    np.testing.assert_array_equal(layer.transform(X)[:100], alone)


def test_automatic_shrinkage_falls_with_the_number_of_places(world):
    X, y = world.data, world.coordinates
    few = MarginalFisherTransformer("auto", **CLOSED_FORM).fit(X[:150], y[:150]).shrinkage_
    many = MarginalFisherTransformer("auto", **CLOSED_FORM).fit(X, y).shrinkage_
    assert 0.0 < many < few <= 1.0
    assert MarginalFisherTransformer(0.2).fit(X[:150], y[:150]).shrinkage_ == 0.2


def test_the_unit_of_a_block_does_not_matter(world):
    """After a BlockScaler, scaling a block by 1,000 leaves the ranking as it was."""
    X, y = world.data[:200].astype(np.float64), world.coordinates[:200]
    half = X.shape[1] // 2
    scaled = X.copy()
    scaled[:, :half] *= 1000.0
    scaler = BlockScaler(blocks=[half, X.shape[1] - half], normalize="l2")
    embeddings = [
        make_pipeline(scaler, MarginalFisherTransformer()).fit(v, y).transform(v)
        for v in (X, scaled)
    ]
    rankings = [np.argsort(euclidean_distances(z), axis=1)[:, :20] for z in embeddings]
    np.testing.assert_array_equal(*rankings)


def test_constant_columns_duplicates_and_more_columns_than_photos(rng):
    X = rng.normal(size=(30, 80))
    X[:, 5] = 1e3 / 7
    X[20:] = X[:10]
    y = np.arange(30) % 5
    layer = MarginalFisherTransformer(normalize=None).fit(X, y)
    assert layer.components_.shape == (19, 80)
    np.testing.assert_allclose(layer.components_[:, 5], 0.0, atol=1e-10)
    np.testing.assert_array_equal(layer.transform(X[20:]), layer.transform(X[:10]))
    # Nothing is left of what the columns have in common.
    moved = layer.fit(X + 1e4, y).transform(X + 1e4)
    z = MarginalFisherTransformer(normalize=None).fit(X, y).transform(X)
    np.testing.assert_allclose(moved @ moved.T, z @ z.T, atol=1e-6 * np.abs(z @ z.T).max())


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (None, "requires y"),
        (np.zeros(60), "all photos are in one POI"),
        (np.arange(60), "every POI holds a single photo"),
        (np.full((60, 2), 91.0), "latitude outside"),
        (np.zeros((60, 3)), "locations of shape"),
    ],
)
def test_places_that_teach_nothing_are_refused(rng, y, match):
    with pytest.raises(ValueError, match=match):
        MarginalFisherTransformer().fit(rng.normal(size=(60, 4)), y)


def test_vectors_that_teach_nothing_are_refused(rng):
    y = np.repeat([0, 1], 30)
    with pytest.raises(ValueError, match="All rows of X are equal"):
        MarginalFisherTransformer().fit(np.ones((60, 4)), y)
    X = np.repeat(rng.normal(size=(2, 4)), 30, axis=0)
    with pytest.raises(ValueError, match="identical"):
        MarginalFisherTransformer().fit(X, y)
    with pytest.raises(ValueError, match="n_components=9 exceeds"):
        MarginalFisherTransformer(n_components=9).fit(rng.normal(size=(60, 4)), y)
    layer = MarginalFisherTransformer().fit(rng.normal(size=(60, 4)), y)
    with pytest.raises(ValueError, match="5 features, but MarginalFisherTransformer"):
        layer.transform(np.ones((2, 5)))


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1, "automatic"])
def test_shrinkage_out_of_range(rng, shrinkage):
    with pytest.raises(ValueError, match="shrinkage"):
        MarginalFisherTransformer(shrinkage).fit(rng.normal(size=(6, 2)), [0, 0, 0, 1, 1, 1])
