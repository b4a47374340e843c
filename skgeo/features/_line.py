"""Straight lines: how long they are and which way they run."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ._resample import Float32Array, as_grey, as_uint8, check_rgb, shrink

__all__ = ["LineSegments", "find_line_segments", "line_histogram"]

_CANNY_LOW, _CANNY_HIGH, _APERTURE = 200, 500, 5
_N_DIRECTIONS = 8
_LEAST_SIZE = 0.02
_LEAST_CONFIDENCE, _GREATEST_CONFIDENCE, _PERFECT_CONFIDENCE = 200.0, 800.0, 1600.0
_N_ANGLES, _N_LENGTHS = 200, 32
_LENGTH_SCALE = 800.0


class LineSegments(NamedTuple):
    """Straight segments found in an image, one entry each.

    Attributes
    ----------
    angle : ndarray of shape (n_segments,)
        Degrees from the horizontal, anticlockwise as seen, in [0, 180).
    length : ndarray of shape (n_segments,)
        Pixels: the diagonal of the box around the segment.
    confidence : ndarray of shape (n_segments,)
        How straight it is: scatter along over scatter across, at least 200; 1600 if nothing
        scatters across.
    """

    angle: npt.NDArray[np.float64]
    length: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]


def find_line_segments(image: npt.ArrayLike) -> LineSegments:
    """Find straight segments by grouping edge pixels that touch and point the same way.

    The image, 8-bit grey, is smoothed by a Gaussian of 5 x 5 pixels and sigma 1; Canny's detector
    with the thresholds 200 and 500 on 5 x 5 Sobel derivatives finds the edge pixels. They are
    sorted into 8 bins by the direction of their gradient. For each bin in turn, connected
    components are formed of the pixels in it and its two neighbours that no segment has used yet.
    A component of more pixels than 0.02 image diagonals, 200 times as long as wide in the sense
    of its scatter, is a segment.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`, at the size at which it is to be searched.

    Returns
    -------
    LineSegments
        Angles in degrees, lengths in pixels, and confidences.

    References
    ----------
    Kosecka, Zhang: Video Compass, ECCV 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import find_line_segments
    >>> image = np.zeros((100, 120, 3), dtype=np.uint8)
    >>> image[50:] = 255
    >>> segments = find_line_segments(image)
    >>> segments.angle, segments.length
    (array([0.]), array([119.]))
    """
    grey = cv2.GaussianBlur(as_grey(as_uint8(check_rgb(image))), (5, 5), 1.0)
    dx = cv2.Sobel(grey, cv2.CV_16S, 1, 0, ksize=_APERTURE, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(grey, cv2.CV_16S, 0, 1, ksize=_APERTURE, borderType=cv2.BORDER_REPLICATE)
    edges = cv2.Canny(dx, dy, _CANNY_LOW, _CANNY_HIGH)
    return _group(edges, dx, dy)


def _group(edges: npt.NDArray[Any], dx: npt.NDArray[Any], dy: npt.NDArray[Any]) -> LineSegments:
    height, width = edges.shape
    least_size = _LEAST_SIZE * np.hypot(height, width)
    places = np.flatnonzero(edges)
    if len(places) <= least_size:
        return LineSegments(*np.zeros((3, 0)))
    # Gradients that differ by half a turn run across the same line. Bins are centred on
    # multiples of 22.5 degrees, so that upright and level lines are not on the edge of two.
    turns = np.arctan2(dy.ravel()[places].astype(float), dx.ravel()[places]) / np.pi
    # -8 to 8, modulo 8: the lowest three bits.
    directions = np.floor(turns * _N_DIRECTIONS + 0.5).astype(np.int8) & (_N_DIRECTIONS - 1)
    members = [
        np.flatnonzero((directions - np.int8(direction - 1)) & (_N_DIRECTIONS - 1) <= 2)
        for direction in range(_N_DIRECTIONS)
    ]
    used = np.zeros(len(places), dtype=bool)
    mask = np.zeros_like(edges)
    # 16 bits hold the labels of all but large images, and are quicker: no more than a quarter of
    # the pixels can be components of their own.
    few = (height + 1) // 2 * ((width + 1) // 2) < 2**16
    label_type = cv2.CV_16U if few else cv2.CV_32S
    found = []
    for nearby in members:
        chosen = nearby[~used[nearby]]
        if len(chosen) <= least_size:
            continue
        here = places[chosen]
        mask[:] = 0
        mask.ravel()[here] = 1
        _, labels = cv2.connectedComponents(mask, connectivity=8, ltype=label_type)
        label = labels.ravel()[here]
        # Most components are too small: leave them before there is anything to compute.
        sizes = np.bincount(label)
        large = sizes > least_size
        kept = large[label]
        chosen, here = chosen[kept], here[kept]
        number = (np.cumsum(large) - 1)[label[kept]]
        y, x = np.divmod(here, width)
        segments, accepted = _fit(number, sizes[large], x.astype(float), y.astype(float))
        used[chosen[accepted[number]]] = True
        found.append(segments)
    return (
        LineSegments(*np.concatenate(found, axis=1)) if found else LineSegments(*np.zeros((3, 0)))
    )


def _fit(
    label: npt.NDArray[Any],
    size: npt.NDArray[Any],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Angle, length and confidence of the components that are straight, and which they are."""

    def total(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        # Sums of integers below 2**53 are exact, so a perfect line has a scatter of exactly 0.
        return np.bincount(label, weights=values, minlength=len(size))

    sum_x, sum_y = total(x), total(y)
    xx = size * total(x * x) - sum_x**2
    yy = size * total(y * y) - sum_y**2
    xy = size * total(x * y) - sum_x * sum_y
    # Eigenvalues of [[xx, xy], [xy, yy]]. The smaller by way of the determinant, which is exactly
    # 0 for a perfect line, where the difference of trace and root would be rounding noise.
    trace, root = xx + yy, np.hypot(xx - yy, 2 * xy)
    along = (trace + root) / 2
    determinant = xx * yy - xy * xy
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = along**2 / determinant
    confidence[determinant <= 0] = _PERFECT_CONFIDENCE
    accepted = confidence >= _LEAST_CONFIDENCE
    kept = np.flatnonzero(accepted)
    # y points down in an image, angles are measured upwards.
    angle = np.rad2deg(0.5 * np.arctan2(-2 * xy[kept], (xx - yy)[kept])) % 180.0
    angle[angle == 180.0] = 0.0
    part = accepted[label]
    extent = [_extent(label[part], values[part], len(size))[kept] for values in (x, y)]
    length = np.hypot(*extent)
    return np.stack([angle, length, np.minimum(confidence[kept], _PERFECT_CONFIDENCE)]), accepted


def _extent(
    label: npt.NDArray[Any], values: npt.NDArray[np.float64], n_labels: int
) -> npt.NDArray[np.float64]:
    """Greatest less least value of each label."""
    least, greatest = np.full(n_labels, np.inf), np.full(n_labels, -np.inf)
    np.minimum.at(least, label, values)
    np.maximum.at(greatest, label, values)
    return greatest - least


def line_histogram(image: npt.ArrayLike, *, image_size: int | None = 400) -> Float32Array:
    """Histograms of the angles and of the lengths of the straight segments of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`.
    image_size : int or None
        A larger image is first shrunk to this longest side.

    Returns
    -------
    ndarray of shape (232,)
        float32. First 200 bins of angle, centred on 0, 0.9, ..., 179.1 degrees from the
        horizontal, smoothed around the circle (15 taps, sigma 3). Then 32 bins of length: the
        rounded square root of the length in an image whose longer side is 800, smoothed (7 taps,
        sigma 1.5). Each segment counts by its length times the square root of its confidence,
        capped at 800; both parts are divided by the fourth root of the number of pixels.

    Notes
    -----
    That the paper's 232 columns are 200 angles and 32 lengths is inferred: the paper gives only
    the sum, and the code behind Im2GPS had 200 and 30.

    References
    ----------
    Hays, Efros: IM2GPS, CVPR 2008. Kosecka, Zhang: Video Compass, ECCV 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import line_histogram
    >>> image = np.zeros((100, 120, 3), dtype=np.uint8)
    >>> image[:, 60:] = 255
    >>> histogram = line_histogram(image)
    >>> histogram.shape, int(histogram[:200].argmax()) * 0.9
    ((232,), 90.0)
    """
    pixels = shrink(check_rgb(image), image_size)
    height, width = pixels.shape[:2]
    segments = find_line_segments(pixels)
    weights = segments.length * np.sqrt(np.minimum(segments.confidence, _GREATEST_CONFIDENCE))
    angle_bins = np.rint(segments.angle * (_N_ANGLES / 180)).astype(int) % _N_ANGLES
    scaled = segments.length * (_LENGTH_SCALE / max(height, width))
    length_bins = np.minimum(np.rint(np.sqrt(scaled)).astype(int), _N_LENGTHS - 1)
    angles = np.bincount(angle_bins, weights, minlength=_N_ANGLES)
    lengths = np.bincount(length_bins, weights, minlength=_N_LENGTHS)
    angle_taps, length_taps = _gaussian(15, 3.0), _gaussian(7, 1.5)
    wrapped = np.pad(angles, len(angle_taps) // 2, mode="wrap")
    parts = [
        np.convolve(wrapped, angle_taps, mode="valid"),
        np.convolve(lengths, length_taps, mode="same"),
    ]
    return (np.concatenate(parts) / (height * width) ** 0.25).astype(np.float32)


def _gaussian(taps: int, sigma: float) -> npt.NDArray[np.float64]:
    x = np.arange(taps) - taps // 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    normalised: npt.NDArray[np.float64] = weights / weights.sum()
    return normalised
