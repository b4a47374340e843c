"""Textons against filters written out, scipy's correlation and a search of all centres."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate

from skgeo.features import texton_histogram
from skgeo.features._filter_bank import (
    N_FILTERS,
    filter_bank,
    filter_responses,
    principal_filters,
)
from skgeo.features._resample import shrink
from skgeo.features._texture import (
    N_TEXTONS,
    check_dictionary,
    learn_textons,
    load_dictionary,
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
    for stride, correlation in ((2, 0.99), (3, 0.98), (5, 0.97)):
        fast = texton_histogram(image, dictionary, stride=stride)
        assert fast.sum() == pytest.approx(1, abs=1e-5)
        assert np.corrcoef(exact, fast)[0, 1] > correlation


def test_fast_histograms_are_near_the_exact_ones(make, dictionary):
    for size in ((150, 200), (300, 400)):
        image = make(*size)
        exact = texton_histogram(image, dictionary)
        fast = texton_histogram(image, dictionary, precision="fast")
        assert fast.sum() == pytest.approx(1, abs=1e-5)
        assert not np.array_equal(exact, fast)
        assert np.corrcoef(exact, fast)[0, 1] > 0.99


def test_fast_counts_about_so_many_pixels(make, dictionary):
    """One count is the step of the histogram."""
    for size, stride in (((60, 80), 1), ((192, 256), 2), ((300, 400), 5)):
        image = make(*size)
        fast = texton_histogram(image, dictionary, precision="fast")
        n_pixels = 1 / fast[fast > 0].min()
        assert n_pixels == pytest.approx(size[0] * size[1] / stride, rel=0.01)
        chosen = texton_histogram(image, dictionary, precision="fast", stride=stride)
        np.testing.assert_array_equal(fast, chosen)
    whole = texton_histogram(image, dictionary, precision="fast", stride=1)
    assert 1 / whole[whole > 0].min() == pytest.approx(120_000, rel=0.01)


def test_fast_textons_are_those_nearest_in_the_span_of_the_principal_filters(make, dictionary):
    image = make(50, 60)
    grey = image @ np.array([0.299, 0.587, 0.114]) / 255
    weights = principal_filters(7)
    points, centres = slow_responses(grey).T @ weights, dictionary @ weights
    nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    expected = np.bincount(nearest, minlength=N_TEXTONS) / grey.size
    fast = texton_histogram(image, dictionary, precision="fast")
    assert np.abs(fast - expected).sum() < 0.005


def test_the_dictionary_of_the_package(picture, make):
    dictionary = load_dictionary("blue-marble")
    assert dictionary.shape == (N_TEXTONS, N_FILTERS)
    assert dictionary.dtype == np.float32
    assert not dictionary.flags.writeable
    assert len(np.unique(dictionary, axis=0)) == N_TEXTONS
    np.testing.assert_array_equal(
        texton_histogram(picture, "blue-marble"), texton_histogram(picture, dictionary)
    )
    assert (texton_histogram(make(200, 200), "blue-marble") > 0).sum() > 100
    with pytest.raises(ValueError, match="no texton dictionary 'moon'"):
        texton_histogram(picture, "moon")


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
