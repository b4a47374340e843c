"""The joint histogram of colours in CIE L*a*b*."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ._lab import LabKind, rgb_to_lab
from ._resample import check_rgb, shrink

__all__ = ["color_histogram"]

_N_L, _N_AB = 4, 14

# Lower bounds of the second, third and fourth bin of L*. The historic conversion takes encoded
# values for light, which raises L*, so its bounds are higher.
_L_EDGES = {"linear": (55.0, 70.0, 90.0), "srgb": (25.0, 50.0, 75.0)}

# Zero is an edge of a* and b*, and a grey pixel sits on it: computed, its a* is 0.0001 or -0.0001.
# Taking the edges this much lower counts every grey pixel in the bin that begins at zero. The
# colour next to grey that 8 bits can hold is farther off than this, or as grey as makes no odds.
_GREY_GUARD = np.float32(0.05)


def color_histogram(
    image: npt.ArrayLike, *, lab: LabKind = "linear", image_size: int | None = 400
) -> npt.NDArray[np.float32]:
    """Joint histogram of L*, a* and b* with 4 x 14 x 14 bins.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`.
    lab : {"linear", "srgb"}
        "linear" is the L*a*b* of the code behind Im2GPS, which takes the stored values for light,
        with the L* edges 55, 70, 90; "srgb" is the standard's, with the edges 25, 50, 75.
    image_size : int or None
        A larger image is first shrunk to this longest side.

    Returns
    -------
    ndarray of shape (784,)
        float32, summing to 1, in the order L*, a*, b*. The edges of a* and b* are
        -30, -25, ..., 30, open at both ends.

    References
    ----------
    Hays, Efros: IM2GPS, CVPR 2008. The paper (section 6.1) lists 14 x 14 x 4 bins.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import color_histogram
    >>> grey = np.full((4, 5, 3), 128, dtype=np.uint8)
    >>> histogram = color_histogram(grey)
    >>> histogram.shape, histogram.max(), np.flatnonzero(histogram)
    ((784,), np.float32(1.0), array([497]))
    """
    pixels = shrink(check_rgb(image), image_size)
    # One plane each: numpy is several times faster on contiguous values.
    lightness, *chroma = cv2.split(rgb_to_lab(pixels, lab))
    bins = np.zeros(lightness.shape, dtype=np.int32)
    for edge in _L_EDGES[lab]:
        bins += lightness >= edge
    for values in chroma:
        values += _GREY_GUARD
        values *= np.float32(1 / 5)
        np.floor(values, out=values)
        np.clip(values, -_N_AB // 2, _N_AB // 2 - 1, out=values)
        values += np.float32(_N_AB // 2)
        bins *= _N_AB
        bins += values.astype(np.int32)
    bins = bins.reshape(-1)
    counts = np.bincount(bins, minlength=_N_L * _N_AB * _N_AB)
    return (counts / len(bins)).astype(np.float32)
