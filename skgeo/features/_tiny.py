"""Tiny images: the colours of a photograph on a coarse grid."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ._lab import LabKind, rgb_to_lab
from ._resample import area_average, as_unit, check_rgb

__all__ = ["tiny_image"]


def tiny_image(
    image: npt.ArrayLike,
    side: int = 16,
    *,
    color_space: Literal["rgb", "lab"] = "rgb",
    lab: LabKind = "linear",
) -> npt.NDArray[np.float32]:
    """Mean colours of the cells of a square grid laid over the whole image.

    The grid is squashed to the proportions of the image; nothing is cropped. Cells that cut
    through pixels count them by the part inside.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`.
    side : int
        Cells a side. The paper uses 5 and 16.
    color_space : {"rgb", "lab"}
        RGB from 0 to 1, or the mean colours converted to CIE L*a*b*.
    lab : {"linear", "srgb"}
        Which L*a*b*, see `color_histogram`.

    Returns
    -------
    ndarray of shape (side * side * 3,)
        float32, in the order row, column, channel.

    References
    ----------
    Torralba, Fergus, Freeman: 80 million tiny images, IEEE TPAMI 2008. The paper (section 6.1)
    takes 5x5x3 and 16x16x3.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import tiny_image
    >>> image = np.zeros((2, 3, 3), dtype=np.uint8)
    >>> image[:, :, 0] = 255
    >>> tiny_image(image, 1)
    array([1., 0., 0.], dtype=float32)
    """
    cells = area_average(as_unit(check_rgb(image)), side, side)
    if color_space == "lab":
        cells = rgb_to_lab(np.clip(cells, 0.0, 1.0), lab)
    return cells.reshape(-1)
