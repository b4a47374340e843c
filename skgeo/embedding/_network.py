"""The auto-encoder as a torch module: M encoder layers and M mirrored decoder layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .._array_state import ArrayStateModule

_ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
}

#: Activations whose output is bounded, so that distances between codes are as well.
BOUNDED = frozenset({"sigmoid", "tanh"})


class AutoEncoder(ArrayStateModule):
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
        #: Standard deviation of the noise that the encoder sees while training.
        self.noise = 0.0
        #: Draws it: processes that share a batch draw it as one would.
        self.draw_noise: Callable[[Tensor], Tensor] = torch.randn_like
        # What is reconstructed is (x - shift) / scale; the identity unless training sets it.
        self.register_buffer("shift", torch.zeros(layer_sizes[0]))
        self.register_buffer("scale", torch.ones(()))

    def init_arguments(self) -> dict[str, Any]:
        """Arguments that make a network of the same shape."""
        return {
            "layer_sizes": list(self.layer_sizes),
            "activation": self.activation,
            "output_activation": self.output_activation,
        }

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Widths of the blocks that a photo can be represented by: its vector, h1, ..., hM."""
        return self.layer_sizes

    @property
    def has_unit_codes(self) -> bool:
        """Whether the codes are of unit length as they come."""
        return False

    def standardize(self, x: Tensor) -> Tensor:
        """Move rows into the units of the network."""
        return (x - self.shift) / self.scale

    def corrupt(self, x: Tensor) -> Tensor:
        """Rows with noise while training, as they are afterwards (a denoising auto-encoder)."""
        if not (self.training and self.noise):
            return x
        return x + self.noise * self.draw_noise(x)

    def blocks(self, x: Tensor) -> list[Tensor]:
        """What represents standardised rows, without their vectors; the code comes last."""
        return self.hidden(x)

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
        codes = self.hidden(self.corrupt(x))[-1]
        return x[:n_anchors], self.decode(codes[:n_anchors]), codes

    def weights(self) -> list[Tensor]:
        """All weight matrices, without biases: what R penalises (Eq. 3)."""
        return [layer.weight for layer in [*self.encoder, *self.decoder]]


class LinearLayer(nn.Module):
    """A fitted linear geo-constrained layer: rows to ``z / |z|`` with ``z = A (x - mean)``.

    It is not trained. The map is kept in float64 whatever the network works in, so that a start
    ranks as the layer does.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, mean: npt.NDArray[np.float64], components: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("components", torch.tensor(components, dtype=torch.float64))

    def __getstate__(self) -> dict[str, Any]:
        return {"mean": self.mean.cpu().numpy(), "components": self.components.cpu().numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LinearLayer.__init__(self, state["mean"], state["components"])
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        z = (rows - self.mean.to(rows)) @ self.components.to(rows).T
        return nn.functional.normalize(z, dim=1, eps=1e-12)


class ResidualAutoEncoder(AutoEncoder):
    """An auto-encoder on top of the linear layer, whose code starts as the linear layer's.

    Its input is z, the unit vectors that the linear layer gives. Its code is
    ``normalize(z + U_1 h_1 + ... + U_M h_M)`` with every U zero before training: training can only
    add. All hidden layers take part, so that a narrow last one, from which the decoder
    reconstructs z, is no bottleneck of the code.

    Parameters
    ----------
    layer_sizes, activation, output_activation
        As for `AutoEncoder`; the first size is that of z.
    """

    def __init__(self, layer_sizes: Sequence[int], activation: str, output_activation: str) -> None:
        super().__init__(layer_sizes, activation, output_activation)
        self.correction = nn.Linear(sum(layer_sizes[1:]), layer_sizes[0])
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        #: Where rows become z. None while training, for which z is computed once.
        self.below: LinearLayer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Take the network apart, the layer below as a part of its own."""
        below, self.below = self.below, None
        try:
            return {**super().__getstate__(), "below": below}
        finally:
            self.below = below

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Put it together again."""
        super().__setstate__(state)
        self.below = state["below"]

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Widths of the vector of a photo, h1, ..., hM, and the code."""
        size = self.layer_sizes[0]
        n_features = size if self.below is None else len(self.below.mean)
        return (n_features, *self.layer_sizes[1:], size)

    @property
    def has_unit_codes(self) -> bool:
        """Whether the codes are of unit length as they come."""
        return True

    def standardize(self, x: Tensor) -> Tensor:
        """Rows to z, in the units of the network."""
        return super().standardize(x if self.below is None else self.below(x))

    def code(self, x: Tensor, layers: list[Tensor]) -> Tensor:
        """The code from standardised z and the hidden layers."""
        z = x * self.scale + self.shift
        added = self.correction(torch.cat(layers, dim=1))
        return nn.functional.normalize(z + added, dim=1, eps=1e-12)

    def blocks(self, x: Tensor) -> list[Tensor]:
        """Outputs h1, ..., hM and the code, for standardised z."""
        layers = self.hidden(x)
        return [*layers, self.code(x, layers)]

    def forward(self, rows: Tensor, n_anchors: int) -> tuple[Tensor, Tensor, Tensor]:
        """Encode all rows, reconstruct z of the first ``n_anchors``."""
        x = self.standardize(rows)
        layers = self.hidden(self.corrupt(x))
        return x[:n_anchors], self.decode(layers[-1][:n_anchors]), self.code(x, layers)

    def weights(self) -> list[Tensor]:
        """All weight matrices, without biases."""
        return [*super().weights(), self.correction.weight]
