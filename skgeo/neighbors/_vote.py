"""The Mean-Shift vote: each query's neighbours are clustered by place, the largest cluster wins.

A flat-kernel mean shift in three dimensions, on points of the Earth's surface in km, over many
queries at once. The clusters are those of scikit-learn's `MeanShift` with every point as a seed.

Two devices make it both fast and repeatable. Positions are rounded to a binary fraction of a km,
small enough (a micrometre) to change nothing and large enough that a sum of them is exact in
float64; so a mean depends on its members alone, not on their order, the batch or the BLAS
library, and seeds that share their members are recognised by their means and followed once.
Squared distances come from a matrix product, and those too close to the bandwidth to be sure are
computed again from the differences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, to_unit_vectors

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

#: scikit-learn's defaults: a seed rests when it moves by no more than this part of the bandwidth.
STOP_FRACTION = 1e-3
MAX_ITER = 300

# Squared distances of points of the Earth, in km^2, come out of the matrix product with errors
# below 1e-7; nearer than this to a decision they are computed again from the differences.
_DOUBT = 1e-6
# Elements of the largest temporary arrays: 8 MB of float64.
_SIZE = 2**20


def votes_at_once(n_neighbors: int) -> int:
    """How many queries fill one block of the vote."""
    return max(1, _SIZE // n_neighbors**2)


def earth_positions_km(coordinates: npt.ArrayLike, n_terms: int) -> FloatArray:
    """Points of the Earth's surface in km, rounded so that any sum of ``n_terms`` is exact.

    Parameters
    ----------
    coordinates : array-like of shape (..., 2)
        Latitude and longitude in degrees.
    n_terms : int
        How many positions will be summed at most.

    Returns
    -------
    ndarray of shape (..., 3)
        Positions in km from the Earth's centre.
    """
    # 13 bits hold 6371 km; the rest of the 53 is shared by the fraction and the carry of the sum.
    scale = 2.0 ** (40 - int(n_terms).bit_length())
    scaled: FloatArray = to_unit_vectors(coordinates) * (EARTH_RADIUS_KM * scale)
    return np.rint(scaled) / scale


def mean_shift_clusters(
    positions: FloatArray, bandwidth: float
) -> tuple[IndexArray, FloatArray, IndexArray]:
    """Flat-kernel mean shift of the points of each query, with every point as a seed.

    Parameters
    ----------
    positions : ndarray of shape (n_queries, k, 3)
        Points from `earth_positions_km`.
    bandwidth : float
        Radius of the kernel, inclusive, in the unit of the positions.

    Returns
    -------
    labels : ndarray of shape (n_queries, k)
        Cluster of each point: the nearest centre, of equally near ones the first.
    centers : ndarray of shape (n_queries, n_clusters_max, 3)
        Where the seeds came to rest, by falling number of points within the bandwidth, then by
        falling coordinates. NaN beyond a query's own number of clusters.
    n_clusters : ndarray of shape (n_queries,)
        Number of clusters of each query.
    """
    modes, counts, queries = _climb(positions, bandwidth)
    centers, n_clusters = _suppress(modes, counts, queries, len(positions), bandwidth)
    return _assign(positions, centers), centers, n_clusters


def vote(
    coordinates: FloatArray, bandwidth_km: float, min_cluster_size: int, n_places: int = 1
) -> tuple[FloatArray, IndexArray]:
    """Centroids of the largest clusters of each query's neighbours.

    Parameters
    ----------
    coordinates : ndarray of shape (n_queries, k, 2)
        Places of the neighbours in degrees, nearest neighbour first.
    bandwidth_km : float
        Radius of the kernel, straight through the Earth, in km.
    min_cluster_size : int
        Smaller clusters have no vote.
    n_places : int
        How many clusters to return.

    Returns
    -------
    places : ndarray of shape (n_queries, n_places, 2)
        Centroids in degrees by falling size of the cluster; of equal ones the cluster of the
        nearest neighbour comes first. NaN where there are fewer clusters.
    sizes : ndarray of shape (n_queries, n_places)
        Number of neighbours in each; 0 where there are fewer clusters.
    """
    n_queries, k, _ = coordinates.shape
    positions = earth_positions_km(coordinates, k)
    flat, size, best_rank = _count(positions, bandwidth_km, min_cluster_size)
    n_clusters = size.shape[1]
    length = size.size
    sums = np.stack(
        [np.bincount(flat, positions[..., axis].ravel(), length) for axis in range(3)], axis=-1
    )

    order = np.lexsort((best_rank, -size), axis=1)[:, :n_places]
    sizes = np.zeros((n_queries, n_places), dtype=np.intp)
    sizes[:, : order.shape[1]] = np.take_along_axis(size, order, axis=1)
    places = np.full((n_queries, n_places, 2), np.nan)
    query, place = np.nonzero(sizes)
    winner = order[query, place]
    total = sums.reshape(n_queries, n_clusters, 3)[query, winner]
    found = from_unit_vectors(total)
    # Only a bandwidth near the Earth's radius makes clusters that balance around its centre.
    lost = np.linalg.norm(total, axis=1) < 1e-9 * EARTH_RADIUS_KM * sizes[query, place]
    found[lost] = coordinates[query[lost], best_rank[query[lost], winner[lost]]]
    places[query, place] = found
    return places, sizes


def fill_places(places: FloatArray, nearest: FloatArray) -> FloatArray:
    """Put the places of the nearest photos, nearest first, where ``places`` holds NaN at the end.

    Parameters
    ----------
    places : ndarray of shape (n_queries, n_places, 2)
        What a vote has found.
    nearest : ndarray of shape (n_queries, k, 2)
        Places of the nearest photos, ``k >= n_places``.
    """
    n_found = np.count_nonzero(~np.isnan(places[..., 0]), axis=1)
    # The n-th place that nobody voted for is filled from the nearest photo on.
    rank = np.arange(places.shape[1]) - n_found[:, None]
    fill = np.take_along_axis(nearest, np.maximum(rank, 0)[..., None], axis=1)
    filled: FloatArray = np.where(rank[..., None] < 0, places, fill)
    return filled


def cluster_ranks(
    coordinates: FloatArray, bandwidth_km: float, min_cluster_size: int
) -> IndexArray:
    """Which place of `vote` each neighbour has voted for.

    Parameters
    ----------
    coordinates : ndarray of shape (n_queries, k, 2)
        Places of the neighbours in degrees, nearest neighbour first.
    bandwidth_km, min_cluster_size : float, int
        As in `vote`.

    Returns
    -------
    ndarray of shape (n_queries, k)
        0 for the members of the largest cluster, 1 for those of the next, and so on in the order
        of `vote`; -1 where the cluster is too small.
    """
    n_queries, k, _ = coordinates.shape
    positions = earth_positions_km(coordinates, k)
    flat, size, best_rank = _count(positions, bandwidth_km, min_cluster_size)
    order = np.lexsort((best_rank, -size), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(size.shape[1])[None, :], axis=1)
    rank[size == 0] = -1
    ranks: IndexArray = rank.ravel()[flat].reshape(n_queries, k)
    return ranks


def _count(
    positions: FloatArray, bandwidth_km: float, min_cluster_size: int
) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Cluster of each neighbour in a flat numbering; size (0 if too small) and best rank of each.

    Sizes and ranks have shape (n_queries, n_clusters_max).
    """
    n_queries, k, _ = positions.shape
    labels, centers, _ = mean_shift_clusters(positions, bandwidth_km)
    n_clusters = centers.shape[1]
    flat = (labels + n_clusters * np.arange(n_queries)[:, None]).ravel()
    length = n_queries * n_clusters
    size = np.bincount(flat, minlength=length)
    # Written from the last neighbour to the first, so that each cluster ends at its best rank.
    best_rank = np.full(length, k)
    best_rank[flat[::-1]] = np.tile(np.arange(k), n_queries)[::-1]
    size = np.where(size < min_cluster_size, 0, size)
    return flat, size.reshape(n_queries, n_clusters), best_rank.reshape(n_queries, n_clusters)


