"""How large the places of a collection are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._geodesy import great_circle_km

IntArray = npt.NDArray[np.intp]


def extent_of_places(
    coordinates: npt.NDArray[np.float64], labels: IntArray, rng: np.random.Generator
) -> float:
    """Median distance in km of two photos of one place, drawn at random; 0 without such photos."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    first, second = order[:-1], order[1:]
    same = labels[first] == labels[second]
    if not same.any():
        return 0.0
    km = great_circle_km(coordinates[first[same]], coordinates[second[same]])
    return float(np.median(km))
