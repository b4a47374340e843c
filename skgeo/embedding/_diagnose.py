"""Warnings about a training that taught the network nothing, and what to change."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from ._network import BOUNDED, AutoEncoder
from ._photos import Photos
from ._representation import encode
from ._settings import Settings

FloatArray = npt.NDArray[np.float64]

#: Rows that are looked at.
_SAMPLE = 1024

#: Spread of the codes as a share of their size below which they are called collapsed.
_COLLAPSED = 1e-2

#: Share of a layer's outputs this near to a bound that is called saturated, and how near.
_SATURATED, _NEAR = 0.5, 0.01

#: Unexplained share of the variance above which nothing is called reconstructed.
_NOTHING = 0.98


def relative_spread(codes: npt.NDArray[Any]) -> float:
    """Root-mean-square distance of rows from their mean over their root-mean-square norm."""
    codes = codes.astype(np.float64)
    size = np.square(codes).sum(axis=1).mean()
    if size == 0.0:
        return 0.0
    return float(np.sqrt(np.square(codes - codes.mean(axis=0)).sum(axis=1).mean() / size))


def saturated_share(layer: npt.NDArray[Any], activation: str) -> float:
    """Share of the outputs of bounded units that lie at a bound; 0 for unbounded ones."""
    if activation not in BOUNDED:
        return 0.0
    low, high = (0.0, 1.0) if activation == "sigmoid" else (-1.0, 1.0)
    near = _NEAR * (high - low)
    return float(np.mean((layer < low + near) | (layer > high - near)))


def failures(
    network: AutoEncoder,
    X: npt.NDArray[Any],
    settings: Settings,
    reconstruction: float,
    variance: float,
) -> list[str]:
    """What went wrong, one message each, on some rows of a trained network.

    Parameters
    ----------
    network : AutoEncoder
        Trained.
    X : ndarray of shape (n, n_features)
        Rows that it was trained on.
    settings : Settings
        Resolved parameters.
    reconstruction : float
        The term J1 of the last epoch.
    variance : float
        Variance of the rows in the units of the network.

    Returns
    -------
    list of str
        Empty if all is well.
    """
    sample = X[:: max(1, len(X) // _SAMPLE)]
    if np.ptp(sample, axis=0).max() == 0.0:
        return []  # equal rows: there is nothing to learn, and nothing to blame
    chunks = [layers for _, layers in encode(network, sample)]
    layers = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    found = []
    spread = relative_spread(layers[-1])
    if spread < _COLLAPSED:
        found.append(
            f"The codes have collapsed: they differ by {spread:.1e} of their size. "
            + (
                "Lower alpha or gamma, raise beta, or use more pretrain_epochs."
                if settings.scale_free
                else "Sigmoid layers that hardly move do that: use pretrain_epochs, a higher "
                "learning_rate and a gamma of at most 1e-4, or objective='scale-free'."
            )
        )
    hidden = layers[: len(network.layer_sizes) - 1]
    for i, layer in enumerate(hidden, 1):
        share = saturated_share(layer, settings.activation)
        if share > _SATURATED:
            found.append(
                f"{share:.0%} of the outputs of hidden layer {i} are saturated, where gradients "
                "vanish. Scale the input (BlockScaler), or lower learning_rate."
            )
    unexplained = reconstruction if settings.scale_free else 2.0 * reconstruction / variance
    # On top of the linear layer the decoder is a regulariser and need not have got far.
    if unexplained > _NOTHING and not network.has_unit_codes:
        found.append(
            f"Nothing is reconstructed: {unexplained:.0%} of the variance of the input is left "
            "unexplained. "
            + (
                "Use more max_epochs or pretrain_epochs, or lower alpha, beta or gamma."
                if settings.scale_free
                else "Scale the input to 0..1, which output_activation='sigmoid' needs, lower "
                "gamma, raise learning_rate or max_epochs, or use objective='scale-free'."
            )
        )
    return found


def warn_of_failures(
    network: AutoEncoder,
    photos: Photos,
    settings: Settings,
    history: list[dict[str, Any]],
    best_epoch: int,
    variance: float,
) -> None:
    """Warn if a trained network has learned nothing."""
    if not history or best_epoch == 0:
        return  # the linear start as it was
    last = history[-1]["reconstruction"]
    for message in failures(network, photos.X, settings, last, variance):
        warnings.warn(message, ConvergenceWarning, stacklevel=4)
