"""Every term against a double loop, and its gradient against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skgeo.embedding import _objective
from skgeo.embedding._batches import FullBatch, PairData, PairGraph
from skgeo.embedding._network import AutoEncoder, ResidualAutoEncoder
from skgeo.embedding._objective import (
    Crowd,
    GeoObjective,
    PairSample,
    Terms,
    laplacian_pull,
    pull,
    push,
    soft_pull,
    soft_push,
    unit_codes,
    weight_decay,
)


def random_graph(n, density, rng):
    """A directed graph without self-pairs."""
    a = rng.random((n, n)) < density
    np.fill_diagonal(a, False)
    return sp.csr_array(a.astype(float))


def as_sample(graph, unit=1.0):
    s, t = graph.nonzero()
    return PairSample(
        torch.as_tensor(s), torch.as_tensor(t), torch.full((len(s),), unit, dtype=torch.float64)
    )


def double_sum(codes, graph, of=lambda d2: d2):
    """The sum of Eq. (4), pair by pair."""
    a = graph.toarray()
    total = 0.0
    for s in range(len(codes)):
        for t in range(len(codes)):
            if a[s, t]:
                total += a[s, t] * of(float(np.sum((codes[s] - codes[t]) ** 2)))
    return total


def test_pull_and_push_are_the_double_sums(rng):
    codes = rng.normal(size=(12, 4))
    graph = random_graph(12, 0.3, rng)
    tensor = torch.as_tensor(codes)
    pairs = as_sample(graph, 0.25)
    assert float(pull(tensor, pairs)) == pytest.approx(0.25 * double_sum(codes, graph))
    hinge = double_sum(codes, graph, lambda d2: max(0.0, 5.0 - d2))
    assert float(push(tensor, pairs, 5.0)) == pytest.approx(0.25 * hinge)


def test_laplacian_form_equals_the_double_sum_far_from_the_origin_in_float32(rng):
    codes = (1.0 + 1e-3 * rng.normal(size=(50, 8))).astype(np.float32)
    graph = random_graph(50, 0.2, rng)
    expected = double_sum(codes.astype(np.float64), graph)
    total = PairGraph(graph, None).pair_sum(np.arange(50), "cpu")
    got = laplacian_pull(torch.from_numpy(codes), total.graph, total.degree)
    assert float(got) == pytest.approx(expected, rel=1e-4)
    # Without centring the same sum has lost its digits: this test can fail.
    raw = torch.from_numpy(codes)
    naive = (total.degree * raw.square().sum(1)).sum() - 2 * (
        raw * torch.sparse.mm(total.graph, raw)
    ).sum()
    assert abs(float(naive) / expected - 1) > 1e-3


def test_unit_codes_ignore_scale_and_survive_the_centre(rng):
    codes = torch.as_tensor(rng.normal(size=(5, 3)))
    centre = codes.mean(dim=0)
    torch.testing.assert_close(
        unit_codes(codes, centre), unit_codes(7 * (codes - centre) + centre, centre)
    )
    assert torch.isfinite(unit_codes(centre[None].clone(), centre)).all()


@pytest.mark.parametrize("scale_free", [True, False])
def test_gradients_by_finite_differences(scale_free, rng):
    """Each term, and the total, for every parameter of a two-layer network."""
    torch.manual_seed(0)
    activations = ("tanh", "identity") if scale_free else ("sigmoid", "sigmoid")
    network = AutoEncoder([6, 5, 3], *activations).double()
    objective = GeoObjective(
        0.7, 0.3, 0.01, scale_free=scale_free, margin=1.0, code_size=3
    ).double()
    objective.centre.copy_(torch.as_tensor(rng.normal(size=3) * 0.1))
    rows = torch.as_tensor(rng.random((9, 6)))
    same, easy = (as_sample(random_graph(9, 0.3, rng), 0.1) for _ in range(2))

    def terms():
        x, x_hat, codes = network(rows, len(rows))
        pair_terms = objective.pair_terms(codes, same, easy)
        return Terms(
            objective.reconstruction(x, x_hat), *pair_terms, weight_decay(network.weights())
        )

    for name in (*Terms._fields, "total"):

        def value(name=name):
            found = terms()
            return objective.total(found) if name == "total" else getattr(found, name)

        network.zero_grad()
        value().backward()
        for parameter in network.parameters():
            gradient = parameter.grad
            flat = parameter.data.view(-1)
            for i in range(0, len(flat), 4):
                before, step = float(flat[i]), 1e-6
                flat[i] = before + step
                above = value().item()
                flat[i] = before - step
                below = value().item()
                flat[i] = before
                expected = (above - below) / (2 * step)
                got = 0.0 if gradient is None else float(gradient.view(-1)[i])
                assert got == pytest.approx(expected, rel=1e-5, abs=1e-7), name


def test_both_ends_of_a_pair_receive_gradient():
    codes = torch.tensor([[0.0, 1.0], [2.0, 0.0], [5.0, 5.0]], requires_grad=True)
    pairs = PairSample(torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0]))
    pull(codes, pairs).backward()
    torch.testing.assert_close(codes.grad[0], -codes.grad[1])
    assert codes.grad[0].abs().sum() > 0
    assert codes.grad[2].abs().sum() == 0


def printed_gradients(network, x, graph_p, graph_q, k1, k2):
    """Eqs. (9) and (10) as the paper prints them, term by term, for each weight matrix."""
    layers = [*network.encoder, *network.decoder]
    M = len(network.encoder)
    n = len(x)

    def forward(row):
        h = [row]
        for layer in layers:
            h.append(torch.sigmoid(layer.weight @ h[-1] + layer.bias))
        return h

    states = [forward(row) for row in x]
    slope = [[h * (1 - h) for h in state] for state in states]
    j1 = [torch.zeros_like(layer.weight) for layer in layers]
    for i in range(n):
        local = (x[i] - states[i][-1]) * slope[i][-1]  # L^(2M) as printed
        for m in range(2 * M - 1, -1, -1):
            j1[m] += 2 / n * torch.outer(local, states[i][m])
            local = (layers[m].weight.T @ local) * slope[i][m]
    pair_terms = []
    for graph, k in ((graph_p, k1), (graph_q, k2)):
        grads = [torch.zeros_like(layer.weight) for layer in layers]
        for s, t in zip(*graph.nonzero(), strict=True):
            for a, b in ((s, t), (t, s)):
                local = (states[a][M] - states[b][M]) * slope[a][M]
                for m in range(M - 1, -1, -1):
                    grads[m] += 2 / (n * k) * torch.outer(local, states[a][m])
                    local = (layers[m].weight.T @ local) * slope[a][m]
        pair_terms.append(grads)
    decay = [2 * layer.weight for layer in layers]
    return j1, *pair_terms, decay


def test_the_printed_gradients_stand_in_the_ratios_minus_2_1_1_1(rng):
    """The paper's J1 gradient is -2 times the true one; its other terms are exact."""
    torch.manual_seed(1)
    network = AutoEncoder([5, 4, 3], "sigmoid", "sigmoid").double()
    x = torch.as_tensor(rng.random((7, 5)))
    graphs = [random_graph(7, 0.3, rng) for _ in range(2)]
    k1, k2 = 4, 2
    objective = GeoObjective(1, 1, 1, scale_free=False, margin=1.0, code_size=3).double()
    rows, rows_hat, codes = network(x, 7)
    same, easy = (as_sample(g, 1 / (7 * k)) for g, k in zip(graphs, (k1, k2), strict=True))
    terms = (
        objective.reconstruction(rows, rows_hat),
        *objective.pair_terms(codes, same, easy),
        weight_decay(network.weights()),
    )
    with torch.no_grad():
        printed = printed_gradients(network, x, *graphs, k1, k2)
    for term, gradients, ratio in zip(terms, printed, (-2.0, 1.0, 1.0, 1.0), strict=True):
        true = torch.autograd.grad(term, network.weights(), retain_graph=True, allow_unused=True)
        for got, expected in zip(gradients, true, strict=True):
            wanted = torch.zeros_like(got) if expected is None else ratio * expected
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-14)


