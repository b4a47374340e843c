"""A few steps on new photos, from a trained network (section 4.6 of the paper)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ._batches import SampledBatches
from ._network import AutoEncoder
from ._phases import History, make_objective, step_settings
from ._photos import Photos
from ._settings import Settings
from ._training import train

IntArray = npt.NDArray[np.intp]

#: Step of `finetune` as a share of the peak learning rate of the full training: the codes must
#: not run away from those of the gallery.
_FINETUNE_RATE = 0.1


def finetune(
    network: AutoEncoder,
    photos: Photos,
    anchors: IntArray,
    centre: npt.NDArray[np.float64],
    variance: float,
    settings: Settings,
    rng: np.random.Generator,
) -> History:
    """Take small steps on some rows of a trained network, in place (section 4.6)."""
    data = photos.data(photos.X, settings)
    data.anchors = anchors
    network.noise = settings.noise
    objective = make_objective(settings, variance, network)
    objective.centre.copy_(torch.from_numpy(centre))
    steps = step_settings(settings, len(data))
    steps.update(
        batches=SampledBatches,
        schedule=None,
        learning_rate=settings.learning_rate * _FINETUNE_RATE,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        history, _ = train(
            network,
            objective,
            data,
            phase="partial",
            max_epochs=settings.finetune_epochs,
            rng=rng,
            **steps,
        )
    network.cpu().eval()
    return history
