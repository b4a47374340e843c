"""Where training starts: the linear geo-constrained layer, fitted as the network will use it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone

from ..pairs import InconsistencyPairs
from ..pairs._inconsistency import fit_without_photos
from ._marginal_fisher import MarginalFisherTransformer

IntArray = npt.NDArray[np.intp]

#: A trial layer is fitted on a copy of the training rows where that copy is smaller than this.
#: Of so many rows a tenth more or less makes no difference to the linear layer.
_MAX_COPY_BYTES = 2**30


class KnownPairs(BaseEstimator):
    """A finder of pairs that answers with those that it was given."""

    def __init__(self, same_area: Any = None, easy_confusing: Any = None, labels: Any = None):
        self.same_area = same_area
        self.easy_confusing = easy_confusing
        self.labels = labels

    def fit(self, X: Any, y: Any = None) -> Self:
        """Answer with the known pairs."""
        self.same_area_ = self.same_area
        self.easy_confusing_ = self.easy_confusing
        self.labels_ = self.labels
        return self


def linear_layer(init: Any, pairs: Any) -> MarginalFisherTransformer:
    """The unfitted layer that ``init`` asks for, which finds its pairs with ``pairs``.

    Raises
    ------
    TypeError, ValueError
        If ``init`` is an estimator that gives no unit vectors.
    """
    layer: Any = MarginalFisherTransformer() if isinstance(init, str) else clone(init)
    if not isinstance(layer, MarginalFisherTransformer):
        raise TypeError(
            "init must be 'auto', 'marginal-fisher', 'pretrain' or a MarginalFisherTransformer; "
            f"got {init!r}."
        )
    if layer.normalize != "l2":
        raise ValueError(
            f"init has normalize={layer.normalize!r}; the network compares codes of unit length "
            "and starts from unit vectors: use normalize='l2'."
        )
    finder = layer.pairs if layer.pairs is not None else pairs
    finder = InconsistencyPairs(k1=5, k2=50) if finder is None else clone(finder)
    if "store_X" in finder.get_params(deep=False):
        finder.set_params(store_X=False)  # the photos are not to be carried about
    return layer.set_params(pairs=finder)


def find_pairs(
    init: Any, objective: str, pairs: Any, X: npt.NDArray[np.float32], y: Any
) -> tuple[MarginalFisherTransformer | None, Any]:
    """The fitted linear layer to start from, if there is to be one, and the fitted pairs.

    Raises
    ------
    ValueError
        If a linear layer is asked for and cannot be had.
    """
    asked = not isinstance(init, str) or init == "marginal-fisher"
    if asked and objective != "scale-free":
        raise ValueError(
            f"objective={objective!r} has no linear layer to start from: use init='pretrain' or "
            "'auto'."
        )
    if asked or (init == "auto" and objective == "scale-free"):
        layer = linear_layer(init, pairs)
        try:
            layer.fit(X, y)
        except ValueError:
            # One POI, or none with two photos: there is no P or no Q, and no linear optimum.
            if asked:
                raise
        else:
            return layer, layer.pairs_
    pairs = InconsistencyPairs() if pairs is None else clone(pairs)
    return None, fit_without_photos(pairs, X, y)


def trial_layer(
    layer: MarginalFisherTransformer,
    X: npt.NDArray[np.float32],
    rows: IntArray,
    coordinates: npt.NDArray[np.float64] | None,
) -> MarginalFisherTransformer:
    """The same layer fitted on some rows only, from the pairs that are known already.

    Held-out places would otherwise judge a layer that has seen them. Where the rows are too
    many to copy, or lose all their pairs, the layer itself is returned.
    """
    if len(rows) * X.shape[1] * X.itemsize > _MAX_COPY_BYTES:
        return layer
    graphs = [
        graph[rows][:, rows].tocsr()
        for graph in (layer.pairs_.same_area_, layer.pairs_.easy_confusing_)
    ]
    if min(graph.nnz for graph in graphs) == 0:
        return layer
    labels = np.asarray(layer.pairs_.labels_)[rows]
    trial: MarginalFisherTransformer = clone(layer).set_params(
        pairs=KnownPairs(graphs[0], graphs[1], labels),
        weighting=layer.weighting_,
        exponent=layer.exponent_,
    )
    return trial.fit(X[rows], labels if coordinates is None else coordinates[rows])
