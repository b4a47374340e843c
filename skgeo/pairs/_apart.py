"""Which pairs of photos may be in Q: two areas, far enough apart, pair by pair or as a block."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._geodesy import EARTH_RADIUS_KM, km_to_chord, to_unit_vectors

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


class Apart(NamedTuple):
    """Areas of the photos, and where they are if that matters.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        The area of each photo.
    units : ndarray of shape (n, 3) or None
        Where they are, as unit vectors; None if any distance will do.
    least_chord : float
        Square of the least chord between two.
    """

    labels: npt.NDArray[Any]
    units: FloatArray | None
    least_chord: float

    def block(self, rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        """Tell it for all rows and columns."""
        return self.pairs(rows[:, None], columns[None, :])

    def pairs(self, rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        """Tell it for each pair, by broadcasting."""
        apart: npt.NDArray[np.bool_] = self.labels[rows] != self.labels[columns]
        if self.units is not None:
            # Squared chords from differences: dot products cannot tell 1 m from 0.
            chord = np.zeros(apart.shape)
            for axis in range(3):
                difference = self.units[rows, axis] - self.units[columns, axis]
                difference *= difference
                chord += difference
            apart &= chord >= self.least_chord
        return apart


def areas_apart(
    labels: npt.NDArray[Any], coordinates: FloatArray | None, min_distance_km: float
) -> Apart:
    """Allow pairs of two areas that are at least ``min_distance_km`` apart."""
    if min_distance_km <= 0.0 or coordinates is None:
        return Apart(labels, None, 0.0)
    reachable = min_distance_km <= np.pi * EARTH_RADIUS_KM
    least = float(km_to_chord(min_distance_km)) ** 2 if reachable else np.inf
    return Apart(labels, to_unit_vectors(coordinates), least)
