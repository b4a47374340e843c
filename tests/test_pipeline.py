"""The whole way: pipeline, grid search, and a model that predicts the same in a new process."""

from __future__ import annotations

import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skgeo import (
    BlockScaler,
    DGAETransformer,
    InconsistencyPairs,
    KNNGeoRegressor,
    LowLevelFeatures,
    POIMeanShift,
    make_geo_pipeline,
)
from skgeo.datasets import load_blue_marble_tiles, make_geo_world
from skgeo.metrics import great_circle_threshold_scorer

PREDICT = (
    "import joblib, numpy as np, sys; folder = sys.argv[1]\n"
    "model = joblib.load(folder + '/model.joblib')\n"
    "np.save(folder + '/y.npy', model.predict(np.load(folder + '/x.npy')))\n"
)


def predict_in_a_new_process(model, X, folder):
    joblib.dump(model, folder / "model.joblib")
    np.save(folder / "x.npy", X)
    subprocess.run([sys.executable, "-c", PREDICT, str(folder)], check=True)
    return np.load(folder / "y.npy")


def test_the_parts_are_named_and_their_parameters_can_be_searched():
    pipeline = make_geo_pipeline(mode="mean-shift", n_jobs=2, memory="cache", random_state=3)
    assert list(pipeline.named_steps) == ["features", "scale", "dgae", "knn"]
    assert pipeline.memory == "cache"
    assert pipeline["dgae"].pairs.memory == "cache"
    assert pipeline["features"].n_jobs == 2
    assert pipeline["knn"].mode == "mean-shift"
    pipeline.set_params(dgae__alpha=0.5, dgae__pairs__k1=7, dgae__pairs__poi=POIMeanShift(1.0))
    assert pipeline["dgae"].pairs.k1 == 7
    clone(pipeline)


def test_parts_that_are_given_are_cloned():
    knn = KNNGeoRegressor()
    pipeline = make_geo_pipeline(features="passthrough", dgae="passthrough", knn=knn)
    assert pipeline["knn"] is not knn
    world = make_geo_world(random_state=0)
    pipeline.fit(world.data, world.coordinates)
    assert not hasattr(knn, "n_features_in_")
    np.testing.assert_allclose(pipeline.predict(world.data[:5]), world.coordinates[:5])


def test_a_grid_computes_the_graph_once_for_each_training_set(tmp_path):
    """alpha, beta, k1 and k2 over 2 folds in 2 processes: two folds and the refit, 3 graphs."""
    world = make_geo_world(random_state=0)
    rows = np.flatnonzero(world.poi < 12)
    X, y = world.data[rows], world.coordinates[rows]
    cache = tmp_path / "cache"
    pipeline = make_geo_pipeline(features="passthrough", memory=str(cache), random_state=0)
    pipeline.set_params(
        dgae__hidden_layer_sizes=(16, 8), dgae__max_epochs=2, dgae__pretrain_epochs=1
    )
    grid = {
        "dgae__alpha": [0.5, 1.0],
        "dgae__beta": [0.5, 1.0],
        "dgae__pairs__k1": [5, 10],
        "dgae__pairs__k2": [3, 6],
    }
    search = GridSearchCV(
        pipeline, grid, scoring=great_circle_threshold_scorer(200), cv=2, n_jobs=2
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 16
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    graphs = list(cache.rglob("_pairs_at_level/*/output.pkl"))
    assert len(graphs) == 3
    # Candidates that differ in k1 or k2 alone do learn from other pairs.
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) > 1

    predicted = predict_in_a_new_process(search.best_estimator_, X, tmp_path)
    np.testing.assert_array_equal(predicted, search.predict(X))


def test_from_images_to_places_and_back_from_disk(tmp_path):
    tiles = load_blue_marble_tiles(60, random_state=0)
    images, y = tiles.images, tiles.coordinates
    pipeline = Pipeline(
        [
            ("features", LowLevelFeatures(n_jobs=2, random_state=0)),
            ("scale", BlockScaler(blocks="low-level")),
            (
                "dgae",
                DGAETransformer(
                    (32, 16),
                    pairs=InconsistencyPairs(
                        k1=3, k2=3, poi=POIMeanShift(1500.0, metric="haversine")
                    ),
                    max_epochs=2,
                    pretrain_epochs=1,
                    random_state=0,
                ),
            ),
            ("knn", KNNGeoRegressor(mode="mean-shift")),
        ],
        memory=str(tmp_path / "cache"),
    ).fit(images, y)
    predicted = pipeline.predict(images)
    assert predicted.shape == (60, 2)
    assert pipeline["features"].get_feature_names_out()[-1] == "gist_599"
    top = pipeline["knn"].predict_top_k(pipeline[:-1].transform(images), 3)
    assert top.shape == (60, 3, 2)
    # A photo of the gallery is its own nearest neighbour.
    nearest = clone(pipeline).set_params(knn__mode="1-nn").fit(images, y)
    np.testing.assert_array_equal(nearest.predict(images), y)
    np.testing.assert_array_equal(predict_in_a_new_process(pipeline, images, tmp_path), predicted)


def test_a_model_fitted_on_other_columns_says_so():
    world = make_geo_world(random_state=0)
    pipeline = make_geo_pipeline(features="passthrough", dgae="passthrough")
    pipeline.fit(world.data, world.coordinates)
    with pytest.raises(ValueError, match=r"features, but \w+ is expecting 120"):
        pipeline.predict(world.data[:, 1:])
