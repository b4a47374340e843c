"""All pairs that are near each other: hashes by their bits, vectors and places by distance.

Nothing here holds n x n of anything: pairs come in blocks of bounded size, and candidates are found
by an index that misses none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from sklearn.utils.extmath import randomized_svd

from skgeo._geodesy import great_circle_km, km_to_chord, to_unit_vectors

IntArray = npt.NDArray[np.intp]
#: Rows of the first set, rows of the second, distances.
Pairs = tuple[IntArray, IntArray, npt.NDArray[np.float64]]

#: Candidate pairs that are looked at together.
_BLOCK = 1 << 19
#: Numbers of two blocks of vectors whose differences are taken together.
_NUMBERS = 1 << 22
_WORDS = 4
_WORD_BITS = 16
MAX_HASH_DISTANCE = _WORDS * 4 - 1
#: Rows from which the projection is learned, and its directions.
_SAMPLE, _DIRECTIONS = 2000, 8


def near_hashes(
    a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64] | None, max_distance: int
) -> Iterator[Pairs]:
    """Yield the pairs of hashes that differ in at most so many bits, each pair once.

    Two hashes that differ in at most d bits differ in at most ``d // 4`` bits of one of their four
    words of 16. For each word all words as near as that are looked up in a table.

    Parameters
    ----------
    a, b : ndarray of uint64
        Hashes. With b=None the pairs i < j within a.
    max_distance : int
        0 to `MAX_HASH_DISTANCE`.

    Yields
    ------
    Pairs
        Rows of a, rows of b, number of differing bits.
    """
    other = a if b is None else b
    reach = max_distance // _WORDS
    masks = np.arange(1 << _WORD_BITS)
    masks = masks[bits_of(masks.astype(np.uint64)) <= reach]
    for word in range(_WORDS):
        keys_a, keys_b = _word(a, word), _word(other, word)
        order = np.argsort(keys_b, kind="stable")
        ends = np.cumsum(np.bincount(keys_b, minlength=1 << _WORD_BITS))
        starts = np.concatenate([[0], ends[:-1]])
        for mask in masks:
            probe = keys_a ^ mask
            for i, position in expand(starts[probe], ends[probe]):
                j = order[position]
                differing = a[i] ^ other[j]
                distance = bits_of(differing)
                keep = distance <= max_distance
                if b is None:
                    keep &= i < j
                for earlier in range(word):  # the pair was met there already
                    keep &= bits_of(_word(differing, earlier).astype(np.uint64)) > reach
                if keep.any():
                    yield i[keep], j[keep], distance[keep].astype(np.float64)


def near_vectors(
    a: npt.NDArray[Any], b: npt.NDArray[Any] | None, max_distance: float
) -> Iterator[Pairs]:
    """Yield the pairs of vectors at most so far from each other, each pair once.

    A projection never lengthens a distance, so that a tree over the first principal components
    finds candidates among which no pair is missing; their distances are then taken in full.

    Parameters
    ----------
    a, b : ndarray of shape (n, n_features)
        Vectors. With b=None the pairs i < j within a.
    max_distance : float
        Euclidean, inclusive.

    Yields
    ------
    Pairs
        Rows of a, rows of b, distances.
    """
    sample = np.linspace(0, len(a) - 1, min(len(a), _SAMPLE)).astype(np.intp)
    some = np.asarray(a[sample], dtype=np.float64)
    centre = some.mean(axis=0)
    directions = min(_DIRECTIONS, *some.shape)
    _, _, axes = randomized_svd(some - centre, directions, n_iter=2, random_state=0)
    axes = np.linalg.qr(axes.T)[0]
    low_a = _project(a, centre, axes)
    low_b = low_a if b is None else _project(b, centre, axes)
    # More than the rounding of the projection, so that it loses no pair.
    scale = max(np.abs(low_a).max(), np.abs(low_b).max())
    reach = max_distance * (1.0 + 1e-9) + 1e-9 * float(scale)
    other = a if b is None else b
    step = max(1, _NUMBERS // max(1, a.shape[1]))
    for i, j in _in_reach(low_a, low_b, reach, within=b is None):
        for start in range(0, len(i), step):
            part = slice(start, start + step)
            difference = np.subtract(a[i[part]], other[j[part]], dtype=np.float64)
            distance = np.sqrt(np.einsum("nd,nd->n", difference, difference))
            keep = distance <= max_distance
            if keep.any():
                yield i[part][keep], j[part][keep], distance[keep]


def near_places(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64] | None, max_km: float
) -> Iterator[Pairs]:
    """Yield the pairs of places at most so many km from each other, each pair once."""
    vectors = to_unit_vectors(a)
    others, other = (vectors, a) if b is None else (to_unit_vectors(b), b)
    reach = float(km_to_chord(max_km)) * (1.0 + 1e-9) + 1e-14
    for i, j in _in_reach(vectors, others, reach, within=b is None):
        distance = great_circle_km(a[i], other[j])
        keep = distance <= max_km
        if keep.any():
            yield i[keep], j[keep], distance[keep]


def bits_of(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Count the bits that are set."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(values)
    octets = values.reshape(-1, 1).view(np.uint8)
    return _BITS_OF_OCTET[octets].sum(axis=1, dtype=np.uint8).reshape(values.shape)


_BITS_OF_OCTET = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)


def _word(hashes: npt.NDArray[np.uint64], word: int) -> IntArray:
    return ((hashes >> np.uint64(word * _WORD_BITS)) & np.uint64(0xFFFF)).astype(np.intp)


def expand(starts: IntArray, ends: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield every (row, position from starts[row] to ends[row]), some rows at a time."""
    rows = np.flatnonzero(ends > starts)
    sizes = ends[rows] - starts[rows]
    for part in _blocks(sizes):
        size = sizes[part]
        total = np.cumsum(size)
        row = np.repeat(rows[part], size)
        yield row, np.arange(total[-1]) - np.repeat(total - size, size) + starts[row]


def _blocks(sizes: IntArray) -> Iterator[slice]:
    """Cut rows so that the sizes of each part sum up to a block, or it is one row."""
    start, total = 0, np.cumsum(sizes)
    while start < len(sizes):
        done = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, done + _BLOCK, side="right")))
        yield slice(start, end)
        start = end


def _in_reach(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], reach: float, *, within: bool
) -> Iterator[tuple[IntArray, IntArray]]:
    tree = cKDTree(b)
    sizes = np.asarray(tree.query_ball_point(a, reach, return_length=True), dtype=np.intp)
    for part in _blocks(sizes):
        found = tree.query_ball_point(a[part], reach, return_sorted=True)
        j = np.concatenate([np.asarray(rows, dtype=np.intp) for rows in found])
        i = np.repeat(np.arange(part.start, part.stop), sizes[part])
        if within:
            i, j = i[i < j], j[i < j]
        if len(i):
            yield i, j


def _project(
    X: npt.NDArray[Any], centre: npt.NDArray[np.float64], axes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    step = max(1, _NUMBERS // max(1, X.shape[1]))
    low = np.empty((len(X), axes.shape[1]))
    for start in range(0, len(X), step):
        part = slice(start, start + step)
        low[part] = (np.asarray(X[part], dtype=np.float64) - centre) @ axes
    return low
