"""Tables and pictures of the benchmark of embeddings, with paired intervals clustered by area."""

from __future__ import annotations

from pathlib import Path

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
            total[test] += digits(strings[repetition])
            count[test] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def digits(hits: str) -> np.ndarray:
    """Thresholds met by each query, from the column of the file of results."""
    return np.frombuffer(hits.encode(), dtype=np.uint8) - ord("0")


def at_each(rows: pd.DataFrame, n_thresholds: int) -> list[float]:
    """Percent within each threshold, queries pooled; thresholds are nested."""
    found = np.concatenate([digits(hits) for hits in rows["hits"]])
    return [100 * float((found >= n_thresholds - i).mean()) for i in range(n_thresholds)]


def chosen_rows(results: pd.DataFrame, name: str, kind: str, setting: str) -> pd.DataFrame:
    """Results of one set, kind of features and setting."""
    return results[
        (results["set"] == name) & (results["features"] == kind) & (results["setting"] == setting)
    ]


def compare(
    rows: pd.DataFrame, name: str, images: ImageSet
) -> tuple[dict[str, float], dict[tuple[str, str], tuple[float, float]]]:
    """Mean percent of each system, and (reference - system) with half the interval."""
    n_thresholds = len(SETS[name].thresholds_km)
    groups = dict(iter(rows.groupby("system", sort=False)))

    def score(system: str, repetitions: pd.Series | None = None) -> np.ndarray:
        own = groups[system]
        if repetitions is not None:
            own = own[own["repetition"].isin(repetitions)]
        return 100 * pooled(own, images) / n_thresholds

    differences = {}
    for reference in REFERENCES:
        for system in groups:
            if reference in groups and system != reference:
                # Paired: only in repetitions that both have.
                both = groups[system]["repetition"]
                both = both[both.isin(groups[reference]["repetition"])]
                if both.empty:
                    continue
                difference = score(reference, both) - score(system, both)
                known = ~np.isnan(difference)
                differences[reference, system] = interval(difference[known], images.areas[known])
    return {system: float(np.nanmean(score(system))) for system in groups}, differences


def table_of(rows: pd.DataFrame, name: str, images: ImageSet) -> pd.DataFrame:
    """One line a system: percent within each threshold, their mean, and the differences."""
    thresholds = SETS[name].thresholds_km
    means, differences = compare(rows, name, images)
    lines = []
    for system, mean in means.items():
        own = rows[rows["system"] == system]
        line: dict[str, str] = {"system": system}
        for km, percent in zip(thresholds, at_each(own, len(thresholds)), strict=True):
            line[distance(km)] = f"{percent:.1f}"
        line["mean"] = f"{mean:.1f}"
        for reference in REFERENCES:
            if (reference, system) in differences:
                gain, half = differences[reference, system]
                line[f"{reference} - it"] = f"{gain:+.1f} ± {half:.1f}"
        line["CPU s"] = f"{own['seconds'].mean():.1f}"
        lines.append(line)
    return pd.DataFrame(lines).set_index("system").fillna("")


def distance(km: float) -> str:
    """A threshold as people write it."""
    return f"{km:g} km" if km >= 1.0 else f"{1000 * km:g} m"


def print_tables(results: pd.DataFrame, name: str, images: ImageSet, kinds: list[str]) -> None:
    """Print what there is of a set."""
    for kind in kinds:
        for setting in ("fixed", "tuned"):
            rows = chosen_rows(results, name, kind, setting)
            if len(rows):
                n = rows["repetition"].nunique()
                print(f"\n{SETS[name].title}, {kind}, {setting}, {n} repetitions")
                print(table_of(rows, name, images).to_string())


def draw(results: pd.DataFrame, sets: dict[str, ImageSet], path: Path) -> None:
    """Draw how far the linear layer and DGAE are above each system, a panel a set and features."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = [
        (name, kind, rows)
        for name in sets
        for kind in ("lowlevel", "cnn")
        if (rows := chosen_rows(results, name, kind, "fixed"))["system"].isin(REFERENCES).any()
    ]
    n_columns = min(4, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(3.3 * n_columns, 3.6 * n_rows),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    order = list(dict.fromkeys(system for panel in panels for system in panel[2]["system"]))
    colours = {"linear": "#1f6f8b", "DGAE": "#b5533c"}
    for ax, (name, kind, rows) in zip(axes.flat, panels, strict=False):
        _, differences = compare(rows, name, sets[name])
        for i, reference in enumerate(REFERENCES):
            own = {s: d for (r, s), d in differences.items() if r == reference}
            if not own:
                continue
            ax.errorbar(
                [d[0] for d in own.values()],
                [order.index(s) + 0.25 * (i - 0.5) for s in own],
                xerr=[d[1] for d in own.values()],
                fmt="o",
                ms=4,
                lw=1.2,
                color=colours[reference],
                label=f"{reference} layer" if reference == "linear" else reference,
            )
        ax.axvline(0.0, color="0.5", lw=0.8)
        features = {"lowlevel": "low-level", "cnn": "CNN"}[kind]
        ax.set_title(f"{SETS[name].title}, {features}", fontsize=9)
        ax.set_xlabel("points above the system", fontsize=8)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    axes[0, 0].set_yticks(range(len(order)), order)
    axes[0, 0].invert_yaxis()
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def rst_tables(results: pd.DataFrame, sets: dict[str, ImageSet]) -> str:
    """The tables as reStructuredText, fixed and tuned side by side."""
    parts = []
    for name, images in sets.items():
        for kind in ("lowlevel", "cnn"):
            fixed = chosen_rows(results, name, kind, "fixed")
            if fixed.empty:
                continue
            table = table_of(fixed, name, images).drop(columns="CPU s")
            tuned = chosen_rows(results, name, kind, "tuned")
            if len(tuned):
                more = table_of(tuned, name, images).drop(columns="CPU s")
                for column in more.columns[len(SETS[name].thresholds_km) :]:
                    table[f"tuned: {column}"] = more[column].reindex(table.index).fillna("")
            features = {"lowlevel": "low-level features", "cnn": "CNN features"}[kind]
            title = f"{SETS[name].title}, {features}, percent"
            lines = [f".. list-table:: {title}", "   :header-rows: 1", "   :class: figures", ""]
            for row in [("System", *table.columns), *table.itertuples(name=None)]:
                cells = [str(cell) for cell in row]
                lines += [f"   * - {cells[0]}", *(f"     - {cell}".rstrip() for cell in cells[1:])]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
