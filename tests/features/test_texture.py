"""Textons against filters written out, scipy's correlation and a search of all centres."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.signal import hilbert

from skgeo.features import texton_histogram
from skgeo.features._resample import shrink
from skgeo.features._texture import (
    N_FILTERS,
    N_TEXTONS,
    check_dictionary,
    filter_bank,
    filter_responses,
    filter_responses_at,
    learn_textons,
    nearest_textons,
)


@pytest.fixture(scope="module")
def dictionary(make):
    grey = make(80, 80, seed=5).mean(axis=2).astype(np.float32) / 255
    return learn_textons(filter_responses(grey), seed=0)


def slow_responses(grey):
    """Shape (32, n_pixels), by scipy; its "mirror" does not repeat the border."""
    bank = filter_bank().astype(float)
    return np.stack(
        [correlate(grey.astype(float), kernel, mode="mirror").ravel() for kernel in bank]
    )


# --- filters --------------------------------------------------------------------------------


def test_filters_have_mean_zero_and_unit_sum():
    bank = filter_bank().astype(float)
    assert bank.shape == (32, 19, 19)
    np.testing.assert_allclose(bank.sum(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(bank).sum(axis=(1, 2)), 1, atol=1e-6)


def test_filters_of_the_smaller_scale_end_at_three_sigma():
    small, large = filter_bank()[:16], filter_bank()[16:]
    assert (small[:, :3] == 0).all()
    assert (small[:, :, -3:] == 0).all()
    assert (small[:, 3, 3:-3] != 0).any()
    assert (large[:, 0] != 0).any()


@pytest.mark.parametrize(("index", "sigma"), [(0, 1.0), (16, 1.4)])
def test_profiles_are_a_second_derivative_and_its_hilbert_transform(index, sigma):
    """At orientation 0 a filter is a profile across y times a Gaussian along x."""
    radius = int(np.ceil(6 * sigma))
    fine = np.linspace(-400, 400, 80_001)
    even = (fine**2 / sigma**2 - 1) * np.exp(-(fine**2) / (2 * sigma**2))
    odd = np.imag(hilbert(even))
    x = np.arange(-radius, radius + 1)
    along = np.exp(-(x**2) / (2 * (2 * sigma) ** 2))
    for phase, profile in enumerate((even, odd)):
        across = np.interp(x, fine, profile)
        expected = across[:, None] * along
        expected -= expected.mean()
        expected /= np.abs(expected).sum()
        crop = slice(9 - radius, 9 + radius + 1)
        actual = filter_bank()[index + phase][crop, crop]
        sign = np.sign((actual * expected).sum())
        np.testing.assert_allclose(actual, sign * expected, atol=2e-5)


def test_orientations_are_rotations_of_each_other():
    for start in (0, 16):
        bank = filter_bank()[start : start + 16]
        for k in range(4):  # a quarter turn is four steps
            for phase in range(2):
                turned = np.rot90(bank[2 * k + phase])
                other = bank[2 * (k + 4) + phase]
                sign = np.sign((turned * other).sum())
                np.testing.assert_allclose(turned, sign * other, atol=1e-7)


def test_a_line_answers_most_to_its_own_direction():
    y, x = np.mgrid[-30:31, -30:31]
    for k in range(8):
        theta = k * np.pi / 8
        line = (np.abs(y * np.cos(theta) - x * np.sin(theta)) < 1).astype(np.float32)
        responses = filter_responses(line).reshape(2, 8, 2, 61, 61)[0, :, 0, 30, 30]
        assert np.abs(responses).argmax() == k


# --- responses ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 41), (1, 1), (1, 5), (7, 2), (9, 9), (14, 110), (120, 20)])
def test_responses_equal_scipys_correlation(rng, shape):
    grey = rng.random(shape).astype(np.float32)
    expected = slow_responses(grey)
    responses = filter_responses(grey)
    assert responses.dtype == np.float32
    np.testing.assert_allclose(responses, expected, atol=1e-6)
    rows, columns = np.divmod(np.arange(grey.size), shape[1])
    np.testing.assert_allclose(filter_responses_at(grey, rows, columns), expected, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (30, 41)])
def test_a_stride_picks_pixels_in_the_middle_of_each_step(rng, shape, stride):
    grey = rng.random(shape).astype(np.float32)
    whole = filter_responses(grey).reshape(N_FILTERS, *shape)
    rows = list(range(min(stride // 2, shape[0] - 1), shape[0], stride))
    columns = list(range(min(stride // 2, shape[1] - 1), shape[1], stride))
    expected = whole[:, rows][:, :, columns].reshape(N_FILTERS, -1)
    np.testing.assert_array_equal(filter_responses(grey, stride=stride), expected)


def test_images_longer_than_the_usual_lengths(rng):
    grey = rng.random((3, 500)).astype(np.float32)
    np.testing.assert_allclose(filter_responses(grey), slow_responses(grey), atol=1e-6)


# --- textons --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_pixels", [1, 511, 512, 513, 2000])
def test_nearest_textons_equal_a_search_of_all(rng, dictionary, n_pixels):
    responses = rng.normal(scale=0.05, size=(N_FILTERS, n_pixels)).astype(np.float32)
    nearest = nearest_textons(responses, dictionary)
    distances = ((responses.T[:, None].astype(float) - dictionary[None]) ** 2).sum(axis=2)
    chosen = distances[np.arange(n_pixels), nearest]
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=1e-4)
    assert (nearest == distances.argmin(axis=1)).mean() > 0.995


def test_of_equal_textons_the_first_counts(dictionary, picture):
    doubled = dictionary.copy()
    doubled[400] = doubled[3]
    histogram = texton_histogram(picture, doubled)
    assert histogram[400] == 0
    assert histogram.sum() == pytest.approx(1, abs=1e-5)


def test_histogram_equals_the_definition(picture, dictionary):
    grey = picture @ np.array([0.299, 0.587, 0.114]) / 255
    responses = slow_responses(grey)
    distances = ((responses.T[:, None] - dictionary[None].astype(float)) ** 2).sum(axis=2)
    expected = np.bincount(distances.argmin(axis=1), minlength=N_TEXTONS) / grey.size
    histogram = texton_histogram(picture, dictionary)
    assert histogram.dtype == np.float32
    # A pixel half way between two textons may fall to either by rounding.
    assert np.abs(histogram - expected).sum() < 0.005


def test_strides_keep_the_histogram_roughly(make, dictionary):
    image = make(200, 200)
    exact = texton_histogram(image, dictionary)
    for stride, correlation in ((2, 0.98), (3, 0.95)):
        fast = texton_histogram(image, dictionary, stride=stride)
        assert fast.sum() == pytest.approx(1, abs=1e-5)
        assert np.corrcoef(exact, fast)[0, 1] > correlation


def test_large_images_are_shrunk(make, dictionary):
    large = make(130, 160)
    shrunk = shrink(large, 80)
    assert shrunk.shape == (65, 80, 3)
    small = texton_histogram(large, dictionary, image_size=80)
    np.testing.assert_array_equal(small, texton_histogram(shrunk, dictionary))
    assert not np.array_equal(small, texton_histogram(large, dictionary))


def test_the_dictionary_is_the_same_for_the_same_seed(rng):
    responses = rng.normal(size=(N_FILTERS, 3000)).astype(np.float32)
    first = learn_textons(responses, seed=1)
    np.testing.assert_array_equal(first, learn_textons(responses, seed=1))
    assert not np.array_equal(first, learn_textons(responses, seed=2))
    assert first.shape == (N_TEXTONS, N_FILTERS)
    error = ((responses.T - first[nearest_textons(responses, first)]) ** 2).sum()
    assert error < 0.8 * (responses**2).sum()


@pytest.mark.parametrize("n_different", [1, 5, 511, 512])
def test_few_different_pixels_are_the_dictionary(rng, n_different):
    different = rng.normal(size=(N_FILTERS, n_different)).astype(np.float32)
    responses = different[:, rng.integers(0, n_different, 3000)]
    responses[:, :n_different] = different
    dictionary = learn_textons(responses, seed=0)
    assert dictionary.shape == (N_TEXTONS, N_FILTERS)
    nearest = nearest_textons(responses, dictionary)
    np.testing.assert_array_equal(dictionary[nearest], responses.T)
    assert len(np.unique(nearest)) == n_different


@pytest.mark.parametrize("dictionary", [
    np.zeros((512, 31)), np.zeros((511, 32)), np.zeros(512), np.full((512, 32), np.nan),
])  # fmt: skip
def test_dictionaries_that_are_none(dictionary):
    with pytest.raises(ValueError, match="texton dictionary"):
        check_dictionary(dictionary)
    with pytest.raises(ValueError, match="texton dictionary"):
        texton_histogram(np.zeros((3, 3, 3), np.uint8), dictionary)
