"""Figures of ranked lists of places: the best of k estimates, and recall among N neighbours."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from skgeo._geodesy import EARTH_RADIUS_KM, great_circle_km, to_unit_vectors
from skgeo._validation import Interval, check_coordinates, validate_params

from ._distance import FloatArray, check_earth_radius, check_sample_weight, within

_WEIGHTS = ["array-like", None]
_RADIUS = [Interval(Real, 0, None, closed="neither")]
_THRESHOLD = [Interval(Real, 0, None, closed="left")]


def ranked_errors(
    y_true: npt.ArrayLike,
    y_ranked: npt.ArrayLike,
    *,
    name: str,
    earth_radius_km: float = EARTH_RADIUS_KM,
) -> FloatArray:
    """Errors in km, shape (n, k), of k places for each true one.

    Raises
    ------
    ValueError
        If the shapes do not fit or a place is none.
    """
    scale = check_earth_radius(earth_radius_km) / EARTH_RADIUS_KM
    true = check_coordinates(y_true, name="y_true")
    ranked = np.asarray(y_ranked)
    if ranked.ndim != 3 or ranked.shape[2] != 2 or ranked.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {ranked.shape}; expected (n_samples, k, 2), k >= 1 places "
            "[latitude, longitude] in degrees for each true one, best first."
        )
    if len(ranked) != len(true):
        raise ValueError(
            f"y_true has {len(true)} rows and {name} {len(ranked)}; expected k places for "
            "each true one."
        )
    k = ranked.shape[1]
    flat = check_coordinates(
        ranked.reshape(-1, 2), name=f"{name} (reshaped to rows, {k} for each place)"
    )
    return great_circle_km(true[:, None, :], flat.reshape(-1, k, 2)) * scale


@validate_params(
    {
        "y_true": ["array-like"],
        "y_top_k": ["array-like"],
        "threshold_km": [Interval(Real, 0, None, closed="left")],
        "inclusive": ["boolean"],
        "earth_radius_km": _RADIUS,
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def best_of_top_k_score(
    y_true: npt.ArrayLike,
    y_top_k: npt.ArrayLike,
    *,
    threshold_km: float = 200.0,
    inclusive: bool = True,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction of places for which the best of k estimates is within ``threshold_km``.

    The "best top k" rows of the paper's Table 5. With k = 1 it is
    `great_circle_threshold_score`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_top_k : array-like of shape (n_samples, k, 2)
        k estimates for each place, as `KNNGeoRegressor.predict_top_k` gives them. Slice
        ``y_top_k[:, :j]`` for the best of the first j.
    threshold_km : float, default=200.0
        The radius in km.
    inclusive : bool, default=True
        Whether an error equal to the threshold is a hit.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If the shapes do not fit or an estimate is no place on Earth.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Table 5.

    Examples
    --------
    >>> from skgeo.metrics import best_of_top_k_score
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> top_2 = [[rome, paris], [rome, london]]
    >>> best_of_top_k_score([paris, paris], top_2, threshold_km=25)
    0.5
    """
    errors = ranked_errors(y_true, y_top_k, name="y_top_k", earth_radius_km=earth_radius_km)
    weight = check_sample_weight(sample_weight, len(errors))
    return float(np.average(within(errors.min(axis=1), threshold_km, inclusive), weights=weight))


