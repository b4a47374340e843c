"""Sums over discs in the plane, against counting, and against scikit-learn's tree."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from sklearn.neighbors import KDTree

from skgeo.cluster import _plane
from skgeo.cluster._flat_kernel import climb, distinct_rows
from skgeo.cluster._plane import build_plane, build_tree
from skgeo.cluster._plane_climb import climb_plane

_disc, _tree_disc, _mean_of = _plane.disc, _plane.tree_disc, _plane.mean_of


@numba.njit
def disc(plane, x, y, error):
    found, count, sum_x, sum_y, hashes = _disc(plane, x, y, error)
    if found and count:
        mean_x = _mean_of(plane, count, sum_x, plane.low_x, x)
        mean_y = _mean_of(plane, count, sum_y, plane.low_y, y)
        return found, count, hashes, mean_x, mean_y, sum_x, sum_y
    return found, count, hashes, 0.0, 0.0, sum_x, sum_y


@numba.njit
def tree_disc(plane, tree, x, y):
    return _tree_disc(plane, tree, x, y, True)


def build(points, radius):
    distinct, which = distinct_rows(points)
    plane, order = build_plane(distinct, np.bincount(which), radius)
    assert sorted(order.tolist()) == list(range(len(distinct)))
    return plane


def crowds(rng, n=4000):
    """Hot spots of all widths, so that tiles have one to many cells; and scatter."""
    middle = rng.normal(size=(12, 2))
    spread = 10.0 ** rng.uniform(-4, -0.5, size=12)
    which = rng.integers(0, 12, size=n)
    points = middle[which] + spread[which, None] * rng.normal(size=(n, 2))
    points[: n // 10] = rng.uniform(-4, 4, size=(n // 10, 2))
    points[n // 2 : n // 2 + n // 20] = points[0]
    return points


@pytest.mark.parametrize("radius", [0.003, 0.05, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("shift", [0.0, 100.0])
@pytest.mark.parametrize("points_per_cell", [12.0, 0.2])
def test_disc_counts_the_points_within(rng, monkeypatch, radius, shift, points_per_cell):
    monkeypatch.setattr(_plane, "_POINTS_PER_CELL", points_per_cell)
    points = crowds(rng) + shift
    plane = build(points, radius)
    if points_per_cell < 1.0:
        assert plane.tiles.side.max() > 20
    hashes = {}
    for place in np.concatenate([points[::40], rng.uniform(-5, 5, size=(60, 2)) + shift]):
        distance = np.sqrt(((points - place) ** 2).sum(axis=1))
        within = distance <= radius
        found, count, hashed, *mean, _, _ = disc(plane, *place, 0.0)
        assert found
        assert count == within.sum()
        if count:
            np.testing.assert_allclose(mean, points[within].mean(axis=0), rtol=0, atol=1e-12)
            same = hashes.setdefault(hashed, within)  # the hash is that of the set
            np.testing.assert_array_equal(same, within)


def test_disc_says_when_a_point_may_lie_on_either_side(rng):
    points = rng.uniform(-3, 3, size=(500, 2))
    plane = build(points, 1.0)
    doubtful = 0
    for place in rng.uniform(-3, 3, size=(300, 2)):
        nearest = np.abs(np.sqrt(((points - place) ** 2).sum(axis=1)) - 1.0).min()
        for error in (1e-4, 1e-3, 1e-2):
            found = disc(plane, *place, error)[0]
            if nearest < 0.99 * error:
                assert not found
            if nearest > 1.01 * error:
                assert found
            doubtful += not found
    assert 50 < doubtful < 850


def test_tree_disc_is_scikit_learn_to_the_bit(rng):
    points = np.concatenate([rng.normal(size=(600, 2)).round(1), rng.normal(size=(300, 2))])
    tree = KDTree(points, leaf_size=30)
    for radius in (0.1, 0.5, 1.0):
        plane, ours = build(points, radius), build_tree(points)
        for place in points[::5]:
            near = tree.query_radius([place], radius)[0]
            count, sum_x, sum_y, hashes, *mean = tree_disc(plane, ours, *place)
            assert count == len(near)
            assert mean == points[near].mean(axis=0).tolist()
            found, *fast = disc(plane, *place, 0.0)
            if found:
                assert (count, hashes, sum_x, sum_y) == (fast[0], fast[1], fast[4], fast[5])


def test_no_set_of_points_is_taken_for_another():
    # The origin's bits are all zero; its hash must not be.
    lattice = np.stack(np.meshgrid(np.arange(-5.0, 6.0), np.arange(-5.0, 6.0)), -1).reshape(-1, 2)
    bits = lattice.view(np.int64)
    hashes = _plane._hash(bits[:, 0], bits[:, 1])
    assert len(np.unique(hashes)) == len(lattice)
    assert (hashes != 0).all()
    pairs = hashes[:, None] + hashes[None, :]
    assert (
        len(np.unique(pairs[np.triu_indices(len(lattice))]))
        == len(lattice) * (len(lattice) + 1) // 2
    )


CASES = {
    "crowds": lambda rng: (crowds(rng), 0.2),
    "crowds, far away": lambda rng: (crowds(rng) + np.array([179.0, -89.0]), 0.05),
    "lattice": lambda rng: (rng.integers(-30, 30, size=(3000, 2)) / 10, 0.5),
    "lattice, unequal axes": lambda rng: (rng.integers(-30, 30, size=(2000, 2)) / [10, 1], 0.3),
    "collinear": lambda rng: (np.repeat(rng.normal(size=(2000, 1)), 2, axis=1), 0.1),
    "one column constant": lambda rng: (rng.normal(size=(2000, 2)) * [1, 0] + 7, 0.05),
    "duplicates": lambda rng: (rng.normal(size=(60, 2))[rng.integers(0, 60, 3000)], 0.6),
    "one place": lambda _: (np.full((500, 2), 48.858), 0.005),
    "all within the radius": lambda rng: (rng.normal(size=(500, 2)), 100.0),
    "all apart": lambda rng: (rng.uniform(-90, 90, size=(2000, 2)), 1e-4),
    "decimals of devices": lambda rng: (
        np.array([41.0, 28.97]) + (0.003 * rng.normal(size=(1500, 2))).round(4),
        0.005,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("max_iter", [300, 0, 2])
def test_climbs_as_the_general_engine_to_the_bit(rng, name, max_iter):
    points, radius = CASES[name](rng)
    parameters = {"tolerance": 1e-3 * radius, "max_iter": max_iter}
    expected = climb(points, radius, **parameters)
    ours = climb_plane(points, radius, **parameters)
    assert ours is not None
    for field, a, b in zip(expected._fields, ours, expected, strict=True):
        if field != "spread_around":
            np.testing.assert_array_equal(a, b, err_msg=field)


@pytest.mark.parametrize("tolerance", [0.0, 1e-9, 0.3])
def test_any_tolerance(rng, tolerance):
    points = crowds(rng, 1000)
    expected = climb(points, 0.3, tolerance=tolerance, max_iter=300)
    ours = climb_plane(points, 0.3, tolerance=tolerance, max_iter=300)
    np.testing.assert_array_equal(ours.terminals, expected.terminals)
    assert ours.n_iter == expected.n_iter


def test_neither_threads_nor_the_order_of_the_points_change_anything(rng, monkeypatch):
    from skgeo.cluster import _chunks

    points = crowds(rng)
    whole = climb_plane(points, 0.1, tolerance=1e-4, max_iter=300)
    monkeypatch.setattr(_chunks, "_LEAST", 100)  # 38 parts, not 2
    for n_jobs in (1, 2, 3):
        parts = climb_plane(points, 0.1, tolerance=1e-4, max_iter=300, n_jobs=n_jobs)
        np.testing.assert_array_equal(parts.terminals, whole.terminals)
        np.testing.assert_array_equal(parts.terminal_of_seed, whole.terminal_of_seed)
    order = rng.permutation(len(points))
    shuffled = climb_plane(points[order], 0.1, tolerance=1e-4, max_iter=300)
    np.testing.assert_allclose(shuffled.terminals, whole.terminals, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(shuffled.counts, whole.counts)
    np.testing.assert_array_equal(shuffled.terminal_of_seed, whole.terminal_of_seed[order])


@pytest.mark.parametrize(
    ("extent", "radius"), [(1e9, 0.1), (1.0, 1e-12), (1e300, 1e299), (1e-200, 1e-201)]
)
def test_leaves_alone_what_64_bits_cannot_hold(rng, extent, radius):
    points = extent * rng.uniform(size=(50, 2))
    assert climb_plane(points, radius, tolerance=1e-3 * radius, max_iter=3) is None


def test_sums_of_many_points_far_from_the_origin_do_not_overflow(rng):
    # 2 ** 20 points with the weight of 2 ** 33: the prefix sums wrap around, no disc does.
    points = np.array([80.0, 170.0]) + 0.0001 * rng.normal(size=(2000, 2))
    points = np.concatenate([points, [[-90.0, -180.0], [90.0, 180.0]]])
    weights = np.full(len(points), 2**22)
    distinct, _ = distinct_rows(points)
    plane, _ = build_plane(distinct, weights, 0.0001)
    place = points[5]
    within = np.sqrt(((points - place) ** 2).sum(axis=1)) <= 0.0001
    found, count, _, *mean, _, _ = disc(plane, *place, 0.0)
    assert found
    assert count == within.sum() * 2**22
    np.testing.assert_allclose(mean, points[within].mean(axis=0), rtol=0, atol=1e-10)
