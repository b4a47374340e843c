"""GIST against torchgist on the same square, and against its definition in numpy."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch

from skgeo.features import _gist, gist
from skgeo.features._gist import gist_of_square
from skgeo.features._resample import squash


@pytest.fixture(scope="module")
def oracle():
    with warnings.catch_warnings():
        # The package silences all warnings of the process when it is imported.
        models = pytest.importorskip("torchgist.models", reason="torchgist is not installed")
        warnings.simplefilter("ignore")
        model = models.GIST((6, 6, 6, 6), 5)

    def compute(square):
        batch = torch.tensor(np.repeat(square[None], 3, axis=0).copy())
        return model(batch).numpy()

    return compute


def test_equals_torchgist_on_the_same_square(oracle, make, rng):
    squares = [squash(make(*size, seed=seed).mean(axis=2, dtype=np.float32), 256)
               for seed, size in enumerate([(90, 120), (256, 256), (400, 300)])]  # fmt: skip
    squares.append(rng.random((256, 256)).astype(np.float32))
    y, x = np.mgrid[0:256, 0:256]
    squares.append((np.sin(x * 0.7 + y * 0.2) + 1).astype(np.float32))
    single = np.zeros((256, 256), dtype=np.float32)
    single[17, 200] = 1
    squares.append(single)
    for square in squares:
        np.testing.assert_allclose(gist_of_square(square), oracle(square), rtol=0, atol=1e-5)


def slow_gist(square):
    """The definition in double precision, with numpy's Fourier transforms."""
    image = square.astype(float) - square.min()
    image = np.log1p(image * (255 / image.max()))
    image = np.pad(image, 5, mode="symmetric")
    frequency = np.fft.fftfreq(266) * 266
    low_pass = np.exp(-(frequency[:, None] ** 2 + frequency**2) / (4 / np.sqrt(np.log(2))) ** 2)
    image = image - np.fft.ifft2(np.fft.fft2(image) * low_pass).real
    spread = np.sqrt(np.abs(np.fft.ifft2(np.fft.fft2(image**2) * low_pass)))
    image = (image / (0.2 + spread))[5:-5, 5:-5]
    spectrum = np.fft.fft2(np.pad(image, 32, mode="symmetric"))
    fx = np.fft.fftfreq(320)
    radius, angle = np.hypot(fx[:, None], fx), np.angle(fx + 1j * fx[:, None])
    edges = np.linspace(0, 256, 6).astype(int)
    values = []
    for scale in range(4):
        for orientation in range(6):
            theta = angle + np.pi / 6 * orientation
            theta = np.where(theta > np.pi, theta - 2 * np.pi, theta)
            gabor = np.exp(
                -3.5 * (radius / (0.3 / 1.85**scale) - 1) ** 2
                - 2 * np.pi * (16 * 6**2 / 32**2) * theta**2
            )
            energy = np.abs(np.fft.ifft2(spectrum * gabor))[32:-32, 32:-32]
            for left, right in pairwise(edges):
                for top, bottom in pairwise(edges):
                    values.append(energy[top:bottom, left:right].mean())
    return np.array(values)


def test_equals_the_definition(make, rng):
    for square in (
        squash(make(120, 90).mean(axis=2, dtype=np.float32), 256),
        rng.random((256, 256)).astype(np.float32),
    ):
        np.testing.assert_allclose(gist_of_square(square), slow_gist(square), rtol=0, atol=2e-6)


def test_the_whole_way_from_an_image(make):
    image = make(120, 90)
    square = squash(image.mean(axis=2, dtype=np.float32), 256)
    np.testing.assert_allclose(gist(image), slow_gist(square), rtol=0, atol=2e-5)


def test_fast_is_near_exact(make, rng):
    squares = [squash(make(*size, seed=seed).mean(axis=2, dtype=np.float32), 256)
               for seed, size in enumerate([(90, 120), (256, 256), (400, 300)])]  # fmt: skip
    squares.append(rng.random((256, 256)).astype(np.float32))
    for square in squares:
        exact, fast = gist_of_square(square), gist_of_square(square, precision="fast")
        assert not np.array_equal(exact, fast)
        assert np.corrcoef(exact, fast)[0, 1] > 0.998
        assert np.linalg.norm(fast - exact) < 0.04 * np.linalg.norm(exact)


def test_whole_windows_sampled_densely_are_exact(monkeypatch, make):
    """With nothing left out the fast way is the definition."""
    square = squash(make(90, 120).mean(axis=2, dtype=np.float32), 256)
    monkeypatch.setattr(_gist, "_LEFT_OUT", -1.0)
    _gist._windows.cache_clear()
    try:
        fast = gist_of_square(square, precision="fast")
    finally:
        monkeypatch.undo()
        _gist._windows.cache_clear()
    np.testing.assert_allclose(fast, gist_of_square(square), rtol=0, atol=2e-6)


@pytest.mark.parametrize("precision", ["exact", "fast"])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_one_colour_has_no_energy(value, precision):
    image = np.full((9, 5, 3), value, np.uint8)
    np.testing.assert_array_equal(gist(image, precision=precision), np.zeros(600))


def test_it_does_not_depend_on_brightness_and_contrast(make):
    image = make(80, 80).astype(np.float32) / 255
    np.testing.assert_allclose(gist(image * 0.5 + 0.25), gist(image), atol=1e-4)


@pytest.mark.parametrize(("stripes", "orientation"), [("upright", 0), ("level", 3)])
def test_the_direction_of_stripes(stripes, orientation):
    wave = np.sin(np.arange(256) * 2 * np.pi * 0.3 / 1.85)
    image = np.repeat((127 + 100 * wave)[None, :, None], 256, axis=0).repeat(3, axis=2)
    image = image.astype(np.uint8)
    if stripes == "level":
        image = image.transpose(1, 0, 2)
    energy = gist(image).reshape(4, 6, 25).mean(axis=2)
    assert np.unravel_index(energy.argmax(), energy.shape) == (1, orientation)


def test_blocks_run_column_by_column(rng):
    image = np.full((250, 250, 3), 128, dtype=np.uint8)
    image[:50, 100:150] = rng.integers(0, 256, (50, 50, 3))  # first row, third column
    energy = gist(image).reshape(24, 25).mean(axis=0)
    assert energy.argmax() == 2 * 5 + 0


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 300), (3, 3)])
def test_the_smallest_images(rng, shape):
    values = gist(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert values.shape == (600,)
    assert np.isfinite(values).all()
