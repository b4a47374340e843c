"""Machine code that is made once, kept where that can be, and never loaded in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from skgeo.cluster import POIMeanShift
from skgeo.cluster._compiled import compiled

FIT = """
import sys
import numpy as np
from skgeo.cluster import POIMeanShift
assert "numba" not in sys.modules
X = 0.01 * np.random.default_rng(0).normal(size=({n}, 2))
print(POIMeanShift().fit(X).labels_.sum(), "numba" in sys.modules)
"""

COUNT = """
import numba.core.event as event
class Listener(event.Listener):
    count = 0
    def on_start(self, _): pass
    def on_end(self, _): Listener.count += 1
event.register("numba:compile", Listener())
import numpy as np
from skgeo.cluster import POIMeanShift
X = 0.01 * np.random.default_rng(0).normal(size=(3000, 2))
print(POIMeanShift().fit(X).labels_.sum(), Listener.count)
"""


def run(code: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
    )
    return done.stdout.split()


def test_few_photographs_load_no_compiler():
    assert run(FIT.format(n=1000))[1] == "False"
    assert run(FIT.format(n=3000))[1] == "True"


def test_a_second_process_compiles_nothing(tmp_path):
    first = run(COUNT, NUMBA_CACHE_DIR=str(tmp_path))
    second = run(COUNT, NUMBA_CACHE_DIR=str(tmp_path))
    assert first[0] == second[0]
    assert int(first[1]) > 10
    assert int(second[1]) == 0


def test_what_is_kept_is_made_anew_once_another_file_has_changed(tmp_path):
    (tmp_path / "module.py").write_text(
        "from skgeo.cluster._compiled import compiled\n"
        "@compiled\n"
        "def successor(n):\n"
        "    return n + 1\n"
    )
    use = "from module import successor\nprint(successor(1), len(successor.stats.cache_hits))"
    run_there = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(use, **run_there) == ["2", "0"]
    assert run(use, **run_there) == ["2", "1"]
    # A module without compiled code is of no account.
    (tmp_path / "plain.py").write_text("VALUE = 1\n")
    assert run(use, **run_there) == ["2", "1"]
    # A compiled function that is called from there may be another one now.
    (tmp_path / "another.py").write_text("from skgeo.cluster._compiled import inner\n")
    assert run(use, **run_there) == ["2", "0"]


def test_where_nothing_can_be_kept_each_process_compiles_for_itself():
    # A function that comes from no file has no place beside it.
    successor = compiled(eval("lambda n: n + 1"))
    assert successor(1) == 2
    assert not successor.stats.cache_path


def test_a_cache_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    sums = {run(FIT.format(n=3000), NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))[0]}
    assert sums == {run(FIT.format(n=3000))[0]}


def test_a_bar_is_shown_when_asked_for(capsys, rng):
    for n in (100, 4000):  # the general engine counts steps, the compiled one parts
        POIMeanShift(0.1).fit(rng.normal(size=(n, 2)))
        assert capsys.readouterr().err == ""
        POIMeanShift(0.1, verbose=1).fit(rng.normal(size=(n, 2)))
        assert "Climbing" in capsys.readouterr().err


def test_threads_of_the_caller_may_fit_at_the_same_time(rng):
    from concurrent.futures import ThreadPoolExecutor

    sets = [0.02 * rng.normal(size=(3000, 2)) for _ in range(4)]
    expected = [POIMeanShift().fit_predict(X) for X in sets]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda X: POIMeanShift(n_jobs=2).fit_predict(X), sets))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
