"""GIST: the energy of oriented frequencies on a coarse grid (Oliva and Torralba)."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from ._resample import Float32Array, as_unit, check_rgb, squash

__all__ = ["gist", "gist_of_square"]

_SIDE = 256
_N_SCALES, _N_ORIENTATIONS, _N_BLOCKS = 4, 6, 5
_PREFILTER_CYCLES, _PREFILTER_PAD, _CONTRAST_FLOOR = 4.0, 5, 0.2
_PAD = 32
_PADDED = _SIDE + 2 * _PAD


def gist(image: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Mean energy of 4 scales and 6 orientations in 5 x 5 blocks of the whole image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`. The mean of its three channels is squashed
        to 256 x 256 pixels, not cropped.

    Returns
    -------
    ndarray of shape (600,)
        float32, in the order scale (finest first), orientation, blocks column by column.

    References
    ----------
    Oliva, Torralba: Modeling the shape of the scene, IJCV 2001. The paper (section 6.1) takes 600
    dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import gist
    >>> stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    >>> stripes[:, ::4] = 255
    >>> energy = gist(stripes).reshape(4, 6, 25).mean(axis=(0, 2))
    >>> int(energy.argmax())  # horizontal frequencies
    0
    """
    grey = cv2.transform(as_unit(check_rgb(image)), np.full((1, 3), 1 / 3, dtype=np.float32))
    return gist_of_square(squash(grey, _SIDE))


def gist_of_square(grey: Float32Array) -> Float32Array:
    """GIST of a grey image of 256 x 256 pixels on any linear scale; see `gist`."""
    grey = grey - grey.min()
    peak = grey.max()
    if not peak > 0.0:
        # One colour everywhere: no energy at any frequency.
        return np.zeros(_N_SCALES * _N_ORIENTATIONS * _N_BLOCKS**2, dtype=np.float32)
    return _energies(_prefilter(grey * np.float32(255 / peak)))


def _prefilter(grey: Float32Array) -> Float32Array:
    """Take the logarithm, remove slow changes of brightness and even out the local contrast."""
    basis = _low_pass_basis()
    padded = cv2.copyMakeBorder(
        np.log1p(grey), *(4 * (_PREFILTER_PAD,)), borderType=cv2.BORDER_REFLECT
    )
    flat = padded - _low_pass(padded, basis)
    spread = np.sqrt(np.abs(_low_pass(flat * flat, basis)))
    inner = slice(_PREFILTER_PAD, -_PREFILTER_PAD)
    result: Float32Array = (flat / (np.float32(_CONTRAST_FLOOR) + spread))[inner, inner]
    return result


def _low_pass(padded: Float32Array, basis: Float32Array) -> Float32Array:
    return basis @ ((basis.T @ padded) @ basis) @ basis.T


@lru_cache(maxsize=1)
def _low_pass_basis() -> Float32Array:
    """The Gaussian low pass of the prefilter as B B^T along each axis.

    It passes so few frequencies, about 25 of 266, that two products with a thin matrix of
    cosines and sines cost less than the Fourier transforms, and are exact to rounding.
    """
    n = _SIDE + 2 * _PREFILTER_PAD
    sigma = _PREFILTER_CYCLES / np.sqrt(np.log(2.0))
    frequencies = np.arange(1, int(np.ceil(6 * sigma)))
    gain = np.sqrt(2.0 / n) * np.exp(-0.5 * (frequencies / sigma) ** 2)
    angles = 2 * np.pi / n * np.arange(n)[:, None] * frequencies
    columns = [np.full((n, 1), np.sqrt(1.0 / n)), np.cos(angles) * gain, np.sin(angles) * gain]
    return np.hstack(columns).astype(np.float32)


@lru_cache(maxsize=1)
def _gabor_gains() -> Float32Array:
    """Gain of each filter at each frequency, twice in a row: for the real and imaginary part."""
    frequency = np.fft.fftfreq(_PADDED)
    radius = np.hypot(frequency[:, None], frequency)
    angle = np.arctan2(frequency[:, None], frequency[None, :])
    gains = np.empty((_N_SCALES * _N_ORIENTATIONS, _PADDED, 2 * _PADDED), dtype=np.float32)
    for index in range(len(gains)):
        scale, orientation = divmod(index, _N_ORIENTATIONS)
        centre = 0.3 / 1.85**scale
        turned = angle + np.pi / _N_ORIENTATIONS * orientation
        turned -= 2 * np.pi * (turned > np.pi)
        gain = np.exp(
            -3.5 * (radius / centre - 1) ** 2
            - 2 * np.pi * 16 * _N_ORIENTATIONS**2 / 32**2 * turned**2
        )
        gains[index] = np.repeat(gain, 2, axis=1)
    return gains


@lru_cache(maxsize=1)
def _block_matrix() -> Float32Array:
    """Means over 5 blocks of 51 or 52 pixels."""
    edges = np.linspace(0, _SIDE, _N_BLOCKS + 1).astype(int)
    matrix = np.zeros((_N_BLOCKS, _SIDE), dtype=np.float32)
    for row, (start, stop) in enumerate(pairwise(edges)):
        matrix[row, start:stop] = 1 / (stop - start)
    return matrix


def _energies(grey: Float32Array) -> Float32Array:
    padded = cv2.copyMakeBorder(grey, *(4 * (_PAD,)), borderType=cv2.BORDER_REFLECT)
    spectrum = cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT)
    # One buffer for all filters, transformed in place. Products are taken on rows of floats, which
    # with a real gain is several times faster than on complex numbers. OpenCV's transform beats
    # those of numpy, scipy and torch at this size.
    buffer = np.empty_like(spectrum)
    flat_spectrum, flat_buffer = (x.reshape(_PADDED, 2 * _PADDED) for x in (spectrum, buffer))
    inner = slice(_PAD, _PAD + _SIDE)
    response = buffer.view(np.complex64)[inner, inner, 0]
    magnitude = np.empty((_SIDE, _SIDE), dtype=np.float32)
    blocks = _block_matrix()
    gains = _gabor_gains()
    energies = np.empty((len(gains), _N_BLOCKS, _N_BLOCKS), dtype=np.float32)
    for index, gain in enumerate(gains):
        np.multiply(flat_spectrum, gain, out=flat_buffer)
        cv2.dft(buffer, dst=buffer, flags=cv2.DFT_INVERSE)
        np.abs(response, out=magnitude)
        energies[index] = blocks @ magnitude @ blocks.T
    energies *= np.float32(1 / _PADDED**2)
    return energies.transpose(0, 2, 1).reshape(-1)
