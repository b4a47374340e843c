"""What the estimators of places share: their tags, their score, the reading of X and y."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin

from skgeo._geodesy import great_circle_km
from skgeo._validation import check_coordinates

#: The radius of ``score``: "region" in the convention of Im2GPS.
SCORE_RADIUS_KM = 200.0


class GeoRegressorMixin(MultiOutputMixin, RegressorMixin):
    """Tags and score of regressors whose target is a place ``[latitude, longitude]``."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Fraction of photos whose estimated place is within 200 km of the true one.

        200 km is the "region" of Im2GPS and the figure that the paper tunes its parameters on.
        The R^2 of scikit-learn's regressors is not offered: a variance of degrees has no meaning
        where longitudes wrap around and shrink towards the poles. For other radii see
        `skgeo.metrics.great_circle_threshold_scorer`.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the photos.
        y : array-like of shape (n_queries, 2)
            True latitudes and longitudes in degrees.
        sample_weight : array-like of shape (n_queries,), default=None
            Weights of the photos.

        Returns
        -------
        float
            Between 0 and 1; the great-circle error may equal the radius.

        Raises
        ------
        ValueError
            If ``y`` holds no places in degrees, or not as many as ``X`` has rows.
        """
        estimated = self.predict(X)
        true = check_coordinates(y, n_samples=len(estimated))
        hit = (great_circle_km(true, estimated) <= SCORE_RADIUS_KM).astype(np.float64)
        return float(np.average(hit, weights=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


def check_gallery_places(estimator: Any, y: Any, n_samples: int) -> npt.NDArray[np.float64]:
    """Read the places of a gallery: a float64 copy of shape (n_samples, 2), or an error."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None: expected the places of the photos, one row [latitude, longitude] in degrees "
            "for each."
        )
    return np.array(check_coordinates(y, n_samples=n_samples))


def check_k(k: Any, n_samples: int, name: str) -> int:
    """Read a number of neighbours asked for in a call: an int in [1, n_samples], or an error."""
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer):
        raise TypeError(f"{name} is {k!r}; expected an int of at least 1.")
    if not 1 <= k <= n_samples:
        raise ValueError(f"{name} is {k}; expected at least 1, at most the gallery's {n_samples}.")
    return int(k)


def is_number(value: Any) -> bool:
    """Whether an argument of a call is a real number, NaN and infinity included."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
