"""Extract the vectors of a large collection to disk, so that no interruption costs much."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from .._progress import progress
from .._validation import HasMethods, Interval, StrOptions, check_coordinates, validate_params
from ..images import check_images, is_single_pass
from ._store import FeatureStore
from ._store_chunks import Transformed, slices, transformed_chunks
from ._store_files import Chunk, StoreFiles, exclusive
from ._store_identity import (
    CheckFiles,
    different_parameters,
    estimator_digest,
    fingerprint,
    image_name,
    library_versions,
    readable_parameters,
)
from ._store_rows import OnError, checked_rows, feature_names, reason_of

__all__ = ["extract_to_store"]

_CHUNK_SIZE = 512


@validate_params(
    {
        "estimator": [HasMethods("transform")],
        "folder": [str, os.PathLike],
        "coordinates": ["array-like", None],
        "dtype": [StrOptions({"float32", "float16"})],
        "chunk_size": [Interval(Integral, 1, None, closed="left"), None],
        "resume": ["boolean"],
        "on_error": [StrOptions({"raise", "nan"})],
        "check_files": [StrOptions({"stat", "content"})],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def extract_to_store(
    estimator: Any,
    images: Any,
    folder: str | os.PathLike[str],
    *,
    coordinates: Any = None,
    dtype: str = "float32",
    chunk_size: int | None = None,
    resume: bool = True,
    on_error: OnError = "raise",
    check_files: CheckFiles = "stat",
    verbose: int = 0,
) -> FeatureStore:
    """Transform images chunk by chunk into a store on disk; resume or append where there is one.

    A chunk counts once its vectors are flushed to the disk. After an interruption of any kind the
    same call goes on behind the last chunk that counts, and gives the same bits as without the
    interruption. Images behind those in the store are appended to it. A store that is complete is
    returned at once.

    Parameters
    ----------
    estimator : transformer
        Takes images and is fitted: `LowLevelFeatures`, a Pipeline that begins with it, or any
        transformer whose rows depend on nothing but the images of the chunk.
    images : collection of images
        Whatever `skgeo.images.check_images` takes, or an iterator, which is read chunk by chunk.
        If there is a store, it begins with the images in the store, in their order.
    folder : str or Path
        Where the store is or will be. It is made if need be; it must hold nothing else.
    coordinates : array-like of shape (n_images, 2) or None, default=None
        Locations in degrees to be kept with the vectors.
    dtype : {"float32", "float16"}, default="float32"
        Type of the stored values. "float16" takes half of the space and rounds: see Notes.
    chunk_size : int or None, default=None
        Images that are worked on together, and that an interruption may cost. Memory holds the
        rows of one chunk. None: that of the store; 512 for a new one.
    resume : bool, default=True
        Whether there may be a store in the folder. If False, one is an error.
    on_error : {"raise", "nan"}, default="raise"
        What to do where the estimator raises `skgeo.images.ImageError` or an `OSError`: raise it,
        or write a row of NaN. An estimator that returns rows of NaN itself is let do so. Errors
        are kept in the store with their reasons, and counted in one warning at the end.
    check_files : {"stat", "content"}, default="stat"
        How a file is known again: by its size and time of change, or by its bytes, which
        survives copying but reads all files again on resuming.
    verbose : int, default=0
        Above 0 shows a progress bar over chunks.

    Returns
    -------
    FeatureStore
        The complete store, with the vectors as ``X``.

    Raises
    ------
    ValueError
        If the store was begun with another estimator, other settings, other images or
        another version of a file; if rows are neither finite nor wholly NaN; if a value exceeds
        the range of float16. What is in the store stays as it is.
    FileExistsError
        If the folder holds something else, or a store and ``resume`` is False.
    RuntimeError
        If another process is writing to the store.
    KeyboardInterrupt
        On Ctrl-C, saying how many rows are kept and where.

    Notes
    -----
    float16 keeps 11 significant bits: values between 6.1e-5 and 65504 are rounded by at most a
    part in 2048, smaller ones by at most 3e-8. Values beyond 65504 are an error.

    Appended images begin a chunk of their own. Rows of an estimator whose bits depend on the size
    of the batch, as a neural network's may, can then differ in the last bits from those made in one
    go. `LowLevelFeatures` gives an image the same bits in any batch.

    Under ``joblib.parallel_config("dask")`` a core of the cluster transforms a chunk: paths must
    name the same files on all machines. Only this process writes, the bits of one process.

    The settings in which a run may differ from the one it resumes are ``n_jobs``, ``verbose``,
    ``memory`` and ``on_error``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skgeo.features import LowLevelFeatures, extract_to_store
    >>> photos = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    >>> features = LowLevelFeatures("tiny5").fit(photos)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(extract_to_store(features, photos[:5], folder))
    ...     print(extract_to_store(features, photos, folder))  # three more
    FeatureStore: 5 rows, 75 columns of float32
    FeatureStore: 8 rows, 75 columns of float32
    """
    check_is_fitted(estimator)
    if not is_single_pass(images):
        images = check_images(images, name="images")
    n_images = None if is_single_pass(images) else len(images)
    if coordinates is not None:
        coordinates = check_coordinates(coordinates, name="coordinates", n_samples=n_images)
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{str(target)!r} is a file; expected a folder for the store.")
    target.mkdir(parents=True, exist_ok=True)
    files = StoreFiles(target)
    if not files.exists() and (foreign := files.foreign_files()):
        raise FileExistsError(
            f"the folder {str(target)!r} holds {foreign[0]!r} and no store; a store needs a "
            "folder of its own."
        )
    extraction = _Extraction(
        estimator, files, coordinates, dtype, chunk_size, on_error, check_files
    )
    try:
        with exclusive(target):
            extraction.run(images, n_images, resume, verbose)
    except KeyboardInterrupt:
        n_done = extraction.chunks[-1].stop if extraction.chunks else 0
        raise KeyboardInterrupt(
            f"Extraction was interrupted; {n_done} rows are kept in {str(target)!r}, and the same "
            "call goes on from there."
        ) from None
    store = FeatureStore(target)
    _warn_of_failures(store)
    return store


class _Extraction:
    """One call of `extract_to_store`."""

    def __init__(
        self,
        estimator: Any,
        files: StoreFiles,
        coordinates: npt.NDArray[np.float64] | None,
        dtype: str,
        chunk_size: int | None,
        on_error: OnError,
        check_files: CheckFiles,
    ) -> None:
        self.estimator = estimator
        self.files = files
        self.coordinates = coordinates
        # The order of bytes belongs to the file, not to the machine.
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.chunk_size = chunk_size
        self.on_error = on_error
        self.check_files = check_files
        self.chunks: list[Chunk] = []
        self.manifest: dict[str, Any] | None = None

    def run(self, images: Any, n_images: int | None, resume: bool, verbose: int) -> None:
        digest, pickled = estimator_digest(self.estimator)
        if self.files.exists():
            if not resume:
                raise FileExistsError(
                    f"there is a feature store in {str(self.files.folder)!r}; resume=True goes on "
                    "with it."
                )
            self.manifest = self.files.read_manifest()
            self._check_settings(self.manifest, digest)
            self.chunk_size = int(self.manifest["chunk_size"])
            self.chunks = self.files.recover(int(self.manifest["n_columns"]), self.dtype)
        elif self.chunk_size is None:
            self.chunk_size = _CHUNK_SIZE
        assert self.chunk_size is not None
        n_done = self.chunks[-1].stop if self.chunks else 0
        stream, take = iter(images), slices(images) if n_images is not None else None
        if n_images is not None and n_images < n_done:
            raise ValueError(
                f"the store holds {n_done} images and {n_images} were given; expected those in "
                "the store, in their order, and any new ones behind them."
            )
        self._check_images(stream)
        if self.manifest is not None and n_images is not None and n_images > n_done:
            self._finish(complete=False, n_images=n_images)
        chunks = transformed_chunks(
            self.estimator,
            self._batches(stream, take, n_done, n_images),
            n_done,
            self._begin_row,
            self.on_error,
        )
        for chunk in progress(
            chunks,
            verbose=verbose,
            total=None if n_images is None else -(-(n_images - n_done) // self.chunk_size),
            desc="store",
            unit="chunk",
        ):
            if self.manifest is not None and self.manifest["complete"]:
                # Only now has an iterator shown that there are more images than in the store.
                self._finish(complete=False, n_images=n_images)
            self._add(chunk, digest, pickled, n_images)
        n_rows = self.chunks[-1].stop if self.chunks else 0
        if n_rows == 0:
            raise ValueError("images holds 0 images; at least 1 is needed.")
        if self.coordinates is not None and len(self.coordinates) != n_rows:
            raise ValueError(
                f"coordinates has {len(self.coordinates)} rows but there were {n_rows} images."
            )
        self._finish(complete=True, n_images=n_rows)

    def _finish(self, *, complete: bool, n_images: int | None) -> None:
        assert self.manifest is not None
        if self.manifest["complete"] != complete or self.manifest["n_images"] != n_images:
            self.manifest.update(complete=complete, n_images=n_images)
            self.files.write_manifest(self.manifest)

    # --- what is in the store already -------------------------------------------------------

    def _check_settings(self, manifest: dict[str, Any], digest: str) -> None:
        stored, versions = manifest["estimator"], library_versions()
        newer = different_parameters(
            {key: value for key, value in manifest["versions"].items() if key in versions},
            {key: value for key, value in versions.items() if key in manifest["versions"]},
        )
        problems = []
        if stored["digest"] != digest:
            same_class = stored["class"] == _class_name(self.estimator)
            problems.append(
                different_parameters(
                    {"estimator": stored["class"], **(stored["parameters"] if same_class else {})},
                    {
                        "estimator": _class_name(self.estimator),
                        **(readable_parameters(self.estimator) if same_class else {}),
                    },
                )
                or "what the estimator learned in fit is not the same (the one that made the "
                "store is returned by FeatureStore(folder, allow_incomplete=True)."
                "load_estimator())"
                + (f"; libraries changed: {newer}" if newer else "")
            )
        given = {"dtype": self.dtype.str, "check_files": self.check_files,
                 "has_coordinates": self.coordinates is not None}  # fmt: skip
        if self.chunk_size is not None:
            given["chunk_size"] = self.chunk_size
        problems += [
            f"{key} was {manifest[key]!r} and is {value!r}"
            for key, value in given.items()
            if manifest[key] != value
        ]
        if problems:
            raise ValueError(
                f"the store in {str(self.files.folder)!r} was begun with other settings: "
                f"{'; '.join(problems)}. Use the same, or another folder."
            )
        if newer:
            warnings.warn(
                f"the store in {str(self.files.folder)!r} was begun with other versions of "
                f"libraries: {newer}. New rows may differ from the old ones in their last bits.",
                UserWarning,
                stacklevel=5,
            )

    def _check_images(self, stream: Iterator[Any]) -> None:
        """Compare the images given with those that are done, and move past them."""
        for row, stored in enumerate(self.files.read_index(self.chunks) if self.chunks else ()):
            try:
                source = next(stream)
            except StopIteration:
                raise ValueError(
                    f"the store holds {self.chunks[-1].stop} images and {row} were given; "
                    "expected those in the store, and any new ones behind them."
                ) from None
            name, mark, _, *place = self._index_row(source, row, "")
            problem = ""
            if name != stored[0]:
                problem = f"is {name!r}, but the store has {stored[0]!r} there"
            elif mark != stored[1]:
                problem = f"{name!r} has changed since it was extracted"
                if not name:
                    problem = "is another image than the one that was extracted"
            elif place != stored[3:]:
                problem = f"is now at {place}, but the store has {stored[3:]} for its place"
            if problem:
                raise ValueError(
                    f"images[{row}] {problem}. A store is resumed with the same images in the same "
                    "order, new ones behind them; anything else needs another folder."
                )

    # --- new rows ---------------------------------------------------------------------------

    def _batches(
        self,
        stream: Iterator[Any],
        take: Callable[[int, int], Sequence[Any]] | None,
        n_done: int,
        n_images: int | None,
    ) -> Iterator[Sequence[Any]]:
        assert self.chunk_size is not None
        if take is None or n_images is None:
            while batch := list(islice(stream, self.chunk_size)):
                yield batch
        else:
            for start in range(n_done, n_images, self.chunk_size):
                yield take(start, min(start + self.chunk_size, n_images))

    def _add(self, chunk: Transformed, digest: str, pickled: bytes, n_images: int | None) -> None:
        start, sources, index, values, errors = chunk
        names = feature_names(self.estimator)
        rows = checked_rows(values, self.dtype, start, names)
        for i in np.flatnonzero(np.isnan(rows[:, 0])):
            index[i][2] = errors.get(int(i)) or reason_of(sources[int(i)])
        if self.manifest is None:
            self.manifest = {
                "complete": False,
                "n_images": n_images,
                "dtype": self.dtype.str,
                "n_columns": rows.shape[1],
                "chunk_size": self.chunk_size,
                "check_files": self.check_files,
                "has_coordinates": self.coordinates is not None,
                "estimator": {
                    "class": _class_name(self.estimator),
                    "parameters": readable_parameters(self.estimator),
                    "digest": digest,
                },
                "versions": library_versions(),
                "feature_names": names,
            }
            self.files.create(self.manifest, pickled, rows.shape[1], self.dtype)
        if rows.shape[1] != self.manifest["n_columns"]:
            raise ValueError(
                f"images[{start}:{start + len(rows)}]: the estimator gave {rows.shape[1]} columns; "
                f"expected {self.manifest['n_columns']}, as for the images before."
            )
        self.files.append(self.chunks, rows, index)

    def _begin_row(self, source: Any, row: int) -> list[str]:
        """The line of the index of a new image."""
        if self.coordinates is not None and row >= len(self.coordinates):
            raise ValueError(
                f"coordinates has {len(self.coordinates)} rows, but there are more images."
            )
        return self._index_row(source, row, "")

    def _index_row(self, source: Any, row: int, error: str) -> list[str]:
        place = ["", ""]
        if self.coordinates is not None and row < len(self.coordinates):
            place = [repr(float(degrees)) for degrees in self.coordinates[row]]
        return [image_name(source), fingerprint(source, self.check_files), error, *place]


def _class_name(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def _warn_of_failures(store: FeatureStore) -> None:
    failed = np.flatnonzero(store.failed)
    if len(failed):
        first = " ".join(f"images[{row}]: {store.errors[row]}" for row in failed[:3])
        warnings.warn(
            f"{len(failed)} of {len(store)} images could not be read and are rows of NaN. "
            f"The first: {first}",
            UserWarning,
            stacklevel=4,
        )