def _climb(positions: FloatArray, bandwidth: float) -> tuple[FloatArray, IndexArray, IndexArray]:
    """Where the seeds come to rest: modes (m, 3), members (m,) and queries (m,), each mode once."""
    sums, counts = _sum_within(positions, positions, bandwidth)
    means = sums / counts[..., None]

    start_at = positions.reshape(-1, 3)
    state, members = means.reshape(-1, 3), counts.ravel()
    query = np.repeat(np.arange(len(positions)), positions.shape[1])
    stop = STOP_FRACTION * bandwidth
    rested: list[tuple[FloatArray, IndexArray, IndexArray]] = []
    for iteration in range(MAX_ITER + 1):
        moved = state - start_at
        rests = np.sqrt(np.einsum("ij,ij->i", moved, moved)) <= stop
        if iteration == MAX_ITER:
            rests[:] = True
        rested.append((state[rests], members[rests], query[rests]))
        query, state, members = query[~rests], state[~rests], members[~rests]
        if not len(query):
            break
        keep = _distinct(query, state)
        query, start_at = query[keep], state[keep]
        state, members = _shift(positions, query, start_at, bandwidth)
    modes, members, query = (np.concatenate(part) for part in zip(*rested, strict=True))
    keep = _distinct(query, modes)
    return modes[keep], members[keep], query[keep]


