"""The Dask cluster that joblib is told to use, and threads where it is."""

from __future__ import annotations

from typing import Any

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

__all__ = ["cluster_client", "is_remote", "thread_count"]


def _active_client() -> Any:
    backend = get_active_backend()[0]
    return getattr(backend, "client", None) if "Dask" in type(backend).__name__ else None


def is_remote() -> bool:
    """Whether joblib hands work to a Dask cluster, be it of a single core."""
    return _active_client() is not None


def cluster_client() -> Any:
    """Return the client of ``joblib.parallel_config("dask")``, or None.

    None inside the cluster's tasks, too: these are spread already.
    """
    client = _active_client()
    if client is None:
        return None
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return client
    return None


def thread_count(n_jobs: int | None) -> int:
    """Threads of this process that ``n_jobs`` stands for.

    As `joblib.effective_n_jobs`, which under a Dask cluster counts the cores of all machines.
    """
    if not is_remote():
        return int(effective_n_jobs(n_jobs))
    with parallel_config("threading", n_jobs=1):
        return int(effective_n_jobs(n_jobs))
