"""Pair scatters against the double loop, and the linear layer against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from skgeo.embedding import _principal, _scatter
from skgeo.embedding._fisher_axes import fix_signs, marginal_fisher_axes
from skgeo.embedding._principal import principal_axes, project
from skgeo.embedding._shrinkage import _balanced_folds, frobenius_shrinkage, likelihood_shrinkage


def looped_scatter(X, graph):
    total, count = np.zeros((X.shape[1], X.shape[1])), 0.0
    a = graph.toarray()
    for s in range(len(X)):
        for t in range(len(X)):
            difference = X[s] - X[t]
            total += a[s, t] * np.outer(difference, difference)
            count += a[s, t]
    return total / count


@pytest.mark.parametrize("block_bytes", [1, 64 * 2**20])
def test_scatter_is_the_mean_of_outer_products(rng, monkeypatch, block_bytes):
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", block_bytes)
    X = rng.normal(size=(20, 4))
    X[3] = X[4]  # duplicated photos
    graph = sp.csr_array((rng.random((20, 20)) < 0.2) * rng.random((20, 20)))
    np.testing.assert_allclose(_scatter.pair_scatter(X, graph), looped_scatter(X, graph))


def test_scatter_without_pairs_is_zero(rng):
    X = rng.normal(size=(5, 3))
    assert not _scatter.pair_scatter(X, sp.csr_array((5, 5))).any()


def test_scatter_counts_a_pair_once_whichever_way_it_points(rng):
    X = rng.normal(size=(6, 3))
    graph = sp.csr_array(np.triu(rng.random((6, 6)) < 0.5, 1).astype(float))
    np.testing.assert_allclose(
        _scatter.pair_scatter(X, graph), _scatter.pair_scatter(X, sp.csr_array(graph.T))
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("block_bytes", [1, 300, 64 * 2**20])
@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (12, 12)])
def test_principal_axes_are_those_of_the_svd(rng, monkeypatch, shape, block_bytes, dtype):
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", block_bytes)
    # Far from the origin: nothing may cancel.
    X = (rng.normal(size=shape) * np.arange(1, shape[1] + 1) + 1000.0).astype(dtype)
    mean, axes = principal_axes(X, 3)
    exact = X.astype(np.float64)
    expected = np.linalg.svd(exact - exact.mean(axis=0), full_matrices=False)[2][:3].T
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(np.abs(axes), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)


def test_principal_axes_by_iteration(rng, monkeypatch):
    """Large on both sides: the same axes without the covariance matrix."""
    X = rng.normal(size=(700, 650)) * 0.97 ** np.arange(650) + 3.0
    expected_mean, expected = principal_axes(X, 40)
    monkeypatch.setattr(_principal, "EXACT_MAX", 600)
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", 8 * 650 * 100)
    mean, axes = principal_axes(X, 40)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(axes.T @ axes, np.eye(40), atol=1e-10)
    # Cosines of the principal angles between the two subspaces.
    assert np.linalg.svd(expected.T @ axes)[1].min() > 1 - 1e-6
    np.testing.assert_array_equal(axes, principal_axes(X, 40)[1])


@pytest.mark.parametrize("shape", [(30, 6), (8, 40)])
def test_principal_axes_stop_at_the_rank(rng, shape):
    X = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) + 0.1
    axes = principal_axes(X, 6)[1]
    assert axes.shape == (shape[1], 2)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    # 0.1 has no exact mean in binary: equal rows must be found equal all the same.
    assert principal_axes(np.full(shape, 0.1), 3)[1].shape == (shape[1], 0)


def test_constant_columns_have_no_part_in_the_axes(rng):
    X = np.column_stack([rng.normal(size=(20, 2)), np.full(20, 1e6 / 3)])
    axes = principal_axes(X, 3)[1]
    assert axes.shape == (3, 2)
    np.testing.assert_allclose(axes[2], 0.0, atol=1e-12)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_projection_in_blocks(rng, monkeypatch, power):
    X = rng.normal(size=(50, 8)).astype(np.float32)
    mean, axes = X.mean(axis=0, dtype=np.float64), rng.normal(size=(8, 3))
    X[7] = mean
    whole = project(X, mean, axes, power=power)
    z = (X - mean.astype(np.float32).astype(np.float64)) @ axes
    norms = np.linalg.norm(z, axis=1, keepdims=True)
    norms[7] = 1.0
    np.testing.assert_allclose(whole, z / norms**power, rtol=1e-6)
    assert not whole[7].any()
    monkeypatch.setattr(_scatter, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(project(X, mean, axes, power=power), whole)


def test_axes_solve_the_generalised_eigenproblem(rng):
    a, b = (m @ m.T for m in rng.normal(size=(2, 5, 9)))
    values, axes = marginal_fisher_axes(a, b, 0.3)
    same, confusing = a * 5 / np.trace(a), b * 5 / np.trace(b)
    inner = 0.7 * same + 0.3 * np.eye(5)
    np.testing.assert_allclose(confusing @ axes, inner @ axes * values, atol=1e-10)
    np.testing.assert_allclose(axes.T @ inner @ axes, np.eye(5), atol=1e-10)
    assert (np.diff(values) <= 0).all()
    # The metric that the map stands for: S^-1 S_Q S^-1.
    z = axes * np.sqrt(values)
    inverse = np.linalg.inv(inner)
    np.testing.assert_allclose(z @ z.T, inverse @ confusing @ inverse, atol=1e-10)


def test_the_units_of_the_scatters_do_not_matter(rng):
    a, b = (m @ m.T for m in rng.normal(size=(2, 5, 9)))
    first, second = marginal_fisher_axes(a, b, 0.3), marginal_fisher_axes(7 * a, b / 3, 0.3)
    for x, y in zip(first, second, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-10)


def test_no_shrinkage_on_a_singular_scatter_says_what_to_do():
    same = np.diag([1.0, 0.0])
    with pytest.raises(ValueError, match="shrinkage above 0"):
        marginal_fisher_axes(same, np.eye(2), 0.0)


def test_signs_survive_rounding():
    """Two entries of one magnitude: which is larger is decided by rounding, the sign is not."""
    tied = np.array([[-1.0, 1.0 + 1e-12], [1.0 + 1e-12, -1.0], [0.0, 0.0]])
    expected = np.array([[1.0, -1.0 - 1e-12], [1.0 + 1e-12, -1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(fix_signs(tied), expected)
    np.testing.assert_array_equal(fix_signs(-tied), expected)


def test_the_map_maximises_the_ratio(rng):
    """No optimiser finds a direction with more Q for its P than the first axis."""
    a, b = (m @ m.T for m in rng.normal(size=(2, 5, 9)))
    values, _ = marginal_fisher_axes(a, b, 0.3)
    same, confusing = a * 5 / np.trace(a), b * 5 / np.trace(b)
    inner = 0.7 * same + 0.3 * np.eye(5)

    def negative_ratio(v):
        return -(v @ confusing @ v) / (v @ inner @ v)

    found = [minimize(negative_ratio, start, tol=1e-12).fun for start in rng.normal(size=(5, 5))]
    assert min(found) == pytest.approx(-values[0], rel=1e-6)
    # And J3 under J2: the trace ratio of any two dimensions is at most that of the first two.
    for _ in range(200):
        v = rng.normal(size=(5, 2))
        inverse = np.linalg.inv(v.T @ inner @ v)
        assert np.trace(inverse @ (v.T @ confusing @ v)) <= values[:2].sum() + 1e-10


def looped_shrinkage(X, graph, groups):
    """The formula with the sum of each place formed pair by pair."""
    a = graph.toarray()
    sums, counts = {}, {}
    for s, t in zip(*a.nonzero(), strict=True):
        g, difference = groups[s], X[s] - X[t]
        sums[g] = sums.get(g, 0.0) + a[s, t] * np.outer(difference, difference)
        counts[g] = counts.get(g, 0.0) + a[s, t]
    m, k = sum(counts.values()), len(sums)
    scatter = sum(sums.values()) / m
    variance = sum(np.square(sums[g] - counts[g] * scatter).sum() for g in sums) / m**2
    mu = np.trace(scatter) / len(scatter)
    distance = np.square(scatter - mu * np.eye(len(scatter))).sum()
    return min(1.0, variance * k / (k - 1) / distance)


def place_world(rng, n_places=60, d=20):
    """Places with their own spread, from 1 to 30 photos, pairs of each with 3 random others."""
    sizes = np.minimum(rng.geometric(0.15, size=n_places), 30)
    groups = np.repeat(np.arange(n_places), sizes)
    spread = np.sqrt(np.geomspace(1.0, 0.02, d)) * rng.gamma(4.0, 0.25, size=(n_places, d))
    X = rng.normal(size=(len(groups), d)) * spread[groups]
    rows, columns = [], []
    for s in range(len(groups)):
        others = np.flatnonzero(groups == groups[s])
        others = others[others != s]
        for t in rng.permutation(others)[:3]:
            rows.append(s)
            columns.append(t)
    graph = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(groups),) * 2)
    return X, graph, groups


@pytest.mark.parametrize("d", [3, 20])
def test_frobenius_shrinkage_is_its_formula(rng, d):
    X, graph, groups = place_world(rng, n_places=12, d=d)
    graph.data[:] = rng.random(graph.nnz)
    expected = looped_shrinkage(X, graph, groups)
    assert 0.0 < expected < 1.0
    assert frobenius_shrinkage(X, graph, 7 - 2 * groups) == pytest.approx(expected, rel=1e-9)


def test_frobenius_shrinkage_is_near_the_best_there_is(rng):
    """Against the oracle, which knows the expected scatter from many worlds.

    Pairs share photos and places: as if they were independent, the estimate is far too small.
    """
    worlds = [place_world(rng) for _ in range(150)]
    scatters = np.array([_scatter.pair_scatter(X, graph) for X, graph, _ in worlds])
    truth = scatters.mean(axis=0)
    targets = np.trace(scatters, axis1=1, axis2=2)[:, None, None] / 20 * np.eye(20)
    # The loss is quadratic in rho: this is its minimum over all worlds.
    oracle = np.sum((scatters - truth) * (scatters - targets)) / np.square(scatters - targets).sum()

    def loss(rho):
        rho = np.reshape(rho, (-1, 1, 1))
        return np.square((1 - rho) * scatters + rho * targets - truth).sum(axis=(1, 2)).mean()

    estimates = np.array([frobenius_shrinkage(*world) for world in worlds])
    assert 0.02 < oracle < 0.5
    assert np.median(estimates) == pytest.approx(oracle, rel=0.25)
    # What is lost by estimating is little beside what is won by shrinking.
    assert loss(estimates) - loss(oracle) < 0.1 * (loss(0.0) - loss(oracle))
    naive = []
    for X, graph, _ in worlds[:20]:
        s, t = graph.nonzero()
        differences = X[s] - X[t]
        scatter = differences.T @ differences / len(s)
        spread = np.square(np.square(differences).sum(axis=1)).sum() / len(s) ** 2
        variance = spread - np.square(scatter).sum() / len(s)
        naive.append(variance / (np.square(scatter).sum() - np.trace(scatter) ** 2 / 20))
    assert np.median(naive) < oracle / 2


def negative_log_likelihood(rho, inside, outside):
    """Stein's form, by determinant and inverse."""
    d = len(inside)
    shrunk = (1 - rho) * inside * d / np.trace(inside) + rho * np.eye(d)
    scaled = outside * d / np.trace(outside)
    return np.linalg.slogdet(shrunk)[1] + np.trace(np.linalg.solve(shrunk, scaled))


