"""A held-out part that tells when training has gone on for long enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ._held_out_places import MAX_QUERIES, HeldOutPlaces, clustered_standard_error, pool_places
from ._network import AutoEncoder
from ._representation import encode, first_block

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class GeographicScore(HeldOutPlaces):
    """Scores of a network on held-out photos: their 1-NN estimates from all other photos.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Rows as the network takes them.
    train, held_out, coordinates, labels, rng
        As of `HeldOutPlaces`.
    output : {"concat", "hidden", "code"}
        What is ranked.
    vectors : ndarray of shape (n, any) or None
        The input block of "concat", where that is not X.
    """

    def __init__(
        self,
        X: npt.NDArray[Any],
        train: IntArray,
        held_out: IntArray,
        *,
        coordinates: npt.NDArray[np.float64] | None,
        labels: IntArray,
        output: str,
        rng: np.random.Generator,
        vectors: npt.NDArray[Any] | None = None,
    ) -> None:
        super().__init__(train, held_out, coordinates=coordinates, labels=labels, rng=rng)
        self.rows = X[self.chosen]
        self.output = output
        # The input is the same in every epoch: so is its part of the distances.
        self.input_part = None
        if output == "concat":
            self.input_part = self._closeness(
                self.rows if vectors is None else vectors[self.chosen]
            )

    def _closeness(
        self, block: npt.NDArray[Any], unit_codes: bool = False
    ) -> npt.NDArray[np.float32]:
        """Minus half the squared distance over the gallery's mean square, up to a query's own."""
        if not unit_codes:
            block = block - block.mean(axis=0, dtype=np.float64).astype(np.float32)
        squares = np.square(block).sum(axis=1)
        unit = 1.0 if unit_codes else float(squares.mean()) or 1.0
        closeness: npt.NDArray[np.float32] = block[: self.n_queries] @ block.T
        closeness -= squares / 2.0
        closeness /= unit
        return closeness

    def __call__(self, module: nn.Module) -> FloatArray:
        assert isinstance(module, AutoEncoder)
        first = first_block(self.output, len(module.block_sizes) - 1)
        kept = range(max(first - 1, 0), len(module.block_sizes) - 1)
        parts: dict[int, list[Any]] = {i: [] for i in kept}
        for _, layers in encode(module, self.rows):
            for i in kept:
                parts[i].append(layers[i])
        closeness = np.zeros((self.n_queries, len(self.rows)), dtype=np.float32)
        if self.input_part is not None:
            closeness += self.input_part
        for i, chunks in parts.items():
            is_code = i == len(module.block_sizes) - 2
            closeness += self._closeness(
                np.concatenate(chunks), unit_codes=is_code and module.has_unit_codes
            )
        return self.scores(closeness)

    def standard_error(self, values: FloatArray) -> float:
        """Standard error of a mean over the queries, whose places are the independent draws."""
        return clustered_standard_error(values, self.groups)


class ReconstructionScore:
    """Scores of a plain auto-encoder on held-out rows: minus their reconstruction errors."""

    def __init__(
        self, X: npt.NDArray[Any], held_out: IntArray, *, rng: np.random.Generator
    ) -> None:
        self.queries = X[np.sort(rng.permutation(held_out)[:MAX_QUERIES])]

    def __call__(self, module: nn.Module) -> FloatArray:
        return -reconstruction_errors(module, self.queries)

    def standard_error(self, values: FloatArray) -> float:
        """Standard error of a mean over the rows."""
        return clustered_standard_error(values, np.arange(len(values)))


def best_epoch(trials: list[list[FloatArray]], groups: list[IntArray]) -> int:
    """The epoch with the best scores over several trials, 0 for the start.

    Parameters
    ----------
    trials : list of list of ndarray
        For each trial the scores of its held-out rows: at the start, then after each epoch.
    groups : list of ndarray of int
        For each trial the place of each held-out row, counted from 0.

    Returns
    -------
    int
        0 unless the best epoch beats the start by more than a standard error of the gain: the
        best of many epochs looks better than it is.
    """
    # As many epochs as the shortest trial has.
    scores = np.stack([np.concatenate(epoch) for epoch in zip(*trials, strict=False)])
    gains = scores[1:] - scores[0]
    places = pool_places(groups)
    if not len(gains):
        return 0
    best = int(gains.mean(axis=1).argmax())
    stands_out = gains[best].mean() > clustered_standard_error(gains[best], places)
    return best + 1 if stands_out else 0


def reconstruction_errors(module: nn.Module, X: npt.NDArray[Any]) -> FloatArray:
    """Squared norm of x - g(f(x)) of each row, in the units of the network."""
    assert isinstance(module, AutoEncoder)
    errors = np.empty(len(X))
    module.eval()
    for start in range(0, len(X), 1024):
        block = np.array(X[start : start + 1024], order="C")
        with torch.inference_mode():
            rows = torch.from_numpy(block).to(module.shift)
            x, x_hat, _ = module(rows, len(rows))
            squared = (x - x_hat).double().square().sum(dim=1)
            errors[start : start + 1024] = squared.cpu().numpy()
    return errors