def _distinct(query: IndexArray, state: FloatArray) -> IndexArray:
    """Find indices, ascending, that keep one of each (query, state)."""
    bits = np.ascontiguousarray(state + 0.0).view(np.uint64)  # + 0.0: one zero, not two
    key = query.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for axis, odd in enumerate((0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)):
        key = (key ^ bits[:, axis]) * np.uint64(odd)
        key ^= key >> np.uint64(32)
    order = np.argsort(key, kind="stable")
    # Equal states have equal keys; what shares a key without being equal is kept.
    same = (query[order[1:]] == query[order[:-1]]) & (state[order[1:]] == state[order[:-1]]).all(1)
    keep = np.ones(len(order), dtype=bool)
    keep[order[1:][same]] = False
    return np.flatnonzero(keep)


def _shift(
    positions: FloatArray, query: IndexArray, state: FloatArray, bandwidth: float
) -> tuple[FloatArray, IndexArray]:
    """One step of the seeds, sorted by query: mean and number of points within the bandwidth.

    A seed is never left alone: it is a mean of points within the bandwidth of some point, so that
    one of them at least is within the bandwidth of the mean.
    """
    moving, row = np.unique(query, return_inverse=True)
    seeds, column = _table(state, row, len(moving))
    positions = positions[moving]
    sums, counts = _sum_within(seeds, positions, bandwidth)
    return sums[row, column] / counts[row, column, None], counts[row, column]


