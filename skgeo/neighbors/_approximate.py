"""Indexes that propose candidates without a proof; their distances are computed exactly.

What comes back is sorted by true distance, ties by index. A photo that no index proposes is
missed, so recall may be below 1: each index says what decides that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.utils.extmath import randomized_svd

from ._blocks import map_blocks
from ._search import FloatArray, IndexArray, rank, smallest

# Rows from which the directions of a projection are learned.
_SAMPLE = 4096
_QUERY_BLOCK = 512
_ROW_BLOCK = 4096

#: Parameters of each index and what they are when nothing is said.
DEFAULTS: dict[str, dict[str, Any]] = {
    "projection": {"n_components": 128, "n_candidates": 2.0},
    "pynndescent": {"n_neighbors": 30, "epsilon": 0.2, "n_candidates": 1.5},
    "faiss": {"factory": "HNSW32", "ef_search": 512, "n_candidates": 1.5},
}


class Index(Protocol):
    """Proposes candidates."""

    def propose(self, queries: npt.NDArray[Any], n_candidates: int) -> IndexArray:
        """Rows of the gallery (n_queries, n_candidates) that may be near, each once."""


class ProjectionIndex:
    """All rows compared in the directions of greatest variance.

    The squared distance is ``|x|^2 + |y|^2 - 2 x.y``; the norms are kept in full, and only the
    product is taken in a few directions. What is missed decides how flat the spectrum is.
    """

    def __init__(self, rows: npt.NDArray[Any], n_components: int) -> None:
        n, d = rows.shape
        rng = np.random.default_rng(0)
        ids = np.arange(n) if n <= _SAMPLE else np.sort(rng.choice(n, _SAMPLE, replace=False))
        sample = rows[ids].astype(np.float64)
        mean = sample.mean(axis=0)
        sample -= mean
        p = min(n_components, d, len(ids))
        _, _, directions = randomized_svd(
            sample.astype(np.float32), p, n_iter=3, random_state=np.random.RandomState(0)
        )
        self.mean = mean
        self.directions = np.ascontiguousarray(directions.T, dtype=np.float32)
        self.short = np.empty((n, p), dtype=np.float32)
        self.norms = np.empty(n, dtype=np.float32)
        for start in range(0, n, _ROW_BLOCK):
            part = slice(start, start + _ROW_BLOCK)
            block = rows[part].astype(np.float32) - mean.astype(np.float32)
            self.short[part] = block @ self.directions
            self.norms[part] = np.einsum("ij,ij->i", block, block)

    def propose(self, queries: npt.NDArray[Any], n_candidates: int) -> IndexArray:
        """Rows of the gallery with the smallest estimates."""
        centred = queries.astype(np.float32) - self.mean.astype(np.float32)
        left = -2.0 * (centred @ self.directions)
        _, who = smallest(
            lambda start, stop: left @ self.short[start:stop].T,
            self.norms,
            len(queries),
            n_candidates,
        )
        return who


class PyNNDescentIndex:
    """The neighbour graph of the package pynndescent."""

    def __init__(self, rows: npt.NDArray[Any], n_neighbors: int, epsilon: float) -> None:
        pynndescent = _imported("pynndescent", "pynndescent")
        self.epsilon = epsilon
        # One thread: with more of them its graph depends on who comes first.
        self.index = pynndescent.NNDescent(
            np.asarray(rows, dtype=np.float32),
            n_neighbors=n_neighbors,
            random_state=0,
            n_jobs=1,
        )
        self.index.prepare()

    def propose(self, queries: npt.NDArray[Any], n_candidates: int) -> IndexArray:
        """Rows of the gallery that a walk over the graph has found."""
        who, _ = self.index.query(queries.astype(np.float32), k=n_candidates, epsilon=self.epsilon)
        return np.asarray(who, dtype=np.intp)


class FaissIndex:
    """Any index of the package faiss, by the text from which its factory makes one."""

    def __init__(self, rows: npt.NDArray[Any], factory: str, ef_search: int) -> None:
        faiss = _imported("faiss", "faiss-cpu")
        self.index = faiss.index_factory(rows.shape[1], factory)
        rng = np.random.default_rng(0)
        if not self.index.is_trained:
            size = min(len(rows), 65_536)
            ids = np.sort(rng.choice(len(rows), size, replace=False))
            self.index.train(rows[ids].astype(np.float32))
        for start in range(0, len(rows), _ROW_BLOCK):
            self.index.add(rows[start : start + _ROW_BLOCK].astype(np.float32))
        if hasattr(self.index, "hnsw"):
            self.index.hnsw.efSearch = ef_search

    def propose(self, queries: npt.NDArray[Any], n_candidates: int) -> IndexArray:
        """Rows of the gallery that the index has found."""
        _, who = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), n_candidates)
        return np.asarray(who, dtype=np.intp)

    def __getstate__(self) -> dict[str, Any]:
        faiss = _imported("faiss", "faiss-cpu")
        return {"index": faiss.serialize_index(self.index)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.index = _imported("faiss", "faiss-cpu").deserialize_index(state["index"])


_INDEXES: dict[str, Callable[..., Index]] = {
    "projection": ProjectionIndex,
    "pynndescent": PyNNDescentIndex,
    "faiss": FaissIndex,
}


def read_parameters(algorithm: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parameters of an index, the defaults where nothing is given.

    Raises
    ------
    ValueError
        If the index has no such parameter, or the value is not of its kind.
    """
    known = DEFAULTS.get(algorithm, {})
    result = dict(known)
    for name, value in (given or {}).items():
        if name not in known:
            expected = f"expected {', '.join(known)}" if known else "it has no parameters"
            raise ValueError(f"algorithm_params holds {name!r} for {algorithm!r}; {expected}.")
        kind = str if isinstance(known[name], str) else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(
                f"algorithm_params holds {name}={value!r}; expected a value such as "
                f"{known[name]!r}."
            )
        if not isinstance(value, str) and not value > 0:
            raise ValueError(f"algorithm_params holds {name}={value!r}; expected it above 0.")
        if isinstance(known[name], int) and value != int(value):
            raise ValueError(f"algorithm_params holds {name}={value!r}; expected an integer.")
        result[name] = int(value) if isinstance(known[name], int) else value
    if result.get("n_candidates", 1.0) < 1.0:
        raise ValueError(
            f"algorithm_params holds n_candidates={result['n_candidates']!r}; expected at least 1 "
            "candidate for each neighbour."
        )
    return result


