"""One graph for all k: how often it is computed, across fits, threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans

from skgeo.cluster import POIMeanShift
from skgeo.pairs import InconsistencyPairs, _bounded, _exact, _memory, _regroup, exact_pairs


@pytest.fixture
def computed(monkeypatch):
    """Every graph that is computed from now on: (method, k1, k2)."""
    calls = []
    compute, regroup = _memory.compute_pairs, _memory.regroup

    def count(X, labels, coordinates, settings, k1, k2, *rest):
        calls.append((settings.method, k1, k2))
        return compute(X, labels, coordinates, settings, k1, k2, *rest)

    def count_regrouped(X, near, labels, k1, k2, **options):
        calls.append(("exact", k1, k2))
        return regroup(X, near, labels, k1, k2, **options)

    monkeypatch.setattr(_memory, "compute_pairs", count)
    monkeypatch.setattr(_memory, "regroup", count_regrouped)
    return calls


@pytest.fixture
def searched(monkeypatch):
    """Every search for the nearest of all photos from now on: how many of them."""
    calls = []
    search = _memory.nearest_of_all

    def count(X, length, **options):
        calls.append(length)
        return search(X, length, **options)

    monkeypatch.setattr(_memory, "nearest_of_all", count)
    return calls


def _graphs_on_disk(folder: Path) -> int:
    return len(list(folder.glob("joblib/skgeo/pairs/_memory/_pairs_at_level/*/output.pkl")))


def _assert_equal(a: InconsistencyPairs, b: InconsistencyPairs) -> None:
    for name in ("same_area_", "easy_confusing_"):
        left, right = getattr(a, name), getattr(b, name)
        np.testing.assert_array_equal(left.indptr, right.indptr)
        np.testing.assert_array_equal(left.indices, right.indices)
        np.testing.assert_array_equal(
            getattr(a, name + "distances_"), getattr(b, name + "distances_")
        )
        assert not left.has_sorted_indices
        assert not right.has_sorted_indices


@pytest.mark.parametrize("method", ["exact", "anchor"])
def test_one_graph_for_all_k_of_a_training_set(tmp_path, photos, computed, method):
    X, _, coordinates = photos
    options = {"method": method, "k3": 4}
    for fold in range(3):
        train = np.arange(len(X)) % 3 != fold
        for k1, k2 in ((20, 10), (5, 10), (32, 1), (1, 32)):
            kept = InconsistencyPairs(k1, k2, memory=str(tmp_path), **options)
            kept.fit(X[train], coordinates[train])
            fresh = InconsistencyPairs(k1, k2, **options).fit(X[train], coordinates[train])
            _assert_equal(kept, fresh)
            np.testing.assert_array_equal(kept.labels_, fresh.labels_)
    assert computed == [(method, 32, 32)] * 3
    assert _graphs_on_disk(tmp_path) == 3


def test_without_memory_rows_are_as_long_as_asked(photos, monkeypatch):
    from skgeo.pairs import _inconsistency

    calls = []
    compute = _inconsistency.compute_pairs
    monkeypatch.setattr(
        _inconsistency, "compute_pairs", lambda *args: calls.append(args[4:6]) or compute(*args)
    )
    X, labels, _ = photos
    InconsistencyPairs(7, 3).fit(X, labels)
    InconsistencyPairs(7, 3, memory=joblib.Memory(None)).fit(X, labels)
    assert calls == [(7, 3), (7, 3)]


def test_a_longer_graph_serves_a_shorter_one(tmp_path, photos, computed):
    X, labels, _ = photos
    for k1, k2 in ((20, 100), (20, 10), (60, 3), (129, 1), (20, 10)):
        kept = InconsistencyPairs(k1, k2, memory=tmp_path).fit(X, labels)
        _assert_equal(kept, InconsistencyPairs(k1, k2).fit(X, labels))
    assert computed == [("exact", 128, 128), ("exact", 256, 256)]


def test_what_matters_makes_another_graph_and_what_does_not_does_not(tmp_path, photos, computed):
    X, _, coordinates = photos

    def fit(X=X, y=coordinates, **parameters):
        before = len(computed)
        InconsistencyPairs(5, 5, memory=tmp_path, **parameters).fit(X, y)
        return len(computed) - before

    assert fit() == 1
    assert fit() == 0
    assert fit(method="exact") == 0  # what "auto" is at this size
    assert fit(n_jobs=2) == 0
    assert fit(k3=7, anchor_bandwidth=0.5, random_state=3) == 0  # of no matter to "exact"
    assert fit(poi=POIMeanShift(0.004)) == 0  # another bandwidth, the same areas
    changed = X.copy()
    changed[3, 1] += 1e-9
    assert fit(X=changed) == 1
    assert fit(X=X.astype(np.float32)) == 1
    assert fit(y=np.arange(len(X)) % 4) == 1
    assert fit(min_distance_km=10.0) == 1
    assert fit(min_distance_km=20.0) == 1
    assert fit(y=coordinates[:, ::-1] / 2, min_distance_km=20.0) == 1
    assert fit(method="anchor") == 1
    assert fit(method="anchor", k3=7) == 1
    assert fit(method="anchor", anchor_bandwidth=0.5) == 1
    assert fit(method="anchor", random_state=3) == 1
    assert fit(method="anchor", random_state=np.random.RandomState(3)) == 0


def test_a_memory_map_shares_the_graph_of_the_array(tmp_path, photos, computed):
    X, labels, _ = photos
    mapped = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
    mapped[:] = X
    InconsistencyPairs(memory=tmp_path / "cache").fit(X, labels)
    InconsistencyPairs(memory=tmp_path / "cache").fit(mapped, labels)
    assert len(computed) == 1


def test_areas_are_kept_too(tmp_path, photos, monkeypatch):
    X, _, coordinates = photos
    fits = []
    fit = POIMeanShift.fit
    monkeypatch.setattr(POIMeanShift, "fit", lambda *args: fits.append(1) or fit(*args))
    labels = [
        InconsistencyPairs(k, k, poi=POIMeanShift(0.01), memory=tmp_path)
        .fit(X, coordinates)
        .labels_
        for k in (1, 2, 3)
    ]
    assert len(fits) == 1
    np.testing.assert_array_equal(labels[0], labels[1])
    InconsistencyPairs(poi=POIMeanShift(0.02), memory=tmp_path).fit(X, coordinates)
    InconsistencyPairs(poi=KMeans(3, random_state=0), memory=tmp_path).fit(X, coordinates)
    assert len(fits) == 2


def test_threads_that_want_the_same_graph_wait_for_it(tmp_path, photos, computed, monkeypatch):
    pytest.importorskip("fcntl", reason="no file locks on this system")
    X, labels, _ = photos
    count = _memory.regroup

    def slowly(*args, **options):
        time.sleep(0.3)
        return count(*args, **options)

    monkeypatch.setattr(_memory, "regroup", slowly)
    memory = joblib.Memory(tmp_path, verbose=0)
    fitted = [InconsistencyPairs(k, k, memory=memory) for k in (3, 4, 5)]
    threads = [threading.Thread(target=pairs.fit, args=(X, labels)) for pairs in fitted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    for pairs in fitted:
        _assert_equal(pairs, InconsistencyPairs(pairs.k1, pairs.k2).fit(X, labels))


def test_no_locks_no_harm(tmp_path, photos, computed, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    X, labels, _ = photos
    for k in (3, 4):
        kept = InconsistencyPairs(k, k, memory=tmp_path).fit(X, labels)
        _assert_equal(kept, InconsistencyPairs(k, k).fit(X, labels))
    assert len(computed) == 1


_PROCESS = """
import sys, time
import numpy as np
from skgeo.pairs import InconsistencyPairs, _memory

