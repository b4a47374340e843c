"""The linear map of a collection, from its pairs and its places."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._fisher_axes import marginal_fisher_axes
from ._principal import project
from ._scatter import sum_of_pairs
from ._soft_scatter import MAX_ANCHORS, Places, draw, first_map, soft_scatters

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Of more photos than this so many take part in soft pairs, which bounds memory and time.
MAX_PARTNERS = 100_000

#: Scatters whose trace is smaller than this part of that of all photos are rounding.
_NEGLIGIBLE = 1e-6


class LinearProblem(NamedTuple):
    """What the linear map is solved from.

    Parameters
    ----------
    X : ndarray of shape (n_samples, d)
        Centred vectors.
    graphs : pair of sparse arrays of shape (n_samples, n_samples)
        P and Q.
    sums : pair of ndarray of shape (d, d)
        Their `pair_sum`.
    labels : ndarray of shape (n_samples,) or None
        Place of each photo; "uniform" weights do not need it.
    coordinates : ndarray of shape (n_samples, 2) or None
        Locations in degrees; None where the labels are all that is known.
    shrinkage : float
        In [0, 1].
    temperature : float
        Of "softmax" weights.
    min_distance_km : float
        Photos that are nearer than this are not of two places.
    """

    X: npt.NDArray[Any]
    graphs: tuple[Any, Any]
    sums: tuple[FloatArray, FloatArray]
    labels: npt.NDArray[Any] | None
    coordinates: FloatArray | None
    shrinkage: float
    temperature: float
    min_distance_km: float = 0.0

    def axes(self, weighting: str, max_anchors: int = MAX_ANCHORS) -> tuple[FloatArray, FloatArray]:
        """Eigenvalues and axes (`marginal_fisher_axes`).

        Parameters
        ----------
        weighting : {"uniform", "softmax"}
            All pairs of P and Q alike, or those of `soft_scatters` in the space of `first_map`.
        max_anchors : int
            How many photos "softmax" draws.

        Raises
        ------
        ValueError
            If nothing is left of the pairs within places: all weight is on copies.
        """
        if weighting == "uniform":
            return marginal_fisher_axes(*self.sums, self.shrinkage)
        first = first_map(self.X, self.sums[0], self.shrinkage)
        part = self._rows(draw(len(self.X), MAX_PARTNERS))
        z = project(part.X, np.zeros(len(first)), first, power=1.0)
        noise = _NEGLIGIBLE * float(np.einsum("ij,ij->", part.X, part.X, dtype=np.float64))
        # All photos may be within reach of each other, though in several POIs.
        for coordinates in (part.coordinates, None):
            places = Places(np.asarray(part.labels), coordinates, self.min_distance_km)
            found = soft_scatters(part.X, z, places, self.temperature, max_anchors)
            if np.trace(found[1]) > noise:
                break
        if not np.trace(found[0]) > noise:
            raise ValueError(
                f"At temperature={self.temperature} the nearest photos of each place have all the "
                "weight, and they are copies: there is nothing to learn from them. Raise the "
                "temperature, or use weighting='uniform'."
            )
        return marginal_fisher_axes(*found, self.shrinkage)

    def without(self, held_out: IntArray) -> LinearProblem | None:
        """The same of all other photos; None where no pair is left of P or of Q.

        Of many others the vectors of some are kept, and the pairs of all.
        """
        rows = np.zeros(len(self.X), dtype=bool)
        rows[held_out] = True
        sums = []
        for graph, total in zip(self.graphs, self.sums, strict=True):
            gone, n_gone = sum_of_touching(self.X, graph, rows)
            # Copies differ by rounding only, and so does what is left where they are all.
            if n_gone == graph.nnz or not np.trace(total - gone) > _NEGLIGIBLE * np.trace(total):
                return None
            sums.append(total - gone)
        kept = np.flatnonzero(~rows)
        kept = kept[draw(len(kept), MAX_PARTNERS)]
        return self._rows(kept)._replace(sums=(sums[0], sums[1]))

    def _rows(self, rows: IntArray) -> LinearProblem:
        """The vectors and places of some photos, beside the pairs of all."""
        if len(rows) == len(self.X):
            return self
        return self._replace(
            X=self.X[rows],
            labels=None if self.labels is None else self.labels[rows],
            coordinates=None if self.coordinates is None else self.coordinates[rows],
        )


def sum_of_touching(
    X: npt.NDArray[Any], graph: sp.csr_array, rows: npt.NDArray[np.bool_]
) -> tuple[FloatArray, int]:
    """The `pair_sum` of the pairs that have one end, or both, among some rows.

    Returns
    -------
    total : ndarray of shape (n_features, n_features)
        The sum.
    n_pairs : int
        How many pairs that are.
    """
    touching = np.repeat(rows, np.diff(graph.indptr)) | rows[graph.indices]
    chosen = np.flatnonzero(touching)
    s = np.searchsorted(graph.indptr, chosen, side="right") - 1
    return sum_of_pairs(X, s, graph.indices[chosen], graph.data[chosen]), len(chosen)
