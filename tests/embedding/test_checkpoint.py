"""A training that is interrupted anywhere and called again ends with the bits of one go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgeo import _checkpoint
from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.embedding import _checkpoint as of_training
from skgeo.metrics import great_circle_threshold_scorer
from skgeo.neighbors import KNNGeoRegressor


class Killed(BaseException):
    """Nothing in the library knows it, so nothing reacts to it: as good as a kill."""


@pytest.fixture(scope="module")
def world():
    made = make_geo_world(random_state=0)
    rows = np.arange(0, len(made.data), 8)
    return made.data[rows].astype(np.float32), made.coordinates[rows]


def transformer(**parameters):
    # Early stopping on few photos: let all epochs be. Nothing here is about what the layer chooses.
    layer = MarginalFisherTransformer(weighting="uniform", exponent=0.5)
    defaults = {"n_iter_no_change": 50, "random_state": 0, "max_epochs": 3, "batch_size": 64}
    defaults["init"] = layer
    return DGAETransformer((16, 8), **(defaults | parameters))


KINDS = {
    "linear layer": {"learning_rate": 0.02},
    "linear layer, no refit": {"refit": False},
    "pretrained": {"init": "pretrain", "pretrain_epochs": 2},
    "paper": {"objective": "paper", "init": "pretrain", "beta": 0.1, "batch_size": 64, "tol": None},
    "plain": {"init": "auto", "alpha": 0, "beta": 0, "pretrain_epochs": 1, "noise": 0.2},
}


def state_of(dgae):
    """All that training leaves."""
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in dgae.history_]
    weights = {k: v.numpy() for k, v in dgae.module_.state_dict().items()}
    return history, weights, dgae.best_epoch_, dgae._statistics.means, dgae._memory.X


def assert_same(a, b):
    np.testing.assert_equal(state_of(a), state_of(b))


def fit(dgae, X, y):
    # Few photos, few epochs: what they lead to is not the point.
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dgae.fit(X, None if dgae.alpha == 0 else y)


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_at_every_boundary(kind, world, tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SHARE", np.inf)
    expected = fit(transformer(**KINDS[kind]), *world)
    passed = []
    write = _checkpoint.Job.write

    def killing(job, part, writer):
        write(job, part, writer)
        passed.append(part)
        if job.stem.startswith("skgeo-training"):
            raise Killed

    monkeypatch.setattr(_checkpoint.Job, "write", killing)
    for _ in range(1000):
        try:
            resumed = fit(transformer(**KINDS[kind], checkpoint=tmp_path), *world)
            break
        except Killed:
            # Random numbers of the process in between must not matter.
            torch.rand(3)
            np.random.default_rng().random()
    assert_same(resumed, expected)
    # Every epoch and every phase was a boundary, and each ran once.
    phases = {row["phase"] for row in expected.history_}
    assert passed.count("epoch") == len(expected.history_)
    assert len([part for part in passed if part.startswith("phase")]) == len(phases)
    assert list(tmp_path.iterdir()) == []


def test_without_interruption_the_same(world, tmp_path):
    expected = fit(transformer(), *world)
    assert_same(fit(transformer(checkpoint=str(tmp_path / "new" / "folder")), *world), expected)
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def leave_one(world, folder, monkeypatch, **parameters):
    """Be killed after the first epoch."""
    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint, "_SHARE", np.inf)
        write = _checkpoint.Job.write

        def killing(job, part, writer):
            write(job, part, writer)
            if part == "epoch":
                raise Killed

        patch.setattr(_checkpoint.Job, "write", killing)
        with pytest.raises(Killed):
            fit(transformer(**parameters, checkpoint=folder), *world)


def count_epochs(monkeypatch):
    from skgeo.embedding._training import _Net

    epochs = []
    start = _Net.start_epoch
    monkeypatch.setattr(_Net, "start_epoch", lambda net: epochs.append(1) or start(net))
    return epochs


@pytest.mark.parametrize("change", ["parameter", "data", "places", "version", "seed"])
def test_another_job_begins_anew(change, world, tmp_path, monkeypatch):
    X, y = world
    leave_one(world, tmp_path, monkeypatch)
    left = set(tmp_path.glob("skgeo-training-*"))
    parameters = {}
    if change == "parameter":
        parameters["alpha"] = 2.0
    elif change == "seed":
        parameters["random_state"] = 1
    elif change == "data":
        X = X.copy()
        X[-1, -1] = np.nextafter(X[-1, -1], np.float32(9))
    elif change == "places":
        y = y.copy()
        y[0, 0] += 1e-9
    else:
        monkeypatch.setattr(_checkpoint, "_version", lambda name: name)
    expected = fit(transformer(**parameters), X, y)
    epochs = count_epochs(monkeypatch)
    assert_same(fit(transformer(**parameters, checkpoint=tmp_path), X, y), expected)
    assert len(epochs) == len(expected.history_)
    # The other's training is there still; pairs that both had in common went with the first.
    assert set(tmp_path.glob("skgeo-training-*")) == left


def test_goes_on_and_says_so(world, tmp_path, monkeypatch, capsys):
    expected = fit(transformer(), *world)
    leave_one(world, tmp_path, monkeypatch)
    epochs = count_epochs(monkeypatch)
    assert_same(fit(transformer(checkpoint=tmp_path, verbose=1), *world), expected)
    assert len(epochs) == len(expected.history_) - 1
    assert "resumes 'train' at epoch 2" in capsys.readouterr().out


def test_unreadable_file_is_no_obstacle(world, tmp_path, monkeypatch):
    expected = fit(transformer(), *world)
    leave_one(world, tmp_path, monkeypatch)
    for path in tmp_path.glob("*-epoch"):
        path.write_bytes(path.read_bytes()[:1000])
        (tmp_path / f".{path.name}.half").write_bytes(b"a write that was killed")
    assert_same(fit(transformer(checkpoint=tmp_path), *world), expected)
    assert list(tmp_path.iterdir()) == []


def test_state_holds_no_code(world, tmp_path, monkeypatch):
    leave_one(world, tmp_path, monkeypatch)
    (path,) = tmp_path.glob("*-epoch")
    assert torch.load(path, weights_only=True)["phase"] == "train"


def test_grid_search_shares_a_folder(world, tmp_path):
    X, y = world
    grid = {"dgaetransformer__alpha": [1.0, 3.0]}
    found = []
    for folder in (None, tmp_path):
        pipe = make_pipeline(transformer(max_epochs=1, checkpoint=folder), KNNGeoRegressor())
        scorer = great_circle_threshold_scorer(750)
        search = GridSearchCV(pipe, grid, scoring=scorer, cv=2, n_jobs=2 if folder else None)
        found.append(search.fit(X, y))
    np.testing.assert_array_equal(*(f.cv_results_["mean_test_score"] for f in found))
    assert_same(*(f.best_estimator_[0] for f in found))
    assert list(tmp_path.iterdir()) == []


def test_needs_a_random_state(world):
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        transformer(random_state=None, checkpoint="folder").fit(*world)


def test_folder_that_cannot_be_written(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"checkpoint=.*cannot be written to \(.+\); expected"):
        transformer(checkpoint=tmp_path / "file").fit(*world)


def test_full_disk_is_told_and_survived(world, tmp_path, monkeypatch):
    expected = fit(transformer(), *world)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(of_training.torch, "save", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        dgae = transformer(checkpoint=tmp_path).fit(*world)
    assert_same(dgae, expected)
    assert list(tmp_path.iterdir()) == []


def stop_by_hand(monkeypatch, epoch):
    """Ctrl-C as the training begins its epoch of that number."""
    from skgeo.embedding._training import _Net

    start = _Net.start_epoch
    epochs = []

    def stop(net):
        epochs.append(1)
        if len(epochs) == epoch:
            raise KeyboardInterrupt
        start(net)

    monkeypatch.setattr(_Net, "start_epoch", stop)


class TestCtrlC:
    """Stopping by hand: the message says where, and no estimator looks fitted that is not."""

    @pytest.fixture
    def stopping(self, monkeypatch):
        stop_by_hand(monkeypatch, 3)

    @pytest.mark.usefixtures("stopping")
    def test_with_a_checkpoint(self, world, tmp_path):
        # Even where no state was due yet, the last epoch is kept.
        expected_message = r"epoch 3 of 'train'\. 2 epochs of 'train' are kept in .*goes on from"
        dgae = transformer(checkpoint=tmp_path)
        with pytest.raises(KeyboardInterrupt, match=expected_message):
            dgae.fit(*world)
        assert not hasattr(dgae, "module_")
        assert_same(fit(dgae, *world), fit(transformer(), *world))

    @pytest.mark.usefixtures("stopping")
    def test_without(self, world):
        dgae = transformer()
        with pytest.raises(KeyboardInterrupt, match="epoch 3 of 'train'; nothing of it is kept"):
            dgae.fit(*world)
        assert not hasattr(dgae, "module_")

    def test_of_partial_fit_changes_nothing(self, world, monkeypatch):
        X, y = world
        dgae = fit(transformer(max_epochs=1), X[:200], y[:200])
        before = state_of(dgae)
        with monkeypatch.context() as patch:
            stop_by_hand(patch, 2)
            with pytest.raises(KeyboardInterrupt):
                dgae.partial_fit(X[200:], y[200:])
        np.testing.assert_equal(state_of(dgae), before)
        again = fit(transformer(max_epochs=1), X[:200], y[:200]).partial_fit(X[200:], y[200:])
        assert_same(dgae.partial_fit(X[200:], y[200:]), again)


CHILD = """
import sys
import numpy as np
from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer
made = make_geo_world(random_state=0)
X, y = made.data[::8].astype(np.float32), made.coordinates[::8]
print("ready", flush=True)
DGAETransformer((16, 8), max_epochs=100000, n_iter_no_change=100000, early_stopping=False,
                random_state=0, checkpoint=sys.argv[1]).fit(X, y)
"""


def test_a_process_killed(world, tmp_path, monkeypatch):
    """SIGKILL while it writes states; what it left is found by this process."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while not list(tmp_path.glob("skgeo-training-*-epoch")) and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (path,) = tmp_path.glob("skgeo-training-*-epoch")
    done = len(torch.load(path, weights_only=True)["rows"])
    epochs = []

    class Enough(BaseException):
        pass

    from skgeo.embedding._training import _Net

    def stop(net):
        epochs.append(len(net.history))
        raise Enough

    monkeypatch.setattr(_Net, "start_epoch", stop)
    dgae = DGAETransformer(
        (16, 8),
        max_epochs=100000,
        n_iter_no_change=100000,
        early_stopping=False,
        random_state=0,
        checkpoint=tmp_path,
    )
    with pytest.raises(Enough):
        dgae.fit(*world)
    assert epochs == [done + 1]
