"""One thread for the numerical libraries while images are described."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

__all__ = ["single_threaded"]

_lock = threading.Lock()
_depth = 0
_saved: tuple[Any, int] | None = None


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS, OpenMP and OpenCV to one thread each, for the whole process.

    Work is parallel over images, and more threads below would only fight for the cores. The
    limits belong to the process, so threads that enter and leave in any order must agree: the
    first sets them and the last one takes them back.
    """
    # Loaded where images are described, not where this module is.
    import cv2

    global _depth, _saved
    with _lock:
        if _depth == 0:
            _saved = (threadpool_limits(limits=1), cv2.getNumThreads())
            cv2.setNumThreads(1)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _saved is not None:
                limits, n_threads = _saved
                limits.restore_original_limits()
                cv2.setNumThreads(n_threads)
                _saved = None
