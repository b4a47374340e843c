"""Model files: the same model back, and nothing loaded that nobody vouches for."""

from __future__ import annotations

import json
import os
import pickle
import stat
import zipfile

import joblib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline

import skgeo.persistence._model_file as model_file
from skgeo import (
    BlockScaler,
    DGAETransformer,
    InconsistencyPairs,
    KNNGeoRegressor,
    LowLevelFeatures,
    MarginalFisherTransformer,
    POIMeanShift,
    RandomGeoRegressor,
)
from skgeo.datasets import make_geo_world
from skgeo.persistence import (
    ModelFileError,
    ModelVersionWarning,
    UntrustedTypeError,
    inspect_model,
    load_model,
    save_model,
)
from skgeo.persistence._trust import is_trusted

pytest.importorskip("skops")


@pytest.fixture(scope="module")
def world():
    return make_geo_world(random_state=0)


def small_network():
    layer = MarginalFisherTransformer(weighting="uniform", exponent=0.5)
    return DGAETransformer((8, 4), init=layer, max_epochs=12, random_state=0)


@pytest.mark.parametrize(
    "embedding",
    [
        "passthrough",
        MarginalFisherTransformer(),
        small_network(),
        small_network().set_params(init="pretrain"),
    ],
    ids=["none", "linear", "on the linear layer", "pretrained"],
)
def test_a_pipeline_answers_as_before(world, embedding, tmp_path):
    pipeline = Pipeline(
        [("scale", BlockScaler()), ("dgae", embedding), ("knn", KNNGeoRegressor("mean-shift"))]
    ).fit(world.data, world.coordinates)
    info = save_model({"pipeline": pipeline, "names": ["a", "b"]}, tmp_path / "m.skgeo")
    assert info.untrusted_types == []
    back = load_model(tmp_path / "m.skgeo")
    assert back["names"] == ["a", "b"]
    new = world.data[:50] + np.float32(0.01)
    np.testing.assert_array_equal(back["pipeline"].predict(new), pipeline.predict(new))


