"""Copies of photographs are found, in any form, and never parted."""

from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dctn
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsRegressor

from skgeo.images import ImageError
from skgeo.metrics import great_circle_threshold_scorer
from skgeo.model_selection import (
    NearDuplicateSplit,
    near_duplicate_groups,
    perceptual_hash,
)


def picture(rng, height=96, width=120):
    """Smooth colours at random, as different from each other as photographs are."""
    coarse = rng.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(pixels, quality=40):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def versions(pixels):
    image = Image.fromarray(pixels)
    yield jpeg(pixels)
    yield image.resize((image.width // 2, image.height // 2))
    yield np.asarray(ImageEnhance.Brightness(image).enhance(1.1))
    yield np.asarray(ImageEnhance.Contrast(image).enhance(0.8))
    yield pixels.astype(np.float32) / np.float32(255)
    yield pixels.astype(np.uint16) * np.uint16(257)


def bits(a, b):
    return int(a ^ b).bit_count()


def test_hash_is_its_definition(rng):
    images = [picture(rng) for _ in range(10)]
    hashes = perceptual_hash(images)
    assert hashes.dtype == np.uint64
    for pixels, value in zip(images, hashes, strict=True):
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
        transform = dctn(small.astype(np.float64), norm="ortho")
        order = sorted(itertools.product(range(32), repeat=2), key=lambda uv: (sum(uv), uv[0]))
        expected = 0
        for u, v in order[1:65]:
            expected = 2 * expected + int(transform[u, v] > 0.5)
        assert int(value) == expected


def test_hash_knows_versions_and_tells_others_apart(rng):
    images = [picture(rng) for _ in range(40)]
    hashes = perceptual_hash(images)
    for pixels, value in zip(images, hashes, strict=True):
        for version in perceptual_hash(list(versions(pixels))):
            assert bits(version, value) <= 8
    apart = [bits(a, b) for a, b in itertools.combinations(hashes, 2)]
    assert min(apart) > 8
    assert np.mean(apart) == pytest.approx(32, abs=2)


def test_hash_of_plain_pictures_and_any_form(rng, tmp_path):
    plain = [np.full((20 + k, 30, 3), 40 * k, dtype=np.uint8) for k in range(6)]
    assert perceptual_hash(plain).tolist() == [0] * 6
    pixels = picture(rng)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png")
    forms = [tmp_path / "a.png", str(tmp_path / "a.png"), pixels, Image.fromarray(pixels)]
    assert len(set(perceptual_hash(forms).tolist())) == 1
    assert bits(*perceptual_hash([pixels, tmp_path / "turned.png"])) > 15
    one = perceptual_hash(np.stack([pixels] * 3))
    assert perceptual_hash(pd.Series(forms[:2], index=[5, 9])).tolist() == one[:2].tolist()
    assert perceptual_hash([pixels] * 40, n_jobs=2).tolist() == [int(one[0])] * 40


def test_hash_names_the_bad_image(rng, tmp_path):
    with pytest.raises(ImageError, match=r"X\[1\].*nowhere.jpg"):
        perceptual_hash([picture(rng), tmp_path / "nowhere.jpg"])
    with pytest.raises(ValueError, match="images is a single image"):
        perceptual_hash("a.jpg")


def test_groups_of_images(rng):
    originals = [picture(rng) for _ in range(12)]
    images, expected = [], []
    for number, pixels in enumerate(originals):
        for version in [pixels, *itertools.islice(versions(pixels), number % 4)]:
            images.append(version)
            expected.append(number)
    assert near_duplicate_groups(images).tolist() == expected
    assert near_duplicate_groups(images, method="hash", max_distance=0).max() >= 11
    shuffled = rng.permutation(len(images))
    groups = near_duplicate_groups([images[i] for i in shuffled])
    for i, j in itertools.combinations(range(len(images)), 2):
        same = expected[shuffled[i]] == expected[shuffled[j]]
        assert (groups[i] == groups[j]) == same


def test_identical_is_bit_by_bit(rng, tmp_path):
    pixels = picture(rng)
    (tmp_path / "a.jpg").write_bytes(jpeg(pixels))
    (tmp_path / "b.jpg").write_bytes(jpeg(pixels))
    (tmp_path / "c.jpg").write_bytes(jpeg(pixels) + b"\0")
    images = [tmp_path / "a.jpg", str(tmp_path / "b.jpg"), tmp_path / "c.jpg", jpeg(pixels)]
    assert near_duplicate_groups(images, method="identical").tolist() == [0, 0, 1, 0]
    arrays = [pixels, pixels.copy(), pixels[:, ::-1], pixels.reshape(120, 96, 3)]
    assert near_duplicate_groups(arrays, method="identical").tolist() == [0, 0, 1, 2]
    with pytest.raises(ImageError, match=r"X\[1\]: .*nowhere"):
        near_duplicate_groups([pixels, tmp_path / "nowhere"], method="identical")


def test_groups_of_features_by_brute_force(rng):
    X = np.round(rng.normal(size=(120, 3)), 1)
    X[60:75] = -X[:15] * 0.0 + X[:15]  # equal, but for the sign of zeros
    limit = 0.45
    label = list(range(120))
    for i, j in itertools.combinations(range(120), 2):
        if np.sqrt(((X[i] - X[j]) ** 2).sum()) <= limit:
            old, new = max(label[i], label[j]), min(label[i], label[j])
            label = [new if x == old else x for x in label]
    names = {}
    expected = [names.setdefault(x, len(names)) for x in label]
    assert len(names) > 5
    for form in (X, X.tolist(), pd.DataFrame(X, index=range(5, 125))):
        assert near_duplicate_groups(form, max_distance=limit).tolist() == expected


@pytest.mark.parametrize(
    ("X", "keywords", "message"),
    [
        (np.zeros((3, 2)), {}, "max_distance is needed"),
        (np.array([[0.0], [np.nan]]), {"max_distance": 1}, "NaN"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"max_distance": 16}, "0 to 15"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"max_distance": 2.5}, "whole number"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"method": "identical", "max_distance": 1}, "meaning"),
        (np.zeros((2, 8, 8, 3), np.uint8), {"method": "eyes"}, "method"),
        (np.zeros((2, 2)), {"max_distance": -1}, "max_distance"),
        ([], {}, "0 images"),
    ],
)
def test_groups_bad_input(X, keywords, message):
    with pytest.raises(ValueError, match=message):
        near_duplicate_groups(X, **keywords)