def test_full_batch_is_the_double_sum(rng):
    X = rng.random((10, 4)).astype(np.float32)
    graphs = [random_graph(10, 0.3, rng) for _ in range(2)]
    rows = np.array([0, 1, 3, 4, 6, 8, 9])
    data = PairData(X, *(PairGraph(g, 3, rows) for g in graphs), anchors=rows)
    ((batch_rows, batch),) = list(FullBatch(data, "cpu"))
    np.testing.assert_array_equal(batch_rows.numpy(), X[rows])
    for graph, pairs in zip(graphs, batch[1:3], strict=True):
        kept = sp.csr_array(graph.toarray()[np.ix_(rows, rows)])
        expected = double_sum(X[rows].astype(float), kept) / (len(rows) * 3)
        assert float(pull(batch_rows, pairs)) == pytest.approx(expected, rel=1e-5)


def test_the_hinge_is_bounded_and_a_weight_of_zero_switches_a_term_off():
    objective = GeoObjective(0.0, 0.0, 0.0, scale_free=True, margin=1.0, code_size=2)
    infinite = torch.tensor(float("inf"))
    terms = Terms(torch.tensor(1.0), infinite, infinite, torch.tensor(3.0))
    assert float(objective.total(terms)) == 1.0
    codes = torch.tensor([[1e15, 0.0], [-1e15, 0.0]])
    pairs = PairSample(torch.tensor([0]), torch.tensor([1]), torch.tensor([1.0]))
    assert float(push(unit_codes(codes, torch.zeros(2)), pairs, 1.0)) == 0.0


def crowd_of(anchors, labels, positions=None, min_chord=0.0):
    tensors = (torch.as_tensor(np.asarray(v)) for v in (anchors, labels))
    return Crowd(*tensors, None if positions is None else torch.as_tensor(positions), min_chord)


