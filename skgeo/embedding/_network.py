"""The auto-encoder as a torch module: M encoder layers and M mirrored decoder layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
}

#: Activations whose output is bounded, so that distances between codes are as well.
BOUNDED = frozenset({"sigmoid", "tanh"})


class AutoEncoder(nn.Module):
    """Auto-encoder of Eqs. (1), (2), (5) and (6) of the paper, of any depth.

    Parameters
    ----------
    layer_sizes : sequence of int
        Width of the input and of each hidden layer; the decoder mirrors them.
    activation : {"sigmoid", "tanh", "relu", "identity"}
        Of every hidden layer, encoder and decoder alike.
    output_activation : {"sigmoid", "tanh", "relu", "identity"}
        Of the reconstruction.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, layer_sizes: Sequence[int], activation: str, output_activation: str) -> None:
        super().__init__()
        self.layer_sizes = tuple(layer_sizes)
        self.activation = activation
        self.output_activation = output_activation
        down = list(pairwise(layer_sizes))
        self.encoder = nn.ModuleList(nn.Linear(a, b) for a, b in down)
        self.decoder = nn.ModuleList(nn.Linear(b, a) for a, b in reversed(down))
        for layer in [*self.encoder, *self.decoder]:
            nn.init.xavier_uniform_(layer.weight)  # Glorot
            nn.init.zeros_(layer.bias)
        # What is reconstructed is (x - shift) / scale; the identity unless training sets it.
        self.register_buffer("shift", torch.zeros(layer_sizes[0]))
        self.register_buffer("scale", torch.ones(()))

    def standardize(self, x: Tensor) -> Tensor:
        """Move rows into the units of the network."""
        return (x - self.shift) / self.scale

    def hidden(self, x: Tensor, depth: int | None = None) -> list[Tensor]:
        """Outputs h1, ..., hM of the first ``depth`` encoder layers for standardised rows."""
        act = _ACTIVATIONS[self.activation]
        layers = []
        for layer in self.encoder[:depth]:
            x = act(layer(x))
            layers.append(x)
        return layers

    def decode(self, code: Tensor) -> Tensor:
        """Reconstruction of standardised rows from the last hidden layer."""
        act = _ACTIVATIONS[self.activation]
        last = len(self.decoder) - 1
        for i, layer in enumerate(self.decoder):
            code = layer(code)
            code = act(code) if i < last else _ACTIVATIONS[self.output_activation](code)
        return code

    def forward(self, rows: Tensor, n_anchors: int) -> tuple[Tensor, Tensor, Tensor]:
        """Encode all rows, reconstruct the first ``n_anchors``.

        Returns the standardised anchors, their reconstruction and the codes of all rows.
        """
        x = self.standardize(rows)
        codes = self.hidden(x)[-1]
        return x[:n_anchors], self.decode(codes[:n_anchors]), codes

    def weights(self) -> list[Tensor]:
        """All weight matrices, without biases: what R penalises (Eq. 3)."""
        return [layer.weight for layer in [*self.encoder, *self.decoder]]
