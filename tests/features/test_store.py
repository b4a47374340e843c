"""The feature store: what it holds, what it refuses, and that no interruption does it harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline

from skgeo.features import BlockScaler, FeatureStore, LowLevelFeatures, extract_to_store
from skgeo.features import _store_files as store_files
from skgeo.features._store_files import StoreFiles, exclusive, npy_header
from skgeo.features._store_identity import estimator_digest, fingerprint
from skgeo.images import ImageError
from skgeo.neighbors import KNNGeoRegressor

FILES = ("features.npy", "index.csv", "chunks.csv", "store.json", "estimator.joblib")


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (23, 12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def coordinates():
    rng = np.random.default_rng(1)
    return np.stack([rng.uniform(-90, 90, 23), rng.uniform(-180, 180, 23)], axis=1)


@pytest.fixture(scope="module")
def features(photos):
    return LowLevelFeatures(["tiny5", "color"]).fit(photos)


@pytest.fixture
def paths(tmp_path, photos):
    folder = tmp_path / "photos"
    folder.mkdir()
    made = [folder / f"photo {i}, ü.png" for i in range(len(photos))]
    for path, photo in zip(made, photos, strict=True):
        Image.fromarray(photo).save(path)
    return made


class Given(TransformerMixin, BaseEstimator):
    """Rows by the first pixel of an image: whatever a test wants a transformer to return."""

    def __init__(self, rows=(), error=None):
        self.rows = rows
        self.error = error

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return self.rows(X) if callable(self.rows) else np.array([self.rows[x.flat[0]] for x in X])


def numbered(n):
    return [np.full((2, 2, 3), i, dtype=np.uint8) for i in range(n)]


def same_files(a: Path, b: Path) -> bool:
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in FILES)


# --- what it holds --------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [1, 5, 23, 100])
def test_rows_are_those_of_transform(tmp_path, features, photos, coordinates, chunk_size):
    store = extract_to_store(
        features, photos, tmp_path / "s", coordinates=coordinates, chunk_size=chunk_size
    )
    expected = features.transform(photos)
    assert isinstance(store.X, np.memmap)
    assert store.X.dtype == np.float32
    assert not store.X.flags.writeable
    np.testing.assert_array_equal(store.X, expected)
    np.testing.assert_array_equal(store.coordinates, coordinates)
    np.testing.assert_array_equal(store.feature_names, features.get_feature_names_out())
    assert len(store) == 23
    assert store.complete
    assert not store.failed.any()
    assert set(store.names) == {""}
    store.verify()
    # Other programs need nothing but NumPy and a reader of CSV.
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "features.npy"), expected)
    table = pd.read_csv(tmp_path / "s" / "index.csv")
    np.testing.assert_array_equal(table[["latitude", "longitude"]], coordinates)


def test_paths_are_kept_as_they_were_given(tmp_path, features, paths, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = [str(path.relative_to(tmp_path)) for path in paths]
    store = extract_to_store(features, pd.Series(relative), "store", chunk_size=10)
    assert store.names.tolist() == relative
    assert store.coordinates is None
    assert repr(store) == "FeatureStore: 23 rows, 859 columns of float32"


def test_odd_names_survive(tmp_path, features, photos):
    names = ["a\nb.png", 'c"d, e.png', "f\r.png", "\udcff.png", " g .png", "öß☃.png"]
    for name, photo in zip(names, photos, strict=False):
        Image.fromarray(photo).save(tmp_path / name, "PNG")
    given = [tmp_path / name for name in names]
    store = extract_to_store(features, given, tmp_path / "store", chunk_size=4)
    assert store.names.tolist() == [str(path) for path in given]
    store.verify()
    assert len(extract_to_store(features, given, tmp_path / "store")) == len(names)


def test_every_kind_of_image_gets_in(tmp_path, features, paths, photos):
    data = paths[3].read_bytes()
    with paths[4].open("rb") as file, Image.open(paths[5]) as opened:
        images = [paths[0], str(paths[1]), photos[2], data, file, opened, io.BytesIO(data)]
        store = extract_to_store(features, images, tmp_path / "store", chunk_size=3)
        again = extract_to_store(features, images, tmp_path / "store")
    np.testing.assert_array_equal(again.X, features.transform(photos[[0, 1, 2, 3, 4, 5, 3]]))
    assert store.names.tolist()[2:4] == ["", ""]
    assert store.names[4] == str(paths[4])
    assert store.names[5] == str(paths[5])


def test_half_precision_rounds_as_documented(tmp_path):
    rng = np.random.default_rng(0)
    values = np.concatenate([
        [0, 65504, -65504, 65519, 6.1e-5, 3e-8, 5.9e-8, -1e-30],
        rng.normal(size=500) * 10.0 ** rng.uniform(-9, 4, 500),
    ]).astype(np.float32)  # fmt: skip
    given = Given(rows={0: values}).fit(None)
    store = extract_to_store(given, numbered(1), tmp_path / "s", dtype="float16")
    assert store.X.dtype == np.float16
    assert (tmp_path / "s" / "features.npy").stat().st_size < 128 + 2 * len(values) + 64
    error = np.abs(store.X[0].astype(np.float64) - values)
    normal = np.abs(values) >= 6.2e-5
    assert (error[normal] <= np.abs(values[normal]) / 2048).all()
    assert (error[~normal] <= 3e-8).all()


@pytest.mark.parametrize(("value", "dtype", "match"), [
    (65520.0, "float16", r"images\[2\]: column 1 is 65520.0, more than float16 .*float32"),
    (1e39, "float32", r"images\[2\]: column 1 is 1e\+39, more than float32"),
    (np.inf, "float32", r"images\[2\]: column 1 is inf; expected finite"),
    (np.nan, "float16", r"images\[2\]: column 1 is nan; expected finite"),
])  # fmt: skip
def test_values_that_cannot_be_kept(tmp_path, value, dtype, match):
    rows = {i: np.array([0.0, 1.0]) for i in range(4)} | {2: np.array([0.0, value])}
    given = Given(rows).fit(None)
    with pytest.raises(ValueError, match=match):
        extract_to_store(given, numbered(4), tmp_path / "s", dtype=dtype, chunk_size=2)
    partial = FeatureStore(tmp_path / "s", allow_incomplete=True)
    assert partial.X.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(("rows", "error", "match"), [
    (lambda X: csr_array(np.eye(len(X))), TypeError, "sparse"),
    (lambda X: np.zeros(len(X)), ValueError, r"shape \(3,\).*3 rows"),
    (lambda X: np.zeros((len(X) + 1, 2)), ValueError, r"shape \(4, 2\)"),
    (lambda X: np.zeros((len(X), 0)), ValueError, r"shape \(3, 0\)"),
    (lambda X: np.array([["a"]] * len(X)), ValueError, "rows of numbers"),
])  # fmt: skip
def test_what_is_no_table_of_numbers(tmp_path, monkeypatch, rows, error, match):
    given = Given().fit(None)
    monkeypatch.setattr(Given, "transform", lambda _, X: rows(X))
    with pytest.raises(error, match=match):
        extract_to_store(given, numbered(3), tmp_path / "s")
    assert not StoreFiles(tmp_path / "s").exists()


def test_rows_of_another_width(tmp_path):
    given = Given({0: [1.0], 1: [2.0, 3.0]}).fit(None)
    with pytest.raises(ValueError, match=r"images\[1:2\].*2 columns; expected 1"):
        extract_to_store(given, numbered(2), tmp_path / "s", chunk_size=1)


def test_integers_and_frames_become_floats(tmp_path, features, photos):
    given = Given({i: [i, -i] for i in range(3)}).fit(None)
    assert extract_to_store(given, numbered(3), tmp_path / "a").X.tolist() == [
        [0, 0], [1, -1], [2, -2],
    ]  # fmt: skip
    framed = clone(features).set_output(transform="pandas").fit(photos)
    store = extract_to_store(framed, photos, tmp_path / "b")
    np.testing.assert_array_equal(store.X, features.transform(photos))


# --- a pipeline around it -------------------------------------------------------------------


def test_it_is_the_X_of_a_pipeline_and_the_pipeline_may_make_it(
    tmp_path, features, photos, coordinates
):
    store = extract_to_store(features, photos, tmp_path / "a", coordinates=coordinates)
    rest = Pipeline([("scale", BlockScaler(features.block_slices_)), ("knn", KNNGeoRegressor())])
    rest.fit(store.X, store.coordinates)
    np.testing.assert_allclose(rest.predict(store.X[3:6]), coordinates[3:6], atol=1e-9)

    whole = make_pipeline(features, BlockScaler(features.block_slices_)).fit(photos)
    scaled = extract_to_store(whole, photos, tmp_path / "b", chunk_size=7)
    np.testing.assert_allclose(scaled.X, whole.transform(photos), atol=1e-6)


def test_the_estimator_comes_back(tmp_path, photos):
    features = LowLevelFeatures(["texture"], random_state=0).fit(photos)
    store = extract_to_store(features, photos, tmp_path / "s")
    loaded = store.load_estimator()
    np.testing.assert_array_equal(loaded.transform(photos[:3]), store.X[:3])
    extract_to_store(loaded, photos, tmp_path / "s")


def test_a_store_travels_without_its_vectors(tmp_path, features, photos):
    store = extract_to_store(features, photos, tmp_path / "s")
    np.testing.assert_array_equal(store.X[:], features.transform(photos))
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).X, store.X)


# --- resuming -------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


def test_no_moment_of_interruption_does_harm(tmp_path, photos, coordinates, monkeypatch):
    """Stop before, within and behind every single write, then resume: the same bits."""
    features = LowLevelFeatures("tiny5").fit(photos)
    options = {"coordinates": coordinates[:5], "chunk_size": 2}
    extract_to_store(features, photos[:5], tmp_path / "whole", **options)
    real_open, real_replace = Path.open, os.replace
    state = {"left": 0, "share": 0.0}

    def one_less():
        state["left"] -= 1
        return state["left"] < 0

    def interrupted_open(self, mode="r", *args, **kwargs):
        file = real_open(self, mode, *args, **kwargs)
        if mode in ("wb", "r+b") and self.name != "lock":
            write = file.write

            class Torn:
                def __getattr__(self, name):
                    return getattr(file, name)

                def __enter__(self):
                    return self

                def __exit__(self, *details):
                    file.close()

                def write(self, data):
                    if one_less():
                        write(data[: int(len(data) * state["share"])])
                        file.flush()
                        raise Killed
                    return write(data)

                def truncate(self, size):
                    if one_less():
                        raise Killed
                    return file.truncate(size)

            return Torn()
        return file

    def interrupted_replace(a, b):
        if one_less():
            raise Killed
        real_replace(a, b)

    resumed = 0
    for moment in range(200):
        folder = tmp_path / str(moment)
        for share in (0.0, 0.6):
            shutil.rmtree(folder, ignore_errors=True)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "open", interrupted_open)
                patch.setattr(store_files.os, "replace", interrupted_replace)
                state.update(left=moment, share=share)
                try:
                    extract_to_store(features, photos[:5], folder, **options)
                except Killed:
                    resumed += 1
                else:
                    assert moment > 20
                    return
                if StoreFiles(folder).exists():
                    done = FeatureStore(folder, allow_incomplete=True)
                    done.verify()
                    np.testing.assert_array_equal(done.X, features.transform(photos)[: len(done)])
                # The second try is interrupted, too, at its own moment.
                state.update(left=moment // 2, share=share)
                try:
                    extract_to_store(features, photos[:5], folder, **options)
                except Killed:
                    resumed += 1
            store = extract_to_store(features, photos[:5], folder, **options)
            store.verify()
            assert same_files(folder, tmp_path / "whole"), (moment, share)
    raise AssertionError("the writes never came to an end")


CHILD = """
import sys, time
import joblib, numpy as np
from skgeo.features import extract_to_store
work = sys.argv[1]
features = joblib.load(work + "/features.joblib")
images = np.load(work + "/images.npy", mmap_mode="r")
extract_to_store(features, images, work + "/killed", chunk_size=4)
"""


def test_ctrl_c_says_what_is_kept_and_the_same_call_goes_on(tmp_path, photos, features):
    whole = tmp_path / "one go"
    extract_to_store(features, photos, whole, chunk_size=4)

    class Interrupting(list):
        def __getitem__(self, i):
            row = i.start if isinstance(i, slice) else i
            if row >= 10:
                raise KeyboardInterrupt
            return super().__getitem__(i)

    folder = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt, match=r"12 rows are kept in .*store"):
        extract_to_store(features, Interrupting(photos), folder, chunk_size=4)
    extract_to_store(features, list(photos), folder, chunk_size=4)
    np.testing.assert_array_equal(FeatureStore(folder).X, FeatureStore(whole).X)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_killed_process_is_resumed_to_the_same_bits(tmp_path):
    images = np.random.default_rng(2).integers(0, 256, (300, 24, 24, 3), dtype=np.uint8)
    features = LowLevelFeatures(["tiny5", "texture"], random_state=0).fit(images)
    np.save(tmp_path / "images.npy", images)
    joblib.dump(features, tmp_path / "features.joblib")
    extract_to_store(features, images, tmp_path / "whole", chunk_size=4)
    rng, killed = random.Random(), []

    def rows():
        try:
            return len(FeatureStore(tmp_path / "killed", allow_incomplete=True))
        except FileNotFoundError:
            return 0

    for target in (1, 150):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)])
        deadline = time.monotonic() + 120
        while rows() < target and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        assert child.wait() in (-signal.SIGKILL, 0)
        killed.append(rows())
        partial = FeatureStore(tmp_path / "killed", allow_incomplete=True)
        partial.verify()
        np.testing.assert_array_equal(partial.X, FeatureStore(tmp_path / "whole").X[: len(partial)])
    assert 0 < killed[0] < 300, killed
    store = extract_to_store(features, images, tmp_path / "killed", chunk_size=4)
    store.verify()
    assert same_files(tmp_path / "killed", tmp_path / "whole")


def test_what_the_journal_names_but_the_disk_lost_is_made_again(tmp_path, features, photos):
    extract_to_store(features, photos, tmp_path / "whole", chunk_size=5)
    for name in ("features.npy", "index.csv"):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "whole", folder)
        with (folder / name).open("r+b") as file:
            file.truncate((folder / name).stat().st_size // 2)
        with pytest.raises(ValueError, match=r"bytes|shorter"):
            _ = FeatureStore(folder).X, FeatureStore(folder).names
        extract_to_store(features, photos, folder)
        assert same_files(folder, tmp_path / "whole")


def test_a_torn_line_of_the_journal_does_not_count(tmp_path, features, photos):
    extract_to_store(features, photos, tmp_path / "whole", chunk_size=5)
    journal = (tmp_path / "whole" / "chunks.csv").read_bytes()
    last = len(journal.splitlines(keepends=True)[-1])
    for cut in (1, 2, 40, last - 1, last):
        folder = tmp_path / str(cut)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "chunks.csv").write_bytes(journal[:-cut])
        assert len(FeatureStore(folder)) == 20
        assert len(extract_to_store(features, photos, folder)) == 23
        assert same_files(folder, tmp_path / "whole")
    (tmp_path / "1" / "chunks.csv").write_bytes(journal.replace(b"5,10,", b"5,11,"))
    with pytest.raises(ValueError, match="damaged in line 3"):
        FeatureStore(tmp_path / "1")


def test_a_flipped_bit_is_found(tmp_path, features, photos):
    store = extract_to_store(features, photos, tmp_path / "s", chunk_size=5)
    store.verify()
    with (tmp_path / "s" / "features.npy").open("r+b") as file:
        file.seek(128 + 7 * 859 * 4)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ValueError, match="rows 5 to 9"):
        store.verify()


def test_only_what_is_missing_is_extracted(tmp_path, features, photos, monkeypatch):
    extract_to_store(features, photos[:10], tmp_path / "s", chunk_size=4)
    seen = []
    real = LowLevelFeatures.transform
    monkeypatch.setattr(
        LowLevelFeatures, "transform", lambda self, X: seen.append(len(X)) or real(self, X)
    )
    extract_to_store(features, photos[:10], tmp_path / "s")
    assert seen == []
    store = extract_to_store(features, photos, tmp_path / "s", chunk_size=4)
    assert seen == [4, 4, 4, 1]
    np.testing.assert_array_equal(store.X, real(features, photos))
    store.verify()


def test_an_interrupted_store_says_so(tmp_path):
    def rows(i):
        return {k: [float(k)] for k in range(i)}

    with pytest.raises(KeyError):
        extract_to_store(Given(rows(4)).fit(None), numbered(6), tmp_path / "s", chunk_size=2)
    with pytest.raises(ValueError, match=r"interrupted: 4 of 6 images"):
        FeatureStore(tmp_path / "s")
    partial = FeatureStore(tmp_path / "s", allow_incomplete=True)
    assert not partial.complete
    assert repr(partial) == "FeatureStore: 4 rows, 1 columns of float32, incomplete"
    assert pickle.loads(pickle.dumps(partial)).X.tolist() == [[0], [1], [2], [3]]


def test_workers_bars_and_the_handling_of_errors_may_change(tmp_path, features, photos, capsys):
    extract_to_store(features, photos[:10], tmp_path / "s", chunk_size=4)
    changed = clone(features).set_params(n_jobs=2, verbose=1, on_error="nan").fit(photos)
    extract_to_store(changed, photos, tmp_path / "s", verbose=1)
    assert "store" in capsys.readouterr().err
    pipeline = make_pipeline(features, "passthrough").fit(photos)
    extract_to_store(pipeline, photos[:10], tmp_path / "p")
    pipeline.set_params(lowlevelfeatures__n_jobs=1, verbose=False, memory=str(tmp_path / "cache"))
    extract_to_store(pipeline, photos, tmp_path / "p")


def test_an_iterator_is_read_chunk_by_chunk(tmp_path, features, photos, coordinates):
    whole = extract_to_store(features, photos, tmp_path / "a", chunk_size=5)
    taken = []

    def stream(n):
        for photo in photos[:n]:
            taken.append(len(taken))
            yield photo

    store = extract_to_store(features, stream(10), tmp_path / "b", chunk_size=5)
    assert len(store) == 10
    taken.clear()
    store = extract_to_store(features, stream(23), tmp_path / "b")
    assert same_files(tmp_path / "a", tmp_path / "b")
    assert store.digest == whole.digest
    with pytest.raises(ValueError, match=r"holds 23 images and 9 were given"):
        extract_to_store(features, stream(9), tmp_path / "b")
    with pytest.raises(ValueError, match=r"0 images"):
        extract_to_store(features, iter([]), tmp_path / "c")
    for n, match in ((20, "20 rows, but there are more"), (23, "23 rows but there were 22")):
        images = iter(photos if n == 20 else photos[:22])
        with pytest.raises(ValueError, match=match):
            extract_to_store(features, images, tmp_path / str(n), coordinates=coordinates[:n])


# --- what it refuses ------------------------------------------------------------------------


def test_other_settings_are_refused(tmp_path, photos, coordinates):
    texture = LowLevelFeatures(["tiny5", "texture"], random_state=0)
    features = clone(texture).fit(photos)
    folder = tmp_path / "s"
    extract_to_store(features, photos[:9], folder, coordinates=coordinates[:9])
    before = {name: (folder / name).read_bytes() for name in FILES}
    more = {"coordinates": coordinates}
    for estimator, options, match in [
        (clone(texture).set_params(lab="srgb").fit(photos), more, "lab was 'linear' and is 'srgb'"),
        (clone(texture).set_params(blocks="tiny5").fit(photos), more, "blocks was"),
        (
            clone(texture).set_params(random_state=1).fit(photos),
            more,
            "random_state was 0 and is 1",
        ),
        (clone(texture).fit(photos[:20]), more, "what the estimator learned in fit"),
        (
            make_pipeline(features).fit(photos),
            more,
            r"estimator was skgeo\.\S+Features and",
        ),
        (features, {**more, "dtype": "float16"}, "dtype was '<f4' and is '<f2'"),
        (features, {**more, "chunk_size": 4}, "chunk_size was 512 and is 4"),
        (features, {**more, "check_files": "content"}, "check_files was 'stat' and is"),
        (features, {}, "has_coordinates was True and is False"),
        (features, {"coordinates": coordinates[::-1]}, r"images\[0\] is now at"),
    ]:
        with pytest.raises(ValueError, match=match):
            extract_to_store(estimator, photos, folder, **options)
        assert {name: (folder / name).read_bytes() for name in FILES} == before
    extract_to_store(features, photos, folder, **more)


def test_other_images_are_refused(tmp_path, features, paths, photos):
    folder = tmp_path / "s"
    extract_to_store(features, paths[:9], folder, chunk_size=4)
    for images, match in [
        (paths[:8], "holds 9 images and 8 were given"),
        ([*paths[:8], paths[9], paths[8]], r"images\[8\] is '.*photo 9.*has '.*photo 8"),
        ([*paths[1:9], paths[0]], r"images\[0\] is"),
    ]:
        with pytest.raises(ValueError, match=match):
            extract_to_store(features, images, folder)
    Image.fromarray(photos[::-1][5]).save(paths[5])
    with pytest.raises(ValueError, match=r"images\[5\] '.*photo 5.*' has changed"):
        extract_to_store(features, paths, folder)
    paths[5].unlink()
    with pytest.raises(ValueError, match=r"images\[5\] '.*photo 5.*' has changed"):
        extract_to_store(features, paths, folder)

    extract_to_store(features, photos[:9], tmp_path / "arrays")
    changed = photos.copy()
    changed[3, 0, 0, 0] ^= 1
    with pytest.raises(ValueError, match=r"images\[3\] is another image"):
        extract_to_store(features, changed, tmp_path / "arrays")


def test_files_may_be_known_by_their_bytes(tmp_path, features, paths):
    for check in ("stat", "content"):
        extract_to_store(features, paths[:9], tmp_path / check, check_files=check)
    os.utime(paths[2], ns=(1, 1))
    extract_to_store(features, paths, tmp_path / "content", check_files="content")
    with pytest.raises(ValueError, match=r"images\[2\]"):
        extract_to_store(features, paths, tmp_path / "stat")
    status = paths[3].stat()
    data = bytearray(paths[3].read_bytes())
    data[-1] ^= 1
    paths[3].write_bytes(data)
    os.utime(paths[3], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match=r"images\[3\] .* has changed"):
        extract_to_store(features, paths, tmp_path / "content", check_files="content")


def test_other_versions_of_libraries_are_told(tmp_path, features, photos):
    extract_to_store(features, photos[:9], tmp_path / "s")
    manifest = json.loads((tmp_path / "s" / "store.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (tmp_path / "s" / "store.json").write_text(json.dumps(manifest))
    with pytest.warns(UserWarning, match=r"numpy was 1\.0 and is"):
        extract_to_store(features, photos, tmp_path / "s")
    manifest["format"] = 99
    (tmp_path / "s" / "store.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="of format 99"):
        FeatureStore(tmp_path / "s")
    (tmp_path / "s" / "store.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        FeatureStore(tmp_path / "s")


def test_folders_that_will_not_do(tmp_path, features, photos, paths):
    with pytest.raises(FileNotFoundError, match="no feature store"):
        FeatureStore(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match=r"holds 'photo 0.* and no store"):
        extract_to_store(features, photos, paths[0].parent)
    with pytest.raises(FileExistsError, match="is a file"):
        extract_to_store(features, photos, paths[0])
    extract_to_store(features, photos, tmp_path / "s", resume=False)
    with pytest.raises(FileExistsError, match="resume=True"):
        extract_to_store(features, photos, tmp_path / "s", resume=False)
    with exclusive(tmp_path / "s"), pytest.raises(RuntimeError, match="another process"):
        extract_to_store(features, photos, tmp_path / "s")
    extract_to_store(features, photos, tmp_path / "s")


def test_wrong_arguments(tmp_path, features, photos, coordinates):
    for options in ({"dtype": "float64"}, {"chunk_size": 0}, {"resume": 2}, {"on_error": "skip"},
                    {"check_files": "date"}, {"verbose": "yes"}, {"coordinates": 3}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(options))):
            extract_to_store(features, photos, tmp_path / "s", **options)
    with pytest.raises(ValueError, match="estimator"):
        extract_to_store("LowLevelFeatures", photos, tmp_path / "s")
    with pytest.raises(ValueError, match="coordinates has 23 rows but X has 22"):
        extract_to_store(features, photos[1:], tmp_path / "s", coordinates=coordinates)
    with pytest.raises(ValueError, match="single image"):
        extract_to_store(features, "a.jpg", tmp_path / "s")
    with pytest.raises(NotFittedError):
        extract_to_store(LowLevelFeatures(), photos, tmp_path / "s")
    with pytest.raises(ValueError, match="cannot be pickled"):
        extract_to_store(Given(lambda X: X).fit(None), photos, tmp_path / "s")
    with pytest.raises(TypeError, match=r"images\[5\]: .* is no image"):
        extract_to_store(features, [*photos[:5], 3 + 4j, photos[6]], tmp_path / "s", chunk_size=2)


# --- images that cannot be read -------------------------------------------------------------


def test_an_unreadable_image_is_named_and_what_was_done_is_kept(tmp_path, features, paths):
    paths[11].unlink()
    paths[12].write_bytes(b"no picture")
    for images in (paths, iter(paths)):
        with pytest.raises(ImageError, match=r"^images\[11\]: '.*photo 11.*no such file"):
            extract_to_store(features, images, tmp_path / "s", chunk_size=5)
    assert len(FeatureStore(tmp_path / "s", allow_incomplete=True)) == 10
    # Now somebody decides otherwise: both ways lead to the same rows.
    tolerant = clone(features).set_params(on_error="nan").fit(paths[:2])
    shutil.copytree(tmp_path / "s", tmp_path / "t")
    match = (
        r"2 of 23 images .* NaN. The first: images\[11\]: '.*no such file. images\[12\]: '.*not an"
    )
    with pytest.warns(UserWarning, match=match):
        a = extract_to_store(features, paths, tmp_path / "s", on_error="nan")
    with pytest.warns(UserWarning, match=match) as caught:
        b = extract_to_store(tolerant, paths, tmp_path / "t")
    assert len(caught) == 1
    assert Path(caught[0].filename).name == "test_store.py"
    assert np.flatnonzero(a.failed).tolist() == [11, 12]
    assert re.search("no such file", a.errors[11])
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(np.isnan(a.X).all(axis=1), a.failed)
    np.testing.assert_array_equal(np.isnan(a.X).any(axis=1), a.failed)
    assert a.errors.tolist() == b.errors.tolist()
    assert a.digest == b.digest


def test_nothing_readable_at_the_beginning(tmp_path, features, photos):
    images = ["missing.jpg", "gone.jpg", *photos[:3]]
    with pytest.warns(UserWarning, match="2 of 5"):
        store = extract_to_store(features, images, tmp_path / "s", chunk_size=2, on_error="nan")
    assert store.failed.tolist() == [True, True, False, False, False]
    np.testing.assert_array_equal(store.X[2:], features.transform(photos[:3]))


def raise_oserror(X):
    raise OSError(f"disk, {len(X)} images")


def test_errors_of_other_transformers(tmp_path):
    given = Given(raise_oserror).fit(None)
    with pytest.raises(OSError, match="disk"):
        extract_to_store(given, numbered(3), tmp_path / "s")
    with pytest.raises(ImageError, match=r"none of the images 0 to 2 .*disk"):
        extract_to_store(given, numbered(3), tmp_path / "s", on_error="nan")
    missing = Given({0: [np.nan, np.nan], 1: [1.0, 2.0]}).fit(None)
    with pytest.warns(UserWarning, match="the estimator returned a row of NaN"):
        store = extract_to_store(missing, numbered(2), tmp_path / "t")
    assert store.failed.tolist() == [True, False]


# --- identity -------------------------------------------------------------------------------


def test_the_digest_of_an_estimator_survives_a_file(tmp_path, photos):
    features = LowLevelFeatures(["texture"], random_state=0).fit(photos)
    pipeline = make_pipeline(features, BlockScaler()).fit(photos)
    for estimator in (features, pipeline):
        digest, _ = estimator_digest(estimator)
        joblib.dump(estimator, tmp_path / "e.joblib")
        assert estimator_digest(joblib.load(tmp_path / "e.joblib"))[0] == digest
        mapped = joblib.load(tmp_path / "e.joblib", mmap_mode="r")
        assert estimator_digest(mapped)[0] == digest
    digest, _ = estimator_digest(features)
    features.texton_dictionary_[0, 0] += 1
    assert estimator_digest(features)[0] != digest


def test_the_digest_of_a_network_is_that_of_its_weights():
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    given = Given(network).fit(None)
    digest, _ = estimator_digest(given)
    assert estimator_digest(pickle.loads(pickle.dumps(given)))[0] == digest
    # Its pickle holds addresses of memory, which are others in the copy.
    assert pickle.dumps(pickle.loads(pickle.dumps(network))) != pickle.dumps(network)
    with torch.no_grad():
        network[0].weight[0, 0] += 1
    assert estimator_digest(given)[0] != digest


def test_fingerprints_tell_images_apart(paths, photos):
    grey = photos[0][:, :, 0]
    different = [
        photos[0], photos[1], grey, grey.reshape(6, 24), grey.astype(np.int64), b"abc", b"abd",
        paths[0], paths[1], None, Image.fromarray(photos[2]), Image.fromarray(photos[3]),
    ]  # fmt: skip
    marks = [fingerprint(source, "content") for source in different]
    assert len(set(marks)) == len(different)
    assert marks == [fingerprint(source, "content") for source in different]
    data = paths[0].read_bytes()
    file = io.BytesIO(data)
    file.seek(3)
    assert fingerprint(file, "stat") == fingerprint(data, "stat") == marks[7]
    assert file.tell() == 3
    assert fingerprint("a\0b", "stat") == "unreadable"


def test_the_head_of_a_file_is_as_long_for_any_number_of_rows():
    for dtype in (np.dtype("<f4"), np.dtype("<f2")):
        heads = [npy_header(n, 2971, dtype) for n in (0, 1, 999, 10**6, 10**12)]
        assert len({len(head) for head in heads}) == 1


def test_memory_is_that_of_a_chunk(tmp_path):
    """Peak of the extraction's own allocations, for 40 chunks and for 4."""
    import tracemalloc

    given = Given(wide_rows).fit(None)
    peaks = []
    for n in (40, 400):
        images = (np.zeros((1, 1), dtype=np.uint8) for _ in range(n))
        tracemalloc.start()
        extract_to_store(given, images, tmp_path / str(n), chunk_size=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    rows = 10 * 20_000 * 4
    assert peaks[1] < peaks[0] + rows
    assert peaks[1] < 10 * rows < 400 * 20_000 * 4


def wide_rows(X):
    return np.zeros((len(X), 20_000), dtype=np.float32)


def test_no_warning_where_all_is_well(tmp_path, features, photos):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract_to_store(features, photos, tmp_path / "s")
        extract_to_store(features, photos, tmp_path / "s")
