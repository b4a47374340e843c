"""Working sizes: area averages, the squash to a square, grey and unit scales."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["area_average", "as_grey", "as_uint8", "as_unit", "check_rgb", "shrink", "squash"]

# Always float32, but OpenCV's type stubs name no type of element that a checker could compare.
Float32Array = npt.NDArray[Any]


def check_rgb(image: npt.ArrayLike) -> npt.NDArray[Any]:
    """Take a decoded image as `skgeo.images.load_image` returns it, or say what it should be.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        RGB, uint8 or float32 from 0 to 1 (float64 is converted).

    Returns
    -------
    ndarray of shape (H, W, 3)
        The image, C-contiguous, uint8 or float32.

    Raises
    ------
    ValueError
        If the shape or the type is another.
    """
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(
            f"image has shape {pixels.shape}; expected (H, W, 3) with at least one pixel. "
            "skgeo.images.load_image makes it from any form."
        )
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if pixels.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"image is of type {pixels.dtype}; expected uint8, or floats from 0 to 1. "
            "skgeo.images.load_image makes it from any form."
        )
    return np.ascontiguousarray(pixels)


def shrink(image: npt.NDArray[Any], image_size: int | None) -> npt.NDArray[Any]:
    """Shrink by area averaging until the longer side is ``image_size``; never enlarge.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        uint8 or float32.
    image_size : int or None
        The longest side wanted, in pixels. None leaves the image as it is.

    Returns
    -------
    ndarray of shape (h, w, 3)
        Of the same type; the image itself if it is small enough.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    if image_size is None or longest <= image_size:
        return image
    size = tuple(max(1, round(side * image_size / longest)) for side in (width, height))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def as_unit(image: npt.NDArray[Any]) -> Float32Array:
    """Return the image as float32 from 0 to 1."""
    if image.dtype == np.uint8:
        return np.multiply(image, np.float32(1 / 255), dtype=np.float32)
    return image


def as_uint8(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the image rounded to uint8."""
    if image.dtype == np.uint8:
        return image
    return np.rint(image * np.float32(255)).astype(np.uint8)


def as_grey(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return luma with the weights of BT.601 (0.299, 0.587, 0.114), in the type of the image."""
    grey: npt.NDArray[Any] = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return grey


@lru_cache(maxsize=128)
def _averaging_matrix(n_cells: int, n_pixels: int) -> Float32Array:
    """Rows of weights that average ``n_pixels`` pixels over ``n_cells`` cells of equal length.

    A pixel that straddles two cells counts in each by the part that lies in it.
    """
    edges = np.arange(n_cells + 1) * (n_pixels / n_cells)
    left = np.arange(n_pixels)
    overlap = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    weights = np.maximum(overlap, 0.0)
    matrix = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def area_average(image: Float32Array, rows: int, columns: int) -> Float32Array:
    """Average the image over a grid of cells, exactly, also where cells cut through pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        float32.
    rows, columns : int
        The grid. It may be finer than the pixels: a pixel then fills several cells.

    Returns
    -------
    ndarray of shape (rows, columns) or (rows, columns, C)
        float32.
    """
    height, width = image.shape[:2]
    down = _averaging_matrix(rows, height) @ image.reshape(height, -1)
    across = _averaging_matrix(columns, width)
    if image.ndim == 2:
        return down @ across.T
    return np.matmul(across, down.reshape(rows, width, -1))


def squash(grey: Float32Array, side: int) -> Float32Array:
    """Bring a grey image to a square without regard to its proportions.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        float32.
    side : int
        Pixels a side of the square.

    Returns
    -------
    ndarray of shape (side, side)
        float32: area averages along an axis that shrinks, linear interpolation along one that
        grows.
    """
    height, width = grey.shape
    if height > side or width > side:
        smaller = (min(width, side), min(height, side))
        grey = cv2.resize(grey, smaller, interpolation=cv2.INTER_AREA)
    if grey.shape != (side, side):
        grey = cv2.resize(grey, (side, side), interpolation=cv2.INTER_LINEAR)
    return grey
