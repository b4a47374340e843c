"""What a layer of a network makes of images: find the layer, run as far as it, pool."""

from __future__ import annotations

import difflib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ._cnn_images import Preprocessing

__all__ = ["CPU_STEP", "Tap", "TappedNetwork", "find_tap"]

#: Images that a thread of the CPU takes through the network at once. The activations of many more
#: leave the caches, and the time for an image grows by a third.
CPU_STEP = 4


class Tap(NamedTuple):
    """Where a network is tapped, as found out by a trial run."""

    #: Name of a module; None is the network's output.
    layer: str | None
    #: Whether the module's input is taken and not its output.
    before: bool
    #: Which call of the module counts, from 1: its last, where a module is used several times.
    call: int
    #: Whether images may be laid out with the channels last, which is faster.
    channels_last: bool
    n_columns: int


class _Reached(Exception):  # noqa: N818, the way out of a network and no error
    """Carries the activations out of the network, whose further layers are not needed."""


def find_tap(
    module: nn.Module, preprocessing: Preprocessing, layer: str | None, classifier: str | None
) -> Tap:
    """Run a network on two black images to see what a layer gives.

    Parameters
    ----------
    module : Module
        In evaluation mode. Its convolutions are brought to the layout that will be used.
    preprocessing : Preprocessing
        Size and scale of the images.
    layer : str or None
        Name of the module whose output is wanted.
    classifier : str or None
        Without ``layer``, name of the module whose input is wanted.

    Returns
    -------
    Tap
        With the width that was found.

    Raises
    ------
    ValueError
        If there is no such layer, the network does not run, or what it gives is no tensor of 2 to
        4 axes, the first of which counts the images.
    """
    names = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
    if layer is not None and layer not in names:
        close = difflib.get_close_matches(layer, names, n=3) or names[:10]
        raise ValueError(
            f"layer={layer!r} names no module of the backbone, which has {len(names)}; "
            f"did you mean one of {close}?"
        )
    name, before = (classifier, True) if layer is None else (layer, False)
    size = preprocessing.image_size
    images = np.zeros((2, size, size, 3), dtype=np.uint8)
    for channels_last in (True, False):
        form = torch.channels_last if channels_last else torch.contiguous_format
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                part.to(memory_format=form)  # type: ignore[call-overload]
        tap = Tap(name, before and name is not None, 0, channels_last, 0)
        try:
            output, calls = _trial(module, tap, _as_input(images, preprocessing, tap, "cpu"))
        except Exception as error:
            # Networks that flatten by `view` demand the channels first.
            if channels_last:
                continue
            raise ValueError(
                f"the backbone does not run on an input of shape (2, 3, {size}, {size}) "
                f"({type(error).__name__}: {error}). Does it need another image_size?"
            ) from error
        break
    if name is not None and calls == 0:
        raise ValueError(f"layer={name!r} is a module of the backbone that its forward never uses.")
    what = f"layer {name!r} of the backbone" if name is not None else "the backbone"
    pooled = _pool(output, 2, what)
    return tap._replace(call=calls, n_columns=pooled.shape[1])


