"""Graphs and areas kept on disk: computed once for all lengths of rows, and for other areas.

Three things are filed. A *graph* under the photos, their areas and the method, with rows of 32
(64, 128, ...) neighbours, serves every smaller k1 and k2, in every process. For the exact method
the *lists* of the nearest of all photos are filed under the photos alone: graphs under other
areas are cut from them. And the fitted *areas* are filed under the clusterer and the locations.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from ._compute import GraphSettings, compute_pairs
from ._graph import NeighborRows, PairGraph
from ._points import FloatArray
from ._regroup import nearest_of_all, regroup

#: Part of every key on disk: to be raised when the same settings give another graph.
_FORMAT = 2

#: Rows on disk have 32, 64, 128, ... neighbours, and at most this many are looked for.
_FIRST_LEVEL, _LAST_LEVEL = 32, 1024

#: Lists are so many times longer than the rows that are cut from them: as a rule, half of the
#: photos that look most like one are of other areas. Longer ones cost more than they save.
_LIST_FACTOR = 2


def remembered_pairs(
    memory: joblib.Memory,
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
    """Compute the graph once for all ``k1``, ``k2`` up to the next level, then cut it.

    The rows of one graph at 32 neighbours begin with those of every graph at fewer, whatever the
    method. A graph that is on disk at a higher level serves too. Processes that want the same
    graph at the same time wait for the first.
    """
    # A memory map and an array in memory of the same photos share the graph.
    photos = joblib.hash([_FORMAT, np.asarray(X)])
    relevant = [labels, settings.method, settings.min_distance_km]
    if settings.min_distance_km > 0.0:
        relevant.append(coordinates)
    if settings.method != "exact":
        relevant.append(settings)
    level = _FIRST_LEVEL
    while level < max(k1, k2):
        level *= 2

    def compute(level: int) -> PairGraph:
        if settings.method != "exact":
            wanted = X, labels, coordinates, settings, level, level
            return compute_pairs(*wanted, n_jobs, verbose, checkpoint)
        near: NeighborRows = _at_level(
            memory,
            _lists_at_level,
            photos,
            _LIST_FACTOR * level,
            lambda length: nearest_of_all(X, length, n_jobs=n_jobs),
        )
        return regroup(
            X,
            near,
            labels,
            level,
            level,
            coordinates=coordinates,
            min_distance_km=settings.min_distance_km,
            n_jobs=n_jobs,
        )

    key = joblib.hash([photos, *relevant])
    graph: PairGraph = _at_level(memory, _pairs_at_level, key, level, compute)
    return graph.head(k1, k2)


def _at_level(
    memory: joblib.Memory,
    function: Callable[[str, int, Callable[[int], Any]], Any],
    key: str,
    level: int,
    compute: Callable[[int], Any],
) -> Any:
    """Read what is filed under the key at this level or a higher one, or compute and file it."""
    stored = memory.cache(function, ignore=["compute"])
    with _one_at_a_time(memory, function.__name__):
        # The first call files the function's source. Older joblibs write it in place: who reads
        # half of it takes the function for another one, and clears what it had.
        stored.check_call_in_cache(key, level, compute)
    with _one_at_a_time(memory, key):
        higher = level
        while higher <= _LAST_LEVEL:
            if stored.check_call_in_cache(key, higher, compute):
                level = higher
                break
            higher *= 2
        return stored(key, level, compute)


def _pairs_at_level(
    key: str,  # noqa: ARG001  joblib files the result under key and level
    level: int,
    compute: Callable[[int], PairGraph],
) -> PairGraph:
    return compute(level)


def _lists_at_level(
    key: str,  # noqa: ARG001
    level: int,
    compute: Callable[[int], NeighborRows],
) -> NeighborRows:
    return compute(level)


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
