"""Bad places get an error that says what, where and what was expected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skgeo._validation import check_coordinates, check_places


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([[0, 0], [91, 0]], r"latitude outside \[-90, 90\].*row 1: \[91.0, 0.0\]"),
        ([[0, 0], [120, 40]], "swapped"),
        ([[0, 181]], r"longitude outside \[-180, 180\].*row 0"),
        ([[0, 0], [np.nan, 1]], "NaN or infinity in 1 row.*row 1"),
        ([[0, np.inf]], "NaN or infinity"),
        ([[1.0], [2.0]], r"shape \(2, 1\).*\(n, 2\)"),
        ([[1, 2, 3]], r"shape \(1, 3\).*latitude, longitude"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([["a", "b"]], "not a number"),
        ([["1", "2"]], "not a number"),
        ([[1j, 2]], "not a number"),
        ([[1, 2], [3]], "not a number|shape"),
        (np.empty((0, 2)), "0 rows; at least 1"),
    ],
)
def test_bad_coordinates_are_named(y, match):
    with pytest.raises(ValueError, match=match):
        check_coordinates(y)


def test_the_argument_is_named_and_counted():
    with pytest.raises(ValueError, match="y_pred has 1 rows but X has 2 samples"):
        check_coordinates([[1, 2]], name="y_pred", n_samples=2)


@pytest.mark.parametrize(
    "y",
    [
        [[90, 180], [-90, -180]],
        np.array([[90, 180], [-90, -180]], dtype=np.float32),
        np.array([[90, 180], [-90, -180]], dtype=object),
        pd.DataFrame({"lat": [90, -90], "lon": [180, -180]}),
    ],
)
def test_good_coordinates_come_back_as_float64(y):
    c = check_coordinates(y)
    assert c.dtype == np.float64
    assert c.flags.c_contiguous
    np.testing.assert_array_equal(c, [[90, 180], [-90, -180]])


def test_float64_is_not_copied():
    y = np.zeros((3, 2))
    assert check_coordinates(y) is y


def test_places_are_coordinates_or_labels():
    coordinates = check_places([[1.0, 2.0]], n_samples=1)
    assert coordinates.labels is None
    labels = check_places(pd.Series(["b", "a", "b"]), n_samples=3)
    assert labels.coordinates is None
    np.testing.assert_array_equal(labels.labels, [1, 0, 1])
    np.testing.assert_array_equal(labels.classes, ["a", "b"])


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([1, 2], "2 labels but X has 3 samples"),
        ([1.0, np.nan, 2.0], "row 1"),
        ([[1], [2], [3]], "locations of shape"),
        (np.array([1, "a", None], dtype=object), "cannot be compared"),
        ([[0, 0], [0, 0], [0, 200]], "longitude outside"),
    ],
)
def test_bad_places_are_named(y, match):
    with pytest.raises(ValueError, match=match):
        check_places(y, n_samples=3)
