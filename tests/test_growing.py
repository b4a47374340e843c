"""New photos for a whole pipeline: every step in order, or none."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgeo import (
    BlockScaler,
    DGAETransformer,
    InconsistencyPairs,
    KNNGeoRegressor,
    LazyGeoRegressor,
    LowLevelFeatures,
    MarginalFisherTransformer,
    POIMeanShift,
    make_geo_pipeline,
    partial_fit_pipeline,
)
from skgeo._growing import _copied
from skgeo.datasets import load_blue_marble_tiles, make_geo_world


@pytest.fixture(scope="module")
def world():
    world = make_geo_world(random_state=0)
    rows = np.random.default_rng(0).permutation(len(world.data))[:420]
    return world.data[rows], world.coordinates[rows]


def linear(**parameters):
    layer = MarginalFisherTransformer(n_pca_components=20)
    return make_geo_pipeline(features="passthrough", dgae=layer, **parameters)


def network():
    layer = DGAETransformer(
        (8,), max_epochs=2, finetune_epochs=2, early_stopping=False, random_state=0
    )
    return make_geo_pipeline(features="passthrough", dgae=layer)


def state(pipeline):
    return pickle.dumps(pipeline)


def test_the_gallery_grows_and_the_embedding_stays(world):
    X, y = world
    pipeline = linear().fit(X[:300], y[:300])
    steps = list(pipeline.named_steps.values())
    codes = pipeline[:-1].transform(X)
    for day in (slice(300, 340), slice(340, 341), slice(341, 400)):
        assert partial_fit_pipeline(pipeline, X[day], y[day]) is pipeline
    assert all(a is b for a, b in zip(pipeline.named_steps.values(), steps, strict=True))
    np.testing.assert_array_equal(pipeline[:-1].transform(X), codes)
    expected = KNNGeoRegressor().fit(codes[:400], y[:400])
    np.testing.assert_array_equal(pipeline.predict(X), expected.predict(codes))
    pipeline[-1].remove(range(300, 400))
    again = linear().fit(X[:300], y[:300])
    np.testing.assert_array_equal(pipeline.predict(X), again.predict(X))


@pytest.mark.parametrize("make", [linear, network])
def test_all_steps_learn_in_order_and_the_gallery_is_encoded_anew(make, world):
    X, y = world
    pipeline = make().fit(X[:300], y[:300])
    by_hand = pickle.loads(pickle.dumps(pipeline))
    partial_fit_pipeline(pipeline, X[300:330], y[300:330], update="all", gallery_X=X[:300])
    partial_fit_pipeline(pipeline, X[330:400], y[330:400], update="all", gallery_X=X[:330])
    scale, layer, knn = (by_hand[name] for name in ("scale", "dgae", "knn"))
    for rows in (slice(300, 330), slice(330, 400)):
        layer.partial_fit(scale.transform(X[rows]), y[rows])
    codes = layer.transform(scale.transform(X))
    knn.fit(codes[:400], y[:400])
    np.testing.assert_array_equal(pipeline[:-1].transform(X), codes)
    np.testing.assert_array_equal(pipeline.predict(X), knn.predict(codes))
    assert not np.array_equal(codes, make().fit(X[:300], y[:300])[:-1].transform(X))


def test_old_photos_are_read_in_batches_from_a_memory_map(world, tmp_path, monkeypatch):
    X, y = world
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    whole = linear().fit(X[:300], y[:300])
    batched = pickle.loads(pickle.dumps(whole))
    partial_fit_pipeline(whole, X[300:], y[300:], update="all", gallery_X=X[:300])
    sizes = []
    transform = BlockScaler.transform

    def counted(self, X):
        sizes.append(len(X))
        return transform(self, X)

    monkeypatch.setattr(BlockScaler, "transform", counted)
    monkeypatch.setattr("skgeo._growing._BATCH", 128)
    partial_fit_pipeline(batched, mapped[300:], y[300:], update="all", gallery_X=mapped[:300])
    assert sizes == [120, 128, 128, 44]
    np.testing.assert_array_equal(batched["knn"]._gallery, whole["knn"]._gallery)


def test_images_and_paths_come_through_the_whole_chain():
    tiles = load_blue_marble_tiles(60, random_state=0)
    images, y = list(tiles.images), tiles.coordinates
    pipeline = make_geo_pipeline(
        features=LowLevelFeatures(["tiny5"]), dgae=MarginalFisherTransformer(n_pca_components=8)
    )
    pairs = InconsistencyPairs(3, 5, poi=POIMeanShift(800.0, metric="haversine"))
    pipeline.set_params(dgae__pairs=pairs).fit(images[:40], y[:40])
    partial_fit_pipeline(pipeline, images[40:], y[40:], update="all", gallery_X=images[:40])
    codes = pipeline[:-1].transform(images)
    np.testing.assert_allclose(pipeline["knn"]._gallery, codes, atol=1e-6)
    np.testing.assert_array_equal(pipeline["knn"].coordinates_, y)


def test_data_frames_and_transformers_of_others_learn_too(world):
    X, y = world
    pipeline = Pipeline(
        [("nothing", "passthrough"), ("scale", StandardScaler()), ("knn", KNNGeoRegressor())]
    ).set_output(transform="pandas")
    pipeline.fit(X[:300], y[:300])
    partial_fit_pipeline(pipeline, X[300:], y[300:], update="all", gallery_X=X[:300])
    expected = StandardScaler().partial_fit(X[:300]).partial_fit(X[300:])
    np.testing.assert_array_equal(pipeline["scale"].mean_, expected.mean_)
    assert pipeline["knn"].feature_names_in_[0] == "x0"
    np.testing.assert_allclose(pipeline["knn"]._gallery, expected.transform(X))


def test_sparse_rows_are_stacked(world):
    X, y = world
    to_sparse = FunctionTransformer(sparse.csr_array, accept_sparse=True)

    class Counter(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_ = X.shape[0]
            return self

        def partial_fit(self, X, y=None):
            self.n_ += X.shape[0]
            return self

        def transform(self, X):
            return X

    lazy = LazyGeoRegressor(n_neighbors=20)
    pipeline = Pipeline([("sparse", to_sparse), ("count", Counter()), ("lazy", lazy)])
    pipeline.fit(X[:80], y[:80])
    partial_fit_pipeline(pipeline, X[80:100], y[80:100], update="all", gallery_X=X[:80])
    assert pipeline["count"].n_ == 100
    expected = clone(lazy).fit(X[:100].astype(np.float32), y[:100])
    np.testing.assert_array_equal(
        pipeline.predict(X[100:103]), expected.predict(X[100:103].astype(np.float32))
    )


def test_without_learning_transformers_all_is_the_gallery(world):
    X, y = world
    pipeline = make_geo_pipeline(features="passthrough", dgae="passthrough").fit(X[:300], y[:300])
    partial_fit_pipeline(pipeline, X[300:], y[300:], update="all")
    assert pipeline["knn"].n_samples_fit_ == 420
    any_last = Pipeline([("pca", PCA(3)), ("sgd", MultiOutputRegressor(SGDRegressor()))])
    any_last.fit(X[:300], y[:300])
    partial_fit_pipeline(any_last, X[300:], y[300:])
    assert any_last["sgd"].estimators_[0].t_ > 301


def test_the_first_call_fits(world):
    X, y = world
    pipeline = partial_fit_pipeline(linear(), X[:300], y[:300])
    np.testing.assert_array_equal(pipeline.predict(X), linear().fit(X[:300], y[:300]).predict(X))
    with pytest.raises(ValueError, match="not fitted and has no gallery"):
        partial_fit_pipeline(linear(), X, y, update="all", gallery_X=X)


class Refusing(KNNGeoRegressor):
    def fit(self, X, y):
        if len(X) > 300:
            self.coordinates_ = None
            raise self.error
        return super().fit(X, y)

    def partial_fit(self, X, y):
        self.n_samples_fit_ = 0
        raise self.error


@pytest.mark.parametrize(
    ("make", "update", "error"),
    [
        (linear, "gallery", ValueError("no.")),
        (linear, "gallery", KeyboardInterrupt()),
        (linear, "all", ValueError("no.")),
        (linear, "all", OSError("disk full")),
        (network, "all", KeyboardInterrupt()),
    ],
    ids=["bad-photo", "interrupted", "learned-bad-photo", "learned-disk", "network-interrupted"],
)
def test_a_failing_step_leaves_the_pipeline_as_it_was(make, update, error, world):
    X, y = world
    pipeline = make().set_params(knn=Refusing())
    Refusing.error = error
    pipeline.fit(X[:300], y[:300])
    before, expected = state(pipeline), pipeline.predict(X)
    gallery_X = X[:300] if update == "all" else None
    with pytest.raises(type(error)) as caught:
        partial_fit_pipeline(pipeline, X[300:], y[300:], update=update, gallery_X=gallery_X)
    assert state(pipeline) == before
    np.testing.assert_array_equal(pipeline.predict(X), expected)
    if isinstance(error, Exception):
        told = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
        assert "step 'knn' (Refusing)" in told
        assert "the pipeline is as it was" in told


def test_bad_photos_are_refused_by_the_step_that_sees_them(world):
    X, y = world
    pipeline = linear().fit(X[:300], y[:300])
    before = state(pipeline)
    every = {"update": "all", "gallery_X": X[:300]}
    for X_new, y_new, options, match in [
        (X[:5, 1:], y[:5], {}, r"step 'scale' .BlockScaler.: X has .* features"),
        (X[:5], y[:4], {}, r"step 'knn' .KNNGeoRegressor.: .*"),
        (X[:5], y[:5] + 100.0, {}, r"step 'knn' .*latitude"),
        (X[:5], y[:5] + 100.0, every, r"step 'dgae' .MarginalFisherTransformer.: .*latitude"),
        (X[:5], y[:5], {**every, "gallery_X": X[:300, 1:]}, r"step 'scale' .*features"),
        (X[:5], None, every, r"step 'dgae' .*y is None"),
    ]:
        with pytest.raises(ValueError, match=match):
            partial_fit_pipeline(pipeline, X_new, y_new, **options)
        assert state(pipeline) == before


def test_what_cannot_be_asked_for_is_an_error(world):
    X, y = world
    pipeline = linear().fit(X[:300], y[:300])
    new = X[300:], y[300:]
    with pytest.raises(ValueError, match="update is 'everything'; expected 'gallery' or 'all'"):
        partial_fit_pipeline(pipeline, *new, update="everything")
    with pytest.raises(ValueError, match="expected gallery_X, the photos of the gallery in their"):
        partial_fit_pipeline(pipeline, *new, update="all")
    with pytest.raises(ValueError, match="gallery_X has 299 photos, but the gallery of step 'knn'"):
        partial_fit_pipeline(pipeline, *new, update="all", gallery_X=X[:299])
    with pytest.raises(ValueError, match="with update='gallery' the gallery stays"):
        partial_fit_pipeline(pipeline, *new, gallery_X=X[:300])
    plain = make_geo_pipeline(features="passthrough", dgae="passthrough").fit(X, y)
    with pytest.raises(ValueError, match="with no transformer has partial_fit the gallery stays"):
        partial_fit_pipeline(plain, *new, update="all", gallery_X=X)
    with pytest.raises(TypeError, match=r"pipeline is a GridSearchCV; .* pass best_estimator_"):
        partial_fit_pipeline(GridSearchCV(pipeline, {}), *new)
    line = Pipeline([("select", SelectKBest()), ("line", LinearRegression())])
    with pytest.raises(TypeError, match=r"step 'line' .LinearRegression. has no partial_fit"):
        partial_fit_pipeline(line, *new)
    sgd = MultiOutputRegressor(SGDRegressor())
    sgd = Pipeline([("scale", StandardScaler()), ("sgd", sgd)]).fit(X, y)
    with pytest.raises(TypeError, match=r"step 'sgd' .MultiOutputRegressor. keeps no gallery"):
        partial_fit_pipeline(sgd, *new, update="all", gallery_X=X)


def test_grid_search_cache_and_files_go_along(world, tmp_path):
    X, y = world
    pipeline = linear(memory=str(tmp_path / "cache"))
    search = GridSearchCV(pipeline, {"dgae__shrinkage": [0.2, 0.4]}, cv=2).fit(X[:300], y[:300])
    best = search.best_estimator_
    partial_fit_pipeline(best, X[300:], y[300:], update="all", gallery_X=X[:300])
    joblib.dump(best, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(X), best.predict(X))
    assert loaded["knn"].n_samples_fit_ == 420
    # The cache still gives what fit has made, and nothing that learned later.
    fresh = clone(best).fit(X[:300], y[:300])
    plain = clone(best).set_params(memory=None, dgae__pairs=None).fit(X[:300], y[:300])
    np.testing.assert_array_equal(fresh.predict(X), plain.predict(X))
    assert len(fresh["dgae"].pairs_.labels_) == 300


def test_read_only_arrays_of_a_step_are_not_copied(world, tmp_path):
    """A memory map that pairs keep would be read into memory."""
    X, y = world
    np.save(tmp_path / "X.npy", X[:100])
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    pairs = InconsistencyPairs(3, 3).fit(mapped, y[:100])
    copied = _copied(pairs)
    assert copied is not pairs
    assert copied.stored_X()[0] is pairs.stored_X()[0]
    assert copied.labels_ is not pairs.labels_
    copied.partial_fit(X[100:110], y[100:110])
    assert len(pairs.labels_) == 100
