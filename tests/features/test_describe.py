"""The sample of pixels from which textons are learned."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.features._describe import sample_responses
from skgeo.features._filter_bank import filter_responses
from skgeo.features._resample import as_grey, as_unit


def sample(image, index=0, *, n_pixels, seed=0):
    return sample_responses(image, index, image_size=400, n_pixels=n_pixels, seed=seed)


@pytest.mark.parametrize("n_pixels", [1, 50, 1000, 4000])
def test_pixels_are_drawn_once_each_from_the_whole_image(make, n_pixels):
    """Few are filtered one by one, many by transforms: both are columns of the whole."""
    image = make(60, 80)
    whole = filter_responses(as_grey(as_unit(image))).T
    drawn = sample(image, n_pixels=n_pixels).T
    assert drawn.shape == (n_pixels, 32)
    distances = ((drawn**2).sum(axis=1)[:, None] + (whole**2).sum(axis=1)
                 - 2 * drawn.astype(float) @ whole.T.astype(float))  # fmt: skip
    places = distances.argmin(axis=1)
    np.testing.assert_allclose(whole[places], drawn, atol=1e-6)
    assert len(set(places)) == n_pixels
    if n_pixels >= 50:
        rows, columns = np.divmod(places, 80)
        assert rows.mean() == pytest.approx(29.5, abs=12)
        assert columns.mean() == pytest.approx(39.5, abs=16)


@pytest.mark.parametrize("n_pixels", [4800, 10_000])
def test_an_image_of_too_few_pixels_gives_all_it_has(make, n_pixels):
    image = make(60, 80)
    whole = filter_responses(as_grey(as_unit(image)))
    np.testing.assert_array_equal(sample(image, n_pixels=n_pixels), whole)


def test_the_draw_depends_on_seed_and_index_alone(make):
    image = make(60, 80)
    first = sample(image, 3, n_pixels=20, seed=5)
    np.testing.assert_array_equal(sample(image, 3, n_pixels=20, seed=5), first)
    assert not np.array_equal(sample(image, 4, n_pixels=20, seed=5), first)
    assert not np.array_equal(sample(image, 3, n_pixels=20, seed=6), first)
