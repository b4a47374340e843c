"""The objective of a trained network on any data, term by term, from all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._batches import PairGraph
from ._holdout import reconstruction_errors
from ._network import AutoEncoder
from ._representation import encode, precise
from ._settings import Settings

FloatArray = npt.NDArray[np.float64]

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
    temperature: float | None,
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
        Margin of the scale-free form.
    temperature : float or None
        Softness of the multi-similarity form; None for the hinge.
    units : (float, float)
        What one pair of P and of Q counts.

    Returns
    -------
    dict
        "reconstruction", "same_area", "easy_confusing", "weight_decay".
    """
    network = precise(network)
    error = float(reconstruction_errors(network, X).mean())
    codes = np.concatenate([layers[-1] for _, layers in encode(network, X)]).astype(np.float64)
    if scale_free and not network.has_unit_codes:
        codes -= centre
        norms = np.linalg.norm(codes, axis=1, keepdims=True)
        codes /= np.where(norms > 1e-12, norms, 1.0)
    pulled = _pull(codes, same_area, units[0], margin, temperature)
    if not scale_free:
        pushed = _pull(codes, easy_confusing, units[1], margin, None)
    else:
        pushed = _push(codes, easy_confusing, units[1], margin, temperature)
    return {
        "reconstruction": error / variance if scale_free else error / 2.0,
        "same_area": pulled,
        "easy_confusing": pushed,
        "weight_decay": sum(float(w.detach().double().square().sum()) for w in network.weights()),
    }


def _pull(
    codes: FloatArray, graph: sp.csr_array | None, unit: float, margin: float, soft: float | None
) -> float:
    total = 0.0
    for _, squared in _distances(codes, graph):
        excess = squared if soft is None else np.logaddexp(0.0, (squared - margin) / soft)
        total += float(excess.sum())
    return unit * total


def _push(
    codes: FloatArray, graph: sp.csr_array | None, unit: float, margin: float, soft: float | None
) -> float:
    """Hinge over the pairs, or the mean over rows of the log of 1 + the sum over their pairs."""
    total = 0.0
    sums = np.zeros(len(codes))
    for s, squared in _distances(codes, graph):
        if soft is None:
            total += float(np.maximum(margin - squared, 0.0).sum())
        else:
            sums += np.bincount(s, np.exp((margin - squared) / soft), minlength=len(codes))
    return unit * total if soft is None else float(np.log1p(sums).mean())


def _distances(codes: FloatArray, graph: sp.csr_array | None) -> Iterator[tuple[Any, FloatArray]]:
    """Chunks of pairs: first ends and squared distances."""
    if graph is None:
        return
    s = np.repeat(np.arange(len(codes)), np.diff(graph.indptr))
    for start in range(0, len(s), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield s[part], np.square(codes[s[part]] - codes[graph.indices[part]]).sum(axis=1)


def weighted_terms(
    network: AutoEncoder,
    X: npt.NDArray[Any],
    same_area: Any,
    easy_confusing: Any,
    *,
    settings: Settings,
    variance: float,
    centre: FloatArray,
    k: tuple[int, int],
) -> dict[str, float]:
    """`evaluate_terms` of graphs in any form, and "total", their weighted sum.

    ``k`` are the k1 and k2 that Eq. (4) divides by.
    """
    names = ("same_area", "easy_confusing")
    graphs = [
        check_graph(graph, len(X), name)
        for graph, name in zip((same_area, easy_confusing), names, strict=True)
    ]
    by_k = settings.pair_weighting == "k"
    units = [
        0.0 if graph is None else PairGraph(graph, count if by_k else None).unit
        for graph, count in zip(graphs, k, strict=True)
    ]
    terms = evaluate_terms(
        network,
        X,
        graphs[0],
        graphs[1],
        scale_free=settings.scale_free,
        variance=variance,
        centre=centre,
        margin=float(settings.margin),
        temperature=settings.temperature if settings.pair_loss == "multi-similarity" else None,
        units=(units[0], units[1]),
    )
    sign = 1.0 if settings.scale_free else -1.0
    terms["total"] = (
        terms["reconstruction"]
        + settings.alpha * terms["same_area"]
        + sign * settings.beta * terms["easy_confusing"]
        + settings.gamma * terms["weight_decay"]
    )
    return terms
