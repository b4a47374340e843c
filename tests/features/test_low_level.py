"""The estimator over the six blocks: columns, inputs, errors, parallel work."""

from __future__ import annotations

import io
import pickle
import warnings
from functools import partial
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
)

from skgeo._threads import single_threaded
from skgeo.features import (
    BlockScaler,
    LowLevelFeatures,
    color_histogram,
    gist,
    line_histogram,
    texton_histogram,
    tiny_image,
)
from skgeo.features._describe import reservoir
from skgeo.images import ImageError, MissingImageError, load_image
from skgeo.images._map_images import map_images

WIDTHS = {"tiny5": 75, "tiny16": 768, "color": 784, "texture": 512, "line": 232, "gist": 600}


@pytest.fixture(scope="module")
def fitted(pictures):
    return LowLevelFeatures(random_state=0).fit(pictures)


@pytest.fixture(scope="module")
def cheap(pictures):
    """Blocks that cost next to nothing, for what does not depend on the block."""
    return LowLevelFeatures(blocks=["tiny5", "color"]).fit(pictures)


# --- contracts of scikit-learn --------------------------------------------------------------


CHECKS = [
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_of_scikit_learn_that_need_no_table(check):
    check("LowLevelFeatures", LowLevelFeatures())


def test_it_must_be_fitted_first(pictures):
    with pytest.raises(NotFittedError):
        LowLevelFeatures().transform(pictures)
    with pytest.raises(NotFittedError):
        LowLevelFeatures().get_feature_names_out()


@pytest.mark.parametrize("parameters", [
    {"blocks": "every"}, {"blocks": 3}, {"blocks": []}, {"blocks": ["gist", "gist"]},
    {"blocks": ["gist", "tiny"]}, {"image_size": 15}, {"image_size": 400.0}, {"on_error": "skip"},
    {"n_jobs": 1.5}, {"tiny_color_space": "hsv"}, {"lab": "oklab"}, {"texton_stride": 0},
    {"texton_dictionary": 3}, {"texton_dictionary": np.zeros((512, 31))},
    {"reduced_decoding": "yes"}, {"random_state": "a"}, {"precision": "slow"},
    {"texton_dictionary": "moon"},
])  # fmt: skip
def test_wrong_parameters(pictures, parameters):
    with pytest.raises(ValueError, match=rf"{next(iter(parameters)).split('_')[0]}"):
        LowLevelFeatures(**parameters).fit(pictures)


# --- columns --------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fast", "exact"])
def test_columns_are_the_blocks_in_the_order_of_the_paper(fitted, pictures, precision):
    assert fitted.precision == "fast"
    dictionary = fitted.texton_dictionary_
    model = clone(fitted).set_params(precision=precision, texton_dictionary=dictionary)
    X = model.fit(pictures).transform(pictures)
    assert X.shape == (len(pictures), 2971)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    assert {name: b.stop - b.start for name, b in fitted.block_slices_.items()} == WIDTHS
    for row, image in zip(X, pictures, strict=True):
        expected = {
            "tiny5": tiny_image(image, 5, color_space="lab"),
            "tiny16": tiny_image(image, 16),
            "color": color_histogram(image),
            "texture": texton_histogram(image, dictionary, precision=precision),
            "line": line_histogram(image),
            "gist": gist(image, precision=precision),
        }
        assert list(expected) == list(fitted.block_slices_)
        for name, values in expected.items():
            np.testing.assert_array_equal(row[fitted.block_slices_[name]], values)


def test_feature_names(fitted):
    names = fitted.get_feature_names_out()
    assert len(names) == 2971
    assert names[0] == "tiny5_0"
    assert names[-1] == "gist_599"
    assert len(set(names)) == 2971
    for name, block in fitted.block_slices_.items():
        assert list(names[block]) == [f"{name}_{i}" for i in range(WIDTHS[name])]


@pytest.mark.parametrize("blocks", [
    "gist", ["gist"], ("line", "tiny5"), ["gist", "texture", "color"], np.array(["color"]).tolist(),
])  # fmt: skip
def test_some_of_the_blocks(fitted, pictures, blocks):
    some = LowLevelFeatures(blocks, texton_dictionary=fitted.texton_dictionary_).fit(pictures)
    wanted = [name for name in WIDTHS if name in ([blocks] if isinstance(blocks, str) else blocks)]
    assert list(some.block_slices_) == wanted
    whole = fitted.transform(pictures[:2])
    expected = np.hstack([whole[:, fitted.block_slices_[name]] for name in wanted])
    np.testing.assert_array_equal(some.transform(pictures[:2]), expected)
    assert some.get_feature_names_out()[0] == f"{wanted[0]}_0"


def test_parameters_change_what_they_say(fitted, pictures, make):
    large = [make(130, 160)]

    def columns(block, images=pictures[:1], **parameters):
        dictionary = fitted.texton_dictionary_
        model = LowLevelFeatures(block, texton_dictionary=dictionary, **parameters)
        return model.fit(images).transform(images)[0]

    image = pictures[0]
    expected = tiny_image(image, 5, color_space="rgb")
    np.testing.assert_array_equal(columns("tiny5", tiny_color_space="rgb"), expected)
    expected = tiny_image(image, 5, color_space="lab", lab="srgb")
    np.testing.assert_array_equal(columns("tiny5", lab="srgb"), expected)
    expected = color_histogram(image, lab="srgb")
    np.testing.assert_array_equal(columns("color", lab="srgb"), expected)
    expected = texton_histogram(image, fitted.texton_dictionary_, stride=3)
    actual = columns("texture", texton_stride=3, precision="exact")
    np.testing.assert_array_equal(actual, expected)
    expected = texton_histogram(image, fitted.texton_dictionary_, precision="fast", stride=3)
    np.testing.assert_array_equal(columns("texture", texton_stride=3), expected)
    shrunk = cv2.resize(large[0], (80, 65), interpolation=cv2.INTER_AREA)
    fast_gist = partial(gist, precision="fast")
    for block, function in (
        ("line", line_histogram), ("color", color_histogram), ("gist", fast_gist)
    ):  # fmt: skip
        np.testing.assert_array_equal(columns(block, large, image_size=80), function(shrunk))


def test_photos_smaller_than_the_working_size_are_not_enlarged(make):
    image = make(60, 80)
    sizes = [LowLevelFeatures("line", image_size=size).fit_transform([image]) for size in (80, 400)]
    np.testing.assert_array_equal(sizes[0], sizes[1])


def test_set_output(cheap, pictures):
    model = clone(cheap).set_output(transform="pandas").fit(pictures)
    frame = model.transform(pictures)
    assert list(frame.columns) == list(model.get_feature_names_out())
    assert list(frame.index) == list(range(len(pictures)))
    np.testing.assert_array_equal(frame.to_numpy(), cheap.transform(pictures))
    assert (frame.dtypes == np.float32).all()
    series = pd.Series(pictures, index=[f"photo{i}" for i in range(len(pictures))])
    assert list(model.transform(series).index) == list(series.index)
    assert list(clone(model).fit_transform(series).index) == list(series.index)


# --- inputs ---------------------------------------------------------------------------------


def test_every_form_of_the_same_photos(tmp_path: Path, cheap, pictures):
    expected = cheap.transform(pictures)
    paths = []
    for number, image in enumerate(pictures):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    objects = np.empty(len(pictures), dtype=object)
    objects[:] = pictures
    data = [path.read_bytes() for path in paths]
    for X in (
        paths, [str(path) for path in paths], np.array([str(path) for path in paths]),
        pd.Series([str(path) for path in paths], index=range(5, 5 + len(paths))),
        data, [io.BytesIO(d) for d in data], [Image.fromarray(image) for image in pictures],
        tuple(pictures), objects, (image for image in pictures), map(np.asarray, pictures),
        [paths[0], pictures[1], data[2], *pictures[3:]],
    ):  # fmt: skip
        np.testing.assert_array_equal(cheap.transform(X), expected)


def test_stacks(cheap, rng):
    stack = rng.integers(0, 256, (5, 30, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cheap.transform(stack), cheap.transform(list(stack)))
    grey = stack[..., 0]
    np.testing.assert_array_equal(cheap.transform(grey), cheap.transform(list(grey)))


def test_a_row_is_the_same_alone_and_in_any_batch(fitted, pictures):
    together = fitted.transform(pictures)
    for row, image in zip(together, pictures, strict=True):
        np.testing.assert_array_equal(fitted.transform([image])[0], row)
    np.testing.assert_array_equal(fitted.transform(pictures[::-1]), together[::-1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3), (5, 5), (16, 300)])
def test_images_of_few_pixels(fitted, rng, shape):
    X = fitted.transform([rng.integers(0, 256, (*shape, 3), dtype=np.uint8)])
    assert X.shape == (1, 2971)
    assert np.isfinite(X).all()


@pytest.mark.parametrize("X", [
    [np.full((4, 5, 3), 9, np.uint8)], [np.zeros((1, 1), np.uint8)] * 3,
    np.zeros((2, 8, 8, 3)), [np.arange(12, dtype=np.uint8).reshape(3, 4)],
])  # fmt: skip
def test_fit_on_few_pixels_or_one_colour_makes_all_columns(X):
    model = LowLevelFeatures(random_state=0).fit(X)
    assert model.texton_dictionary_.shape == (512, 32)
    rows = model.transform(X)
    assert rows.shape == (len(X), 2971)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
def test_a_single_path_is_no_collection(cheap, method):
    with pytest.raises(ValueError, match=r"single image, 'a\.jpg'.*Use \['a\.jpg'\]"):
        getattr(cheap, method)("a.jpg")
    with pytest.raises(ValueError, match="0 images"):
        getattr(cheap, method)([])


def test_empty_iterators(fitted, cheap):
    with pytest.raises(ValueError, match="0 images"):
        cheap.transform(iter(()))
    with pytest.raises(ValueError, match="0 images"):
        clone(fitted).fit(iter(()))


# --- the dictionary -------------------------------------------------------------------------


def test_the_dictionary_depends_on_the_random_state_alone(fitted, pictures):
    expected = fitted.texton_dictionary_
    for X in (pictures, iter(pictures), np.array(pictures, dtype=object)):
        model = clone(fitted).fit(X)
        np.testing.assert_array_equal(model.texton_dictionary_, expected)
    seeded = clone(fitted).set_params(random_state=np.random.RandomState(0)).fit(pictures)
    np.testing.assert_array_equal(seeded.texton_dictionary_, expected)
    other = clone(fitted).set_params(random_state=1).fit(pictures)
    assert not np.array_equal(other.texton_dictionary_, expected)


def test_the_sample_is_bounded(monkeypatch):
    class Counting:
        """A sequence of images that remembers which were asked for."""

        def __init__(self):
            self.seen = []

        def __len__(self):
            return 3000

        def __getitem__(self, index):
            self.seen.append(index)
            return np.full((4, 6), index % 256, dtype=np.uint8)

    monkeypatch.setattr("skgeo.features._low_level.SAMPLE_IMAGES", 40)
    X = Counting()
    LowLevelFeatures("texture", random_state=0).fit(X)
    assert len(X.seen) == 40
    assert len(set(X.seen)) == 40
    assert np.mean(X.seen) == pytest.approx(1500, abs=450)


def test_the_pixels_of_the_sample_are_shared_among_the_images(monkeypatch, pictures):
    sizes, seeds = [], []

    def learn(responses, *, seed):
        sizes.append(responses.shape)
        seeds.append(seed)
        return np.zeros((512, 32), np.float32)

    monkeypatch.setattr("skgeo.features._low_level.SAMPLE_PIXELS", 1001)
    monkeypatch.setattr("skgeo.features._low_level.learn_textons", learn)
    for random_state in (0, 0, 1):
        LowLevelFeatures("texture", random_state=random_state).fit(pictures)
    assert sizes == [(32, 8 * 126)] * 3
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize(("n", "size"), [(0, 3), (2, 3), (3, 3), (4, 3), (50, 10)])
def test_reservoir_draws_with_equal_chances(n, size):
    counts = np.zeros(n)
    for seed in range(400):
        drawn, total = reservoir(iter(range(n)), size, seed)
        assert total == n
        assert len(drawn) == min(n, size)
        assert drawn == sorted(drawn)
        assert all(index == item for index, item in drawn)
        counts[[index for index, _ in drawn]] += 1
    if n > size:
        chance = size / n
        assert np.abs(counts / 400 - chance).max() < 5 * np.sqrt(chance * (1 - chance) / 400)


def test_a_given_dictionary_is_used_and_no_image_is_read(fitted, pictures, tmp_path):
    model = LowLevelFeatures(texton_dictionary=fitted.texton_dictionary_.tolist())
    model.fit([tmp_path / "no such file.jpg"])
    np.testing.assert_array_equal(model.transform(pictures[:1]), fitted.transform(pictures[:1]))


@pytest.mark.parametrize("parameters", [
    {"texton_dictionary": "blue-marble"}, {"blocks": ["gist", "line"]}, {"blocks": "color"},
])  # fmt: skip
def test_what_has_nothing_to_learn_needs_no_fit(pictures, parameters):
    model = LowLevelFeatures(**parameters)
    assert not model.__sklearn_tags__().requires_fit
    rows = model.transform(pictures)
    assert not hasattr(model, "block_slices_")
    np.testing.assert_array_equal(rows, clone(model).fit(pictures).transform(pictures))
    np.testing.assert_array_equal(rows, clone(model).transform(iter(pictures)))
    names = model.get_feature_names_out()
    assert len(names) == rows.shape[1]
    frame = clone(model).set_output(transform="pandas").transform(pictures)
    assert list(frame.columns) == list(names)
    np.testing.assert_array_equal(frame.to_numpy(), rows)
    with pytest.raises(ValueError, match="image_size"):
        clone(model).set_params(image_size=3).transform(pictures)


def test_what_has_to_learn_says_so():
    assert LowLevelFeatures().__sklearn_tags__().requires_fit
    assert LowLevelFeatures("texture").__sklearn_tags__().requires_fit
    assert LowLevelFeatures("no block").__sklearn_tags__().requires_fit


# --- errors ---------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path, pictures):
    """Two good photos among bad ones, and the words that the message must hold."""
    jpeg = tmp_path / "whole.jpg"
    Image.fromarray(pictures[0]).save(jpeg)
    data = jpeg.read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "empty.jpg").touch()
    X = [jpeg, tmp_path / "truncated.jpg", pictures[1], tmp_path / "text.jpg",
         tmp_path / "empty.jpg", tmp_path / "gone.jpg", None, np.zeros((3, 4, 7)),
         io.BytesIO(b"nothing")]  # fmt: skip
    return X, {1: "truncated", 3: "not an image", 4: "empty", 5: "no such file",
               6: "no image", 7: "expected the shape", 8: "not an image"}  # fmt: skip


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_raise_names_index_and_path(cheap, pictures, broken, n_jobs):
    X, messages = broken
    model = clone(cheap).set_params(n_jobs=n_jobs).fit(pictures)
    for position, message in messages.items():
        with pytest.raises(ImageError, match=message) as caught:
            model.transform([*pictures[:3], X[position], *pictures])
        assert "X[3]: " in str(caught.value)
        if isinstance(X[position], Path):
            assert str(X[position]) in str(caught.value)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_nan_gives_rows_of_nan_and_one_warning(cheap, pictures, broken, n_jobs):
    X, messages = broken
    model = clone(cheap).set_params(n_jobs=n_jobs, on_error="nan").fit(pictures)
    with pytest.warns(UserWarning, match=r"7 of 9 images .* NaN\. .*X\[1\].*trunc") as caught:
        rows = model.transform(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "X[4]" in str(caught[0].message)
    assert "X[5]" not in str(caught[0].message)
    bad = np.zeros(len(X), dtype=bool)
    bad[list(messages)] = True
    assert np.isnan(rows[bad]).all()
    np.testing.assert_array_equal(rows[~bad], model.transform([X[0], X[2]]))


def test_nan_warns_only_if_there_is_something_to_warn_of(cheap, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(cheap).set_params(on_error="nan").fit(pictures).transform(pictures)


def test_what_is_no_image_at_all_is_a_type_error(cheap):
    with pytest.raises(TypeError, match=r"X\[1\]: .*int is no image"):
        clone(cheap).set_params(on_error="nan").fit([np.zeros((2, 2))]).transform(
            [np.zeros((2, 2)), 3]
        )


def test_fit_on_bad_images(pictures, tmp_path):
    gone = tmp_path / "gone.jpg"
    with pytest.raises(ImageError, match=r"X\[1\]: .*gone\.jpg"):
        LowLevelFeatures("texture").fit([pictures[0], gone])
    model = LowLevelFeatures("texture", on_error="nan", random_state=0)
    with pytest.warns(UserWarning, match=r"1 of 3 images .*left out of the sample.*X\[1\]"):
        model.fit([pictures[0], gone, pictures[1]])
    assert model.texton_dictionary_.shape == (512, 32)
    with pytest.raises(ValueError, match=r"no image could be read.*gone\.jpg"):
        model.fit([gone])


def test_a_scaler_refuses_rows_of_nan(cheap, pictures):
    pipe = Pipeline([("features", clone(cheap).set_params(on_error="nan")),
                     ("scale", BlockScaler([75, 784]))])  # fmt: skip
    pipe.fit(pictures)
    with pytest.warns(UserWarning, match="NaN"), pytest.raises(ValueError, match="contains NaN"):
        pipe.transform([*pictures, b"no photo"])
    features = LowLevelFeatures("tiny5").fit_transform(pictures)
    with pytest.raises(ValueError, match="X has 75 features, but BlockScaler is expecting 859"):
        pipe["scale"].transform(features)


# --- parallel work --------------------------------------------------------------------------


def test_the_number_of_jobs_does_not_change_a_bit(fitted, pictures):
    X = pictures * 5  # several chunks
    parallel = clone(fitted).set_params(n_jobs=2).fit(pictures)
    np.testing.assert_array_equal(parallel.texton_dictionary_, fitted.texton_dictionary_)
    expected = fitted.transform(X)
    np.testing.assert_array_equal(parallel.transform(X), expected)
    np.testing.assert_array_equal(parallel.transform(iter(X)), expected)
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(parallel.transform(X), expected)


def test_files_and_pil_images_travel_to_other_processes(cheap, pictures, tmp_path):
    parallel = clone(cheap).set_params(n_jobs=2).fit(pictures)
    path = tmp_path / "a.png"
    Image.fromarray(pictures[0]).save(path)
    expected = cheap.transform(pictures[:1] * 3)
    with path.open("rb") as file, Image.open(path) as lazy:
        np.testing.assert_array_equal(parallel.transform([file, lazy, path]), expected)


def test_threads_are_limited_meanwhile_and_given_back(pictures):
    before = cv2.getNumThreads()
    inside = []
    outcomes = map_images(
        lambda image, _: inside.append(cv2.getNumThreads()) or image.mean(keepdims=True),
        enumerate(pictures),
    )
    assert len(list(outcomes)) == len(pictures)
    assert set(inside) == {1}
    assert cv2.getNumThreads() == before
    with single_threaded():
        with single_threaded():
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before
    with pytest.raises(ImageError):
        list(map_images(lambda image, _: image, enumerate([None])))
    assert cv2.getNumThreads() == before


def test_images_are_read_as_the_work_goes_on(pictures):
    """Memory must not hold all images of an iterator at once."""
    alive, most = [], 0

    def stream():
        for _ in range(100):
            alive.append(1)
            yield pictures[0]

    def function(image, _):
        nonlocal most
        most = max(most, len(alive))
        return image.mean(axis=(0, 1))

    for position, _ in enumerate(map_images(function, enumerate(stream()))):
        assert len(alive) <= position + 64
    assert most == 100


def test_progress_bars(capsys, pictures):
    model = LowLevelFeatures(["texture", "tiny5"], verbose=1, random_state=0).fit(pictures)
    model.transform(pictures)
    shown = capsys.readouterr().err
    assert "texton sample" in shown
    assert "features" in shown
    assert "8/8" in shown
    model.set_params(verbose=0).fit(pictures).transform(pictures)
    assert capsys.readouterr().err == ""


# --- life with others -----------------------------------------------------------------------


def test_copies_through_pickle_and_joblib(fitted, pictures, tmp_path):
    expected = fitted.transform(pictures[:2])
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).transform(pictures[:2]), expected
    )
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.transform(pictures[:2]), expected)


