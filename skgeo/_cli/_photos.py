"""Geotagged photos that a command was given."""

from __future__ import annotations

import argparse
from typing import Any

from ._console import CommandError


def read_photos(options: argparse.Namespace) -> tuple[Any, list[tuple[str, str]]]:
    """The photos with their positions, and the files that were left out with their reasons.

    Raises
    ------
    CommandError
        If a table names no files.
    """
    from skgeo.datasets import load_geotagged_photos

    photos = load_geotagged_photos(
        options.photos, positions=options.positions, verbose=int(not options.quiet)
    )
    if photos.images is None:
        raise CommandError(f"{options.photos!r} names no image files.")
    left_out = zip(photos.left_out["image"], photos.left_out["reason"], strict=True)
    return photos, [(str(image), str(reason)) for image, reason in left_out]
