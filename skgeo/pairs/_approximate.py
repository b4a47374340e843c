"""The approximate graph: candidates from a projection of all photos, then compared directly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from .._cluster_client import thread_count
from .._progress import progress
from ._exact import area_numbers, other_areas, same_area_neighbors
from ._graph import NeighborRows, PairGraph, no_rows
from ._lists import bound_lists, nearest_in_lists
from ._points import FloatArray, IndexArray, Points, make_frame, working_bytes
from ._projection import Projection, Short, least_norms, make_sketch
from ._tiles import Allowed, Side, room_of, smallest

#: Directions of the projection in which all photos are compared, and the candidates again.
DIRECTIONS, MORE_DIRECTIONS = 64, 256


def approximate_pairs(
    X: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    k1: int,
    k2: int,
    *,
    n_candidates: int = 100,
    coordinates: FloatArray | None = None,
    min_distance_km: float = 0.0,
    working_memory: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> PairGraph:
    """Find pairs by projection and comparison of candidates: Q nearly, P exactly.

    All photos are compared in 65 columns: their coordinates on the 64 directions of greatest
    variance and the norm of what these leave, so that no distance comes out too large. For each
    photo the ``n_candidates`` nearest outside its area are bounded again in 257 columns, and the
    best 40 of a hundred are compared in all columns.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Visual features, float32 or float64; may be a memory map.
    labels : ndarray of shape (n,)
        The area of each photo.
    k1, k2 : int
        Number of same-area and of easy-confusing neighbours, at least 1.
    n_candidates : int, default=100
        Candidates of each photo; three times ``k2`` if that is more.
    coordinates : ndarray of shape (n, 2) or None
        Degrees; needed if ``min_distance_km`` is above 0.
    min_distance_km : float, default=0.0
        Easy-confusing pairs closer than this on Earth are not considered.
    working_memory : float or None, default=None
        MiB for temporary blocks. None: the ``working_memory`` of scikit-learn's configuration.
        The columns of the projection come on top, 1.3 kB a photo.
    n_jobs : int or None, default=None
        Threads; the result does not depend on it.
    verbose : int, default=0
        Show progress bars if above 0.

    Returns
    -------
    PairGraph
        As of `exact_pairs`: rows sorted by (distance, index), distances computed directly, and
        shorter than k1 or k2 only where there are not so many photos.

    Raises
    ------
    ValueError
        If squared distances overflow.

    See Also
    --------
    pair_recall : How much of the exact Q was found.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.pairs import approximate_pairs, exact_pairs, pair_recall
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 20)) @ rng.normal(size=(20, 400))
    >>> labels = np.arange(500) // 10
    >>> fast = approximate_pairs(X, labels, k1=5, k2=5)
    >>> true = exact_pairs(X, labels, k1=5, k2=5)
    >>> pair_recall(fast.easy_confusing.to_csr(), true.easy_confusing.to_csr())
    1.0
    """
    labels = area_numbers(labels)
    frame = make_frame(X, working_memory=working_memory)
    points = Points(X, frame, working_memory=working_memory)
    same = same_area_neighbors(points, labels, k1, working_memory=working_memory, n_jobs=n_jobs)
    if not labels.any():  # one area: nothing is outside
        return PairGraph(same, no_rows(len(X)))
    other = approximate_neighbors(
        points,
        points,
        k2,
        other_areas(labels, coordinates, min_distance_km),
        n_candidates=n_candidates,
        working_memory=working_memory,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    return PairGraph(same, other)


def approximate_neighbors(
    queries: Points,
    candidates: Points,
    k: int,
    allowed: Allowed,
    *,
    n_candidates: int = 100,
    rows: IndexArray | None = None,
    prepared: dict[int, Short] | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> NeighborRows:
    """Find nearly the k nearest allowed candidates of each query.

    Parameters
    ----------
    queries, candidates : Points
        Vectors in one frame. May be the same object: then each product serves both photos.
    k : int
        Number of neighbours.
    allowed : Allowed
        Which pairs count: a mask inside the search.
    n_candidates : int
        As of `approximate_pairs`.
    rows : ndarray of int64 or None
        Which queries; all by default.
    prepared : dict or None
        Filled with the sketches of the candidates, and used by further calls for other rows.
    working_memory, n_jobs, verbose
        As of `approximate_pairs`.

    Returns
    -------
    NeighborRows
        One row a query. Where queries are the candidates, rows have the same bits whatever
        ``rows`` are, if these begin and end at multiples of `SIDE`.
    """
    threads = thread_count(n_jobs)
    d = candidates.X.shape[1]
    size = min(max(n_candidates, 3 * k), len(candidates.X))
    compared = max(size * 2 // 5, k)
    same = queries is candidates
    ids = np.arange(len(queries.X)) if rows is None else rows
    of_candidates = {} if prepared is None else prepared
    if d > MORE_DIRECTIONS:
        levels = DIRECTIONS, MORE_DIRECTIONS
        # One BLAS thread always: two may round otherwise than one, and n_jobs must not matter.
        if not of_candidates or not same:
            with threadpool_limits(limits=1, user_api="blas"):
                projection = Projection(candidates, MORE_DIRECTIONS)
        if not of_candidates:
            of_candidates.update(
                make_sketch(candidates, projection, levels, threads=threads, rough=True)
            )
        of_queries = of_candidates
        if not same:
            of_queries = make_sketch(queries, projection, levels, threads=threads, rough=True)
        a, b = of_queries[DIRECTIONS], of_candidates[DIRECTIONS]
    else:
        a, b = _all_columns(queries), _all_columns(candidates)
    part = slice(None) if rows is None else rows
    of_rows = Side(
        ids,
        a.columns[part].__getitem__,
        a.norms[part],
        allowed.row_groups[part],
        allowed.row_units[part] if len(allowed.row_units) else allowed.row_units,
    )
    columns = Side(
        np.arange(len(candidates.X)),
        b.columns.__getitem__,
        b.norms,
        allowed.column_groups,
        allowed.column_units,
    )
    # Lists of all rows at the same time, so that a product serves both, only where they fit.
    fit = 8.0 * room_of(size) * len(ids) <= working_bytes(working_memory)
    both = same and rows is None and fit
    lists = smallest(
        of_rows,
        None if both else columns,
        size,
        least_chord=allowed.least_chord,
        threads=threads,
        report=lambda tasks, total: progress(
            tasks, verbose=verbose, total=total, desc="Comparing", unit="part"
        ),
    ).lists()
    if d > MORE_DIRECTIONS:
        more = of_queries[MORE_DIRECTIONS], of_candidates[MORE_DIRECTIONS]
        lists = bound_lists(lists, ids, *more)
    return nearest_in_lists(lists, ids, queries, candidates, k, most=compared, threads=threads)


def _all_columns(points: Points) -> Short:
    n, d = points.X.shape
    return Short(points.take(np.arange(n)), least_norms(points.norms, d))
