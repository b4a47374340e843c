"""What is done of a long job, in files of a folder, so that the same job goes on after a kill.

Every file is named after the content of all that the job depends on: many jobs share a folder,
none takes what belongs to another, and what an older version left is never looked at. Files
appear whole, hold no code, and are removed when their job ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from ._whole_file import temporary_beside

__all__ = ["Job", "content_key", "open_folder", "whole_job"]

T = TypeVar("T")

#: Part of every key: to be raised when the same job leaves other files.
_FORMAT = 1

#: Bytes of an array that are digested at a time.
_BLOCK_BYTES = 2**24

#: Share of the time that may go into files which are not indispensable.
_SHARE = 0.02


class _Whole:
    """A job that others are parts of: where they keep their files, which stay until it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: list[Job] = []


_whole: ContextVar[_Whole | None] = ContextVar("skgeo_whole_job", default=None)


def open_folder(folder: str | os.PathLike[str]) -> Path:
    """Make the folder of checkpoints if need be.

    Raises
    ------
    ValueError
        If files cannot be written into it.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path / "trial"):
            pass
    except OSError as error:
        raise ValueError(
            f"checkpoint={str(folder)!r} cannot be written to ({error.strerror}); expected a "
            "folder for the files of unfinished work, or None."
        ) from error
    return path


@contextlib.contextmanager
def whole_job(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Keep the checkpoints of everything within in a folder until all of it is done.

    Jobs within that name no folder of their own use this one. Without it the files of a part
    go as that part ends, and a kill in the next part would cost both. None changes nothing.
    """
    if folder is None:
        yield
        return
    outer = _whole.get()
    whole = _Whole(open_folder(folder))
    token = _whole.set(whole)
    try:
        yield
    finally:
        _whole.reset(token)
    # Not after an exception: then there is something to go on from.
    for job in whole.finished:
        if outer is None:
            job.remove()
        else:
            outer.finished.append(job)


def content_key(*parts: Any) -> str:
    """Digest of what a job depends on, and of the versions of the libraries that do it.

    Parameters
    ----------
    *parts : array, sparse array, dict, list, tuple, str, number or None
        Arrays by type, shape and bits, in blocks: they may be memory maps.
    """
    digest = hashlib.blake2b(digest_size=16)
    names = ("skgeo", "numpy", "scipy", "scikit-learn", "torch", "skorch", "numba")
    _add(digest, [_FORMAT, *(_version(name) for name in names)])
    _add(digest, parts)
    return digest.hexdigest()


def _version(name: str) -> str:
    with contextlib.suppress(ImportError):
        return version(name)
    return ""


def _add(digest: Any, part: Any) -> None:
    """Feed a part to a digest, each with its kind and length, so that no two lists look alike."""
    if isinstance(part, dict):
        _add(digest, ["dict", *part.items()])
    elif isinstance(part, list | tuple):
        digest.update(f"list {len(part)};".encode())
        for one in part:
            _add(digest, one)
    elif hasattr(part, "indptr"):
        _add(digest, ["sparse", part.shape, part.indptr, part.indices])
    elif isinstance(part, np.ndarray):
        digest.update(f"array {part.dtype.str} {part.shape};".encode())
        rows = np.atleast_1d(part)
        step = max(1, _BLOCK_BYTES // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            digest.update(np.ascontiguousarray(rows[start : start + step]).data.cast("B"))
    else:
        if isinstance(part, np.generic):
            part = part.item()
        # Raises for what has no content that JSON can write.
        text = json.dumps(part)
        digest.update(f"{type(part).__name__} {len(text)} {text};".encode())


class Job:
    """The files of one job.

    Parameters
    ----------
    folder : Path
        Shared with other jobs.
    kind : str
        What is done: first part of the files' names.
    key : str
        Of `content_key`.
    """

    def __init__(self, folder: Path, kind: str, key: str) -> None:
        self.folder = folder
        self.stem = f"skgeo-{kind}-{key}"
        self._warned = False
        self._began = time.perf_counter()
        self._spent = 0.0
        self._last = 0.0

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str] | None,
        kind: str,
        key: Callable[[], str],
    ) -> Job | None:
        """The job in this folder, or in that of the whole it is a part of; None without one."""
        whole = _whole.get()
        if folder is not None:
            return cls(open_folder(folder), kind, key())
        return None if whole is None else cls(whole.folder, kind, key())

    def path(self, part: str) -> Path:
        """The file of a part of the job."""
        return self.folder / f"{self.stem}-{part}"

    def write(self, part: str, writer: Callable[[BinaryIO], None]) -> None:
        """File a part of the job, on the disk when this returns; replaces what was there.

        A disk that is full is a reason to warn and not to give up the job.
        """
        began = time.perf_counter()
        path = self.path(part)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary_beside(path) as name:
                with open(name, "wb") as file:
                    writer(file)
                    file.flush()
                    os.fsync(file.fileno())
                # Gone where the same job ended in another process, and cleaned up.
                with contextlib.suppress(FileNotFoundError):
                    os.replace(name, path)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"the checkpoint {str(path)!r} cannot be written ({error.strerror}): the work "
                    "goes on, but after an interruption it would begin from the last one.",
                    RuntimeWarning,
                    stacklevel=2,
                )
        self._last = time.perf_counter() - began
        self._spent += self._last

    @property
    def is_due(self) -> bool:
        """Whether one more file keeps all of them within their share of the time."""
        elapsed = time.perf_counter() - self._began
        return self._spent + self._last <= _SHARE * elapsed

    def read(self, part: str, reader: Callable[[BinaryIO], T]) -> T | None:
        """What is filed of a part; None where nothing is, or nothing that can be read."""
        try:
            with open(self.path(part), "rb") as file:
                return reader(file)
        except FileNotFoundError:
            return None
        except Exception:
            # Whatever a disk did to it: the part is done again, and the file replaced.
            return None

    def drop(self, part: str) -> None:
        """Remove the file of a part."""
        with contextlib.suppress(OSError):
            self.path(part).unlink()

    def finish(self) -> None:
        """Remove all files, now or at the end of the whole that the job is a part of."""
        whole = _whole.get()
        if whole is not None and whole.folder == self.folder:
            whole.finished.append(self)
        else:
            self.remove()

    def remove(self) -> None:
        """Remove all files, also those that a kill left half written; others' stay."""
        for pattern in (f"{self.stem}-*", f".{self.stem}-*"):
            for path in self.folder.glob(pattern):
                with contextlib.suppress(OSError):
                    path.unlink()


def write_arrays(file: BinaryIO, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write arrays as ``.npz``."""
    np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    """Read them."""
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)
