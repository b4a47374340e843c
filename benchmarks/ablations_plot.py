"""Pictures of the ablations, with the paper's own figures beside them."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

#: Percent within 200 km at alpha or beta of 0.05, 0.1, 0.2, 0.5 and 1, the other being 0, and of
#: the plain auto-encoder: the text to the paper's Fig. 7.
PAPER_WEIGHTS = [0.05, 0.1, 0.2, 0.5, 1.0]
PAPER_ALPHA = [20.333, 21.667, 21.667, 21.667, 20.667]
PAPER_BETA = [21.337, 20.667, 21.333, 18.667, 17.667]
PAPER_PLAIN = 19.667
#: Table 4 of the paper, percent within 200 km.
PAPER_K = [0, 5, 10, 15, 20, 25, 30]
PAPER_K1 = [20.2, 22.3, 24.2, 24.1, 25.2, 24.3, 22.1]
PAPER_K2 = [23.7, 24.8, 25.2, 24.8, 24.5, 24.5, 23.8]
#: Table 2 of the paper, within 200 km: features alone, and three layers. The other depths of its
#: Fig. 8 are not given as numbers.
PAPER_DEPTH = {0: 15.3, 3: 25.2}
NAMES = {"africa": "Blue Marble, Africa", "sf": "San Francisco", "mexico": "Mexico",
         "bluemarble": "Blue Marble", "bluemarble20k": "Blue Marble, four scales"}  # fmt: skip
OURS, PAPER = "#1f6f8b", "#b5533c"


def draw(summary: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw a row of six panels for each set."""
    n = len(summary)
    figure, axes = plt.subplots(2 * n, 3, figsize=(12, 7 * n), squeeze=False, layout="constrained")
    for (name, lines), rows in zip(summary.items(), axes.reshape(n, 6), strict=True):
        surface(rows[0], lines[lines["ablation"] == "alpha-beta"], NAMES[name])
        weights(rows[1], lines, "alpha")
        weights(rows[2], lines, "beta")
        neighbours(rows[3], lines, "k1", PAPER_K1)
        neighbours(rows[4], lines, "k2", PAPER_K2)
        depth(rows[5], lines)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def surface(ax: Axes, lines: pd.DataFrame, title: str) -> None:
    """Gains over the auto-encoder by alpha and beta; bold where the interval leaves out 0."""
    if lines.empty:
        ax.set_axis_off()
        return
    grid = lines.pivot(index="x", columns="y", values="gain")
    half = lines.pivot(index="x", columns="y", values="half_width")
    bound = max(1.0, float(np.abs(grid.to_numpy()).max()))
    ax.imshow(grid, cmap="RdBu", vmin=-bound, vmax=bound, origin="lower", aspect="auto")
    for row, alpha in enumerate(grid.index):
        for column, beta in enumerate(grid.columns):
            gain = grid.loc[alpha, beta]
            ax.text(
                column,
                row,
                f"{gain:+.1f}" if (alpha or beta) else "AE",
                ha="center",
                va="center",
                weight="bold" if abs(gain) > half.loc[alpha, beta] else "normal",
                color="white" if abs(gain) > 0.6 * bound else "black",
            )
    ax.set_xticks(range(len(grid.columns)), [f"{beta:g}" for beta in grid.columns])
    ax.set_yticks(range(len(grid.index)), [f"{alpha:g}" for alpha in grid.index])
    ax.set(xlabel="beta", ylabel="alpha", title=f"{title}\ngain over the auto-encoder, points")


def weights(ax: Axes, lines: pd.DataFrame, which: str) -> None:
    """One weight alone, the other 0, beside the paper's Fig. 7."""
    own, other = ("x", "y") if which == "alpha" else ("y", "x")
    chosen = lines[
        (lines["ablation"] == "alpha-beta") & (lines[other] == 0.0) & (lines[own] > 0.0)
    ].sort_values(own)
    band(ax, chosen[own], chosen)
    printed = np.subtract(PAPER_ALPHA if which == "alpha" else PAPER_BETA, PAPER_PLAIN)
    ax.plot(PAPER_WEIGHTS, printed, "o--", color=PAPER, label="the paper's Fig. 7, Eq. (4)")
    ax.set_xscale("log")
    other_name = "beta" if which == "alpha" else "alpha"
    finish(ax, f"{which} alone ({other_name} = 0)", which, "gain over the auto-encoder, points")


def neighbours(ax: Axes, lines: pd.DataFrame, which: str, printed: list[float]) -> None:
    """k1 or k2, beside the paper's Table 4."""
    chosen = lines[lines["ablation"] == which].sort_values("x")
    band(ax, chosen["x"], chosen)
    gains = np.subtract(printed, printed[0])
    ax.plot(PAPER_K, gains, "o--", color=PAPER, label="the paper's Table 4")
    fixed = "k2 = 10" if which == "k1" else "k1 = 20"
    finish(ax, f"{which} ({fixed})", which, f"gain over {which} = 0, points")


def depth(ax: Axes, lines: pd.DataFrame) -> None:
    """Number of hidden layers, beside the paper's Fig. 8."""
    chosen = lines[lines["ablation"].isin(["features", "depth"])].sort_values("x")
    band(ax, chosen["x"], chosen)
    gains = np.subtract(list(PAPER_DEPTH.values()), PAPER_DEPTH[0])
    ax.plot(list(PAPER_DEPTH), gains, "o--", color=PAPER, label="the paper's Table 2")
    ax.set_xticks(range(6))
    finish(ax, "depth", "hidden layers (0: features alone)", "gain over the features, points")


def band(ax: Axes, x: pd.Series, lines: pd.DataFrame) -> None:
    """Plot our gains with their intervals."""
    ax.fill_between(
        x,
        lines["gain"] - lines["half_width"],
        lines["gain"] + lines["half_width"],
        color=OURS,
        alpha=0.2,
        lw=0,
    )
    ax.plot(x, lines["gain"], "o-", color=OURS, label="skgeo, with 95 percent intervals")


def finish(ax: Axes, title: str, x: str, y: str) -> None:
    """Label a panel."""
    ax.axhline(0.0, color="0.6", lw=0.8)
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.margins(y=0.12)
    ax.legend(frameon=False, fontsize=8, loc="best")
