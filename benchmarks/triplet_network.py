"""A semi-hard triplet network on vectors, the peer that a deep-metric-learning user would take.

Schroff, Kalenichenko, Philbin: FaceNet, CVPR 2015, on mini-batches of several photos of each of
several places.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn


class TripletNetwork:
    """Unit vectors in which photos of one label are nearer than those of others by a margin.

    A linear map, to which a network of one hidden layer is added that starts at zero: on small
    collections the deep part alone overfits.

    Parameters
    ----------
    hidden : int
        Width of the hidden layer; 0 leaves the linear map.
    n_components : int
        Width of the output.
    margin : float
        By how much squared distances are to differ.
    dropout : float
        Of the input and of the hidden layer.
    learning_rate, weight_decay : float
        Of AdamW; the rate is the peak of one cycle.
    epochs : int
        Passes over as many anchors as there are photos that have a partner.
    n_labels, n_each : int
        Labels in a batch and photos of each.
    seed : int
        Weights and batches.
    """

    def __init__(
        self,
        *,
        hidden: int = 256,
        n_components: int = 256,
        margin: float = 0.2,
        dropout: float = 0.2,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        epochs: int = 30,
        n_labels: int = 32,
        n_each: int = 4,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.n_components = n_components
        self.margin = margin
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.n_labels = n_labels
        self.n_each = n_each
        self.seed = seed

    def fit(self, X: np.ndarray, labels: np.ndarray) -> Self:
        """Train on rows and their labels."""
        rng = np.random.default_rng(self.seed)
        self.scale = float(np.sqrt(np.square(X).mean(dtype=np.float64)))
        rows = torch.from_numpy(np.ascontiguousarray(X / self.scale, dtype=np.float32))
        order = np.argsort(labels, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
        places = [m for m in members if len(m) > 1]
        n_steps = max(1, sum(map(len, places)) * self.epochs // (self.n_labels * self.n_each))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.module = _Skip(X.shape[1], self.hidden, self.n_components, self.dropout)
            optimizer = torch.optim.AdamW(
                self.module.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.learning_rate, total_steps=n_steps + 1
            )
            # Places by their sizes, so that photos are anchors equally often.
            sizes = np.array([len(m) for m in places], dtype=float)
            for _ in range(n_steps):
                chosen = rng.choice(
                    len(places),
                    min(self.n_labels, len(places)),
                    replace=False,
                    p=sizes / sizes.sum(),
                )
                batch = [
                    rng.choice(places[c], min(self.n_each, len(places[c])), replace=False)
                    for c in chosen
                ]
                owner = np.repeat(np.arange(len(batch)), [len(b) for b in batch])
                codes = self.module(rows[np.concatenate(batch)])
                loss = semi_hard_loss(codes, torch.from_numpy(owner), self.margin)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        self.module.eval()
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Encode rows."""
        with torch.inference_mode():
            rows = torch.from_numpy(np.ascontiguousarray(X / self.scale, dtype=np.float32))
            return self.module(rows).numpy()


class _Skip(nn.Module):
    """Linear map plus a hidden layer that starts at zero; unit length."""

    def __init__(self, n_in: int, hidden: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(n_in, n_out, bias=False)
        nn.init.orthogonal_(self.linear.weight)
        self.deep: nn.Module | None = None
        if hidden:
            last = nn.Linear(hidden, n_out)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.deep = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(dropout), last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(x)
        z = self.linear(x)
        if self.deep is not None:
            z = z + self.deep(x)
        return nn.functional.normalize(z, dim=1)


def semi_hard_loss(codes: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean hinge over all anchor-positive pairs, each with its semi-hard negative.

    That is the nearest negative farther than the positive; where there is none, the farthest
    negative.
    """
    squared = (2.0 - 2.0 * codes @ codes.T).clamp_min(0.0)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    anchor, partner = positive.nonzero(as_tuple=True)
    if len(anchor) == 0:
        return codes.sum() * 0.0
    to_positive = squared[anchor, partner]
    to_others = squared[anchor]
    is_negative = ~same[anchor]
    farther = is_negative & (to_others > to_positive[:, None])
    nearest = to_others.masked_fill(~farther, torch.inf).min(dim=1).values
    farthest = to_others.masked_fill(~is_negative, -torch.inf).max(dim=1).values
    negative = torch.where(farther.any(dim=1), nearest, farthest)
    return torch.relu(to_positive - negative + margin).mean()
