"""Scatters of soft pairs: every photo takes part, the more the nearer it looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import gen_batches

from .._geodesy import km_to_chord, to_unit_vectors
from ._extent import extent_of_places
from ._fisher_axes import marginal_fisher_axes
from ._principal import scatter_about_mean
from ._scatter import lines_per_block

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Photos are of one place when they are of one POI, or no farther apart than so many times the
#: median distance of two photos of a POI: where the border of two POIs runs is chance.
_EXTENTS = 2.0

#: Axes of the first map count by this power of their eigenvalue.
_FIRST_EXPONENT = 0.75

#: Of more photos than this so many give weights: a mean over them is known to a few percent.
MAX_ANCHORS = 4000


class Places:
    """Which photos are of one place, and which are far enough apart to be of two.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        POI or area of each photo.
    coordinates : ndarray of shape (n, 2) or None
        Locations in degrees; None where the labels are all that is known.
    min_distance_km : float
        Photos that are nearer than this are not of two places.
    """

    def __init__(
        self, labels: IntArray, coordinates: FloatArray | None, min_distance_km: float = 0.0
    ) -> None:
        self.labels = labels
        self.points: FloatArray | None = None
        if coordinates is not None:
            self.points = to_unit_vectors(coordinates)
            # Drawn pairs have the median of all to a few percent. The same ones in every fit.
            rng = np.random.default_rng(0)
            within_km = _EXTENTS * extent_of_places(coordinates, labels, rng)
            self._same, self._apart = (
                float(km_to_chord(km)) ** 2 for km in (within_km, min_distance_km)
            )

    def masks(self, rows: IntArray) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which photos are of the place of each row, and which are of another one."""
        same = self.labels[rows, None] == self.labels
        if self.points is None:
            return same, ~same
        squared_chord = 2.0 - 2.0 * (self.points[rows] @ self.points.T)
        same |= squared_chord < self._same
        return same, ~same & (squared_chord >= self._apart)


class _Sum:
    """Sum over weighted pairs of (x_s - x_t)(x_s - x_t)^T, some rows s at a time."""

    def __init__(self, X: npt.NDArray[Any]) -> None:
        self.X = X
        self.received = np.zeros(len(X))
        self.total = np.zeros((X.shape[1],) * 2)

    def add(self, rows: npt.NDArray[Any], weights: npt.NDArray[Any]) -> None:
        """Add the pairs of some rows with all of X, weights of shape (n_rows, len(X))."""
        given = weights.sum(axis=1, dtype=np.float64)
        self.received += weights.sum(axis=0, dtype=np.float64)
        cross = rows.T.astype(np.float64) @ (weights @ self.X).astype(np.float64)
        self.total += (rows * given[:, None]).T @ rows - cross - cross.T

    def finish(self) -> FloatArray:
        """The sum, with the other ends of the pairs."""
        for part in gen_batches(len(self.X), lines_per_block(self.X.shape[1])):
            block = self.X[part].astype(np.float64)
            self.total += (block * self.received[part, None]).T @ block
        return self.total


def first_map(X: npt.NDArray[Any], same_area: FloatArray, shrinkage: float) -> FloatArray:
    """The map in whose space photos look near: P against the scatter of all photos.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred vectors.
    same_area : ndarray of shape (n_features, n_features)
        `pair_sum` of P.
    shrinkage : float
        In [0, 1].

    Returns
    -------
    ndarray of shape (n_features, n_features)
        ``X @ map`` are the mapped vectors.
    """
    _, total = scatter_about_mean(X, verbose=0)
    values, axes = marginal_fisher_axes(same_area, total, shrinkage)
    mapped: FloatArray = axes * values**_FIRST_EXPONENT
    return mapped


def soft_scatters(
    X: npt.NDArray[Any],
    z: npt.NDArray[Any],
    places: Places,
    temperature: float,
    max_anchors: int = MAX_ANCHORS,
) -> tuple[FloatArray, FloatArray]:
    """Scatters of the soft pairs within places and between them.

    Each photo s has a weight of 1 to give to the others of its place, and one to give to all
    photos of other places. Of either kind photo t gets the share

        exp(-|z_s - z_t|^2 / temperature) / sum over t' of exp(-|z_s - z_t'|^2 / temperature).

    These are the weights of the gradient of a soft minimum of the squared distances, so that the
    scatters are its quadratic form at z.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred vectors whose differences are summed.
    z : ndarray of shape (n_samples, any)
        Unit vectors that tell how near photos look.
    places : Places
        Which photos are of one place.
    temperature : float
        Above 0; the smaller, the more counts the nearest alone.
    max_anchors : int
        Of more photos than this so many give weights, drawn at random but the same in every call.

    Returns
    -------
    within, between : ndarray of shape (n_features, n_features)
        Symmetric, positive semi-definite, float64. Zero without such pairs.
    """
    anchors = draw(len(X), max_anchors)
    within, between = _Sum(X), _Sum(X)
    for block in gen_batches(len(anchors), lines_per_block(len(X))):
        rows = anchors[block]
        closeness = z[rows] @ z.T
        closeness *= 2.0 / temperature
        same, apart = places.masks(rows)
        same[np.arange(len(rows)), rows] = False
        for total, allowed in ((within, same), (between, apart)):
            total.add(X[rows].astype(np.float64), _softmax(closeness, allowed))
    return within.finish(), between.finish()


def draw(n: int, most: int) -> IntArray:
    """All of n, or as many as there may be, in order; the same in every call."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def _softmax(closeness: npt.NDArray[Any], allowed: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Rows of weights over what is allowed, summing to 1, or 0 where nothing is."""
    weights = np.where(allowed, closeness, -np.inf)
    largest = weights.max(axis=1, keepdims=True)
    weights -= np.where(np.isfinite(largest), largest, 0.0)
    np.exp(weights, out=weights)
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.where(total > 0.0, total, 1.0)
    return weights
