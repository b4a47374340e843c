"""Blocks of nearly equal area that tile the sphere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM


def spherical_blocks(coordinates: npt.NDArray[np.float64], block_km: float) -> npt.NDArray[np.intp]:
    """Label of the block in which each place lies.

    The sphere is cut into bands of latitude about `block_km` high, each band into cells of equal
    width, as many as bring their area nearest to ``block_km ** 2``. Squares of latitude and
    longitude would shrink to slivers toward the poles. Around a pole the band is cut into three
    cells that meet in it, as a cake is.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        Latitude and longitude in degrees, valid.
    block_km : float
        Side of a block, > 0.

    Returns
    -------
    ndarray of shape (n,)
        Labels, equal where and only where two places share a block. They count from the south,
        and from the antimeridian eastward; most go unused.
    """
    n_bands = max(1, round(np.pi * EARTH_RADIUS_KM / block_km))
    lat, lon = coordinates[:, 0], coordinates[:, 1]
    band = np.minimum(((lat + 90.0) / 180.0 * n_bands).astype(np.intp), n_bands - 1)
    edges = np.linspace(-np.pi / 2.0, np.pi / 2.0, n_bands + 1)
    area = 2.0 * np.pi * EARTH_RADIUS_KM**2 * np.diff(np.sin(edges))
    cells = np.maximum(1, np.rint(area / block_km**2)).astype(np.intp)
    first: npt.NDArray[np.intp] = np.concatenate([[0], np.cumsum(cells)[:-1]])
    # 180 and -180 degrees are one meridian, and belong to one block.
    turn = np.mod(lon + 180.0, 360.0) / 360.0
    cell = np.minimum((turn * cells[band]).astype(np.intp), cells[band] - 1)
    at_pole: npt.NDArray[Any] = np.abs(lat) == 90.0
    cell[at_pole] = 0  # every longitude is the same place there
    return first[band] + cell
