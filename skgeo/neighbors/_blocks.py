"""Work on rows in blocks of fixed size, in threads where asked: bounded memory, same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

T = TypeVar("T")


def map_blocks(
    function: Callable[[slice], T], n_rows: int, block: int, n_jobs: int | None
) -> list[T]:
    """``[function(slice) ...]`` over consecutive blocks of rows, in order.

    The blocks do not depend on ``n_jobs``, only who works on them does. Threads share the gallery;
    each keeps to one BLAS thread, so that ``n_jobs`` is the number of cores in use.
    """
    slices = [slice(start, min(start + block, n_rows)) for start in range(0, n_rows, block)]
    if len(slices) < 2 or effective_n_jobs(n_jobs) == 1:
        return [function(rows) for rows in slices]
    with threadpool_limits(limits=1, user_api="blas"):
        results: list[T] = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(function)(rows) for rows in slices
        )
    return results