def test_split_promises(rng):
    X = np.repeat(rng.normal(size=(30, 4)), 3, axis=0) + rng.normal(0, 1e-3, (90, 4))
    X = X[rng.permutation(90)]
    groups = near_duplicate_groups(X, max_distance=0.05)
    authors = np.arange(90)
    authors[:8] = 0
    for split, extra in (
        (NearDuplicateSplit(4, max_distance=0.05), None),
        (NearDuplicateSplit(3, max_distance=0.05, shuffle=True, random_state=1), None),
        (NearDuplicateSplit(2, max_distance=0.05), authors),
    ):
        tested = np.zeros(90, dtype=int)
        for train, test in split.split(X, groups=extra):
            tested[test] += 1
            assert set(groups[train]).isdisjoint(groups[test])
            assert len(train) + len(test) == 90
            if extra is not None:
                assert set(extra[train]).isdisjoint(extra[test])
        assert (tested == 1).all()
        assert split.get_n_splits() == split.n_splits
    sizes = [len(test) for _, test in NearDuplicateSplit(4, max_distance=0.05).split(X)]
    assert max(sizes) - min(sizes) <= 3


def test_split_is_deterministic(rng):
    X = rng.normal(size=(40, 2))

    def folds(**keywords):
        split = NearDuplicateSplit(4, max_distance=0.01, **keywords)
        return [test.tolist() for _, test in split.split(X)]

    assert folds() == folds()
    assert folds(shuffle=True, random_state=0) == folds(shuffle=True, random_state=0)
    assert folds(shuffle=True, random_state=0) != folds(shuffle=True, random_state=1)


def test_split_warns_of_chains_and_refuses_too_few():
    X = np.arange(20.0)[:, None]
    X[15:] += 100 * np.arange(1, 6)[:, None]
    with pytest.warns(UserWarning, match="holds 15 of 20 samples"):
        list(NearDuplicateSplit(2, max_distance=1).split(X))
    with pytest.raises(ValueError, match=r"20 samples are 1 group\(s\)"):
        list(NearDuplicateSplit(2, max_distance=500).split(X))
    with pytest.raises(ValueError, match="no effect"):
        NearDuplicateSplit(random_state=0)
    with pytest.raises(ValueError, match="n_splits"):
        NearDuplicateSplit(1)


def test_split_serves_as_cv_for_features_and_images(rng):
    centres = np.column_stack([rng.uniform(-60, 60, 10), rng.uniform(-170, 170, 10)])
    y = np.repeat(centres, 4, axis=0)
    X = np.repeat(rng.normal(size=(10, 3)), 4, axis=0) + rng.normal(0, 1e-4, (40, 3))
    scoring = great_circle_threshold_scorer(25)
    knn = KNeighborsRegressor(n_neighbors=1)
    leaky = cross_val_score(knn, X, y, cv=5, scoring=scoring).mean()
    honest = NearDuplicateSplit(5, max_distance=0.01)
    assert cross_val_score(knn, X, y, cv=honest, scoring=scoring).max() == 0.0
    assert leaky >= 0.0
    search = GridSearchCV(knn, {"n_neighbors": [1, 3]}, cv=honest, scoring=scoring).fit(X, y)
    assert search.n_splits_ == 5
    pictures = [picture(rng) for _ in range(6)]
    images = np.empty(12, dtype=object)
    for k in range(12):
        images[k] = pictures[k % 6]
    for train, test in NearDuplicateSplit(3).split(images):
        assert {i % 6 for i in train}.isdisjoint({i % 6 for i in test})
    text = " ".join(repr(NearDuplicateSplit(3)).split())
    assert text.startswith("NearDuplicateSplit(max_distance=None, method='auto', n_jobs=None")


def test_real_photographs(shared_data):
    folder = shared_data / "mexico_cities" / "images"
    paths = sorted(folder.iterdir())[:150]
    copies = [jpeg(np.asarray(Image.open(path).convert("RGB")), 30) for path in paths[::3]]
    groups = near_duplicate_groups([*paths, *copies])
    assert groups[150:].tolist() == groups[:150:3].tolist()
    assert len(set(groups[:150].tolist())) >= 148
