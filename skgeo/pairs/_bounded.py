"""Exact neighbours of many photos: few columns rule out most pairs, and rows are proven.

1. In a sketch of few columns the candidates with the smallest bounds are found, and compared
   directly: their k-th distance is a limit for the true k-th neighbour.
2. All pairs are bounded again, and those that pass in a sketch of more columns. What does not
   exceed the limit is compared directly, the smallest bound first, until no bound is left below
   the k-th distance.

Where the spectrum is flat no bound closes: then the "sketch" is all columns, and each product
serves both photos. Rows that are still open (masses of ties) go to `masked_neighbors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from .._cluster_client import thread_count
from .._progress import progress
from ._graph import NeighborRows, reorder_rows, stack_rows
from ._lists import lists_from_pairs, nearest_in_lists, run
from ._points import FloatArray, IndexArray, Points, working_bytes
from ._projection import Projection, Short, least_norms, make_sketch
from ._search import block_side, masked_neighbors
from ._tiles import SIDE, Allowed, Buffers, Side, below, room_of, smallest

#: Below so many products of numbers there is nothing to save; below the second, not enough for
#: what it takes to find a plan.
SMALL, _NO_PLAN = 2e9, 1.5e11

_LEVELS = (32, 64, 128, 256, 512)
_SAMPLE = 64

# Nanoseconds of one core, as far as plans are weighed: what one more column of a product costs,
# what looking at the product costs, a pair that passes (with each column), one compared directly.
_PRODUCT, _LOOK, _PASS, _PASS_COLUMN, _DIRECT = 0.024, 0.5, 20.0, 0.1, 0.6


class Plan(NamedTuple):
    """Numbers of directions: for the limits, for all pairs, for those that pass.

    ``pairs`` of 0: all columns.
    """

    limits: int
    pairs: int
    more: int


ALL_COLUMNS = Plan(0, 0, 0)


class Problem(NamedTuple):
    """What is looked for."""

    queries: Points
    candidates: Points
    k: int
    allowed: Allowed
    rows: IndexArray
    columns: IndexArray
    #: Queries are the candidates: a product serves both.
    same: bool

    def sides(self, level: int, sketches: Sketches) -> tuple[Side, Side]:
        """Both sides of the tiles: at a level of the sketches, or in all columns for 0."""
        result = []
        for points, ids, groups, units, sketch in (
            (self.queries, self.rows, self.allowed.row_groups, self.allowed.row_units, sketches[0]),
            (
                self.candidates,
                self.columns,
                self.allowed.column_groups,
                self.allowed.column_units,
                sketches[1],
            ),
        ):
            take: Callable[[slice], npt.NDArray[np.float32]]
            if level:
                take, norms = sketch[level].columns.__getitem__, sketch[level].norms
            else:
                take = _taker(points, ids)
                norms = least_norms(points.norms[ids], points.X.shape[1])
            result.append(Side(ids, take, norms, groups[ids], units[ids] if len(units) else units))
        return result[0], result[1]


#: Of the queries and of the candidates that take part.
Sketches = tuple[dict[int, Short], dict[int, Short]]


def _taker(points: Points, ids: IndexArray) -> Callable[[slice], npt.NDArray[np.float32]]:
    return lambda at: points.take(ids[at])


def exact_neighbors(
    queries: Points,
    candidates: Points,
    k: int,
    allowed: Allowed,
    *,
    rows: IndexArray | None = None,
    columns: IndexArray | None = None,
    plan: Plan | None = None,
    prepared: dict[str, Any] | None = None,
    working_memory: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> NeighborRows:
    """Find the k nearest allowed candidates of each query, exactly.

    Parameters
    ----------
    queries, candidates : Points
        Vectors in one frame. May be the same object.
    k : int
        Number of neighbours.
    allowed : Allowed
        Which pairs count.
    rows, columns : ndarray of int64 or None
        Which queries and candidates take part, ascending; all by default.
    plan : Plan or None
        None: chosen by what bounds rule out for some of the queries.
    prepared : dict or None
        Filled with what depends on the candidates, and used by further calls for other rows.
    working_memory : float or None
        MiB that temporary blocks may take; None: scikit-learn's ``working_memory``. Sketches
        come on top: up to 578 numbers of four bytes for each photo.
    n_jobs : int or None
        Threads; the result does not depend on it.
    verbose : int
        Show a progress bar if above 0.

    Returns
    -------
    NeighborRows
        One row for each of ``rows``, as of `masked_neighbors`.
    """
    same = queries is candidates and rows is columns
    rows = np.arange(len(queries.X)) if rows is None else rows
    columns = np.arange(len(candidates.X)) if columns is None else columns
    problem = Problem(queries, candidates, k, allowed, rows, columns, same)

    def directly(ids: IndexArray) -> NeighborRows:
        return masked_neighbors(
            queries,
            candidates,
            [(k, allowed.block)],
            rows=ids,
            columns=columns,
            working_memory=working_memory,
            n_jobs=n_jobs,
        )[0]

    if plan is None:
        work = float(len(rows)) * len(columns) * queries.X.shape[1]
        if work < SMALL:
            return directly(rows)
        plan = ALL_COLUMNS if work < _NO_PLAN else None
    budget, threads = working_bytes(working_memory), thread_count(n_jobs)
    prepared = {} if prepared is None else prepared
    found, proven = _search(problem, plan, prepared, budget, threads, verbose)
    if proven.all():
        return found
    parts = [select_rows(found, proven), directly(rows[~proven])]
    position = np.concatenate([np.flatnonzero(proven), np.flatnonzero(~proven)])
    return reorder_rows(stack_rows(parts), position)


def select_rows(found: NeighborRows, chosen: npt.NDArray[np.bool_]) -> NeighborRows:
    """Return some of the rows."""
    lengths = np.diff(found.indptr)
    keep = np.repeat(chosen, lengths)
    indptr = np.concatenate([[0], np.cumsum(lengths[chosen])])
    return NeighborRows(indptr, found.indices[keep], found.distances[keep])


def _search(
    problem: Problem,
    plan: Plan | None,
    prepared: dict[str, Any],
    budget: float,
    threads: int,
    verbose: int,
) -> tuple[NeighborRows, npt.NDArray[np.bool_]]:
    """Return the rows, and which of them are proven."""
    d = problem.queries.X.shape[1]
    plan = prepared.get("plan", plan)
    levels = _LEVELS if plan is None else plan
    projection: Projection | None = prepared.get("projection")
    if projection is None and max(levels):
        with threadpool_limits(limits=1 if threads > 1 else None, user_api="blas"):
            projection = Projection(problem.candidates, min(max(levels), d))
    if plan is None:
        assert projection is not None
        plan = choose_plan(problem, projection, budget)
    prepared.update(plan=plan, projection=projection)
    if plan.pairs == 0:
        return _first(problem, plan, ({}, {}), budget, threads, verbose)
    assert projection is not None
    wanted = sorted(set(plan))
    of_rows = make_sketch(problem.queries, projection, wanted, ids=problem.rows, threads=threads)
    of_columns = of_rows
    if not problem.same:
        if "columns" not in prepared:
            prepared["columns"] = make_sketch(
                problem.candidates, projection, wanted, ids=problem.columns, threads=threads
            )
        of_columns = prepared["columns"]
    sketches = of_rows, of_columns
    found, proven = _first(problem, plan, sketches, budget, threads, verbose)
    return _prove(problem, plan, sketches, found, proven, threads, verbose)


def choose_plan(problem: Problem, projection: Projection, budget: float) -> Plan:
    """Weigh plans by what bounds rule out for some queries."""
    d = problem.queries.X.shape[1]
    levels = [p for p in _LEVELS if 2 * p < d and p <= projection.basis.shape[1]]
    if not levels:
        return ALL_COLUMNS
    survive = _survivors(problem, projection, levels)
    n = float(len(problem.columns))
    halved = 0.5 if _halved(problem, budget) else 1.0
    first = levels[min(1, len(levels) - 1)]
    best, least = ALL_COLUMNS, n * (halved * _PRODUCT * d + _LOOK)
    for i, p in enumerate(levels):
        for j in range(i, len(levels)):
            cost = n * (halved * _PRODUCT * first + _PRODUCT * p + 2.0 * _LOOK)
            cost += survive[i] * (_PASS + _PASS_COLUMN * levels[j])
            cost += survive[j] * _DIRECT * d
            if cost < least:
                best, least = Plan(first, p, levels[j]), cost
    return best


def _survivors(problem: Problem, projection: Projection, levels: list[int]) -> FloatArray:
    """Mean number of candidates that a bound leaves to a query, for each level."""
    rng = np.random.default_rng(0)
    ids, others = (
        np.sort(rng.choice(all_ids, min(most, len(all_ids)), replace=False))
        for all_ids, most in ((problem.rows, _SAMPLE), (problem.columns, 4096))
    )
    part = len(others) / len(problem.columns)
    allowed = problem.allowed.block(ids, others)
    a = Short(problem.queries.take(ids), problem.queries.norms[ids].astype(np.float32))
    b = Short(problem.candidates.take(others), problem.candidates.norms[others].astype(np.float32))
    squared = np.where(allowed, _products(a, b), np.float32(np.inf))
    # The k-th among all is about the (k part)-th among a part; rather above than below.
    rank = min(int(np.ceil(problem.k * part)), len(others)) - 1
    limit = np.partition(squared, rank, axis=1)[:, rank]
    short = make_sketch(problem.queries, projection, levels, ids=ids)
    other = make_sketch(problem.candidates, projection, levels, ids=others)
    counts = []
    for p in levels:
        passing = (_products(short[p], other[p]) <= limit[:, None]) & allowed
        counts.append(passing.sum(axis=1).mean() / part)
    return np.array(counts)


def _products(a: Short, b: Short) -> npt.NDArray[np.float32]:
    result: npt.NDArray[np.float32] = a.columns @ (np.float32(-2.0) * b.columns.T)
    result += a.norms[:, None]
    result += b.norms
    return result


def _list_size(k: int) -> int:
    return k + max(8, k // 2)


def _halved(problem: Problem, budget: float) -> bool:
    """Whether a product may serve both photos: then all rows have lists at the same time."""
    return problem.same and 8.0 * room_of(_list_size(problem.k)) * len(problem.rows) <= 0.5 * budget


def _first(
    problem: Problem, plan: Plan, sketches: Sketches, budget: float, threads: int, verbose: int
) -> tuple[NeighborRows, npt.NDArray[np.bool_]]:
    """Compare the candidates with the smallest bounds; a row is proven if that is enough."""
    rows, columns = problem.sides(plan.limits, sketches)
    side = SIDE
    if plan.limits == 0:
        side = min(side, block_side(problem.queries.X.shape[1], budget / threads))
    best = smallest(
        rows,
        None if _halved(problem, budget) else columns,
        _list_size(problem.k),
        least_chord=problem.allowed.least_chord,
        side=side,
        threads=threads,
        report=_reporter(verbose, "Bounding"),
    )
    found = nearest_in_lists(
        best.lists(), problem.rows, problem.queries, problem.candidates, problem.k, threads=threads
    )
    # What is not in a list is no nearer than its largest value; a list with room has everything.
    limits = squared_limits(found, problem.k, problem.queries.frame.scale)
    return found, (limits <= best.limits) | np.isinf(best.limits)


def squared_limits(found: NeighborRows, k: int, scale: float) -> npt.NDArray[np.float32]:
    """Squared distances in the frame, of the k-th neighbours, rounded up; infinity without."""
    full = np.diff(found.indptr) >= k
    limits = np.full(len(full), np.inf)
    limits[full] = (found.distances[found.indptr[:-1][full] + k - 1] * scale) ** 2
    rounded = (limits * (1.0 + 1e-9) + 1e-29).astype(np.float32)
    return np.nextafter(rounded, np.float32(np.inf))


def _prove(
    problem: Problem,
    plan: Plan,
    sketches: Sketches,
    found: NeighborRows,
    proven: npt.NDArray[np.bool_],
    threads: int,
    verbose: int,
) -> tuple[NeighborRows, npt.NDArray[np.bool_]]:
    """Compare directly what may be nearer than the k-th; all but masses of it."""
    rows, columns = problem.sides(plan.pairs, sketches)
    open_rows = np.flatnonzero(~proven)
    limits = squared_limits(found, problem.k, problem.queries.frame.scale)
    buffers = Buffers()
    n = len(columns.ids)
    # More would cost more than comparing all of them by products.
    most = n // 16 + 8 * problem.k
    height = int(np.clip(2**24 // most, 16, SIDE))
    some = Side(
        rows.ids[open_rows],
        lambda at: rows.take(open_rows[at]),  # type: ignore[arg-type]
        rows.norms[open_rows],
        rows.groups[open_rows],
        rows.units[open_rows] if len(rows.units) else rows.units,
    )
    more = sketches[0][plan.more]
    more = Short(more.columns[open_rows], more.norms[open_rows])

    def strip(at: slice) -> NeighborRows | None:
        pairs = below(
            some,
            columns,
            at,
            limits[open_rows[at]],
            more,
            sketches[1][plan.more],
            least_chord=problem.allowed.least_chord,
            capacity=height * most,
            buffers=buffers,
        )
        if pairs is None:
            return None
        ids = some.ids[at]
        lists = lists_from_pairs(len(ids), *pairs)
        return nearest_in_lists(lists, ids, problem.queries, problem.candidates, problem.k)

    strips = [slice(s, min(s + height, len(open_rows))) for s in range(0, len(open_rows), height)]
    report = _reporter(verbose, "Proving")
    results = run(strip, report(strips, len(strips)), threads)
    parts, position = [select_rows(found, proven)], [np.flatnonzero(proven)]
    proven = proven.copy()
    for at, result in zip(strips, results, strict=True):
        position.append(open_rows[at])
        if result is None:
            chosen = np.zeros(len(proven), dtype=bool)
            chosen[open_rows[at]] = True
            result = select_rows(found, chosen)
        else:
            proven[open_rows[at]] = True
        parts.append(result)
    return reorder_rows(stack_rows(parts), np.concatenate(position)), proven


def _reporter(verbose: int, what: str) -> Callable[[Iterable[Any], int], Iterable[Any]]:
    return lambda tasks, total: progress(
        tasks, verbose=verbose, total=total, desc=what, unit="part"
    )
