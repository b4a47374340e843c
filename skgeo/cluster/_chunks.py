"""Ranges of sorted points worked on by threads, in an order that depends on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from joblib import Parallel, delayed

from .._progress import progress

T = TypeVar("T")

#: Points of one task: enough that trajectories meet, few enough that all threads have work.
_MOST, _LEAST, _PARTS = 32_768, 2048, 16


def in_threads(
    work: Callable[[int, int], T], n: int, *, n_jobs: int | None, verbose: int = 0
) -> list[T]:
    """Call ``work(begin, stop)`` on consecutive ranges of 0 to n; results in their order.

    The ranges depend on n alone: whatever the number of threads, the same calls are made.
    """
    size = min(max(n // _PARTS, _LEAST), _MOST)
    starts = range(0, n, size)
    results = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(
        delayed(work)(a, min(a + size, n)) for a in starts
    )
    return list(progress(results, verbose=verbose, total=len(starts), desc="Climbing", unit="part"))