def test_a_pipeline_is_searched_over_paths(pictures, tmp_path):
    paths = []
    for number, image in enumerate(pictures):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(image).save(paths[-1])
    y = np.random.default_rng(0).uniform(-60, 60, (len(paths), 2))
    pipe = Pipeline([("features", LowLevelFeatures("tiny5")), ("scale", BlockScaler()),
                     ("knn", KNeighborsRegressor(n_neighbors=1))])  # fmt: skip
    search = GridSearchCV(pipe, {"features__lab": ["linear", "srgb"]}, cv=2)
    search.fit(paths, y)
    np.testing.assert_allclose(search.predict(paths), y)


# --- real photos ----------------------------------------------------------------------------


def test_reduced_decoding_hardly_changes_the_features(tmp_path, make, fitted):
    image = cv2.GaussianBlur(make(1300, 1700), (0, 0), 2)
    path = tmp_path / "large.jpg"
    Image.fromarray(image).save(path, quality=92)
    assert load_image(path, min_side=400).shape[0] == 650
    rows = [clone(fitted).set_params(reduced_decoding=reduced,
                                     texton_dictionary=fitted.texton_dictionary_)
            .fit([path]).transform([path])[0] for reduced in (False, True)]  # fmt: skip
    assert not np.array_equal(rows[0], rows[1])
    for name, block in fitted.block_slices_.items():
        correlation = np.corrcoef(rows[0][block], rows[1][block])[0, 1]
        assert correlation > (0.9 if name == "line" else 0.98), name


