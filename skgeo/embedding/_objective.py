"""The two objectives: Eq. (4) to the letter, and its scale-free form.

Each term is a plain function on tensors, and `GeoObjective` weighs them. The functions work in
any floating type; the tests check their gradients by finite differences in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: How fast the running centre of the codes follows the batches.
_CENTRE_MOMENTUM = 0.1

#: Anchors that are compared with each other at a time.
_CROWD = 1024


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


class Crowd(NamedTuple):
    """Places of the rows of a batch: which of them may be pushed apart.

    ``anchor`` is the anchor that each row was drawn for (anchors are their own), ``place`` its
    POI, and ``position`` its unit vector on the sphere or None. Rows nearer than ``min_chord``
    are not pushed apart.
    """

    anchor: Tensor
    place: Tensor
    position: Tensor | None
    min_chord: float

    def members(self, start: int, stop: int) -> Tensor:
        """Rows that anchors ``start`` to ``stop`` are compared with: themselves and partners."""
        return torch.nonzero((self.anchor >= start) & (self.anchor < stop)).ravel()

    def same_place(self, start: int, stop: int, columns: Tensor | None) -> Tensor:
        """Mask of the pairs of anchors and rows that are too near to be pushed apart."""
        place = self.place if columns is None else self.place[columns]
        mask = self.place[start:stop, None] == place[None]
        if self.position is not None:
            position = self.position if columns is None else self.position[columns]
            mask |= torch.cdist(self.position[start:stop], position) < self.min_chord
        return mask


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


def soft_pull(codes: Tensor, pairs: PairSample, margin: float, temperature: float) -> Tensor:
    """J2 as log(1 + exp((d^2 - margin) / temperature)): pairs that are close enough are left."""
    excess = (squared_distances(codes, pairs) - margin) / temperature
    return (pairs.weight * nn.functional.softplus(excess)).sum()


class _LogSumExp(torch.autograd.Function):
    """For each anchor the log of the sum of exp(scale * cos) over rows that are not masked.

    By hand, because it is the one matrix of a step that no layer makes: exp is taken in place and
    serves both directions, where autograd would go through the matrix twice as often. An anchor
    whose rows are all masked has -inf and no gradient.
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, others: Tensor, mask: Tensor, scale: float) -> Tensor:
        weights = (scale * anchors) @ others.T
        weights.masked_fill_(mask, -torch.inf)
        # Finite, for rows without others.
        largest = weights.amax(dim=1, keepdim=True).clamp_min_(torch.finfo(weights.dtype).min / 2)
        weights.sub_(largest).exp_()
        total = weights.sum(dim=1)
        ctx.save_for_backward(anchors, others, weights, total)
        ctx.scale = scale
        return total.log() + largest[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        anchors, others, weights, total = ctx.saved_tensors
        # A sum has a term of 1, the largest, or no terms.
        share = (ctx.scale * grad / total.clamp_min(1.0))[:, None]
        return share * (weights @ others), weights.T @ (share * anchors), None, None


def soft_push(
    codes: Tensor, crowd: Crowd, n_anchors: int, margin: float, temperature: float
) -> Tensor:
    """J3 against everything else in the batch, as multi-similarity loss has it.

    The mean over the anchors s of log(1 + sum_t exp((margin - d_st^2) / temperature)), t over the
    rows of the batch that are of another place. The nearest decide, and more than one.

    Parameters
    ----------
    codes : tensor of shape (n_rows, d)
        Unit codes of the batch, anchors first.
    crowd : Crowd
        Which rows are of which place.
    n_anchors : int
        How many rows are anchors.
    margin, temperature : float
        Squared distance at which a pair begins to count, and how softly.
    """
    total = codes.new_zeros(())
    # d^2 of unit codes is 2 - 2 cos: what is the same in every exponent is added last.
    offset = (margin - 2.0) / temperature
    # Blocks of anchors with a bounded crowd: no matrix of all rows against all.
    for start in range(0, n_anchors, _CROWD):
        stop = min(start + _CROWD, n_anchors)
        columns = None if n_anchors <= _CROWD else crowd.members(start, stop)
        others = codes if columns is None else codes[columns]
        mask = crowd.same_place(start, stop, columns)
        near = _LogSumExp.apply(codes[start:stop], others, mask, 2.0 / temperature)
        total = total + nn.functional.softplus(near + offset).sum()
    return total / n_anchors


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
        True: reconstruction as the share of variance left, unit codes, bounded J3. False: Eq. (4).
    margin : float
        Squared distance beyond which easy-confusing pairs are left alone (scale-free only).
    code_size : int
        Width of the code.
    pair_loss : {"hinge", "multi-similarity"}
        Form of J2 and J3 (scale-free only): the pairs' distances and a hinge, or soft thresholds
        with the whole batch as easy-confusing photos.
    temperature : float
        Softness of "multi-similarity".
    unit_codes : bool
        The codes are of unit length as they come: they are not centred.
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
        pair_loss: str = "hinge",
        temperature: float = 0.2,
        unit_codes: bool = False,
    ) -> None:
        super().__init__()
        self.soft = scale_free and pair_loss == "multi-similarity"
        self.temperature = temperature
        self.unit_codes = unit_codes
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
        self,
        codes: Tensor,
        same_area: PairSample | PairSum,
        easy_confusing: PairSample | PairSum,
        crowd: Crowd | None = None,
        n_anchors: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """J2 and J3 (bounded, or the sum that Eq. (4) subtracts) from sampled or all pairs."""
        if not self.scale_free:
            return pull(codes, same_area), pull(codes, easy_confusing)
        if not self.unit_codes:
            codes = unit_codes(codes, self.centre)
        # A bounded J3 needs each pair by itself: a sum over a Laplacian cannot give it.
        assert isinstance(easy_confusing, PairSample)
        if not self.soft:
            return pull(codes, same_area), push(codes, easy_confusing, self.margin)
        assert isinstance(same_area, PairSample)
        pulled = soft_pull(codes, same_area, self.margin, self.temperature)
        if crowd is None:
            return pulled, codes.new_zeros(())
        return pulled, soft_push(codes, crowd, n_anchors, self.margin, self.temperature)

    def follow(self, codes: Tensor) -> None:
        """Let the running centre follow the codes of a batch."""
        if not self.unit_codes:
            self.centre.lerp_(codes.mean(dim=0), _CENTRE_MOMENTUM)

    def total(self, terms: Terms, *, with_decay: bool = False) -> Tensor:
        """Weighted sum of the terms; Eq. (4) subtracts J3, a bounded J3 is added.

        Weight decay is left out unless asked for: in training the optimiser takes its gradient.
        """
        sign = 1.0 if self.scale_free else -1.0
        total = terms.reconstruction
        # A weight of 0 must switch a term off even where it is not finite.
        if self.alpha:
            total = total + self.alpha * terms.same_area
        if self.beta:
            total = total + sign * self.beta * terms.easy_confusing
        if with_decay and self.gamma:
            total = total + self.gamma * terms.weight_decay
        return total
