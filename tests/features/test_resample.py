"""Working sizes, against averages taken cell by cell."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from skgeo.features._resample import (
    area_average,
    as_grey,
    as_uint8,
    as_unit,
    check_rgb,
    shrink,
    squash,
)


def slow_average(image, rows, columns):
    """Cut pixels into small parts of equal size, so that no cell cuts through one, and average."""
    fine = np.repeat(np.repeat(image, rows, axis=0), columns, axis=1).astype(float)
    height, width = image.shape[:2]
    return fine.reshape(rows, height, columns, width, -1).mean(axis=(1, 3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (5, 5), (16, 16), (17, 40), (64, 31)])
@pytest.mark.parametrize("grid", [(1, 1), (5, 5), (16, 16), (3, 8)])
def test_area_average_is_exact(rng, shape, grid):
    image = rng.random((*shape, 3)).astype(np.float32)
    expected = slow_average(image, *grid)
    np.testing.assert_allclose(area_average(image, *grid), expected, atol=2e-6)
    grey = area_average(image[:, :, 0].copy(), *grid)
    np.testing.assert_allclose(grey, expected[:, :, 0], atol=2e-6)


def test_area_average_equals_opencv_where_both_shrink(rng):
    image = rng.random((83, 121, 3)).astype(np.float32)
    expected = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(area_average(image, 16, 16), expected, atol=1e-5)


@pytest.mark.parametrize(("shape", "image_size", "expected"), [
    ((300, 800), 400, (150, 400)), ((800, 300), 400, (400, 150)), ((400, 400), 400, (400, 400)),
    ((399, 20), 400, (399, 20)), ((800, 800), None, (800, 800)), ((4000, 1), 400, (400, 1)),
    ((3, 5000), 400, (1, 400)), ((601, 401), 400, (400, 267)),
])  # fmt: skip
def test_images_are_shrunk_to_the_longest_side_and_never_enlarged(shape, image_size, expected):
    image = np.full((*shape, 3), 77, dtype=np.uint8)
    small = shrink(image, image_size)
    assert small.shape == (*expected, 3)
    assert (small == 77).all()
    if expected == shape:
        assert small is image


def test_shrinking_averages(rng):
    image = rng.random((120, 160, 3)).astype(np.float32)
    expected = image.reshape(30, 4, 40, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(image, 40), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (64, 64), (40, 200), (200, 40), (200, 300)])
def test_squash_keeps_a_ramp_a_ramp(shape):
    height, width = shape
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    ramp = (y[:, None] + 2 * x).astype(np.float32)
    square = squash(ramp, 64)
    assert square.shape == (64, 64)
    centres = (np.arange(64) + 0.5) / 64
    # Linear interpolation ends half a source pixel before the border.
    expected = centres.clip(y[0], y[-1])[:, None] + 2 * centres.clip(x[0], x[-1])
    # Cells that cut through pixels average steps, not the ramp; half a pixel off would be 8e-3.
    np.testing.assert_allclose(square, expected, atol=3e-3)


def test_squash_averages_where_it_shrinks(rng):
    grey = rng.random((128, 192)).astype(np.float32)
    expected = grey.reshape(64, 2, 64, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(squash(grey, 64), expected, atol=1e-5)


def test_scales_and_grey():
    image = np.array([[[0, 128, 255], [255, 255, 255]]], dtype=np.uint8)
    unit = as_unit(image)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, image / 255, atol=1e-7)
    np.testing.assert_array_equal(as_uint8(unit), image)
    assert as_uint8(image) is image
    assert as_unit(unit) is unit
    luma = (0.587 * 128 + 0.114 * 255) / 255
    np.testing.assert_allclose(as_grey(unit), [[luma, 1.0]], atol=1e-6)


@pytest.mark.parametrize("image", [
    np.zeros((4, 5)), np.zeros((4, 5, 4)), np.zeros((0, 5, 3)), np.zeros((4, 5, 3), dtype=int),
    np.zeros((4, 5, 3), dtype=np.uint16), np.zeros((1, 4, 5, 3)),
])  # fmt: skip
def test_what_is_no_decoded_image(image):
    with pytest.raises(ValueError, match=r"expected.*load_image"):
        check_rgb(image)


def test_double_precision_and_views_are_taken(rng):
    image = rng.random((4, 5, 3))
    assert check_rgb(image[:, ::-1]).dtype == np.float32
    assert check_rgb(image[:, ::-1]).flags.c_contiguous
