"""Damaged image files through LowLevelFeatures(on_error="nan").transform, counted by outcome.

JPEG, PNG, WebP, GIF, TIFF and BMP files in 20 variants are damaged by flipped bits, truncation,
lost, repeated, random and extreme bytes, and a third of them gets the wrong extension. Each must
give a row that is finite or wholly NaN, in reasonable time. A child process does the work, so that
a crash in a decoder would be counted and not end the run.

    python benchmarks/mutated_files.py --n 2000 --seed 0
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from skgeo.features import LowLevelFeatures
from skgeo.images import ImageError, load_image

ROOT = Path(__file__).resolve().parents[1]


def mutations() -> Any:
    """Load the module of the tests that makes the files."""
    path = ROOT / "tests" / "images" / "test_mutated_files.py"
    spec = importlib.util.spec_from_file_location("mutated_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def child(folder: Path) -> None:
    """Describe every file, one line of JSON each; then all of them at once."""
    rng = np.random.default_rng(0)
    features = LowLevelFeatures(on_error="nan", random_state=0)
    features.fit([rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)])
    warnings.simplefilter("ignore", UserWarning)
    paths, rows = sorted(folder.iterdir()), []
    for path in paths:
        print(json.dumps({"start": path.name}), flush=True)
        begin = time.perf_counter()
        row = features.transform([path])
        rows.append(row[0])
        assert row.shape == (1, 2971)
        missing, finite = bool(np.isnan(row).all()), bool(np.isfinite(row).all())
        outcome = "NaN row" if missing else "features" if finite else "NOT FINITE"
        reason = ""
        if missing:
            try:
                load_image(path)
                outcome = "NaN ROW WITHOUT A REASON"
            except ImageError as error:
                reason = str(error).partition(": ")[2]
        seconds = time.perf_counter() - begin
        print(json.dumps({"outcome": outcome, "seconds": seconds, "reason": reason}), flush=True)
    batch = features.set_params(n_jobs=2).transform(paths)
    same = batch.tobytes() == np.array(rows).tobytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({"same": same, "peak": peak}), flush=True)


def main(options: argparse.Namespace) -> bool:
    """Make the files, have them described, print the counts; True if all is well."""
    tests = mutations()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = {mutant.name: mutant for mutant in tests.mutants(options.n, options.seed)}
        for mutant in made.values():
            (folder / mutant.name).write_bytes(mutant.data)
        command = [sys.executable, __file__, "--child", name]
        begin = time.perf_counter()
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=60 + options.n, check=False
        )
        seconds = time.perf_counter() - begin
    table: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    slowest, current, end = (0.0, ""), "", None
    for line in map(json.loads, run.stdout.splitlines()):
        if "start" in line:
            current = line["start"]
        elif "outcome" in line:
            mutant = made[current]
            table[mutant.mutation][line["outcome"]] += 1
            table[mutant.format][line["outcome"]] += 1
            table["all"][line["outcome"]] += 1
            reasons[line["reason"].partition(" (")[0]] += bool(line["reason"])
            slowest = max(slowest, (line["seconds"], f"{current} ({mutant.mutation})"))
        else:
            end = line
    outcomes = sorted({outcome for counts in table.values() for outcome in counts})
    print(f"{'':16s}" + "".join(f"{outcome:>12s}" for outcome in outcomes))
    for key in [*sorted(k for k in table if k.islower() and k != "all"),
                *sorted(k for k in table if k.isupper()), "all"]:  # fmt: skip
        print(f"{key:16s}" + "".join(f"{table[key][outcome]:12d}" for outcome in outcomes))
    print("\nreasons")
    for reason, count in reasons.most_common():
        print(f"{count:6d}  {reason}") if count else None
    print(f"\n{options.n} files in {seconds:.0f} s; slowest {slowest[0]:.2f} s: {slowest[1]}")
    if run.returncode or end is None:
        print(f"CRASHED (status {run.returncode}) at {current}\n{run.stderr[-2000:]}")
        return False
    print(f"written to stderr by decoders: {len(run.stderr)} bytes {run.stderr[:300]!r}")
    print(f"peak memory {end['peak']} MiB; batch with two processes "
          f"{'the same bits' if end['same'] else 'DIFFERENT'}")  # fmt: skip
    return bool(end["same"]) and set(table["all"]) <= {"features", "NaN row"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
    else:
        sys.exit(0 if main(arguments) else 1)
