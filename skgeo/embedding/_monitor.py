"""What is noted after each epoch, and when training stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from ._checkpoint import State, TrainingCheckpoint, load_weights, plain_history
from ._objective import Terms

if TYPE_CHECKING:
    from ._training import _Net

FloatArray = npt.NDArray[np.float64]


class Validate(Protocol):
    """Scores held-out rows, one number each, and knows which of them belong together."""

    def __call__(self, module: nn.Module) -> FloatArray:
        """Scores, higher is better."""

    def standard_error(self, values: FloatArray) -> float:
        """Standard error of a mean over the held-out rows."""


class Stop(Exception):  # noqa: N818 - it ends a loop, it is no error
    """Ends the training loop from within a callback."""


class Monitor(Callback):
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
            self.start = net.ranks.decide(self.validate, net.module_), copy_state(net.module_)
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
                self.best_state = copy_state(net.module_)
        if self.bar is not None:
            self.bar.set_description(self.phase)
            shown = {"J": row["total"], "J1": row["reconstruction"], "J2": row["same_area"]}
            shown["J3"] = row["easy_confusing"]
            if self.validate is not None:
                shown["score"] = row["validation_score"]
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()})
            self.bar.update()
        if self.is_over():
            raise Stop
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
        schedule = schedule_of(net)
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
        schedule = schedule_of(net)
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


def schedule_of(net: _Net) -> Any:
    """The torch scheduler under skorch's, if there is one."""
    return getattr(dict(net.callbacks_).get("schedule"), "lr_scheduler_", None)


def copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in module.state_dict().items()}