@pytest.mark.parametrize(
    "estimator",
    [
        POIMeanShift(),
        POIMeanShift(5.0, metric="haversine"),
        InconsistencyPairs(),
        RandomGeoRegressor(random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_every_kind_of_part(world, estimator, tmp_path):
    if isinstance(estimator, POIMeanShift):
        estimator.fit(world.coordinates)
    else:
        estimator.fit(world.data, world.coordinates)
    save_model(estimator, tmp_path / "m.skgeo")
    back = load_model(tmp_path / "m.skgeo")
    assert back.get_params().keys() == estimator.get_params().keys()
    for name, value in vars(estimator).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(vars(back)[name], value)


def test_features_of_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    features = LowLevelFeatures(texton_dictionary="blue-marble").fit(images)
    save_model(features, tmp_path / "f.skgeo")
    np.testing.assert_array_equal(
        load_model(tmp_path / "f.skgeo").transform(images), features.transform(images)
    )


def fitted():
    return KNNGeoRegressor().fit([[0.0], [3.0]], [[48.9, 2.3], [52.5, 13.4]])


def test_says_what_it_holds(tmp_path):
    save_model(fitted(), tmp_path / "m.skgeo", description="Two photos")
    info = inspect_model(tmp_path / "m.skgeo")
    assert info.description == "Two photos"
    assert info.model_class == "skgeo.neighbors._knn.KNNGeoRegressor"
    assert info.model_class in info.types
    assert {"skgeo", "scikit-learn", "numpy", "python"} <= set(info.versions)
    assert len(info.digest) == 64


def test_neither_replaced_nor_half_written(tmp_path):
    path = tmp_path / "m.skgeo"
    save_model(fitted(), path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_model(fitted(), path)
    with pytest.raises(TypeError, match="cannot be written without code"):
        save_model([fitted(), (i for i in range(3))], path, overwrite=True)
    with pytest.raises(TypeError, match="<lambda>"):
        save_model([fitted(), lambda x: x], path, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.skgeo"]
    save_model(fitted(), path, overwrite=True)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_pickles_are_not_opened(tmp_path):
    for name, write in (
        ("a.joblib", lambda p: joblib.dump(fitted(), p)),
        ("b.joblib", lambda p: joblib.dump(fitted(), p, compress=3)),
        ("c.pkl", lambda p: p.write_bytes(pickle.dumps(fitted()))),
    ):
        write(tmp_path / name)
        with pytest.raises(ModelFileError, match="pickle"):
            load_model(tmp_path / name)


class Exploit:
    """Writes a file when a pickle of it is loaded."""

    def __init__(self, path):
        self.path = path

    def __setstate__(self, state):
        with open(state["path"], "w") as file:
            file.write("ran")


def test_unknown_types_are_refused_before_anything_runs(tmp_path):
    trace = tmp_path / "trace"
    save_model([fitted(), Exploit(str(trace))], tmp_path / "m.skgeo")
    name = f"{Exploit.__module__}.Exploit"
    assert inspect_model(tmp_path / "m.skgeo").untrusted_types == [name]
    with pytest.raises(UntrustedTypeError, match="Exploit"):
        load_model(tmp_path / "m.skgeo")
    assert not trace.exists()
    load_model(tmp_path / "m.skgeo", trusted=[name])
    assert trace.exists()


def test_no_pickle_hides_in_a_model(world, tmp_path, monkeypatch):
    from skorch.callbacks import EpochScoring

    network = small_network().set_params(callbacks=[("score", EpochScoring(len))])
    network.fit(world.data, world.coordinates)
    with pytest.raises(TypeError, match="set callbacks=None"):
        save_model(network, tmp_path / "m.skgeo")
    # Nor does one that somebody has put there by other means.
    monkeypatch.setattr(model_file, "CODE_TYPES", frozenset())
    info = save_model(network, tmp_path / "m.skgeo")
    assert info.untrusted_types == ["skgeo.embedding._pack.Packed"]
    with pytest.raises(UntrustedTypeError, match="Packed"):
        load_model(tmp_path / "m.skgeo")
    network.set_params(callbacks=None)
    save_model(network, tmp_path / "m.skgeo", overwrite=True)
    back = load_model(tmp_path / "m.skgeo")
    np.testing.assert_array_equal(back.transform(world.data), network.transform(world.data))


def test_functions_of_skgeo_are_no_trusted_types():
    assert is_trusted("skgeo.cluster._poi.POIMeanShift")
    assert not is_trusted("skgeo._pipeline.make_geo_pipeline")
    assert not is_trusted("skgeo.persistence._model_file.os")
    assert not is_trusted("skgeo.persistence._model_file.Path")
    assert not is_trusted("skgeo.nothing.Here")
    assert not is_trusted("os.system")


def rewrite(source, destination, change):
    """Copy a model file with one member changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(destination, "w") as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)


def test_damage_is_told(tmp_path):
    path, other = tmp_path / "m.skgeo", tmp_path / "other.skgeo"
    save_model(fitted(), path)

    def flip(name, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if name.endswith(".npy") else data

    rewrite(path, other, flip)
    with pytest.raises(ModelFileError, match="digest differs"):
        load_model(other)
    rewrite(path, other, lambda name, data: None if name == "skgeo-model.json" else data)
    with pytest.raises(ModelFileError, match="no model file of skgeo"):
        load_model(other)
    whole = path.read_bytes()
    other.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError):
        load_model(other)
    other.write_bytes(b"")
    with pytest.raises(ModelFileError, match="no model file"):
        load_model(other)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.skgeo")


def with_header(path, other, **changes):
    def change(name, data):
        if name != "skgeo-model.json":
            return data
        header = json.loads(data)
        header.update(changes)
        return json.dumps(header)

    rewrite(path, other, change)


def test_other_versions_are_told(tmp_path):
    path, other = tmp_path / "m.skgeo", tmp_path / "other.skgeo"
    save_model(fitted(), path)
    with_header(path, other, format=99, versions={"skgeo": "9.1"})
    with pytest.raises(ModelFileError, match=r"format 99, written by skgeo 9\.1.*Upgrade"):
        load_model(other)
    with_header(path, other, versions={"skgeo": "9.1", "scikit-learn": "0.9"})
    with pytest.warns(ModelVersionWarning, match=r"skgeo 9\.1 \(here .*scikit-learn 0\.9"):
        load_model(other)


def test_what_no_longer_loads_names_both_versions(tmp_path, monkeypatch):
    save_model(fitted(), tmp_path / "m.skgeo")

    def fail(*_, **__):
        raise AttributeError("no such attribute")

    import skops.io

    monkeypatch.setattr(skops.io, "load", fail)
    with pytest.raises(ModelFileError, match="cannot be loaded by skgeo"):
        load_model(tmp_path / "m.skgeo")


def test_without_skops_the_way_to_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "skops", None)
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"skgeo\[share\]"):
        save_model(fitted(), tmp_path / "m.skgeo")
    assert model_file.FORMAT == 1
