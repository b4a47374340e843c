"""The report against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skgeo._geodesy import great_circle_km
from skgeo.model_selection import LeakageReport, PhotographerSplit, leakage_report, perceptual_hash


def sample(rng, n):
    centres = np.array([[37.8, -122.4], [-17.0, 180.0], [89.999, 10.0]])
    y = centres[rng.integers(0, 3, n)] + rng.normal(0, 0.002, (n, 2))
    y[:, 1] = (y[:, 1] + 180.0) % 360.0 - 180.0
    y = np.clip(y, [-90, -180], [90, 180])
    y[n // 2 : n // 2 + 5] = y[:5]
    coarse = rng.integers(0, 256, (n, 7, 9, 3)).astype(np.uint8)
    coarse[n // 2 :: 3] = coarse[: len(coarse[n // 2 :: 3])]
    images = [
        np.asarray(Image.fromarray(c).resize((60, 48), Image.Resampling.BICUBIC)) for c in coarse
    ]
    images[-1] = images[0] // 2 + 60  # like the first, not identical
    authors = np.array([*"abcdefghij", None, "", np.nan], dtype=object)[rng.integers(0, 13, n)]
    X = np.round(rng.normal(size=(n, 2)), 1)
    return y, images, authors, X


def slow_pairs(report_args, train, test):
    y, images, authors, X, km, bits, reach = report_args
    hashes = perceptual_hash(images)
    known = [isinstance(a, str) and a.strip() != "" for a in authors]
    checks = {
        "place": lambda i, j: great_circle_km(y[i], y[j]),
        "author": lambda i, j: 0 if known[i] and known[j] and authors[i] == authors[j] else None,
        "identical": lambda i, j: 0 if np.array_equal(images[i], images[j]) else None,
        "hash": lambda i, j: int(hashes[i] ^ hashes[j]).bit_count(),
        "features": lambda i, j: np.sqrt(((X[i] - X[j]) ** 2).sum()),
    }
    limits = {"place": km, "hash": bits, "features": reach}
    found = {}
    for check, distance in checks.items():
        found[check] = []
        for i in test:
            for j in train:
                d = distance(i, j)
                if d is not None and d <= limits.get(check, 0):
                    found[check].append((int(i), int(j), float(d)))
    return found


@pytest.mark.parametrize("max_pairs", [1, 3, 100])
def test_everything_by_loop(rng, monkeypatch, max_pairs):
    monkeypatch.setattr("skgeo.model_selection._leakage._HELD", 17)
    y, images, authors, X = sample(rng, 70)
    order = rng.permutation(70)
    train, test = order[:45], np.sort(order[45:])
    report = leakage_report(
        train,
        test,
        coordinates=y,
        images=images,
        authors=authors,
        features=X,
        max_feature_distance=0.3,
        radii_km=[0.05, 0.3],
        max_pairs=max_pairs,
    )
    assert isinstance(report, LeakageReport)
    slow = slow_pairs((y, images, authors, X, 0.3, 8, 0.3), train, test)
    titles = {
        "within 50 m": [p for p in slow["place"] if p[2] <= 0.05],
        "within 300 m": slow["place"],
        "same author": slow["author"],
        "identical image": slow["identical"],
        "hash within 8 bits": slow["hash"],
        "features within 0.3": slow["features"],
    }
    assert report.summary.index.tolist() == list(titles)
    for title, pairs in titles.items():
        row = report.summary.loc[title]
        assert row["pairs"] == len(pairs) > 0, title
        assert row["queries"] == len({p[0] for p in pairs})
        assert row["percent"] == pytest.approx(100 * row["queries"] / 25)
    for check, pairs in slow.items():
        expected = []
        for i in sorted(test.tolist(), key=test.tolist().index):
            mine = sorted(
                (p for p in pairs if p[0] == i), key=lambda p: (p[2], train.tolist().index(p[1]))
            )
            expected += mine[:max_pairs]
        listed = report.pairs[report.pairs["check"] == check]
        assert listed[["test", "train"]].to_numpy().tolist() == [list(p[:2]) for p in expected]
        if check in ("author", "identical"):
            assert listed["distance"].isna().all()
        else:
            np.testing.assert_allclose(listed["distance"], [p[2] for p in expected], atol=1e-9)
    others = ["author", "identical", "hash", "features"]
    for checks, names in ((None, others), (["hash"], ["hash"]), (slow, list(slow)), ([], [])):
        bad_test = {p[0] for name in names for p in slow[name]}
        bad_train = {p[1] for name in names for p in slow[name]}
        assert report.clean_test(checks).tolist() == [i for i in test if i not in bad_test]
        assert report.clean_train(checks).tolist() == [j for j in train if j not in bad_train]


def test_what_is_clean_is_clean(rng):
    _, images, authors, _ = sample(rng, 60)
    train, test = np.arange(30), np.arange(30, 60)
    arguments = {"images": images, "authors": authors}
    report = leakage_report(train, test, **arguments)
    assert 0 < len(report.clean_test()) < 30
    for left, right in ((report.clean_train(), test), (train, report.clean_test())):
        again = leakage_report(left, right, **arguments)
        assert (again.summary["queries"] == 0).all()
        assert len(again.pairs) == 0
        assert again.clean_test().tolist() == right.tolist()


def test_a_split_by_photographers_does_not_leak_authors(rng):
    authors = np.array([f"u{i}" for i in rng.integers(0, 9, 60)])
    for train, test in PhotographerSplit(3).split(authors, groups=authors):
        assert leakage_report(train, test, authors=authors).summary["queries"].sum() == 0
    leaky = leakage_report(np.arange(30), np.arange(30, 60), authors=authors)
    assert leaky.summary.loc["same author", "queries"] > 0


def test_masks_same_samples_and_forms(rng, tmp_path):
    y, images, *_ = sample(rng, 20)
    paths = []
    for k, pixels in enumerate(images):
        paths.append(tmp_path / f"{k}.png")
        Image.fromarray(pixels).save(paths[-1])
    mask = np.arange(20) < 10
    by_mask = leakage_report(mask, ~mask, coordinates=pd.DataFrame(y), images=pd.Series(paths))
    by_index = leakage_report(range(10), range(10, 20), coordinates=y, images=images)
    pd.testing.assert_frame_equal(by_mask.summary, by_index.summary)
    pd.testing.assert_frame_equal(by_mask.pairs, by_index.pairs)
    both = leakage_report([0, 1, 2], [2, 3], coordinates=y)
    assert both.summary.loc["same sample", "queries"] == 1
    assert both.pairs.query("check == 'sample'")[["test", "train"]].to_numpy().tolist() == [[2, 2]]
    assert both.clean_test().tolist() == [3]


def test_reading_it(rng):
    y, _, authors, _ = sample(rng, 40)
    report = leakage_report(np.arange(20), np.arange(20, 40), coordinates=y, authors=authors)
    lines = repr(report).splitlines()
    assert lines[0] == "20 test samples against 20 training samples"
    assert lines[-1].startswith("Without what is flagged here, the place aside:")
    assert "within 10 m" in repr(report)
    assert "<table" in report._repr_html_()
    none = leakage_report([0], [1], coordinates=[[0, 0], [0, 90]])
    assert none.summary["queries"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("train", "test", "keywords", "message"),
    [
        ([0], [1], {}, "Nothing to check"),
        ([0], [2], {"coordinates": [[0, 0], [0, 1]]}, "test holds the index 2, but there are 2"),
        ([-1], [1], {"coordinates": [[0, 0], [0, 1]]}, "train holds the index -1"),
        ([], [1], {"coordinates": [[0, 0], [0, 1]]}, "train is an array"),
        ([0.5], [1], {"coordinates": [[0, 0], [0, 1]]}, "train is an array"),
        ([True], [1], {"coordinates": [[0, 0], [0, 1]]}, "train is an array"),
        ([0], [1], {"coordinates": [[0, 0], [0, 1]], "authors": ["a"]}, "coordinates 2, authors 1"),
        ([0], [1], {"coordinates": [[0, 0], [95, 1]]}, "coordinates has a latitude"),
        ([0], [1], {"features": [[0], [1]]}, "max_feature_distance is needed"),
        ([0], [1], {"authors": ["a", "b"], "max_hash_distance": 16}, "0 to 15"),
        ([0], [1], {"authors": [["a"], ["b"]]}, r"authors has shape \(2, 1\)"),
        ([0], [1], {"coordinates": [[0, 0], [0, 1]], "radii_km": []}, "empty"),
        ([0], [1], {"coordinates": [[0, 0], [0, 1]], "max_pairs": 0}, "max_pairs"),
    ],
)
def test_bad_input(train, test, keywords, message):
    with pytest.raises(ValueError, match=message):
        leakage_report(train, test, **keywords)


def test_unknown_check():
    report = leakage_report([0], [1], authors=["a", "b"])
    with pytest.raises(ValueError, match="'hash' was not made"):
        report.clean_test(["hash"])
