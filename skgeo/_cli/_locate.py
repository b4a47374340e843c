"""``skgeo locate``: from photos to places."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from skgeo._progress import progress

from ._console import DONE, PARTLY, CommandError, list_problems, say
from ._formats import as_csv, as_gpx, as_json, as_text
from ._model import describe, open_model

#: Photos that are described together: what an interruption may cost.
_TOGETHER = 256


def locate(options: argparse.Namespace) -> int:
    """Estimate, write, and copy with positions if asked to."""
    if options.k < 0:
        raise CommandError(f"-k {options.k}: expected 0 or more similar photos.")
    if options.output is not None and Path(options.output).exists():
        raise CommandError(f"{options.output!r} exists; expected the name of a new file.")
    model = open_model(options.model, options.trust)
    photos, names = _find_photos(options.photos)
    rows: list[dict[str, Any]] = []
    starts = range(0, len(photos), _TOGETHER)
    many = len(photos) > _TOGETHER and not options.quiet
    try:
        for start in progress(starts, verbose=int(many), desc="photos", unit="batch"):
            rows += _estimate(model, photos[start : start + _TOGETHER], options)
    except KeyboardInterrupt:
        if not rows:
            raise
        say(f"\nInterrupted: the {len(rows)} of {len(photos)} photos that are done follow.")
        _write(rows, options)
        raise KeyboardInterrupt from None
    problems = [(row["photo"], row["error"]) for row in rows if row["error"] is not None]
    _write(rows, options)
    list_problems(problems, "photos could not be located", everything=options.verbose)
    if options.write_exif is not None:
        problems += _copy(rows, names, Path(options.write_exif), options)
    return PARTLY if problems else DONE


def _find_photos(given: list[str]) -> tuple[list[str], list[str]]:
    """Paths of all photos, folders searched, and the name of each below what was given."""
    from skgeo.datasets._photo_table import IMAGE_SUFFIXES

    photos: list[str] = []
    names: list[str] = []
    for entry in given:
        if not os.path.isdir(entry):
            photos.append(entry)
            names.append(os.path.basename(entry))
            continue
        found = sorted(
            os.path.join(place, name)
            for place, _, files in os.walk(entry)
            for name in files
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and name[0] != "."
        )
        if not found:
            raise CommandError(f"{entry!r} holds no photos.")
        photos += found
        names += [os.path.relpath(path, entry) for path in found]
    return photos, names


def _estimate(
    model: dict[str, Any], photos: list[str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    X, problems = describe(model, photos, options.jobs)
    rows: list[dict[str, Any]] = [
        {
            "photo": photo,
            "latitude": None,
            "longitude": None,
            "radius_km": None,
            "probability": None,
            "neighbors": [],
            "error": problem,
        }
        for photo, problem in zip(photos, problems, strict=True)
    ]
    good = [row for row in rows if row["error"] is None]
    if not good:
        return rows
    knn = model["pipeline"]["knn"]
    if hasattr(knn, "calibration_"):
        found = knn.predict_with_uncertainty(X, confidence=options.confidence)
        places = found.places
        for row, km in zip(good, found.radius_km, strict=True):
            row["radius_km"], row["probability"] = float(km), options.confidence
    else:
        places = knn.predict(X)
    for row, place in zip(good, places, strict=True):
        row["latitude"], row["longitude"] = (float(v) for v in place)
    k = min(options.k, len(model["names"]))
    if k:
        distances, indices = knn.kneighbors(X, n_neighbors=k)
        for row, near, who in zip(good, distances, indices, strict=True):
            row["neighbors"] = [
                {
                    "photo": model["names"][i],
                    "distance": float(d),
                    "latitude": float(model["coordinates"][i, 0]),
                    "longitude": float(model["coordinates"][i, 1]),
                }
                for d, i in zip(near, who, strict=True)
            ]
    return rows


def _write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    write = as_text
    for name, form in (("json", as_json), ("csv", as_csv), ("gpx", as_gpx)):
        if getattr(options, name):
            write = form
    text = write(rows)
    if options.output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    # "x": a file that came meanwhile is not written over.
    with open(options.output, "x", encoding="utf-8", newline="") as file:
        file.write(text)


def _copy(
    rows: list[dict[str, Any]], names: list[str], folder: Path, options: argparse.Namespace
) -> list[tuple[str, str]]:
    """Copies with positions; what could not be copied, and why."""
    from skgeo.images import write_exif_position

    problems: list[tuple[str, str]] = []
    copied = 0
    for row, name in zip(rows, names, strict=True):
        if row["error"] is not None:
            continue
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_exif_position(
                row["photo"],
                target,
                row["latitude"],
                row["longitude"],
                error_km=row["radius_km"],
                replace=options.replace,
            )
            copied += 1
        except (ValueError, OSError) as error:
            text = str(error).replace("pass replace=True for another", "--replace gives it another")
            problems.append((row["photo"], text))
    say(f"{copied} copies with a position in {str(folder)!r}.")
    list_problems(problems, "photos were not copied", everything=options.verbose)
    return problems