def test_photos_of_one_building_are_near_each_other(shared_data: Path):
    """Each block alone finds a photo within 100 m more often than chance does."""
    table = pd.read_csv(shared_data / "sf_landmarks" / "metadata.csv").iloc[:120]
    paths = [str(shared_data / "sf_landmarks" / name) for name in table["filename"]]
    model = LowLevelFeatures(texton_stride=3, random_state=0)
    X = model.fit_transform(paths)
    assert np.isfinite(X).all()
    place = np.deg2rad(table[["lat", "lon"]].to_numpy())
    place[:, 1] *= np.cos(place[0, 0])
    metres = 6371004 * np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1))
    np.fill_diagonal(metres, np.inf)
    chance = (metres <= 100).sum() / (len(X) * (len(X) - 1))
    for name, block in {**model.block_slices_, "all": slice(None)}.items():
        Z = BlockScaler("low-level" if name == "all" else None).fit_transform(X[:, block])
        distances = euclidean_distances(Z)
        np.fill_diagonal(distances, np.inf)
        nearest = metres[np.arange(len(Z)), distances.argmin(axis=1)]
        assert (nearest <= 100).mean() > 1.5 * chance, name


def test_missing_files_are_also_file_not_found(tmp_path):
    assert issubclass(MissingImageError, FileNotFoundError)
    with pytest.raises(MissingImageError):
        load_image(tmp_path / "gone.jpg")
