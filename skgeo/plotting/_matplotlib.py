"""The one place where plotting meets a missing matplotlib, and shades that suit any style."""

from __future__ import annotations

from typing import Any


def import_pyplot() -> Any:
    """Return matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed. The message says how to install it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "The displays need matplotlib, which is not installed. Install it with: "
            "pip install 'skgeo[plot]'"
        ) from error
    return plt


def mix(ax: Any, ink: float) -> tuple[float, float, float]:
    """Colour between the background of the axes (0) and the style's text (1)."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    paper, text = to_rgb(ax.get_facecolor()), to_rgb(mpl.rcParams["text.color"])
    red, green, blue = (p + ink * (t - p) for p, t in zip(paper, text, strict=True))
    return red, green, blue


def check_axes(ax: Any, figsize: tuple[float, float]) -> tuple[Any, Any]:
    """Figure and axes to draw on; new ones, laid out by matplotlib, if there are none yet."""
    plt = import_pyplot()
    if ax is None:
        figure, ax = plt.subplots(figsize=figsize, layout="constrained")
        return figure, ax
    return ax.get_figure(), ax


def row_by_row(handles: list[Any], n_columns: int) -> list[Any]:
    """Order a legend's entries so that they read in rows; matplotlib fills columns."""
    return [handle for column in range(n_columns) for handle in handles[column::n_columns]]
