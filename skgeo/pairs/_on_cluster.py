"""The graph on a cluster: each task finds the rows of a block of photos among all photos."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._cluster_client import in_order
from .._progress import progress
from ._approximate import approximate_neighbors
from ._bounded import exact_neighbors
from ._exact import area_numbers, other_areas, same_area_neighbors
from ._graph import PairGraph, no_rows, stack_rows
from ._points import FloatArray, Points, make_frame
from ._tiles import SIDE

#: Blocks for each core of the cluster: few, for each worker prepares the photos once, and enough
#: that a slow or lost worker does not hold up the others for long.
_BLOCKS_PER_CORE = 4


class MappedRows:
    """Where the rows of a memory map lie: workers open the file instead of being sent it."""

    def __init__(self, root: np.memmap[Any, Any], X: npt.NDArray[Any]) -> None:
        begin = X.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        self.path = os.path.abspath(str(root.filename))
        self.offset = int(root.offset + begin)
        self.shape, self.dtype = X.shape, X.dtype
        self.size = os.path.getsize(self.path)

    def open(self) -> npt.NDArray[Any]:
        """Map the rows.

        Raises
        ------
        FileNotFoundError
            If this machine does not see the file, or another one under its name.
        """
        if not os.path.isfile(self.path) or os.path.getsize(self.path) != self.size:
            raise FileNotFoundError(
                f"a worker does not find the memory map {self.path!r} of {self.size} bytes; "
                "expected a folder that all machines of the cluster share. An array in memory "
                "is sent to the workers."
            )
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def mapped_rows(X: npt.NDArray[Any]) -> MappedRows | None:
    """Find the file that an array is a part of; None for arrays in memory."""
    root: Any = X
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None or root.mode == "c":
        return None
    if not X.flags.c_contiguous:
        return None
    root.flush()
    return MappedRows(root, X)


class Collection:
    """What all blocks share, prepared once in each worker.

    Parameters
    ----------
    X, labels, coordinates, min_distance_km
        As of `exact_pairs`.
    n_candidates : int or None
        Those of `approximate_pairs`; None: exact.
    """

    def __init__(
        self,
        X: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        coordinates: FloatArray | None,
        min_distance_km: float,
        n_candidates: int | None,
    ) -> None:
        self.X: npt.NDArray[Any] | MappedRows = mapped_rows(X) or X
        self.frame = make_frame(X)
        self.labels = area_numbers(labels)
        self.coordinates = coordinates
        self.min_distance_km = min_distance_km
        self.n_candidates = n_candidates
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._points: Points | None = None
        self._prepared: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def rows(self, start: int, stop: int, k1: int, k2: int, n_jobs: int | None = 1) -> PairGraph:
        """Find the neighbours of the photos ``start`` to ``stop``."""
        # One block at a time in a process: they are of equal size, and share what is prepared.
        with self._lock:
            if self._points is None:
                X = self.X.open() if isinstance(self.X, MappedRows) else self.X
                self._points = Points(X, self.frame)
            points, ids = self._points, np.arange(start, stop)
            same = same_area_neighbors(points, self.labels, k1, rows=ids, n_jobs=n_jobs)
            if not self.labels.any():  # one area: nothing is outside
                return PairGraph(same, no_rows(len(ids)))
            allowed = other_areas(self.labels, self.coordinates, self.min_distance_km)
            search: dict[str, Any] = {"rows": ids, "prepared": self._prepared, "n_jobs": n_jobs}
            if self.n_candidates is None:
                return PairGraph(same, exact_neighbors(points, points, k2, allowed, **search))
            search["n_candidates"] = self.n_candidates
            return PairGraph(same, approximate_neighbors(points, points, k2, allowed, **search))


def blocks_of_rows(n: int, n_cores: int) -> Iterator[tuple[int, int]]:
    """Blocks that begin at multiples of the side of a tile: tiles are the same in any block."""
    size = -(-n // (_BLOCKS_PER_CORE * n_cores * SIDE)) * SIDE
    return ((start, min(start + size, n)) for start in range(0, n, size))


def pairs_on_cluster(
    client: Any,
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    n_candidates: int | None = None,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    verbose: int = 0,
) -> PairGraph:
    """Find the pairs of `exact_pairs`, or of `approximate_pairs`, on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    X, labels, k1, k2, coordinates, min_distance_km, verbose
        As of these functions. A memory map is opened by the workers, another array sent to each.
    n_candidates : int or None, default=None
        As of `approximate_pairs`; None: the exact pairs.

    Returns
    -------
    PairGraph
        The same bits as in one process.
    """
    collection = Collection(X, labels, coordinates, min_distance_km, n_candidates)
    n_cores = max(sum(client.ncores().values()), 1)
    blocks = list(blocks_of_rows(len(X), n_cores))
    found = in_order(client, Collection.rows, collection, ((*at, k1, k2) for at in blocks))
    parts = list(
        progress(found, verbose=verbose, total=len(blocks), desc="Comparing", unit="block")
    )
    same, other = (stack_rows(side) for side in zip(*parts, strict=True))
    return PairGraph(same, other)