def _sum_within(
    seeds: FloatArray, positions: FloatArray, bandwidth: float
) -> tuple[FloatArray, IndexArray]:
    """Sum and number of the points (n, k, 3) within the bandwidth of each seed (n, m, 3)."""
    sums = np.empty(seeds.shape)
    counts = np.empty(seeds.shape[:2], dtype=np.intp)
    step = max(1, _SIZE // (len(positions) * positions.shape[1]))
    for start in range(0, seeds.shape[1], step):
        part = slice(start, start + step)
        inside = _within(seeds[:, part], positions, bandwidth)
        counts[:, part] = np.count_nonzero(inside, axis=2)
        sums[:, part] = inside.astype(np.float64) @ positions
    return sums, counts


def _table(rows: FloatArray, query: IndexArray, n_queries: int) -> tuple[FloatArray, IndexArray]:
    """Rows (m, 3) that are sorted by query, side by side in (n_queries, width, 3); and where.

    What is left over holds zeros: the Earth's centre, as good a point as any.
    """
    lengths = np.bincount(query, minlength=n_queries)
    column = np.arange(len(query)) - (np.cumsum(lengths) - lengths)[query]
    table = np.zeros((n_queries, int(lengths.max()), 3))
    table[query, column] = rows
    return table, column


def _suppress(
    modes: FloatArray, counts: IndexArray, query: IndexArray, n_queries: int, bandwidth: float
) -> tuple[FloatArray, IndexArray]:
    """Of modes within the bandwidth of each other keep the one with more points."""
    order = np.lexsort((-modes[:, 2], -modes[:, 1], -modes[:, 0], -counts, query))
    modes, query = modes[order], query[order]
    table, column = _table(modes, query, n_queries)
    width = table.shape[1]
    alive = np.zeros(table.shape[:2], dtype=bool)
    alive[query, column] = True
    step = max(1, _SIZE // (n_queries * width))
    for start in range(0, width, step):
        stop = min(start + step, width)
        near = _within(table[:, start:stop], table, bandwidth)
        for i in range(start, stop):
            alive[:, i + 1 :] &= ~(near[:, i - start, i + 1 :] & alive[:, i, None])
    n_clusters = alive.sum(axis=1)
    centers = np.full((n_queries, int(n_clusters.max()), 3), np.nan)
    kept_query, kept = np.nonzero(alive)
    centers[kept_query, (np.cumsum(alive, axis=1) - 1)[kept_query, kept]] = table[kept_query, kept]
    return centers, n_clusters


def _assign(positions: FloatArray, centers: FloatArray) -> IndexArray:
    """Nearest centre of each point; of equally near ones the first."""
    n_queries, k, _ = positions.shape
    # Padding goes so far away that no point can belong to it.
    padded = np.where(np.isnan(centers), 1e6, centers)
    labels = np.empty((n_queries, k), dtype=np.intp)
    step = max(1, _SIZE // (n_queries * centers.shape[1]))
    for start in range(0, k, step):
        part = slice(start, start + step)
        squared = _squared_distances(positions[:, part], padded)
        labels[:, part] = squared.argmin(axis=2)
        doubt = np.take_along_axis(squared, labels[:, part, None], axis=2) + _DOUBT
        rivals = np.count_nonzero(squared <= doubt, axis=2)
        if rivals.max() > 1:
            query, point = np.nonzero(rivals > 1)
            gap = positions[query, start + point][:, None, :] - padded[query]
            gap *= gap
            labels[query, start + point] = (gap[..., 0] + gap[..., 1] + gap[..., 2]).argmin(axis=1)
    return labels


def _within(a: FloatArray, b: FloatArray, bandwidth: float) -> npt.NDArray[np.bool_]:
    """Which points of b (n, k, 3) lie within the bandwidth, inclusive, of those of a (n, m, 3)."""
    excess = _squared_distances(a, b)
    excess -= bandwidth**2
    inside = excess <= 0.0
    np.abs(excess, out=excess)
    if excess.min() <= _DOUBT:
        query, i, j = np.nonzero(excess <= _DOUBT)
        gap = a[query, i] - b[query, j]
        gap *= gap
        inside[query, i, j] = gap[:, 0] + gap[:, 1] + gap[:, 2] <= bandwidth**2
    return inside


def _squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """``|a|^2 - 2 a.b + |b|^2`` of (n, m, 3) and (n, k, 3), as one product of five columns."""
    left = np.empty((*a.shape[:2], 5))
    left[..., :3] = -2.0 * a
    left[..., 3] = np.einsum("nmi,nmi->nm", a, a)
    left[..., 4] = 1.0
    right = np.empty((*b.shape[:2], 5))
    right[..., :3] = b
    right[..., 3] = 1.0
    right[..., 4] = np.einsum("nmi,nmi->nm", b, b)
    squared: FloatArray = left @ right.transpose(0, 2, 1)
    return squared
