"""Training of the network: skorch runs the loop, this module tells it what a step is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from ._batches import PairData, SampledBatches
from ._checkpoint import State, TrainingCheckpoint, load_weights, plain_history
from ._network import AutoEncoder
from ._objective import GeoObjective, Terms, weight_decay
from ._optimizer import make_optimizer
from ._ranks import Alone, join_ranks

FloatArray = npt.NDArray[np.float64]


class Validate(Protocol):
    """Scores held-out rows, one number each, and knows which of them belong together."""

    def __call__(self, module: nn.Module) -> FloatArray:
        """Scores, higher is better."""

    def standard_error(self, values: FloatArray) -> float:
        """Standard error of a mean over the held-out rows."""


class _Stop(Exception):  # noqa: N818 - it ends a loop, it is no error
    """Ends the training loop from within a callback."""


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


class _Log(Callback):
    """Collects one row for each epoch, validates, and decides when to stop."""

    def __init__(
        self,
        phase: str,
        rows: list[dict[str, Any]],
        *,
        validate: Validate | None,
        keep_start: bool,
        patience: int,
        tol: float | None,
        bar: Any,
        scores: list[FloatArray] | None,
        checkpoint: TrainingCheckpoint | None,
    ) -> None:
        self.scores = [] if scores is None else scores
        self.checkpoint = checkpoint
        self.phase = phase
        self.rows = rows
        self.validate = validate
        self.keep_start = keep_start
        self.patience = patience
        self.tol = tol
        self.bar = bar
        self.best_scores: FloatArray = np.full(1, -np.inf)
        self.best_state: dict[str, Tensor] | None = None
        self.best_epoch = 0
        self.start: tuple[FloatArray, dict[str, Tensor]] | None = None

    def on_train_begin(self, net: _Net, **_: Any) -> None:
        if self.validate is not None and self.keep_start and self.start is None:
            self.start = net.ranks.decide(self.validate, net.module_), _copy_state(net.module_)
            self.scores.append(self.start[0])

    def on_epoch_begin(self, net: _Net, **_: Any) -> None:
        net.start_epoch()

    def on_epoch_end(self, net: _Net, **_: Any) -> None:
        net.ranks.check()
        net.sums[0] = net.ranks.add_up(net.sums[0])
        sums = net.sums.cpu().numpy()
        means = [*(sums[:3] / sums[3]), float(net.decay_value)]
        terms = Terms(*(torch.tensor(v, dtype=torch.float64) for v in means))
        row: dict[str, Any] = {"phase": self.phase, "epoch": len(net.history)}
        row["total"] = float(net.criterion_.total(terms, with_decay=True))
        row |= {name: float(value) for name, value in terms._asdict().items()}
        row["learning_rate"] = net.history[-1]["batches"][-1].get("event_lr", net.lr)
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
            scores = net.ranks.decide(self.validate, net.module_)
            self.scores.append(scores)
            row["validation_score"] = float(scores.mean())
            if scores.mean() > self.best_scores.mean():
                self.best_scores, self.best_epoch = scores, row["epoch"]
                self.best_state = _copy_state(net.module_)
        if self.bar is not None:
            self.bar.set_description(self.phase)
            shown = {"J": row["total"], "J1": row["reconstruction"], "J2": row["same_area"]}
            shown["J3"] = row["easy_confusing"]
            if self.validate is not None:
                shown["score"] = row["validation_score"]
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()})
            self.bar.update()
        if self.is_over():
            raise _Stop
        if self.checkpoint is not None:
            self.checkpoint.epoch(self.phase, self.state(net))

    def is_over(self) -> bool:
        """Whether the last epoch is the last."""
        if self.tol is not None and len(self.rows) > 1:
            change = abs(self.rows[-1]["total"] - self.rows[-2]["total"])
            if change < self.tol:
                return True
        if self.validate is None:
            return False
        return bool(self.rows[-1]["epoch"] - self.best_epoch >= self.patience)

    def state(self, net: _Net) -> State:
        """All that the epochs to come depend on."""
        schedule = _schedule_of(net)
        return {
            "rows": self.rows,
            "scores": self.scores,
            "best_scores": self.best_scores,
            "best_state": self.best_state,
            "best_epoch": self.best_epoch,
            "start": self.start,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "schedule": None if schedule is None else schedule.state_dict(),
            "centre": net.criterion_.centre,
            "history": plain_history(net.history),
        }

    def resume(self, net: _Net, state: State) -> None:
        """Go on from a state of an earlier process."""
        device = net.device
        self.rows += state["rows"]
        self.scores[:] = [scores.numpy() for scores in state["scores"]]
        self.best_scores, self.best_epoch = state["best_scores"].numpy(), state["best_epoch"]
        if state["best_state"] is not None:
            self.best_state = {k: v.to(device) for k, v in state["best_state"].items()}
        load_weights(net.module_, state)
        net.optimizer_.load_state_dict(state["optimizer"])
        schedule = _schedule_of(net)
        if schedule is not None:
            schedule.load_state_dict(state["schedule"])
        net.criterion_.centre.copy_(state["centre"])
        for row in state["history"]:
            net.history.new_epoch()
            net.history[-1].update(row)
        if self.bar is not None:
            self.bar.update(len(self.rows))

    def restore(self, module: nn.Module) -> int:
        """Load the best weights; return the epoch that they are of, 0 for the start."""
        if self.best_state is None:
            return len(self.rows)
        if self.start is not None:
            assert self.validate is not None
            scores, state = self.start
            gain = self.best_scores - scores
            # The best of many epochs looks better than it is: it has to stand out.
            if gain.mean() <= self.validate.standard_error(gain):
                module.load_state_dict(state)
                return 0
        module.load_state_dict(self.best_state)
        return self.best_epoch


def _schedule_of(net: _Net) -> Any:
    """The torch scheduler under skorch's, if there is one."""
    return getattr(dict(net.callbacks_).get("schedule"), "lr_scheduler_", None)


def _copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in module.state_dict().items()}


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
    log = _Log(
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
    except _Stop:
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
