"""The graph block by block, each block filed as it is done: a run that is killed goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from .._checkpoint import Job, content_key, read_arrays, write_arrays
from .._cluster_client import in_order
from .._progress import progress
from ._graph import NeighborRows, PairGraph, stack_rows
from ._on_cluster import Collection
from ._points import FloatArray
from ._tiles import SIDE

#: Products of numbers in a block: half a minute of one core, which a kill may cost.
_BLOCK_PRODUCTS = 1e12


def open_pairs_job(
    folder: str | os.PathLike[str] | None,
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    coordinates: FloatArray | None,
    settings: tuple[Any, ...],
    k1: int,
    k2: int,
) -> Job | None:
    """The job that finds these pairs, or None where nothing is to be kept."""
    if coordinates is None:
        coordinates = np.zeros((0, 2))
    where = [labels, coordinates if settings[2] > 0 else None]
    return Job.open(folder, "pairs", lambda: content_key(X, where, list(settings), k1, k2))


def block_rows(n: int, d: int) -> int:
    """Photos in a block: a multiple of the side of a tile, so that tiles are the same."""
    return max(1, round(_BLOCK_PRODUCTS / (float(n) * d * SIDE))) * SIDE


def pairs_by_blocks(
    job: Job,
    collection: Collection,
    n: int,
    d: int,
    k1: int,
    k2: int,
    *,
    client: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> PairGraph:
    """Find the pairs of a collection; blocks that are filed are not computed again.

    Parameters
    ----------
    job : Job
        Whose files they are.
    collection : Collection
        The photos.
    n, d : int
        Photos and columns.
    k1, k2 : int
        Neighbours of a row.
    client : distributed.Client or None
        Of a cluster, whose cores take a block each.
    n_jobs : int or None
        Threads, without a cluster.
    verbose : int
        Above 0: tell where it goes on, and show progress.

    Returns
    -------
    PairGraph
        The same bits as in one go.

    Raises
    ------
    KeyboardInterrupt
        If the user stops it; says what is kept, and where.
    """
    size = block_rows(n, d)
    blocks = [(start, min(start + size, n)) for start in range(0, n, size)]
    parts = {at: job.read(_name(*at), _read) for at in blocks}
    todo = [at for at in blocks if parts[at] is None]
    if verbose and len(todo) < len(blocks):
        done = len(blocks) - len(todo)
        print(  # noqa: T201  what verbose is for
            f"InconsistencyPairs: resumes with {done} of {len(blocks)} blocks, from the checkpoint."
        )
    tasks = [(*at, k1, k2) for at in todo]
    found: Iterable[PairGraph]
    if client is None:
        found = (collection.rows(*task, n_jobs=n_jobs) for task in tasks)
    else:
        found = in_order(client, Collection.rows, collection, tasks)
    found = progress(found, verbose=verbose, total=len(todo), desc="Comparing", unit="block")
    n_done = len(blocks) - len(todo)
    try:
        for at, part in zip(todo, found, strict=True):
            parts[at] = part
            job.write(_name(*at), _writer(part))
            n_done += 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"The search for pairs was interrupted. {n_done} of {len(blocks)} blocks are kept in "
            f"{str(job.folder)!r}: the same fit goes on from there."
        ) from None
    graphs = [part for part in parts.values() if part is not None]
    same, other = (stack_rows(list(side)) for side in zip(*graphs, strict=True))
    return PairGraph(same, other)


def whole_pairs(job: Job, compute: Callable[[], PairGraph]) -> PairGraph:
    """Compute a graph in one go, unless it is filed."""
    graph = job.read("whole", _read)
    if graph is None:
        graph = compute()
        job.write("whole", _writer(graph))
    return graph


def _name(start: int, stop: int) -> str:
    return f"{start:012d}-{stop:012d}"


def _writer(graph: PairGraph) -> Callable[[BinaryIO], None]:
    arrays = {
        f"{side}_{name}": array
        for side, rows in zip(("same", "other"), graph, strict=True)
        for name, array in rows._asdict().items()
    }
    return lambda file: write_arrays(file, arrays)


def _read(file: BinaryIO) -> PairGraph:
    arrays = read_arrays(file)
    same, other = (
        NeighborRows(*(arrays[f"{side}_{name}"] for name in NeighborRows._fields))
        for side in ("same", "other")
    )
    return PairGraph(same, other)