@pytest.mark.parametrize("near", [False, True])
def test_soft_terms_are_their_loops(rng, near):
    """Multi-similarity terms with duplicated codes, a place without others, near places."""
    codes = rng.normal(size=(14, 3))
    codes[3] = codes[9]
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    labels = rng.integers(3, size=14)
    positions = rng.normal(size=(14, 3))
    graph = random_graph(14, 0.3, rng)
    tensor = torch.as_tensor(codes)
    got = float(soft_pull(tensor, as_sample(graph, 0.25), 0.5, 0.2))
    soft = double_sum(codes, graph, lambda d2: np.log(1 + np.exp((d2 - 0.5) / 0.2)))
    assert got == pytest.approx(0.25 * soft)

    expected = 0.0
    for s in range(5):
        crowd = 1.0
        for t in range(14):
            too_near = near and np.linalg.norm(positions[s] - positions[t]) < 1.5
            if labels[s] != labels[t] and not too_near:
                crowd += np.exp((0.5 - np.sum((codes[s] - codes[t]) ** 2)) / 0.2)
        expected += np.log(crowd) / 5
    anchors = [*range(5), *rng.integers(5, size=9)]
    crowd = crowd_of(anchors, labels, positions if near else None, 1.5)
    assert float(soft_push(tensor, crowd, 5, 0.5, 0.2)) == pytest.approx(expected)
    alone = crowd_of(anchors, np.zeros(14, dtype=int))
    assert float(soft_push(tensor, alone, 5, 0.5, 0.2)) == 0.0


def test_gradient_of_the_comparison_by_hand(rng):
    """Of anchors, partners, twins and a row whose place all others share."""
    codes = rng.normal(size=(9, 4))
    codes[2] = codes[7]
    codes[4] *= 100.0
    labels = np.array([0, 1, 2, 3, 0, 1, 2, 3, 2])
    lonely = crowd_of(np.arange(9), np.zeros(9, dtype=int))
    tensor = torch.as_tensor(codes).requires_grad_()
    for crowd in (crowd_of(np.arange(9), labels), lonely):
        for temperature in (0.2, 20.0):
            assert torch.autograd.gradcheck(
                lambda c, crowd=crowd, t=temperature: soft_push(c, crowd, 4, 0.5, t), [tensor]
            )
    soft_push(tensor, lonely, 4, 0.5, 0.2).backward()
    assert not tensor.grad.any()


def test_a_large_batch_is_compared_in_blocks(rng, monkeypatch):
    """Each block of anchors against its own members: never all rows against all."""
    codes = torch.as_tensor(rng.normal(size=(21, 3)))
    labels = rng.integers(4, size=21)
    anchors = np.array([*range(7), *np.repeat(np.arange(7), 2)])
    expected = 0.0
    for block in ([0, 1, 2], [3, 4, 5], [6]):
        rows = np.concatenate(
            [block, np.flatnonzero(np.isin(anchors, block) & (np.arange(21) > 6))]
        )
        crowd = crowd_of(rows, labels[rows])
        expected += len(block) / 7 * float(soft_push(codes[rows], crowd, len(block), 0.5, 0.2))
    monkeypatch.setattr(_objective, "_CROWD", 3)
    got = float(soft_push(codes, crowd_of(anchors, labels), 7, 0.5, 0.2))
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
def test_gradients_on_the_linear_layer_by_finite_differences(rng, activation):
    """Soft terms through the correction, for every parameter, in float64."""
    torch.manual_seed(0)
    network = ResidualAutoEncoder([5, 4, 3], activation, "identity").double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    objective = GeoObjective(
        0.7,
        0.3,
        0.01,
        scale_free=True,
        margin=0.5,
        code_size=5,
        unit_codes=True,
        pair_loss="multi-similarity",
    ).double()
    rows = torch.as_tensor(rng.normal(size=(9, 5)))
    same = as_sample(random_graph(9, 0.3, rng), 0.1)
    crowd = crowd_of(np.arange(9), rng.integers(3, size=9))

    def value():
        x, x_hat, codes = network(rows, 9)
        pairs = objective.pair_terms(codes, same, same, crowd, 9)
        terms = Terms(objective.reconstruction(x, x_hat), *pairs, weight_decay(network.weights()))
        return objective.total(terms, with_decay=True)

    value().backward()
    for parameter in network.parameters():
        flat = parameter.data.view(-1)
        for i in range(0, len(flat), 3):
            before, step = float(flat[i]), 1e-6
            flat[i] = before + step
            above = value().item()
            flat[i] = before - step
            below = value().item()
            flat[i] = before
            expected = (above - below) / (2 * step)
            assert float(parameter.grad.view(-1)[i]) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_soft_terms_are_bounded_whatever_the_codes(rng):
    codes = torch.as_tensor(rng.normal(size=(40, 6)) * 1e8)
    labels = rng.integers(5, size=40)
    unit = unit_codes(codes, torch.zeros(6, dtype=torch.float64))
    pushed = float(soft_push(unit, crowd_of(np.arange(40), labels), 40, 0.5, 0.2))
    # No more than all 40 at distance 0.
    assert 0.0 <= pushed <= np.log(1 + 40 * np.exp(0.5 / 0.2))
    pulled = float(soft_pull(unit, as_sample(random_graph(40, 0.2, rng), 1e-3), 0.5, 0.2))
    assert np.isfinite(pulled)
    assert pulled >= 0.0
