"""Two processes train one network: what one process would have trained, on both."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from skgeo.embedding._ranks import check_same, from_first, is_first, part_of_batch, world_size

SCRIPT = Path(__file__).with_name("train_together.py")

#: Relative, of the objective after each epoch; absolute, of weights of order 0.1. Sums are taken in
#: another order, nothing else: measured 1.5e-7 and 3e-8.
OBJECTIVE, WEIGHTS = 1e-5, 1e-5


@pytest.fixture(scope="module")
def cases():
    spec = importlib.util.spec_from_file_location("train_together", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes found, after a first attempt in which one of them was killed."""
    pytest.importorskip("accelerate")
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "--max-restarts=1", str(SCRIPT), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    # The address of the first attempt must not be found again in the second.
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in (0, 1)]


def test_a_lost_process_ends_the_attempt_and_the_next_one_succeeds(together):
    # World size, rank, and the attempt: the first one ended in a SIGKILL.
    assert [found["world"] for found in together] == [(2, 0, 1), (2, 1, 1)]


@pytest.mark.parametrize("name", ["held-out, noise, refit", "full batch, the paper's",
                                  "hinge, pre-trained", "more processes than anchors"])  # fmt: skip
def test_two_processes_train_what_one_would(name, together, cases):
    one = cases.outcome(cases.fit(**cases.CASES[name]))
    two = together[0][name]
    np.testing.assert_allclose(two["totals"], one["totals"], rtol=OBJECTIVE)
    np.testing.assert_allclose(two["scores"], one["scores"], rtol=1e-3, atol=1e-3)
    assert two["best_epoch"] == one["best_epoch"]
    for a, b in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(b, a, atol=WEIGHTS)
    # Something was trained: the comparison could fail.
    assert len(set(one["totals"])) == len(one["totals"])


def test_all_processes_end_with_the_same_bits(together, cases):
    first, second = together
    for name in [*cases.CASES, "without a seed", "grown"]:
        for a, b in zip(first[name]["weights"], second[name]["weights"], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(first[name]["totals"], second[name]["totals"])
        np.testing.assert_array_equal(first[name]["transformed"], second[name]["transformed"])


def test_errors_are_raised_in_all_processes(together):
    for found in together:
        assert found["wandering"].startswith("RuntimeError: the weights of processes [1] differ")
        assert "alpha" in found["wrong parameter"]
        assert found["wrong pairs"] == together[0]["wrong pairs"] != "nothing was raised"
        assert "X is not the same in all processes" in found["other photos"]
        assert "with other values" in found["other photos"]


@pytest.mark.parametrize(("n_rows", "n_anchors"), [(0, 0), (1, 1), (3, 1), (7, 3), (384, 128)])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_row_is_dealt_once_and_evenly(n_rows, n_anchors, size):
    parts = [part_of_batch(n_rows, n_anchors, rank, size) for rank in range(size)]
    np.testing.assert_array_equal(np.sort(np.concatenate([p.rows for p in parts])), range(n_rows))
    for part in parts:
        assert (part.rows[: part.n_anchors] < n_anchors).all()
        assert (part.rows[part.n_anchors :] >= n_anchors).all()
    for lengths in ([p.n_anchors for p in parts], [len(p.rows) - p.n_anchors for p in parts]):
        assert max(lengths) - min(lengths) <= 1


def test_one_process_is_the_first_and_decides():
    assert world_size() == 1
    assert is_first()
    assert from_first(divmod, 7, 2) == (3, 1)
    check_same("X", np.empty((0, 3)))
