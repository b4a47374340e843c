"""The estimator over networks: images in, layers out, names, errors, batches."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import threading
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from urllib.error import URLError

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from torch import nn

from skgeo.features import CNNFeatures
from skgeo.features._cnn_images import central_square
from skgeo.images import ImageError


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads of torch that wait for each other on busy cores make these tests ten times slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class Net(nn.Module):
    """A network of the usual kinds of layers; one works in place and is used twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(2, 2)
        self.flat = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.fc = nn.Linear(24, 5)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        return self.fc(self.drop(self.flat(self.relu(self.second(x)))))


def make_net(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net()


@pytest.fixture
def net():
    return make_net()


@pytest.fixture(scope="module")
def small(pictures):
    """A cheap network, for what does not depend on the network."""
    return CNNFeatures(make_net(), image_size=32).fit(pictures)


@pytest.fixture(scope="module")
def default(pictures):
    return CNNFeatures().fit(pictures)


def as_input(images, size=32, crop=0.875, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    squares = np.stack([central_square(i, 0, image_size=size, crop=crop) for i in images])
    x = (squares / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32))


# --- images ---------------------------------------------------------------------------------


def bicubic(n_pixels, start, side, size):
    """Weights of pixels in each of `size` equal parts of the interval, summed one by one."""
    weights = np.zeros((size, n_pixels))
    scale = max(side / size, 1.0)
    for out in range(size):
        centre = start + (out + 0.5) * side / size
        for pixel in range(n_pixels):
            t = abs(pixel + 0.5 - centre) / scale
            if t < 1:
                weights[out, pixel] = 1.5 * t**3 - 2.5 * t**2 + 1
            elif t < 2:
                weights[out, pixel] = -0.5 * (t**3 - 5 * t**2 + 8 * t - 4)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(64, 80), (81, 63), (20, 24), (64, 64)])
@pytest.mark.parametrize("size", [56, 14, 33])
def test_the_square_is_cut_from_the_centre(height, width, size):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    side = 0.875 * min(height, width)
    rows = bicubic(height, (height - side) / 2, side, size)
    columns = bicubic(width, (width - side) / 2, side, size)
    expected = np.einsum("ai,ijc,bj->abc", rows, image, columns).clip(0, 255)
    found = central_square(image, 0, image_size=size, crop=0.875)
    # Pillow rounds and clips after each of the two directions.
    assert np.abs(found - expected).mean() < 1.5
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    if (height, width, size) == (64, 80, 56):
        np.testing.assert_array_equal(found, image[4:60, 12:68])  # nothing to interpolate


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (37, 53), (90, 31)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_squares_of_any_image(shape, dtype):
    rng = np.random.default_rng(0)
    image = rng.random((*shape, 3)).astype(np.float32)
    image = image if dtype == np.float32 else (image * 255).astype(np.uint8)
    found = central_square(image, 0, image_size=20, crop=0.9)
    assert found.shape == (20, 20, 3)
    assert found.dtype == np.uint8
    mirrored = central_square(np.ascontiguousarray(image[:, ::-1]), 0, image_size=20, crop=0.9)
    assert np.abs(mirrored[:, ::-1].astype(int) - found).max() <= 1
    flat = np.full_like(image, 0.25 if dtype == np.float32 else 64)
    assert (central_square(flat, 0, image_size=20, crop=0.9) == 64).all()


