"""The objective of a trained network on any data, term by term, from all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._holdout import reconstruction_error
from ._network import AutoEncoder
from ._representation import encode, precise

#: Pairs whose differences are formed at a time.
_CHUNK = 4096


def check_graph(graph: Any, n_samples: int, name: str) -> sp.csr_array | None:
    """CSR form of a pair graph, or an error that says what shape was expected."""
    if graph is None:
        return None
    if not sp.issparse(graph):
        graph = np.asarray(graph)
    if graph.shape != (n_samples, n_samples):
        raise ValueError(
            f"{name} has shape {graph.shape}; expected ({n_samples}, {n_samples}), one row and "
            "one column for each row of X."
        )
    graph = sp.csr_array(graph)
    graph.eliminate_zeros()
    return graph


def evaluate_terms(
    network: AutoEncoder,
    X: npt.NDArray[Any],
    same_area: sp.csr_array | None,
    easy_confusing: sp.csr_array | None,
    *,
    scale_free: bool,
    variance: float,
    centre: npt.NDArray[np.float64],
    margin: float,
    units: tuple[float, float],
) -> dict[str, float]:
    """Unweighted terms over all pairs, in float64.

    Parameters
    ----------
    network : AutoEncoder
        The trained network.
    X : ndarray of shape (n, n_features)
        Rows.
    same_area, easy_confusing : csr_array of shape (n, n) or None
        P and Q.
    scale_free : bool
        Which objective.
    variance : float
        Unit of the reconstruction in the scale-free form.
    centre : ndarray
        Where the codes are centred in the scale-free form.
    margin : float
        Margin of the hinge in the scale-free form.
    units : (float, float)
        What one pair of P and of Q counts.

    Returns
    -------
    dict
        "reconstruction", "same_area", "easy_confusing", "weight_decay".
    """
    network = precise(network)
    error = reconstruction_error(network, X)
    codes = np.concatenate([layers[-1] for _, layers in encode(network, X)]).astype(np.float64)
    if scale_free:
        codes -= centre
        norms = np.linalg.norm(codes, axis=1, keepdims=True)
        codes /= np.where(norms > 1e-12, norms, 1.0)
    values = []
    for graph, unit, hinge in (
        (same_area, units[0], False),
        (easy_confusing, units[1], scale_free),
    ):
        total = 0.0
        if graph is not None:
            s = np.repeat(np.arange(len(X)), np.diff(graph.indptr))
            t = graph.indices
            for start in range(0, len(s), _CHUNK):
                part = slice(start, start + _CHUNK)
                squared = np.square(codes[s[part]] - codes[t[part]]).sum(axis=1)
                total += float(np.maximum(margin - squared, 0.0).sum() if hinge else squared.sum())
        values.append(unit * total)
    return {
        "reconstruction": error / variance if scale_free else error / 2.0,
        "same_area": values[0],
        "easy_confusing": values[1],
        "weight_decay": sum(float(w.detach().double().square().sum()) for w in network.weights()),
    }
