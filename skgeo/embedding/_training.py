"""Training of the network: skorch runs the loop, this module tells it what a step is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from ._batches import PairData, SampledBatches
from ._checkpoint import TrainingCheckpoint
from ._monitor import Monitor, Stop, Validate
from ._objective import GeoObjective, Terms, weight_decay
from ._optimizer import make_optimizer
from ._ranks import Alone, join_ranks

FloatArray = npt.NDArray[np.float64]


class _Net(NeuralNet):
    """skorch's net with a step that knows anchors from partners. Never leaves this module."""

    ranks: Alone

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        rows, info = batch
        self._set_training(True)
        objective = self.criterion_
        rows, n_anchors = self.ranks.deal(rows, info.n_anchors)
        with torch.autocast(self.device_type, torch.bfloat16, enabled=self.half):
            x, x_hat, codes = self.ranks.forward(rows.to(self.device), n_anchors)
        x, x_hat, codes = x.float(), x_hat.float(), self.ranks.join(codes.float())
        objective.follow(codes[: info.n_anchors].detach())
        same_area, easy_confusing = objective.pair_terms(
            codes, info.same_area, info.easy_confusing, info.crowd, info.n_anchors
        )
        reconstruction = self.ranks.reconstruction(objective, x, x_hat)
        terms = Terms(reconstruction, same_area, easy_confusing, self.decay_value)
        loss = objective.total(terms)
        self.ranks.backward(loss)
        # Summed where they are: reading them in every step would wait for the device.
        self.sums += info.n_anchors * torch.stack([*terms[:3], torch.ones_like(loss)]).detach()
        return {"loss": loss, "y_pred": codes}

    def start_epoch(self) -> None:
        """Forget the sums of the last epoch; the optimiser differentiates the decay itself."""
        with torch.no_grad():
            self.decay_value = weight_decay(self.module_.weights())
        self.sums = torch.zeros(4, dtype=torch.float64, device=self.device)

    def initialize_module(self) -> _Net:
        # Built by the estimator: skorch would otherwise initialise a copy of its own.
        self.module_ = self.module.to(self.device)
        return self

    def initialize_criterion(self) -> _Net:
        self.criterion_ = self.criterion.to(self.device)
        return self

    def initialize_optimizer(self, *_: Any, **__: Any) -> _Net:
        self.optimizer_ = self.make_optimizer(self.module_, self.lr)
        return self


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
    optimizer: str = "adam",
    learning_rate: float,
    schedule: str | None = "one-cycle",
    schedule_epochs: int | None = None,
    decay: float = 0.95,
    tol: float | None = None,
    validate: Validate | None = None,
    keep_start: bool = False,
    scores: list[FloatArray] | None = None,
    patience: int = 5,
    rng: np.random.Generator,
    device: str = "cpu",
    precision: str = "float32",
    callbacks: Sequence[tuple[str, Callback]] = (),
    bar: Any = None,
    checkpoint: TrainingCheckpoint | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Train a module in place.

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
    optimizer : {"adam", "sgd"}
        The torch optimiser.
    schedule : {"one-cycle", "decay"} or None
        Learning rate: one cycle over all steps, or multiplied by ``decay`` after each step.
    schedule_epochs : int or None
        Epochs that the cycle is made for, if it is to be cut short; None means ``max_epochs``.
    decay : float
        Factor of the "decay" schedule.
    validate : callable or None
        Scores held-out rows with the module after each epoch, higher is better; the best
        weights are kept and training stops after ``patience`` epochs without a better mean.
    keep_start : bool
        The start is a candidate, too: it is kept unless the best epoch scores better by more
        than a standard error.
    scores : list or None
        Filled with the scores of the held-out rows: of the start, if it is a candidate, and of
        each epoch.
    rng : numpy Generator
        Drives batches and partners.
    device : str
        Torch device.
    precision : {"float32", "bfloat16"}
        Of the products of matrices; weights, codes and the objective are float32.
    callbacks : sequence of (name, skorch callback)
        Passed on to skorch.
    bar : tqdm bar or None
        Updated once an epoch.
    checkpoint : TrainingCheckpoint or None
        Keeps the state after each epoch, and knows that of an earlier process.

    Returns
    -------
    history : list of dict
        One row an epoch: phase, epoch, terms, total, learning rate, seconds, validation score.
    best_epoch : int
        The epoch that the weights are of; 0 for the start.

    Raises
    ------
    FloatingPointError
        If the objective is no longer finite.
    KeyboardInterrupt
        If the user stops the training; says what is kept, and where.
    """
    rows: list[dict[str, Any]] = []
    state = None if checkpoint is None else checkpoint.begin(phase)
    log = Monitor(
        phase,
        rows,
        validate=validate,
        keep_start=keep_start,
        patience=patience,
        tol=tol,
        bar=bar,
        scores=scores,
        checkpoint=checkpoint,
    )
    if state is not None and state["start"] is not None:
        # Copied as the module is loaded from it: it may be on another device.
        log.start = state["start"][0].numpy(), state["start"][1]
    if checkpoint is not None and state is not None and state["finished"]:
        return checkpoint.skip(module, state, log.scores, bar)
    steps = (schedule_epochs or max_epochs) * -(-len(data) // batch_size)
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
    net.make_optimizer = make_optimizer(optimizer, objective.gamma, device)
    net.device_type = torch.device(device).type
    net.half = precision == "bfloat16"
    net.initialize()
    net.ranks = join_ranks(module, rng)
    net.notify("on_train_begin", X=data, y=None)
    if checkpoint is not None and state is not None:
        log.resume(net, state)
        checkpoint.restore_generators(state)
    try:
        net.fit_loop(data, epochs=max_epochs - len(rows))
    except Stop:
        pass
    except KeyboardInterrupt:
        raise _interrupted(f"epoch {len(rows) + 1} of {phase!r}", checkpoint) from None
    finally:
        net.notify("on_train_end", X=data, y=None)
        net.ranks.close()
    best = log.restore(module)
    if checkpoint is not None:
        end = {"rows": rows, "scores": log.scores, "start": None, "best_epoch": best}
        checkpoint.end(phase, {**end, "module": module.state_dict()})
    return rows, best


def _interrupted(when: str, checkpoint: TrainingCheckpoint | None) -> KeyboardInterrupt:
    """What the user is told who stops the training."""
    if checkpoint is None:
        return KeyboardInterrupt(
            f"Training was interrupted in {when}; nothing of it is kept. With checkpoint=FOLDER "
            "the same fit would go on from there."
        )
    checkpoint.flush()
    return KeyboardInterrupt(f"Training was interrupted in {when}. {checkpoint.where()}")
