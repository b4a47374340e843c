"""Warnings about a training that taught nothing: they come, and they stay away."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer
from skgeo.embedding._diagnose import relative_spread, saturated_share


@pytest.fixture(scope="module")
def part():
    world = make_geo_world(random_state=0)
    rows = np.flatnonzero(world.poi < 12)
    return world.data[rows], world.coordinates[rows]


def messages(dgae, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dgae.fit(X, y)
    assert all(issubclass(w.category, ConvergenceWarning) for w in caught)
    return " ".join(str(w.message) for w in caught)


def test_a_training_that_learns_is_silent(part):
    X, y = part
    settings = {"hidden_layer_sizes": (64, 32), "random_state": 0}
    assert messages(DGAETransformer(**settings), X, y) == ""
    assert messages(DGAETransformer(**settings, init="pretrain"), X, y) == ""
    assert messages(DGAETransformer(**settings), X, None) == ""


def test_the_papers_own_settings_are_told_why_they_do_not_learn(part):
    """gamma = 0.05 drives the weights to zero: all photos get one code."""
    X, y = part
    paper = DGAETransformer(
        (32, 16, 8),
        objective="paper",
        alpha=0.2,
        beta=0.1,
        gamma=0.05,
        learning_rate=5.0,
        max_epochs=60,
        tol=None,
        random_state=0,
    )
    said = messages(paper, (X - X.min()) / np.ptp(X), y)
    assert "The codes have collapsed" in said
    assert "gamma of at most 1e-4" in said
    assert "Nothing is reconstructed" in said


def test_saturated_units_are_told_to_scale_the_input(part):
    X, y = part
    dgae = DGAETransformer(
        (8,), objective="paper", activation="tanh", max_epochs=2, random_state=0, gamma=0.0
    )
    said = messages(dgae, 100 * X, y)
    assert "hidden layer 1 are saturated" in said
    assert "BlockScaler" in said


def test_a_decoder_that_did_not_learn(part):
    X, _ = part
    lazy = DGAETransformer((8,), max_epochs=1, pretrain_epochs=0, learning_rate=1e-9)
    said = messages(lazy, X, None)
    assert "Nothing is reconstructed" in said
    assert "pretrain_epochs" in said


def test_equal_photos_are_nobodys_fault():
    said = messages(DGAETransformer((2,), max_epochs=1), np.ones((3, 2)), None)
    assert said == ""


def test_measures(rng):
    codes = rng.normal(size=(1000, 5))
    assert relative_spread(codes - codes.mean(axis=0)) == pytest.approx(1.0)
    assert relative_spread(1e3 + codes) == pytest.approx(1e-3, rel=0.1)
    assert relative_spread(np.zeros((4, 2))) == 0.0
    layer = torch.sigmoid(torch.tensor([[-9.0, 0.0, 9.0, 1.0]])).numpy()
    assert saturated_share(layer, "sigmoid") == 0.5
    assert saturated_share(np.tanh([[-9.0, 0.0, 9.0, 1.0]]), "tanh") == 0.5
    assert saturated_share(layer, "relu") == 0.0
