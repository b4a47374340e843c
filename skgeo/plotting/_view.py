"""Which part of the Earth a map shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM

FloatArray = npt.NDArray[np.float64]

KM_PER_DEGREE = np.pi * EARTH_RADIUS_KM / 180.0


class View(NamedTuple):
    """Bounds in degrees; east is above west, and above 180 beyond the antimeridian."""

    south: float
    north: float
    west: float
    east: float

    @property
    def stretch(self) -> float:
        """Length of a degree of latitude over that of a degree of longitude, in the middle."""
        if self.east - self.west >= 360.0:
            return 1.0
        middle = np.clip((self.south + self.north) / 2.0, -75.0, 75.0)
        return float(1.0 / np.cos(np.deg2rad(middle)))

    @property
    def width_km(self) -> float:
        """Width in the middle."""
        return float((self.east - self.west) / self.stretch * KM_PER_DEGREE)

    @property
    def height_km(self) -> float:
        """Height."""
        return float((self.north - self.south) * KM_PER_DEGREE)

    def wrap(self, longitude: FloatArray) -> FloatArray:
        """Longitudes as they are written on this map, in [west, west + 360)."""
        wrapped: FloatArray = np.mod(longitude - self.west, 360.0) + self.west
        return wrapped


def view_of(coordinates: FloatArray, *, min_km: float = 1.0) -> View:
    """Choose the smallest map of pleasant proportions that shows all places.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        Latitude and longitude in degrees.
    min_km : float
        Least height and width.

    Returns
    -------
    View
        The whole Earth if places lie in more than half of all longitudes.
    """
    lat, lon = coordinates[:, 0], np.sort(np.mod(coordinates[:, 1], 360.0))
    gaps = np.diff(np.append(lon, lon[0] + 360.0))
    widest = int(np.argmax(gaps))
    arc = 360.0 - gaps[widest]
    south, north = float(lat.min()), float(lat.max())
    if arc > 180.0:
        # Without the empty south of the ocean and Antarctica, unless there is something.
        return View(
            max(-90.0, min(-58.0, south - 4.0)), min(90.0, max(84.0, north + 4.0)), -180, 180
        )
    west = float(lon[(widest + 1) % len(lon)])
    middle_lon = west + arc / 2.0
    middle_lat = (south + north) / 2.0
    stretch = 1.0 / np.cos(np.deg2rad(np.clip(middle_lat, -75.0, 75.0)))
    height = max((north - south) * 1.16, min_km / KM_PER_DEGREE)
    width = max(arc / stretch * 1.16, min_km / KM_PER_DEGREE)
    # Neither a slit nor a tower.
    height, width = max(height, width / 2.0), max(width, 1.1 * height)
    south, north = middle_lat - height / 2.0, middle_lat + height / 2.0
    half = min(width * stretch / 2.0, 180.0)
    middle_lon = (middle_lon + 180.0) % 360.0 - 180.0
    return View(max(-90.0, south), min(90.0, north), middle_lon - half, middle_lon + half)


def nice_length(km: float) -> float:
    """Round down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(km))
    return float(power * max(m for m in (1.0, 2.0, 5.0) if m * power <= km * (1.0 + 1e-9)))
