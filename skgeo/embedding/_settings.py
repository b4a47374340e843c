"""Parameters of the auto-encoder's training with every "auto" replaced by what it stands for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import torch

from .._validation import HasMethods, Interval, StrOptions
from ._network import BOUNDED

#: What "auto" stands for under each objective.
AUTO: dict[str, dict[str, Any]] = {
    "scale-free": {
        "activation": "tanh",
        "pair_loss": "multi-similarity",
        "output_activation": "identity",
        "pair_weighting": "pairs",
        "pretrain_epochs": 8,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "tol": None,
        "early_stopping": True,
    },
    "paper": {
        "activation": "sigmoid",
        "pair_loss": "hinge",
        "output_activation": "sigmoid",
        "pair_weighting": "k",
        "pretrain_epochs": 0,
        "batch_size": "full",
        "learning_rate": 0.1,
        "tol": 1e-6,
        "early_stopping": False,
    },
}

_ACTIVATIONS = StrOptions({"auto", "sigmoid", "tanh", "relu", "identity"})

#: scikit-learn's parameter constraints of `DGAETransformer`.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like"],
    "alpha": [Interval(Real, 0.0, None, closed="left")],
    "beta": [Interval(Real, 0.0, None, closed="left")],
    "gamma": [Interval(Real, 0.0, None, closed="left")],
    "objective": [StrOptions({"scale-free", "paper"})],
    "pairs": [HasMethods(["fit"]), None],
    "init": [StrOptions({"auto", "marginal-fisher", "pretrain"}), HasMethods(["fit"])],
    "output": [StrOptions({"auto", "concat", "hidden", "code"})],
    "activation": [_ACTIVATIONS],
    "output_activation": [_ACTIVATIONS],
    "pair_loss": [StrOptions({"auto", "multi-similarity", "hinge"})],
    "margin": [Interval(Real, 0.0, 4.0, closed="right"), StrOptions({"auto"})],
    "temperature": [Interval(Real, 0.0, None, closed="neither")],
    "pair_weighting": [StrOptions({"auto", "pairs", "k"})],
    "noise": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
    "pretrain_epochs": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto", "full"})],
    "n_partners": [Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
    "tol": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"}), None],
    "refit": ["boolean"],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "replay_size": [Interval(Integral, 0, None, closed="left"), None],
    "finetune_epochs": [Interval(Integral, 1, None, closed="left")],
    "device": [str],
    "precision": [StrOptions({"float32", "bfloat16"})],
    "callbacks": ["array-like", None],
    "checkpoint": [str, os.PathLike, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


@dataclass(frozen=True)
class Settings:
    """Resolved parameters of `DGAETransformer`; its docstring says what they mean."""

    hidden_layer_sizes: tuple[int, ...]
    alpha: float
    beta: float
    gamma: float
    objective: str
    output: str
    activation: str
    output_activation: str
    pair_loss: str
    margin: float
    temperature: float
    pair_weighting: str
    noise: float
    pretrain_epochs: int
    max_epochs: int
    batch_size: int | str
    n_partners: int
    learning_rate: float
    tol: float | None
    early_stopping: bool
    refit: bool
    validation_fraction: float
    n_iter_no_change: int
    finetune_epochs: int
    device: str
    precision: str
    callbacks: Sequence[Any] | None
    verbose: int

    @property
    def scale_free(self) -> bool:
        """Whether the objective is the scale-free form of Eq. (4)."""
        return self.objective == "scale-free"

    @property
    def geo_constrained(self) -> bool:
        """Whether there is a pair term at all."""
        return self.alpha > 0 or self.beta > 0


def resolve_settings(estimator: Any, *, linear_start: bool = False) -> Settings:
    """Replace every "auto" of an estimator's parameters, and refuse what cannot work.

    ``linear_start`` says whether the network starts from the linear layer, on which some depend.

    Raises
    ------
    ValueError
        If the layer widths are no positive integers, if the paper's objective would be unbounded
        below or is to have a form that it has not, or if the device cannot be used.
    """
    auto = AUTO[estimator.objective] | {"output": "concat", "margin": "auto", "noise": 0.0}
    if linear_start:
        auto |= {"output": "code", "pretrain_epochs": 0, "noise": 0.5}
    values = {}
    for field in fields(Settings):
        value = getattr(estimator, field.name)
        is_auto = isinstance(value, str) and value == "auto"
        values[field.name] = auto[field.name] if is_auto else value
    if values["margin"] == "auto":
        values["margin"] = 0.5 if values["pair_loss"] == "multi-similarity" else 1.0
    sizes = list(values["hidden_layer_sizes"])
    integers = all(isinstance(s, Integral) and not isinstance(s, bool) for s in sizes)
    if not sizes or not integers or min(sizes) < 1:
        raise ValueError(
            "hidden_layer_sizes must hold the width of at least one layer, integers of at least "
            f"1; got {sizes}."
        )
    values["hidden_layer_sizes"] = tuple(map(int, sizes))
    settings = Settings(**values)
    if not settings.scale_free and settings.beta > 0 and settings.activation not in BOUNDED:
        raise ValueError(
            "objective='paper' subtracts the distances of the easy-confusing pairs, which is "
            f"unbounded below for activation={settings.activation!r}. Use a bounded activation "
            f"({', '.join(sorted(BOUNDED))}), beta=0, or objective='scale-free'."
        )
    if not settings.scale_free and settings.pair_loss != "hinge":
        raise ValueError(
            f"pair_loss={settings.pair_loss!r} belongs to objective='scale-free'; Eq. (4), "
            "objective='paper', has a form of its own: leave it at 'auto'."
        )
    try:
        torch.zeros((), device=settings.device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={settings.device!r} cannot be used here: {error}") from error
    return settings