folder, k, n_areas = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
search = _memory.nearest_of_all

def count(*args, **options):
    with open(folder + "/computed", "a") as file:
        file.write("once\\n")
    time.sleep(1.0)
    return search(*args, **options)

_memory.nearest_of_all = count
X = np.random.default_rng(0).normal(size=(60, 3))
pairs = InconsistencyPairs(k, k, memory=folder).fit(X, np.arange(60) % n_areas)
np.save(folder + f"/{k}.npy", pairs.easy_confusing_.indices)
"""


@pytest.mark.parametrize("areas", [(5, 5), (5, 6)], ids=["same graph", "same lists"])
def test_processes_that_want_the_same_wait_for_it(tmp_path, areas):
    pytest.importorskip("fcntl", reason="no file locks on this system")
    wanted = list(zip((2, 4), areas, strict=True))
    processes = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, str(tmp_path), *map(str, what)])
        for what in wanted
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert (tmp_path / "computed").read_text() == "once\n"
    assert _graphs_on_disk(tmp_path) == len(set(areas))
    X = np.random.default_rng(0).normal(size=(60, 3))
    for k, n_areas in wanted:
        expected = InconsistencyPairs(k, k).fit(X, np.arange(60) % n_areas).easy_confusing_
        np.testing.assert_array_equal(np.load(tmp_path / f"{k}.npy"), expected.indices)


# --- what does not depend on the areas ---------------------------------------------------------


def test_another_bandwidth_cuts_the_same_lists(tmp_path, photos, computed, searched):
    X, _, coordinates = photos
    partitions = set()
    for bandwidth in (0.0001, 0.005, 10.0, 100.0):
        poi = POIMeanShift(bandwidth)
        partitions.add(tuple(poi.fit(coordinates).labels_))
        for k in (3, 20):
            kept = InconsistencyPairs(k, k, poi=poi, memory=tmp_path).fit(X, coordinates)
            _assert_equal(kept, InconsistencyPairs(k, k, poi=poi).fit(X, coordinates))
    assert searched == [64]
    assert len(partitions) > 2
    assert computed == [("exact", 32, 32)] * len(partitions)


def test_places_too_near_are_left_out_of_the_same_lists(tmp_path, photos, searched):
    X, _, coordinates = photos
    for km in (0.0, 0.05, 5000.0, 19000.0, 30000.0):
        options = {"min_distance_km": km, "poi": POIMeanShift(0.0003)}
        kept = InconsistencyPairs(4, 9, memory=tmp_path, **options).fit(X, coordinates)
        _assert_equal(kept, InconsistencyPairs(4, 9, **options).fit(X, coordinates))
    assert searched == [64]


def test_longer_lists_serve_shorter_ones(tmp_path, photos, searched):
    X, labels, coordinates = photos
    InconsistencyPairs(20, 100, memory=tmp_path).fit(X, labels)
    kept = InconsistencyPairs(5, 5, memory=tmp_path).fit(X, coordinates)
    _assert_equal(kept, InconsistencyPairs(5, 5).fit(X, coordinates))
    assert searched == [256]


def _features(rng):
    yield "random", rng.normal(size=(150, 6))
    yield "single precision", rng.normal(size=(150, 6)).astype(np.float32)
    yield "tied", rng.integers(0, 2, size=(150, 4)).astype(float)
    yield "duplicated", np.tile(rng.normal(size=(5, 3)), (30, 1))
    yield "all alike", np.zeros((150, 2))
    yield "one photo", np.zeros((1, 2))


@pytest.mark.parametrize("length", [1, 7, 40, 149, 500])
def test_lists_cut_by_areas_are_the_exact_graph(rng, length, monkeypatch):
    monkeypatch.setattr(_regroup, "_ROWS", 40)
    monkeypatch.setattr(_exact, "_PACK", 20)
    monkeypatch.setattr(_bounded, "SMALL", 0.0)
    for name, X in _features(rng):
        near = _regroup.nearest_of_all(X, length)
        coordinates = rng.uniform([-90, -180], [90, 180], (len(X), 2))
        for areas in (1, 2, 12, 150):
            labels = rng.integers(0, areas, len(X)) * 3
            labels[: len(X) // 3] = labels[0]  # a large one and a few small ones
            for km in (0.0, 4000.0):
                options = {"coordinates": coordinates, "min_distance_km": km}
                found = _regroup.regroup(X, near, labels, 6, 5, **options)
                expected = exact_pairs(X, labels, 6, 5, **options)
                for left, right in zip(found, expected, strict=True):
                    for a, b in zip(left, right, strict=True):
                        np.testing.assert_array_equal(a, b, err_msg=f"{name}, {areas} areas")


# --- damage -------------------------------------------------------------------------------------


def test_a_damaged_file_is_computed_again(tmp_path, photos, computed, caplog):
    X, labels, _ = photos
    InconsistencyPairs(3, 3, memory=tmp_path).fit(X, labels)
    (graph,) = tmp_path.rglob("_pairs_at_level/*/output.pkl")
    whole = graph.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"no pickle at all"):
        graph.write_bytes(damaged)
        kept = InconsistencyPairs(3, 3, memory=tmp_path).fit(X, labels)
        assert "Exception while loading results" in caplog.text
        caplog.clear()
        _assert_equal(kept, InconsistencyPairs(3, 3).fit(X, labels))
        InconsistencyPairs(3, 3, memory=tmp_path).fit(X, labels)
        assert not caplog.text
    assert len(computed) == 4


_KILLED = """
import os, sys
import numpy as np
from skgeo.pairs import InconsistencyPairs, _memory

def die(*args, **options):
    os.kill(os.getpid(), 9)

setattr(_memory, sys.argv[2], die)
X = np.random.default_rng(0).normal(size=(60, 3))
InconsistencyPairs(2, 2, memory=sys.argv[1]).fit(X, np.arange(60) % 5)
"""


@pytest.mark.parametrize("step", ["nearest_of_all", "regroup"])
def test_a_process_that_dies_leaves_no_lock_and_no_half_graph(tmp_path, step):
    process = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), step], check=False, timeout=120
    )
    assert process.returncode != 0
    assert _graphs_on_disk(tmp_path) == 0
    X = np.random.default_rng(0).normal(size=(60, 3))
    kept = InconsistencyPairs(2, 2, memory=tmp_path).fit(X, np.arange(60) % 5)
    _assert_equal(kept, InconsistencyPairs(2, 2).fit(X, np.arange(60) % 5))
    assert _graphs_on_disk(tmp_path) == 1
