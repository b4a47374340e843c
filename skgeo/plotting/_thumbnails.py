"""Pictures of photos in a part of the axes, and what is written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo.images import load_image
from skgeo.metrics._thresholds import format_km

#: Pixels of the longer side of what is drawn: enough for the photo in print.
_PIXELS = 640


def show_picture(ax: Any, picture: npt.NDArray[Any], where: Sequence[float], color: Any) -> Any:
    """Draw an image into a part of the axes, as large as its shape allows."""
    inset = ax.inset_axes(where)
    inset.imshow(picture, interpolation="antialiased")
    inset.set_anchor("S")
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_edgecolor(color)
        spine.set_linewidth(1.5)
    return inset


def thumbnail(source: Any) -> npt.NDArray[Any]:
    """The image with its longer side no longer than `_PIXELS`."""
    import cv2

    image = load_image(source, min_side=_PIXELS)
    height, width = image.shape[:2]
    scale = _PIXELS / max(height, width)
    if scale >= 1.0:
        return image
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def format_away(km: float) -> str:
    """A distance with as many digits as people read."""
    if km < 0.0005:
        return "0 m"
    digits = 2 if km < 100.0 else 3
    return format_km(float(f"{km:.{digits}g}"))


def format_position(place: Sequence[float] | npt.NDArray[np.float64], digits: int) -> str:
    """Latitude and longitude in degrees with the letters of their hemispheres."""
    latitude, longitude = place
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.{digits}f}°{north}, {abs(longitude):.{digits}f}°{east}"