class TappedNetwork:
    """A network that is run on images as far as the tap; a context, to be left when done.

    Parameters
    ----------
    module : Module
        In evaluation mode, on the device.
    tap : Tap
        What `find_tap` found.
    preprocessing : Preprocessing
        Size and scale of the images.
    device : str
        Where to run. On the CPU the images of a batch are shared out among threads in steps of
        `CPU_STEP`, and a layer is split among threads only where there are fewer steps than
        threads: threads that wait for each other after every layer cost more than they bring.
    batch_size : int
        The most images that will be passed at once.
    """

    def __init__(
        self,
        module: nn.Module,
        tap: Tap,
        preprocessing: Preprocessing,
        device: str,
        batch_size: int,
    ) -> None:
        self._module = module
        self._tap = tap
        self._preprocessing = preprocessing
        self._device = device
        self._batch_size = batch_size

    def __enter__(self) -> TappedNetwork:
        self._local = threading.local()
        self._n_threads = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None
        self._handle: Any = None
        if self._tap.layer is not None:
            self._handle = _hook(self._module, self._tap, self._leave)
        workers = min(self._n_threads, -(-self._batch_size // CPU_STEP))
        if self._device == "cpu" and workers > 1:
            share = self._n_threads // workers
            self._pool = ThreadPoolExecutor(workers, "skgeo", torch.set_num_threads, (share,))
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.remove()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            # What a thread sets for itself is also what threads to come begin with.
            torch.set_num_threads(self._n_threads)

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Describe images.

        Parameters
        ----------
        images : ndarray of shape (n, image_size, image_size, 3)
            RGB, uint8.

        Returns
        -------
        ndarray of shape (n, n_columns)
            float32. Maps are averaged over their pixels, and tokens over the tokens.
        """
        if self._device != "cpu":
            # The default algorithms may change from run to run, and round to 10 bits.
            with torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ):
                return self._step(images)
        steps = [images[start : start + CPU_STEP] for start in range(0, len(images), CPU_STEP)]
        run: Any = map if self._pool is None else self._pool.map
        return np.concatenate(list(run(self._step, steps)))

    def _step(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            x = _as_input(images, self._preprocessing, self._tap, self._device)
            output = _pool(self._run(x), len(images), "the backbone")
            values: npt.NDArray[np.float32] = output.float().cpu().numpy()
        return values

    def _run(self, x: torch.Tensor) -> Any:
        if self._tap.layer is None:
            return self._module(x)
        self._local.calls = 0
        try:
            self._module(x)
        except _Reached as reached:
            return reached.args[0]
        finally:
            calls, self._local.calls = self._local.calls, None
        raise RuntimeError(
            f"the backbone called layer {self._tap.layer!r} {calls} times, and {self._tap.call} "
            "times when it was tried in fit; a network must take the same way for all images."
        )

    def _leave(self, _: nn.Module, inputs: tuple[Any, ...], output: Any = None) -> None:
        calls = getattr(self._local, "calls", None)
        if calls is None:
            return  # Somebody else's run of the same network.
        self._local.calls = calls + 1
        if self._local.calls == self._tap.call:
            raise _Reached(inputs[0] if self._tap.before else output)


def _as_input(
    images: npt.NDArray[np.uint8], preprocessing: Preprocessing, tap: Tap, device: str
) -> torch.Tensor:
    # Travels to the device as bytes; seen with the channels in second place it is channels-last.
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
    mean, std = (
        torch.tensor(values, dtype=torch.float64).mul_(255).float().to(device).view(1, 3, 1, 1)
        for values in (preprocessing.mean, preprocessing.std)
    )
    x.sub_(mean).div_(std)
    return x if tap.channels_last else x.contiguous()


def _trial(module: nn.Module, tap: Tap, x: torch.Tensor) -> tuple[Any, int]:
    """Run the whole network; return what the tap's last call gave, and the number of calls."""
    if tap.layer is None:
        with torch.inference_mode():
            return module(x), 0
    seen: list[Any] = []
    calls = 0

    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any = None) -> None:
        nonlocal calls
        value = inputs[0] if tap.before else output
        # Layers behind may work in place.
        seen.append(value.clone() if isinstance(value, torch.Tensor) else value)
        del seen[:-1]
        calls += 1

    handle = _hook(module, tap, note)
    try:
        with torch.inference_mode():
            module(x)
    finally:
        handle.remove()
    return (seen[0] if seen else None), calls


def _hook(module: nn.Module, tap: Tap, function: Any) -> Any:
    assert tap.layer is not None
    part = module.get_submodule(tap.layer)
    if tap.before:
        return part.register_forward_pre_hook(function)
    return part.register_forward_hook(function)


def _pool(output: Any, n_images: int, what: str) -> torch.Tensor:
    """Average maps over their pixels and tokens over the tokens."""
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"{what} gives {type(output).__name__} and no tensor; tap another layer by layer=."
        )
    shape = tuple(output.shape)
    if output.ndim not in (2, 3, 4) or shape[0] != n_images or 0 in shape:
        raise ValueError(
            f"{what} gives the shape {shape} for {n_images} images; expected (n, columns), "
            "(n, tokens, columns) or (n, columns, height, width)."
        )
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    return output.mean(dim=1) if output.ndim == 3 else output
