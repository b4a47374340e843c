"""Sampled partners: right pairs, and an unbiased mean whatever the rows' lengths."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skgeo.embedding._batches import PairData, PairGraph, SampledBatches
from skgeo.embedding._objective import pull


@pytest.fixture
def unequal_graph():
    """Rows of 0, 1, 2, ... pairs: small POIs beside large ones."""
    a = np.zeros((9, 9))
    for s in range(9):
        others = [t for t in range(9) if t != s]
        a[s, others[:s]] = 1
    return sp.csr_array(a)


def make_batches(X, graph, *, k=None, anchors=None, batch_size=4, n_partners=2, seed=0):
    data = PairData(X, PairGraph(graph, k, anchors), PairGraph(graph, k, anchors), anchors)
    return SampledBatches(data, batch_size, n_partners, np.random.default_rng(seed), "cpu")


def test_an_epoch_takes_every_anchor_once_and_only_real_pairs(unequal_graph):
    X = np.arange(9, dtype=np.float32)[:, None]
    batches = make_batches(X, unequal_graph, batch_size=4)
    assert len(batches) == 3
    seen = []
    for rows, batch in batches:
        values = rows[:, 0].numpy().astype(int)
        seen += list(values[: batch.n_anchors])
        for pairs in batch[1:3]:
            for s, t in zip(values[pairs.s], values[pairs.t], strict=True):
                assert unequal_graph[s, t] == 1
    assert sorted(seen) == list(range(9))


@pytest.mark.parametrize("k", [None, 5])
@pytest.mark.parametrize("anchors", [None, np.array([0, 2, 3, 4, 7, 8])])
def test_the_sampled_term_and_its_gradient_are_unbiased(unequal_graph, rng, k, anchors):
    X = rng.normal(size=(9, 3)).astype(np.float32)
    kept = np.arange(9) if anchors is None else anchors
    a = unequal_graph.toarray()[np.ix_(kept, kept)]
    pairs = np.argwhere(a)
    unit = 1 / len(pairs) if k is None else 1 / (len(kept) * k)
    inside = X[kept].astype(float)
    expected = unit * sum(np.sum((inside[s] - inside[t]) ** 2) for s, t in pairs)
    gradient = np.zeros((9, 3))
    for s, t in pairs:
        difference = 2 * unit * (inside[s] - inside[t])
        gradient[kept[s]] += difference
        gradient[kept[t]] -= difference

    values, gradients = [], []
    number = {tuple(row): i for i, row in enumerate(X.tolist())}
    for seed in range(700):
        batches = make_batches(
            X, unequal_graph, k=k, anchors=anchors, batch_size=len(kept), seed=seed
        )
        ((rows, batch),) = list(batches)
        codes = rows.clone().requires_grad_()
        value = pull(codes, batch.same_area)
        value.backward()
        values.append(value.item())
        total = np.zeros((9, 3))
        for row, g in zip(rows.tolist(), codes.grad.numpy(), strict=True):
            total[number[tuple(row)]] += g
        gradients.append(total)
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected) < 4.5 * error
    spread = np.std(gradients, axis=0) / np.sqrt(len(gradients))
    assert (np.abs(np.mean(gradients, axis=0) - gradient) <= 4.5 * spread + 1e-6).all()


def test_a_graph_restricted_to_rows_loses_the_pairs_that_leave_them(unequal_graph):
    rows = np.array([1, 4, 6, 8])
    graph = PairGraph(unequal_graph, None, rows)
    s, t = graph.all_pairs()
    expected = {
        (s, t) for s, t in zip(*unequal_graph.nonzero(), strict=True) if s in rows and t in rows
    }
    assert set(zip(s.tolist(), t.tolist(), strict=True)) == expected
    assert graph.unit == pytest.approx(1 / len(expected))


def test_no_pairs_at_all_give_a_term_of_zero():
    X = np.ones((3, 2), dtype=np.float32)
    empty = sp.csr_array((3, 3))
    for rows, batch in make_batches(X, empty):
        assert float(pull(rows, batch.same_area)) == 0.0
    plain = SampledBatches(PairData(X), 2, 1, np.random.default_rng(0), "cpu")
    sizes = [batch.n_anchors for _, batch in plain]
    assert sizes == [2, 1]


def test_the_same_seed_gives_the_same_batches(unequal_graph):
    X = np.arange(9, dtype=np.float32)[:, None]
    first, second = (list(make_batches(X, unequal_graph, seed=3)) for _ in range(2))
    for (a, _), (b, _) in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_rows_may_be_memory_mapped(tmp_path, unequal_graph):
    X = np.arange(9, dtype=np.float32)[:, None]
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for (a, _), (b, _) in zip(
        make_batches(mapped, unequal_graph), make_batches(X, unequal_graph), strict=True
    ):
        assert torch.equal(a, b)


def test_items_are_the_anchors_rows():
    X = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = PairData(X, anchors=np.array([3, 1]))
    assert len(data) == 2
    assert data[0].tolist() == [6.0, 7.0]
