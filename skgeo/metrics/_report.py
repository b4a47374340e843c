"""A table of several models' figures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._distance import check_sample_weight, great_circle_distance
from ._scores import GEO_SCORE_KM, GEO_SCORE_MAX, weighted_median
from ._thresholds import check_thresholds

if TYPE_CHECKING:
    import pandas as pd


def geolocation_report(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    thresholds: Mapping[str, float] | Iterable[float] | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Report percent within each threshold, median and mean error, and GeoScore, a row a model.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_pred : array-like of shape (n_samples, 2), or mapping of str to such
        The estimates of one model, or those of several by name.
    thresholds : mapping of str to float, or sequence of float, default=None
        Radii in km, inclusive, by name, or radii alone, which are named after themselves
        (``0.05`` becomes ``"50 m"``). None: `THRESHOLDS_KM`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    DataFrame
        One row for each model, called ``"model"`` where only an array was given. Columns: one
        for each threshold (*percent* of places, cumulative, as the paper prints them),
        ``median_km``, ``mean_km``, ``geo_score`` and ``n`` (number of places). The radii are in
        ``report.attrs["thresholds_km"]``.

    Raises
    ------
    ValueError
        If there is no model, the shapes differ, a row is no place on Earth, or a threshold is
        none or takes the name of another column.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Tables 2 and 3.

    Examples
    --------
    >>> from skgeo.metrics import geolocation_report
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> report = geolocation_report(
    ...     [paris, rome], {"north": [london, london], "sure": [paris, rome]}
    ... )
    >>> report[["city", "country", "continent", "n"]]
           city  country  continent  n
    north   0.0     50.0      100.0  2
    sure  100.0    100.0      100.0  2
    """
    import pandas as pd

    radii = check_thresholds(thresholds)
    models: dict[str, Any]
    if isinstance(y_pred, Mapping):
        models = {str(name): pred for name, pred in y_pred.items()}
        if not models:
            raise ValueError("y_pred is an empty mapping; expected the estimates of a model.")
        if len(models) != len(y_pred):
            raise ValueError("Two models in y_pred have the same name once written as text.")
    else:
        models = {"model": y_pred}
    taken = {"median_km", "mean_km", "geo_score", "n"} & set(radii)
    if taken:
        raise ValueError(f"A threshold is called {sorted(taken)[0]!r}, as another column is.")

    rows = []
    for name, pred in models.items():
        try:
            error = great_circle_distance(y_true, pred)
        except ValueError as bad:
            raise ValueError(f"Model {name!r}: {bad}") from bad
        weight = check_sample_weight(sample_weight, len(error))
        row = {
            key: 100.0 * float(np.average(error <= km, weights=weight)) for key, km in radii.items()
        }
        row["median_km"] = weighted_median(error, weight)
        row["mean_km"] = float(np.average(error, weights=weight))
        score = GEO_SCORE_MAX * np.exp(-error / GEO_SCORE_KM)
        row["geo_score"] = float(np.average(score, weights=weight))
        rows.append({**row, "n": len(error)})
    report = pd.DataFrame(rows, index=pd.Index(list(models)))
    report.attrs["thresholds_km"] = radii
    return report
