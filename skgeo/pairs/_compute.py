"""One call for all methods, and the same call remembered on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt

from ._anchor import anchor_pairs
from ._exact import exact_pairs
from ._graph import PairGraph
from ._points import FloatArray

#: Up to so many photos ``method="auto"`` is exact: minutes on a small machine.
AUTO_EXACT_MAX = 30_000

#: Part of every key on disk: to be raised when the same settings give another graph.
_FORMAT = 1

#: Rows on disk have 32, 64, 128, ... neighbours, and at most this many are looked for.
_FIRST_LEVEL, _LAST_LEVEL = 32, 1024


class GraphSettings(NamedTuple):
    """What a graph depends on beside the photos and the length of its rows."""

    method: str
    k3: int
    min_distance_km: float
    anchor_bandwidth: float
    seed: int | None


def resolve_method(method: str, n_samples: int) -> str:
    """Choose for "auto": exact up to `AUTO_EXACT_MAX` photos, anchors above."""
    if method != "auto":
        return method
    return "exact" if n_samples <= AUTO_EXACT_MAX else "anchor"


def compute_pairs(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    coordinates: FloatArray | None,
    settings: GraphSettings,
    k1: int,
    k2: int,
    n_jobs: int | None = None,
) -> PairGraph:
    """Compute the graph with the method that the settings name."""
    if settings.method == "exact":
        return exact_pairs(
            X,
            labels,
            k1,
            k2,
            coordinates=coordinates,
            min_distance_km=settings.min_distance_km,
            n_jobs=n_jobs,
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


def remembered_pairs(
    memory: joblib.Memory,
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    coordinates: FloatArray | None,
    settings: GraphSettings,
    k1: int,
    k2: int,
    n_jobs: int | None = None,
) -> PairGraph:
    """Compute the graph once for all ``k1``, ``k2`` up to the next level, then cut it.

    The rows of one graph at 32 neighbours begin with those of every graph at fewer, whatever the
    method. A graph that is on disk at a higher level serves too. Processes that want the same
    graph at the same time wait for the first.
    """
    relevant = [labels, settings.method, settings.min_distance_km]
    if settings.min_distance_km > 0.0:
        relevant.append(coordinates)
    if settings.method == "anchor":
        relevant += [settings.k3, settings.anchor_bandwidth, settings.seed]
    # A memory map and an array in memory of the same photos share the graph.
    key = joblib.hash([_FORMAT, np.asarray(X), *relevant])
    stored = memory.cache(_pairs_at_level, ignore=["compute"])
    level = _FIRST_LEVEL
    while level < max(k1, k2):
        level *= 2

    def compute() -> PairGraph:
        return compute_pairs(X, labels, coordinates, settings, level, level, n_jobs)

    with _one_at_a_time(memory, key):
        higher = level
        while higher <= _LAST_LEVEL:
            if stored.check_call_in_cache(key, higher, compute):
                level = higher
                break
            higher *= 2
        graph: PairGraph = stored(key, level, compute)
    return graph.head(k1, k2)


def _pairs_at_level(
    key: str,  # noqa: ARG001  joblib files the result under key and level
    level: int,  # noqa: ARG001
    compute: Callable[[], PairGraph],
) -> PairGraph:
    return compute()


def remembered_fit(memory: joblib.Memory, estimator: Any, coordinates: FloatArray) -> Any:
    """Fit the estimator of the areas once for each set of coordinates."""
    with _one_at_a_time(memory, joblib.hash([estimator, coordinates])):
        return memory.cache(_fit)(estimator, coordinates)


def _fit(estimator: Any, coordinates: FloatArray) -> Any:
    return estimator.fit(coordinates)


@contextlib.contextmanager
def _one_at_a_time(memory: joblib.Memory, key: str) -> Iterator[None]:
    """Let one process at a time compute what is filed under a key.

    The lock is the operating system's, which takes it back from a process that dies. Where
    there is none (another system, a network folder), both compute and the result is the same:
    joblib puts files in place in one step.
    """
    with contextlib.ExitStack() as stack:
        # Only an attempt: whatever hinders locking hinders no computation.
        with contextlib.suppress(ImportError, OSError, TypeError):
            import fcntl

            folder = os.path.join(memory.location, "skgeo-locks")
            os.makedirs(folder, exist_ok=True)
            handle = stack.enter_context(open(os.path.join(folder, key), "a"))
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
