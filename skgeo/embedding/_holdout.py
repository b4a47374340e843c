"""A held-out part that tells when training has gone on for long enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .._geodesy import great_circle_km
from ._network import AutoEncoder
from ._representation import encode

IntArray = npt.NDArray[np.intp]

#: Bounds of what is compared in each epoch, so that validation stays a small part of training.
_MAX_QUERIES = 1000
_MAX_GALLERY = 5000

#: Errors below this many km count as equally good.
_RESOLUTION_KM = 0.05


def split_by_place(
    labels: IntArray | None, n_samples: int, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out; a place is never in both.

    Whole places are drawn at random until their photos reach the fraction. Without labels every
    row is a place of its own.

    Returns
    -------
    train, held_out : ndarray of int
        Sorted rows.
    """
    if labels is None:
        labels = np.arange(n_samples)
    classes, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = rng.permutation(len(classes))
    before = np.cumsum(sizes[order]) - sizes[order]
    held = np.zeros(len(classes), dtype=bool)
    # At least one place on either side.
    held[order[before < fraction * n_samples]] = True
    if held.all():
        held[order[-1]] = False
    mask = held[labels]
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def split_within_areas(
    labels: IntArray, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out, the fraction of each area (rounded at random).

    For area labels without coordinates: an area that is held out whole could never be found.
    """
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: int(fraction * len(rows) + rng.random())][: len(rows) - 1]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


class GeographicScore:
    """Score of a network on held-out photos: their 1-NN estimates from the training part.

    With coordinates, minus the mean logarithm of the error in km, which weighs a street as much
    as a continent and needs no threshold; with labels alone, the share of correct areas.
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
    ) -> None:
        gallery = np.sort(rng.permutation(train)[:_MAX_GALLERY])
        queries = np.sort(rng.permutation(held_out)[:_MAX_QUERIES])
        self.n_gallery = len(gallery)
        self.rows = X[np.concatenate([gallery, queries])]
        places = labels if coordinates is None else coordinates
        self.places, self.truth = places[gallery], places[queries]
        self.output = output
        # The input is the same in every epoch: so is its part of the distances.
        self.input_part = self._closeness(self.rows) if output == "concat" else None

    def _closeness(self, block: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Minus half the squared distance over the gallery's mean square, up to a query's own."""
        gallery = block[: self.n_gallery]
        mean = gallery.mean(axis=0, dtype=np.float64).astype(np.float32)
        gallery, queries = gallery - mean, block[self.n_gallery :] - mean
        squares = np.square(gallery).sum(axis=1)
        unit = float(squares.mean()) or 1.0
        closeness: npt.NDArray[np.float32] = queries @ gallery.T
        closeness -= squares / 2.0
        closeness /= unit
        return closeness

    def __call__(self, module: nn.Module) -> float:
        assert isinstance(module, AutoEncoder)
        chunks = [layers for _, layers in encode(module, self.rows)]
        layers = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
        if self.output == "code":
            layers = layers[-1:]
        closeness = sum(map(self._closeness, layers))
        if self.input_part is not None:
            closeness = closeness + self.input_part
        found = self.places[np.argmax(closeness, axis=1)]
        if self.places.ndim == 1:
            return float(np.mean(found == self.truth))
        return -float(np.mean(np.log(great_circle_km(self.truth, found) + _RESOLUTION_KM)))


class ReconstructionScore:
    """Score of a plain auto-encoder on held-out rows: minus its reconstruction error."""

    def __init__(
        self, X: npt.NDArray[Any], held_out: IntArray, *, rng: np.random.Generator
    ) -> None:
        self.queries = X[np.sort(rng.permutation(held_out)[:_MAX_GALLERY])]

    def __call__(self, module: nn.Module) -> float:
        return -reconstruction_error(module, self.queries)


def reconstruction_error(module: nn.Module, X: npt.NDArray[Any]) -> float:
    """Mean squared norm of x - g(f(x)), in the units of the network."""
    assert isinstance(module, AutoEncoder)
    total = 0.0
    module.eval()
    for start in range(0, len(X), 1024):
        block = np.array(X[start : start + 1024], order="C")
        with torch.inference_mode():
            rows = torch.from_numpy(block).to(module.shift)
            x, x_hat, _ = module(rows, len(rows))
            total += float((x - x_hat).double().square().sum())
    return total / len(X)
