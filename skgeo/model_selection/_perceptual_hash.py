"""64 bits that say what a photograph looks like, the same for a copy of another size or quality."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._validation import validate_params
from skgeo.images import check_images
from skgeo.images._map_images import map_images

HashArray = npt.NDArray[np.uint64]

_SIDE = 32
#: Frequencies of the cosine transform from low to high, without the mean brightness.
_ORDER = np.lexsort(
    (np.arange(_SIDE * _SIDE) // _SIDE, np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).ravel())
)[1:65]
#: A coefficient counts as present from here on: a thirtieth of a grey level. Less is rounding, in
#: which pictures of one colour would differ from each other.
_PRESENT = 0.5


@validate_params(
    {"n_jobs": [Integral, None], "verbose": ["verbose"]}, prefer_skip_nested_validation=True
)
def perceptual_hash(images: Any, *, n_jobs: int | None = None, verbose: int = 0) -> HashArray:
    """Hash photographs by what they look like: near-duplicates differ in few of 64 bits.

    The photograph is made grey and squashed to 32 x 32 pixels; the bits are the signs of the 64
    lowest frequencies of its cosine transform, the mean brightness left out. Another size or
    quality of JPEG changes 0 to 2 bits, another brightness or contrast about 2, a rim of 3 percent
    cut off about 6, a bar with a caption about 8; two photographs that have nothing in common
    differ in about 32. A photograph that is mirrored or turned has another hash.

    Parameters
    ----------
    images : collection of images
        Anything that `skgeo.images.check_images` takes: paths, arrays, PIL images, bytes.
    n_jobs : int, default=None
        Number of processes. Memory holds a few images for each.
    verbose : int, default=0
        Above 0: show a progress bar.

    Returns
    -------
    ndarray of shape (n_images,), uint64
        The hashes. Pictures of a single colour all have the hash 0.

    Raises
    ------
    ImageError
        If an image cannot be read; the message names it.

    See Also
    --------
    near_duplicate_groups : Groups of photographs whose hashes are near each other.

    References
    ----------
    .. [1] Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010,
       describes the hash by the cosine transform of which this is a variant.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.model_selection import perceptual_hash
    >>> rows, columns = np.indices((90, 120))
    >>> image = np.uint8(128 + 60 * np.sin(rows / 9) + 60 * np.cos((rows + columns) / 17))
    >>> smaller = image[::2, ::2]
    >>> first, copy, mirrored = perceptual_hash([image, smaller, image[:, ::-1]])
    >>> int(first ^ copy).bit_count(), int(first ^ mirrored).bit_count()
    (0, 30)
    """
    collection = check_images(images, name="images")
    outcomes = map_images(
        _hash_one,
        enumerate(collection),
        total=len(collection),
        min_side=2 * _SIDE,
        n_jobs=n_jobs,
        verbose=int(verbose),
        desc="hashes",
    )
    return np.array([outcome.value for outcome in outcomes], dtype=np.uint64)


def _hash_one(pixels: npt.NDArray[Any], _index: int) -> HashArray:
    """Hash an RGB array, uint8 or float32 from 0 to 1."""
    # Loaded where it is used: splits by place do not need it.
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if pixels.dtype != np.uint8:
        grey *= 255.0
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    present = cv2.dct(small).ravel()[_ORDER] > _PRESENT
    return np.packbits(present).view(">u8")[0].astype(np.uint64)
