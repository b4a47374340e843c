"""Tables of photographs and their positions: which column is which, and which file is meant."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

#: What the field calls its columns, the first that a table has is taken. Case does not matter.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "image": (
        "filename",
        "file_name",
        "img_file",
        "image_path",
        "path",
        "file",
        "image",
        "photo",
        "img_id",
        "image_id",
        "photo_id",
        "id",
    ),
    "latitude": ("latitude", "lat", "gps_latitude", "gps_lat"),
    "longitude": ("longitude", "lon", "lng", "long", "gps_longitude", "gps_lon"),
    "author": ("author", "photographer", "user_id", "userid", "user", "owner", "nsid"),
}

#: What photographs are called, where a name must be recognised without opening the file.
IMAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".tif",
    ".tiff",
    ".heic",
    ".avif",
    ".bmp",
    ".gif",
)


class PhotoTable(NamedTuple):
    """A table as it was read, and the names of its columns by role (None: has no such)."""

    frame: pd.DataFrame
    columns: dict[str, str | None]


def read_photo_table(
    path: Path, columns: Mapping[str, str] | None, *, needs_images: bool
) -> PhotoTable:
    """Read a CSV file and find the columns of positions, files and authors.

    Commas, semicolons and tabs are understood. File names and authors stay text, so that ``007``
    keeps its zeros.

    Raises
    ------
    ValueError
        If the file is no such table; the message lists the columns that it has.
    """
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        names = list(pd.read_csv(path, sep=separator, encoding="utf-8-sig", nrows=0).columns)
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{path} cannot be read as a table of photographs: {error}. Expected a CSV file in "
            "UTF-8 whose first line names the columns."
        ) from error
    roles = _find_columns(path, [str(name) for name in names], dict(columns or {}))
    wanted = [role for role in ("latitude", "longitude") if roles[role] is None]
    if needs_images and roles["image"] is None:
        wanted.append("image")
    if wanted:
        expected = "; ".join(f"{role}: {', '.join(COLUMN_NAMES[role])}" for role in wanted)
        hint = ""
        if wanted == ["image"]:
            hint = " Without images, pass check_files=False for the positions alone."
        raise ValueError(
            f"{path} has no column of {' and '.join(wanted)} among {names}. Names that are "
            f"recognised, in any case: {expected}. Others can be given with columns=.{hint}"
        )
    as_text = {name: str for name in roles.values() if name is not None}
    try:
        frame = pd.read_csv(
            path, sep=separator, encoding="utf-8-sig", dtype=as_text, index_col=False
        )
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} cannot be read as a table of photographs: {error}") from error
    return PhotoTable(frame, roles)


def _find_columns(path: Path, names: list[str], given: dict[str, str]) -> dict[str, str | None]:
    unknown = set(given) - set(COLUMN_NAMES)
    if unknown:
        raise ValueError(
            f"columns has the key {sorted(unknown)[0]!r}; expected some of {list(COLUMN_NAMES)}."
        )
    for role, name in given.items():
        if name not in names:
            raise ValueError(f"columns says {role!r} is {name!r}, but {path} has {names}.")
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return {
        role: given.get(role) or next((by_lower[n] for n in known if n in by_lower), None)
        for role, known in COLUMN_NAMES.items()
    }


def position_problems(
    table: PhotoTable,
) -> tuple[npt.NDArray[np.float64], list[str | None]]:
    """Coordinates (n, 2) of all rows, and for each why it is no position (None: it is one)."""
    import pandas as pd

    frame, columns = table
    coordinates = np.empty((len(frame), 2))
    problems: list[str | None] = [None] * len(frame)
    for axis, (role, bound) in enumerate((("latitude", 90.0), ("longitude", 180.0))):
        text = frame[columns[role]]
        # Text that pandas cannot read as a number becomes NaN here, and is told apart below.
        values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        coordinates[:, axis] = values
        missing = text.isna().to_numpy()
        for row in np.flatnonzero(~(np.abs(values) <= bound)):
            if problems[row] is not None:
                continue
            if missing[row]:
                problems[row] = f"no {role}"
            elif np.isnan(values[row]):
                problems[row] = f"{role} is no number: {text.iloc[row]!r}"
            else:
                problems[row] = f"{role} outside [-{bound:g}, {bound:g}]: {values[row]:g}"
    for row in np.flatnonzero((coordinates == 0.0).all(axis=1)):
        problems[row] = "position is exactly 0, 0, which stands for none"
    return coordinates, problems


class FileFinder:
    """Finds the file that a table means by a name, with or without an extension."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[str, dict[str, list[str]]] = {}

    def join(self, name: str) -> str:
        """Path of a file without a look at the disk."""
        return os.path.join(self.root, name)

    def find(self, name: str) -> tuple[str, str | None]:
        """Path of a file, and why it cannot be had (None: it is there)."""
        path = self.join(name)
        if os.path.isfile(path):
            return path, None
        if "\\" in name:  # written on Windows
            path = self.join(name.replace("\\", "/"))
            if os.path.isfile(path):
                return path, None
        folder, stem = os.path.split(path)
        found = self._by_stem(folder).get(stem, [])
        if len(found) == 1:
            return os.path.join(folder, found[0]), None
        if found:
            return path, f"several files fit: {', '.join(sorted(found))}"
        return path, "file not found"

    def _by_stem(self, folder: str) -> dict[str, list[str]]:
        """Image files of a folder by their name without extension; read once."""
        if folder not in self._folders:
            stems: dict[str, list[str]] = {}
            names = os.listdir(folder) if os.path.isdir(folder) else []
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in IMAGE_SUFFIXES:
                    stems.setdefault(stem, []).append(name)
            self._folders[folder] = stems
        return self._folders[folder]


def text_or_none(value: Any) -> str | None:
    """A cell as text, None where it is empty."""
    return None if value is None or value != value or str(value).strip() == "" else str(value)
