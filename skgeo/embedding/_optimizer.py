"""The optimiser, with the weight decay of Eq. (3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def make_optimizer(name: str, gamma: float, device: str) -> Callable[..., torch.optim.Optimizer]:
    """Optimiser of a module and a rate, which also descends gamma times the sum of squared weights.

    Its weight decay is that gradient (2 gamma W), made where the weights are read anyway. Biases
    are left out, as in Eq. (3).
    """

    def build(module: nn.Module, lr: float) -> torch.optim.Optimizer:
        weights: list[Tensor] = module.weights()  # type: ignore[operator]
        known = set(map(id, weights))
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": 2.0 * gamma},
            {"params": [p for p in module.parameters() if id(p) not in known]},
        ]
        if name == "sgd":
            return torch.optim.SGD(groups, lr=lr)
        fused = device.startswith(("cpu", "cuda"))
        return torch.optim.Adam(groups, lr=lr, fused=fused)

    return build