def test_likelihood_shrinkage_is_its_definition(rng):
    """Few places: each is left out once."""
    X, graph, groups = place_world(rng, n_places=8, d=6)
    s, t = graph.nonzero()
    sums = np.zeros((8, 6, 6))
    for i, j in zip(s, t, strict=True):
        sums[groups[i]] += np.outer(X[i] - X[j], X[i] - X[j])
    counts = np.bincount(groups[s], minlength=8)
    with_pairs = np.flatnonzero(counts)
    grid = np.linspace(0.001, 0.999, 999)
    losses = [
        sum(
            counts[g] * negative_log_likelihood(rho, sums.sum(axis=0) - sums[g], sums[g])
            for g in with_pairs
        )
        for rho in grid
    ]
    expected = grid[np.argmin(losses)]
    assert 0.01 < expected < 0.99
    assert likelihood_shrinkage(X, graph, 3 * groups + 1) == pytest.approx(expected, abs=2e-3)


def test_likelihood_shrinkage_is_near_the_best_there_is(rng):
    """Against the oracle that knows the expected scatter, in the loss of the inverse."""
    worlds = [place_world(rng, n_places=20) for _ in range(60)]
    scatters = [_scatter.pair_scatter(X, graph) for X, graph, _ in worlds]
    truth = np.mean(scatters, axis=0)
    grid = np.linspace(0.01, 0.6, 60)
    losses = np.array([[negative_log_likelihood(r, S, truth) for r in grid] for S in scatters])
    mean = losses.mean(axis=0)
    oracle = grid[mean.argmin()]
    assert 0.02 < oracle < 0.4
    estimates = np.array([likelihood_shrinkage(*world) for world in worlds[:30]])
    assert np.median(estimates) == pytest.approx(oracle, rel=0.5)
    lost = np.interp(estimates, grid, mean) - mean.min()
    unshrunk = np.mean([negative_log_likelihood(1e-9, S, truth) for S in scatters])
    assert lost.mean() < 0.15 * (unshrunk - mean.min())


