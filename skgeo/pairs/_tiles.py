"""The passes over all tiles of products: the smallest bounds of each row, and all below a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .._geodesy import EARTH_RADIUS_KM, km_to_chord, to_unit_vectors
from . import _kernels as kernels
from ._lists import Lists, run
from ._points import FloatArray, IndexArray
from ._projection import Short

T = TypeVar("T")
R = TypeVar("R")

#: Rows and columns of a tile of short columns: it stays in the cache of a core or of a few.
SIDE = 1024

_NO_UNITS = np.zeros((0, 3))


class Allowed(NamedTuple):
    """Which pairs are allowed: those of different groups that are far enough apart on Earth.

    Attributes
    ----------
    row_groups, column_groups : ndarray of int32
        Of all queries and of all candidates.
    row_units, column_units : ndarray of shape (n, 3)
        Where they are, as unit vectors; empty if that does not matter.
    least_chord : float
        Square of the least chord between them, 0 if it does not matter.
    """

    row_groups: npt.NDArray[np.int32]
    column_groups: npt.NDArray[np.int32]
    row_units: FloatArray = _NO_UNITS
    column_units: FloatArray = _NO_UNITS
    least_chord: float = 0.0

    def block(self, rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        """Tell it as a boolean block."""
        allowed: npt.NDArray[np.bool_] = (
            self.row_groups[rows][:, None] != self.column_groups[columns]
        )
        if self.least_chord > 0.0:
            allowed &= self._far(self.row_units[rows][:, None], self.column_units[columns])
        return allowed

    def pairs(self, rows: IndexArray, columns: IndexArray) -> npt.NDArray[np.bool_]:
        """Tell it of the pairs (rows[i], columns[i])."""
        allowed: npt.NDArray[np.bool_] = self.row_groups[rows] != self.column_groups[columns]
        if self.least_chord > 0.0:
            allowed &= self._far(self.row_units[rows], self.column_units[columns])
        return allowed

    def _far(self, a: FloatArray, b: FloatArray) -> npt.NDArray[np.bool_]:
        # Squared chords from differences: dot products cannot tell 1 m from 0.
        x, y, z = (a[..., axis] - b[..., axis] for axis in range(3))
        far: npt.NDArray[np.bool_] = (x * x + y * y) + z * z >= self.least_chord
        return far


def allowed_pairs(
    row_groups: npt.NDArray[Any],
    column_groups: npt.NDArray[Any],
    row_places: FloatArray | None = None,
    column_places: FloatArray | None = None,
    min_distance_km: float = 0.0,
) -> Allowed:
    """Allow pairs of different groups, at least so many km apart where that is above 0."""
    groups = row_groups.astype(np.int32), column_groups.astype(np.int32)
    if min_distance_km <= 0.0 or row_places is None or column_places is None:
        return Allowed(*groups)
    reachable = min_distance_km <= np.pi * EARTH_RADIUS_KM
    least = float(km_to_chord(min_distance_km)) ** 2 if reachable else np.inf
    return Allowed(*groups, to_unit_vectors(row_places), to_unit_vectors(column_places), least)


class Side(NamedTuple):
    """The rows, or the columns, of all tiles."""

    ids: IndexArray
    #: Vectors of some positions, of a sketch or of points in a frame.
    take: Callable[[slice], npt.NDArray[np.float32]]
    #: As of `Short`.
    norms: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int32]
    units: FloatArray

    def part(self, at: slice) -> tuple[Any, ...]:
        """What a compiled loop wants to know beside the products."""
        units = self.units[at] if len(self.units) else self.units
        return self.ids[at], self.norms[at], self.groups[at], units


class Smallest:
    """The smallest (value, id) of each row so far, in any order, and a limit on what may join."""

    def __init__(self, n_rows: int, size: int) -> None:
        self.size = size
        # Some room, so that the smallest are selected only now and then.
        self.keys = np.full((n_rows, room_of(size)), kernels.EMPTY, dtype=np.uint64)
        self.counts = np.zeros(n_rows, dtype=np.int32)
        self.limits = np.full(n_rows, np.inf, dtype=np.float32)

    def part(self, at: slice) -> tuple[Any, ...]:
        """What a compiled loop wants to know."""
        limits = self.limits[at]
        return self.keys[at], self.counts[at], limits, limits.view(np.uint32)

    def finish(self) -> Smallest:
        """Sort; the limit becomes the largest value kept, or infinity where there is room."""
        for at in _parts(len(self.keys), SIDE):
            keys = self.keys[at]
            keys[np.arange(keys.shape[1]) >= self.counts[at, None]] = kernels.EMPTY
            keys.sort(axis=1)
        self.keys = self.keys[:, : self.size]
        self.limits = _values(self.keys[:, -1])
        return self

    def lists(self) -> Lists:
        """Return the candidates of each row, nearest first."""
        there = self.keys < kernels.EMPTY
        counts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        keys = self.keys[there]
        return Lists(counts, (keys & np.uint64(0xFFFFFFFF)).astype(np.int32), _values(keys))


def room_of(size: int) -> int:
    """How many keys a row holds to find its ``size`` smallest."""
    return size + max(16, size // 2)


def _values(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)


class Buffers(threading.local):
    """Memory for one tile of each thread."""

    memory: npt.NDArray[np.float32] | None = None

    def tile(self, m: int, n: int) -> npt.NDArray[np.float32]:
        if self.memory is None or self.memory.size < m * n:
            self.memory = np.empty(m * n, dtype=np.float32)
        return self.memory[: m * n].reshape(m, n)


def smallest(
    rows: Side,
    columns: Side | None,
    size: int,
    *,
    least_chord: float,
    side: int = SIDE,
    threads: int = 1,
    report: Callable[[Iterable[T], int], Iterable[T]] = lambda tasks, _: tasks,
) -> Smallest:
    """Find the ``size`` smallest bounds ``|a|^2 + |b|^2 - 2 a.b`` of each row, ties by id.

    ``columns`` of None are the rows themselves: each product is made once and serves both. The
    result depends neither on threads nor on the order of the tiles.
    """
    lists = Smallest(len(rows.ids), size)
    row_parts = _parts(len(rows.ids), side)
    buffers = Buffers()
    nobody = np.full(side, -1.0, dtype=np.float32)
    no_counts = np.empty(0, dtype=np.int32)
    no_lists = np.empty((0, 0), np.uint64), no_counts, nobody, nobody.view(np.uint32)

    def tile(i: slice, j: slice, other: Side, both: bool) -> None:
        a, b = rows.part(i), other.part(j)
        if _one_group(a[2], b[2]):
            return
        products = buffers.tile(len(a[0]), len(b[0]))
        np.matmul(np.float32(-2.0) * rows.take(i), other.take(j).T, out=products)
        kernels.push_tile(
            products,
            products.view(np.uint32),
            a,
            b,
            lists.part(i),
            lists.part(j) if both else no_lists,
            size,
            least_chord,
        )

    if columns is not None:
        column_parts = _parts(len(columns.ids), side)

        def strip(i: slice) -> None:
            for j in column_parts:
                tile(i, j, columns, False)

        run(strip, report(row_parts, len(row_parts)), threads)  # type: ignore[arg-type]
        return lists.finish()
    n = len(row_parts)
    rounds: Any = report(tournament(n), n + n % 2)  # type: ignore[arg-type]
    for games in rounds:
        run(lambda g: tile(row_parts[g[0]], row_parts[g[1]], rows, g[0] != g[1]), games, threads)
    return lists.finish()


def below(
    rows: Side,
    columns: Side,
    at: slice,
    limits: npt.NDArray[np.float32],
    row_more: Short,
    column_more: Short,
    *,
    least_chord: float,
    capacity: int,
    buffers: Buffers,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
    """Find the pairs whose bounds do not exceed the squared limit of their row.

    Parameters
    ----------
    rows, columns : Side
        In short columns.
    at : slice
        Positions of the rows.
    limits : ndarray of float32
        Of these rows.
    row_more, column_more : Short
        The same rows and columns, all of them, in more columns for those that pass.
    least_chord : float
        As of `Allowed`.
    capacity : int
        How many pairs at most.
    buffers : Buffers
        Memory.

    Returns
    -------
    (rows from 0, ids of columns, bounds) or None
        None if there are more than ``capacity``.
    """
    a = rows.part(at)
    m = len(a[0])
    vectors = np.float32(-2.0) * rows.take(at)
    more = row_more.columns[at], row_more.norms[at]
    room = min(capacity, 64 * m) + SIDE
    out = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32))
    count = 0
    for j in _parts(len(columns.ids), SIDE):
        b = columns.part(j)
        if _one_group(a[2], b[2]):
            continue
        products = buffers.tile(m, len(b[0]))
        np.matmul(vectors, columns.take(j).T, out=products)
        other = column_more.columns[j], column_more.norms[j]
        row = 0
        while True:
            row, count = kernels.collect_tile(
                products, row, a, b, more, other, limits, least_chord, out, count
            )
            if count > capacity:
                return None
            if row == m:
                break
            out = (_twice(out[0]), _twice(out[1]), _twice(out[2]))
    return out[0][:count], out[1][:count], out[2][:count]


def _twice(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([part, np.empty_like(part)])


def tournament(n: int) -> Iterator[list[tuple[int, int]]]:
    """All pairs of 0 to n - 1 and each with itself, in rounds in which nobody plays twice."""
    yield [(i, i) for i in range(n)]
    players = list(range(n + n % 2))
    for _ in range(len(players) - 1):
        half = len(players) // 2
        games = zip(players[:half], players[: half - 1 : -1], strict=True)
        yield [(min(g), max(g)) for g in games if max(g) < n]
        players = [players[0], players[-1], *players[1:-1]]


def _parts(n: int, side: int) -> list[slice]:
    return [slice(start, min(start + side, n)) for start in range(0, n, side)]


def _one_group(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> bool:
    """Whether a tile lies within one group, where no pair is allowed."""
    return bool(a[0] == b[-1] and (a == a[0]).all() and (b == a[0]).all())
