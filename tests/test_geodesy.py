"""Great circles against Eq. (11) of the paper in extended precision, and a geodesic library."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from geographiclib.geodesic import Geodesic

from skgeo._geodesy import (
    EARTH_RADIUS_KM,
    from_unit_vectors,
    great_circle_km,
    km_to_chord,
    spherical_mean,
    to_unit_vectors,
)


def equation_11(a, b):
    """Eq. (11), digit by digit, with 60 digits."""
    with mpmath.workdps(60):
        lat_a, lon_a, lat_b, lon_b = (mpmath.radians(mpmath.mpf(float(v))) for v in (*a, *b))
        cosine = mpmath.sin(lat_a) * mpmath.sin(lat_b) + mpmath.cos(lat_a) * mpmath.cos(
            lat_b
        ) * mpmath.cos(lon_a - lon_b)
        return float(mpmath.mpf("6371.004") * mpmath.acos(cosine))


PLACES = [
    ((0.0, 0.0), (0.0, 0.0)),
    ((48.8584, 2.2945), (48.8584, 2.2945 + 1e-9)),
    ((48.8584, 2.2945), (48.8584 + 9e-6, 2.2945)),  # one metre
    ((37.79261, -122.396797), (37.792538, -122.397018)),
    ((-17.0, 179.999), (-17.0, -179.999)),
    ((90.0, 0.0), (90.0, 123.0)),
    ((90.0, 0.0), (-90.0, 0.0)),
    ((89.9999, 10.0), (89.9999, -170.0)),
    ((0.0, 0.0), (0.0, 180.0)),
    ((10.0, 20.0), (-10.0, -160.0)),
    ((10.0, 20.0), (-10.0 + 1e-7, -160.0)),
    ((51.5, -0.1), (40.7, -74.0)),
]


@pytest.mark.parametrize(("a", "b"), PLACES)
def test_distance_is_equation_11(a, b):
    expected = equation_11(a, b)
    # Relative to the distance; absolutely to a tenth of a micrometre near the antipode.
    assert great_circle_km(a, b) == pytest.approx(expected, rel=1e-12, abs=1e-10)
    assert great_circle_km(b, a) == pytest.approx(expected, rel=1e-12, abs=1e-10)


def test_distance_is_equation_11_on_random_places(rng):
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, (200, 2))))
    lon = rng.uniform(-180, 180, (200, 2))
    a, b = np.stack([lat[:, 0], lon[:, 0]], 1), np.stack([lat[:, 1], lon[:, 1]], 1)
    b[:100] = a[:100] + rng.normal(0, 1e-6, (100, 2))  # decimetres apart
    expected = [equation_11(p, q) for p, q in zip(a, b, strict=True)]
    # The nearest pairs lose digits to the last bit of the degrees themselves.
    np.testing.assert_allclose(great_circle_km(a, b), expected, rtol=1e-9, atol=1e-10)


def test_distance_agrees_with_a_geodesic_library(rng):
    sphere = Geodesic(EARTH_RADIUS_KM * 1000.0, 0.0)
    a = np.stack([rng.uniform(-90, 90, 100), rng.uniform(-180, 180, 100)], 1)
    b = np.stack([rng.uniform(-90, 90, 100), rng.uniform(-180, 180, 100)], 1)
    expected = [sphere.Inverse(*p, *q)["s12"] / 1000.0 for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(great_circle_km(a, b), expected, rtol=1e-12)


def test_distance_broadcasts():
    a = np.zeros((3, 1, 2))
    b = np.zeros((4, 2))
    assert great_circle_km(a, b).shape == (3, 4)
    assert great_circle_km(np.empty((0, 2)), np.empty((0, 2))).shape == (0,)


def test_unit_vectors_return(rng):
    c = np.stack([rng.uniform(-90, 90, 1000), rng.uniform(-180, 180, 1000)], 1)
    vectors = to_unit_vectors(c)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(from_unit_vectors(7.0 * vectors), c, atol=1e-12)


def test_chord_is_that_of_the_arc():
    km = np.array([0.0, 1e-6, 1.0, 500.0, 10_000.0, np.pi * EARTH_RADIUS_KM, 1e6])
    ends = np.stack([np.zeros(6), np.rad2deg(km[:6] / EARTH_RADIUS_KM)], 1)
    vectors = to_unit_vectors(ends)
    expected = np.linalg.norm(vectors - vectors[0], axis=1)
    np.testing.assert_allclose(km_to_chord(km)[:6], expected, rtol=1e-9, atol=1e-16)
    assert km_to_chord(1e6) == 2.0


def test_mean_of_places_crosses_the_antimeridian_and_the_pole():
    assert spherical_mean([[0.0, 179.0], [0.0, -179.0]])[0] == pytest.approx(0.0)
    assert abs(spherical_mean([[0.0, 179.0], [0.0, -179.0]])[1]) == pytest.approx(180.0)
    around_the_pole = [[89.0, 0.0], [89.0, 120.0], [89.0, -120.0]]
    assert spherical_mean(around_the_pole)[0] == pytest.approx(90.0)
    np.testing.assert_allclose(spherical_mean([[12.0, 34.0]]), [12.0, 34.0])


def test_antipodes_have_no_mean():
    with pytest.raises(ValueError, match="no mean"):
        spherical_mean([[10.0, 20.0], [-10.0, -160.0]])
