"""Training that goes on after a kill: states at the ends of epochs, with all that comes after.

A state is weights, optimiser, schedule, random generators, the objective's running centre, the
best weights so far and the history. Training is deterministic from a state on: who goes on from
one ends with the bits of one go. A phase that is done leaves its end; the files of phases before
it are what brings the next start there again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

from .._checkpoint import Job, content_key
from ._ranks import from_first, is_first
from ._settings import Settings

State = dict[str, Any]

#: Settings that the bits of a training do not depend on.
_IRRELEVANT = ("verbose", "callbacks", "finetune_epochs")


def training_key(settings: Settings, seed: int, rng: np.random.Generator, *data: Any) -> str:
    """Digest of all that a training depends on."""
    values = {
        name: value
        for name, value in dataclasses.asdict(dataclasses.replace(settings, callbacks=None)).items()
        if name not in _IRRELEVANT
    }
    callbacks = [
        [str(name), type(callback).__module__, type(callback).__qualname__]
        for name, callback in settings.callbacks or ()
    ]
    return content_key(values, callbacks, seed, rng.bit_generator.state, *data)


class TrainingCheckpoint:
    """States of one training, phase by phase.

    Parameters
    ----------
    folder : path-like or None
        Where they are kept; None: in that of the whole job.
    key : callable
        Makes the `training_key`.
    rng : numpy Generator
        That of the training: put back where it was.
    device : str
        Whose generator is part of the state.
    verbose : int
        Above 0: tell where training goes on.
    """

    def __init__(
        self,
        folder: Any,
        key: Callable[[], str],
        rng: np.random.Generator,
        device: str,
        verbose: int = 0,
    ) -> None:
        self.job: Job | None = from_first(Job.open, folder, "training", key)
        self.rng = rng
        self.on_cuda = device.startswith("cuda")
        self.device = device
        self.verbose = verbose
        self.n_phases = 0
        self.pending: State | None = None
        self.kept: tuple[str, int] | None = None

    def begin(self, phase: str) -> State | None:
        """State to go on from in the next phase: its end, that of an epoch, or None."""
        self.n_phases += 1
        self.pending = None
        state = from_first(self._read)
        if state is None:
            return None
        self.kept = phase, len(state["rows"])
        if self.verbose and is_first() and not state["finished"]:
            epochs = len(state["rows"])
            print(  # noqa: T201  what verbose is for
                f"DGAETransformer: resumes {phase!r} at epoch {epochs + 1}, from the checkpoint."
            )
        return state

    def _read(self) -> State | None:
        assert self.job is not None
        state = self.job.read(self._part, _load)
        if state is None:
            state = self.job.read("epoch", _load)
        return None if state is None or state["number"] != self.n_phases else state

    @property
    def _part(self) -> str:
        return f"phase-{self.n_phases:03d}"

    def skip(
        self, module: nn.Module, state: State, scores: list[Any], bar: Any
    ) -> tuple[list[dict[str, Any]], int]:
        """Leave everything as the phase did that is done: what training returns."""
        load_weights(module, state)
        self.restore_generators(state)
        scores[:] = [one.numpy() for one in state["scores"]]
        if bar is not None:
            bar.update(len(state["rows"]))
        return state["rows"], state["best_epoch"]

    def restore_generators(self, state: State) -> None:
        """Let all random numbers go on where they were."""
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])
        if self.on_cuda and state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def _with_generators(self, phase: str, state: State, *, finished: bool) -> State:
        cuda = torch.cuda.get_rng_state(self.device) if self.on_cuda else None
        return {
            **state,
            "phase": phase,
            "number": self.n_phases,
            "finished": finished,
            "numpy": self.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
            "cuda": cuda,
        }

    def epoch(self, phase: str, state: State) -> None:
        """Keep the state at the end of an epoch; on the disk if that costs little."""
        if not is_first():
            return
        assert self.job is not None
        self.pending = _own(self._with_generators(phase, state, finished=False))
        if self.job.is_due:
            self.flush()

    def flush(self) -> None:
        """Write the last epoch's state, if it has not been."""
        if self.pending is not None and self.job is not None:
            state, self.pending = self.pending, None
            self.job.write("epoch", lambda file: torch.save(state, file))
            self.kept = state["phase"], len(state["rows"])

    def end(self, phase: str, state: State) -> None:
        """Keep how a phase ended."""
        if not is_first():
            return
        assert self.job is not None
        self.pending = None
        state = _own(self._with_generators(phase, state, finished=True))
        self.job.write(self._part, lambda file: torch.save(state, file))
        self.job.drop("epoch")
        self.kept = phase, len(state["rows"])

    def finish(self) -> None:
        """Remove the files: training is done."""
        if self.job is not None:
            self.job.finish()

    def where(self) -> str:
        """Say what is kept, and how to go on."""
        assert self.job is not None
        if self.kept is None:
            return f"No epoch is kept in {str(self.job.folder)!r} yet."
        phase, epochs = self.kept
        return (
            f"{epochs} epochs of {phase!r} are kept in {str(self.job.folder)!r}: the same fit, "
            "with the same data and parameters, goes on from there."
        )


def _load(file: BinaryIO) -> State:
    # weights_only: a file from elsewhere can hold no code.
    state: State = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _own(value: Any) -> Any:
    """Copy a state, on the CPU, with nothing in it but tensors and plain values."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _own(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_own(one) for one in value)
    return value


def plain_history(history: Any) -> list[dict[str, Any]]:
    """The history of skorch without what only lives in memory."""
    return [
        {name: value for name, value in row.items() if isinstance(value, int | float | str)}
        for row in history
    ]


def load_weights(module: nn.Module, state: State) -> None:
    """Put the weights of a state in place, on the device where they are wanted."""
    module.load_state_dict(state["module"])
