"""What an estimator found for a batch of queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


class Estimate(NamedTuple):
    """What an estimator found for a batch of queries, and from what.

    Attributes
    ----------
    places : ndarray of shape (n_queries, n_places, 2)
        Estimates in degrees, the best one first.
    distances, indices : ndarray of shape (n_queries, k)
        The nearest photos, nearest first: those that vote, and more where more places are asked
        for than there are candidates.
    clusters : ndarray of shape (n_queries, n_voters) or None
        The place for which a neighbour votes, by its position in ``places``; -1 for none.
    votes : ndarray of shape (n_queries, n_voters) or None
        Share of each neighbour in the first place; rows sum to 1.
    """

    places: FloatArray
    distances: FloatArray
    indices: IndexArray
    clusters: IndexArray | None
    votes: FloatArray | None
