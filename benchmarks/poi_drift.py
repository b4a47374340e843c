"""How places age: POIs of 70 percent of the photos, the rest in 30 daily batches.

Real positions of photos from FOLDER (without it, positions drawn around 3,000 spots of the world
whose popularity falls as a power law). Printed for days 5 to 30, in percent: "drift" is the share
of photos that mining anew would group otherwise (`POIMeanShift.drift`), "founded" the share in POIs
opened since the fit (``new_place_share_``). CPU seconds: of one day's ``partial_fit``, and of one
fit on all photos. Orders: "random", and "region", cell by cell of 1,000 km, whose places are new.

    python benchmarks/poi_drift.py [--gps ../shared/data/gps]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from skgeo.cluster import POIMeanShift
from skgeo.model_selection import spherical_blocks

DAYS = 30
BANDWIDTHS_KM = (0.1, 0.5, 5.0, 50.0)
REAL = {"photos of the world": "geoclip_coordinates_100K.csv"}


def drawn(n: int = 100_000) -> np.ndarray:
    """Positions around spots of unequal popularity."""
    rng = np.random.default_rng(0)
    spots = np.column_stack([rng.uniform(-50, 65, 3000), rng.uniform(-180, 180, 3000)])
    weights = 1.0 / np.arange(1, 3001)
    chosen = spots[rng.choice(3000, n, p=weights / weights.sum())]
    return np.clip(chosen + 0.01 * rng.standard_t(2, (n, 2)), [-90, -180], [90, 180])


def sets(folder: Path) -> dict[str, np.ndarray]:
    """Real positions, or drawn ones."""
    found = {
        title: np.loadtxt(folder / name, delimiter=",", skiprows=1)
        for title, name in REAL.items()
        if (folder / name).exists()
    }
    return found or {"drawn": drawn()}


def in_order(y: np.ndarray, order: str) -> np.ndarray:
    """Order of coming."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))
    if order == "random":
        return rows
    cells = spherical_blocks(y, 1000.0)
    rank = rng.permutation(int(cells.max()) + 1)
    return rows[np.argsort(rank[cells[rows]], kind="stable")]


def go(y: np.ndarray, bandwidth_km: float) -> str:
    """One month under one bandwidth."""
    cut = round(0.7 * len(y))
    poi = POIMeanShift(bandwidth_km, metric="haversine").fit(y[:cut])
    columns, seconds, n = [], [], cut
    for day, batch in enumerate(np.array_split(y[cut:], DAYS), start=1):
        start = time.process_time()
        poi.partial_fit(batch)
        seconds.append(time.process_time() - start)
        n += len(batch)
        if day % 5 == 0:
            columns.append(f"{100 * poi.drift(y[:n]):>6.1f}{100 * poi.new_place_share_:>6.1f}")
    start = time.process_time()
    POIMeanShift(bandwidth_km, metric="haversine").fit(y)
    again = time.process_time() - start
    return f"{'  '.join(columns)}{np.mean(seconds):>9.3f}{again:>8.2f}"


def main() -> None:
    """Print a table for each set and order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gps", type=Path, default=Path("../shared/data/gps"))
    options = parser.parse_args()
    for title, y in sets(options.gps).items():
        POIMeanShift(1.0, metric="haversine").fit(y[:5000])  # loads the compiled code
        for order in ("random", "region"):
            print(f"\n{title}, {len(y):,}, {order}: drift and founded on day 5, 10, ...")
            for bandwidth in BANDWIDTHS_KM:
                print(f"{bandwidth:>6} km {go(y[in_order(y, order)], bandwidth)}", flush=True)


if __name__ == "__main__":
    main()
