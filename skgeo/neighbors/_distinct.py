"""The best places that are not one place several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import great_circle_km

FloatArray = npt.NDArray[np.float64]


def distinct_places(
    candidates: Callable[[npt.NDArray[Any], int], FloatArray],
    queries: npt.NDArray[Any],
    k: int,
    min_distance_km: float,
    n_most: int,
) -> FloatArray:
    """Go down each query's list of places, and pass over what is too near to a better one.

    Parameters
    ----------
    candidates : callable
        ``candidates(queries, n)`` gives the ``n`` best places of each, shape (n_queries, n, 2).
        The first of them are the same for a larger ``n``.
    queries : ndarray of shape (n_queries, n_features)
        The queries.
    k : int
        How many places are wanted.
    min_distance_km : float
        Least great-circle distance of two places of a query.
    n_most : int
        The longest list that there is.

    Returns
    -------
    ndarray of shape (n_queries, k, 2)
        NaN where the longest list has not ``k`` such places.
    """
    found = np.full((len(queries), k, 2), np.nan)
    open_rows = np.arange(len(queries))
    length = min(n_most, 4 * k)
    while True:
        places = candidates(queries[open_rows], length)
        chosen = np.array([thin_out(row, k, min_distance_km) for row in places]).reshape(-1, k, 2)
        found[open_rows] = chosen
        if length == n_most:
            return found
        # Few queries need a longer list; only those ask for it.
        open_rows = open_rows[np.isnan(chosen[:, -1, 0])]
        if not len(open_rows):
            return found
        length = min(n_most, 4 * length)


def thin_out(places: FloatArray, k: int, min_distance_km: float) -> FloatArray:
    """Of places (n, 2), best first, the first ``k`` that are far enough from all chosen before."""
    chosen = np.full((k, 2), np.nan)
    far = np.ones(len(places), dtype=bool)
    for position in range(k):
        left = np.flatnonzero(far)
        if not len(left):
            break
        chosen[position] = places[left[0]]
        far &= great_circle_km(places[left[0]], places) >= min_distance_km
        far[left[0]] = False
    return chosen
