"""``skgeo fit``: from geotagged photos to a model."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ._console import DONE, PARTLY, CommandError, list_problems, say
from ._photos import read_photos
from ._scale import Scale, scale_of

#: Smaller collections are no food for the paper's 2000-1000-500.
_SMALL = 10_000

#: Photos that an interruption may cost.
_CHUNK = 256


def fit(options: argparse.Namespace) -> int:
    """Read positions, describe photos, learn, write the model."""
    from sklearn.pipeline import Pipeline

    from skgeo._checkpoint import whole_job
    from skgeo.features import extract_to_store
    from skgeo.persistence import save_model

    start = time.perf_counter()
    output = Path(options.output)
    _check_output(output, force=options.force)
    verbose = int(not options.quiet)
    photos, problems = read_photos(options)
    say(f"{len(photos.images)} photos with a position.")

    features = _features(options)
    partial = output.with_name(output.name + ".features")
    work = output.with_name(output.name + ".training")
    try:
        with warnings.catch_warnings():
            # Photos that cannot be read are listed below, with their reasons.
            warnings.simplefilter("ignore", UserWarning)
            store = extract_to_store(
                features,
                photos.images,
                partial,
                coordinates=photos.coordinates,
                chunk_size=_CHUNK,
                on_error="nan",
                verbose=verbose,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"What was described so far is kept in {str(partial)!r}; the same command goes on "
            "from there."
        ) from None
    except ValueError as error:
        raise CommandError(
            f"{error} The vectors in {str(partial)!r} are of an earlier run with other photos or "
            "settings: remove that folder to begin anew."
        ) from error
    good = ~store.failed
    problems += [
        (str(image), str(reason))
        for image, reason in zip(photos.images[~good], store.errors[~good], strict=True)
    ]
    X, y = store.X, photos.coordinates
    if not good.all():
        X, y = X[good], y[good]
    if len(y) < 2:
        raise CommandError(f"{len(y)} photos can be used; at least 2 are needed.")
    scale = scale_of(y)
    if options.poi_km is not None:
        scale = scale._replace(poi=options.poi_km)
    steps = _steps(options, scale, len(y), verbose, work)
    gallery, held_out = np.arange(len(y)), None
    if options.calibrate:
        gallery, held_out = _hold_out(y, scale.block, options.seed)
    try:
        with whole_job(work):
            pipeline = Pipeline(steps).fit(X[gallery], y[gallery])
        if held_out is not None:
            from skgeo.model_selection import spherical_blocks

            groups = spherical_blocks(y[held_out], scale.block)
            vectors = pipeline[:-1].transform(X[held_out])
            pipeline[-1].calibrate(vectors, y[held_out], groups)
    except ValueError as error:
        if options.embedding == "none":
            raise
        raise CommandError(
            f"{error} A place is {scale.poi:g} km here: --poi-km sets it, and --embedding none "
            f"does without. The described photos are kept in {str(partial)!r}."
        ) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"The photos are described ({str(partial)!r}), and what was learned so far is kept "
            f"({str(work)!r}); the same command goes on from there."
        ) from None
    features.set_params(n_jobs=None, verbose=0)
    if options.embedding == "dgae":
        dict(steps)["dgae"].set_params(checkpoint=None)  # the model knows no folder of this run
    root = Path(options.photos)
    root = root if root.is_dir() else root.parent
    model = {
        "pipeline": Pipeline([("features", features), *steps]),
        "names": [os.path.relpath(str(name), root) for name in photos.images[good][gallery]],
        "coordinates": np.asarray(y[gallery]),
        "thresholds": list(scale.thresholds),
    }
    made_of = f"{len(gallery)} photos, {options.features} features, embedding {options.embedding}"
    if held_out is not None:
        made_of += f", calibrated on {len(held_out)} photos of other places"
    save_model(model, output, description=options.description or made_of, overwrite=options.force)
    del X, store
    for folder in (partial, work):
        shutil.rmtree(folder, ignore_errors=True)
    list_problems(problems, "files were left out", everything=options.verbose)
    say(f"{output}: {made_of}, {time.perf_counter() - start:.0f} s.")
    return PARTLY if problems else DONE


def _hold_out(y: Any, block_km: float, seed: int) -> tuple[Any, Any]:
    """Rows of the gallery, and of a fifth of the places to calibrate on."""
    from skgeo.model_selection import SpatialBlockSplit

    split = SpatialBlockSplit(5, block_km=block_km, shuffle=True, random_state=seed)
    try:
        gallery, held_out = next(iter(split.split(y, y)))
    except ValueError as error:
        raise CommandError(f"--calibrate needs photos of more places: {error}") from error
    return gallery, held_out


def _check_output(output: Path, *, force: bool) -> None:
    """Tell now, not after hours, that the model cannot be written."""
    if output.is_dir():
        raise CommandError(f"{str(output)!r} is a folder; expected the name of a file.")
    if output.exists() and not force:
        raise CommandError(f"{str(output)!r} exists; take another name, or --force.")
    folder = output.parent
    if not folder.is_dir():
        raise CommandError(f"{str(folder)!r} is no folder to write {output.name!r} into.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=folder)
    except OSError as error:
        raise CommandError(f"{str(folder)!r} cannot be written to ({error.strerror}).") from error
    os.close(handle)
    with contextlib.suppress(OSError):
        os.unlink(name)
    from skgeo.persistence._model_file import _skops

    _skops()  # raises if the library that writes the model is missing


def _features(options: argparse.Namespace) -> Any:
    """Features that need no training: a run that goes on finds the same ones."""
    from skgeo.features import CNNFeatures, LowLevelFeatures

    if options.features == "cnn":
        features: Any = CNNFeatures(n_jobs=options.jobs, on_error="nan")
        return features.fit([np.zeros((8, 8, 3), np.uint8)])
    features = LowLevelFeatures(
        texton_dictionary="blue-marble", n_jobs=options.jobs, on_error="nan"
    )
    return features.fit([np.zeros((8, 8, 3), np.uint8)])


def _steps(
    options: argparse.Namespace, scale: Scale, n_photos: int, verbose: int, work: Path
) -> list[tuple[str, Any]]:
    """The rest of the pipeline, not fitted."""
    from skgeo import (
        BlockScaler,
        DGAETransformer,
        InconsistencyPairs,
        KNNGeoRegressor,
        MarginalFisherTransformer,
        POIMeanShift,
    )

    if options.features == "cnn":
        scaler = BlockScaler(normalize="l2")
    else:
        scaler = BlockScaler("low-level", hellinger=("color", "texture", "line"), normalize="l2")
    pairs = InconsistencyPairs(k1=5, k2=50, poi=POIMeanShift(scale.poi, metric="haversine"))
    embedding: Any = "passthrough"
    if options.embedding == "linear":
        embedding = MarginalFisherTransformer(pairs=pairs)
    elif options.embedding == "dgae":
        layers = (512, 256, 128) if n_photos < _SMALL else (2000, 1000, 500)
        embedding = DGAETransformer(
            layers, pairs=pairs, checkpoint=work, random_state=options.seed, verbose=verbose
        )
    knn = KNNGeoRegressor(options.mode, bandwidth_km=scale.vote)
    return [("scale", scaler), ("dgae", embedding), ("knn", knn)]
