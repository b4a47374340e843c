"""How well held-out photos are located among all others: what a choice is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import gen_batches

from .._geodesy import great_circle_km, km_to_chord, to_unit_vectors
from ._extent import extent_of_places
from ._scatter import lines_per_block

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Bounds of what is compared at a time, so that judging stays a small part of a fit.
MAX_QUERIES = 5000
MAX_GALLERY = 10_000

#: Places are no smaller than this many km: a position is not known better.
_RESOLUTION_KM = 0.05

#: Errors of so many times the extent of a place count as equally bad.
_FAR = 8.0


class HeldOutPlaces:
    """Held-out photos as queries, and all other photos as the gallery in which they are located.

    The other photos of a held-out place are in the gallery, as they will be when the embedding is
    used; it has learned from none of them. The nearer half of them (less than the
    extent of a place away) is not: bursts and overlapping tiles are found by any representation,
    best by one that has learned nothing, and would decide. With coordinates a score is minus the
    logarithm of the error, which weighs a street as much as a continent; errors within the extent
    of a place are equally good, and errors of 8 times as much equally bad, for how far off a miss
    is says little. With labels alone it is 1 for a correct area.

    Parameters
    ----------
    train, held_out : ndarray of int
        Which rows are learned from and which are not.
    coordinates : ndarray of shape (n, 2) or None
        Locations.
    labels : ndarray of shape (n,)
        POI or area of each row.
    rng : numpy Generator
        Draws queries and gallery where there are many.

    Attributes
    ----------
    chosen : ndarray of int
        Rows of the gallery; the queries are the first ``n_queries`` of them.
    groups : ndarray of shape (n_queries,)
        Place of each query, counted from 0.
    left_out : ndarray of shape (n_queries, len(chosen))
        What is no neighbour of a query: the photo itself, and others of its very spot.
    """

    def __init__(
        self,
        train: IntArray,
        held_out: IntArray,
        *,
        coordinates: FloatArray | None,
        labels: npt.NDArray[Any],
        rng: np.random.Generator,
    ) -> None:
        # Held-out photos first: the queries are the first of them, and their neighbours follow.
        held_out = rng.permutation(held_out)[:MAX_QUERIES]
        others = rng.permutation(train)[: MAX_GALLERY - len(held_out)]
        self.chosen: IntArray = np.concatenate([held_out, others])
        self.n_queries = len(held_out)
        self.places = labels[self.chosen] if coordinates is None else coordinates[self.chosen]
        of_queries = labels[self.chosen[: self.n_queries]]
        self.groups: IntArray = np.unique(of_queries, return_inverse=True)[1]
        self.left_out = np.zeros((self.n_queries, len(self.chosen)), dtype=bool)
        if coordinates is not None:
            extent = extent_of_places(coordinates, labels, rng)
            self.extent = max(extent, _RESOLUTION_KM)
            self.left_out = _nearer(self.places, self.n_queries, extent)
        np.fill_diagonal(self.left_out, True)

    def scores(self, closeness: npt.NDArray[Any]) -> FloatArray:
        """Scores of the queries, larger is better.

        Parameters
        ----------
        closeness : ndarray of shape (n_queries, len(chosen))
            How close each row of the gallery is to a query, in any unit. Overwritten.
        """
        closeness[self.left_out] = -np.inf
        found, truth = self.places[np.argmax(closeness, axis=1)], self.places[: self.n_queries]
        if self.places.ndim == 1:
            return np.asarray(found == truth, dtype=np.float64)
        ratio = great_circle_km(truth, found) / self.extent
        return -np.log(np.clip(ratio, 1.0, _FAR))


def _nearer(
    coordinates: npt.NDArray[np.float64], n_queries: int, km: float
) -> npt.NDArray[np.bool_]:
    """Which rows are less than so many km from each of the first rows.

    A query that all rows are near keeps them all: there would be no estimate.
    """
    if km == 0.0:
        return np.zeros((n_queries, len(coordinates)), dtype=bool)
    points = to_unit_vectors(coordinates)
    near = np.empty((n_queries, len(points)), dtype=bool)
    for block in gen_batches(n_queries, lines_per_block(len(points))):
        near[block] = 2.0 - 2.0 * (points[block] @ points.T) < float(km_to_chord(km)) ** 2
    near[near.all(axis=1)] = False
    return near


def pool_places(groups: list[IntArray]) -> IntArray:
    """Places of several parts, each counted from 0, in one count."""
    offsets = np.cumsum([0, *(g.max() + 1 for g in groups[:-1])])
    return np.concatenate([g + offset for g, offset in zip(groups, offsets, strict=True)])


def clustered_standard_error(values: FloatArray, groups: IntArray) -> float:
    """Standard error of the mean of values that are independent only between groups."""
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        return np.inf
    sums = np.bincount(groups, weights=values - values.mean())
    return float(np.sqrt(np.square(sums).sum() * n_groups / (n_groups - 1)) / len(values))