def test_left_out_places_are_balanced():
    fold_of = _balanced_folds(np.array([5.0, 1, 1, 1, 1, 1, 0]), 2)
    np.testing.assert_array_equal(fold_of[:6], [0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("shrinkage", [frobenius_shrinkage, likelihood_shrinkage])
def test_shrinkage_needs_two_places(rng, shrinkage):
    X, graph, groups = place_world(rng, n_places=5)
    with pytest.raises(ValueError, match="only 1 of them has same-area pairs"):
        shrinkage(X, graph, np.zeros_like(groups))
    with pytest.raises(ValueError, match="only 0 of them"):
        shrinkage(X, sp.csr_array(graph.shape), groups)


def test_likelihood_shrinkage_needs_photos_that_differ(rng):
    graph = sp.csr_array((np.ones(2), ([0, 2], [1, 3])), shape=(4, 4))
    X = np.repeat(rng.normal(size=(2, 3)), 2, axis=0)
    with pytest.raises(ValueError, match="photos that differ"):
        likelihood_shrinkage(X, graph, np.array([0, 0, 1, 1]))


def test_frobenius_shrinkage_at_its_ends(rng):
    # Two places of two photos in many dimensions teach next to nothing: all shrinkage.
    X = rng.normal(size=(4, 300))
    graph = sp.csr_array((np.ones(2), ([0, 2], [1, 3])), shape=(4, 4))
    assert frobenius_shrinkage(X, graph, np.array([0, 0, 1, 1])) == pytest.approx(1.0, abs=0.1)
    # Places that all have the same scatter, and enough of it: none.
    X = np.tile(np.vstack([np.zeros(2), [1.0, 0.0]]), (50, 1))
    rows = np.arange(0, 100, 2)
    graph = sp.csr_array((np.ones(50), (rows, rows + 1)), shape=(100, 100))
    assert frobenius_shrinkage(X, graph, np.arange(100) // 2) == pytest.approx(0.0, abs=1e-12)
