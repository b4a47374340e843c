"""The photo and its partners: which pictures are drawn, and what is written below them."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from skgeo.pairs import InconsistencyPairs
from skgeo.plotting import PairsDisplay

#: Three photos of one square, two of a place some km away, one far off.
PLACES = [[48.858, 2.294]] * 2 + [[48.859, 2.294]] + [[48.9, 2.5]] * 2 + [[36.112, -115.173]]
FEATURES = np.array([[0.0], [0.5], [0.25], [0.125], [2.0], [0.0625]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def images():
    """One image of a single grey for each photo, so that a drawn one tells its number."""
    return [np.full((40, 60, 3), 40 * i, dtype=np.uint8) for i in range(6)]


@pytest.fixture
def pairs():
    return InconsistencyPairs(k1=2, k2=4).fit(FEATURES, PLACES)


def drawn(ax):
    (image,) = ax.get_images()
    return int(np.asarray(image.get_array()).ravel()[0]) // 40


def written(display):
    return [text.get_text() for text in display.ax_.texts]


def test_shows_the_partners_in_their_order(pairs, images):
    display = PairsDisplay.from_estimator(pairs, images, 0)
    assert drawn(display.photo_ax_) == 0
    assert [drawn(ax) for ax in display.same_area_axes_] == [2, 1]
    assert [drawn(ax) for ax in display.easy_confusing_axes_] == [5, 3, 4]
    assert written(display) == [
        "Photo 0\n48.8580°N, 2.2940°E",
        "Same area",
        "distance 0.25\n110 m away",
        "distance 0.5\n0 m away",
        "Easy to confuse",
        "distance 0.0625\n8,730 km away",
        "distance 0.125\n16 km away",
        "distance 2\n16 km away",
    ]
    assert display.figure_ is display.ax_.figure
    table = pairs.explain(0)
    np.testing.assert_array_equal(display.explanation["index"], table["index"])


def test_a_row_says_how_many_it_leaves_out(pairs, images):
    display = PairsDisplay.from_estimator(pairs, images, 0, n_partners=1)
    assert len(display.same_area_axes_) == len(display.easy_confusing_axes_) == 1
    assert "Same area (1 of 2)" in written(display)
    assert "Easy to confuse (1 of 3)" in written(display)


def test_only_what_is_shown_is_read(pairs, images, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i in (0, 2, 5):
        Image.fromarray(images[i]).save(paths[i])
    display = PairsDisplay.from_estimator(pairs, paths, 0, n_partners=1)
    assert drawn(display.same_area_axes_[0]) == 2
    with pytest.raises(FileNotFoundError, match="png"):
        PairsDisplay.from_estimator(pairs, paths, 0)


def test_a_photo_counted_from_the_end(pairs, images):
    display = PairsDisplay.from_estimator(pairs, images, -1)
    assert display.index == 5
    assert drawn(display.photo_ax_) == 5
    assert "No other photo in this area" in written(display)
    assert display.same_area_axes_ == []


def test_one_area_has_nothing_to_confuse(images):
    pairs = InconsistencyPairs().fit(FEATURES, ["rome"] * 6)
    display = PairsDisplay.from_estimator(pairs, images, 3)
    assert len(display.same_area_axes_) == 5
    assert "No photo in another area" in written(display)
    assert "Photo 3\narea rome" in written(display)
    assert "distance 0.0625\n" in written(display)


def test_one_photo_alone():
    pairs = InconsistencyPairs().fit([[0.0]], [[0.0, 0.0]])
    display = PairsDisplay.from_estimator(pairs, [np.zeros((4, 4))], 0)
    assert len(display.figure_.axes[0].child_axes) == 1
    display.figure_.canvas.draw()


def test_labels_are_told_instead_of_km(images):
    pairs = InconsistencyPairs().fit(FEATURES, ["rome", "rome", "oslo", "oslo", "oslo", "lima"])
    display = PairsDisplay.from_estimator(pairs, images, 0)
    assert "distance 0.0625\narea lima" in written(display)
    assert not any("away" in text for text in written(display))


def test_images_of_all_kinds_and_shapes(pairs, tmp_path):
    Image.new("RGB", (3000, 900), "red").save(tmp_path / "wide.jpg")
    images = [
        tmp_path / "wide.jpg",
        np.zeros((900, 20)),
        Image.new("L", (5, 5)),
        np.ones((1, 1, 3)),
        np.zeros((300, 200, 4), dtype=np.uint8),
        np.zeros((50, 50), dtype=np.uint16),
    ]
    display = PairsDisplay.from_estimator(pairs, images, 0)
    display.figure_.canvas.draw()
    pixels = [np.asarray(ax.get_images()[0].get_array()) for ax in display.ax_.child_axes]
    assert max(max(array.shape) for array in pixels) <= 640
    assert pixels[0].shape[1] / pixels[0].shape[0] == pytest.approx(3000 / 900, rel=0.01)
    # Each is drawn in its own shape, above what is written below it.
    for ax, array in zip(display.ax_.child_axes, pixels, strict=True):
        box = ax.get_window_extent()
        assert box.height / box.width == pytest.approx(array.shape[0] / array.shape[1], rel=0.02)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_text_is_readable_and_on_the_figure(pairs, images, style):
    with plt.style.context(style):
        display = PairsDisplay.from_estimator(pairs, images, 0)
        display.figure_.canvas.draw()
        paper = np.mean(matplotlib.colors.to_rgb(display.ax_.get_facecolor()))
        width, height = display.figure_.canvas.get_width_height()
        for text in display.ax_.texts:
            assert abs(np.mean(matplotlib.colors.to_rgb(text.get_color())) - paper) > 0.25
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height
        boxes = [ax.get_window_extent() for ax in display.ax_.child_axes]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        captions = [t.get_window_extent() for t in display.ax_.texts]
        assert not any(a.overlaps(b) for a in captions for b in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(captions) for b in captions[:i])
        colors = [
            to_hex(axes[0].spines["top"].get_edgecolor())
            for axes in (display.same_area_axes_, display.easy_confusing_axes_)
        ]
        assert colors[0] != colors[1]


def test_draws_into_axes_that_are_given(pairs, images):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    display = PairsDisplay.from_estimator(pairs, images, 0, ax=right)
    figure.canvas.draw()
    assert display.ax_ is right
    assert display.figure_ is figure
    frame = right.get_window_extent()
    for ax in right.child_axes:
        box = ax.get_window_extent()
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1
    assert not left.child_axes


def test_from_an_estimator_that_holds_pairs(pairs, images):
    class Embedding:
        pairs_ = pairs

    display = PairsDisplay.from_estimator(Embedding(), images, 0)
    assert [drawn(ax) for ax in display.same_area_axes_] == [2, 1]
    Embedding.pairs_ = None
    for nothing in (Embedding(), "pairs"):
        with pytest.raises(TypeError, match="has no pairs"):
            PairsDisplay.from_estimator(nothing, images, 0)


def test_from_a_table(pairs, images):
    table = pairs.explain([0, 4])
    display = PairsDisplay.from_explanation(table, images, index=4)
    assert [drawn(ax) for ax in display.same_area_axes_] == [3]
    near = table[(table["photo"] == 0) & (table["km"] < 100)]
    display = PairsDisplay.from_explanation(near, images)
    assert [drawn(ax) for ax in display.easy_confusing_axes_] == [3, 4]
    with pytest.raises(ValueError, match="tells of 2 photos"):
        PairsDisplay.from_explanation(table, images)
    with pytest.raises(ValueError, match="names photo 5, but images holds 5"):
        PairsDisplay.from_explanation(table, images[:5], index=0)
    with pytest.raises(ValueError, match=r"lacks the columns \['photo', 'km'\]"):
        PairsDisplay.from_explanation(table.drop(columns=["photo", "km"]), images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": 6}, "index 6 is out of range"),
        ({"index": [0, 1]}, "one photo"),
        ({"n_partners": 0}, "n_partners is 0"),
        ({"n_partners": 2.0}, "n_partners is 2.0"),
        ({"n_partners": True}, "n_partners is True"),
        ({"images": [np.zeros((2, 2))] * 5}, "images holds 5 images, but the pairs are of 6"),
        ({"images": "a.jpg"}, "single image"),
    ],
)
def test_bad_arguments_are_named(pairs, images, arguments, message):
    call = {"images": images, "index": 0, **arguments}
    with pytest.raises(ValueError, match=message):
        PairsDisplay.from_estimator(pairs, **call)
