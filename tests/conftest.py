"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
from pathlib import Path

# The tests' arrays are small: threads that wait for each other would take most of the time.
# Read when the libraries are loaded, so it stands before them; what asks for n_jobs gets them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos and coordinates, beside the checkout; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real photos and coordinates (shared/data beside the checkout) are absent")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
