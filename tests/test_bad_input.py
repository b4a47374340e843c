"""What a user gets to read when something is wrong: what, where, and what was expected."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from skgeo import (
    DGAETransformer,
    InconsistencyPairs,
    KNNGeoRegressor,
    LowLevelFeatures,
    MarginalFisherTransformer,
    make_geo_pipeline,
)
from skgeo.datasets import load_geotagged_photos
from skgeo.images import ImageError

X = np.random.default_rng(0).normal(size=(30, 4))
GOOD = np.stack([np.repeat(np.linspace(-60, 60, 6), 5), np.zeros(30)], axis=1)


def with_row(value):
    y = GOOD.copy()
    y[7] = value
    return y


def estimators():
    return [
        InconsistencyPairs(),
        DGAETransformer((3,), max_epochs=1, pretrain_epochs=1),
        MarginalFisherTransformer(),
        KNNGeoRegressor(),
    ]


@pytest.mark.parametrize("estimator", estimators(), ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    ("y", "match"),
    [
        (with_row([91.0, 0.0]), r"latitude outside \[-90, 90\] in 1 row\(s\), the first is row 7"),
        (with_row([0.0, 181.0]), r"longitude outside \[-180, 180\].* row 7"),
        (with_row([np.nan, 0.0]), r"NaN or infinity in 1 row\(s\), the first is row 7"),
        (GOOD[:, :1], r"shape \(30, 1\).*latitude, longitude"),
        (np.column_stack([GOOD, GOOD[:, 0]]), r"shape \(30, 3\).*latitude, longitude"),
        (GOOD[:9], r"9 rows but X has 30|inconsistent numbers of samples"),
    ],
    ids=["latitude 91", "longitude 181", "NaN", "one column", "three columns", "too short"],
)
def test_places(estimator, y, match):
    with pytest.raises(ValueError, match=match):
        estimator.fit(X, y)


@pytest.fixture
def folder(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    image.save(tmp_path / "good.jpg")
    data = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("Dear diary, today I was in Rome.")
    return tmp_path


@pytest.mark.parametrize("name", ["truncated.jpg", "text.jpg", "absent.jpg"])
def test_a_bad_photo_is_named_by_index_and_path(folder, name):
    paths = [str(folder / "good.jpg"), str(folder / name)]
    features = LowLevelFeatures(["tiny5"])
    with pytest.raises((ImageError, FileNotFoundError), match=rf"(?s)1.*{name}"):
        features.fit(paths[:1]).transform(paths)
    features.set_params(on_error="nan")
    with pytest.warns(UserWarning, match=name):
        out = features.transform(paths)
    assert np.isfinite(out[0]).all()
    assert np.isnan(out[1]).all()


def test_a_photo_without_pixels_is_no_photo():
    with pytest.raises(ImageError):
        LowLevelFeatures(["tiny5"]).fit_transform([io.BytesIO(b"")])


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"(?i)no .*(image|photo)"):
        load_geotagged_photos(tmp_path)


def test_a_folder_without_positions(folder):
    (folder / "text.jpg").unlink()
    (folder / "truncated.jpg").unlink()
    with pytest.raises(ValueError, match=r"(?i)position"):
        load_geotagged_photos(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_geotagged_photos(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (InconsistencyPairs(k1=0), r"'k1' parameter of InconsistencyPairs must be an int in the"),
        (InconsistencyPairs(method="guess"), "'method' parameter of InconsistencyPairs"),
        (DGAETransformer(alpha=-0.1), r"'alpha' parameter of DGAETransformer must be a float"),
        (KNNGeoRegressor("5-nn"), "'mode' parameter of KNNGeoRegressor"),
    ],
    ids=lambda v: None if isinstance(v, str) else type(v).__name__,
)
def test_parameters_out_of_range(estimator, match):
    with pytest.raises(ValueError, match=match):
        estimator.fit(X, GOOD)


@pytest.mark.parametrize("estimator", estimators()[1:], ids=lambda e: type(e).__name__)
def test_a_model_fitted_on_other_columns(estimator):
    estimator.fit(X, GOOD)
    use = estimator.transform if hasattr(estimator, "transform") else estimator.predict
    with pytest.raises(ValueError, match=rf"3 features, but {type(estimator).__name__} is expec"):
        use(X[:, :3])


def test_nan_vectors_are_refused():
    bad = X.copy()
    bad[3, 2] = np.nan
    for estimator in estimators():
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(bad, GOOD)


def test_a_single_path_is_no_collection(folder):
    with pytest.raises((ValueError, TypeError), match=r"(?i)list"):
        make_geo_pipeline().fit(str(folder / "good.jpg"), GOOD[:1])
