"""Training of the network: skorch runs the loop, this module tells it what a step is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from ._batches import PairData, SampledBatches
from ._network import AutoEncoder
from ._objective import GeoObjective, Terms, weight_decay

#: How fast the running centre of the codes follows the batches.
_CENTRE_MOMENTUM = 0.1


class _Stop(Exception):  # noqa: N818 - it ends a loop, it is no error
    """Ends the training loop from within a callback."""


class _Net(NeuralNet):
    """skorch's net with a step that knows anchors from partners. Never leaves this module."""

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        rows, info = batch
        self._set_training(True)
        x, x_hat, codes = self.module_(rows.to(self.device), info.n_anchors)
        objective = self.criterion_
        anchor_codes = codes[: info.n_anchors].detach()
        objective.centre.lerp_(anchor_codes.mean(dim=0), _CENTRE_MOMENTUM)
        same_area, easy_confusing = objective.pair_terms(codes, *info[1:])
        terms = Terms(
            objective.reconstruction(x, x_hat),
            same_area,
            easy_confusing,
            weight_decay(self.module_.weights()),
        )
        loss = objective.total(terms)
        loss.backward()
        for name, value in terms._asdict().items():
            self.history.record_batch(name, float(value.detach()))
        return {"loss": loss, "y_pred": codes}

    def initialize_module(self) -> _Net:
        # Built by the estimator: skorch would otherwise initialise a copy of its own.
        self.module_ = self.module.to(self.device)
        return self

    def initialize_criterion(self) -> _Net:
        self.criterion_ = self.criterion.to(self.device)
        return self


class _Log(Callback):
    """Collects one row for each epoch, validates, and decides when to stop."""

    def __init__(
        self,
        phase: str,
        rows: list[dict[str, Any]],
        *,
        validate: Callable[[nn.Module], float] | None,
        patience: int,
        tol: float | None,
        bar: Any,
    ) -> None:
        self.phase = phase
        self.rows = rows
        self.validate = validate
        self.patience = patience
        self.tol = tol
        self.bar = bar
        self.best_score = -np.inf
        self.best_state: dict[str, Tensor] | None = None
        self.since_best = 0

    def on_epoch_end(self, net: _Net, **_: Any) -> None:
        batches = net.history[-1]["batches"]
        sizes = np.array([b["train_batch_size"] for b in batches], dtype=float)
        row: dict[str, Any] = {"phase": self.phase, "epoch": len(net.history)}
        for key, name in (("train_loss", "total"), *((f, f) for f in Terms._fields)):
            row[name] = float(np.average([b[key] for b in batches], weights=sizes))
        row["learning_rate"] = batches[-1].get("event_lr", net.lr)
        row["seconds"] = float(net.history[-1]["dur"])
        # What was read of the batches is in the row: a long training keeps no more than that.
        net.history[-1]["batches"].clear()
        self.rows.append(row)
        if not np.isfinite(row["total"]):
            raise FloatingPointError(
                f"The objective is {row['total']} in epoch {row['epoch']} of {self.phase}: "
                "training diverged. Lower learning_rate, alpha or beta, or scale the input "
                "(BlockScaler)."
            )
        if self.validate is not None:
            row["validation_score"] = score = self.validate(net.module_)
            if score > self.best_score:
                self.best_score, self.since_best = score, 0
                self.best_state = {
                    k: v.detach().clone() for k, v in net.module_.state_dict().items()
                }
            else:
                self.since_best += 1
        if self.bar is not None:
            self.bar.set_description(self.phase)
            shown = {"J": row["total"], "J1": row["reconstruction"], "J2": row["same_area"]}
            shown["J3"] = row["easy_confusing"]
            if self.validate is not None:
                shown["score"] = row["validation_score"]
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()})
            self.bar.update()
        own = [r for r in self.rows if r["phase"] == self.phase]
        if self.tol is not None and len(own) > 1:
            change = abs(own[-1]["total"] - own[-2]["total"])
            if change < self.tol:
                raise _Stop
        if self.validate is not None and self.since_best >= self.patience:
            raise _Stop


