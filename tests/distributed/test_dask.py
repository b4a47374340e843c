"""A Dask cluster of two processes: work is done there, with the bits of one process."""

import os
import signal
import tempfile
import threading
import time
import warnings
from io import BytesIO

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgeo import KNNGeoRegressor, MarginalFisherTransformer, POIMeanShift
from skgeo._cluster_client import cluster_client, in_order, is_remote, thread_count
from skgeo.features import BlockScaler, LowLevelFeatures, extract_to_store
from skgeo.images import ImageError
from skgeo.pairs import InconsistencyPairs
from skgeo.pairs._on_cluster import blocks_of_rows, mapped_rows
from skgeo.pairs._tiles import SIDE

distributed = pytest.importorskip("distributed")

# Sockets and processes of a killed worker are collected when Python comes to it.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def client():
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def on_cluster(client):
    """Joblib hands its work to the cluster, whose two workers are alive."""
    client.wait_for_workers(2)
    with joblib.parallel_config("dask", wait_for_workers_timeout=30):
        yield client


@pytest.fixture(scope="module")
def photos():
    """3,100 vectors with a spectrum, some of them twice, and their areas."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3100, 20)) @ rng.normal(size=(20, 300)) + rng.normal(size=(3100, 300)) / 5
    X[100:120] = X[:20]
    return X.astype(np.float32), rng.integers(0, 400, 3100)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (40, 48, 48, 3), dtype=np.uint8)


def workers_of(client, work):
    """What the work returned, and the processes in which tasks of it ran."""
    with distributed.get_task_stream(client, plot=False) as stream:
        result = work()
        time.sleep(0.3)
    workers = {task["worker"] for task in stream.data}
    assert workers <= set(client.ncores())
    return result, workers


def same_pairs(one, two):
    return all(
        np.array_equal(getattr(one, name).indptr, getattr(two, name).indptr)
        and np.array_equal(getattr(one, name).indices, getattr(two, name).indices)
        and np.array_equal(getattr(one, f"{name}distances_"), getattr(two, f"{name}distances_"))
        for name in ("same_area_", "easy_confusing_")
    )


def kill_one(client, work):
    """Run the work, kill a worker while it is at it, and return what the work returned."""
    pids = client.run(os.getpid)
    assert len(set(pids.values())) == 2
    result = []
    backend = joblib.parallel.get_active_backend()[0]

    def run():
        with joblib.parallel_config(backend):
            result.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    # A worker that has done something and has something to do.
    while thread.is_alive():
        busy = [address for address, tasks in client.processing().items() if tasks]
        if busy and any(client.has_what().values()):
            os.kill(pids[busy[0]], signal.SIGKILL)
            break
    assert thread.is_alive(), "the work was done before a worker could be killed"
    thread.join(120)
    assert not thread.is_alive()
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != set(pids.values())
    return result[0]


@pytest.mark.parametrize("method", ["exact", "approximate"])
@pytest.mark.parametrize("mapped", [False, True])
def test_pairs_are_found_in_workers_with_the_same_bits(
    method, mapped, photos, on_cluster, tmp_path
):
    X, labels = photos
    given = X
    if mapped:
        np.save(tmp_path / "X.npy", np.vstack([X[:7], X]))
        given = np.load(tmp_path / "X.npy", mmap_mode="r")[7:]
    pairs = InconsistencyPairs(4, 30, method=method)
    found, workers = workers_of(on_cluster, lambda: pairs.fit(given, labels))
    assert workers
    with joblib.parallel_config("threading", n_jobs=1):
        assert same_pairs(found, InconsistencyPairs(4, 30, method=method).fit(X, labels))


@pytest.mark.usefixtures("on_cluster")
def test_pairs_with_places_memory_and_one_area(photos, tmp_path):
    X, labels = photos
    rng = np.random.default_rng(3)
    places = np.column_stack([rng.uniform(-80, 80, 400), rng.uniform(-180, 180, 400)])[labels]
    for parameters, y in [
        ({"min_distance_km": 500.0}, places),
        ({"memory": str(tmp_path)}, places),
        ({}, np.zeros(len(X))),
    ]:
        found = InconsistencyPairs(4, 10, method="exact", **parameters).fit(X[:2100], y[:2100])
        parameters.pop("memory", None)
        with joblib.parallel_config("threading", n_jobs=1):
            one = InconsistencyPairs(4, 10, method="exact", **parameters).fit(X[:2100], y[:2100])
        assert same_pairs(found, one)


def test_the_graph_survives_a_worker(photos, on_cluster):
    X, labels = photos
    pairs = InconsistencyPairs(4, 30, method="exact")
    found = kill_one(on_cluster, lambda: pairs.fit(X, labels))
    with joblib.parallel_config("threading", n_jobs=1):
        assert same_pairs(found, InconsistencyPairs(4, 30, method="exact").fit(X, labels))


def test_a_file_that_workers_do_not_see_is_named(photos, tmp_path):
    np.save(tmp_path / "X.npy", photos[0][:10])
    rows = mapped_rows(np.load(tmp_path / "X.npy", mmap_mode="r")[2:])
    np.testing.assert_array_equal(rows.open(), photos[0][2:10])
    (tmp_path / "X.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"X\.npy.*folder that all machines"):
        rows.open()


def test_only_rows_that_lie_in_a_file_as_they_are_count_as_mapped(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(12.0).reshape(4, 3))
    for mode, view in [("r", np.s_[:, 1:]), ("r", np.s_[::2]), ("c", np.s_[:])]:
        assert mapped_rows(np.load(tmp_path / "X.npy", mmap_mode=mode)[view]) is None
    assert mapped_rows(np.arange(12.0).reshape(4, 3)[1:]) is None


@pytest.mark.parametrize(("n", "cores"), [(1, 2), (SIDE, 1), (5 * SIDE + 1, 2), (100_000, 7)])
def test_blocks_cover_all_rows_and_begin_at_tiles(n, cores):
    blocks = list(blocks_of_rows(n, cores))
    assert [a for a, _ in blocks] == [0, *(b for _, b in blocks[:-1])]
    assert blocks[-1][1] == n
    assert all(start % SIDE == 0 for start, _ in blocks)


def test_features_are_described_in_workers_with_the_same_bits(images, on_cluster):
    features = LowLevelFeatures(["tiny5", "gist"], n_jobs=-1)
    found, workers = workers_of(on_cluster, lambda: features.fit_transform(images))
    assert workers
    with joblib.parallel_config("threading", n_jobs=1):
        one = LowLevelFeatures(["tiny5", "gist"]).fit_transform(images)
    np.testing.assert_array_equal(found, one)


def test_a_store_is_filled_by_workers_and_survives_one(images, on_cluster, tmp_path):
    features = LowLevelFeatures(["tiny5", "gist"]).fit(images)
    many = np.concatenate([images] * 4)
    with joblib.parallel_config("threading", n_jobs=1):
        one = features.transform(many)

    def extract():
        return extract_to_store(features, many, tmp_path / "killed", chunk_size=8)

    np.testing.assert_array_equal(kill_one(on_cluster, extract).X, one)
    store, workers = workers_of(
        on_cluster, lambda: extract_to_store(features, many, tmp_path / "store", chunk_size=8)
    )
    assert workers
    np.testing.assert_array_equal(store.X, one)
    # What one process wrote the cluster appends to, and the other way round.
    with joblib.parallel_config("threading", n_jobs=1):
        extract_to_store(features, many[:24], tmp_path / "both", chunk_size=8)
    np.testing.assert_array_equal(
        extract_to_store(features, many, tmp_path / "both", chunk_size=8).X, one
    )


@pytest.mark.usefixtures("on_cluster")
def test_images_that_cannot_be_read_are_named_from_the_cluster(images, tmp_path):
    damaged = BytesIO()
    Image.fromarray(images[0]).resize((200, 200)).save(damaged, "jpeg")
    torn = Image.open(BytesIO(damaged.getvalue()[:800]))
    features = LowLevelFeatures("tiny5").fit(images)
    mixed = [images[0], tmp_path / "none.jpg", Image.fromarray(images[1]), images[2], torn]
    with pytest.raises(ImageError, match=r"images\[1\].*none\.jpg"):
        extract_to_store(features, mixed, tmp_path / "raises", chunk_size=3)
    with pytest.warns(UserWarning, match="2 of 5 images could not be read"):
        store = extract_to_store(features, mixed, tmp_path / "nan", chunk_size=3, on_error="nan")
    np.testing.assert_array_equal(np.flatnonzero(store.failed), [1, 4])
    np.testing.assert_array_equal(store.X[3], features.transform(images[2:3])[0])
    with pytest.raises(ValueError, match="coordinates has 2 rows, but there are more images"):
        extract_to_store(
            features, iter(images[:3]), tmp_path / "few", coordinates=np.zeros((2, 2)), chunk_size=2
        )


def test_a_grid_search_runs_in_workers_with_the_same_result(photos, on_cluster):
    X, labels = photos
    rng = np.random.default_rng(4)
    places = np.column_stack([rng.uniform(-80, 80, 400), rng.uniform(-180, 180, 400)])[labels]
    X, places = X[:600], places[:600]

    def search():
        pipeline = make_pipeline(
            BlockScaler(normalize="l2"),
            MarginalFisherTransformer(
                pairs=InconsistencyPairs(2, 5), weighting="uniform", exponent=0.5
            ),
            KNNGeoRegressor(),
        )
        grid = {"marginalfishertransformer__shrinkage": [0.1, 0.5, 0.9]}
        return GridSearchCV(pipeline, grid, cv=2, n_jobs=-1, error_score="raise").fit(X, places)

    found, workers = workers_of(on_cluster, search)
    assert workers
    with joblib.parallel_config("threading", n_jobs=1):
        one = search()
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(found.predict(X), one.predict(X))


def test_threads_are_those_of_this_process(on_cluster):
    assert is_remote()
    assert cluster_client() is on_cluster
    assert thread_count(None) == 1
    assert thread_count(3) == 3
    assert thread_count(-1) == joblib.cpu_count()


def test_what_threads_do_is_not_sent_away(photos, on_cluster):
    X, labels = photos
    points = np.random.default_rng(5).uniform(-60, 60, (3000, 2))
    for work in (
        lambda: POIMeanShift(5.0, assign="nearest").fit(points).labels_,
        lambda: InconsistencyPairs(3, 5, method="anchor").fit(X[:900], labels[:900]).labels_,
        lambda: KNNGeoRegressor(n_jobs=2).fit(X[:900], points[:900]).predict(X[900:1800]),
    ):
        found, workers = workers_of(on_cluster, work)
        assert not workers
        with joblib.parallel_config("threading", n_jobs=1):
            np.testing.assert_array_equal(found, work())


def test_both_workers_take_part(on_cluster):
    def slow(pid, _):
        time.sleep(0.2)
        return pid, os.getpid()

    found = list(in_order(on_cluster, slow, os.getpid(), ((i,) for i in range(8))))
    assert {pid for pid, _ in found} == {os.getpid()}
    assert {pid for _, pid in found} == set(on_cluster.run(os.getpid).values())
    assert len({pid for _, pid in found} - {os.getpid()}) == 2


def test_tasks_do_not_spread_again(on_cluster):
    def inside(shared, add):
        return shared + add, is_remote(), cluster_client() is None, joblib.effective_n_jobs(-1)

    found = list(in_order(on_cluster, inside, 10, ((i,) for i in range(12))))
    assert found == [(10 + i, False, True, 1) for i in range(12)]


def test_no_more_is_taken_than_is_under_way(on_cluster):
    taken = []

    def tasks():
        for i in range(40):
            taken.append(i)
            yield (i,)

    results = in_order(on_cluster, divmod, 100, ((i + 1,) for (i,) in tasks()))
    assert next(results) == (100, 0)
    assert len(taken) == 4  # two for each of two cores
    results.close()
    assert len(taken) == 4


def test_an_error_of_a_task_is_raised_here(on_cluster):
    with pytest.raises(ZeroDivisionError):
        list(in_order(on_cluster, divmod, 1, [(1,), (0,), (1,)]))


def test_without_a_cluster_nothing_is_remote():
    assert not is_remote()
    assert cluster_client() is None
    assert thread_count(2) == 2
