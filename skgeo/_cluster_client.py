"""The Dask cluster that joblib is told to use, and threads where it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from threadpoolctl import threadpool_limits

__all__ = ["cluster_client", "in_order", "in_this_process", "is_remote", "thread_count"]

T = TypeVar("T")


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


@contextmanager
def in_this_process() -> Iterator[None]:
    """Keep here what others parallelise: Dask would be sent the data of short searches."""
    if not is_remote():
        yield
        return
    with parallel_config("threading", n_jobs=1):
        yield


def in_order(
    client: Any, function: Callable[..., T], shared: Any, tasks: Iterable[tuple[Any, ...]]
) -> Iterator[T]:
    """Call ``function(shared, *task)`` in the workers; results in the order of the tasks.

    ``shared`` is sent to every worker once, so that none is lost with a worker: Dask repeats the
    tasks of a worker that dies elsewhere. Two tasks for each core are under way, no more: what
    is made and not yet taken stays bounded.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    function : callable
        Importable in the workers. Its result depends on its arguments alone.
    shared : object
        What all tasks have in common.
    tasks : iterable of tuple
        The other arguments; read as the work goes on.

    Yields
    ------
    object
        What the function returned. Its errors are raised here.
    """
    (data,) = client.scatter([_Opaque(shared)], broadcast=True, hash=False)
    under_way: deque[Any] = deque()
    try:
        for task in tasks:
            under_way.append(client.submit(_call, function, data, task, pure=False))
            if len(under_way) >= 2 * max(sum(client.ncores().values()), 1):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        client.cancel(list(under_way), force=True)


class _Opaque:
    """One object to the cluster, whatever it is: Dask takes collections apart."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _call(function: Callable[..., T], shared: _Opaque, task: tuple[Any, ...]) -> T:
    # A task is the work of one core: what is in it must not spread again.
    with parallel_config("sequential"), threadpool_limits(limits=1):
        return function(shared.value, *task)
