"""Pair scatters against the double loop, and the linear layer against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from skgeo.embedding import _scatter
from skgeo.embedding._marginal_fisher import marginal_fisher_axes, principal_axes


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
    monkeypatch.setattr(_scatter, "_BLOCK_BYTES", block_bytes)
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


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_principal_axes_are_those_of_the_svd(rng, shape):
    X = rng.normal(size=shape) * np.arange(1, shape[1] + 1)
    X -= X.mean(axis=0)
    axes = principal_axes(X, 3)
    expected = np.linalg.svd(X, full_matrices=False)[2][:3].T
    np.testing.assert_allclose(np.abs(axes), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-8)


def test_principal_axes_stop_at_the_rank(rng):
    X = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6))
    X -= X.mean(axis=0)
    assert principal_axes(X, 6).shape == (6, 2)
    assert principal_axes(np.zeros((4, 3)), 3).shape == (3, 0)


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
