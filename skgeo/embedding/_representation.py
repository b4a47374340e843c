"""From a trained network to vectors that can be ranked: blocks of equal weight."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._network import AutoEncoder

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
    """Yield, chunk by chunk, the rows covered and their hidden layers h1, ..., hM.

    The network is used where it is and in its own precision; rows are moved there and back.
    """
    network.eval()
    for start in range(0, len(X), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(X)))
        with torch.inference_mode():
            x = torch.from_numpy(np.array(X[rows], order="C")).to(network.shift)
            layers = network.hidden(network.standardize(x))
            yield rows, [h.cpu().numpy() for h in layers]


class BlockStatistics:
    """Mean and root-mean-square norm of the input and of each hidden layer on the gallery.

    Concatenated as they come, the input swamps the hidden layers or the other way round; centred
    and divided by these norms, every block has the same say in a Euclidean distance.
    """

    def __init__(self, network: AutoEncoder, X: npt.NDArray[Any]) -> None:
        network = precise(network)
        sums: list[FloatArray] = [np.zeros(w) for w in network.layer_sizes]
        squares = np.zeros(len(network.layer_sizes))
        # Two passes: a sum of squares far from the origin would cancel.
        for rows, layers in encode(network, X):
            for total, block in zip(sums, [X[rows], *layers], strict=True):
                total += block.sum(axis=0, dtype=np.float64)
        self.means: list[FloatArray] = [total / len(X) for total in sums]
        for rows, layers in encode(network, X):
            for i, block in enumerate([X[rows], *layers]):
                squares[i] += np.square(block - self.means[i]).sum()
        rms = np.sqrt(squares / len(X))
        # A block that never varies tells nothing: it stays zero.
        self.norms: FloatArray = np.where(rms > 0.0, rms, 1.0)

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
    sizes = network.layer_sizes
    first = first_block(output, len(sizes) - 1)
    edges = np.cumsum([0, *sizes[first:]])
    out = np.empty((len(X), edges[-1]), dtype=np.float32)
    for rows, layers in encode(network, X):
        for i, block in enumerate([X[rows], *layers][first:]):
            out[rows, edges[i] : edges[i + 1]] = statistics.normalize(block, first + i)
    return out
