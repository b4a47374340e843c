"""The 32 oriented filters whose responses textons are made of."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import dawsn

from ._resample import Float32Array

__all__ = [
    "N_FILTERS",
    "N_PAIRS",
    "filter_bank",
    "filter_responses",
    "filter_responses_at",
    "principal_filters",
]

_N_ORIENTATIONS = 8
_SIGMAS = (1.0, 1.4)
_ELONGATION = 2.0
_RADIUS = int(np.ceil(3 * _ELONGATION * max(_SIGMAS)))
N_FILTERS = 2 * _N_ORIENTATIONS * len(_SIGMAS)

#: Each of an even and an odd filter.
N_PAIRS = N_FILTERS // 2

# Lengths with fast transforms. Few of them, so that photos of similar sizes share the spectra of
# the filters, which are kept in a small cache.
_DFT_LENGTHS = (32, 48, 64, 80, 96, 128, 160, 192, 216, 240, 256, 288, 320, 360, 432)


@lru_cache(maxsize=1)
def filter_bank() -> Float32Array:
    """Build the 32 filters: 2 scales, 8 orientations, even and odd.

    Across, the even filter is the second derivative of a Gaussian of width sigma and the odd one
    its Hilbert transform; along, both are a Gaussian of width 2 sigma. Each is cut off at 3 of its
    larger width, has mean zero and absolute values that sum to 1.

    Returns
    -------
    ndarray of shape (32, 19, 19)
        float32, in the order scale, orientation k pi / 8, even and odd. Filters of the smaller
        scale are zero beyond their 13 x 13 pixels.

    References
    ----------
    Malik, Belongie, Leung, Shi: Contour and texture analysis for image segmentation, IJCV 2001.
    """
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].astype(float)
    bank = np.zeros((len(_SIGMAS), _N_ORIENTATIONS, 2, *x.shape))
    for scale, sigma in enumerate(_SIGMAS):
        support = max(np.ceil(3 * _ELONGATION * sigma), 1)
        inside = (np.abs(x) <= support) & (np.abs(y) <= support)
        for orientation in range(_N_ORIENTATIONS):
            theta = orientation * np.pi / _N_ORIENTATIONS
            along = x * np.cos(theta) + y * np.sin(theta)
            u = (y * np.cos(theta) - x * np.sin(theta)) / (np.sqrt(2) * sigma)
            envelope = np.exp(-0.5 * (along / (_ELONGATION * sigma)) ** 2)
            # Up to a factor: the second derivatives of exp(-u^2) and of its Hilbert transform,
            # which is Dawson's integral.
            even = (2 * u**2 - 1) * np.exp(-(u**2))
            odd = (2 * u**2 - 1) * dawsn(u) - u
            for phase, across in enumerate((even, odd)):
                kernel = np.where(inside, across * envelope, 0.0)
                kernel -= inside * (kernel.sum() / inside.sum())
                bank[scale, orientation, phase] = kernel / np.abs(kernel).sum()
    result = bank.reshape(N_FILTERS, *x.shape).astype(np.float32)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=16)
def principal_filters(n_pairs: int) -> npt.NDArray[np.float64]:
    """Find the few combinations of the filters that hold most of what the bank responds to.

    These are the principal components of the responses to a picture whose power falls with the
    square of the frequency, as that of photographs does. Even and odd filters do not correlate in
    it, so that combinations are of even filters alone or of odd ones.

    Parameters
    ----------
    n_pairs : int
        How many of each, at most 16.

    Returns
    -------
    ndarray of shape (32, 2 * n_pairs)
        Orthonormal columns of weights, even and odd in turn, the most important first.
    """
    side = 256
    frequency = np.fft.fftfreq(side)
    power = 1 / np.maximum(np.hypot(frequency[:, None], frequency), 1 / side) ** 2
    spectra = np.stack(
        [_real_spectrum(kernel, index % 2 == 1, side, side)
         for index, kernel in enumerate(filter_bank())]
    )  # fmt: skip
    spectra = (spectra * np.sqrt(power)).reshape(N_FILTERS, -1)
    weights = np.zeros((N_FILTERS, 2 * n_pairs))
    for phase in (0, 1):
        part = spectra[phase::2]
        _, vectors = np.linalg.eigh(part @ part.T)
        chosen = vectors[:, ::-1][:, :n_pairs]
        # The sign of a component is arbitrary; this one does not depend on the machine.
        largest = np.abs(chosen).argmax(axis=0)
        weights[phase::2, phase::2] = chosen * np.sign(chosen[largest, range(n_pairs)])
    weights.setflags(write=False)
    return weights


def _dft_length(n: int) -> int:
    return next((length for length in _DFT_LENGTHS if length >= n), cv2.getOptimalDFTSize(n))


def _real_spectrum(
    kernel: npt.NDArray[Any], odd: bool, rows: int, columns: int
) -> npt.NDArray[np.float64]:
    """Spectrum of the correlation with an even kernel, or with i times an odd one: it is real."""
    frame = np.zeros((rows, columns))
    size = len(kernel)
    # Reversed, because a product of spectra is a convolution; its centre at the origin.
    frame[:size, :size] = kernel[::-1, ::-1]
    spectrum = np.fft.fft2(np.roll(frame, (-_RADIUS, -_RADIUS), axis=(0, 1)))
    return -spectrum.imag if odd else spectrum.real


@lru_cache(maxsize=6)
def _pair_spectra(rows: int, columns: int, n_pairs: int) -> Float32Array:
    """Spectra of the correlations with even + i odd, each value twice in a row.

    An even filter has a real spectrum and an odd one an imaginary one, so that of a pair is real.
    """
    filters = filter_bank()
    if n_pairs < N_PAIRS:
        filters = np.tensordot(principal_filters(n_pairs).T, filters, axes=1)
    spectra = np.empty((n_pairs, rows, 2 * columns), dtype=np.float32)
    for pair, spectrum in enumerate(spectra):
        real = _real_spectrum(filters[2 * pair], False, rows, columns)
        real += _real_spectrum(filters[2 * pair + 1], True, rows, columns)
        # Scaled as the inverse transform that divides by the size.
        spectrum[:] = np.repeat(real / (rows * columns), 2, axis=1)
    return spectra


@lru_cache(maxsize=64)
def _lattice_shift(stride: int) -> int:
    """How far along the kept pixels move from row to row, to be as far apart as can be."""

    def closest(shift: int) -> int:
        # Squared distance to the nearest other point, by Gauss's reduction of the lattice.
        u, v = (stride, 0), (-shift, 1)
        while True:
            if u[0] ** 2 + u[1] ** 2 > v[0] ** 2 + v[1] ** 2:
                u, v = v, u
            norm = u[0] ** 2 + u[1] ** 2
            times = round((u[0] * v[0] + u[1] * v[1]) / norm)
            if times == 0:
                return norm
            v = (v[0] - times * u[0], v[1] - times * u[1])

    return max(range(stride), key=closest)


@lru_cache(maxsize=16)
def _kept_pixels(rows: int, columns: int, stride: int) -> npt.NDArray[np.intp]:
    """Flat indices of one in ``stride`` pixels, spread evenly over the plane."""
    along = np.arange(columns) + _lattice_shift(stride) * np.arange(rows)[:, None]
    kept = np.flatnonzero(along % stride == min(stride // 2, columns - 1))
    kept.setflags(write=False)
    return kept


def _pad(grey: Float32Array) -> Float32Array:
    return cv2.copyMakeBorder(grey, *(4 * (_RADIUS,)), borderType=cv2.BORDER_REFLECT_101)


def filter_responses(
    grey: Float32Array, *, stride: int = 1, n_pairs: int = N_PAIRS
) -> Float32Array:
    """Filter a grey image with the bank, its border mirrored, and keep one in n pixels.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        float32 from 0 to 1.
    stride : int
        Keep one pixel in ``stride``, on a lattice whose points are as far apart as can be.
    n_pairs : int
        Fewer than 16 filter with the `principal_filters` instead.

    Returns
    -------
    ndarray of shape (2 * n_pairs, n_pixels)
        float32, even and odd in turn, pixels row by row.
    """
    padded = _pad(grey)
    rows, columns = (_dft_length(n) for n in padded.shape)
    image = np.zeros((rows, columns), dtype=np.float32)
    image[: padded.shape[0], : padded.shape[1]] = padded
    spectrum = cv2.dft(image, flags=cv2.DFT_COMPLEX_OUTPUT)
    # One buffer for all filters, transformed in place.
    buffer = np.empty_like(spectrum)
    flat_spectrum, flat_buffer = (x.reshape(rows, 2 * columns) for x in (spectrum, buffer))
    # The part of the circular convolution that no edge of the frame reaches.
    down, across = (slice(_RADIUS, _RADIUS + n) for n in grey.shape)
    filtered = buffer.view(np.complex64)[down, across, 0]
    kept = _kept_pixels(*grey.shape, stride)
    responses = np.empty((n_pairs, 2, len(kept)), dtype=np.float32)
    for pair, gain in zip(responses, _pair_spectra(rows, columns, n_pairs), strict=True):
        np.multiply(flat_spectrum, gain, out=flat_buffer)
        cv2.dft(buffer, dst=buffer, flags=cv2.DFT_INVERSE)
        values = filtered.reshape(-1)
        if stride > 1:
            values = values[kept]
        pair[0], pair[1] = values.real, values.imag
    return responses.reshape(2 * n_pairs, -1)


def filter_responses_at(
    grey: Float32Array, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Float32Array:
    """Filter a grey image at a few pixels only; equal to `filter_responses` there.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        float32 from 0 to 1.
    rows, columns : ndarray of shape (n_pixels,)
        The pixels.

    Returns
    -------
    ndarray of shape (32, n_pixels)
        float32.
    """
    bank = filter_bank()
    windows = np.lib.stride_tricks.sliding_window_view(_pad(grey), bank.shape[1:])
    patches = windows[rows, columns].reshape(len(rows), -1)
    return bank.reshape(N_FILTERS, -1) @ patches.T
