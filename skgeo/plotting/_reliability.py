"""Whether stated radii hold as often as they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo.metrics import great_circle_distance, radius_coverage_score
from skgeo.metrics._thresholds import format_km

from ._error_classes import ERROR_COLORS
from ._matplotlib import check_axes, mix

FloatArray = npt.NDArray[np.float64]

_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

#: Where the share of a true statement falls, in 95 of 100 sets of photos.
_BAND = 0.95


class ReliabilityDisplay:
    """Stated probability against the share of places that lie within the stated radius.

    On the diagonal the radii hold as often as they say; below it they promise too much, above it
    they are larger than need be. The band is where the share of a true statement falls in 95 of
    100 sets of as many independent photos. Beside each point stands the median radius: a promise
    is easily kept if it is wide. Use `from_predictions` or `from_estimator` to make one.

    Parameters
    ----------
    confidence : ndarray of shape (n_levels,)
        Stated probabilities.
    coverage : ndarray of shape (n_levels,)
        Shares of places within the radius.
    radius_km : ndarray of shape (n_levels,)
        Median radii in km.
    n_samples : int
        Number of places.

    Attributes
    ----------
    coverage_ : ndarray of shape (n_levels,)
        The shares.
    lower_, upper_ : ndarray of shape (n_levels,)
        The band at each stated probability.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skgeo.metrics.radius_coverage_score : One of the shares.
    skgeo.neighbors.KNNGeoRegressor.predict_with_uncertainty : The radii.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skgeo.plotting import ReliabilityDisplay
    >>> y_true = np.zeros((4, 2))
    >>> y_pred = [[0, 0.1], [0, 0.2], [0, 0.3], [0, 5.0]]
    >>> display = ReliabilityDisplay.from_predictions(
    ...     y_true, y_pred, {0.5: np.full(4, 25.0), 0.75: np.full(4, 50.0)}
    ... )
    >>> display.coverage_
    array([0.5 , 0.75])
    """

    figure_: Any
    ax_: Any

    def __init__(
        self,
        *,
        confidence: npt.ArrayLike,
        coverage: npt.ArrayLike,
        radius_km: npt.ArrayLike,
        n_samples: int,
    ) -> None:
        self.confidence = confidence
        self.coverage = coverage
        self.radius_km = radius_km
        self.n_samples = n_samples

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        radius_km: Mapping[float, npt.ArrayLike],
        *,
        ax: Any = None,
        label: str | None = None,
    ) -> ReliabilityDisplay:
        """Draw the reliability of radii.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples, 2)
            Latitude and longitude in degrees.
        radius_km : mapping of float to array-like of shape (n_samples,)
            For each stated probability the radius of each estimate in km.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.
        label : str, default=None
            Name of the model in the legend.

        Returns
        -------
        ReliabilityDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no radius, a probability is not between 0 and 1, or shapes differ.
        """
        if not radius_km:
            raise ValueError("radius_km is empty; expected radii for at least one probability.")
        levels = sorted(radius_km)
        if not (levels[0] > 0.0 and levels[-1] < 1.0):
            raise ValueError(
                f"radius_km has the keys {levels}; expected probabilities between 0 and 1."
            )
        coverage = [radius_coverage_score(y_true, y_pred, radius_km[p]) for p in levels]
        radii = [float(np.median(np.asarray(radius_km[p], dtype=np.float64))) for p in levels]
        n = len(great_circle_distance(y_true, y_pred))
        display = cls(confidence=levels, coverage=coverage, radius_km=radii, n_samples=n)
        return display.plot(ax, label=label)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        confidences: Sequence[float] = _CONFIDENCES,
        ax: Any = None,
        label: str | None = None,
    ) -> ReliabilityDisplay:
        """Draw the reliability of the radii of a calibrated estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
            With ``predict_with_uncertainty``, fitted and calibrated; of a Pipeline the last step.
        X : sequence of length n_samples
            What it takes; photos of places that neither gallery nor calibration has.
        y : array-like of shape (n_samples, 2)
            True latitude and longitude in degrees.
        confidences : sequence of float
            Stated probabilities.
        ax, label
            As for `from_predictions`.

        Returns
        -------
        ReliabilityDisplay
            The display.
        """
        estimator, X = last_step(estimator, X)
        found = {float(p): estimator.predict_with_uncertainty(X, confidence=p) for p in confidences}
        if not found:
            raise ValueError("confidences is empty; expected at least one probability.")
        places = next(iter(found.values())).places
        radii = {p: result.radius_km for p, result in found.items()}
        return cls.from_predictions(y, places, radii, ax=ax, label=label)

    def plot(self, ax: Any = None, *, label: str | None = None) -> ReliabilityDisplay:
        """Draw it.

        Parameters
        ----------
        ax, label
            As for `from_predictions`.

        Returns
        -------
        ReliabilityDisplay
            The display itself.
        """
        from scipy.stats import binom

        self.figure_, self.ax_ = check_axes(ax, (5.6, 5.2))
        stated = np.asarray(self.confidence, dtype=np.float64)
        self.coverage_ = np.asarray(self.coverage, dtype=np.float64)
        tail = (1.0 - _BAND) / 2.0
        n = self.n_samples
        self.lower_ = binom.ppf(tail, n, stated) / n
        self.upper_ = binom.ppf(1.0 - tail, n, stated) / n
        line = np.linspace(0.0, 1.0, 201)
        self.ax_.fill_between(
            line,
            binom.ppf(tail, n, line) / n,
            binom.ppf(1.0 - tail, n, line) / n,
            color=mix(self.ax_, 0.12),
            linewidth=0.0,
            label=f"as stated, within chance ({n:,} places)",
            zorder=1.0,
        )
        self.ax_.plot([0.0, 1.0], [0.0, 1.0], color=mix(self.ax_, 0.45), linewidth=1.0, zorder=1.1)
        self.ax_.plot(
            stated,
            self.coverage_,
            color=ERROR_COLORS[0],
            marker="o",
            linewidth=1.6,
            label=label or "radii",
            zorder=2.0,
        )
        for p, share, km in zip(stated, self.coverage_, np.asarray(self.radius_km), strict=True):
            self.ax_.annotate(
                format_km(float(f"{km:.2g}")),
                (p, share),
                xytext=(7, -10) if p < 0.85 else (-7, 3),
                textcoords="offset points",
                ha="left" if p < 0.85 else "right",
                fontsize="small",
                color=mix(self.ax_, 0.7),
            )
        least = max(0.0, min(stated.min(), self.coverage_.min()) - 0.1)
        self.ax_.set_xlim(least, 1.0)
        self.ax_.set_ylim(least, 1.0)
        self.ax_.set_aspect("equal")
        self.ax_.set_xlabel("stated probability")
        self.ax_.set_ylabel("share of places within the radius")
        self.ax_.legend(loc="upper left", frameon=False)
        return self


def last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The last step of a Pipeline and what it gets; another estimator as it is."""
    steps = getattr(estimator, "steps", None)
    if steps is None:
        return estimator, X
    return steps[-1][1], estimator[:-1].transform(X)
