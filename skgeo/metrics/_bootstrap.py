"""Confidence intervals by resampling places, or whole groups of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from skgeo._validation import Interval, validate_params

from ._distance import FloatArray

IntArray = npt.NDArray[np.intp]

RESAMPLING: dict[str, list[Any]] = {
    "groups": ["array-like", None],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "n_resamples": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class BootstrapInterval(NamedTuple):
    """A figure and the interval in which it lies: what `bootstrap_interval` returns."""

    estimate: float
    low: float
    high: float


@validate_params(
    {"metric": [callable], "y_true": ["array-like"]} | RESAMPLING,
    prefer_skip_nested_validation=True,
)
def bootstrap_interval(
    metric: Callable[..., float],
    y_true: npt.ArrayLike,
    *arrays: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int | np.random.RandomState | None = 0,
    **keywords: Any,
) -> BootstrapInterval:
    """Confidence interval of any figure of this package, by the percentile bootstrap.

    The places are drawn again, with replacement, as often as there are places, and the figure is
    computed anew; the interval holds the middle 95 percent of what comes out [1]_. It says how much
    the figure would change with other places of the same kind. It does not say how it would
    change with another gallery or another training of the model.

    Photographs of one place, or by one author, are right or wrong together, so that a hundred of
    them tell less than a hundred that have nothing in common. Pass ``groups`` to draw groups, not
    photographs: the interval is then as wide as it has to be.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, *arrays, **keywords)`` gives the figure.
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    *arrays : array-like of shape (n_samples, ...)
        What else the metric takes, with a row for each place: the estimates, their uncertainty.
    groups : array-like of shape (n_samples,), default=None
        Group of each place (its author, its block). None: each is on its own.
    confidence_level : float, default=0.95
        Between 0 and 1.
    n_resamples : int, default=2000
        How often the places are drawn.
    random_state : int, RandomState instance or None, default=0
        Decides the draws. With a number the interval is the same in every run.
    **keywords : object
        Passed to the metric as they are.

    Returns
    -------
    BootstrapInterval
        Named tuple: `estimate` on all places, `low` and `high`.

    Raises
    ------
    ValueError
        If the lengths differ, a group is missing (None, NaN), or there are fewer than two
        groups to draw from.

    See Also
    --------
    geolocation_report : With `confidence_level`, intervals of all figures at once.
    compare_geolocation : Interval of the difference between models, which is narrower.

    References
    ----------
    .. [1] Efron and Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall 1993,
       chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.metrics import bootstrap_interval, great_circle_threshold_score
    >>> y_true = np.zeros((200, 2))
    >>> y_pred = np.zeros((200, 2))
    >>> y_pred[:60] = [0, 90]
    >>> bootstrap_interval(great_circle_threshold_score, y_true, y_pred, threshold_km=25)
    BootstrapInterval(estimate=0.7, low=0.63..., high=0.76...)
    >>> authors = np.repeat(np.arange(10), 20)  # ten people, each all right or all wrong
    >>> bootstrap_interval(
    ...     great_circle_threshold_score, y_true, y_pred, groups=authors, threshold_km=25
    ... )
    BootstrapInterval(estimate=0.7, low=0.4..., high=1.0)
    """
    columns = [np.asarray(a) for a in (y_true, *arrays)]
    n = len(columns[0]) if columns[0].ndim else 0
    for number, column in enumerate(columns):
        if column.ndim == 0 or len(column) != n:
            raise ValueError(
                f"Array {number} after the metric has shape {column.shape}; expected one row for "
                f"each of the {n} places in y_true."
            )
    estimate = float(metric(*columns, **keywords))
    resampler = Resampler(n, groups)
    figures = np.array(
        [
            metric(*(column[rows] for column in columns), **keywords)
            for rows in resampler.rows(n_resamples, random_state)
        ]
    )
    low, high = percentile_interval(figures, confidence_level)
    return BootstrapInterval(estimate, float(low), float(high))


def percentile_interval(
    figures: FloatArray, confidence_level: float
) -> tuple[FloatArray, FloatArray]:
    """The middle part of resampled figures, along the first axis."""
    tail = (1.0 - confidence_level) / 2.0
    low, high = np.quantile(figures, [tail, 1.0 - tail], axis=0)
    return low, high


class Resampler:
    """Draws places, or groups of places, with replacement.

    Parameters
    ----------
    n_samples : int
        Number of places.
    groups : array-like of shape (n_samples,) or None
        Group of each.
    """

    def __init__(self, n_samples: int, groups: Any) -> None:
        self.n_samples = n_samples
        self.labels, self.n_units = group_labels(groups, n_samples)
        if self.n_units < 2:
            what = "place" if self.labels is None else "group"
            raise ValueError(f"There is one {what}; an interval needs at least two to draw from.")
        if self.labels is not None:
            self._members = np.argsort(self.labels, kind="stable")
            self._sizes = np.bincount(self.labels, minlength=self.n_units)
            self._starts = np.cumsum(self._sizes) - self._sizes

    def units(self, n_resamples: int, random_state: Any) -> Iterator[IntArray]:
        """Yield the units (places or groups) of each resample."""
        rng = check_random_state(random_state)
        for _ in range(n_resamples):
            yield rng.randint(0, self.n_units, self.n_units)

    def expand(self, units: IntArray) -> IntArray:
        """Rows of the places in drawn units."""
        if self.labels is None:
            return units
        sizes = self._sizes[units]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        rows: IntArray = self._members[np.repeat(self._starts[units], sizes) + within]
        return rows

    def rows(self, n_resamples: int, random_state: Any) -> Iterator[IntArray]:
        """Yield the rows of each resample."""
        for units in self.units(n_resamples, random_state):
            yield self.expand(units)

    def counts(self, units: IntArray) -> npt.NDArray[np.float64]:
        """How often each place is drawn, shape (n_samples,)."""
        drawn = np.bincount(units, minlength=self.n_units).astype(np.float64)
        return drawn if self.labels is None else drawn[self.labels]


def group_labels(groups: Any, n_samples: int) -> tuple[IntArray | None, int]:
    """Groups as numbers from 0, and how many units there are: groups, or samples without any.

    Raises
    ------
    ValueError
        If the number of groups is wrong or one is missing.
    """
    if groups is None:
        return None, n_samples
    values = groups.to_numpy() if hasattr(groups, "to_numpy") else np.asarray(groups)
    if values.shape != (n_samples,):
        raise ValueError(
            f"groups has shape {values.shape}; expected ({n_samples},), one for each place."
        )
    seen: dict[Any, int] = {}
    labels = np.empty(n_samples, dtype=np.intp)
    for row, group in enumerate(values.tolist()):
        if group is None or group != group or type(group).__name__ == "NAType":
            raise ValueError(
                f"groups[{row}] is {group!r}; expected a group for each place. Give those without "
                "one a group of their own."
            )
        labels[row] = seen.setdefault(group, len(seen))
    return labels, len(seen)
