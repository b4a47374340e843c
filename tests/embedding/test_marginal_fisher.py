"""The linear geo-constrained layer as an estimator."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skgeo.datasets import make_geo_world
from skgeo.embedding import MarginalFisherTransformer
from skgeo.pairs import InconsistencyPairs


@pytest.fixture(scope="module")
def world():
    return make_geo_world(random_state=0)


def test_it_is_the_definition_step_by_step(world):
    """Centre, PCA, pairs, scatters by pair differences, eigenproblem, scale, unit length."""
    X, y = world.data[:400].astype(np.float64), world.coordinates[:400]
    layer = MarginalFisherTransformer(n_pca_components=10).fit(X, y)
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
