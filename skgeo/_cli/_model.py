"""What a model of the command line holds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgeo.persistence import load_model

from ._console import CommandError

#: Of the dict that is written. "names" are file names of the gallery, relative to its folder.
KEYS = frozenset({"pipeline", "names", "coordinates", "thresholds"})


def open_model(path: str, trusted: Sequence[str]) -> dict[str, Any]:
    """Load a model of ``skgeo fit``.

    Raises
    ------
    CommandError
        If it is another kind of model.
    """
    model = load_model(path, trusted=trusted)
    if not isinstance(model, dict) or not set(model) >= KEYS:
        raise CommandError(
            f"{path!r} holds a {type(model).__name__}, but no model of `skgeo fit`. Load it in "
            "Python with skgeo.persistence.load_model."
        )
    return model


def describe(
    model: dict[str, Any], photos: Sequence[str], n_jobs: int
) -> tuple[Any, list[str | None]]:
    """Vectors of photos, and for each what was wrong with it, None where nothing was.

    The vectors of photos that cannot be read are left out of the array.
    """
    from skgeo.images import ImageError, load_image

    pipeline = model["pipeline"]
    features = pipeline["features"]
    known = features.get_params(deep=False)
    changes = {"on_error": "nan", "n_jobs": n_jobs, "verbose": 0}
    before = {name: known[name] for name in changes if name in known}
    features.set_params(**{name: changes[name] for name in before})
    try:
        with warnings.catch_warnings():
            # Counted and listed by the caller.
            warnings.simplefilter("ignore", UserWarning)
            X = features.transform(list(photos))
    finally:
        features.set_params(**before)
    bad = np.isnan(X).any(axis=1)
    problems: list[str | None] = [None] * len(photos)
    for i in np.flatnonzero(bad).tolist():
        try:
            load_image(photos[i])
            problems[i] = "cannot be described"
        except ImageError as error:
            problems[i] = str(error)
    X = X[~bad]
    if len(X):
        X = pipeline[1:-1].transform(X)
    return X, problems
