"""L*a*b*, its histogram, and tiny images, against scikit-image and loops."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab, xyz2lab

from skgeo.features import color_histogram, tiny_image
from skgeo.features._lab import rgb_to_lab
from skgeo.features._resample import shrink

PRIMARIES = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)


def reference_lab(image, kind):
    """scikit-image's L*a*b*; for the historic kind without undoing the gamma."""
    unit = image / 255 if image.dtype == np.uint8 else image.astype(float)
    return rgb2lab(unit) if kind == "srgb" else xyz2lab(unit @ PRIMARIES.T)


@pytest.fixture(scope="module")
def cube():
    """Every fifth value of each channel: 140,608 colours."""
    values = np.arange(0, 256, 5)
    return (
        np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 52, 3).astype(np.uint8)
    )


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_lab_equals_scikit_image(cube, kind):
    # 5e-3 is what scikit-image's rounded white point makes in b*.
    np.testing.assert_allclose(rgb_to_lab(cube, kind), reference_lab(cube, kind), atol=5e-3)
    floats = (cube / 255).astype(np.float32)
    np.testing.assert_allclose(rgb_to_lab(floats, kind), rgb_to_lab(cube, kind), atol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_grey_has_no_colour(kind):
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    lab = rgb_to_lab(grey, kind)
    assert np.abs(lab[:, :, 1:]).max() < 1e-3
    assert lab[0, 0, 0] == pytest.approx(0, abs=1e-4)
    assert lab[0, 255, 0] == pytest.approx(100, abs=1e-4)
    assert (np.diff(lab[0, :, 0]) > 0).all()


def slow_histogram(image, kind):
    """One pixel at a time, by searching the edges."""
    l_edges = {"linear": [55, 70, 90], "srgb": [25, 50, 75]}[kind]
    ab_edges = list(range(-30, 31, 5))
    histogram = np.zeros((4, 14, 14))
    near_edge = 0
    for light, a, b in reference_lab(image, kind).reshape(-1, 3):
        near_edge += min(abs(light - edge) for edge in l_edges) < 0.06
        near_edge += min(abs(x - edge) for x in (a, b) for edge in ab_edges) < 0.06
        histogram[
            sum(light >= edge for edge in l_edges),
            sum(a >= edge for edge in ab_edges),
            sum(b >= edge for edge in ab_edges),
        ] += 1
    return histogram.reshape(-1) / (image.size // 3), near_edge / (image.size // 3)


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_histogram_equals_the_loop(picture, rng, kind):
    noise = rng.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    for image in (picture, noise, (noise / 255).astype(np.float32), noise[:1, :1]):
        histogram = color_histogram(image, lab=kind)
        expected, near_edge = slow_histogram(image, kind)
        assert histogram.dtype == np.float32
        assert histogram.sum() == pytest.approx(1, abs=1e-5)
        # Only pixels within the tolerance of an edge may differ, each in two bins.
        assert np.abs(histogram - expected).sum() <= 2 * near_edge + 1e-5
        assert near_edge < 0.2


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_the_edges_are_where_they_should_be(kind):
    """Colours on a line through the middle of a bin, so that every edge of a* is crossed."""
    reds = np.stack([np.arange(256), np.full(256, 120), np.full(256, 120)], axis=1)
    for value in reds.astype(np.uint8)[:, None, None]:
        light, a, b = reference_lab(value, kind).ravel()
        edges_l = {"linear": [55, 70, 90], "srgb": [25, 50, 75]}[kind]
        if min(abs(x - edge) for x in (a, b) for edge in range(-30, 31, 5)) < 0.06:
            continue
        expected = (
            np.searchsorted(edges_l, light) * 196
            + np.searchsorted(np.arange(-30, 31, 5), a) * 14
            + np.searchsorted(np.arange(-30, 31, 5), b)
        )
        assert color_histogram(value, lab=kind).argmax() == expected


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_grey_and_slightly_rounded_grey_have_the_same_histogram(rng, kind):
    # Keep clear of the edges of L*, which are no matter of rounding in a* and b*.
    grey = rng.integers(0, 256, (40, 40, 1)).repeat(3, axis=2).astype(np.uint8)
    exact = color_histogram(grey, lab=kind)
    assert set(np.flatnonzero(exact) % 196) == {7 * 14 + 7}
    unit = (grey / 255).astype(np.float32)
    for _ in range(5):
        rounded = unit * (1 + rng.uniform(-2e-6, 2e-6, unit.shape)).astype(np.float32)
        histogram = color_histogram(rounded.clip(0, 1), lab=kind)
        assert set(np.flatnonzero(histogram) % 196) == {7 * 14 + 7}
        np.testing.assert_allclose(histogram, exact, atol=2e-3)


def test_black_and_white_are_in_the_outermost_bins_of_lightness():
    black = color_histogram(np.zeros((3, 3, 3), np.uint8))
    white = color_histogram(np.full((3, 3, 3), 255, np.uint8))
    assert black.argmax() == 7 * 14 + 7
    assert white.argmax() == 3 * 196 + 7 * 14 + 7


def test_the_histogram_does_not_depend_on_where_the_pixels_are(rng, picture):
    shuffled = rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape)
    np.testing.assert_array_equal(color_histogram(shuffled), color_histogram(picture))


def test_the_histogram_shrinks_large_images_unless_told_not_to(make):
    large = make(500, 700)
    assert not np.array_equal(color_histogram(large), color_histogram(large, image_size=None))
    expected = color_histogram(shrink(large, 400), image_size=None)
    np.testing.assert_array_equal(color_histogram(large), expected)


# --- tiny images ----------------------------------------------------------------------------


def test_tiny_image_is_in_the_order_row_column_channel():
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[4:6, 10:12, 1] = 255
    tiny = tiny_image(image).reshape(16, 16, 3)
    assert tiny[2, 5, 1] == 1
    assert tiny.sum() == 1


def test_tiny_image_averages_cells(rng):
    image = rng.integers(0, 256, (35, 80, 3), dtype=np.uint8)
    tiny = tiny_image(image, 5).reshape(5, 5, 3)
    expected = image.reshape(5, 7, 5, 16, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(tiny, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "srgb"])
def test_tiny_image_in_lab_converts_the_mean_colours(rng, kind):
    image = rng.integers(0, 256, (35, 80, 3), dtype=np.uint8)
    means = image.reshape(5, 7, 5, 16, 3).mean(axis=(1, 3)) / 255
    tiny = tiny_image(image, 5, color_space="lab", lab=kind)
    np.testing.assert_allclose(tiny, reference_lab(means, kind).ravel(), atol=5e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2)])
def test_tiny_image_of_an_image_smaller_than_the_grid(rng, shape):
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    tiny = tiny_image(image).reshape(16, 16, 3)
    means = tiny.mean(axis=(0, 1), dtype=float)
    np.testing.assert_allclose(means, image.mean(axis=(0, 1)) / 255, atol=1e-6)
    if shape[1] < 16:
        np.testing.assert_allclose(tiny[0, 0], image[0, 0] / 255, atol=1e-6)
        np.testing.assert_allclose(tiny[-1, -1], image[-1, -1] / 255, atol=1e-6)
