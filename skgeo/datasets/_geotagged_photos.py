"""The user's own photographs, from a folder or a table, with what was left out and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import Bunch

from skgeo._progress import progress
from skgeo._validation import Interval, Options, StrOptions, validate_params

from ._photo_table import (
    IMAGE_SUFFIXES,
    FileFinder,
    position_problems,
    read_photo_table,
    text_or_none,
)

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]

_METADATA = "metadata.csv"


class _Photos(NamedTuple):
    """What a source holds, before it is packed: kept photos row by row, and the left out."""

    images: list[str] | None
    coordinates: FloatArray
    groups: list[str | None] | None
    frame: pd.DataFrame
    left_out: list[tuple[str | None, int | None, str]]


@validate_params(
    {
        "source": [str, os.PathLike],
        "positions": [StrOptions({"auto", "exif", "table"})],
        "columns": [Mapping, None],
        "image_root": [str, os.PathLike, None],
        "check_files": ["boolean", Options(str, {"decode"})],
        "verbose": [Interval(Integral, 0, None, closed="left"), "boolean"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_geotagged_photos(
    source: str | os.PathLike[str],
    *,
    positions: str = "auto",
    columns: Mapping[str, str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
    check_files: bool | str = True,
    verbose: int = 0,
    return_X_y: bool = False,
) -> Bunch | tuple[npt.NDArray[np.object_], FloatArray]:
    r"""Load the paths and positions of geotagged photographs, and list those left out.

    Three sources are understood: a folder whose photographs carry their position in EXIF tags,
    searched with all its subfolders; a folder with a table ``metadata.csv``; and a CSV file. The
    columns of a table are recognised by the names that the field gives them, in any case:
    ``IMG_ID,AUTHOR,LAT,LON``; ``IMG_FILE,LAT,LON``; ``id,latitude,longitude``;
    ``filename,lat,lon``; more columns are kept. No pixels are loaded: estimators such as
    `LowLevelFeatures` take the paths.

    Nothing is dropped silently: every photograph that cannot be used is in ``left_out`` with the
    reason. A position of exactly 0, 0 is written where there is none, and counts as none.

    Parameters
    ----------
    source : str or path-like
        A folder or a CSV file (commas, semicolons or tabs; UTF-8).
    positions : {"auto", "exif", "table"}, default="auto"
        Where the positions of a folder come from: the EXIF tags of its files, or its
        ``metadata.csv``. "auto" takes the table if there is one. A CSV file is a table.
    columns : mapping of str to str, default=None
        Names of the columns "image", "latitude", "longitude" and "author", for those that a
        table calls otherwise.
    image_root : str or path-like, default=None
        Folder that the file names of a table are relative to. None: the folder of the table. An
        extension that the names lack is found.
    check_files : bool or "decode", default=True
        Whether the files of a table are looked for and opened; those that are missing or no
        image are left out. "decode" reads all pixels too, so that truncated files are found now
        and not later. False takes the table's word, also for a table that names no files.
    verbose : int, default=0
        Above 0: show a progress bar.
    return_X_y : bool, default=False
        If true, return ``(images, coordinates)`` alone.

    Returns
    -------
    Bunch
        With the attributes

        images : ndarray of shape (n_photos,), object
            Paths as str; None if the table names no files.
        coordinates : ndarray of shape (n_photos, 2)
            Latitude and longitude in degrees.
        groups : ndarray of shape (n_photos,), object, or None
            Authors, for `PhotographerSplit`; an entry is None where the table has none. None
            for a source without authors.
        frame : DataFrame of n_photos rows
            All columns of the table; for EXIF positions the columns filename (relative to the
            folder), latitude and longitude.
        left_out : DataFrame
            Columns image (path or name), row (of the table, counted from 0; missing for a file
            that is in no row) and reason.
        DESCR : str
            How many photographs were kept, and how many left out for what reason.

    Raises
    ------
    FileNotFoundError
        If `source` or `image_root` does not exist.
    ValueError
        If it is neither a folder nor a table, a column is missing, or no photograph can be used.
        The message says what was looked for and how many files were seen.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skgeo.datasets import load_geotagged_photos
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("bridge.jpg", "tower.jpg"):
    ...         Image.new("RGB", (8, 8)).save(Path(folder, name))
    ...     text = "id,latitude,longitude\nbridge,37.82,-122.48\ntower,95,0\nlost,1,2\n"
    ...     _ = Path(folder, "metadata.csv").write_text(text)
    ...     photos = load_geotagged_photos(folder)
    >>> photos.coordinates
    array([[  37.82, -122.48]])
    >>> photos.left_out[["row", "reason"]]
       row                         reason
    0    1  latitude outside [-90, 90]: 95
    1    2                  file not found
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a folder or a CSV file.")
    root = None if image_root is None else Path(image_root)
    if root is not None and not root.is_dir():
        raise FileNotFoundError(f"image_root={str(root)!r} is no folder.")
    if path.is_dir():
        table = path / _METADATA
        if positions == "table" and not table.is_file():
            raise FileNotFoundError(
                f"{path} holds no {_METADATA}; pass the path of its table, or positions='exif'."
            )
        if positions == "exif" or not table.is_file():
            if columns is not None or root is not None or check_files is False:
                raise ValueError(
                    f"columns, image_root and check_files=False are about a table, but the "
                    f"positions of {path} come from the EXIF tags of its files "
                    f"(there is {'a' if table.is_file() else 'no'} {_METADATA})."
                )
            photos = _from_exif(path, decode=check_files == "decode", verbose=int(verbose))
        else:
            photos = _from_table(table, columns, root, check_files, int(verbose))
            if check_files is not False and root is None:
                photos.left_out.extend(_not_in_table(path, table, photos))
    else:
        if positions == "exif":
            raise ValueError(f"positions='exif' needs a folder, but {path} is a file.")
        if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
            raise ValueError(
                f"{path} is neither a folder nor a CSV file; expected a folder of photographs or "
                "a table with columns such as filename, lat, lon."
            )
        photos = _from_table(path, columns, root, check_files, int(verbose))
    return _pack(path, photos, return_X_y)


