"""Learn the texton dictionary that comes with skgeo, from NASA's image of the Earth.

The Blue Marble is in the public domain, and so is what is learned from it. Tiles cut at several
scales, so that coasts, deserts, forests and ice come large and small, are brought to 256 pixels and
described as `LowLevelFeatures.fit` does. The same versions of numpy and scikit-learn make the same
file.

    python benchmarks/make_texton_dictionary.py            # compares with the file that is there
    python benchmarks/make_texton_dictionary.py --write    # replaces it
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import skgeo
from skgeo.datasets import load_blue_marble_tiles
from skgeo.features import LowLevelFeatures

FILE = Path(skgeo.__file__).parent / "features" / "data" / "textons_blue_marble.npy"

# Side of the tiles in pixels of the map, and how many: each is brought to 256 pixels.
TILES = {64: 100, 128: 200, 256: 200}


def main(options: argparse.Namespace) -> None:
    """Learn, compare, and write if asked to."""
    images = []
    for side, count in TILES.items():
        tiles = load_blue_marble_tiles(
            count, tile_size=side, scale="image", min_land=0.3, random_state=0
        )
        images += [cv2.resize(tile, (256, 256), interpolation=cv2.INTER_CUBIC)
                   for tile in tiles.images]  # fmt: skip
    print(f"{len(images)} tiles")
    dictionary = LowLevelFeatures("texture", random_state=0).fit(images).texton_dictionary_
    # Strong patterns last; the order of k-means means nothing.
    dictionary = dictionary[np.argsort(np.linalg.norm(dictionary, axis=1), kind="stable")]
    if FILE.exists():
        difference = np.abs(dictionary - np.load(FILE)).max()
        print(f"greatest difference from the file: {difference:.3g}")
    if options.write:
        FILE.parent.mkdir(exist_ok=True)
        np.save(FILE, dictionary.astype(np.float32), allow_pickle=False)
        print(f"wrote {FILE.name}, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="replace the file in the package")
    main(parser.parse_args())
