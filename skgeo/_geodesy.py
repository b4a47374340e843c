"""Great circles, unit vectors and means of places on the sphere.

Every place in skgeo is a row ``[latitude, longitude]`` in degrees. This module knows nobody: all
others may use it. The functions trust their input; `skgeo._validation` is where it is checked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Mean radius of the Earth in km, as in Eq. (11) of the paper.
EARTH_RADIUS_KM = 6371.004

FloatArray = npt.NDArray[np.float64]


def great_circle_km(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Great-circle distance in km between places, by broadcasting over leading axes.

    The quantity is that of Eq. (11) of the paper, a spherical law of cosines, but computed from
    the arc tangent of sine over cosine of the central angle: the arccos of the paper rounds 1 m
    to 0 or to 95 m, this form keeps full relative precision from 0 to the antipode.

    Parameters
    ----------
    a, b : array-like of shape (..., 2)
        Latitude and longitude in degrees.

    Returns
    -------
    ndarray of shape (...)
        Distances in km.
    """
    a = np.asarray(a, dtype=np.float64)
    b = np.asarray(b, dtype=np.float64)
    # Differences are taken in degrees, where nearby values subtract without rounding.
    d_lat = np.deg2rad(b[..., 0] - a[..., 0])
    d_lon = np.deg2rad(b[..., 1] - a[..., 1])
    lat_a = np.deg2rad(a[..., 0])
    lat_b = np.deg2rad(b[..., 0])
    cos_a, sin_a = np.cos(lat_a), np.sin(lat_a)
    cos_b, sin_b = np.cos(lat_b), np.sin(lat_b)
    half = np.sin(d_lon / 2.0)
    east = cos_b * np.sin(d_lon)
    # cos_a sin_b - sin_a cos_b cos(d_lon), rewritten so that nothing cancels at short range.
    north = np.sin(d_lat) + 2.0 * sin_a * cos_b * half * half
    radial = sin_a * sin_b + cos_a * cos_b * np.cos(d_lon)
    angle: FloatArray = np.arctan2(np.hypot(east, north), radial)
    return angle * EARTH_RADIUS_KM


def to_unit_vectors(coordinates: npt.ArrayLike) -> FloatArray:
    """Unit vectors of shape (..., 3) that point from the Earth's centre at (..., 2) coordinates."""
    c = np.deg2rad(np.asarray(coordinates, dtype=np.float64))
    lat, lon = c[..., 0], c[..., 1]
    cos_lat = np.cos(lat)
    return np.stack([cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)], axis=-1)


def from_unit_vectors(vectors: npt.ArrayLike) -> FloatArray:
    """Coordinates of shape (..., 2) in degrees at which vectors of shape (..., 3) point.

    The vectors need not have unit length. Longitudes are in [-180, 180].
    """
    v = np.asarray(vectors, dtype=np.float64)
    lat = np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1]))
    lon = np.arctan2(v[..., 1], v[..., 0])
    return np.rad2deg(np.stack([lat, lon], axis=-1))


def km_to_chord(km: float | FloatArray) -> float | FloatArray:
    """Length of the chord, on the unit sphere, under an arc of so many km.

    Arcs beyond half of the circumference reach every place and become the diameter, 2.
    """
    half = np.minimum(np.asarray(km, dtype=np.float64) / (2.0 * EARTH_RADIUS_KM), np.pi / 2.0)
    chord: FloatArray = 2.0 * np.sin(half)
    return float(chord) if chord.ndim == 0 else chord


def spherical_mean(coordinates: npt.ArrayLike) -> FloatArray:
    """Mean of places along the second to last axis: the renormalised mean of their unit vectors.

    A mean of longitudes puts the middle of 179 and -179 degrees on the wrong side of the Earth.

    Parameters
    ----------
    coordinates : array-like of shape (..., n, 2)
        Latitude and longitude in degrees, ``n >= 1``.

    Returns
    -------
    ndarray of shape (..., 2)
        Latitude and longitude in degrees.

    Raises
    ------
    ValueError
        If the places balance each other (as antipodes do), so that no mean exists.
    """
    mean = to_unit_vectors(coordinates).mean(axis=-2)
    if np.any(np.linalg.norm(mean, axis=-1) < 1e-9):
        raise ValueError(
            "These places balance each other around the Earth's centre (antipodes, for "
            "example): they have no mean."
        )
    return from_unit_vectors(mean)
