"""Radii that suit the extent of a collection."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Scale(NamedTuple):
    """All in km."""

    thresholds: tuple[float, ...]
    poi: float
    vote: float
    block: float


#: From a city to the whole Earth, and within one city.
WORLD = Scale((1.0, 25.0, 200.0, 750.0, 2500.0), poi=0.5, vote=500.0, block=25.0)
CITY = Scale((0.05, 0.1, 0.25, 0.5, 1.0), poi=0.1, vote=0.25, block=0.25)

#: Collections whose photos are this near to each other, in the median, are judged in metres.
_CITY_KM = 50.0


def scale_of(coordinates: npt.NDArray[np.float64]) -> Scale:
    """Choose by the median distance between photos, drawn in pairs."""
    from skgeo.metrics import great_circle_distance

    order = np.random.default_rng(0).permutation(len(coordinates))
    distances: Any = great_circle_distance(coordinates, coordinates[order])
    return CITY if float(np.median(distances)) < _CITY_KM else WORLD
