"""One image to the row of its blocks, and the sample from which textons are learned."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._color import color_histogram
from ._filter_bank import filter_responses, filter_responses_at
from ._gist import Precision, gist
from ._lab import LabKind
from ._line import line_histogram
from ._resample import as_grey, as_unit, shrink
from ._texture import texton_histogram
from ._tiny import tiny_image

__all__ = [
    "SAMPLE_IMAGES",
    "SAMPLE_PIXELS",
    "Settings",
    "describe_image",
    "reservoir",
    "sample_responses",
]

# The texton dictionary is learned from this many pixels at most, of this many images at most.
SAMPLE_PIXELS = 100_000
SAMPLE_IMAGES = 500


@dataclass(frozen=True)
class Settings:
    """What a worker needs to describe an image."""

    blocks: tuple[str, ...]
    image_size: int | None
    tiny_color_space: Any
    lab: LabKind
    precision: Precision
    texton_stride: int | None
    dictionary: npt.NDArray[np.float32] | None


def describe_image(
    image: npt.NDArray[Any], index: int, *, settings: Settings
) -> npt.NDArray[np.float32]:
    """Compute the blocks of one decoded image; the index is what `map_images` hands over."""
    del index
    image = shrink(image, settings.image_size)
    made: list[npt.NDArray[Any]] = []
    for block in settings.blocks:
        if block == "tiny5":
            tiny = tiny_image(image, 5, color_space=settings.tiny_color_space, lab=settings.lab)
            made.append(tiny)
        elif block == "tiny16":
            made.append(tiny_image(image, 16))
        elif block == "color":
            made.append(color_histogram(image, lab=settings.lab, image_size=None))
        elif block == "texture":
            assert settings.dictionary is not None
            made.append(
                texton_histogram(
                    image,
                    settings.dictionary,
                    precision=settings.precision,
                    stride=settings.texton_stride,
                    image_size=None,
                )
            )
        elif block == "line":
            made.append(line_histogram(image, image_size=None))
        else:
            made.append(gist(image, precision=settings.precision))
    return np.concatenate(made)


def sample_responses(
    image: npt.NDArray[Any], index: int, *, image_size: int | None, n_pixels: int, seed: int
) -> npt.NDArray[np.float32]:
    """Filter responses at random pixels of one image; which, depends on seed and index alone."""
    grey = as_grey(as_unit(shrink(image, image_size)))
    rng = np.random.default_rng([seed, index])
    if n_pixels * 8 >= grey.size:
        # So many that the transforms of the whole image cost less.
        responses = filter_responses(grey)
        if n_pixels >= grey.size:
            return responses
        return responses[:, rng.choice(grey.size, n_pixels, replace=False)]
    rows, columns = np.divmod(rng.choice(grey.size, n_pixels, replace=False), grey.shape[1])
    return filter_responses_at(grey, rows, columns)


def reservoir(items: Iterable[Any], size: int, seed: int) -> tuple[list[tuple[int, Any]], int]:
    """Draw items with equal chances in one pass, without knowing how many there are.

    Returns the drawn ones with their indices, in order, and the number of all. What is drawn
    depends on the number of items and the seed alone.
    """
    rng = random.Random(seed)
    kept: list[tuple[int, Any]] = []
    count = 0
    for count, item in enumerate(items, start=1):
        if len(kept) < size:
            kept.append((count - 1, item))
        elif (place := rng.randrange(count)) < size:
            kept[place] = (count - 1, item)
    return sorted(kept, key=lambda pair: pair[0]), count
