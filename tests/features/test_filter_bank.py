"""The filters written out, their responses against scipy's correlation, and their reductions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.signal import hilbert

from skgeo.features._filter_bank import (
    N_FILTERS,
    N_PAIRS,
    _kept_pixels,
    _lattice_shift,
    filter_bank,
    filter_responses,
    filter_responses_at,
    principal_filters,
)


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
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (7, 2), (30, 41)])
def test_a_stride_picks_pixels_of_the_whole(rng, shape, stride):
    grey = rng.random(shape).astype(np.float32)
    whole = filter_responses(grey)
    kept = [
        y * shape[1] + x
        for y in range(shape[0])
        for x in range(shape[1])
        if (x + _lattice_shift(stride) * y) % stride == min(stride // 2, shape[1] - 1)
    ]
    assert kept
    np.testing.assert_array_equal(filter_responses(grey, stride=stride), whole[:, kept])


@pytest.mark.parametrize("stride", range(1, 14))
def test_kept_pixels_are_one_in_a_stride_and_far_apart(stride):
    side = 26 * stride
    kept = np.stack(np.divmod(_kept_pixels(side, side, stride), side), axis=1)
    assert len(kept) == side * side // stride
    middle = kept[np.abs(kept - side // 2).sum(axis=1).argmin()]
    squared = ((kept - middle) ** 2).sum(axis=1)

    def least(shift):
        """Slow: all points of the lattice nearby."""
        y, x = np.mgrid[-stride : stride + 1, -stride : stride + 1]
        on = (x + shift * y) % stride == 0
        return min((x**2 + y**2)[on & ((x != 0) | (y != 0))])

    assert squared[squared > 0].min() == max(least(shift) for shift in range(stride))


def test_images_longer_than_the_usual_lengths(rng):
    grey = rng.random((3, 500)).astype(np.float32)
    np.testing.assert_allclose(filter_responses(grey), slow_responses(grey), atol=1e-6)


# --- principal filters ----------------------------------------------------------------------


def test_principal_filters_are_orthonormal_and_even_or_odd():
    weights = principal_filters(7)
    assert weights.shape == (N_FILTERS, 14)
    np.testing.assert_allclose(weights.T @ weights, np.eye(14), atol=1e-12)
    assert (weights[0::2, 1::2] == 0).all()
    assert (weights[1::2, 0::2] == 0).all()
    np.testing.assert_array_equal(principal_filters(3), weights[:, :6])


def test_principal_filters_hold_the_most_of_a_natural_picture(rng):
    frequency = np.fft.fftfreq(256)
    falling = 1 / np.maximum(np.hypot(frequency[:, None], frequency), 1 / 256)
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(256, 256))) * falling).real
    responses = filter_responses(noise.astype(np.float32)).astype(float)

    def held(weights):
        return ((weights.T @ responses) ** 2).sum() / (responses**2).sum()

    shares = [held(principal_filters(n)) for n in (1, 3, 5, 7, N_PAIRS)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert shares[-2] > 0.97
    _, best = np.linalg.eigh(responses @ responses.T)
    assert shares[-2] > held(best[:, -14:]) - 0.02


@pytest.mark.parametrize("n_pairs", [1, 4, 7])
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (30, 41)])
def test_principal_responses_are_combinations_of_all(rng, shape, n_pairs):
    grey = rng.random(shape).astype(np.float32)
    expected = principal_filters(n_pairs).T @ slow_responses(grey)
    np.testing.assert_allclose(filter_responses(grey, n_pairs=n_pairs), expected, atol=1e-6)
