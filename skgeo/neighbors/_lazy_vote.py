"""The lazy learner's vote: classifiers trained for one query, on its neighbours alone.

Places of the neighbours are clustered, the clusters are classes, and a kernel machine for each
class against all other neighbours says how far on its side the query lies.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._svm import TOLERANCE, one_against_rest

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


class Machine(NamedTuple):
    """Parameters of the classifiers; see `skgeo.neighbors.LazyGeoRegressor`."""

    C: float
    gamma: float | str
    class_weight: str | None


def kernels(
    query: npt.NDArray[Any], neighbors: npt.NDArray[Any], gamma: float | str
) -> tuple[FloatArray, FloatArray]:
    """Gaussian kernel among the neighbours (k, k), and between the query and each of them (k,).

    Parameters
    ----------
    query : ndarray of shape (n_features,)
        Vector of the query.
    neighbors : ndarray of shape (k, n_features)
        Vectors of its neighbours.
    gamma : float or "scale"
        The kernel is ``exp(-gamma * d**2)``; "scale" is the reciprocal of the mean squared
        distance of two neighbours, or 1 where they are all alike.
    """
    # From the query's point of view: neighbours are near each other, and little cancels.
    centred = neighbors.astype(np.float64) - query
    to_query = np.einsum("ij,ij->i", centred, centred)
    squared = to_query[:, None] + to_query - 2.0 * (centred @ centred.T)
    squared = np.maximum(squared, squared.T)
    np.maximum(squared, 0.0, out=squared)
    np.fill_diagonal(squared, 0.0)
    if isinstance(gamma, str):
        k = len(squared)
        mean = float(squared.sum()) / max(1, k * (k - 1))
        gamma = 1.0 / mean if mean > 0.0 else 1.0
    return np.exp(-gamma * squared), np.exp(-gamma * to_query)


def margins(
    kernel: FloatArray, of_query: FloatArray, classes: IndexArray, machine: Machine
) -> FloatArray:
    """Decision value of the query for each class against all other neighbours.

    Parameters
    ----------
    kernel : ndarray of shape (k, k)
        Among the neighbours.
    of_query : ndarray of shape (k,)
        Between the query and its neighbours.
    classes : ndarray of shape (k,)
        0, 1, ... the class of each neighbour; -1 for one that is of no class, but not of any of
        these. Two different values at least.
    machine : Machine
        Parameters.

    Returns
    -------
    ndarray of shape (n_classes,)
        Positive on the side of the class.
    """
    values = np.empty(int(classes.max()) + 1)
    balanced = machine.class_weight == "balanced"
    one_against_rest(kernel, of_query, classes, machine.C, balanced, TOLERANCE, values)
    return values


def lazy_order(
    query: npt.NDArray[Any], neighbors: npt.NDArray[Any], classes: IndexArray, machine: Machine
) -> IndexArray:
    """Classes by falling margin of the query; of equal ones the first.

    Without a class the order is empty; a single class needs no classifier.
    """
    n_classes = int(classes.max()) + 1
    if n_classes <= 1:
        return np.arange(n_classes)
    values = margins(*kernels(query, neighbors, machine.gamma), classes, machine)
    return np.argsort(-values, kind="stable")
