"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["temporary_beside"]


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[str]:
    """Make a temporary file in the folder of a file that it will become, by linking or renaming.

    It has the rights of any new file. At the end it is removed where it still has its name.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        # A temporary file is readable by its owner alone.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        yield name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
