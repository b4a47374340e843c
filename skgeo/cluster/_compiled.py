"""Compile a function to machine code, and keep it for the next process where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])

_njit: Any = numba.njit


@lru_cache
def _stamp(folder: Path) -> tuple[tuple[str, float, int], ...]:
    """Say which state the modules with compiled code of a folder are in.

    numba takes the code in its cache for current while the file of the function is unchanged,
    though functions that it calls from other files may have changed: all of these count here.
    """
    paths = [path for path in sorted(folder.glob("*.py")) if b"_compiled" in path.read_bytes()]
    files = [(path.name, path.stat()) for path in paths]
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in files)


def compiled(function: F) -> F:
    """Compile, on the first call, a function that Python calls; threads may run it side by side.

    The machine code goes beside the module, or, where that is not writable, to the user's cache
    folder (or to ``NUMBA_CACHE_DIR``). Where no folder at all can be written, numba refuses to
    cache; then every process compiles for itself.
    """
    try:
        dispatcher = _njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        dispatcher = _njit(nogil=True, error_model="numpy")(function)
    cache_file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if hasattr(cache_file, "_source_stamp"):
        cache_file._source_stamp = _stamp(Path(function.__code__.co_filename).parent)
    result: F = dispatcher
    return result


def inner(function: F) -> F:
    """Compile a function that only compiled functions call, into each of them.

    The way in from Python is left out. Were it a function of its own, each call would count
    references to every array it is given, atomically: that took as long as the work.
    """
    result: F = _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, forceinline=True)(
        function
    )
    return result
