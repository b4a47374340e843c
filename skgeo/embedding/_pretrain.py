"""Greedy layer-wise pre-training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._batches import PairData
from ._network import AutoEncoder
from ._objective import GeoObjective
from ._training import train


class _OneLayer(nn.Module):
    """One encoder layer and its mirror as an auto-encoder of the frozen layers below."""

    def __init__(self, network: AutoEncoder, layer: int) -> None:
        super().__init__()
        output = network.output_activation if layer == 0 else network.activation
        sizes = network.layer_sizes[layer : layer + 2]
        self.shallow = AutoEncoder(sizes, network.activation, output)
        # The layers themselves: training this module trains the network.
        self.shallow.noise = network.noise
        self.shallow.encoder[0] = network.encoder[layer]
        self.shallow.decoder[0] = network.decoder[len(network.decoder) - 1 - layer]
        self._below = (network, layer)  # in a tuple: not registered, not trained

    def below(self, rows: Tensor) -> Tensor:
        """Input of this layer."""
        network, layer = self._below
        with torch.no_grad():
            x = network.standardize(rows)
            return network.hidden(x, layer)[-1] if layer else x

    def forward(self, rows: Tensor, n_anchors: int) -> tuple[Tensor, Tensor, Tensor]:
        x, x_hat, codes = self.shallow(self.below(rows[:n_anchors]), n_anchors)
        return x, x_hat, codes

    def weights(self) -> list[Tensor]:
        return self.shallow.weights()


def pretrain(
    network: AutoEncoder,
    data: PairData,
    *,
    gamma: float,
    scale_free: bool,
    epochs: int,
    device: str,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Greedy layer-wise pre-training: each layer as an auto-encoder of the layer below.

    Without it the gradient of deep sigmoid and tanh networks vanishes on its way down.
    """
    history = []
    network.to(device)
    for layer in range(len(network.encoder)):
        one = _OneLayer(network, layer)
        size = network.layer_sizes[layer + 1]
        objective = GeoObjective(0.0, 0.0, gamma, scale_free=scale_free, margin=1.0, code_size=size)
        some = data.anchors[:: max(1, len(data) // 2048)]
        sample = torch.from_numpy(np.ascontiguousarray(data.X[some], dtype=np.float32))
        below = one.below(sample.to(device))
        # tanh codes are not centred: what the bias of the decoder can explain is no variance.
        variance = (below - below.mean(dim=0)).square().sum(dim=1).mean()
        objective.variance.copy_(torch.clamp(variance, min=1e-12))
        rows, _ = train(
            one,
            objective,
            PairData(data.X, anchors=data.anchors),
            phase=f"pretrain-{layer + 1}",
            max_epochs=epochs,
            device=device,
            **settings,
        )
        history += rows
    return history