def _pack(source: Path, photos: _Photos, return_X_y: bool) -> Any:
    import pandas as pd

    left_out = pd.DataFrame(photos.left_out, columns=["image", "row", "reason"])
    if photos.left_out and left_out["row"].isna().any():
        left_out["row"] = left_out["row"].astype("Int64")
    reasons = Counter(_kind(reason) for _, _, reason in photos.left_out)
    counted = "".join(f"\n- {count}: {reason}" for reason, count in reasons.most_common())
    descr = f"{len(photos.coordinates)} geotagged photographs of {source}.\n"
    descr += f"{len(left_out)} left out{':' if counted else '.'}{counted}\n"
    images = None if photos.images is None else _objects(photos.images)
    if return_X_y:
        if images is None:
            raise ValueError(f"{source} names no image files, so there is no X to return.")
        return images, photos.coordinates
    return Bunch(
        images=images,
        coordinates=photos.coordinates,
        groups=None if photos.groups is None else _objects(photos.groups),
        frame=photos.frame,
        left_out=left_out,
        DESCR=descr,
    )


def _objects(values: list[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _kind(reason: str) -> str:
    """Give a reason without the values of its photograph, for counting."""
    return reason.split(": ")[0]


def _from_exif(folder: Path, *, decode: bool, verbose: int) -> _Photos:
    import pandas as pd

    from skgeo.images import ImageError, read_exif_position

    files, left_out = _walk(folder)
    images: list[str] = []
    found: list[tuple[float, float]] = []
    for path in progress(files, verbose=verbose, desc="positions", unit="file"):
        try:
            position = read_exif_position(path)
            if position is not None and decode:
                _decode(path)
        except ImageError as error:
            left_out.append((path, None, f"not an image that can be read: {error}"))
            continue
        if position is None:
            left_out.append((path, None, "no position in its EXIF tags"))
            continue
        images.append(path)
        found.append(position)
    if not images:
        raise ValueError(
            f"No photograph to use in {folder}: looked in it and its subfolders for images with a "
            f"position in their EXIF tags (or a {_METADATA}) and saw {len(files)} files"
            f"{_summary(left_out)}."
        )
    coordinates = np.array(found, dtype=np.float64).reshape(-1, 2)
    frame = pd.DataFrame(
        {
            "filename": [os.path.relpath(path, folder) for path in images],
            "latitude": coordinates[:, 0],
            "longitude": coordinates[:, 1],
        }
    )
    return _Photos(images, coordinates, None, frame, left_out)


def _walk(folder: Path) -> tuple[list[str], list[tuple[str | None, int | None, str]]]:
    """All files below a folder in order of their names; hidden ones apart, as left out."""
    files: list[str] = []
    hidden: list[tuple[str | None, int | None, str]] = []
    for place, folders, names in os.walk(folder):
        hidden += [(os.path.join(place, f), None, "hidden folder") for f in folders if f[0] == "."]
        folders[:] = sorted(f for f in folders if f[0] != ".")
        for name in sorted(names):
            path = os.path.join(place, name)
            if name[0] == ".":
                hidden.append((path, None, "hidden file"))
            else:
                files.append(path)
    return files, hidden


def _from_table(
    path: Path,
    columns: Mapping[str, str] | None,
    root: Path | None,
    check_files: bool | str,
    verbose: int,
) -> _Photos:
    table = read_photo_table(path, columns, needs_images=check_files is not False)
    frame, names = table
    coordinates, problems = position_problems(table)
    name_column, author_column = names["image"], names["author"]
    finder = FileFinder(root or path.parent)
    images: list[str] | None = None if name_column is None else []
    cells = [None] * len(frame) if name_column is None else frame[name_column].tolist()
    check = _checker(check_files)
    first_row: dict[str, int] = {}
    keep: list[int] = []
    left_out: list[tuple[str | None, int | None, str]] = []
    rows = progress(range(len(frame)), verbose=verbose, desc="photos", unit="photo")
    for row in rows:
        name, problem = text_or_none(cells[row]), problems[row]
        image = name
        if images is not None and name is None:
            problem = problem or "no file name"
        elif images is not None and name is not None:
            if check_files is False:
                image = finder.join(name)
            else:
                image, missing = finder.find(name)
                problem = problem or missing
            if problem is None and image in first_row:
                first = first_row[image]
                same = bool((coordinates[first] == coordinates[row]).all())
                problem = f"listed again{'' if same else ' with another position'}: row {first}"
            if problem is None and image is not None:
                problem = check(image)
        if problem is not None:
            left_out.append((image, row, problem))
            continue
        keep.append(row)
        if images is not None and image is not None:
            images.append(image)
            first_row[image] = row
    if not keep:
        raise ValueError(
            f"No photograph to use in {path}: looked in {len(frame)} rows for a position"
            f"{'' if check_files is False else ' and an image file below ' + str(finder.root)}"
            f"{_summary(left_out)}."
        )
    groups = None
    if author_column is not None:
        authors = frame[author_column].tolist()
        groups = [text_or_none(authors[row]) for row in keep]
    kept = frame.iloc[keep].reset_index(drop=True)
    for role in ("latitude", "longitude"):
        kept[names[role]] = coordinates[keep, 0 if role == "latitude" else 1]
    return _Photos(images, coordinates[keep], groups, kept, left_out)


def _checker(check_files: bool | str) -> Callable[[str], str | None]:
    """Give the function that says why a file is no image (None: it is one)."""
    from skgeo.images import ImageError, read_exif_position

    def check(path: str) -> str | None:
        try:
            # Opening is what reading a position does first; the position itself is not wanted.
            read_exif_position(path)
            if check_files == "decode":
                _decode(path)
        except ImageError as error:
            return f"not an image that can be read: {error}"
        return None

    return (lambda _: None) if check_files is False else check


def _decode(path: str) -> None:
    from skgeo.images import load_image

    load_image(path)


def _not_in_table(
    folder: Path, table: Path, photos: _Photos
) -> list[tuple[str | None, int | None, str]]:
    """Files of the folder that no row of its table names; documents beside them are no photos."""
    named = {os.path.normpath(path) for path in photos.images or []}
    named |= {os.path.normpath(path) for path, _, _ in photos.left_out if path is not None}
    return [
        (path, None, f"not in {table.name}")
        for path in _walk(folder)[0]
        if os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES
        and os.path.normpath(path) not in named
    ]


def _summary(left_out: list[tuple[str | None, int | None, str]]) -> str:
    reasons = Counter(_kind(reason) for _, _, reason in left_out)
    if not reasons:
        return ""
    return " (" + ", ".join(f"{count}: {reason}" for reason, count in reasons.most_common(5)) + ")"
