"""Time and memory of points of interest, beside scikit-learn's MeanShift in the same run.

Every row is a process of its own, whose greatest memory is given, and what of that it had before
it began (libraries and coordinates). Compiled code comes from the cache. Seconds are of the clock
and of all cores together. scikit-learn climbs from some of the photographs only, twice as many
the second time around: "~" marks what a straight line through both says of all of them.

    python benchmarks/pois.py [--gps FOLDER] [--jobs 2] [--seeds 2000] [--ten-million]
                              [--sets new-york 100000 664720] [--tables degrees sphere]

The 100,000 coordinates are real where ../shared/data/gps (or FOLDER) has them, else drawn, like
the 664,720 of the paper and the 27,369 of its New York. All of it takes half an hour: --sets and
--tables choose parts.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from skgeo.cluster import POIMeanShift
from skgeo.datasets import make_photo_coordinates

REAL = "geoclip_coordinates_100K.csv"
DEGREES = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05)
KM = (0.01, 0.05, 0.5, 5.0, 50.0, 500.0)
SETS = ("new-york", "100000", "664720")
TABLES = ("degrees", "sphere")


def coordinates(which: str, gps: Path) -> np.ndarray:
    """One of the sets of coordinates."""
    if which == "new-york":
        photos = make_photo_coordinates(random_state=0)
        return photos.coordinates[photos.area_names[photos.area] == "NewYorkCity"]
    if which == "real":
        return np.loadtxt(gps / REAL, delimiter=",", skiprows=1)
    return make_photo_coordinates(int(which), random_state=0).coordinates


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def timed(function) -> dict[str, float]:
    """Seconds of the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def measure_skgeo(X: np.ndarray, options: dict) -> dict[str, float]:
    """Fit once, after a small fit that loads the compiled code."""
    poi = POIMeanShift(**options)
    poi.fit(X[:3000])
    before = peak_mb()
    row = timed(lambda: poi.fit(X))
    return {**row, "before": before, "peak": peak_mb(), "pois": len(poi.cluster_centers_)}


def measure_sklearn(X: np.ndarray, bandwidth: float, n_seeds: int) -> dict[str, float]:
    """Fit from some of the photographs and from twice as many, and go on in a straight line."""
    from sklearn.cluster import MeanShift

    seeds = X[np.random.default_rng(0).permutation(len(X))[: 2 * n_seeds]]
    # Lest what is loaded at the first fit be taken for the cost of the first seeds.
    MeanShift(bandwidth=bandwidth, seeds=seeds[:20]).fit(X)
    few, more = (
        timed(lambda s=s: MeanShift(bandwidth=bandwidth, seeds=s).fit(X))
        for s in (seeds[:n_seeds], seeds)
    )
    return {key: few[key] + (more[key] - few[key]) * (len(X) - n_seeds) / n_seeds for key in few}


def in_process(**task: object) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def work(task: dict) -> dict[str, float]:
    """Do what a fresh process was started for."""
    X = coordinates(task["set"], Path(task["gps"]))
    if task["who"] == "skgeo":
        return {"n": len(X), **measure_skgeo(X, task["options"])}
    return {"n": len(X), **measure_sklearn(X, task["options"]["bandwidth"], task["seeds"])}


HEAD = (
    f"{'photos':>10} {'bandwidth':>11} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'before':>7}"
    f" {'POIs':>9} {'scikit-learn CPU s':>20} {'ratio':>9}"
)

OPTIONS = {"degrees": {"assign": "nearest"}, "sphere": {"metric": "haversine"}}
HEADINGS = {
    "degrees": f"\nIn degrees, n_jobs={{jobs}}, assign='nearest' as scikit-learn\n\n{HEAD}",
    "sphere": f"\nOn the sphere, n_jobs={{jobs}}, assign='mode'\n\n{HEAD[:67]}",
}


def print_row(common: dict, options: dict, n_seeds: int) -> None:
    """One line of a table; scikit-learn's part of it where there are seeds to measure."""
    row = in_process(who="skgeo", options=options, **common)
    unit = "km" if options.get("metric") == "haversine" else "deg"
    line = (
        f"{row['n']:10,} {options['bandwidth']:7g} {unit:>3} {row['cpu']:8.2f} {row['wall']:8.2f}"
        f" {row['peak']:8.0f} {row['before']:7.0f} {row['pois']:9,}"
    )
    if n_seeds:
        peer = in_process(who="scikit-learn", options=options, seeds=n_seeds, **common)
        line += f" {'~' + format(peer['cpu'], ',.0f'):>20} {peer['cpu'] / row['cpu']:8,.0f}x"
    print(line, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gps", default="../shared/data/gps")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=2000, help="0: without scikit-learn")
    parser.add_argument("--sets", nargs="*", default=SETS, choices=SETS)
    parser.add_argument("--tables", nargs="*", default=TABLES, choices=TABLES)
    parser.add_argument("--ten-million", action="store_true")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(work(json.loads(arguments.task))))
        return
    real = (Path(arguments.gps) / REAL).exists()
    sets = ["real" if real and which == "100000" else which for which in arguments.sets]
    options = {"n_jobs": arguments.jobs}
    in_process(who="skgeo", options={"bandwidth": 0.005}, set="5000", gps=arguments.gps)
    in_process(who="skgeo", options={"metric": "haversine"}, set="5000", gps=arguments.gps)
    for table in arguments.tables:
        print(HEADINGS[table].format(jobs=arguments.jobs))
        for which in sets:
            print("real:" if which == "real" else "drawn:")
            for bandwidth in DEGREES if table == "degrees" else KM:
                print_row(
                    {"set": which, "gps": arguments.gps},
                    {**options, **OPTIONS[table], "bandwidth": bandwidth},
                    arguments.seeds if table == "degrees" else 0,
                )
    if arguments.ten_million:
        print(f"\nTen million, drawn\n\n{HEAD[:67]}")
        for metric, bandwidth in (("euclidean", 0.005), ("haversine", 0.5)):
            print_row(
                {"set": "10000000", "gps": arguments.gps},
                {**options, "bandwidth": bandwidth, "metric": metric},
                0,
            )


if __name__ == "__main__":
    main()
