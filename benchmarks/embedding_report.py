"""Tables of the benchmark of embeddings, with paired intervals clustered by area."""

from __future__ import annotations

import numpy as np
import pandas as pd
from embedding_data import SETS, ImageSet, folds
from scipy import stats

#: Systems that the others are compared with.
REFERENCES = ("linear", "DGAE")


def interval(difference: np.ndarray, areas: np.ndarray) -> tuple[float, float]:
    """Mean of paired differences and half its 95 percent interval, clustered by area.

    The variance is that of the sums over areas: queries of one area may err together.
    """
    _, area = np.unique(areas, return_inverse=True)
    n_areas = area.max() + 1
    mean = float(difference.mean())
    sums = np.bincount(area, difference - mean)
    error = np.sqrt(np.square(sums).sum() * n_areas / (n_areas - 1)) / len(difference)
    return mean, float(stats.t.ppf(0.975, n_areas - 1) * error)


def pooled(rows: pd.DataFrame, images: ImageSet) -> np.ndarray:
    """Thresholds met by each photo, averaged over the repetitions in which it was a query."""
    total, count = np.zeros(len(images.groups)), np.zeros(len(images.groups))
    strings = dict(zip(rows["repetition"], rows["hits"], strict=True))
    for repetition, _, test in folds(images.groups, max(strings) + 1):
        if repetition in strings:
            found = np.frombuffer(strings[repetition].encode(), dtype=np.uint8) - ord("0")
            total[test] += found
            count[test] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def at_each(rows: pd.DataFrame, n_thresholds: int) -> list[float]:
    """Percent within each threshold, queries pooled; thresholds are nested."""
    found = np.concatenate([np.frombuffer(h.encode(), dtype=np.uint8) for h in rows["hits"]])
    found = found - ord("0")
    return [100 * float((found >= n_thresholds - i).mean()) for i in range(n_thresholds)]


def table_of(rows: pd.DataFrame, name: str, images: ImageSet) -> pd.DataFrame:
    """One line a system: percent within each threshold, their mean, and the differences."""
    thresholds = SETS[name].thresholds_km
    systems = list(dict.fromkeys(rows["system"]))
    scores = {
        system: 100 * pooled(rows[rows["system"] == system], images) / len(thresholds)
        for system in systems
    }
    lines = []
    for system in systems:
        line: dict[str, str] = {"system": system}
        percents = at_each(rows[rows["system"] == system], len(thresholds))
        for km, percent in zip(thresholds, percents, strict=True):
            line[f"{km:g} km"] = f"{percent:.1f}"
        line["mean"] = f"{np.nanmean(scores[system]):.1f}"
        for reference in REFERENCES:
            if reference not in scores or system == reference:
                continue
            difference = scores[reference] - scores[system]
            both = ~np.isnan(difference)
            if both.any():
                mean, half = interval(difference[both], images.areas[both])
                line[f"{reference} - it"] = f"{mean:+.1f} ± {half:.1f}"
        line["CPU s"] = f"{rows.loc[rows['system'] == system, 'seconds'].mean():.1f}"
        lines.append(line)
    return pd.DataFrame(lines).set_index("system").fillna("")


def print_tables(results: pd.DataFrame, name: str, images: ImageSet, kinds: list[str]) -> None:
    """Print what there is of a set."""
    for kind in kinds:
        for setting in ("fixed", "tuned"):
            rows = results[
                (results["set"] == name)
                & (results["features"] == kind)
                & (results["setting"] == setting)
            ]
            if len(rows):
                n = rows["repetition"].nunique()
                print(f"\n{SETS[name].title}, {kind}, {setting}, {n} repetitions")
                print(table_of(rows, name, images).to_string())
