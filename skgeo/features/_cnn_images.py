"""Photographs as convolutional networks expect them: the central square at a fixed size."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ._resample import as_uint8

__all__ = ["IMAGENET", "Preprocessing", "central_square"]


class Preprocessing(NamedTuple):
    """What becomes of a photograph before a network sees it."""

    #: Pixels a side of the square that the network takes.
    image_size: int
    #: Side of the central square that is cut out, as a part of the photograph's shorter side.
    crop: float
    #: Subtracted from red, green and blue, on a scale from 0 to 1.
    mean: tuple[float, float, float]
    #: By which red, green and blue are then divided.
    std: tuple[float, float, float]

    @property
    def min_side(self) -> int:
        """Shorter side below which a photograph would have to be enlarged."""
        return math.ceil(self.image_size / self.crop)


#: What most networks of PyTorch trained on ImageNet take.
IMAGENET = Preprocessing(224, 224 / 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def central_square(
    image: npt.NDArray[Any], index: int, *, image_size: int, crop: float
) -> npt.NDArray[np.uint8]:
    """Cut out the central square of a decoded image and resize it.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        RGB, uint8 or float32 from 0 to 1.
    index : int
        What `map_images` hands over; unused.
    image_size : int
        Pixels a side of the result.
    crop : float
        Side of the square as a part of the shorter side, above 0 and at most 1.

    Returns
    -------
    ndarray of shape (image_size, image_size, 3)
        uint8, by bicubic interpolation whose support grows with the reduction, so that fine
        patterns are averaged and not aliased.
    """
    del index
    height, width = image.shape[:2]
    side = crop * min(height, width)
    # Edges between pixels, not rounded to them: the resize takes fractions.
    box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    picture = Image.fromarray(as_uint8(image))
    square = picture.resize((image_size, image_size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(square)
