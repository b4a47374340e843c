"""From a trained network to vectors that can be ranked: blocks of equal weight."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._network import AutoEncoder, LinearLayer

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

#: Rows encoded at a time.
_CHUNK = 1024


def precise(network: AutoEncoder) -> AutoEncoder:
    """A float64 copy of a network on the CPU; elsewhere the network itself.

    In float32 the last digits of a row depend on the rows that it is multiplied with. In
    float64, rounded once at the end, a photo has one representation, alone or among a million.
    """
    if network.shift.device.type != "cpu":
        return network
    return copy.deepcopy(network).double()


def encode(network: AutoEncoder, X: npt.NDArray[Any]) -> Iterator[tuple[slice, list[Any]]]:
    """Yield, chunk by chunk, the rows covered and their blocks: h1, ..., hM, the code last.

    The network is used where it is and in its own precision; rows are moved there and back.
    """
    network.eval()
    for start in range(0, len(X), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(X)))
        with torch.inference_mode():
            x = torch.from_numpy(np.array(X[rows], order="C")).to(network.shift)
            layers = network.blocks(network.standardize(x))
            yield rows, [h.cpu().numpy() for h in layers]


def apply_layer(layer: LinearLayer, X: npt.NDArray[Any]) -> Float32Array:
    """The linear layer's z of all rows, float32, chunk by chunk."""
    out = np.empty((len(X), len(layer.components)), dtype=np.float32)
    for start in range(0, len(X), _CHUNK):
        with torch.inference_mode():
            rows = torch.from_numpy(np.array(X[start : start + _CHUNK], order="C"))
            out[start : start + _CHUNK] = layer(rows).numpy()
    return out


class BlockStatistics:
    """Mean and root-mean-square norm of the input and of each hidden layer on the gallery.

    Concatenated as they come, the input swamps the hidden layers or the other way round; centred
    and divided by these norms, every block has the same say in a Euclidean distance.
    """

    def __init__(self, network: AutoEncoder, X: npt.NDArray[Any], output: str = "concat") -> None:
        sizes = network.block_sizes
        self.means: list[FloatArray] = [np.zeros(w) for w in sizes]
        self.norms: FloatArray = np.ones(len(sizes))
        # Unit codes are left as they are: distances between them are what training compared.
        n_scaled = len(sizes) - network.has_unit_codes
        if first_block(output, len(sizes) - 1) >= n_scaled:
            return
        sums = [np.zeros(w) for w in sizes[:n_scaled]]
        squares = np.zeros(n_scaled)
        origin: list[FloatArray] = []
        for rows, layers in encode(precise(network), X):
            blocks = [np.asarray(b, dtype=np.float64) for b in [X[rows], *layers]][:n_scaled]
            # Sums from an origin near the mean: far from it a sum of squares would cancel.
            origin = origin or [block.mean(axis=0) for block in blocks]
            for i, block in enumerate(blocks):
                moved = block - origin[i]
                sums[i] += moved.sum(axis=0)
                squares[i] += np.square(moved).sum()
        for i in range(n_scaled):
            offset = sums[i] / len(X)
            self.means[i] = origin[i] + offset
            variance = squares[i] / len(X) - np.square(offset).sum()
            # A block that never varies tells nothing: it stays zero, whatever the rounding.
            if variance > 1e-14 * squares[i] / len(X):
                self.norms[i] = np.sqrt(variance)

    def normalize(self, block: npt.NDArray[Any], i: int) -> Float32Array:
        """Centre and scale block ``i`` (0 is the input)."""
        return ((block - self.means[i]) / self.norms[i]).astype(np.float32, copy=False)


def first_block(output: str, n_hidden: int) -> int:
    """Index of the first of the blocks [x, h1, ..., hM] that an output option keeps."""
    return {"concat": 0, "hidden": 1, "code": n_hidden}[output]


def represent(
    network: AutoEncoder, statistics: BlockStatistics, X: npt.NDArray[Any], output: str
) -> Float32Array:
    """Normalised blocks of every row, concatenated.

    Parameters
    ----------
    network : AutoEncoder
        The trained network.
    statistics : BlockStatistics
        Of the gallery.
    X : ndarray of shape (n, n_features)
        Input rows.
    output : {"concat", "hidden", "code"}
        Input and hidden layers, hidden layers, or the last hidden layer.

    Returns
    -------
    ndarray of shape (n, width), float32
        The representation.
    """
    network = precise(network)
    sizes = network.block_sizes
    first = first_block(output, len(sizes) - 1)
    edges = np.cumsum([0, *sizes[first:]])
    out = np.empty((len(X), edges[-1]), dtype=np.float32)
    for rows, layers in encode(network, X):
        for i, block in enumerate([X[rows], *layers][first:]):
            out[rows, edges[i] : edges[i + 1]] = statistics.normalize(block, first + i)
    return out
