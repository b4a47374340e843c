"""One call for all methods."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._cluster_client import cluster_client
from ._anchor import anchor_pairs
from ._approximate import approximate_pairs
from ._by_blocks import open_pairs_job, pairs_by_blocks, whole_pairs
from ._exact import exact_pairs
from ._graph import PairGraph
from ._on_cluster import Collection, pairs_on_cluster
from ._points import FloatArray

#: Up to so many products of numbers ``method="auto"`` is exact: 50,000 photos of 3,000 columns, a
#: minute or two of one core.
AUTO_EXACT_MAX = 7.5e12


class GraphSettings(NamedTuple):
    """What a graph depends on beside the photos and the length of its rows."""

    method: str
    k3: int
    min_distance_km: float
    anchor_bandwidth: float
    seed: int | None
    n_candidates: int = 100


def resolve_method(method: str, n_samples: int, n_features: int) -> str:
    """Choose for "auto": exact up to `AUTO_EXACT_MAX` products, approximate above."""
    if method != "auto":
        return method
    work = float(n_samples) * n_samples * n_features
    return "exact" if work <= AUTO_EXACT_MAX else "approximate"


def compute_pairs(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    coordinates: FloatArray | None,
    settings: GraphSettings,
    k1: int,
    k2: int,
    n_jobs: int | None = None,
    verbose: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
) -> PairGraph:
    """Compute the graph with the method that the settings name, on a cluster if there is one.

    With a checkpoint, or within a job that has one, a run that was interrupted is gone on with.
    """
    job = open_pairs_job(checkpoint, X, labels, coordinates, settings, k1, k2)
    if job is None:
        return _compute(X, labels, coordinates, settings, k1, k2, n_jobs, verbose)
    if settings.method == "anchor":
        # Its clusters are found for whole areas: it is kept as a whole.
        graph = whole_pairs(
            job, lambda: _compute(X, labels, coordinates, settings, k1, k2, n_jobs, verbose)
        )
    else:
        n_candidates = settings.n_candidates if settings.method == "approximate" else None
        n, d = X.shape
        graph = pairs_by_blocks(
            job,
            Collection(X, labels, coordinates, settings.min_distance_km, n_candidates),
            n,
            d,
            k1,
            k2,
            client=cluster_client(),
            n_jobs=n_jobs,
            verbose=verbose,
        )
    job.finish()
    return graph


def _compute(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    coordinates: FloatArray | None,
    settings: GraphSettings,
    k1: int,
    k2: int,
    n_jobs: int | None,
    verbose: int,
) -> PairGraph:
    client = cluster_client()
    if client is not None and settings.method != "anchor":
        return pairs_on_cluster(
            client,
            X,
            labels,
            k1,
            k2,
            n_candidates=settings.n_candidates if settings.method == "approximate" else None,
            coordinates=coordinates,
            min_distance_km=settings.min_distance_km,
            verbose=verbose,
        )
    if settings.method == "approximate":
        return approximate_pairs(
            X,
            labels,
            k1,
            k2,
            n_candidates=settings.n_candidates,
            coordinates=coordinates,
            min_distance_km=settings.min_distance_km,
            n_jobs=n_jobs,
            verbose=verbose,
        )
    if settings.method == "exact":
        return exact_pairs(
            X,
            labels,
            k1,
            k2,
            coordinates=coordinates,
            min_distance_km=settings.min_distance_km,
            n_jobs=n_jobs,
            verbose=verbose,
        )
    return anchor_pairs(
        X,
        labels,
        k1,
        k2,
        k3=settings.k3,
        bandwidth=settings.anchor_bandwidth,
        coordinates=coordinates,
        min_distance_km=settings.min_distance_km,
        seed=settings.seed,
        n_jobs=n_jobs,
    )
