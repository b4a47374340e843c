"""Several processes train one network: each takes a part of every batch.

The objective compares the photos of a batch with each other, so parts of it cannot be trained on
apart. Each process encodes its rows, all get the codes of all, and each computes the objective of
the whole batch, which it differentiates by its own rows alone. The sum of these gradients over
the processes is the gradient of one process, whatever compares what.

Processes belong together when they are in a group of `torch.distributed`, which is made by
``accelerate.PartialState()`` in a script that ``accelerate launch`` or ``torchrun`` started.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from sklearn.utils import check_random_state
from torch import Tensor, nn

from ._network import AutoEncoder
from ._objective import GeoObjective

T = TypeVar("T")
IntArray = npt.NDArray[np.intp]

#: What the first process computes for all may take long. A process that dies is noticed at once,
#: for its connections close; this is for a machine that vanishes.
_PATIENCE = timedelta(days=1)

#: Rows of which the processes compare a digest.
_SAMPLE_ROWS = 256

_control: tuple[Any, Any] | None = None


def world_size() -> int:
    """How many processes train together; 1 without a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes, warns and decides."""
    return world_size() == 1 or dist.get_rank() == 0


def from_first(make: Callable[..., T], *args: Any) -> T:
    """What ``make(*args)`` returns, computed by the first process and given to the others.

    An error of the first process is raised in all.
    """
    if world_size() == 1:
        return make(*args)
    box: list[Any] = [None]
    if is_first():
        try:
            value = make(*args)
        except Exception as error:
            dist.broadcast_object_list([(None, _portable(error))], src=0, group=_control_group())
            raise
        dist.broadcast_object_list([(value, None)], src=0, group=_control_group())
        return value
    dist.broadcast_object_list(box, src=0, group=_control_group())
    if box[0][1] is not None:
        raise box[0][1]
    return box[0][0]


def common_seed(random_state: Any) -> int:
    """Draw a seed that all processes have in common."""
    largest = np.iinfo(np.int32).max
    return int(from_first(lambda: check_random_state(random_state).randint(largest)))


def check_same(name: str, array: npt.NDArray[Any]) -> None:
    """Raise where the processes were given different arrays (a sample of the rows is compared)."""
    if world_size() == 1:
        return
    rows = array[:: max(1, len(array) // _SAMPLE_ROWS)]
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()
    found = _gather((array.shape, str(array.dtype), digest))
    for rank, other in enumerate(found):
        if other != found[0]:
            raise ValueError(
                f"{name} is not the same in all processes: shape {other[0]} of {other[1]} in "
                f"process {rank}, {found[0][0]} of {found[0][1]} in process 0"
                + (", with other values" if other[:2] == found[0][:2] else "")
                + ". Each process is given all photos, in the same order."
            )


class Part(NamedTuple):
    """Which rows of a batch a process takes; the first ``n_anchors`` of them are anchors."""

    rows: IntArray
    n_anchors: int


def part_of_batch(n_rows: int, n_anchors: int, rank: int, size: int) -> Part:
    """Deal the anchors, and the other rows, as evenly as can be; a part may be empty."""
    first, last = (n_anchors * r // size for r in (rank, rank + 1))
    others = (n_anchors + (n_rows - n_anchors) * r // size for r in (rank, rank + 1))
    return Part(np.concatenate([np.arange(first, last), np.arange(*others)]), last - first)


class Alone:
    """One process: the whole batch is its part."""

    def __init__(self, module: nn.Module) -> None:
        self.forward: nn.Module = module

    def deal(self, rows: Tensor, n_anchors: int) -> tuple[Tensor, int]:
        """The rows of this process, and how many of them are anchors."""
        return rows, n_anchors

    def join(self, codes: Tensor) -> Tensor:
        """Codes of the whole batch from those of each process."""
        return codes

    def reconstruction(self, objective: GeoObjective, x: Tensor, x_hat: Tensor) -> Tensor:
        """What this process adds to the reconstruction term."""
        return objective.reconstruction(x, x_hat)

    def backward(self, loss: Tensor) -> None:
        """Leave the gradient of the whole batch in the parameters."""
        loss.backward()

    def add_up(self, value: Tensor) -> Tensor:
        """Sum over the processes."""
        return value

    def decide(self, make: Callable[..., T], *args: Any) -> T:
        """What the first process finds holds for all."""
        return make(*args)

    def check(self) -> None:
        """Raise if the weights are not the same everywhere."""

    def close(self) -> None:
        """Leave the module as it was."""


class Together(Alone):
    """One of several processes.

    All start from the weights and the random numbers of the first.

    Parameters
    ----------
    module : nn.Module
        Trained in place, on the device where it is.
    rng : numpy Generator
        Draws the batches; set to the state of the first process.
    """

    def __init__(self, module: nn.Module, rng: np.random.Generator) -> None:
        self.rank, self.size = dist.get_rank(), world_size()
        self.module = module
        self.networks = [m for m in module.modules() if isinstance(m, AutoEncoder)]
        device = next(module.parameters()).device
        on_cuda = device.type == "cuda"
        on_device = torch.cuda.get_rng_state(device) if on_cuda else None
        drawn = rng.bit_generator.state, torch.get_rng_state(), on_device
        numbers, on_cpu, on_device = from_first(lambda: drawn)
        rng.bit_generator.state = numbers
        torch.set_rng_state(on_cpu)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
        # Buffers do not change in training; the centre of the objective follows all codes.
        replicate = nn.parallel.DistributedDataParallel
        newer = "forward_sync_buffers" in inspect.signature(replicate.__init__).parameters
        unsynced: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
        self.forward = replicate(module, **unsynced)
        self._attached: list[Tensor] = []

    def deal(self, rows: Tensor, n_anchors: int) -> tuple[Tensor, int]:
        self.n_rows, self.n_anchors = len(rows), n_anchors
        self.part = part_of_batch(self.n_rows, n_anchors, self.rank, self.size)
        self.index = torch.from_numpy(self.part.rows)
        for network in self.networks:
            network.draw_noise = self._draw_noise
        return rows[self.index], self.part.n_anchors

    def _draw_noise(self, x: Tensor) -> Tensor:
        """Noise of all rows, of which this process uses its own: as one process would draw it."""
        whole = torch.randn(self.n_rows, x.shape[1], dtype=x.dtype, device=x.device)
        return whole[self.index.to(x.device)]

    def join(self, codes: Tensor) -> Tensor:
        # A sum with zeros is exact, takes parts of any length, and is there for every device.
        index = self.index.to(codes.device)
        whole = codes.new_zeros(self.n_rows, codes.shape[1])
        whole[index] = codes.detach()
        dist.all_reduce(whole)
        self._attached = [codes]
        return whole.index_copy(0, index, codes)

    def reconstruction(self, objective: GeoObjective, x: Tensor, x_hat: Tensor) -> Tensor:
        self._attached.append(x_hat)
        if not len(x):
            return x_hat.sum()
        return objective.reconstruction(x, x_hat) * (len(x) / self.n_anchors)

    def backward(self, loss: Tensor) -> None:
        # DistributedDataParallel averages where a sum is due, and waits for the gradient of every
        # weight: also of those that an empty part or a weight of 0 leaves out.
        attached = sum((0.0 * tensor.sum() for tensor in self._attached), loss.new_zeros(()))
        (self.size * loss + attached).backward()

    def add_up(self, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    def decide(self, make: Callable[..., T], *args: Any) -> T:
        return from_first(make, *args)

    def check(self) -> None:
        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
        found = _gather(digest.hexdigest())
        if len(set(found)) > 1:
            odd = [rank for rank, other in enumerate(found) if other != found[0]]
            raise RuntimeError(
                f"the weights of processes {odd} differ from those of process 0: they no longer "
                "train one network. Are the machines and their libraries of one kind?"
            )

    def close(self) -> None:
        for network in self.networks:
            network.draw_noise = torch.randn_like


def join_ranks(module: nn.Module, rng: np.random.Generator) -> Alone:
    """All processes of the group; this process alone where there is none."""
    return Alone(module) if world_size() == 1 else Together(module, rng)


def _gather(value: Any) -> list[Any]:
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value, group=_control_group())
    return found


def _control_group() -> Any:
    """A group beside the one of the gradients, on the CPU and more patient."""
    global _control
    world = dist.group.WORLD
    if _control is None or _control[0] is not world:
        _control = world, dist.new_group(backend="gloo", timeout=_PATIENCE)
    return _control[1]


def _portable(error: Exception) -> Exception:
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__} in process 0: {error}")
    return error