def test_fine_patterns_are_averaged():
    board = (np.indices((300, 300)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    found = central_square(board, 0, image_size=20, crop=1.0)
    assert np.abs(found.astype(int) - 127).max() <= 2


def test_reduced_decoding_hardly_changes_the_features(tmp_path, make, default):
    path = tmp_path / "large.jpg"
    Image.fromarray(make(1100, 1400)).save(path, quality=92)
    rows = [clone(default).set_params(reduced_decoding=reduced).fit_transform([path])[0]
            for reduced in (False, True)]  # fmt: skip
    assert not np.array_equal(rows[0], rows[1])
    assert np.corrcoef(rows)[0, 1] > 0.95


# --- layers ---------------------------------------------------------------------------------


def test_the_output_of_a_module(small, net, pictures):
    with torch.inference_mode():
        expected = net.eval()(as_input(pictures))
    X = small.transform(pictures)
    assert X.shape == (len(pictures), 5)
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, expected, atol=1e-5)


def test_every_layer_gives_what_it_gave_before_others_worked_on_it(net, pictures):
    net.eval()
    with torch.inference_mode():
        x = as_input(pictures)
        conv = net.conv(x)
        norm = net.norm(conv)
        first = torch.relu(norm)
        second = net.second(first)
        last = torch.relu(second)
        flat = net.flat(last)
        expected = {
            "conv": conv, "norm": norm, "second": second, "relu": last, "drop": flat,
            "flat.0": last.reshape(len(x), 6, 2, 16, 2, 16).mean(dim=(3, 5)), "flat": flat,
            "fc": net.fc(flat),
        }  # fmt: skip
    for layer, values in expected.items():
        pooled = values.mean(dim=(2, 3)) if values.ndim == 4 else values
        model = CNNFeatures(net, layer=layer, image_size=32).fit(pictures)
        X = model.transform(pictures)
        np.testing.assert_allclose(X, pooled, atol=1e-5, err_msg=layer)
        assert len(model.get_feature_names_out()) == X.shape[1]


def test_layers_behind_the_tap_are_not_run(pictures):
    class Counting(nn.Module):
        runs = 0

        def forward(self, x):
            Counting.runs += 1
            return x

    net = nn.Sequential(nn.Conv2d(3, 2, 3), Counting())
    model = CNNFeatures(net, layer="0", image_size=16).fit(pictures)
    Counting.runs = 0
    assert model.transform(pictures).shape == (len(pictures), 2)
    assert Counting.runs == 0


def test_tokens_are_averaged(pictures):
    class Tokens(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2)

    X = CNNFeatures(Tokens(), image_size=16).fit_transform(pictures)
    np.testing.assert_allclose(X, as_input(pictures, 16).mean(dim=(2, 3)), atol=1e-5)


def test_networks_that_flatten_by_view_run_as_well(pictures):
    class View(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.fc = nn.Linear(4 * 14 * 14, 3)

        def forward(self, x):
            return self.fc(self.conv(x).view(len(x), -1))

    net = View()
    with torch.inference_mode():
        expected = net(as_input(pictures, 16))
    found = CNNFeatures(net, image_size=16).fit_transform(pictures)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_layers_of_the_built_in_network(pictures, default):
    X = default.transform(pictures[:2])
    assert X.shape == (2, 1280)
    model = CNNFeatures(layer="pool").fit(pictures)
    np.testing.assert_allclose(model.transform(pictures[:2]), X, atol=1e-5)
    for layer, width in (("stem", 32), ("blocks.10", 112), ("head", 1280), ("classifier", 1000)):
        assert CNNFeatures(layer=layer).fit_transform(pictures[:1]).shape == (1, width)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("secnd", r"layer='secnd' names no module .* \['second'\]"),
        ("", r"layer='' names no module .*'conv'"),
        ("unused", "'unused' is a module of the backbone that its forward never uses"),
    ],
)
def test_wrong_layers(net, pictures, layer, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(net, layer=layer, image_size=32).fit(pictures)


class Gives(nn.Module):
    """Gives what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: {"features": x}, "the backbone gives dict and no tensor"),
        (lambda x: x.sum(), r"gives the shape \(\) for 2 images"),
        (lambda x: x[:1], r"gives the shape \(1, 3, 32, 32\) for 2 images"),
        (lambda x: x[:, :0], r"gives the shape \(2, 0, 32, 32\)"),
        (lambda x: x @ torch.zeros(5, 5), r"does not run .*\(2, 3, 32, 32\).*image_size"),
    ],
)
def test_networks_that_give_no_rows(pictures, function, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(Gives(function), image_size=32).fit(pictures)


def test_a_network_that_takes_another_way_is_refused(pictures):
    class Way(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Identity()

        def forward(self, x):
            return x if x.shape[0] == 1 else self.part(x)

    model = CNNFeatures(Way(), layer="part", image_size=16).fit(pictures)
    with pytest.raises(RuntimeError, match="called layer 'part' 0 times"):
        model.transform(pictures[:1])


def test_output_that_is_not_finite_is_refused():
    X = [np.full((9, 9, 3), value, dtype=np.uint8) for value in (10, 255, 0, 255)]
    model = CNNFeatures(Gives(torch.log), image_size=8, mean=[0] * 3, std=[1] * 3).fit(X)
    assert np.isfinite(model.transform(X[:2])).all()
    with pytest.raises(ValueError, match=r"X\[2\]: the backbone's output holds NaN or infinity"):
        model.transform(X)


# --- the user's module ----------------------------------------------------------------------


def test_the_module_of_the_user_stays_as_it_is(net, pictures):
    net.train().double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    X = CNNFeatures(net, image_size=32).fit_transform(pictures)
    assert X.dtype == np.float32
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not net.fc._forward_hooks


def test_clones_and_copies(small, pictures, tmp_path):
    expected = small.transform(pictures)
    copy = clone(small)
    assert copy.backbone is not small.backbone
    np.testing.assert_array_equal(copy.fit_transform(pictures), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(small)).transform(pictures), expected)
    joblib.dump(small, tmp_path / "model.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "model.joblib").transform(pictures), expected
    )


def test_the_built_in_network_travels_without_its_package(default, pictures, monkeypatch):
    expected = default.transform(pictures[:2])
    data = pickle.dumps(default)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    np.testing.assert_array_equal(pickle.loads(data).transform(pictures[:2]), expected)


# --- libraries ------------------------------------------------------------------------------


@pytest.fixture
def libraries(monkeypatch):
    """Stand-ins for torchvision and timm, which need not be installed."""
    fetched = []
    broken = {"error": None}

    def build(name, library):
        fetched.append((library, name))
        if broken["error"] is not None:
            raise broken["error"]
        net = make_net()
        if name == "squeeze":
            net.fc, net.unused = nn.Identity(), nn.Identity()
        return net

    class Transforms:
        crop_size, resize_size = [28], [32]
        mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]

    class Detection:
        pass

    class Weights:
        def __init__(self, name):
            self.name = name
            self.DEFAULT = self

        def transforms(self):
            return Detection() if self.name == "boxes" else Transforms()

    torchvision, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.list_models = lambda: ["alexnet", "boxes", "both", "squeeze"]
    models.get_model_weights = Weights

    def get_model(name, weights):
        assert weights.name == name
        return build(name, "torchvision")

    models.get_model = get_model
    torchvision.models = models
    timm = types.ModuleType("timm")
    timm.list_models = lambda: ["tokens", "both", "wide"]

    def create_model(name, *, pretrained, num_classes=None):
        assert pretrained
        net = build(name, "timm")
        if num_classes == 0:
            net.fc = nn.Identity()
        return net

    def resolve_model_data_config(net):
        assert isinstance(net, Net)
        wide = fetched[-1][1] == "wide"
        return {"input_size": (3, 20, 30 if wide else 20), "crop_pct": 1.0,
                "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}  # fmt: skip

    timm.create_model = create_model
    timm.data = types.SimpleNamespace(resolve_model_data_config=resolve_model_data_config)
    for module in (torchvision, models, timm):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return types.SimpleNamespace(fetched=fetched, broken=broken)


def test_a_name_of_torchvision(libraries, net, pictures):
    """By default what goes into the last linear layer, on images as the weights want them."""
    model = CNNFeatures("alexnet").fit(pictures)
    assert libraries.fetched == [("torchvision", "alexnet")]
    assert model.preprocessing_ == (28, 0.875, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    x = as_input(pictures, 28, 0.875, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    flat = CNNFeatures("alexnet", layer="flat").fit_transform(pictures)
    with torch.inference_mode():
        logits = net.eval()(x)
        expected = net.flat(torch.relu(net.second(torch.relu(net.norm(net.conv(x))))))
    np.testing.assert_allclose(model.transform(pictures), expected, atol=1e-5)
    np.testing.assert_allclose(flat, expected, atol=1e-5)
    X = CNNFeatures("torchvision:alexnet", layer="fc").fit_transform(pictures)
    np.testing.assert_allclose(X, logits, atol=1e-5)


def test_a_name_of_timm(libraries, pictures):
    model = CNNFeatures("tokens").fit(pictures)
    assert model.preprocessing_ == (20, 1.0, (0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    assert model.transform(pictures).shape == (len(pictures), 24)
    assert CNNFeatures("tokens", layer="fc").fit_transform(pictures).shape == (len(pictures), 5)
    assert CNNFeatures("tokens.v1_in1k").fit(pictures).module_ is not None
    assert libraries.fetched[-1] == ("timm", "tokens.v1_in1k")


def test_a_name_of_both_is_torchvisions_unless_it_says(libraries, pictures):
    CNNFeatures("both").fit(pictures)
    CNNFeatures("timm:both").fit(pictures)
    assert libraries.fetched == [("torchvision", "both"), ("timm", "both")]


@pytest.mark.usefixtures("libraries")
def test_settings_win_over_those_of_the_weights(pictures):
    model = CNNFeatures("alexnet", image_size=20, crop=0.5, mean=[0, 0, 0], std=(1, 1, 1))
    assert model.fit(pictures).preprocessing_ == (20, 0.5, (0, 0, 0), (1, 1, 1))


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alexnett", r"'alexnett' is not among the 7 networks .*\['alexnet'\]"),
        ("timm:alexnet", r"'timm:alexnet' is not among the 3 networks of timm"),
        ("keras:alexnet", r"'keras' is no library"),
        ("efficientnet_lite", r"Did you mean one of \['efficientnet_lite0'\]"),
        ("boxes", "boxes does not classify single images"),
        ("squeeze", "squeeze has no linear layer.*layer="),
        ("wide", "20 x 30 pixels"),
    ],
)
def test_wrong_names(pictures, name, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(name).fit(pictures)


@pytest.mark.parametrize("name", ["torchvision:both", "timm:both"])
def test_weights_that_cannot_be_fetched(libraries, pictures, name):
    libraries.broken["error"] = URLError("no network")
    with pytest.raises(OSError, match=r"both cannot be fetched \(URLError.*no network.*copied"):
        CNNFeatures(name).fit(pictures)


def test_a_library_that_cannot_be_imported(pictures, monkeypatch, tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('no such operator')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"cannot be imported \(RuntimeError: no such operator"):
        CNNFeatures("alexnet").fit(pictures)


def test_without_libraries_the_error_names_them(pictures, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"torchvision or timm.*pip install torchvision"):
        CNNFeatures("alexnet").fit(pictures)
    with pytest.raises(ImportError, match="pip install timm"):
        CNNFeatures("timm:resnet18").fit(pictures)


@pytest.mark.usefixtures("libraries")
def test_only_one_library_is_there(pictures, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "timm" else found(name))  # fmt: skip
    with pytest.raises(ValueError, match="Others are known to timm, which is not installed"):
        CNNFeatures("tokens").fit(pictures)


# --- collections, batches, workers ----------------------------------------------------------


def test_every_form_of_the_same_photos(small, pictures, tmp_path):
    expected = small.transform(pictures)
    paths = []
    for number, image in enumerate(pictures):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    for X in (
        paths, pd.Series(map(str, paths)), [path.read_bytes() for path in paths],
        (image for image in pictures), [Image.fromarray(image) for image in pictures],
    ):  # fmt: skip
        np.testing.assert_array_equal(small.transform(X), expected)
    model = clone(small)
    np.testing.assert_array_equal(model.fit_transform(iter(pictures)), expected)


def test_rows_do_not_depend_on_the_batch_but_by_rounding(default, pictures):
    expected = default.transform(pictures)
    np.testing.assert_array_equal(default.transform(pictures), expected)
    scale = np.abs(expected).max()
    for batch_size in (1, 3, 100):
        model = pickle.loads(pickle.dumps(default)).set_params(batch_size=batch_size)
        np.testing.assert_allclose(model.transform(pictures), expected, atol=1e-5 * scale, rtol=0)
    np.testing.assert_allclose(
        default.transform(pictures[::-1])[::-1], expected, atol=1e-5 * scale, rtol=0
    )


def test_the_number_of_workers_does_not_change_a_bit(small, pictures):
    X = pictures * 12  # more than a portion
    expected = small.transform(X)
    for n_jobs in (2, -1):
        model = pickle.loads(pickle.dumps(small)).set_params(n_jobs=n_jobs)
        np.testing.assert_array_equal(model.transform(X), expected)
        np.testing.assert_array_equal(model.transform(iter(X)), expected)


def test_images_are_read_a_batch_at_a_time(pictures):
    """Memory must not hold all images of an iterator at once."""

    class Watching(nn.Module):
        read = 0
        seen: tuple[int, ...] = ()

        def forward(self, x):
            Watching.seen = (*Watching.seen, Watching.read)
            return x

    model = CNNFeatures(Watching(), image_size=8, batch_size=3).fit(pictures)
    Watching.seen = ()

    def stream():
        for image in pictures:
            Watching.read += 1
            yield image

    model.transform(stream())
    assert Watching.seen == (3, 6, 8)


def test_on_the_cpu_the_network_takes_small_steps(pictures):
    class Watching(nn.Module):
        seen: tuple[int, ...] = ()

        def forward(self, x):
            Watching.seen = (*Watching.seen, len(x))
            return x

    model = CNNFeatures(Watching(), image_size=8).fit(pictures)
    Watching.seen = ()
    model.transform([*pictures, pictures[0]])
    assert Watching.seen == (4, 4, 1)


def test_threads_may_share_a_network(small, pictures):
    model = clone(small).set_params(layer="second").fit(pictures)
    expected = model.transform(pictures)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(model.transform(pictures * 3)))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for rows in results:
        np.testing.assert_array_equal(rows, np.tile(expected, (3, 1)))


def test_bad_images(small, pictures, tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    X = [*pictures[:3], tmp_path / "text.jpg", None, *pictures[3:]]
    with pytest.raises(ImageError, match=r"X\[3\]: .*text\.jpg"):
        small.transform(X)
    for settings in ({"batch_size": 2}, {"n_jobs": 2}, {}):
        model = pickle.loads(pickle.dumps(small)).set_params(on_error="nan", **settings)
        with pytest.warns(UserWarning, match=r"2 of 10 images .*NaN.*X\[3\]") as caught:
            rows = model.transform(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert np.isnan(rows[3:5]).all()
        np.testing.assert_allclose(np.delete(rows, [3, 4], axis=0), small.transform(pictures),
                                   atol=1e-5)  # fmt: skip
    with pytest.warns(UserWarning, match="1 of 1"):
        rows = pickle.loads(pickle.dumps(small)).set_params(on_error="nan").transform([None])
    assert rows.shape == (1, 5)
    with pytest.raises(TypeError, match=r"X\[1\]: .*int is no image"):
        small.transform([pictures[0], 3])


def test_collections_that_are_none(small):
    for X in ([], iter(())):
        with pytest.raises(ValueError, match="0 images"):
            small.transform(X)
    with pytest.raises(ValueError, match=r"single image, 'a\.jpg'"):
        clone(small).fit("a.jpg")
    with pytest.raises(NotFittedError):
        CNNFeatures().transform([np.zeros((2, 2))])


# --- the rest of the contract ---------------------------------------------------------------


@pytest.mark.parametrize("parameters", [
    {"backbone": nn.Identity}, {"backbone": 3}, {"layer": 3}, {"batch_size": 0},
    {"device": "abacus"}, {"device": "cuda:99"}, {"device": "meta"}, {"image_size": 0},
    {"crop": 0}, {"crop": 1.1}, {"mean": [1, 2]}, {"mean": "red"}, {"mean": [0, 0, np.nan]},
    {"std": [1, 1, 0]}, {"reduced_decoding": 2}, {"on_error": "skip"}, {"n_jobs": 1.5},
])  # fmt: skip
def test_wrong_parameters(net, pictures, parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        CNNFeatures(**{"backbone": net, **parameters}).fit(pictures)


def test_settings_change_what_they_say(net, pictures):
    settings = {"crop": 0.6, "mean": (0.1, 0.2, 0.3), "std": (0.9, 0.8, 0.7)}
    with torch.inference_mode():
        expected = net.eval()(as_input(pictures, 24, *settings.values()))
    X = CNNFeatures(net, image_size=24, **settings).fit_transform(pictures)
    np.testing.assert_allclose(X, expected, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_where_the_device_is_missing_the_cpu_gives_the_answer(small, pictures):
    model = pickle.loads(pickle.dumps(small)).set_params(device="cuda")
    np.testing.assert_array_equal(model.transform(pictures), small.transform(pictures))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu(default, pictures):
    expected = default.transform(pictures)
    model = clone(default).set_params(device="cuda").fit(pictures)
    X = model.transform(pictures)
    np.testing.assert_allclose(X, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(model.transform(pictures), X)
    assert next(model.module_.parameters()).device.type == "cpu"


def test_names_and_frames(small, pictures):
    assert list(small.get_feature_names_out()) == [f"cnn_{i}" for i in range(5)]
    model = clone(small).set_output(transform="pandas").fit(pictures)
    series = pd.Series(pictures, index=[f"photo{i}" for i in range(len(pictures))])
    frame = model.transform(series)
    assert list(frame.columns) == list(model.get_feature_names_out())
    assert list(frame.index) == list(series.index)
    np.testing.assert_array_equal(frame.to_numpy(), small.transform(pictures))


def test_a_search_over_layers(small, pictures):
    pipe = Pipeline([("cnn", clone(small)), ("knn", KNeighborsRegressor(n_neighbors=1))])
    search = GridSearchCV(pipe, {"cnn__layer": ["conv", "flat", None]}, cv=2)
    y = np.arange(len(pictures), dtype=float)
    np.testing.assert_allclose(search.fit(pictures, y).predict(pictures), y)


def test_progress_bar(capsys, small, pictures):
    pickle.loads(pickle.dumps(small)).set_params(verbose=1).transform(pictures)
    shown = capsys.readouterr().err
    assert "cnn" in shown
    assert "8/8" in shown
    small.transform(pictures)
    assert capsys.readouterr().err == ""


def test_photos_of_one_building_are_near_each_other(shared_data: Path, default):
    table = pd.read_csv(shared_data / "sf_landmarks" / "metadata.csv").iloc[:80]
    X = default.transform([shared_data / "sf_landmarks" / name for name in table["filename"]])
    place = np.deg2rad(table[["lat", "lon"]].to_numpy())
    place[:, 1] *= np.cos(place[0, 0])
    metres = 6371004 * euclidean_distances(place)
    np.fill_diagonal(metres, np.inf)
    distances = euclidean_distances(X)
    np.fill_diagonal(distances, np.inf)
    chance = (metres <= 100).sum() / (len(X) * (len(X) - 1))
    assert (metres[np.arange(len(X)), distances.argmin(axis=1)] <= 100).mean() > 3 * chance
