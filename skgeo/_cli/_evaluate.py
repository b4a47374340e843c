"""``skgeo evaluate``: estimates against known positions."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np

from skgeo._progress import progress

from ._console import DONE, PARTLY, CommandError, list_problems, say
from ._model import describe, open_model
from ._photos import read_photos

_TOGETHER = 256


def evaluate(options: argparse.Namespace) -> int:
    """Print the report; warn of photos that the model has learned from."""
    from skgeo.metrics import geolocation_report

    for target in (options.plot, options.map):
        if target is not None and os.path.exists(target):
            raise CommandError(f"{target!r} exists; expected the name of a new file.")
    model = open_model(options.model, options.trust)
    verbose = int(not options.quiet)
    photos, problems = read_photos(options)
    knn = model["pipeline"]["knn"]
    places, nearest, kept = [], [], []
    starts = range(0, len(photos.images), _TOGETHER)
    for start in progress(starts, verbose=verbose, desc="photos", unit="batch"):
        some = [str(path) for path in photos.images[start : start + _TOGETHER]]
        X, wrong = describe(model, some, options.jobs)
        good = [i for i, problem in enumerate(wrong) if problem is None]
        problems += [(some[i], str(text)) for i, text in enumerate(wrong) if text is not None]
        kept += [start + i for i in good]
        if good:
            places.append(knn.predict(X))
            nearest.append(knn.kneighbors(X, n_neighbors=1)[0][:, 0])
    if not kept:
        list_problems(problems, "photos could not be used", everything=options.verbose)
        raise CommandError("No photo could be read: there is nothing to evaluate.")
    y_true, y_pred = photos.coordinates[kept], np.concatenate(places)
    thresholds = options.thresholds or model["thresholds"]
    report = geolocation_report(y_true, y_pred, thresholds=sorted(thresholds))
    _print(report, options)
    if options.plot is not None:
        _draw(y_true, y_pred, sorted(thresholds), options.plot)
    if options.map is not None:
        from skgeo.plotting import InteractiveMap

        page = InteractiveMap.from_predictions(
            y_true, y_pred, images=photos.images[kept], thresholds=sorted(thresholds)
        )
        say(f"Map: {page.save(options.map)}")
    list_problems(problems, "photos could not be used", everything=options.verbose)
    same = int((np.concatenate(nearest) == 0.0).sum())
    if same:
        say(
            f"{same} of {len(kept)} photos look exactly like one that the model has learned from: "
            "the figures flatter. Evaluate on photos of other places and other photographers."
        )
    return PARTLY if problems else DONE


def _print(report: Any, options: argparse.Namespace) -> None:
    if options.json:
        text = report.to_json(orient="records", indent=1) + "\n"
    elif options.csv:
        text = report.to_csv(index=False)
    else:
        text = report.to_string(float_format=lambda v: f"{v:.1f}") + "\n"
    sys.stdout.write(text)
    sys.stdout.flush()


def _draw(y_true: Any, y_pred: Any, thresholds: list[float], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skgeo.plotting import GeoErrorCurveDisplay, PredictionMapDisplay

    figure, axes = plt.subplots(2, 1, figsize=(10, 10), layout="constrained")
    PredictionMapDisplay.from_predictions(y_true, y_pred, ax=axes[0], thresholds=thresholds)
    GeoErrorCurveDisplay.from_predictions(
        y_true, {"model": y_pred}, ax=axes[1], thresholds=thresholds
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)
    say(f"Picture: {path}")
