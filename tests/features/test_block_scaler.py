"""BlockScaler and the functions under it, against loops that spell the formula out."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgeo.features import BlockScaler
from skgeo.features._blocks import (
    LOW_LEVEL_WIDTHS,
    block_moments,
    resolve_blocks,
    standardise_blocks,
)

SLICES = {"a": slice(0, 3), "b": slice(3, 4), "c": slice(4, 9)}


@parametrize_with_checks([
    BlockScaler(), BlockScaler(normalize="l2"), BlockScaler(blocks={"all": slice(None)}),
])  # fmt: skip
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def slow_scale(X, gallery, slices, hellinger=(), normalize=None):
    """The definition, one number at a time."""
    X, gallery = np.array(X, dtype=float), np.array(gallery, dtype=float)
    out = np.empty_like(X)
    for name, block in slices.items():
        columns = list(range(*block.indices(X.shape[1])))
        train, test = gallery[:, columns], X[:, columns]
        if name in hellinger:
            train, test = np.sqrt(train), np.sqrt(test)
        mean = [float(np.mean(train[:, j])) for j in range(len(columns))]
        total = sum((row[j] - mean[j]) ** 2 for row in train for j in range(len(columns)))
        norm = (total / len(train)) ** 0.5
        for i, row in enumerate(test):
            for j, column in enumerate(columns):
                out[i, column] = (row[j] - mean[j]) / (norm if norm > 0 else 1)
    if normalize == "l2":
        for row in out:
            norm = sum(value**2 for value in row) ** 0.5
            if norm > 0:
                row /= norm
    return out


@pytest.mark.parametrize("normalize", [None, "l2"])
@pytest.mark.parametrize("hellinger", [(), ("a",), ["c", "b"]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_definition(rng, dtype, hellinger, normalize):
    scales = np.array([1e3] * 3 + [1e-3] + [1.0] * 5)
    gallery = (rng.random((40, 9)) * scales).astype(dtype)
    X = (rng.random((7, 9)) * scales).astype(dtype)
    scaler = BlockScaler(SLICES, hellinger=hellinger, normalize=normalize).fit(gallery)
    expected = slow_scale(X, gallery, SLICES, hellinger, normalize)
    scaled = scaler.transform(X)
    assert scaled.dtype == dtype
    np.testing.assert_allclose(
        scaled, expected, rtol=0, atol=3e-6 if dtype == np.float32 else 1e-12
    )


def test_every_block_has_the_same_mean_squared_distance(rng):
    X = rng.normal(size=(60, 9)) * ([1e4] * 3 + [1e-4] + [1] * 5)
    scaled = BlockScaler(SLICES).fit_transform(X)
    for block in SLICES.values():
        part = scaled[:, block]
        distances = ((part[:, None] - part[None]) ** 2).sum(axis=2)
        assert distances.mean() == pytest.approx(2.0, rel=1e-12)


def test_the_data_that_were_passed_stay_as_they_are(rng):
    X = rng.random((5, 9)).astype(np.float32)
    before = X.copy()
    BlockScaler(SLICES, hellinger=("a", "b", "c"), normalize="l2").fit(X).transform(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e20, -3e-20, 1 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_block_is_centred_and_not_blown_up(rng, value, dtype):
    X = rng.random((101, 9)).astype(dtype)
    X[:, SLICES["c"]] = value
    scaler = BlockScaler(SLICES).fit(X)
    assert scaler.rms_[2] == 0.0
    scaled = scaler.transform(X)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled[:, SLICES["c"]]).max() <= abs(value) * 1e-6
    np.testing.assert_allclose(scaled[:, :4], slow_scale(X, X, SLICES)[:, :4], atol=3e-6)


def test_one_sample_and_rows_of_zeros():
    X = np.array([[3.0, 4.0]])
    np.testing.assert_array_equal(BlockScaler(normalize="l2").fit_transform(X), [[0.0, 0.0]])


def test_small_differences_on_a_large_offset():
    # In float32 the mean of such data is lost if the sums are.
    X = (1000 + np.linspace(0, 1, 5000)[:, None]).astype(np.float32)
    moments = block_moments(X, [slice(0, 1)])
    assert moments.rms[0] == pytest.approx(X.astype(float).std(), rel=1e-9)
    assert moments.mean[0] == pytest.approx(X.astype(float).mean(), rel=1e-14)


def test_moments_do_not_depend_on_the_chunks(rng, monkeypatch):
    X = rng.normal(size=(50, 9))
    blocks = list(SLICES.values())
    whole = block_moments(X, blocks)
    monkeypatch.setattr("skgeo.features._blocks._CHUNK_ELEMENTS", 20)
    pieces = block_moments(X, blocks)
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(pieces.rms, whole.rms, rtol=1e-13)
    np.testing.assert_allclose(
        standardise_blocks(X, blocks, pieces), slow_scale(X, X, SLICES), atol=1e-12
    )


@pytest.mark.parametrize("blocks", [
    SLICES, [slice(0, 3), slice(3, 4), slice(4, 9)], [3, 1, 5], (3, 1, 5), (np.int64(3), 1, 5),
    {"a": 3, "b": 1, "c": 5}, [slice(None, 3), slice(3, 4), slice(4, None)],
    {"c": slice(4, 9), "a": slice(0, 3), "b": slice(3, 4)},
])  # fmt: skip
def test_the_forms_of_blocks_are_equal(rng, blocks):
    X = rng.random((10, 9))
    expected = BlockScaler(SLICES).fit_transform(X)
    np.testing.assert_array_equal(BlockScaler(blocks).fit_transform(X), expected)


def test_the_layout_of_the_low_level_features(rng):
    slices = resolve_blocks("low-level", 2971)
    assert {name: block.stop - block.start for name, block in slices.items()} == LOW_LEVEL_WIDTHS
    assert slices["tiny5"] == slice(0, 75)
    assert slices["gist"] == slice(2371, 2971)
    X = rng.random((4, 2971)).astype(np.float32)
    scaled = BlockScaler("low-level", hellinger=("color", "texture")).fit_transform(X)
    np.testing.assert_allclose(
        scaled, slow_scale(X, X, slices, ("color", "texture")), atol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize(("blocks", "message"), [
    ("low-level", "do not cover the 9 columns.*other features"),
    ([3, 5], "do not cover"), ([3, 7], "do not cover"),
    ([slice(0, 3), slice(2, 9)], "do not cover"), ([slice(0, 3), slice(4, 9)], "do not cover"),
    ([slice(0, 9), slice(5, 9)], "do not cover"), ([slice(0, 9), slice(0, 9)], "do not cover"),
    ([slice(0, 3), slice(3, 12)], "do not cover"),
    ([slice(0, 9, 2)], r"expected slice\(start, stop\)"), ([slice(3, 3)], "expected slice"),
    ([slice(-9, None)], "expected slice"), ([9, 0], "below 1"), ([-1, 10], "below 1"),
    ([3.0, 6.0], "either slices or widths"), ([3, slice(3, 9)], "either slices or widths"),
    ([], "empty"), ({}, "empty"),
])  # fmt: skip
def test_blocks_that_do_not_fit(rng, blocks, message):
    with pytest.raises(ValueError, match=message):
        BlockScaler(blocks).fit(rng.random((4, 9)))


@pytest.mark.parametrize("parameters", [
    {"blocks": "high-level"}, {"blocks": 3}, {"hellinger": "a"}, {"normalize": "l1"},
])  # fmt: skip
def test_parameters_that_are_none(rng, parameters):
    with pytest.raises(ValueError, match="parameter of BlockScaler"):
        BlockScaler(**parameters).fit(rng.random((4, 9)))


def test_hellinger_names_what_is_wrong(rng):
    X = rng.random((4, 9))
    with pytest.raises(ValueError, match=r"hellinger names \['d'\].*\['a', 'b', 'c'\]"):
        BlockScaler(SLICES, hellinger=("a", "d")).fit(X)
    scaler = BlockScaler(SLICES, hellinger=("c",)).fit(X)
    X[2, 5] = -0.25
    with pytest.raises(ValueError, match=r"block 'c'.*negative value -0\.25 in row 2"):
        scaler.transform(X)
    with pytest.raises(ValueError, match="block 'c'"):
        clone(scaler).fit(X)
    BlockScaler(SLICES, hellinger=("a", "b")).fit(X)


def test_other_columns_than_in_fit_and_missing_values(rng):
    scaler = BlockScaler(SLICES).fit(rng.random((4, 9)))
    with pytest.raises(ValueError, match="X has 8 features, but BlockScaler is expecting 9"):
        scaler.transform(rng.random((4, 8)))
    with pytest.raises(ValueError, match="contains NaN"):
        scaler.transform(np.full((1, 9), np.nan))
    with pytest.raises(ValueError, match="squares overflow"):
        BlockScaler().fit(np.array([[1e200], [-1e200]]))


def test_names_and_containers(rng):
    frame = pd.DataFrame(rng.random((4, 3)), columns=["x", "y", "z"], index=[7, 8, 9, 1])
    scaled = BlockScaler([2, 1]).set_output(transform="pandas").fit_transform(frame)
    assert list(scaled.columns) == ["x", "y", "z"]
    assert list(scaled.index) == [7, 8, 9, 1]
    pipe = make_pipeline(BlockScaler([2, 1]), BlockScaler()).fit(frame)
    assert list(pipe.get_feature_names_out()) == ["x", "y", "z"]


def test_a_copy_through_pickle_scales_alike(rng):
    X = rng.random((6, 9))
    scaler = BlockScaler(SLICES, hellinger=("b",), normalize="l2").fit(X)
    copy = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(copy.transform(X), scaler.transform(X))
