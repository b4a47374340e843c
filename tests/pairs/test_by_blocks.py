"""Pairs found block by block, interrupted after every one, have the bits of one go."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo import _checkpoint
from skgeo.pairs import InconsistencyPairs, _by_blocks, _on_cluster


class Killed(BaseException):
    """As good as a kill."""


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 20)) * 0.9 ** np.arange(20)
    X[1500:1600] = X[:100]  # ties
    return X.astype(np.float32), rng.integers(0, 40, 3000)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_by_blocks, "_BLOCK_PRODUCTS", 1.0)


def assert_same(a, b):
    for name in ("same_area_", "easy_confusing_"):
        for array in ("indptr", "indices"):
            one, other = (getattr(getattr(p, name), array) for p in (a, b))
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(a.same_area_distances_, b.same_area_distances_)
    np.testing.assert_array_equal(a.easy_confusing_distances_, b.easy_confusing_distances_)


@pytest.mark.parametrize("method", ["exact", "approximate", "anchor"])
def test_killed_after_every_block(method, photos, tmp_path, monkeypatch):
    expected = InconsistencyPairs(method=method, random_state=0).fit(*photos)
    written = []
    write = _checkpoint.Job.write

    def killing(job, part, writer):
        write(job, part, writer)
        written.append(part)
        raise Killed

    monkeypatch.setattr(_checkpoint.Job, "write", killing)
    for _ in range(10):
        pairs = InconsistencyPairs(method=method, random_state=0, checkpoint=tmp_path)
        try:
            pairs.fit(*photos)
            break
        except Killed:
            assert not hasattr(pairs, "labels_")
    assert_same(pairs, expected)
    assert len(written) == len(set(written)) == (1 if method == "anchor" else 3)
    assert list(tmp_path.iterdir()) == []


def test_other_photos_and_torn_files_are_no_obstacle(photos, tmp_path, monkeypatch):
    X, labels = photos
    rows = _on_cluster.Collection.rows

    def stop(self, start, *args, **options):
        if start:
            raise KeyboardInterrupt
        return rows(self, start, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(_on_cluster.Collection, "rows", stop)
        with pytest.raises(KeyboardInterrupt, match=r"1 of 3 blocks are kept in .* goes on from"):
            InconsistencyPairs(checkpoint=tmp_path).fit(X, labels)
    (left,) = tmp_path.iterdir()
    other = X[::-1].copy()
    expected = InconsistencyPairs().fit(other, labels)
    assert_same(InconsistencyPairs(checkpoint=tmp_path).fit(other, labels), expected)
    assert list(tmp_path.iterdir()) == [left]
    left.write_bytes(left.read_bytes()[:500])
    again = InconsistencyPairs(checkpoint=tmp_path).fit(X, labels)
    assert_same(again, InconsistencyPairs().fit(X, labels))
    assert list(tmp_path.iterdir()) == []


def test_says_where_it_goes_on(photos, tmp_path, monkeypatch, capsys):
    write = _checkpoint.Job.write

    def killing(*args):
        write(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.Job, "write", killing)
        with pytest.raises(Killed):
            InconsistencyPairs(checkpoint=tmp_path).fit(*photos)
    InconsistencyPairs(checkpoint=tmp_path, verbose=1).fit(*photos)
    assert "resumes with 1 of 3 blocks" in capsys.readouterr().out
