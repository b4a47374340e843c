"""The containers that users pass as X."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skgeo.images import check_images, is_single_pass

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize("X", [
    NAMES, tuple(NAMES), np.array(NAMES), np.array(NAMES, dtype=object),
    np.array(NAMES)[:, None], np.array(NAMES, dtype=object)[:, None],
    pd.Series(NAMES), pd.Series(NAMES, index=[5, 5, 0]), pd.Series(NAMES, dtype=object),
    pd.Index(NAMES), pd.DataFrame({"path": NAMES}), iter(NAMES), (name for name in NAMES),
    map(str, NAMES),
], ids=lambda X: type(X).__name__)  # fmt: skip
def test_collections_of_paths(X):
    images = check_images(X)
    assert len(images) == 3
    assert [str(images[i]) for i in range(3)] == NAMES
    assert all(isinstance(image, str) for image in images)


def test_lists_and_stacks_are_not_copied(rng):
    mixed = [rng.random((3, 4)), "a.jpg", Path("b.jpg"), b"\xff", Image.new("L", (2, 2))]
    assert check_images(mixed) is mixed
    for shape in ((2, 5, 6), (2, 5, 6, 1), (2, 5, 6, 3), (2, 5, 6, 4)):
        stack = rng.random(shape)
        assert np.shares_memory(check_images(stack), stack)
        np.testing.assert_array_equal(check_images(stack)[1], stack[1])


def test_an_array_of_objects_of_different_shapes(rng):
    X = np.empty(2, dtype=object)
    X[0], X[1] = rng.random((3, 4, 3)), rng.random((5, 6))
    images = check_images(X)
    assert images[0] is X[0]
    assert images[1] is X[1]


def test_any_sequence_will_do():
    class Dataset:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return np.full((2, 2), index)

    assert len(check_images(Dataset())) == 4


@pytest.mark.parametrize("X", ["a.jpg", Path("a.jpg")])
def test_a_single_path_is_an_error_with_a_hint(X):
    with pytest.raises(ValueError, match=r"photos is a single image, 'a\.jpg'.*Use \['a\.jpg'\]"):
        check_images(X, name="photos")


@pytest.mark.parametrize("X", [b"\xff\xd8", Image.new("L", (2, 2)), io.BytesIO(b"x")])
def test_other_single_images(X):
    with pytest.raises(ValueError, match="single image"):
        check_images(X)


@pytest.mark.parametrize(("X", "message"), [
    ([], "0 images"), (np.zeros((0, 4, 4, 3)), "0 images"), (iter(()), "0 images"),
    (pd.Series([], dtype=object), "0 images"),
    (np.zeros((4, 5)), "table or one grey"), (np.zeros((4, 5, 3)), "If it is one image"),
    (np.zeros(4), "collection"), (np.zeros((2, 3, 8, 8)), "second axis"),
    (np.zeros((2, 2, 8, 8, 3)), "collection"), (np.array(5), "collection"),
    (np.array([["a", "b"]]), "collection"), (pd.DataFrame({"a": [1], "b": [2]}), "collection"),
    (np.array([b"\xff\xd8\0"]), "cuts off the zeros"),
])  # fmt: skip
def test_what_is_no_collection_of_images(X, message):
    with pytest.raises(ValueError, match=message):
        check_images(X)


@pytest.mark.parametrize("X", [None, 3, {"a.jpg": 1}, {"a.jpg"}])
def test_what_is_no_collection_at_all(X):
    with pytest.raises(TypeError, match="expected a collection of images"):
        check_images(X)


def test_single_pass():
    assert is_single_pass(iter(NAMES))
    assert is_single_pass(Path().glob("*.jpg"))
    assert not is_single_pass(NAMES)
    assert not is_single_pass(np.array(NAMES))
    assert not is_single_pass(io.BytesIO(b""))
