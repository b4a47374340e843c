"""The two objectives: Eq. (4) to the letter, and its scale-free form.

Each term is a plain function on tensors, and `GeoObjective` weighs them. The functions work in
any floating type; the tests check their gradients by finite differences in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Terms(NamedTuple):
    """Unweighted terms of the objective."""

    reconstruction: Tensor
    same_area: Tensor
    easy_confusing: Tensor
    weight_decay: Tensor


class PairSample(NamedTuple):
    """Pairs of a batch by position among its rows, with what each counts.

    The weights are such that the weighted sum estimates the mean over all pairs of the graph.
    """

    s: Tensor
    t: Tensor
    weight: Tensor


class PairSum(NamedTuple):
    """All pairs of a graph at once, for full-batch training.

    ``graph`` is the sparse adjacency, ``degree`` counts the pairs that each photo is an end of,
    and ``unit`` is what one pair counts.
    """

    graph: Tensor
    degree: Tensor
    unit: float


def squared_distances(codes: Tensor, pairs: PairSample) -> Tensor:
    """Squared Euclidean distance between the two ends of each pair."""
    difference: Tensor = codes[pairs.s] - codes[pairs.t]
    return difference.square().sum(dim=1)


def unit_codes(codes: Tensor, centre: Tensor) -> Tensor:
    """Codes centred and scaled to unit length, so that shrinking them gains nothing."""
    return nn.functional.normalize(codes - centre, dim=1, eps=1e-12)


def pull(codes: Tensor, pairs: PairSample | PairSum) -> Tensor:
    """J2: weighted sum of the squared distances of the same-area pairs."""
    if isinstance(pairs, PairSum):
        return pairs.unit * laplacian_pull(codes, pairs.graph, pairs.degree)
    return (pairs.weight * squared_distances(codes, pairs)).sum()


def push(codes: Tensor, pairs: PairSample, margin: float) -> Tensor:
    """J3 as a hinge: weighted sum of max(0, margin - d^2), bounded where -d^2 is not."""
    return (pairs.weight * torch.relu(margin - squared_distances(codes, pairs))).sum()


def laplacian_pull(codes: Tensor, graph: Tensor, degree: Tensor) -> Tensor:
    """Sum over all pairs of their squared distances through degrees: one sparse product.

    Equal to the double sum of Eq. (4). The codes are centred first (the sum does not change):
    in float32 the degrees would otherwise cancel all digits of codes far from the origin.

    Parameters
    ----------
    codes : tensor of shape (n, d)
        Codes of all photos.
    graph : sparse tensor of shape (n, n)
        Adjacency of the pairs.
    degree : tensor of shape (n,)
        How many pairs each photo is an end of.
    """
    centred = codes - codes.mean(dim=0).detach()
    own = (degree * centred.square().sum(dim=1)).sum()
    return own - 2.0 * (centred * torch.sparse.mm(graph, centred)).sum()


def weight_decay(weights: list[Tensor]) -> Tensor:
    """R: sum of squares of the weight matrices, biases excluded (Eq. 3)."""
    return torch.stack([w.square().sum() for w in weights]).sum()


class GeoObjective(nn.Module):
    """Weighs the terms; a skorch criterion over what `AutoEncoder.forward` returns.

    Parameters
    ----------
    alpha, beta, gamma : float
        Weights of the same-area, easy-confusing and weight-decay terms.
    scale_free : bool
        True: reconstruction as the share of variance left, unit codes, hinge. False: Eq. (4).
    margin : float
        Squared distance beyond which easy-confusing pairs are left alone (scale-free only).
    code_size : int
        Width of the last hidden layer.
    """

    centre: Tensor
    variance: Tensor

    def __init__(
        self,
        alpha: float,
        beta: float,
        gamma: float,
        *,
        scale_free: bool,
        margin: float,
        code_size: int,
    ) -> None:
        super().__init__()
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.scale_free = scale_free
        self.margin = margin
        # Where codes are centred. A constant within a step: sampled gradients stay unbiased.
        self.register_buffer("centre", torch.zeros(code_size))
        # Mean squared norm of the standardised training rows: the unit of the reconstruction.
        self.register_buffer("variance", torch.ones(()))

    def reconstruction(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """J1: half the mean squared error (Eq. 4), or the share of variance left unexplained."""
        error = (x - x_hat).square().sum(dim=1).mean()
        return error / self.variance if self.scale_free else error / 2.0

    def pair_terms(
        self, codes: Tensor, same_area: PairSample | PairSum, easy_confusing: PairSample | PairSum
    ) -> tuple[Tensor, Tensor]:
        """J2 and J3 (the hinge, or the sum that Eq. (4) subtracts) from sampled or all pairs."""
        if self.scale_free:
            codes = unit_codes(codes, self.centre)
            # The hinge needs each pair by itself: a sum over a Laplacian cannot give it.
            assert isinstance(easy_confusing, PairSample)
            return pull(codes, same_area), push(codes, easy_confusing, self.margin)
        return pull(codes, same_area), pull(codes, easy_confusing)

    def total(self, terms: Terms) -> Tensor:
        """Weighted sum of the terms; Eq. (4) subtracts J3, the hinge is added."""
        sign = 1.0 if self.scale_free else -1.0
        total = terms.reconstruction + self.gamma * terms.weight_decay
        # A weight of 0 must switch a term off even where it is not finite.
        if self.alpha:
            total = total + self.alpha * terms.same_area
        if self.beta:
            total = total + sign * self.beta * terms.easy_confusing
        return total
