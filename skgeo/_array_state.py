"""Torch modules that are stored as NumPy arrays, so that files hold neither torch nor devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["ArrayStateModule"]


class ArrayStateModule(nn.Module):
    """A module whose state, in pickles and model files, is arguments and arrays.

    A pickle of it loads on a machine without the device that it was trained on, and files of
    `skgeo.persistence` can hold it. Copies are made on the CPU. Hooks are not kept.
    """

    def init_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``__init__`` that make a module of the same shape."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Take the module apart."""
        arrays = {name: t.detach().cpu().numpy() for name, t in self.state_dict().items()}
        return {"arguments": self.init_arguments(), "arrays": arrays, "training": self.training}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Put it together again."""
        # Without memory nothing is drawn at random, from the user's generator at that.
        with torch.device("meta"):
            type(self).__init__(self, **state["arguments"])
        # Copied: arrays of a file may be read-only, and training writes in place.
        tensors = {name: torch.from_numpy(np.array(a)) for name, a in state["arrays"].items()}
        self.load_state_dict(tensors, assign=True)
        self.train(bool(state["training"]))
