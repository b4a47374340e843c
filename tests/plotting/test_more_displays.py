"""Confusion of areas, reliability of radii, neighbours of a query."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from scipy.stats import binom
from sklearn.pipeline import make_pipeline

from skgeo import KNNGeoRegressor, LowLevelFeatures, POIMeanShift
from skgeo.metrics import great_circle_distance
from skgeo.plotting import AreaConfusionDisplay, NeighborsDisplay, ReliabilityDisplay
from skgeo.plotting._error_classes import ERROR_COLORS


@pytest.fixture(autouse=True)
def no_window():
    mpl.use("Agg")
    yield
    plt.close("all")


STYLES = ["default", "dark_background"]


# --- confusion of areas ---------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("n", [1, 5, 5000])
def test_confusion_counts_by_the_nearest_centre(style, n):
    rng = np.random.default_rng(n)
    centres = np.array([[0.0, 179.5], [10.0, -179.5], [80.0, 0.0], [-5.0, 40.0]])
    true = np.clip(centres[rng.integers(0, 4, n)] + rng.normal(0, 2, (n, 2)), -89, 179.9)
    pred = np.clip(centres[rng.integers(0, 4, n)] + rng.normal(0, 2, (n, 2)), -89, 179.9)

    def area(places):
        to_all = [great_circle_distance(places, np.tile(c, (n, 1))) for c in centres]
        return np.argmin(to_all, axis=0)

    with plt.style.context(style):
        display = AreaConfusionDisplay.from_predictions(
            true, pred, centres, names=["a", "b", "c", "d"]
        )
        display.figure_.canvas.draw()
    for i, row in enumerate(display.labels_):
        for j, column in enumerate(display.labels_):
            if "elsewhere" in (row, column):
                continue
            expected = np.sum(
                (area(true) == "abcd".index(row)) & (area(pred) == "abcd".index(column))
            )
            assert display.confusion_[i, j] == expected
    assert display.confusion_.sum() == n


def test_only_the_largest_areas_are_named_from_west_to_east():
    centres = np.array([[0.0, 50.0], [0.0, -50.0], [0.0, 0.0]])
    true = centres[[0, 0, 0, 1, 1, 2]]
    display = AreaConfusionDisplay.from_predictions(true, true, centres, max_areas=2)
    assert display.labels_ == ["0.00°N, 50.00°W", "0.00°N, 50.00°E", "elsewhere"]
    np.testing.assert_array_equal(display.confusion_, np.diag([2, 3, 1]))
    # No photo elsewhere: no such row.
    display = AreaConfusionDisplay.from_predictions(true, true, centres)
    assert len(display.labels_) == 3


def test_confusion_takes_pois_and_estimators():
    y = np.repeat([[48.9, 2.3], [41.9, 12.5]], 5, axis=0)
    X = np.arange(10.0)[:, None]
    poi = POIMeanShift(5.0, metric="haversine").fit(y)
    knn = KNNGeoRegressor().fit(X, y)
    fig, ax = plt.subplots()
    display = AreaConfusionDisplay.from_estimator(knn, X, y, poi, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is fig
    np.testing.assert_array_equal(display.confusion_, np.diag([5, 5]))


def test_confusion_mistakes():
    y = [[0.0, 0.0]]
    with pytest.raises(ValueError, match="names has 2 entries"):
        AreaConfusionDisplay.from_predictions(y, y, y, names=["a", "b"])
    with pytest.raises(ValueError, match="max_areas is 0"):
        AreaConfusionDisplay.from_predictions(y, y, y, max_areas=0)
    with pytest.raises(ValueError, match="areas has a latitude"):
        AreaConfusionDisplay.from_predictions(y, y, [[91.0, 0.0]])


# --- reliability ----------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("n", [5, 5000])
def test_shares_and_band(style, n):
    rng = np.random.default_rng(0)
    true = rng.uniform([-80, -180], [80, 180], (n, 2))
    pred = true + rng.normal(0, 0.5, (n, 2)) * [1, 0]
    errors = great_circle_distance(true, pred)
    radii = {p: np.full(n, np.quantile(errors, p)) for p in (0.9, 0.5)}
    with plt.style.context(style):
        display = ReliabilityDisplay.from_predictions(true, pred, radii, label="model")
        display.figure_.canvas.draw()
    expected = [np.mean(errors <= radii[p]) for p in (0.5, 0.9)]
    np.testing.assert_allclose(display.coverage_, expected)
    np.testing.assert_allclose(display.lower_, binom.ppf(0.025, n, [0.5, 0.9]) / n)
    np.testing.assert_allclose(display.upper_, binom.ppf(0.975, n, [0.5, 0.9]) / n)
    assert "model" in [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_reliability_of_a_pipeline():
    rng = np.random.default_rng(1)
    y = rng.uniform([40, 0], [50, 10], (240, 2))
    X = y + rng.normal(0, 0.3, y.shape)
    from sklearn.preprocessing import FunctionTransformer

    pipeline = make_pipeline(FunctionTransformer(), KNNGeoRegressor(n_neighbors=8))
    pipeline.fit(X[:120], y[:120])
    pipeline[-1].calibrate(X[120:180], y[120:180])
    display = ReliabilityDisplay.from_estimator(pipeline, X[180:], y[180:], confidences=[0.8, 0.5])
    found = pipeline[-1].predict_with_uncertainty(X[180:], confidence=0.8)
    inside = great_circle_distance(y[180:], found.places) <= found.radius_km
    assert display.coverage_[1] == inside.mean()


def test_reliability_mistakes():
    y = [[0.0, 0.0]]
    with pytest.raises(ValueError, match="radius_km is empty"):
        ReliabilityDisplay.from_predictions(y, y, {})
    with pytest.raises(ValueError, match="between 0 and 1"):
        ReliabilityDisplay.from_predictions(y, y, {90.0: [1.0]})
    knn = KNNGeoRegressor().fit([[0.0]], y)
    with pytest.raises(ValueError, match="confidences is empty"):
        ReliabilityDisplay.from_estimator(knn, [[0.0]], y, confidences=[])


# --- neighbours -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def located():
    rng = np.random.default_rng(0)
    shapes = [(30, 40), (40, 30), (10, 60), (50, 50), (30, 40), (33, 44)]
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    places = rng.uniform([40, 0], [50, 10], (6, 2))
    model = make_pipeline(LowLevelFeatures("tiny5"), KNNGeoRegressor()).fit(images, places)
    return model, images, places


@pytest.mark.parametrize("style", STYLES)
def test_neighbours_are_those_of_the_estimator(located, style):
    model, images, places = located
    with plt.style.context(style):
        display = NeighborsDisplay.from_estimator(
            model, images[2], images, y_true=places[2], n_neighbors=4
        )
        display.figure_.canvas.draw()
    _, indices = model[-1].kneighbors(model[:-1].transform(images[2:3]), n_neighbors=4)
    assert indices[0, 0] == 2
    np.testing.assert_array_equal(display.coordinates, places[indices[0]])
    for ax, i in zip(display.neighbor_axes_, indices[0], strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), images[i])
    edges = [ax.spines["left"].get_edgecolor()[:3] for ax in display.neighbor_axes_]
    assert edges[0] == to_rgb(ERROR_COLORS[0])  # itself: no error
    texts = [text.get_text() for text in display.ax_.texts]
    assert len(texts) == 5
    assert "error 0 m" in texts[0]
    assert texts[1].startswith("distance 0\n")


def test_neighbours_of_a_vector_on_given_axes(located):
    model, images, _ = located
    x = model[:-1].transform(images[:1])[0]
    fig, ax = plt.subplots()
    display = NeighborsDisplay.from_estimator(
        model[-1], images[0], images, x=x, n_neighbors=1, ax=ax
    )
    assert display.figure_ is fig
    assert len(display.neighbor_axes_) == 1
    assert "true" not in display.ax_.texts[0].get_text()


def test_neighbours_mistakes(located):
    model, images, _ = located
    with pytest.raises(ValueError, match="takes vectors, not images"):
        NeighborsDisplay.from_estimator(model[-1], images[0], images)
    with pytest.raises(ValueError, match="gallery holds 5 images"):
        NeighborsDisplay.from_estimator(model, images[0], images[:5])
    with pytest.raises(ValueError, match="n_neighbors"):
        NeighborsDisplay.from_estimator(model, images[0], images, n_neighbors=7)