def build_index(algorithm: str, rows: npt.NDArray[Any], parameters: Mapping[str, Any]) -> Index:
    """Build the index of that name over the rows of the gallery.

    Raises
    ------
    ImportError
        If its package is not installed; the message says how to get it.
    """
    arguments = {key: value for key, value in parameters.items() if key != "n_candidates"}
    return _INDEXES[algorithm](rows, **arguments)


def approximate_neighbors(
    queries: npt.NDArray[Any],
    rows: npt.NDArray[Any],
    n_neighbors: int,
    index: Index,
    *,
    candidates_per_neighbor: float,
    n_jobs: int | None = None,
) -> tuple[FloatArray, IndexArray]:
    """Nearest of the proposed rows, sorted by (distance, index).

    Parameters
    ----------
    queries, rows : ndarray
        As in `nearest_neighbors`.
    n_neighbors : int
        At most the number of rows.
    index : Index
        Over the rows.
    candidates_per_neighbor : float
        How many candidates are compared directly, for each neighbour asked for; 100 at least.
    n_jobs : int or None
        Threads over blocks of queries.

    Returns
    -------
    distances, indices : ndarray of shape (n_queries, n_neighbors)
        As from `nearest_neighbors`, except for what the index has missed.
    """
    n_candidates = min(
        len(rows), max(n_neighbors + 100, round(candidates_per_neighbor * n_neighbors))
    )

    def search(part: slice) -> tuple[FloatArray, IndexArray]:
        block = queries[part]
        who = index.propose(block, n_candidates)
        short = who.min(axis=1) < 0  # an index that found fewer says -1
        squared, indices = rank(block, rows, np.maximum(who, 0), n_neighbors)
        for row in np.flatnonzero(short):
            found = np.unique(who[row, who[row] >= 0])
            if len(found) < n_neighbors:
                everyone = np.arange(len(rows))[None]
                one = rank(block[row : row + 1], rows, everyone, n_neighbors)
            else:
                one = rank(block[row : row + 1], rows, found[None], n_neighbors)
            squared[row], indices[row] = one[0][0], one[1][0]
        return np.sqrt(squared), indices

    results = map_blocks(search, len(queries), _QUERY_BLOCK, n_jobs)
    return (
        np.concatenate([distances for distances, _ in results]),
        np.concatenate([indices for _, indices in results]),
    )


def _imported(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"algorithm={module!r} needs the package {package}: python -m pip install {package}"
        ) from error
