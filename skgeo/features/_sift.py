"""Local descriptors at interest points: SIFT, compared by Hellinger's distance."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ._resample import as_grey, as_uint8, check_rgb, shrink

__all__ = ["N_DIMENSIONS", "root_sift"]

#: Columns of a SIFT descriptor.
N_DIMENSIONS = 128


def root_sift(
    image: npt.ArrayLike, *, max_keypoints: int = 500, image_size: int | None = 400
) -> npt.NDArray[np.float32]:
    """Describe an image's interest points by RootSIFT.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        A decoded image, see `skgeo.images.load_image`.
    max_keypoints : int
        At most this many interest points, those of the highest contrast, are described.
    image_size : int or None
        A larger image is first shrunk to this longest side.

    Returns
    -------
    ndarray of shape (n_keypoints, 128)
        float32, each row of length 1, the highest contrast first; of equal contrast by row, column,
        size and direction. There are no rows for an image without interest points: one colour, or
        a few pixels a side.

    Notes
    -----
    Interest points are extrema of differences of Gaussians over place and scale; each is
    described once for each dominant direction around it. The square root of the descriptor, once
    it sums to 1, makes Euclidean distance Hellinger's, which large bins do not dominate.

    References
    ----------
    Lowe: Distinctive image features from scale-invariant keypoints, IJCV 2004. Arandjelović,
    Zisserman: Three things everyone should know to improve object retrieval, CVPR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import root_sift
    >>> rng = np.random.default_rng(0)
    >>> image = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    >>> descriptors = root_sift(image, max_keypoints=50)
    >>> descriptors.shape
    (50, 128)
    >>> root_sift(np.zeros((60, 80, 3), dtype=np.uint8)).shape
    (0, 128)
    """
    grey = as_grey(as_uint8(shrink(check_rgb(image), image_size)))
    # OpenCV keeps all of equal contrast with the last one, hence more than asked for.
    detector = cast(Any, cv2).SIFT_create(nfeatures=max_keypoints)
    keypoints, found = detector.detectAndCompute(grey, None)
    if found is None or len(found) == 0:
        return np.empty((0, N_DIMENSIONS), dtype=np.float32)
    # Directions of one point are of equal contrast; the order must not hang on OpenCV's sorting.
    keys = [(p.angle, p.size, *p.pt, -p.response) for p in keypoints]
    strongest = np.lexsort(np.transpose(keys))[:max_keypoints]
    descriptors = np.maximum(np.asarray(found, dtype=np.float32)[strongest], 0)
    totals = descriptors.sum(axis=1, keepdims=True)
    # A descriptor of zeros stays one of zeros.
    descriptors /= np.maximum(totals, np.float32(1e-12))
    return np.sqrt(descriptors, out=descriptors)