def train(
    module: nn.Module,
    objective: GeoObjective,
    data: PairData,
    *,
    phase: str,
    max_epochs: int,
    batches: type = SampledBatches,
    batch_size: int,
    n_partners: int = 1,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    learning_rate: float,
    schedule: str | None = "one-cycle",
    decay: float = 0.95,
    tol: float | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    patience: int = 5,
    rng: np.random.Generator,
    device: str = "cpu",
    callbacks: Sequence[tuple[str, Callback]] = (),
    bar: Any = None,
) -> list[dict[str, Any]]:
    """Train a module in place and return one row of history for each epoch.

    Parameters
    ----------
    module : nn.Module
        Called with rows and the number of anchors, as `AutoEncoder.forward`.
    objective : GeoObjective
        Weighs the terms; its running centre is updated.
    data : PairData
        Rows and pairs.
    phase : str
        Name of this phase in the history.
    max_epochs, batch_size, n_partners, learning_rate, tol, patience
        As in `DGAETransformer`.
    batches : type
        `SampledBatches` or `FullBatch`.
    optimizer : type
        Class of the torch optimiser.
    schedule : {"one-cycle", "decay"} or None
        Learning rate: one cycle over all steps, or multiplied by ``decay`` after each step.
    decay : float
        Factor of the "decay" schedule.
    validate : callable or None
        Scores the module after each epoch, higher is better; the best weights are kept and
        training stops after ``patience`` epochs without a better score.
    rng : numpy Generator
        Drives batches and partners.
    device : str
        Torch device.
    callbacks : sequence of (name, skorch callback)
        Passed on to skorch.
    bar : tqdm bar or None
        Updated once an epoch.

    Returns
    -------
    list of dict
        Phase, epoch, terms, total, learning rate, seconds and validation score.

    Raises
    ------
    FloatingPointError
        If the objective is no longer finite.
    """
    rows: list[dict[str, Any]] = []
    log = _Log(phase, rows, validate=validate, patience=patience, tol=tol, bar=bar)
    steps = max_epochs * -(-len(data) // batch_size)
    all_callbacks: list[tuple[str, Callback]] = []
    if schedule == "one-cycle" and steps > 1:
        all_callbacks.append(
            (
                "schedule",
                LRScheduler(
                    torch.optim.lr_scheduler.OneCycleLR,
                    max_lr=learning_rate,
                    # One more than the steps taken: the scheduler steps after the last one too.
                    total_steps=steps + 1,
                    step_every="batch",
                ),
            )
        )
    elif schedule == "decay":
        all_callbacks.append(
            (
                "schedule",
                LRScheduler(
                    torch.optim.lr_scheduler.ExponentialLR, gamma=decay, step_every="batch"
                ),
            )
        )
    net = _Net(
        module,
        criterion=objective,
        optimizer=optimizer,
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        train_split=None,
        iterator_train=batches,
        iterator_train__n_partners=n_partners,
        iterator_train__rng=rng,
        iterator_train__device=device,
        callbacks=[*all_callbacks, *callbacks, ("log", log)],
        callbacks__print_log=None,
        callbacks__valid_loss=None,
        verbose=0,
        device=device,
    )
    net.initialize()
    net.notify("on_train_begin", X=data, y=None)
    try:
        net.fit_loop(data)
    except _Stop:
        pass
    finally:
        net.notify("on_train_end", X=data, y=None)
    if log.best_state is not None:
        module.load_state_dict(log.best_state)
    return rows


class _OneLayer(nn.Module):
    """One encoder layer and its mirror as an auto-encoder of the frozen layers below."""

    def __init__(self, network: AutoEncoder, layer: int) -> None:
        super().__init__()
        output = network.output_activation if layer == 0 else network.activation
        sizes = network.layer_sizes[layer : layer + 2]
        self.shallow = AutoEncoder(sizes, network.activation, output)
        # The layers themselves: training this module trains the network.
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
        history += train(
            one,
            objective,
            PairData(data.X, anchors=data.anchors),
            phase=f"pretrain-{layer + 1}",
            max_epochs=epochs,
            device=device,
            **settings,
        )
    return history