@validate_params(
    {
        "y_true": ["array-like"],
        "y_neighbors": ["array-like"],
        "n": [Interval(Integral, 1, None, closed="left")],
        "threshold_km": _THRESHOLD,
        "y_gallery": ["array-like", None],
        "earth_radius_km": _RADIUS,
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def recall_at_n_score(
    y_true: npt.ArrayLike,
    y_neighbors: npt.ArrayLike,
    *,
    n: int = 1,
    threshold_km: float = 0.025,
    y_gallery: npt.ArrayLike | None = None,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Recall at N: how many queries have a photograph of their place among their N nearest.

    The figure of visual place recognition [1]_. A gallery photograph shows the place of a query
    if it was taken within `threshold_km` of it, inclusive, 25 m by convention.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_neighbors : array-like of shape (n_samples, k, 2)
        Positions of the k gallery photographs most similar to each query, most similar first:
        ``y_gallery[knn.kneighbors(X, n, return_distance=False)]``.
    n : int, default=1
        How many of them are looked at, at most k.
    threshold_km : float, default=0.025
        The radius in km.
    y_gallery : array-like of shape (n_gallery, 2), default=None
        Positions of the whole gallery. If given, queries that it cannot answer, because none
        of its photographs lies within the radius, do not count. If not, they count as failures.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each query.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If the shapes do not fit, `n` exceeds k, a row is no place on Earth, or the gallery can
        answer no query.

    See Also
    --------
    recall_at_n_curve : For every N up to k.
    best_of_top_k_score : The same for estimates, which need not be photographs.

    References
    ----------
    .. [1] Arandjelovic et al., "NetVLAD: CNN architecture for weakly supervised place
       recognition", CVPR 2016, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.metrics import recall_at_n_score
    >>> y_gallery = np.array([[48.8584, 2.2945], [48.8586, 2.2946], [41.8902, 12.4922]])
    >>> neighbors = np.array([[2, 1], [2, 0]])  # of two queries
    >>> y_true = [[48.8585, 2.2945], [-33.8568, 151.2153]]
    >>> recall_at_n_score(y_true, y_gallery[neighbors], n=2)
    0.5
    >>> recall_at_n_score(y_true, y_gallery[neighbors], n=2, y_gallery=y_gallery)
    1.0
    """
    curve = recall_at_n_curve(
        y_true,
        y_neighbors,
        threshold_km=threshold_km,
        y_gallery=y_gallery,
        earth_radius_km=earth_radius_km,
        sample_weight=sample_weight,
    )
    if n > len(curve):
        raise ValueError(f"n={n}, but y_neighbors holds {len(curve)} neighbours of each query.")
    return float(curve[n - 1])


@validate_params(
    {
        "y_true": ["array-like"],
        "y_neighbors": ["array-like"],
        "threshold_km": _THRESHOLD,
        "y_gallery": ["array-like", None],
        "earth_radius_km": _RADIUS,
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def recall_at_n_curve(
    y_true: npt.ArrayLike,
    y_neighbors: npt.ArrayLike,
    *,
    threshold_km: float = 0.025,
    y_gallery: npt.ArrayLike | None = None,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> FloatArray:
    """Recall at N for every N from 1 to the number of neighbours.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_neighbors : array-like of shape (n_samples, k, 2)
        Positions of the k gallery photographs most similar to each query, most similar first.
    threshold_km : float, default=0.025
        The radius in km, inclusive.
    y_gallery : array-like of shape (n_gallery, 2), default=None
        Positions of the whole gallery; see `recall_at_n_score`.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each query.

    Returns
    -------
    ndarray of shape (k,)
        Recall at 1, 2, ..., k: rises.

    Raises
    ------
    ValueError
        If the shapes do not fit, a row is no place on Earth, or the gallery can answer no query.

    See Also
    --------
    recall_at_n_score : For one N.

    Examples
    --------
    >>> from skgeo.metrics import recall_at_n_curve
    >>> paris, rome = [48.8584, 2.2945], [41.8902, 12.4922]
    >>> recall_at_n_curve([paris, paris], [[rome, paris], [paris, rome]])
    array([0.5, 1. ])
    """
    errors = ranked_errors(y_true, y_neighbors, name="y_neighbors", earth_radius_km=earth_radius_km)
    weight = check_sample_weight(sample_weight, len(errors))
    if y_gallery is not None:
        nearest = nearest_km(y_true, y_gallery) * (earth_radius_km / EARTH_RADIUS_KM)
        weight = weight * (nearest <= threshold_km)
        if not weight.any():
            raise ValueError(
                f"No photograph of y_gallery lies within {threshold_km:g} km of any query: "
                "there is nothing to recall."
            )
    found = np.minimum.accumulate(errors, axis=1) <= threshold_km
    recall: FloatArray = np.average(found, axis=0, weights=weight)
    return recall


def nearest_km(y_true: npt.ArrayLike, y_gallery: npt.ArrayLike) -> FloatArray:
    """Distance in km from each place to the nearest one of the gallery."""
    true = check_coordinates(y_true, name="y_true")
    gallery = check_coordinates(y_gallery, name="y_gallery")
    # Differences of unit vectors are good to a nanometre, so the tree finds the nearest one.
    _, index = cKDTree(to_unit_vectors(gallery)).query(to_unit_vectors(true))
    return great_circle_km(true, gallery[index])
