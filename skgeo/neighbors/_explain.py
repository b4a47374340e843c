"""The table of a query's neighbours and of their part in the answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from skgeo._geodesy import great_circle_km

from ._estimate import Estimate


def explanation(estimate: Estimate, coordinates: npt.NDArray[np.float64]) -> pd.DataFrame:
    """One row for each query and voting neighbour; see `KNNGeoRegressor.explain`.

    Parameters
    ----------
    estimate : Estimate
        With clusters and votes.
    coordinates : ndarray of shape (n_samples, 2)
        Places of the gallery.
    """
    assert estimate.clusters is not None
    assert estimate.votes is not None
    n_queries, n_voters = estimate.votes.shape
    indices = estimate.indices[:, :n_voters]
    places = coordinates[indices]
    answer = np.broadcast_to(estimate.places[:, :1], places.shape)
    return pd.DataFrame(
        {
            "query": np.repeat(np.arange(n_queries), n_voters),
            "rank": np.tile(np.arange(n_voters), n_queries),
            "index": indices.ravel(),
            "distance": estimate.distances[:, :n_voters].ravel(),
            "latitude": places[..., 0].ravel(),
            "longitude": places[..., 1].ravel(),
            "cluster": estimate.clusters.ravel(),
            "vote": estimate.votes.ravel(),
            "estimate_latitude": answer[..., 0].ravel(),
            "estimate_longitude": answer[..., 1].ravel(),
            "km": great_circle_km(answer, places).ravel(),
        }
    )
