"""Vectors of a large collection of photographs, on disk and mapped into memory."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._store_files import INDEX_COLUMNS, StoreFiles, npy_header

__all__ = ["FeatureStore"]


class FeatureStore:
    """Read the vectors that `extract_to_store` wrote.

    Parameters
    ----------
    folder : str or Path
        The folder of the store.
    allow_incomplete : bool, default=False
        Open a store whose extraction has not come to its end. It shows the rows that are done.

    Attributes
    ----------
    folder : Path
        Where it is.
    complete : bool
        Whether the extraction came to its end.
    digest : str
        Hexadecimal; another one for other vectors, images or settings. It says nothing of the
        values on the disk now, see `verify`.
    settings : dict
        What the store was begun with: class and parameters of the estimator, versions of the
        libraries, type of the values, size of a chunk.

    Raises
    ------
    FileNotFoundError
        If there is no store in the folder.
    ValueError
        If its files are damaged, or the extraction was interrupted and ``allow_incomplete`` is
        False.

    See Also
    --------
    extract_to_store : Makes and resumes stores.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skgeo.features import FeatureStore, LowLevelFeatures, extract_to_store
    >>> photos = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    >>> features = LowLevelFeatures("tiny5").fit(photos)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = extract_to_store(features, photos, folder)
    ...     store = FeatureStore(folder)
    ...     print(store)
    ...     bool((store.X == features.transform(photos)).all())
    FeatureStore: 5 rows, 75 columns of float32
    True
    """

    def __init__(self, folder: str | os.PathLike[str], *, allow_incomplete: bool = False) -> None:
        self.folder = Path(folder)
        self.allow_incomplete = allow_incomplete
        self._files = StoreFiles(self.folder)
        self.settings = self._files.read_manifest()
        self.complete = bool(self.settings["complete"])
        self._chunks = self._files.read_journal()
        if not self.complete and not allow_incomplete:
            planned = self.settings["n_images"]
            raise ValueError(
                f"the extraction to {str(self.folder)!r} was interrupted: {len(self)} "
                f"{'' if planned is None else f'of {planned} '}images are done. Call "
                "extract_to_store again to resume it, or open it with allow_incomplete=True."
            )

    def __len__(self) -> int:
        """Count the rows."""
        return self._chunks[-1].stop if self._chunks else 0

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"FeatureStore: {len(self)} rows, {self._n_columns} columns of {self._dtype}{state}"

    def __reduce__(self) -> Any:
        # Without the vectors, which another process maps for itself.
        return _open, (self.folder, self.allow_incomplete)

    @cached_property
    def X(self) -> npt.NDArray[Any]:
        """The vectors, mapped into memory and read-only, of shape (n_images, n_columns).

        Rows of images that could not be read are NaN, see `failed`.
        """
        return self._files.map_rows(self._chunks, self._n_columns, self._dtype)

    @cached_property
    def names(self) -> npt.NDArray[np.object_]:
        """Path of each image as it was given; an empty string for what had none."""
        return np.array(self._index_column("name"), dtype=object)

    @cached_property
    def coordinates(self) -> npt.NDArray[np.float64] | None:
        """Locations of shape (n_images, 2) in degrees, or None if none were given."""
        if not self.settings["has_coordinates"]:
            return None
        columns = [self._index_column(name) for name in ("latitude", "longitude")]
        return np.array(columns, dtype=np.float64).T.copy()

    @cached_property
    def errors(self) -> npt.NDArray[np.object_]:
        """What was wrong with each image that could not be read; an empty string for the others."""
        return np.array(self._index_column("error"), dtype=object)

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Whether the row of each image is NaN, as it could not be read."""
        return np.asarray(self.errors != "", dtype=bool)

    @property
    def feature_names(self) -> npt.NDArray[np.object_] | None:
        """Names of the columns, or None if the estimator has none."""
        names = self.settings["feature_names"]
        return None if names is None else np.array(names, dtype=object)

    @property
    def digest(self) -> str:
        """Hash of the settings, the images and the vectors as they were written."""
        digest = hashlib.sha256(self.settings["estimator"]["digest"].encode("ascii"))
        for chunk in self._chunks:
            digest.update(f"{chunk.stop} {chunk.data_sha256} {chunk.index_sha256}\n".encode())
        return digest.hexdigest()

    def load_estimator(self) -> Any:
        """Load the fitted estimator that made the store, for new images and for resuming.

        It is a pickle: load it only from a store that you trust.

        Returns
        -------
        estimator
            A fitted transformer.
        """
        return self._files.load_estimator()

    def verify(self) -> None:
        """Read all files and compare them with the checksums that were taken in writing.

        Raises
        ------
        ValueError
            If something has changed. The message names the rows.
        """
        row_bytes = self._n_columns * self._dtype.itemsize
        head = len(npy_header(0, self._n_columns, self._dtype))
        for position, chunk in enumerate(self._chunks):
            if not self._files.is_intact(self._chunks, position, row_bytes, head):
                raise ValueError(
                    f"{str(self.folder)!r} is damaged: rows {chunk.start} to {chunk.stop - 1} are "
                    "not what was written."
                )

    @property
    def _n_columns(self) -> int:
        return int(self.settings["n_columns"])

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self.settings["dtype"])

    def _index_column(self, name: str) -> list[str]:
        column = INDEX_COLUMNS.index(name)
        return [row[column] for row in self._files.read_index(self._chunks)]


def _open(folder: Path, allow_incomplete: bool) -> FeatureStore:
    return FeatureStore(folder, allow_incomplete=allow_incomplete)
